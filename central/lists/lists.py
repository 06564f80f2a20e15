"""Reads a list: which rows, in which order, and what they add up to."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import sqlalchemy as sa

from renzheng.central.audit.sources import quoted
from renzheng.central.lists.asked import Asked, month_bounds
from renzheng.central.lists.months import (
    KEY_OF,
    SEVERITY_RANK,
    VERDICT_RANK,
    Kind,
    Month,
    Months,
    audited,
    read_keys,
)
from renzheng.central.store import schema, viewer

ROWS_A_PAGE = 50
ROWS_AT_ONCE = 2_000
KEYS_AT_ONCE = 200
"""Of one statement; the parameters of a SQLite's are limited."""
THREADS = 2
MEMORY = "1GB"
SUMS_KEPT = 512
"""Of lists, with the number of their rows that a sum may have to be kept."""
ROWS_KEPT = 2_000
NONE = "-"
"""As the value of a filter: rows of which this is not known."""
Row = Mapping[str, Any]

_SORTS: Mapping[Kind, Mapping[str, str]] = {
    "lines": {
        "": "rank",
        "verdict": VERDICT_RANK,
        "reason": "reason",
        "line": "line_id",
        "institution": "institution_id",
        "ward": "coalesce(ward, '')",
        "person": "person_id",
        "doctor": "coalesce(doctor_id, '')",
        "item": "item_name",
        "time": "service_at",
        "amount": "amount_fen",
        "coverage": "coalesce(coverage_ratio, -1)",
        "rule": "rule_id",
    },
    "findings": {
        "": "rank",
        "severity": SEVERITY_RANK,
        "verdict": VERDICT_RANK,
        "rule": "rule_id",
        "institution": "institution_id",
        "person": "coalesce(person_id, '')",
        "day": "service_day",
        "amount": "amount_fen",
    },
}
_COLUMNS = {
    "verdict": "verdict",
    "severity": "severity",
    "reason": "reason",
    "institution": "institution_id",
    "ward": "ward",
    "person": "person_id",
    "doctor": "doctor_id",
    "item": "item_code",
    "rule": "rule_id",
    "day": "service_day",
    "month": "substr(service_day, 1, 7)",
    "device": "device_id",
}
_OF_LINES = ("ward", "doctor", "device")
"""What a finding has by the lines that it names."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list.

    Args:
        rows: as the store has them (or the groups), in order.
        totals: of the whole list: lines and fen by verdict and reason (findings: by verdict).
        before: value and row number of the first row, when there is a page before.
        after: of the last row, when there is a page after.
    """

    rows: Sequence[Row]
    totals: Sequence[Row]
    before: tuple[Any, Any] | None
    after: tuple[Any, Any] | None

    @property
    def total(self) -> int:
        """How many rows the whole list has."""
        return sum(row["rows"] for row in self.totals)


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The rows before and after one in a list; None at its ends, and `place` when it is not in it."""

    before: Row | None
    after: Row | None


class Lists:
    """The lists of one store.

    Args:
        folder: where the month files lie.
    """

    def __init__(self, folder: Path) -> None:
        self.months = Months(folder)
        self._database: duckdb.DuckDBPyConnection | None = None
        self._opening = threading.Lock()
        self._sums = Sums()

    def page(self, connection: sa.Connection, asked: Asked, rows: int = ROWS_A_PAGE) -> Page:
        """Read one page, with the totals of the whole list; all of one moment of the store."""
        source = self._source(connection, asked)
        if source is None:
            return Page((), (), None, None)
        totals = source.totals()
        if asked.group:
            found = source.groups(asked.cursor, asked.backwards, rows + 1)
        else:
            found = source.keys(asked.cursor, asked.backwards, rows + 1)
        more, found = len(found) > rows, found[:rows]
        if asked.backwards:
            found = found[::-1]
        has_before = more if asked.backwards else asked.cursor is not None
        has_after = True if asked.backwards else more
        before = (found[0]["place"], found[0]["rid"]) if found and has_before else None
        after = (found[-1]["place"], found[-1]["rid"]) if found and has_after else None
        shown = found if asked.group else read_rows(connection, asked.kind, found)
        return Page(shown, totals, before, after)

    def neighbours(self, connection: sa.Connection, asked: Asked, institution: str, key: str) -> Neighbours:
        """Name the rows before and after one in a list: institution and id."""
        source = self._source(connection, replace(asked, group="", cursor=None))
        place = source.place(institution, key) if source else None
        if source is None or place is None:
            return Neighbours(None, None)
        before = source.keys(place, backwards=True, limit=1)
        after = source.keys(place, backwards=False, limit=1)
        return Neighbours(before[0] if before else None, after[0] if after else None)

    def stream(self, connection: sa.Connection, asked: Asked) -> Iterator[Sequence[Row]]:
        """Read the whole list in pieces, in its order; memory does not grow with it but for the keys."""
        source = self._source(connection, replace(asked, cursor=None))
        if source is None:
            return
        if asked.group:
            yield source.groups(None, backwards=False, limit=None)
            return
        for keys in source.all_keys():
            yield read_rows(connection, asked.kind, keys)

    def totals(self, connection: sa.Connection, asked: Asked) -> Sequence[Row]:
        """Add a list up by verdict and reason (findings: by verdict)."""
        source = self._source(connection, asked)
        return source.totals() if source else ()

    def sums(self, connection: sa.Connection, asked: Asked, *columns: str) -> list[Row]:
        """Add a list up by some of its columns: rows, fen, fen contradicted, mean coverage of each."""
        source = self._source(connection, asked)
        return source.sums(columns) if source else []

    def _source(self, connection: sa.Connection, asked: Asked) -> "_Source | None":
        if asked.first[:7] == asked.last[:7] != "":
            first, last = month_bounds(asked.first[:7])
        else:
            first = month_bounds(asked.first[:7])[0] if asked.first else ""
            last = month_bounds(asked.last[:7])[1] if asked.last else "9999-99-99"
        days = audited(connection, first, last)
        if not days:
            return None
        files = self.months.files(connection, asked.kind, days)
        lines: Sequence[Month] = ()
        if asked.kind == "findings" and any(name in asked.filters for name in _OF_LINES):
            lines = self.months.files(connection, "lines", audited(connection))
        return _Source(self._cursor(), asked, files, lines, self._sums)

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        with self._opening:
            if self._database is None:
                self._database = duckdb.connect()
                self._database.execute(f"SET threads = {THREADS}")
                self._database.execute(f"SET memory_limit = '{MEMORY}'")
                self._database.execute("SET parquet_metadata_cache = true")
            return self._database.cursor()


class Sums:
    """Keeps what lists came to: a month's file never changes, so neither does what its query answers."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], Sequence[Row]] = {}
        self._lock = threading.Lock()

    def get(self, query: str, values: Sequence[Any], read: Callable[[], list[Row]]) -> list[Row]:
        """Return what a query answers, read only when it is not kept.

        Args:
            query: SQL that names the files it reads, which are named after what they hold.
            values: of its parameters, with the institutions of the viewer among them.
            read: asks it.
        """
        key = (query, repr(values))
        with self._lock:
            found = self._kept.pop(key, None)
        if found is None:
            found = read()
        if len(found) <= ROWS_KEPT:
            with self._lock:
                self._kept[key] = found
                while len(self._kept) > SUMS_KEPT:
                    del self._kept[next(iter(self._kept))]
        return [dict(row) for row in found]


