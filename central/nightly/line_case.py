"""The tables around one line: all that its verdict rests on, small enough to judge it again at once."""

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

from renzheng.central.audit.oracle import Shared
from renzheng.central.audit.sources import read_rejects
from renzheng.central.nightly import run_tables
from renzheng.contracts.tables import HAEMODIALYSIS_CLASSES

Row = dict[str, Any]
DAYS_BEFORE, DAYS_AFTER = 40, 5
"""Days around a line's own on which records can bear on it: late billing reaches 31 days back."""
DAYS_BEFORE_A_BED = 10
"""The same for a bed line, at least; a line of many days reaches further back."""
MOST_ROWS = 250
"""Rows of lines or events beyond which a line is not judged again for a page."""
HISTORY_DAYS = 28
"""Days of sign-ins from which an institution's hours of arrival are taken."""


@dataclass(frozen=True, slots=True)
class LineCase:
    """What the verdict of one line rests on.

    Args:
        line: the line as billed.
        item_class: its class.
        day: its local service day.
        zone: the institution's time zone.
        tables: rows by table: the person's own, the institution's coverage, and what names them.
        shared: the institution's arrivals.
    """

    line: Row
    item_class: str
    day: dt.date
    zone: ZoneInfo
    tables: Mapping[str, Sequence[Row]]
    shared: Shared

    @property
    def too_large(self) -> bool:
        """Return whether judging it again and again would take too long for a page."""
        return any(len(self.tables[name]) > MOST_ROWS for name in ("claim_lines", "attendance"))


def read_case(
    database: duckdb.DuckDBPyConnection,
    folder: Path,
    line: Mapping[str, Any],
    *,
    item_class: str,
    names: Sequence[str],
    zone: ZoneInfo,
) -> LineCase:
    """Read what bears on a line.

    Args:
        database: holds the run's tables.
        folder: where they lie.
        line: the line.
        item_class: its class.
        names: every number of its person.
        zone: the institution's time zone.
    """
    day = line["service_time"].astimezone(zone).date()
    midnight = dt.datetime.combine(day, dt.time(), zone)
    is_bed = item_class == "bed_day"
    before = max(DAYS_BEFORE_A_BED, 2 * math.ceil(line["quantity"])) if is_bed else DAYS_BEFORE
    first, last = midnight - dt.timedelta(days=before), midnight + dt.timedelta(days=DAYS_AFTER)
    here, own = line["institution_id"], list(names)

    def rows(sql: str, *values: Any) -> list[Row]:
        return run_tables.rows(database, sql, *values)

    near = (own, first, last)
    tables = {
        "claim_lines": _lines(rows, own, first, last, ("bed_day",) if is_bed else HAEMODIALYSIS_CLASSES),
        "persons": rows("SELECT * FROM persons WHERE person_id IN ?", own),
        "person_aliases": rows("SELECT * FROM person_aliases WHERE person_id IN ?", own),
        "stays": rows(
            "SELECT * FROM stays WHERE person_id IN ? "
            "AND coalesce(discharged_at, ?) >= ? AND admitted_at <= ?",
            own, last, first, last,
        ),
        "leaves": rows(
            "SELECT * FROM leaves WHERE person_id IN ? "
            "AND coalesce(returned_at, due_back_at, ?) >= ? AND left_at <= ?",
            own, last, first, last,
        ),
        "prescriptions": rows("SELECT * FROM prescriptions WHERE person_id IN ?", own),
        "attendance": rows(
            "SELECT * FROM attendance WHERE person_id IN ? AND occurred_at BETWEEN ? AND ?",
            *near,
        ),
        "machine_sessions": [] if is_bed else rows(
            "SELECT * FROM machine_sessions WHERE person_id IN ? AND started_at BETWEEN ? AND ?",
            *near,
        ),
        "spot_checks": rows(
            "SELECT * FROM spot_checks WHERE person_id IN ? AND drawn_at BETWEEN ? AND ?", *near
        ),
        "coverage": [] if is_bed else rows(
            "SELECT * FROM coverage WHERE institution_id = ? AND purpose = 'dialysis' AND state = 'up' "
            "AND to_at > ? AND from_at < ?",
            here, first, last,
        ),
        "rejects": [
            row
            for row in read_rejects(folder)
            if row.get("institution_id") == here and row.get("person_id") in own
        ],
    }  # fmt: skip
    tables["stays"] += _told(rows, here, own, day)
    codes = sorted({row["item_code"] for row in tables["claim_lines"] if row["item_code"]})
    places = sorted(
        {row["institution_id"] for name in tables for row in tables[name] if row.get("institution_id")}
    )
    tables["item_catalogue"] = rows("SELECT * FROM item_catalogue WHERE item_code IN ?", codes)
    tables["institutions"] = rows("SELECT * FROM institutions WHERE institution_id IN ?", places)
    arrivals = {} if is_bed else {here: _arrivals(rows, here, first, midnight, zone)}
    return LineCase(dict(line), item_class, day, zone, tables, Shared(arrivals))


def _lines(
    rows: Any, own: Sequence[str], first: dt.datetime, last: dt.datetime, classes: Sequence[str]
) -> list[Row]:
    """Return the person's lines of some classes about a day, with what takes them back."""
    found: list[Row] = rows(
        "WITH of_classes AS "
        "(SELECT DISTINCT item_code FROM item_catalogue WHERE item_class IN ?) "
        "SELECT c.* FROM claim_lines c SEMI JOIN of_classes USING (item_code) "
        "WHERE c.person_id IN ? "
        "AND (c.service_time BETWEEN ? AND ? OR c.reverses_line_id IS NOT NULL)",
        list(classes), list(own), first, last,
    )  # fmt: skip
    return found


def _told(rows: Any, here: str, own: Sequence[str], day: dt.date) -> list[Row]:
    """Return one stay of somebody else that shows that the institution has told its stays of the month."""
    month = day.replace(day=1)
    following = (month + dt.timedelta(days=32)).replace(day=1)
    found: list[Row] = rows(
        "SELECT * FROM stays WHERE institution_id = ? AND person_id NOT IN ? "
        "AND admitted_at < ? AND coalesce(discharged_at, admitted_at) >= ? "
        "ORDER BY admitted_at, visit_id LIMIT 1",
        here, list(own), following, month,
    )  # fmt: skip
    return found


def _arrivals(
    rows: Any, here: str, first: dt.datetime, last: dt.datetime, zone: ZoneInfo
) -> list[dt.datetime]:
    found = rows(
        "SELECT occurred_at FROM attendance WHERE institution_id = ? AND purpose = 'dialysis' "
        "AND event_type = 'sign_in' AND outcome = 'match' AND pad = 'bona_fide' AND clock_trusted "
        "AND occurred_at BETWEEN ? AND ?",
        here, first - dt.timedelta(days=HISTORY_DAYS), last,
    )  # fmt: skip
    return [row["occurred_at"].astimezone(zone).replace(tzinfo=None) for row in found]
