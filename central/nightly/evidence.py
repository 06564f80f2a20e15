"""The evidence of a line or finding, read from the tables that its run read: frozen with the verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

from renzheng.central.nightly import run_tables
from renzheng.central.store.times import day_bounds_us, from_us

Row = Mapping[str, Any]
MOST_ROWS = 500


@dataclass(frozen=True, slots=True)
class LineEvidence:
    """What a run knew around one line; times are aware UTC.

    Args:
        line: the claim line as billed.
        item_class: its class, `other` when the catalogue has none.
        start: begin of the line's local service day.
        end: its end.
        attendance: the person's events at any institution, from a day before to a day after.
        machine_sessions: dialysis machines that name the person, in the same stretch.
        coverage: stretches of the institution's devices of the same purpose, on the service day.
        spot_checks: bedside checks of the person on that day.
        leaves: leaves of the person that touch that day.
        stays: stays of the line's visit.
        prescription: the one in force, if any.
    """

    line: Row
    item_class: str
    start: datetime
    end: datetime
    attendance: Sequence[Row]
    machine_sessions: Sequence[Row]
    coverage: Sequence[Row]
    spot_checks: Sequence[Row]
    leaves: Sequence[Row]
    stays: Sequence[Row]
    prescription: Row | None


def read_line(tables: Path, line_id: str, day: date, zone: ZoneInfo) -> LineEvidence | None:
    """Read what the run whose tables are given knew of a line; None when the tables are gone."""
    if not tables.is_dir():
        return None
    with run_tables.opened(tables) as database:
        found = _rows(database, "SELECT * FROM claim_lines WHERE line_id = ?", [line_id])
        return _around(database, found[0], day, zone) if found else None


def _around(database: duckdb.DuckDBPyConnection, line: Row, day: date, zone: ZoneInfo) -> LineEvidence:
    start_us, end_us = day_bounds_us(day, day, zone)
    wide = timedelta(days=1) // timedelta(microseconds=1)
    person, institution = line["person_id"], line["institution_id"]
    item_class = _item_class(database, line["item_code"])
    purpose = "inpatient" if item_class == "bed_day" else "dialysis"
    near = [person, start_us - wide, end_us + wide]
    attendance = _rows(
        database,
        "SELECT * FROM attendance WHERE person_id = ? AND epoch_us(occurred_at) BETWEEN ? AND ? "
        "ORDER BY occurred_at, event_id",
        near,
    )
    machines = _rows(
        database,
        "SELECT * FROM machine_sessions WHERE person_id = ? AND epoch_us(ended_at) >= ? "
        "AND epoch_us(started_at) <= ? ORDER BY started_at, machine_id",
        near,
    )
    coverage = _rows(
        database,
        "SELECT * FROM coverage WHERE institution_id = ? AND purpose = ? AND epoch_us(to_at) > ? "
        "AND epoch_us(from_at) < ? ORDER BY device_id, from_at",
        [institution, purpose, start_us, end_us],
    )
    checks = _rows(
        database,
        "SELECT * FROM spot_checks WHERE person_id = ? AND epoch_us(drawn_at) BETWEEN ? AND ? "
        "ORDER BY drawn_at",
        [person, start_us, end_us],
    )
    leaves = _rows(
        database,
        "SELECT * FROM leaves WHERE person_id = ? AND epoch_us(left_at) < ? "
        "AND epoch_us(coalesce(returned_at, due_back_at, left_at)) >= ? ORDER BY left_at",
        [person, end_us, start_us],
    )
    stays = _rows(database, "SELECT * FROM stays WHERE visit_id = ? ORDER BY admitted_at", [line["visit_id"]])
    prescriptions = _rows(
        database,
        "SELECT * FROM prescriptions WHERE person_id = ? AND institution_id = ? AND valid_from <= ? "
        "AND coalesce(valid_to, DATE '9999-12-31') >= ? ORDER BY valid_from DESC",
        [person, institution, day, day],
    )
    return LineEvidence(
        line,
        item_class,
        from_us(start_us),
        from_us(end_us),
        attendance,
        machines,
        coverage,
        checks,
        leaves,
        stays,
        prescriptions[0] if prescriptions else None,
    )


def _item_class(database: duckdb.DuckDBPyConnection, item_code: str) -> str:
    found = _rows(database, "SELECT item_class FROM item_catalogue WHERE item_code = ?", [item_code])
    return str(found[0]["item_class"]) if found else "other"


def read_events(tables: Path, ids: Sequence[str]) -> Sequence[Row]:
    """Read the attendance events of a finding's evidence, in order of time."""
    if not tables.is_dir() or not ids:
        return []
    with run_tables.opened(tables) as database:
        chosen = "SELECT * FROM attendance WHERE list_contains(?, event_id) ORDER BY occurred_at, event_id"
        return _rows(database, chosen, [list(ids)])


def _rows(database: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[Any]) -> list[Row]:
    table = database.sql(f"{sql} LIMIT {MOST_ROWS}", params=list(parameters)).to_arrow_table()
    rows: list[Row] = table.to_pylist()
    return rows
