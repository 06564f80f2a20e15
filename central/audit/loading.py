"""Bring the input tables before the steps: constraints checked, rejects kept apart, times as integers.

After loading, every canonical table is a view of the same name in which

- a timestamp `x` is a BIGINT of microseconds since 1970 in UTC, `x_local` the same on the institution's own
  clock, and `x_day` the local day as a number of days since 1970-01-01;
- a date is such a number of days;
- `claim_lines` has `line`, a number that only this line has: (institution_id, line_id) in one word;
- `attendance` has `verified`: outcome match, presentation attack detection bona fide, clock trusted.
"""

# ruff: noqa: S608 - SQL is put together from the names in contracts.tables, paths are quoted

import datetime as dt
import zoneinfo
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from renzheng.central.audit.engine import Engine
from renzheng.central.audit.request import DAY_US, EPOCH
from renzheng.central.audit.sources import UNREADABLE, Source
from renzheng.contracts.tables import INPUT_TABLES, Column, ColumnType, Table

DEFAULT_TIMEZONE = "Asia/Shanghai"
VERIFIED = "outcome = 'match' AND pad = 'bona_fide' AND clock_trusted"
WITNESSES = ("attendance", "machine_sessions", "stays", "leaves", "spot_checks")
"""Tables whose broken rows may hide what would have cleared someone."""


@dataclass(frozen=True)
class Loaded:
    """What was read of one table: rows in the file, rows rejected, whether it was there at all."""

    table: str
    read: int
    rejected: int
    missing: bool


