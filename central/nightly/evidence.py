"""The evidence of a line or finding, read from the tables that its run read: frozen with the verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

from renzheng.central.audit.request import parquet_of
from renzheng.central.audit.sources import quoted
from renzheng.central.nightly import run_tables
from renzheng.central.nightly.line_case import LineCase, read_case
from renzheng.central.store.times import day_bounds_us, from_us
from renzheng.contracts.tables import HAEMODIALYSIS_CLASSES, SERVICE_KINDS

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
        days: of a bed line, each day's own verdict.
        names: of the institutions, by id.
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
    days: Sequence[Row] = ()
    names: Mapping[str, str] = field(default_factory=dict)


def read_line(folder: Path, institution_id: str, line_id: str, zone: ZoneInfo) -> LineEvidence | None:
    """Read what a run knew of a line; None when its tables are gone or the line is not in them.

    Args:
        folder: the run's folder, with its `tables` and its `result`.
        institution_id: whose line it is.
        line_id: the line's id there.
        zone: the institution's time zone.
    """
    tables = folder / "tables"
    if not tables.is_dir():
        return None
    with run_tables.opened(tables) as database:
        lines = "SELECT * FROM claim_lines WHERE institution_id = ? AND line_id = ?"
        found = _rows(database, lines, [institution_id, line_id])
        if not found:
            return None
        days = _day_verdicts(database, folder / "result" / "day_verdicts.parquet", found[0])
        day = found[0]["service_time"].astimezone(zone).date()
        around = _around(database, found[0], day, zone)
        return replace(around, days=days, names=names_of_institutions(database, _places(around)))


def _places(found: LineEvidence) -> Sequence[str]:
    rows = (found.line, *found.attendance, *found.machine_sessions, *found.spot_checks, *found.leaves)
    return sorted({row["institution_id"] for row in (*rows, *found.stays)})


def names_of_institutions(database: duckdb.DuckDBPyConnection, places: Sequence[str]) -> dict[str, str]:
    """Return the names of institutions by id; one without a name is left out."""
    sql = "SELECT institution_id, name FROM institutions WHERE institution_id IN ?"
    found = run_tables.rows(database, sql, list(places))
    return {row["institution_id"]: row["name"] for row in found if row["name"]}


def _day_verdicts(database: duckdb.DuckDBPyConnection, path: Path, line: Row) -> Sequence[Row]:
    if not path.exists():
        return ()
    made = quoted(parquet_of(path))
    chosen = f"SELECT * FROM read_parquet('{made}') WHERE institution_id = ? AND line_id = ? ORDER BY day"  # noqa: S608 - our own path
    return _rows(database, chosen, [line["institution_id"], line["line_id"]])


def names_of(database: duckdb.DuckDBPyConnection, person_id: str) -> list[str]:
    """Return every number that the person has had, as the aliases tell."""
    pairs = database.execute("SELECT person_id, alias_of FROM person_aliases").fetchall()
    names = {person_id}
    while more := {one for pair in pairs if names & set(pair) for one in pair} - names:
        names |= more
    return sorted(names)


def _around(database: duckdb.DuckDBPyConnection, line: Row, day: date, zone: ZoneInfo) -> LineEvidence:
    start, end = (from_us(one) for one in day_bounds_us(day, day, zone))
    wide = timedelta(days=1)
    person, institution = names_of(database, line["person_id"]), line["institution_id"]
    item_class = _item_class(database, line["item_code"])
    own = item_class if item_class in SERVICE_KINDS else "dialysis"
    purpose = "inpatient" if item_class == "bed_day" else own
    near = [person, start - wide, end + wide]
    attendance = _rows(
        database,
        "SELECT * FROM attendance WHERE person_id IN ? "
        "AND occurred_at BETWEEN ? AND ? ORDER BY occurred_at, event_id",
        near,
    )
    machines = _rows(
        database,
        "SELECT * FROM machine_sessions WHERE person_id IN ? AND ended_at >= ? "
        "AND started_at <= ? ORDER BY started_at, machine_id",
        near,
    )
    coverage = _rows(
        database,
        "SELECT * FROM coverage WHERE institution_id = ? AND purpose = ? AND to_at > ? "
        "AND from_at < ? ORDER BY device_id, from_at",
        [institution, purpose, start, end],
    )
    checks = _rows(
        database,
        "SELECT * FROM spot_checks WHERE person_id IN ? AND drawn_at BETWEEN ? AND ? ORDER BY drawn_at",
        [person, start, end],
    )
    leaves = _rows(
        database,
        "SELECT * FROM leaves WHERE person_id IN ? AND left_at < ? "
        "AND coalesce(returned_at, due_back_at, left_at) >= ? ORDER BY left_at",
        [person, end, start],
    )
    stays = _rows(
        database,
        "SELECT * FROM stays WHERE institution_id = ? AND (visit_id = ? OR person_id IN ? "
        "AND admitted_at < ? AND coalesce(discharged_at, admitted_at) >= ?) "
        "ORDER BY admitted_at",
        [institution, line["visit_id"], person, end, start],
    )
    prescriptions = _rows(
        database,
        "SELECT * FROM prescriptions WHERE person_id IN ? AND institution_id = ? "
        "AND valid_from <= ? AND coalesce(valid_to, DATE '9999-12-31') >= ? ORDER BY valid_from DESC",
        [person, institution, day, day],
    )
    return LineEvidence(
        line,
        item_class,
        start,
        end,
        attendance,
        machines,
        coverage,
        checks,
        leaves,
        stays,
        prescriptions[0] if prescriptions else None,
    )


def _item_class(database: duckdb.DuckDBPyConnection, item_code: str) -> str:
    found = _rows(
        database, "SELECT item_class FROM item_catalogue WHERE item_code = ? ORDER BY ALL", [item_code]
    )
    return str(found[0]["item_class"]) if found else "other"


def read_case_of(folder: Path, institution_id: str, line_id: str, zone: ZoneInfo) -> LineCase | None:
    """Read what the verdict of a line rests on; None when its tables are gone or the line is not in them.

    None also for a line of a service point: what a whole room saw is not copied for one line.
    """
    tables = folder / "tables"
    if not tables.is_dir():
        return None
    with run_tables.opened(tables) as database:
        lines = "SELECT * FROM claim_lines WHERE institution_id = ? AND line_id = ?"
        found = _rows(database, lines, [institution_id, line_id])
        if not found:
            return None
        line = found[0]
        item_class, names = _item_class(database, line["item_code"]), names_of(database, line["person_id"])
        if item_class not in {*HAEMODIALYSIS_CLASSES, "bed_day"}:
            return None
        return read_case(database, tables, line, item_class=item_class, names=names, zone=zone)


def witnesses_of(found: LineEvidence) -> Sequence[str]:
    """Name the kinds of records that bear the person's name at the line's institution on its day.

    They are what a reason such as "no evidence of attendance" must not pass over: a witness, a machine, an
    attempt or a check, whether or not it could be verified.
    """
    here = found.line["institution_id"]
    kinds = [
        f"{event['event_type']}_{event['outcome']}"
        for event in found.attendance
        if event["institution_id"] == here
        and found.start <= event["occurred_at"] < found.end
        and event["outcome"] in {"match", "manual", "declined"}
    ]
    kinds += [
        "machine_session"
        for run in found.machine_sessions
        if run["institution_id"] == here and run["started_at"] < found.end and run["ended_at"] > found.start
    ]
    kinds += ["spot_check_present" for check in found.spot_checks if check["result"] == "present"]
    return sorted(set(kinds))


def _rows(database: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[Any]) -> list[Row]:
    return [*run_tables.rows(database, f"{sql} LIMIT {MOST_ROWS}", *parameters)]
