"""Stay events and visit facts at rest: staged, kept in a journal, and folded visit by visit.

A stay's messages may come over weeks, in several imports and out of order. So the events themselves are kept
(``journal/stay_events.parquet``), and the stays and leaves of every visit that an import touches are made
anew from all of its events. Facts about visits (``journal/visit_facts.parquet``) wait there for lines to
come.
"""

# ruff: noqa: S608 - the names are our own, the paths are quoted; COPY takes no parameters

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from dataclasses import replace as changed
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from renzheng.central.claims.files import count, literal, note_made
from renzheng.central.claims.rejects import RowPlace
from renzheng.central.claims.rows import ZoneOf, finish, refused
from renzheng.central.claims.settle import JOURNAL
from renzheng.central.claims.staging import Staging
from renzheng.central.claims.stay_events import Rename, StayEvent, StayEventKind, VisitFact, fold
from renzheng.common.files import put

EVENTS, RENAMES, FACTS = "stay_events", "renames", "visit_facts"
_ROWS = 5_000
Key = tuple[str, str]
"""An institution and a number of its own."""


def _schema(kind: type[StayEvent] | type[Rename] | type[VisitFact]) -> pa.Schema:
    """Give the Arrow schema of a dataclass: its place as file and line, its times in UTC, all else text."""
    columns = [pa.field("file", pa.string()), pa.field("line", pa.int64())]
    for one in fields(kind):
        if one.name != "place":
            is_time = one.name == "at" or one.name.endswith("_at")
            columns.append(pa.field(one.name, pa.timestamp("us", tz="UTC") if is_time else pa.string()))
    return pa.schema(columns)


EVENT_SCHEMA, RENAME_SCHEMA, FACT_SCHEMA = _schema(StayEvent), _schema(Rename), _schema(VisitFact)
_SCHEMAS = {EVENTS: EVENT_SCHEMA, RENAMES: RENAME_SCHEMA, FACTS: FACT_SCHEMA}


def stage(staging: Staging, item: StayEvent | VisitFact) -> None:
    """Stage one event or fact."""
    name, schema = (EVENTS, EVENT_SCHEMA) if isinstance(item, StayEvent) else (FACTS, FACT_SCHEMA)
    kind = (item.kind.value,) if isinstance(item, StayEvent) else ()
    told = (getattr(item, column) for column in schema.names[2 + len(kind) :])
    staging.add(name, lambda: schema, (item.place.file, item.place.line, *kind, *told))


def stage_rename(staging: Staging, item: Rename) -> None:
    """Stage one number that gave way to another."""
    told = (getattr(item, column) for column in RENAME_SCHEMA.names[2:])
    staging.add(RENAMES, lambda: RENAME_SCHEMA, (item.place.file, item.place.line, *told))


def add_to_journal(database: duckdb.DuckDBPyConnection, name: str, staged: Path, out: Path) -> Path:
    """Merge what was staged into the journal, each entry once, and return the journal's file.

    Its column `arrival` counts the imports: an entry keeps that of the first one that brought it.
    """
    path = out / JOURNAL / f"{name}.parquet"
    path.parent.mkdir(exist_ok=True)
    merged = staged.with_suffix(".merged")
    names = _SCHEMAS[name].names
    columns = ", ".join(f'"{column}"' for column in names)
    old = f"read_parquet({literal(path)})"
    earlier = f"UNION ALL BY NAME SELECT {columns}, arrival FROM {old}" if path.exists() else ""
    arrival = count(database, f"SELECT max(arrival) + 1 FROM {old}") if path.exists() else 0
    database.execute(
        f"COPY (SELECT {columns}, min(arrival) AS arrival "
        f"FROM (SELECT {columns}, {arrival} AS arrival FROM read_parquet({literal(staged)}) {earlier}) "
        f"GROUP BY {columns} ORDER BY arrival, {columns}) "
        f"TO {literal(merged)} (FORMAT parquet, COMPRESSION zstd)"
    )
    put(merged, path)
    return path


def settle_stays(
    database: duckdb.DuckDBPyConnection,
    events: Path | None,
    staging: Staging,
    out: Path,
    zone_of: ZoneOf,
) -> None:
    """Make the stays and leaves of every visit that this import touches anew; `touched` names these visits.

    A visit is touched by an event of its own and by a number that gave way: its own, or its person's.
    """
    renames = staging.close(RENAMES)
    if events is None and renames is None:
        return
    journal = out / JOURNAL / f"{EVENTS}.parquet"
    if events is not None:
        journal = add_to_journal(database, EVENTS, events, out)
    known = out / JOURNAL / f"{RENAMES}.parquet"
    if renames is not None:
        known = add_to_journal(database, RENAMES, renames, out)
    _make_present(database, known, renames)
    if not journal.exists():
        return
    nothing = f"(FROM read_parquet({literal(journal)}) LIMIT 0)"
    staged = nothing if events is None else f"read_parquet({literal(events)})"
    database.execute(_TOUCHED.format(staged=staged, journal=literal(journal)))
    note_made(database, "touched")
    _fold_visits(database, journal, staging, zone_of)