class _Source:
    """One list as SQL over the month files; every value goes in as a parameter."""

    def __init__(
        self,
        database: duckdb.DuckDBPyConnection,
        asked: Asked,
        months: Sequence[Month],
        lines: Sequence[Month],
        sums: Sums,
    ) -> None:
        self._sums = sums
        self._database = database
        self._asked = asked
        self._months = months
        self._lines = lines
        sort = asked.sort if not asked.group else ""
        self._sort = _SORTS[asked.kind].get(sort, "")
        if sort == "person":
            self._sort = viewer.ordering(self._sort)
        self._where, self._values = _conditions(asked, months, lines)

    def _from(self) -> str:
        asked = self._asked
        source = f"read_parquet({_list(self._months)})"
        if asked.group == "device":
            devices = "CASE WHEN device IS NOT NULL THEN [device] ELSE devices END"
            return f"(SELECT * EXCLUDE (device, devices), unnest({devices}) AS device_id FROM {source})"  # noqa: S608 - our own paths
        return source

    def keys(self, cursor: tuple[Any, Any] | None, backwards: bool, limit: int) -> list[Row]:
        """Read the keys of the rows beyond a place in the order, nearest first."""
        down = self._asked.descending != backwards
        where, values = self._where, list(self._values)
        if cursor is not None:
            beyond = "<" if down else ">"
            where += f" AND ({self._sort} {beyond} ? OR ({self._sort} = ? AND rid {beyond} ?))"
            values += [cursor[0], cursor[0], cursor[1]]
        way = "DESC" if down else "ASC"
        query = (
            f"SELECT rid, {self._sort} AS place FROM {self._from()} WHERE {where} "  # noqa: S608 - our own names
            f"ORDER BY place {way}, rid {way} LIMIT {limit}"
        )
        found = self._kept(query, values)
        keys = read_keys(self._months, [row["rid"] for row in found])
        return [{**row, **key} for row, key in zip(found, keys, strict=True)]

    def all_keys(self) -> Iterator[list[Row]]:
        way = "DESC" if self._asked.descending else "ASC"
        query = (
            f"SELECT run_id, institution_id, {KEY_OF[self._asked.kind]} AS key FROM {self._from()} "  # noqa: S608 - our own names
            f"WHERE {self._where} ORDER BY {self._sort} {way}, rid {way}"
        )
        found = self._database.execute(query, self._values)
        names = ("run_id", "institution_id", "key")
        while part := found.fetchmany(ROWS_AT_ONCE):
            yield [dict(zip(names, row, strict=True)) for row in part]

    def place(self, institution: str, key: str) -> tuple[Any, Any] | None:
        """Find where a row stands in the order; None when the list does not have it."""
        query = (
            f"SELECT {self._sort} AS place, rid FROM {self._from()} "  # noqa: S608 - our own names
            f"WHERE {KEY_OF[self._asked.kind]} = ? AND institution_id = ? AND {self._where} LIMIT 1"
        )
        found = self._database.execute(query, [key, institution, *self._values]).fetchone()
        return (found[0], found[1]) if found else None

    def totals(self) -> list[Row]:
        by = "verdict, reason" if self._asked.kind == "lines" else "verdict"
        reason = "reason" if self._asked.kind == "lines" else "NULL AS reason"
        source = f"read_parquet({_list(self._months)})" if self._asked.group == "device" else self._from()
        where, values = self._where, self._values
        if self._asked.group == "device":
            plain = replace(self._asked, group="")
            where, values = _conditions(plain, self._months, self._lines)
        query = (
            f"SELECT verdict, {reason}, count(*) AS rows, sum(amount_fen)::BIGINT AS amount_fen "  # noqa: S608 - our own names
            f"FROM {source} WHERE {where} GROUP BY {by} ORDER BY {VERDICT_RANK}, amount_fen DESC, {by}"
        )
        return self._kept(query, values)

    def groups(self, cursor: tuple[Any, Any] | None, backwards: bool, limit: int | None) -> list[Row]:
        """Add up each group, in the order asked for; a group's key stands as `rid` too."""
        asked = self._asked
        sort = {"": "amount_fen", "group": "grouped"}.get(asked.sort, asked.sort)
        sort = {"amount": "amount_fen"}.get(sort, sort)
        key = viewer.ordering("grouped") if asked.group == "person" else "grouped"
        sort = key if sort == "grouped" else sort
        down = (asked.descending or not asked.sort) != backwards
        way, beyond = ("DESC", "<") if down else ("ASC", ">")
        column = _COLUMNS[asked.group]
        having, values = "", list(self._values)
        if cursor is not None:
            having = f"WHERE ({sort}, {key}) {beyond} (?, ?)"
            values += [cursor[0], str(cursor[1])]
        query = (
            f"SELECT * , {sort} AS place, {key} AS rid FROM ("  # noqa: S608 - our own names
            f"SELECT coalesce({column}, '{NONE}') AS grouped, count(*) AS rows, "
            "sum(amount_fen)::BIGINT AS amount_fen, "
            "coalesce(sum(amount_fen) FILTER (verdict = 'contradicted'), 0)::BIGINT AS contradicted, "
            "coalesce(sum(amount_fen) FILTER (verdict IN ('insufficient', 'suspicious')), 0)::BIGINT "
            f"AS insufficient FROM {self._from()} WHERE {self._where} GROUP BY 1) {having} "
            f"ORDER BY {sort} {way}, {key} {way}" + (f" LIMIT {limit}" if limit else "")
        )
        rows = self._kept(query, values)
        return _of_persons(rows) if asked.group == "person" else rows

    def sums(self, columns: Sequence[str]) -> list[Row]:
        named = ", ".join(f"coalesce({_COLUMNS[name]}, '{NONE}') AS {name}_" for name in columns)
        places = ", ".join(str(number + 1) for number in range(len(columns)))
        mean = "avg(coverage_ratio)" if self._asked.kind == "lines" else "NULL"
        query = (
            f"SELECT {named}, count(*) AS rows, sum(amount_fen)::BIGINT AS amount_fen, "  # noqa: S608 - our own names
            "coalesce(sum(amount_fen) FILTER (verdict = 'contradicted'), 0)::BIGINT AS contradicted, "
            f"{mean} AS coverage FROM {self._from()} WHERE {self._where} GROUP BY {places} ORDER BY {places}"
        )
        found = self._kept(query, self._values)
        return [{name.removesuffix("_"): value for name, value in row.items()} for row in found]

    def _kept(self, query: str, values: Sequence[Any]) -> list[Row]:
        return self._sums.get(query, values, lambda: self._rows(query, values))

    def _rows(self, query: str, values: Sequence[Any]) -> list[Row]:
        found = self._database.execute(query, list(values))
        names = [column[0] for column in found.description or ()]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def _conditions(asked: Asked, months: Sequence[Month], lines: Sequence[Month]) -> tuple[str, list[Any]]:
    where: list[str] = ["true"]
    values: list[Any] = []
    seen = viewer.institutions()
    if seen is not None:
        where.append("list_contains(?, institution_id)")
        values.append(sorted(seen))
    if asked.first and asked.first != month_bounds(asked.first[:7])[0]:  # files are of whole months
        where.append("service_day >= ?")
        values.append(asked.first)
    if asked.last and asked.last != month_bounds(asked.last[:7])[1]:
        where.append("service_day <= ?")
        values.append(asked.last)
    key = KEY_OF[asked.kind]
    if asked.text:
        ids = f"{key} = ? OR person_id = ?"
        ids += " OR list_contains(line_ids, ?)" if asked.kind == "findings" else ""
        where.append(f"({ids})")
        values += [asked.text, viewer.meant(asked.text)] + [asked.text] * (asked.kind == "findings")
    of_lines = []
    for name, wanted in asked.filters.items():
        condition, own = _filter(name, wanted, listed=name == "device" and asked.group != "device")
        if asked.kind == "findings" and name in _OF_LINES:
            of_lines.append((condition, own))
        else:
            where.append(condition)
            values += own
    if of_lines:
        conditions = " AND ".join(condition for condition, _ in of_lines)
        where.append(
            "finding_id IN (SELECT n.finding_id FROM (SELECT finding_id, institution_id, "  # noqa: S608 - our own paths
            f"unnest(line_ids) AS line_id FROM read_parquet({_list(months)})) n "
            f"JOIN (SELECT institution_id, line_id FROM read_parquet({_list(lines)}) "
            f"WHERE {conditions}) l USING (institution_id, line_id))"
        )
        values += [value for _, own in of_lines for value in own]
    return " AND ".join(where), values


