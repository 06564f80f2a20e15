"""HL7 v2 ADT (A01, A02, A03, A11, A12, A13, A21, A22, A52) as stay events, through the `hl7` library.

A file holds one message after another, bare, framed (MLLP) or batched, with any line ends. A message's line
is that of its MSH segment. Messages of other kinds are counted and not used.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import hl7

from renzheng.central.claims.encoding import LINE_LIMIT_BYTES, Encoding, detect_encoding
from renzheng.central.claims.mapping_file import Hl7Settings, read_settings
from renzheng.central.claims.rejects import Place, Problem, Reason, Remark, shown
from renzheng.central.claims.rows import ZoneOf
from renzheng.central.claims.source import Advance, Ignored, InputFile, Item, Options
from renzheng.central.claims.stay_events import StayEvent, StayEventKind
from renzheng.central.claims.values import ValueProblem, read_id, read_text, read_time

KINDS: Mapping[str, StayEventKind] = {
    "A01": StayEventKind.ADMIT,
    "A02": StayEventKind.TRANSFER,
    "A03": StayEventKind.DISCHARGE,
    "A11": StayEventKind.CANCEL_ADMIT,
    "A12": StayEventKind.CANCEL_TRANSFER,
    "A13": StayEventKind.CANCEL_DISCHARGE,
    "A21": StayEventKind.LEAVE,
    "A22": StayEventKind.RETURN,
    "A52": StayEventKind.CANCEL_LEAVE,
}
_INPATIENT = {"I", ""}
_FRAMING = "\x0b\x1c"
_BATCH = ("FHS", "BHS", "BTS", "FTS")
_MAX_SEGMENTS = 500
UNSTATED = "unstated"
"""Who approved a leave whose message names neither an operator nor an attending doctor."""


class Hl7Source:
    """ADT messages."""

    tables: Sequence[str] = ("stays", "leaves")
    sources: Mapping[str, str] = {}

    def __init__(self, options: Options) -> None:
        self._options = options
        self._settings = read_settings(options.mapping, "hl7", Hl7Settings)

    def check(self, files: Sequence[InputFile]) -> list[InputFile]:
        """Find each file's encoding; a message's fields are looked at as it is read."""
        for file in files:
            detect_encoding(file.path, self._options.encoding)
        return list(files)

    def read(self, file: InputFile, zone_of: ZoneOf, advance: Advance) -> Iterator[Item]:
        """Read one file."""
        encoding = detect_encoding(file.path, self._options.encoding)
        for line, segments in read_messages(file, encoding, advance):
            place = Place(file.name, line)
            if isinstance(segments, Reason):
                yield Remark("stays", place, Problem("", segments))
            else:
                yield self.read_message(segments, place, zone_of)

    def read_message(self, segments: Sequence[str], place: Place, zone_of: ZoneOf) -> Item:
        """Read one message, given as its segments; `place` is where it stood, for remarks."""
        try:
            message = _Message(hl7.parse("\r".join(segments) + "\r"))
            kind, trigger = message.get("MSH-9.1"), message.get("MSH-9.2") or message.get("EVN-1.1")
        except Exception:  # noqa: BLE001 - the library raises whatever it stumbles on
            return Remark("stays", place, Problem("MSH", Reason.NOT_PARSABLE, shown(segments[0])))
        if kind != "ADT" or trigger not in KINDS:
            return Ignored(f"{kind or '?'}^{trigger or '?'}")
        if message.get("PV1-2.1") not in _INPATIENT:
            return Ignored(f"ADT^{trigger} of class {message.get('PV1-2.1')}")
        try:
            return _Reader(message, self._settings, self._options.institution, zone_of).event(
                KINDS[trigger], place
            )
        except _FieldProblem as problem:
            return Remark("stays", place, problem.problem)


def read_name(segments: Sequence[str]) -> tuple[str, str]:
    """Read a patient's family name and given name (PID-5.1, PID-5.2); empty where there is none to read."""
    try:
        message = _Message(hl7.parse("\r".join(segments) + "\r"))
        return message.get("PID-5.1"), message.get("PID-5.2")
    except Exception:  # noqa: BLE001 - the library raises whatever it stumbles on
        return "", ""


class _FieldProblem(Exception):  # noqa: N818 - a finding about one field of one message
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.field)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class _Message:
    """A parsed message, asked for fields as SEGMENT-FIELD.COMPONENT; what is not there is empty."""

    parsed: hl7.Message

    def get(self, path: str, repetition: int = 1) -> str:
        segment, number, component = _path(path)
        try:
            raw = self.parsed.extract_field(
                segment, field_num=number, repeat_num=repetition, component_num=component
            )
        except (LookupError, KeyError):
            return ""
        text = self.parsed.unescape(str(raw)).strip() if raw else ""
        return "" if text == '""' else text

    def repetitions(self, path: str) -> int:
        segment, number, _ = _path(path)
        try:
            return len(self.parsed.segment(segment)(number))
        except (LookupError, KeyError):
            return 0


