"""Stay events and visit facts at rest: staged, kept in a journal, and folded visit by visit.

A stay's messages may come over weeks, in several imports and out of order. So the events themselves are kept
(``journal/stay_events.parquet``), and the stays and leaves of every visit that an import touches are made
anew from all of its events. Facts about visits (``journal/visit_facts.parquet``) wait there for lines to
come.
"""

# ruff: noqa: S608 - the names are our own, the paths are quoted; COPY takes no parameters

from collections.abc import Iterator
from dataclasses import asdict, fields
from dataclasses import replace as changed
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from renzheng.central.claims.files import count, literal, replace
from renzheng.central.claims.rejects import Place
from renzheng.central.claims.rows import ZoneOf, finish, refused
from renzheng.central.claims.settle import JOURNAL
from renzheng.central.claims.staging import Staging
from renzheng.central.claims.stay_events import StayEvent, StayEventKind, VisitFact, fold

EVENTS, FACTS = "stay_events", "visit_facts"
_ROWS = 5_000


def _schema(kind: type[StayEvent] | type[VisitFact]) -> pa.Schema:
    """Give the Arrow schema of a dataclass: its place as file and line, its times in UTC, all else text."""
    columns = [pa.field("file", pa.string()), pa.field("line", pa.int64())]
    for one in fields(kind):
        if one.name != "place":
            is_time = one.name == "at" or one.name.endswith("_at")
            columns.append(pa.field(one.name, pa.timestamp("us", tz="UTC") if is_time else pa.string()))
    return pa.schema(columns)


EVENT_SCHEMA, FACT_SCHEMA = _schema(StayEvent), _schema(VisitFact)


def stage(staging: Staging, item: StayEvent | VisitFact) -> None:
    """Stage one event or fact."""
    name, schema = (EVENTS, EVENT_SCHEMA) if isinstance(item, StayEvent) else (FACTS, FACT_SCHEMA)
    values = {**asdict(item), "file": item.place.file, "line": item.place.line}
    if isinstance(item, StayEvent):
        values["kind"] = item.kind.value
    staging.add(name, lambda: schema, tuple(values[field.name] for field in schema))


def add_to_journal(database: duckdb.DuckDBPyConnection, name: str, staged: Path, out: Path) -> Path:
    """Merge what was staged into the journal, each entry once, and return the journal's file.

    Its column `arrival` counts the imports: an entry keeps that of the first one that brought it.
    """
    path = out / JOURNAL / f"{name}.parquet"
    path.parent.mkdir(exist_ok=True)
    merged = staged.with_suffix(".merged")
    names = (EVENT_SCHEMA if name == EVENTS else FACT_SCHEMA).names
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
    replace(merged, path)
    return path


def fold_visits(
    database: duckdb.DuckDBPyConnection, staged: Path, journal: Path, staging: Staging, zone_of: ZoneOf
) -> None:
    """Make the stays and leaves of every visit with a staged event anew; `touched` names these visits."""
    database.execute(
        "CREATE TABLE touched AS SELECT DISTINCT institution_id, visit_id "
        f"FROM read_parquet({literal(staged)})"
    )
    rows = _rows(
        database,
        f"SELECT * FROM read_parquet({literal(journal)}) SEMI JOIN touched USING (institution_id, visit_id) "
        "ORDER BY institution_id, visit_id, arrival, file, line",
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
    place = Place(values.pop("file"), values.pop("line"))
    kind = StayEventKind(values.pop("kind"))
    return StayEvent(place=place, kind=kind, **values)