def _of_persons(rows: Sequence[Row]) -> list[Row]:
    """Keep of whom groups are, and write each person as the viewer may have it."""
    viewer.note_persons(row["grouped"] for row in rows if row["grouped"] != NONE)
    return [
        {**row, "grouped": row["grouped"] if row["grouped"] == NONE else viewer.shown(row["grouped"])}
        for row in rows
    ]


def _list(months: Sequence[Month]) -> str:
    return "[" + ", ".join(f"'{quoted(month.columns)}'" for month in months) + "]"


def _filter(name: str, wanted: Sequence[str], *, listed: bool) -> tuple[str, list[Any]]:
    """Write the condition that a column has one of some values."""
    known = [viewer.meant(value) if name == "person" else value for value in wanted if value != NONE]
    marks = ", ".join("?" * len(known))
    if listed:
        conditions = [f"device IN ({marks})", f"list_has_any(devices, [{marks}])"] if known else []
        conditions += ["(device IS NULL AND devices IS NULL)"] if NONE in wanted else []
        known *= 2
    else:
        column = _COLUMNS[name]
        conditions = [f"{column} IN ({marks})"] if known else []
        conditions += [f"{column} IS NULL"] if NONE in wanted else []
    return f"({' OR '.join(conditions)})", known


def read_rows(connection: sa.Connection, kind: Kind, keys: Sequence[Row]) -> list[Row]:
    """Read whole rows from the store by their keys, in the keys' order."""
    table = schema.verdicts if kind == "lines" else schema.findings
    key = table.c[KEY_OF[kind]]
    named = schema.institutions
    wanted = [(one["run_id"], one["institution_id"], one["key"]) for one in keys]
    found: dict[tuple[str, str, str], Row] = {}
    for begin in range(0, len(wanted), KEYS_AT_ONCE):
        query = (
            sa.select(table, named.c.name.label("institution_name"))
            .select_from(table.outerjoin(named, named.c.institution_id == table.c.institution_id))
            .where(
                sa.tuple_(table.c.run_id, table.c.institution_id, key).in_(
                    wanted[begin : begin + KEYS_AT_ONCE]
                )
            )
        )
        for row in connection.execute(query).mappings():
            found[row["run_id"], row["institution_id"], row[KEY_OF[kind]]] = dict(row)
    viewer.note(found.values())
    if kind == "findings":
        names = viewer.names_elsewhere(connection)
        found = {place: viewer.covered(row, names) for place, row in found.items()}
    return [
        found[place] for one in keys if (place := (one["run_id"], one["institution_id"], one["key"])) in found
    ]