class Loader:
    """Loads the canonical tables into an engine.

    Args:
        engine: where to.
        sources: the tables as found.
        from_day: first day of the audit, for the time zones' rules.
        to_day: last day of the audit.
        rejected: folder for the rows that break a constraint.
    """

    def __init__(
        self,
        engine: Engine,
        sources: Mapping[str, Source],
        *,
        from_day: dt.date,
        to_day: dt.date,
        rejected: Path,
    ) -> None:
        self._engine = engine
        self._sources = sources
        self._span = (from_day - dt.timedelta(days=400), to_day + dt.timedelta(days=400))
        self._rejected = rejected
        self._offset: int | None = None
        self._salt = 0
        self._doubts: list[str] = []

    def load(self) -> list[Loaded]:
        """Load every table, institutions first since they tell the time zones; fill `doubts`."""
        loaded = []
        for name, source in self._sources.items():
            self._engine.source(source, f"typed_{name}")
            loaded.append(self._check(source))
            if name == "institutions":
                self._load_offsets()
            self._engine.view(name, self._normalised(source.table, f"valid_{name}"))
        nobody = "SELECT '' AS institution_id, '' AS person_id, CAST(0 AS BIGINT) AS day WHERE false"
        self._engine.table(
            "doubts", f"SELECT DISTINCT * FROM ({' UNION ALL '.join([nobody, *self._doubts])}) d"
        )
        return loaded

    def _choose_salt(self) -> None:
        """Find a salt with which no two lines have the same number; the first one does, but for bad luck."""
        keys = INPUT_TABLES["claim_lines"].key
        while self._engine.has_doubles("valid_claim_lines", keys, self._salt):
            self._salt += 1

    def _check(self, source: Source) -> Loaded:
        """Count, keep apart what breaks a constraint, and leave the rest as `valid_NAME`."""
        table, name = source.table, source.table.name
        broken = list(self._constraints(table))
        bad = " OR ".join(f"({condition})" for condition, _ in broken)
        counts = self._engine.rows(
            f"SELECT count(*) AS n, count(CASE WHEN {bad} THEN 1 END) AS bad FROM typed_{name}"
        ).to_pylist()[0]
        doubled = bool(table.key) and self._engine.has_doubles(f"typed_{name}", table.key)
        if counts["bad"] or doubled or source.torn:
            rejected = self._reject(source, broken, doubled=doubled)
            if doubled and name == "claim_lines":
                self._choose_salt()
        else:
            self._engine.view(f"valid_{name}", f"SELECT * FROM typed_{name}")
            rejected = 0
        return Loaded(name, counts["n"] + len(source.torn), rejected, source.select is None)

    def _reject(self, source: Source, broken: list[tuple[str, str]], *, doubled: bool) -> int:
        """Write the rows that break a constraint, and the lines that are no rows; count them."""
        table, name = source.table, source.table.name
        self._split(table, broken, doubled=doubled)
        self._engine.add(f"torn_{name}", pa.table({"reason": pa.array(source.torn, pa.string())}))
        texts = ", ".join(f"CAST({column.name} AS STRING) AS {column.name}" for column in table.columns)
        nothing = ", ".join(f"CAST(NULL AS STRING) AS {column.name}" for column in table.columns)
        self._engine.table(
            f"refused_{name}",
            f"SELECT {texts}, reason FROM rejected_{name} "
            f"UNION ALL SELECT {nothing}, reason FROM torn_{name}",
        )
        rejected = int(self._engine.rows(f"SELECT count(*) AS n FROM refused_{name}").to_pylist()[0]["n"])
        if rejected:
            self._engine.write(
                f"SELECT * FROM refused_{name} ORDER BY reason, {_all_columns(table)}",
                self._rejected / f"{name}.parquet",
            )
        return rejected

    def _split(self, table: Table, broken: list[tuple[str, str]], *, doubled: bool) -> None:
        """Make `rejected_NAME` and `valid_NAME` out of `typed_NAME`."""
        name, engine = table.name, self._engine
        cases = ", ".join(f"CASE WHEN {condition} THEN {reason} END" for condition, reason in broken)
        engine.view(
            f"judged_{name}", f"SELECT *, nullif(concat_ws('; ', {cases}), '') AS reason FROM typed_{name}"
        )
        engine.table(f"broken_{name}", f"SELECT * FROM judged_{name} WHERE reason IS NOT NULL")
        engine.view(f"whole_{name}", f"SELECT * FROM judged_{name} WHERE reason IS NULL")
        if name in WITNESSES:
            self._doubt(table)
        if not doubled:
            engine.view(f"rejected_{name}", f"SELECT * FROM broken_{name}")
            engine.view(f"valid_{name}", f"SELECT * FROM whole_{name}")
            return
        keys = ", ".join(table.key)
        engine.table(
            f"doubled_{name}", f"SELECT {keys} FROM whole_{name} GROUP BY {keys} HAVING count(*) > 1"
        )
        same = " AND ".join(f"w.{key} IS NOT DISTINCT FROM d.{key}" for key in table.key)
        engine.table(
            f"ranked_{name}",
            f"SELECT w.*, row_number() OVER (PARTITION BY {keys} ORDER BY {_all_columns(table)}) AS place "
            f"FROM whole_{name} w SEMI JOIN doubled_{name} d ON {same}",
        )
        columns = ", ".join(column.name for column in table.columns)
        engine.view(
            f"valid_{name}",
            f"SELECT {columns} FROM whole_{name} w ANTI JOIN doubled_{name} d ON {same} "
            f"UNION ALL SELECT {columns} FROM ranked_{name} WHERE place = 1",
        )
        engine.view(
            f"rejected_{name}",
            f"SELECT {columns}, reason FROM broken_{name} "
            f"UNION ALL SELECT {columns}, 'a row with the same {keys} came before' AS reason "
            f"FROM ranked_{name} WHERE place > 1",
        )

    def _doubt(self, table: Table) -> None:
        """Remember whom a broken row names: it cannot clear them, but it forbids to conclude from silence."""
        day = "CAST(NULL AS BIGINT)"
        if table.name == "attendance":
            local = f"({self._engine.micros('occurred_at')} + {self._single_offset()})"
            day = f"CASE WHEN occurred_at IS NOT NULL THEN {_day_of(local)} END"
        self._doubts.append(
            f"SELECT institution_id, person_id, {day} AS day FROM broken_{table.name} "
            "WHERE institution_id IS NOT NULL AND person_id IS NOT NULL"
        )

    def _constraints(self, table: Table) -> Iterator[tuple[str, str]]:
        """Yield each constraint's violation and the SQL text of its reason."""
        yield f"{UNREADABLE} IS NOT NULL", UNREADABLE
        for column in table.columns:
            yield from _column_constraints(column)
        for interval in table.intervals:
            yield f"{interval.end} < {interval.start}", f"'{interval.end} is before {interval.start}'"
        if table.name == "claim_lines":
            yield "quantity < 0 AND reverses_line_id IS NULL", "'negative quantity without a reversal'"
        if table.name == "prescriptions":
            yield (
                "session_minutes <= 0 OR sessions_per_week <= 0",
                "'minutes and sessions must be above zero'",
            )
        if table.name == "institutions":
            unknown = ", ".join(f"'{name}'" for name in self._unknown_timezones())
            if unknown:
                yield f"timezone IN ({unknown})", "'unknown time zone: ' || timezone"

    def _unknown_timezones(self) -> list[str]:
        rows = self._engine.rows(
            "SELECT DISTINCT timezone FROM typed_institutions WHERE timezone IS NOT NULL"
        )
        known = zoneinfo.available_timezones()
        # a name with a quote cannot be one of the known ones, and must not end the SQL string
        return sorted(
            row["timezone"].replace("'", "''") for row in rows.to_pylist() if row["timezone"] not in known
        )

    def _load_offsets(self) -> None:
        """Compute each institution's offset from UTC; one constant when all share it."""
        rows = self._engine.rows("SELECT institution_id, timezone FROM valid_institutions").to_pylist()
        zones = {row["institution_id"]: row["timezone"] or DEFAULT_TIMEZONE for row in rows}
        stretches = {zone: tuple(offsets(zone, *self._span)) for zone in {DEFAULT_TIMEZONE, *zones.values()}}
        if len({stretch for zone in stretches.values() for stretch in zone}) == 1:
            self._offset = stretches[DEFAULT_TIMEZONE][0].offset_us
            return
        table = [
            {"institution_id": institution, "from_us": s.from_us, "to_us": s.to_us, "offset_us": s.offset_us}
            for institution, zone in sorted(zones.items())
            for s in stretches[zone]
        ]
        kinds = [
            ("institution_id", pa.string()),
            *((n, pa.int64()) for n in ("from_us", "to_us", "offset_us")),
        ]
        self._engine.add("institution_offsets", pa.Table.from_pylist(table, schema=pa.schema(kinds)))

    def _single_offset(self) -> int:
        return self._offset if self._offset is not None else offsets_default(self._span)

    def _normalised(self, table: Table, origin: str) -> str:
        """Write the query that yields a canonical table with its times as integers."""
        times = [column.name for column in table.columns if column.type is ColumnType.TIMESTAMP]
        # the first select turns timestamps into integers; the second adds the local clock
        inner = ", ".join(self._integer(column) for column in table.columns)
        locals_, joins = [], []
        for index, name in enumerate(times):
            if self._offset is not None or "institution_id" not in table.by_name:
                offset = str(self._single_offset())
            else:
                offset = f"coalesce(o{index}.offset_us, {offsets_default(self._span)})"
                joins.append(
                    f"LEFT JOIN institution_offsets o{index} ON t.institution_id = o{index}.institution_id "
                    f"AND t.{name} >= o{index}.from_us AND t.{name} < o{index}.to_us"
                )
            local = f"(t.{name} + {offset})"
            locals_.append(f"{local} AS {name}_local, {_day_of(local)} AS {name}_day")
        extra = ", ".join(locals_) + ", " if locals_ else ""
        more = f"({VERIFIED}) AS verified, " if table.name == "attendance" else ""
        if table.name == "claim_lines":
            more = f"{self._engine.number_of([f't.{key}' for key in table.key], self._salt)} AS line, "
        columns = ", ".join(f"t.{column.name}" for column in table.columns)
        return f"SELECT {extra}{more}{columns} FROM (SELECT {inner} FROM {origin}) t {' '.join(joins)}"

    def _integer(self, column: Column) -> str:
        match column.type:
            case ColumnType.TIMESTAMP:
                return f"{self._engine.micros(column.name)} AS {column.name}"
            case ColumnType.DATE:
                return f"{self._engine.day(column.name)} AS {column.name}"
            case _:
                return column.name


