"""Reads attempts from the log and people's traits from the lake; works out the figures.

Tries, times and engines stand in the signed events themselves, so nothing has to be sent or stored for these
figures, and they reach back as far as the log. No event holds an age: birth days are read from the persons
that were imported, folded at once into whole years, and not kept.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import sqlalchemy as sa

from renzheng.central.attempts.figures import Figures, Traits, figures
from renzheng.central.attempts.visits import KINDS, Attempt, Visit, visits
from renzheng.central.nightly.manifest import Manifest
from renzheng.central.store import schema, viewer
from renzheng.central.store.times import day_bounds_us, from_us

logger = logging.getLogger(__name__)
ATTENDANCE, ENTRIES, ALIASES = schema.attendance, schema.log_entries, schema.person_aliases
_CARRIED = "renzheng.v1.device.entry_carried"
_ROWS_AT_ONCE = 2_000
_LAKE_READS = 3
_TRAITS = ["person_id", "sex", "birth_date"]
_MOST_MS = 10**15
MOST_ATTEMPTS = 1_000_000
"""Beyond so many the days asked for are cut to the latest ones; a county of 20,000 a day stays below."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Which attempts: of the local days `first` to `last`, both included, at one institution or all."""

    first: date
    last: date
    zone: ZoneInfo
    institution_id: str | None = None


@dataclass(frozen=True, slots=True)
class Published:
    """The figures that were asked for; by institution where more than one was asked for."""

    asked: Asked
    whole: Figures
    institutions: Mapping[str, Figures]


def publish(connection: sa.Connection, lake_dir: Path, asked: Asked) -> Published:
    """Work out the figures that are asked for.

    Args:
        connection: a transaction of the store that reads.
        lake_dir: where central's lake lies; without one nobody's age or sex is known.
        asked: which.
    """
    asked = _fitting(connection, asked)
    found = list(visits(_attempts(connection, asked)))
    latest: dict[str, int] = {}
    for one in found:
        latest[one.person_id] = max(one.at_us, latest.get(one.person_id, 0))
    known = _traits(lake_dir, {who: from_us(at).astimezone(asked.zone).date() for who, at in latest.items()})
    return Published(asked, figures(found, known), _by_institution(found, known, asked))


def _by_institution(
    found: Iterable[Visit], known: Mapping[str, Traits], asked: Asked
) -> Mapping[str, Figures]:
    if asked.institution_id is not None:
        return {}
    parts: dict[str, list[Visit]] = defaultdict(list)
    for one in found:
        parts[one.institution_id].append(one)
    return {name: figures(part, known) for name, part in sorted(parts.items())}


