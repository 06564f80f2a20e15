"""One line of a machine's log to one run; pure. What cannot be read is refused by name, never guessed."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum
from typing import Any

import orjson

from renzheng.contracts.ids import normalised_id, tidy_id
from renzheng.edge.settings.machine import MachineSettings

AHEAD = timedelta(minutes=10)
"""How far a run may end in the future by this device's clock: clocks differ by minutes."""
LONGEST = timedelta(hours=72)
MOST_CHARACTERS = 200


class Refusal(StrEnum):
    """Why a line is no run."""

    ENCODING = "encoding"
    SHAPE = "shape"
    MACHINE = "machine_missing"
    TIME = "time_unreadable"
    BACKWARDS = "ends_before_it_begins"
    TOO_LONG = "too_long"
    FUTURE = "in_the_future"
    TEXT = "text_too_long"
    LOST = "file_gone"


class RefusedLineError(Exception):
    """A line is no run; `reason` says why."""

    def __init__(self, reason: Refusal) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Run:
    """What a line tells of one run."""

    machine_id: str
    started_at: datetime
    ended_at: datetime
    person_id: str | None
    serial_number: str | None
    accession_number: str | None

    @property
    def key(self) -> str:
        """What no other run of the machines has."""
        moments = (self.started_at.isoformat(), self.ended_at.isoformat())
        return "\x1f".join((self.machine_id, *moments, self.person_id or "", self.accession_number or ""))


def read_header(line: bytes, settings: MachineSettings) -> Sequence[str]:
    """Read the names of the columns.

    Raises:
        RefusedLineError: it cannot be read, or lacks a column that is needed.
    """
    cells = [cell.strip().lstrip("\ufeff") for cell in _cells(_text(line, settings), settings)]
    if not set(settings.columns.values()) <= set(cells):
        raise RefusedLineError(Refusal.SHAPE)
    return cells


def read_run(
    line: bytes, header: Sequence[str], settings: MachineSettings, zone: tzinfo, now: datetime | None
) -> Run:
    """Read one line.

    Args:
        line: as it stands in the file.
        header: names of the columns; empty for JSON.
        settings: format and columns.
        zone: of times without an offset.
        now: what no run may end much later than; None while the clock is not trusted.

    Raises:
        RefusedLineError: it is no run.
    """
    fields = _fields(_text(line, settings), header, settings)
    machine = settings.machine_id or _id(fields.get("machine_id"))
    if not machine:
        raise RefusedLineError(Refusal.MACHINE)
    started, ended = (_moment(fields.get(name), settings, zone) for name in ("started_at", "ended_at"))
    if ended < started:
        raise RefusedLineError(Refusal.BACKWARDS)
    if ended - started > LONGEST:
        raise RefusedLineError(Refusal.TOO_LONG)
    if now is not None and ended > now + AHEAD:
        raise RefusedLineError(Refusal.FUTURE)
    person = fields.get("person_id")
    return Run(
        tidy_id(machine),
        started,
        ended,
        normalised_id(person) or None if person else None,
        _id(fields.get("serial_number")),
        _id(fields.get("accession_number")),
    )


def _text(line: bytes, settings: MachineSettings) -> str:
    try:
        text = line.decode(settings.encoding)
    except UnicodeDecodeError:
        raise RefusedLineError(Refusal.ENCODING) from None
    if "\0" in text:
        raise RefusedLineError(Refusal.ENCODING)
    return text.strip("\r\n")


def _cells(text: str, settings: MachineSettings) -> list[str]:
    try:
        rows = list(csv.reader([text], delimiter=settings.delimiter, strict=True))
    except csv.Error:
        raise RefusedLineError(Refusal.SHAPE) from None
    return rows[0] if len(rows) == 1 else []


def _fields(text: str, header: Sequence[str], settings: MachineSettings) -> Mapping[str, str | None]:
    if settings.format == "json":
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError:
            raise RefusedLineError(Refusal.SHAPE) from None
        return {name: _at(value, place) for name, place in settings.columns.items()}
    cells = _cells(text, settings)
    if len(cells) != len(header):
        raise RefusedLineError(Refusal.SHAPE)
    row = dict(zip(header, cells, strict=True))
    return {name: row[column].strip() for name, column in settings.columns.items()}


def _at(value: Any, place: str) -> str | None:
    for key in (place,) if isinstance(value, dict) and place in value else place.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    if value is not None and (isinstance(value, bool) or not isinstance(value, str | int)):
        raise RefusedLineError(Refusal.SHAPE)
    return None if value is None else str(value).strip()


def _id(text: str | None) -> str | None:
    if text and len(text) > MOST_CHARACTERS:
        raise RefusedLineError(Refusal.TEXT)
    return text or None


def _moment(text: str | None, settings: MachineSettings, zone: tzinfo) -> datetime:
    try:
        if settings.time_format is None:
            moment = datetime.fromisoformat(text or "")
        else:
            moment = datetime.strptime(text or "", settings.time_format)  # noqa: DTZ007 - see below
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)
    except (ValueError, OverflowError):
        raise RefusedLineError(Refusal.TIME) from None