@dataclass(frozen=True)
class Stretch:
    """A stretch of time in which a zone keeps one offset from UTC, both in microseconds."""

    from_us: int
    to_us: int
    offset_us: int


def offsets(zone: str, first: dt.date, last: dt.date) -> Iterator[Stretch]:
    """List the stretches of constant offset of `zone` around `first` to `last`, reaching over all time."""
    info = zoneinfo.ZoneInfo(zone)
    begin, end = -(2**62), 2**62
    hour = dt.datetime.combine(first, dt.time(), dt.UTC)
    stop = dt.datetime.combine(last, dt.time(), dt.UTC)
    current = _offset_us(info, hour)
    since = begin
    while hour < stop:
        # zones change at full quarter hours; a step of 15 minutes finds each change exactly
        day = hour + dt.timedelta(days=1)
        if _offset_us(info, day) != current:
            while _offset_us(info, hour) == current:
                hour += dt.timedelta(minutes=15)
            at = _epoch_us(hour)
            yield Stretch(since, at, current)
            since, current = at, _offset_us(info, hour)
        else:
            hour = day
    yield Stretch(since, end, current)


def offsets_default(span: tuple[dt.date, dt.date]) -> int:
    """Return the default zone's offset in microseconds, which has not changed since 1991."""
    return next(iter(offsets(DEFAULT_TIMEZONE, *span))).offset_us


def _offset_us(info: zoneinfo.ZoneInfo, at: dt.datetime) -> int:
    offset = at.astimezone(info).utcoffset()
    assert offset is not None
    return offset // dt.timedelta(microseconds=1)


def _epoch_us(at: dt.datetime) -> int:
    return (at - dt.datetime.combine(EPOCH, dt.time(), dt.UTC)) // dt.timedelta(microseconds=1)


def _day_of(local_us: str) -> str:
    """Write the local day number of a local time; whole-number division is floored by the bias."""
    # DuckDB and Spark both truncate towards zero: a bias of 100,000 days keeps times before 1970 right
    return f"(({local_us} + {100_000 * DAY_US}) // {DAY_US} - 100000)"


def _all_columns(table: Table) -> str:
    return ", ".join(column.name for column in table.columns)


def _column_constraints(column: Column) -> Iterator[tuple[str, str]]:
    name = column.name
    if not column.nullable:
        empty = f"{name} IS NULL"
        if column.type is ColumnType.TEXT and name.endswith(("_id", "_code")):
            empty = f"({empty} OR {name} = '')"
        yield f"{UNREADABLE} IS NULL AND {empty}", f"'{name} is empty'"
    if column.choices:
        listed = ", ".join(f"'{choice}'" for choice in column.choices)
        yield f"{name} NOT IN ({listed})", f"'{name} is none of the known values: ' || {name}"