def _fitting(connection: sa.Connection, asked: Asked) -> Asked:
    """Cut the days asked for until no more than `MOST_ATTEMPTS` lie in them."""
    while (days := (asked.last - asked.first).days) > 0:
        count = sa.select(sa.func.count()).select_from(ATTENDANCE).where(*_matching(asked))
        if connection.execute(count).scalar_one() <= MOST_ATTEMPTS:
            break
        asked = replace(asked, first=asked.last - timedelta(days=days // 2))
    return asked


def _matching(asked: Asked) -> Sequence[sa.ColumnElement[bool]]:
    start_us, end_us = day_bounds_us(asked.first, asked.last, asked.zone)
    within = (ATTENDANCE.c.occurred_at >= start_us) & (ATTENDANCE.c.occurred_at < end_us)
    seen = viewer.may_see(ATTENDANCE.c.institution_id)
    where: list[sa.ColumnElement[bool]] = [within, ATTENDANCE.c.event_type.in_(KINDS), seen]
    if asked.institution_id is not None:
        where.append(ATTENDANCE.c.institution_id == asked.institution_id)
    return where


def _attempts(connection: sa.Connection, asked: Asked) -> Iterator[Attempt]:
    """Read the attempts of some days, by device and in the order of its log."""
    same = (ENTRIES.c.device_id == ATTENDANCE.c.device_id) & (ENTRIES.c.sequence == ATTENDANCE.c.sequence)
    query = (
        sa.select(
            ATTENDANCE.c.device_id,
            ATTENDANCE.c.institution_id,
            ATTENDANCE.c.person_id,
            ATTENDANCE.c.occurred_at,
            ATTENDANCE.c.event_type,
            ATTENDANCE.c.outcome,
            ENTRIES.c.line,
        )
        .select_from(ATTENDANCE.join(ENTRIES, same))
        .where(*_matching(asked))
        .order_by(ATTENDANCE.c.device_id, ATTENDANCE.c.sequence)
    )
    present = _present_numbers(connection)
    for row in connection.execute(query.execution_options(yield_per=_ROWS_AT_ONCE)):
        data = _data(row.line)
        yield Attempt(
            row.device_id,
            row.institution_id,
            present.get(row.person_id, row.person_id),
            row.occurred_at,
            row.event_type,
            row.outcome,
            data.get("engine"),
            _milliseconds(data.get("decision_ms")),
            data["clock"]["boot_id"],
            _milliseconds(data["clock"]["monotonic_ms"]) or 0,
        )


def _data(line: bytes) -> Any:
    """Return the data of the event in an entry, or of the event that it carries over from a closed log.

    An entry may hold a number that is longer than this reader takes; then there are no times and no engine.
    """
    try:
        event = orjson.loads(line)["event"]
        if event["type"] == _CARRIED:
            event = orjson.loads(event["data"]["line"])["event"]
    except orjson.JSONDecodeError:
        return {"clock": {"boot_id": "", "monotonic_ms": 0}}
    return event["data"]


def _milliseconds(value: object) -> int | None:
    """Return a time that a clock can show; None for any other."""
    return value if isinstance(value, int) and value <= _MOST_MS else None


def _present_numbers(connection: sa.Connection) -> Mapping[str, str]:
    """Return for each number that gave way to another the one that holds now."""
    pairs = connection.execute(sa.select(ALIASES.c.person_id, ALIASES.c.alias_of).order_by(ALIASES.c.since))
    next_of = {row.person_id: row.alias_of for row in pairs}

    def follow(number: str) -> str:
        seen = {number}
        while (after := next_of.get(number)) is not None and after not in seen:
            seen.add(after)
            number = after
        return number

    return {number: follow(number) for number in next_of}


def _traits(lake_dir: Path, on: Mapping[str, date]) -> Mapping[str, Traits]:
    """Read what the lake knows of people; each birth day becomes years on the day given for the person."""
    found = {}
    for who, several in groupby(_persons(lake_dir, on), key=lambda row: str(row["person_id"])):
        known = list(several)
        born = {row["birth_date"] for row in known if isinstance(row["birth_date"], date)}
        sexes = {row["sex"] for row in known if row["sex"] in ("F", "M")}
        # two words that differ are no knowledge
        years = _years(born.pop(), on[who]) if len(born) == 1 else None
        found[who] = Traits(years, sexes.pop() if len(sexes) == 1 else "U")
    return found


def _persons(lake_dir: Path, wanted: Iterable[str]) -> Sequence[Mapping[str, Any]]:
    """Read the lake's rows about some people, in the order of their numbers."""
    chosen = pc.field("person_id").isin(pa.array(sorted(wanted), pa.string()))
    for _ in range(_LAKE_READS):
        parts = [str(lake_dir / part.path) for part in Manifest.read(lake_dir).of("persons")]
        try:
            rows = pq.read_table(parts, columns=_TRAITS, filters=chosen).to_pylist() if parts else []
        except FileNotFoundError:  # a night replaced the part meanwhile
            continue
        return sorted(rows, key=lambda row: str(row["person_id"]))
    logger.error("the lake's persons cannot be read: nobody's age or sex is known to the sign-in figures")
    return ()


def _years(born: date, day: date) -> int:
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))
