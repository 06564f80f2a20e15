"""Why a billed line has no verdict: what the run that read it knew of its code, its reversals and its day."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import duckdb

from renzheng.central.nightly import run_tables
from renzheng.contracts.ids import normalised_id
from renzheng.contracts.tables import HAEMODIALYSIS_CLASSES

Row = Mapping[str, Any]
Why = Literal["reversal", "reversed", "unknown_code", "out_of_scope", "outside_period"]
IN_SCOPE = frozenset({*HAEMODIALYSIS_CLASSES, "bed_day"})


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A line without a verdict.

    Args:
        line: the line as billed.
        why: what kept it from getting one; `outside_period` when it should have one in another run.
        item_class: its class on its day; None when the code is in no catalogue.
        reversals: lines that take it back, or that it takes back.
        service_day: its local day.
    """

    line: Row
    why: Why
    item_class: str | None
    reversals: tuple[Row, ...]
    service_day: date


def find_unanswered(
    folders: Iterable[Path], line_id: str, institution_id: str, zone: ZoneInfo
) -> list[Unanswered]:
    """Look for a line in the tables that runs have read, newest run first; one answer an institution.

    Args:
        folders: folders of runs.
        line_id: the line's id.
        institution_id: whose; empty for any.
        zone: the time zone of institutions that name none.
    """
    found: dict[str, Unanswered] = {}
    for folder in folders:
        tables = folder / "tables"
        if not tables.is_dir():
            continue
        with run_tables.opened(tables) as database:
            for line in _lines(database, line_id, institution_id):
                found.setdefault(line["institution_id"], _explain(database, line, zone))
        if found:
            break
    return [found[key] for key in sorted(found)]


def _explain(database: duckdb.DuckDBPyConnection, line: Row, zone: ZoneInfo) -> Unanswered:
    day = line["service_time"].astimezone(_zone_of(database, line["institution_id"], zone)).date()
    item_class = _class_on(database, line["item_code"], day)
    related = _reversals(database, line)
    return Unanswered(line, _why(line, item_class, related), item_class, related, day)


def _why(line: Row, item_class: str | None, related: tuple[Row, ...]) -> Why:
    if line["reverses_line_id"]:
        return "reversal"
    if item_class is None:
        return "unknown_code"
    if item_class not in IN_SCOPE:
        return "out_of_scope"
    return "reversed" if related else "outside_period"


def _lines(database: duckdb.DuckDBPyConnection, line_id: str, institution_id: str) -> list[Row]:
    query = "SELECT * FROM claim_lines WHERE line_id = ? AND (? = '' OR institution_id = ?)"
    return _rows(database, query, [line_id, institution_id, institution_id])


def _reversals(database: duckdb.DuckDBPyConnection, line: Row) -> tuple[Row, ...]:
    query = (
        "SELECT * FROM claim_lines WHERE institution_id = ? AND (reverses_line_id = ? OR line_id = ?) "
        "ORDER BY service_time, line_id"
    )
    return tuple(_rows(database, query, [line["institution_id"], line["line_id"], line["reverses_line_id"]]))


def _class_on(database: duckdb.DuckDBPyConnection, item_code: str, day: date) -> str | None:
    """Return the class of a code on a day; None when no catalogue row holds then."""
    rows = _rows(
        database,
        "SELECT * FROM item_catalogue WHERE coalesce(valid_from, DATE '0001-01-01') <= ? "
        "AND coalesce(valid_to, DATE '9999-12-31') >= ? AND upper(item_code) = ? ORDER BY ALL",
        [day, day, normalised_id(item_code)],
    )
    return str(rows[0]["item_class"]) if rows else None


def _zone_of(database: duckdb.DuckDBPyConnection, institution_id: str, default: ZoneInfo) -> ZoneInfo:
    rows = _rows(database, "SELECT timezone FROM institutions WHERE institution_id = ?", [institution_id])
    try:
        return ZoneInfo(rows[0]["timezone"]) if rows and rows[0]["timezone"] else default
    except (KeyError, ValueError, OSError):
        return default


def _rows(database: duckdb.DuckDBPyConnection, query: str, parameters: list[Any]) -> list[Row]:
    rows: list[Row] = database.sql(f"{query} LIMIT 50", params=parameters).to_arrow_table().to_pylist()
    return rows
