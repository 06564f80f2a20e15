"""The tables as the oracle reads them: one spelling for one id, one number a person, broken rows apart."""

import datetime as dt
import zoneinfo
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

from renzheng.central.audit.oracle.values import Row, Tables
from renzheng.contracts.ids import normalised_id, tidy_id
from renzheng.contracts.tables import INPUT_TABLES, Column, ColumnType, Table

NEVER = dt.datetime.min.replace(tzinfo=dt.UTC)
DEFAULT_ZONE = zoneinfo.ZoneInfo("Asia/Shanghai")
CAPITALS = frozenset(
    {
        "person_id",
        "alias_of",
        "institution_id",
        "visit_id",
        "doctor_id",
        "staff_id",
        "witness_id",
        "inspector_id",
        "item_code",
    }
)
"""Ids whose case tells nothing; of every other id it may."""
MOMENTS = {
    "attendance": "occurred_at",
    "counter_identifications": "occurred_at",
    "machine_sessions": "started_at",
    "leaves": "left_at",
    "stays": "admitted_at",
    "spot_checks": "drawn_at",
}
"""By which column a row belongs to a day."""
ENDS = ("returned_at", "due_back_at", "discharged_at")
"""Up to when a leave or a stay lasts."""


@dataclass(frozen=True)
class Broken:
    """A row that could not be read, as far as it could be."""

    table: str
    institution_id: str | None
    person_id: str | None
    visit_id: str | None
    day: dt.date | None
    amount: Decimal | None
    fund_amount: Decimal | None
    by: str
    """`import` or `audit`."""
    until: dt.date | None = None


class Shared:
    """What several cases of one institution have in common: looked up once, by the first that asks.

    Args:
        arrivals: the local times of verified dialysis sign-ins by institution; None takes them from the
            tables.
    """

    def __init__(self, arrivals: Mapping[str, list[dt.datetime]] | None = None) -> None:
        self.arrivals = arrivals
        self.arrival_hours: dict[tuple[str, dt.date], tuple[int, int]] = {}
        self.covered: dict[tuple[str, str, dt.date, tuple[int, int]], dt.timedelta] = {}

    def without_coverage(self) -> "Shared":
        """Return the same for cases whose devices were up at other times."""
        other = Shared(self.arrivals)
        other.arrival_hours = self.arrival_hours
        return other