def _path(path: str) -> tuple[str, int, int]:
    segment, _, rest = path.partition("-")
    number, _, component = rest.partition(".")
    return segment, int(number), int(component or 1)


class _Reader:
    """Reads one message's fields as typed values; raises `_FieldProblem` at the first that cannot be read."""

    def __init__(
        self, message: _Message, settings: Hl7Settings, institution: str | None, zone_of: ZoneOf
    ) -> None:
        self._message = message
        self._settings = settings
        named = message.get(settings.institution_id)
        self._institution_id = self._id(
            settings.institution_id, settings.institutions.get(named, named) or institution or ""
        )
        self._zone = zone_of(self._institution_id)

    def event(self, kind: StayEventKind, place: Place) -> StayEvent:
        """Give the stay event that the message tells of."""
        recorded_at = self._time("EVN-2") or self._time("MSH-7")
        if recorded_at is None:
            raise _FieldProblem(Problem("EVN-2", Reason.MISSING))
        admitted_at, discharged_at = self._time("PV1-44"), self._time("PV1-45")
        own = {StayEventKind.ADMIT: admitted_at, StayEventKind.DISCHARGE: discharged_at}.get(kind)
        return StayEvent(
            place=place,
            kind=kind,
            institution_id=self._institution_id,
            visit_id=self._id(self._settings.visit_id, self._message.get(self._settings.visit_id)),
            person_id=self._person(),
            at=own or self._time("EVN-6") or recorded_at,
            recorded_at=recorded_at,
            message_id=self._message.get("MSH-10.1") or None,
            admitted_at=admitted_at,
            department=self._text("PV1-10.1"),
            ward=self._text("PV1-3.1"),
            bed=self._text("PV1-3.3"),
            due_back_at=self._time("PV2-47"),
            leave_kind=self._settings.leave_kinds.get(self._message.get("EVN-4.1"), "leave"),
            approved_by=self._text("EVN-5.1") or self._text("PV1-7.1") or UNSTATED,
        )

    def _person(self) -> str:
        path, wanted = self._settings.person_id, self._settings.person_id_type
        segment, number, _ = _path(path)
        for repetition in range(1, self._message.repetitions(path) + 1):
            types = (self._message.get(f"{segment}-{number}.{n}", repetition) for n in (4, 5))
            if wanted is None or wanted in types:
                return self._id(path, self._message.get(path, repetition))
        raise _FieldProblem(Problem(path, Reason.MISSING, wanted or ""))

    def _id(self, path: str, raw: str) -> str:
        try:
            return read_id(raw)
        except ValueProblem as problem:
            raise _FieldProblem(Problem(path, problem.reason, shown(raw))) from None

    def _text(self, path: str) -> str | None:
        raw = self._message.get(path)
        try:
            return read_text(raw) if raw else None
        except ValueProblem as problem:
            raise _FieldProblem(Problem(path, problem.reason, shown(raw))) from None

    def _time(self, path: str) -> datetime | None:
        raw = self._message.get(path)
        if not raw:
            return None
        try:
            return read_time(_HOUR_ALONE.sub(r"\g<1>00\g<2>", raw), self._zone)
        except ValueProblem as problem:
            raise _FieldProblem(Problem(path, problem.reason, shown(raw))) from None


_HOUR_ALONE = re.compile(r"^(\d{10})([+-]\d{4})?$", re.ASCII)
"""HL7 allows a time that ends with the hour."""


def read_messages(
    file: InputFile, encoding: Encoding, advance: Advance
) -> Iterator[tuple[int, Sequence[str] | Reason]]:
    """Cut a file into messages: each with its first line, and its segments or why it has none."""
    start, segments, problem = 0, list[str](), _none()
    for number, text in _segments(file, encoding, advance):
        if isinstance(text, Reason):
            start, problem = start or number, problem or text
        elif text.startswith(("MSH", *_BATCH)):
            if start:
                yield start, problem or segments
            start, segments, problem = (number, [text], None) if text.startswith("MSH") else (0, [], None)
        elif not start:
            start, problem = number, Reason.NOT_PARSABLE  # a segment of no message
        elif len(segments) == _MAX_SEGMENTS:
            problem = problem or Reason.TOO_LONG
        else:
            segments.append(text)
    if start:
        yield start, problem or segments


def _none() -> Reason | None:
    return None


def _segments(file: InputFile, encoding: Encoding, advance: Advance) -> Iterator[tuple[int, str | Reason]]:
    """Yield each line that is not blank, with its number, whatever the line ends are."""
    with file.path.open(
        "r", encoding="latin-1", newline=None
    ) as stream:  # bytes as they are, line ends as one
        number = 0
        while raw := stream.readline(LINE_LIMIT_BYTES):
            number += 1
            advance(len(raw))
            line = raw.encode("latin-1").removeprefix(b"\xef\xbb\xbf" if number == 1 else b"")
            text = encoding.decode(line.rstrip(b"\n"))
            if isinstance(text, Reason):
                yield number, text
            elif segment := text.strip(_FRAMING + " "):
                yield number, segment