_TOUCHED = """
CREATE TABLE named AS
SELECT institution_id, visit_id FROM {staged}
UNION
SELECT e.institution_id, e.visit_id
FROM read_parquet({journal}) e SEMI JOIN changed c
  ON c.institution_id = e.institution_id
  AND c.number = if(c.of_what = 'person', e.person_id, e.visit_id);

CREATE TABLE touched AS
SELECT institution_id, visit_id FROM named
UNION
SELECT n.institution_id, coalesce(p.now, n.visit_id)
FROM named n LEFT JOIN present_visits p ON p.institution_id = n.institution_id AND p.before = n.visit_id
"""
"""A visit whose number gave way, and the visit that it is now: the stay of the one is that of the other."""


def _make_present(database: duckdb.DuckDBPyConnection, known: Path, staged: Path | None) -> None:
    """Make `present_visits` and `present_persons`: each former number with the one that holds now.

    `changed` has the numbers whose way to the present one is new.
    """
    database.execute("CREATE TABLE changed (of_what VARCHAR, institution_id VARCHAR, number VARCHAR)")
    for of, name in (("visit", "present_visits"), ("person", "present_persons")):
        database.execute(f"CREATE TABLE {name} (institution_id VARCHAR, before VARCHAR, now VARCHAR)")
        pairs, new = dict(_pairs(database, known, of)), dict(_pairs(database, staged, of))
        ways = {number: way_of(pairs, number) for number in pairs}
        found = [(*number, way[-1][1]) for number, way in ways.items()]
        if found:
            database.executemany(f"INSERT INTO {name} VALUES (?, ?, ?)", found)
        changed = {*new, *new.values(), *(number for number, way in ways.items() if new.keys() & {*way})}
        if changed:
            told = [(of, *number) for number in sorted(changed)]
            database.executemany("INSERT INTO changed VALUES (?, ?, ?)", told)


def _pairs(database: duckdb.DuckDBPyConnection, path: Path | None, of: str) -> Iterator[tuple[Key, Key]]:
    """Yield the former and the later number of each rename, in the order in which they were told."""
    if path is None or not path.exists():
        return
    names = _rows(database, f'SELECT * FROM read_parquet({literal(path)}) ORDER BY "at", file, line')
    for row in names:
        if row["of"] == of:
            yield (row["institution_id"], row["before"]), (row["institution_id"], row["now"])


def way_of(pairs: Mapping[Key, Key], number: Key) -> Sequence[Key]:
    """Return the numbers from one to that which holds now; of one that leads back to itself, it alone."""
    way = [number]
    while way[-1] in pairs:
        following = pairs[way[-1]]
        if following in way:
            return [number]
        way.append(following)
    return way


def _fold_visits(
    database: duckdb.DuckDBPyConnection, journal: Path, staging: Staging, zone_of: ZoneOf
) -> None:
    """Replay the visits of `touched`, under the numbers that their visits and persons have now."""
    rows = _rows(
        database,
        f"""
        FROM (
            SELECT e.* REPLACE (
                coalesce(v.now, e.visit_id) AS visit_id, coalesce(p.now, e.person_id) AS person_id
            )
            FROM read_parquet({literal(journal)}) e
            LEFT JOIN present_visits v ON v.institution_id = e.institution_id AND v.before = e.visit_id
            LEFT JOIN present_persons p ON p.institution_id = e.institution_id AND p.before = e.person_id
        )
        SEMI JOIN touched USING (institution_id, visit_id)
        ORDER BY institution_id, visit_id, arrival, file, line
        """,
    )
    for ids, visit in groupby(map(_event, rows), key=lambda event: (event.institution_id, event.visit_id)):
        events = list(visit)
        folded = fold(events)
        known = {"institution_id": ids[0], "visit_id": ids[1], "person_id": events[-1].person_id}
        for draft in folded.drafts:
            staging.take(finish(draft, zone_of))
        for remark in folded.remarks:
            if remark.problem.reason.is_warning:
                staging.remark(remark.table, remark.place, remark.problem)
            else:
                staging.refuse(refused(changed(remark, known={**known, **remark.known}), zone_of))


def _rows(database: duckdb.DuckDBPyConnection, query: str) -> Iterator[dict[str, Any]]:
    for batch in database.sql(query).to_arrow_reader(_ROWS):
        yield from batch.to_pylist()


def _event(row: dict[str, Any]) -> StayEvent:
    values: dict[str, Any] = {
        name: value.astimezone(UTC) if isinstance(value, datetime) else value for name, value in row.items()
    }
    del values["arrival"]
    place = RowPlace(values.pop("file"), values.pop("line"))
    kind = StayEventKind(values.pop("kind"))
    return StayEvent(place=place, kind=kind, **values)