class Case:
    """The tables of one audit.

    Args:
        tables: rows by table, typed; a table left out is empty.
        shared: what it has in common with others; None for nothing.
    """

    def __init__(self, tables: Tables, shared: Shared | None = None) -> None:
        self.shared = shared or Shared()
        spelled = {name: [_spelled(name, row) for row in rows] for name, rows in tables.items()}
        self._person_of = _one_number(spelled.get("person_aliases", ()))
        self._kept: dict[str, list[Row]] = {}
        bad: dict[str, list[Row]] = {}
        for name, table in INPUT_TABLES.items():
            self._kept[name], bad[name] = _sorted_out(table, spelled.get(name, ()))
        self._zones = {
            row["institution_id"]: zoneinfo.ZoneInfo(row["timezone"] or "Asia/Shanghai")
            for row in self._kept["institutions"]
        }
        self.broken = [*self._told(spelled.get("rejects", ())), *self._found(bad)]
        for rows in self._kept.values():
            for row in rows:
                self._rename(row)

    def rows(self, table: str) -> Sequence[Row]:
        """Return the whole rows of a table."""
        return self._kept[table]

    def person(self, number: str | None) -> str | None:
        """Return the one number of a person."""
        return None if number is None else self._person_of.get(number, number)

    def local(self, institution: str, at: dt.datetime) -> dt.datetime:
        """Return a moment by the institution's own clock, without a zone."""
        return at.astimezone(self._zones.get(institution, DEFAULT_ZONE)).replace(tzinfo=None)

    def day(self, institution: str, at: dt.datetime) -> dt.date:
        """Return the local day of a moment."""
        return self.local(institution, at).date()

    def instant(self, institution: str, local: dt.datetime) -> dt.datetime:
        """Return the moment at which the institution's clock shows this time."""
        return local.replace(tzinfo=self._zones.get(institution, DEFAULT_ZONE)).astimezone(dt.UTC)

    @cached_property
    def deaths(self) -> dict[str, dt.date]:
        """The day of death by person, the latest known one where several numbers are one person."""
        found: dict[str, dt.date] = {}
        for row in self.rows("persons"):
            if row["death_date"] is not None:
                found[row["person_id"]] = max(row["death_date"], found.get(row["person_id"], dt.date.min))
        return found

    @cached_property
    def regions(self) -> dict[str, str]:
        """The region of each institution."""
        return {row["institution_id"]: row["region_code"] for row in self.rows("institutions")}

    @cached_property
    def visits(self) -> dict[tuple[str, str], list[Row]]:
        """The stays by institution and visit."""
        found: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for row in self.rows("stays"):
            found[row["institution_id"], row["visit_id"]].append(row)
        return found

    @cached_property
    def items(self) -> dict[str, list[Row]]:
        """The rows of the catalogue by item code."""
        found: dict[str, list[Row]] = defaultdict(list)
        for row in self.rows("item_catalogue"):
            found[row["item_code"]].append(row)
        return found

    @cached_property
    def coverage(self) -> dict[tuple[str, str], list[Row]]:
        """The stretches of coverage by institution and purpose."""
        found: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for row in self.rows("coverage"):
            found[row["institution_id"], row["purpose"]].append(row)
        return found

    @cached_property
    def dialysis_arrivals(self) -> dict[str, list[dt.datetime]]:
        """The local times of verified dialysis sign-ins by institution."""
        if self.shared.arrivals is not None:
            return dict(self.shared.arrivals)
        found: dict[str, list[dt.datetime]] = defaultdict(list)
        for event in self.rows("attendance"):
            here = event["institution_id"]
            if event["purpose"] == "dialysis" and event["event_type"] == "sign_in" and verified(event):
                found[here].append(self.local(here, event["occurred_at"]))
        return found

    def of(self, table: str, institution: str, person: str) -> list[Row]:
        """Return a table's rows about one person at one institution."""
        return self._by_place[table].get((institution, person), [])

    def about(self, table: str, person: str) -> list[Row]:
        """Return a table's rows about one person, wherever."""
        return self._by_person[table].get(person, [])

    @cached_property
    def _by_place(self) -> dict[str, dict[tuple[str, str], list[Row]]]:
        found: dict[str, dict[tuple[str, str], list[Row]]] = {}
        for name in (*MOMENTS, "prescriptions"):
            groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
            for row in self.rows(name):
                groups[row["institution_id"], row["person_id"]].append(row)
            found[name] = groups
        return found

    @cached_property
    def _by_person(self) -> dict[str, dict[str, list[Row]]]:
        found: dict[str, dict[str, list[Row]]] = {}
        for name in MOMENTS:
            groups: dict[str, list[Row]] = defaultdict(list)
            for row in self.rows(name):
                groups[row["person_id"]].append(row)
            found[name] = groups
        return found

    def _rename(self, row: Row) -> None:
        if "person_id" in row and isinstance(row, dict):
            row["person_id"] = self.person(row["person_id"])

    def _told(self, rejects: Sequence[Row]) -> Iterator[Broken]:
        """Return the rows that an importer did not take."""
        for row in rejects:
            yield Broken(
                table=row["table"],
                institution_id=row.get("institution_id") or None,
                person_id=self.person(row.get("person_id") or None),
                visit_id=row.get("visit_id") or None,
                day=row.get("day"),
                amount=row.get("amount"),
                fund_amount=None,
                by="import",
            )

    def _found(self, bad: dict[str, list[Row]]) -> Iterator[Broken]:
        """Return the rows of the tables themselves that break a constraint."""
        for table, rows in bad.items():
            for row in rows:
                yield Broken(
                    table=table,
                    institution_id=row.get("institution_id"),
                    person_id=self.person(row.get("person_id")),
                    visit_id=row.get("visit_id"),
                    day=self._moment(row, MOMENTS.get(table)),
                    amount=row.get("amount"),
                    fund_amount=row.get("fund_amount"),
                    by="audit",
                    until=next(filter(None, (self._moment(row, name) for name in ENDS)), None),
                )

    def _moment(self, row: Row, column: str | None) -> dt.date | None:
        at = row.get(column) if column else None
        return None if at is None else self.day(row.get("institution_id") or "", at)


def verified(event: Row) -> bool:
    """Return whether outcome is match, presentation attack detection bona fide, and the clock trusted."""
    return bool(event["outcome"] == "match" and event["pad"] == "bona_fide" and event["clock_trusted"])


def _spelled(table: str, row: Row) -> dict[str, Any]:
    """Return the row with one spelling for every id; a blank id is none."""
    known = INPUT_TABLES[table].by_name if table in INPUT_TABLES else {}
    texts = {name for name, column in known.items() if column.type is ColumnType.TEXT}
    spelled = {name: row.get(name) for name in (*known, *row)}
    for name, value in spelled.items():
        if not isinstance(value, str) or (known and name not in texts):
            continue
        if name in CAPITALS:
            spelled[name] = normalised_id(value) or None
        elif name.endswith("_id"):
            spelled[name] = tidy_id(value) or None
    return spelled


def _one_number(aliases: Sequence[Row]) -> dict[str, str]:
    """Return for each number that has an alias the one it leads to; in a circle that is the smallest."""
    rows = [row for row in aliases if row["person_id"] and row["alias_of"]]
    rows.sort(key=lambda row: row["alias_of"], reverse=True)
    rows.sort(key=lambda row: row["since"] or NEVER)
    step = {row["person_id"]: row["alias_of"] for row in rows}
    return {number: _end(number, step) for number in step}


def _end(number: str, step: Mapping[str, str]) -> str:
    way = [number]
    while way[-1] in step and step[way[-1]] not in way:
        way.append(step[way[-1]])
    circle = way[way.index(step[way[-1]]) :] if way[-1] in step else way[-1:]
    return min(circle)


def _sorted_out(table: Table, rows: Sequence[dict[str, Any]]) -> tuple[list[Row], list[Row]]:
    """Part the rows that hold what the table's definition promises from those that break it."""
    whole = [row for row in rows if _is_whole(table, row)]
    broken: list[Row] = [row for row in rows if not _is_whole(table, row)]
    if not table.key:
        return list(whole), broken
    first: dict[tuple[Any, ...], Row] = {}
    for row in sorted(whole, key=lambda one: [_order(one[column.name]) for column in table.columns]):
        key = tuple(row[name] for name in table.key)
        if key in first:
            broken.append(row)
        else:
            first[key] = row
    return list(first.values()), broken


def _order(value: Any) -> tuple[bool, Any]:
    return value is None, "" if value is None else value


def _is_whole(table: Table, row: Row) -> bool:
    backwards = any(
        row[pair.start] is not None and row[pair.end] is not None and row[pair.end] < row[pair.start]
        for pair in table.intervals
    )
    if row.get("unreadable_") is not None:
        return False
    if backwards or not all(_holds(column, row[column.name]) for column in table.columns):
        return False
    if table.name == "claim_lines" and row["quantity"] < 0:
        return row["reverses_line_id"] is not None
    if table.name == "prescriptions":
        return bool(row["session_minutes"] > 0 and row["sessions_per_week"] > 0)
    return True


def _holds(column: Column, value: Any) -> bool:
    if value is None:
        return column.nullable
    return not column.choices or value in column.choices
