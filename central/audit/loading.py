"""Bring the input tables before the steps: ids in one spelling, rejects kept apart, times as integers.

After loading, every canonical table is a view of the same name in which

- ids are spelled as `contracts.ids` says, an institution as the table `institutions` does; a person goes by
  the number that `person_aliases` leads to;

- a timestamp `x` is a BIGINT of microseconds since 1970 in UTC, `x_local` the same on the institution's own
  clock, and `x_day` the local day as a number of days since 1970-01-01;
- a date is such a number of days;
- `claim_lines` has `line`, a number that only this line has: (institution_id, line_id) in one word; and
  `line_caps` and `reverses_caps`, the ids of the line and of the one it takes back, in capitals;
- `diagnoses` has `diagnosis_caps`, the code in capitals and digits alone;
- what names an institution and a person has `person_here`, one number for the two, and with a visit
  `visit_here`: whole numbers join, group and sort in half the time of two texts. They are 63 bits of a hash
  that the run's name seeds: that any two of ten million pairs share one has a chance of 5 in a million;
- `attendance` has `verified`: outcome match, presentation attack detection bona fide, clock trusted.
"""

# ruff: noqa: S608 - SQL is put together from the names in contracts.tables, paths are quoted

import datetime as dt
import hashlib
import zoneinfo
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from renzheng.central.audit.aliases import Alias, Aliases, resolve_aliases
from renzheng.central.audit.engine import Engine
from renzheng.central.audit.evidence_of_rejects import BrokenRows, refused_lines
from renzheng.central.audit.items import SCHEMA as STRETCHES
from renzheng.central.audit.items import Item, stretches
from renzheng.central.audit.request import DAY_US, EPOCH
from renzheng.central.audit.sources import PART, UNREADABLE, Source
from renzheng.central.audit.spelling import Speller
from renzheng.contracts.tables import INPUT_TABLES, Column, ColumnType, Table

DEFAULT_TIMEZONE = "Asia/Shanghai"
VERIFIED = "outcome = 'match' AND pad = 'bona_fide' AND clock_trusted"
FIRST = ("institutions", "person_aliases")
"""Tables that the others need: the time zones and spellings of institutions, the numbers of persons."""


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
        rejects: rows that an importer did not take.
        from_day: first day of the audit, for the time zones' rules.
        to_day: last day of the audit.
        rejected: folder for the rows that break a constraint.
        run: names the run, the same after a kill and not to be foreseen by whoever sends rows: it goes into
            the numbers of keys, so that nobody can choose an id that has the number of another's.
    """

    def __init__(
        self,
        engine: Engine,
        sources: Mapping[str, Source],
        *,
        from_day: dt.date,
        to_day: dt.date,
        rejected: Path,
        rejects: Sequence[Mapping[str, Any]] = (),
        run: str = "",
    ) -> None:
        self._engine = engine
        self._speller = Speller(engine)
        self._sources = sources
        self._span = (from_day - dt.timedelta(days=400), to_day + dt.timedelta(days=400))
        self._rejected = rejected
        self._offset: int | None = None
        self._salt = 0
        self._run = hashlib.blake2b(run.encode(), digest_size=8).hexdigest()
        self._refused = False
        self._rejects = rejects
        self._broken = BrokenRows(engine, self._speller)
        self.aliases = Aliases({}, ())

    def load(self) -> list[Loaded]:
        """Load every table, those that the others need first."""
        loaded = {}
        for name in dict.fromkeys([*FIRST, *self._sources]):
            if name in self._sources:
                loaded[name] = self._load_table(self._sources[name])
        self._load_items()
        self._load_rejects()
        return [loaded[name] for name in self._sources]

    def _load_table(self, source: Source) -> Loaded:
        """Load one table: spelled, checked, and normalised under its own name."""
        name = source.table.name
        self._engine.source(source, f"typed_{name}")
        if name == "institutions":
            self._speller.learn_institutions("typed_institutions")
        there = source.is_there
        spelled = self._speller.spelled(source.table, f"typed_{name}") if there else ""
        self._engine.view(f"spelled_{name}", spelled or f"SELECT * FROM typed_{name}")
        loaded = self._check(source)
        if name == "institutions":
            self._load_offsets()
        if name == "person_aliases":
            self._load_aliases()
        self._engine.settle(name, self._normalised(source.table, f"valid_{name}"), source.rows)
        return loaded

    def _load_aliases(self) -> None:
        """Make `alias_roots` (alias, root) and `alias_circles` (circle, person_id)."""
        since = self._engine.micros("since")
        rows = self._engine.rows(f"SELECT person_id, alias_of, {since} AS since_us FROM valid_person_aliases")
        self.aliases = resolve_aliases(Alias(**row) for row in rows.to_pylist())
        roots = [{"alias": alias, "root": root} for alias, root in sorted(self.aliases.roots.items())]
        circles = [
            {"circle": circle[0], "person_id": number} for circle in self.aliases.circles for number in circle
        ]
        for name, found, columns in (
            ("alias_roots", roots, ("alias", "root")),
            ("alias_circles", circles, ("circle", "person_id")),
        ):
            schema = pa.schema([(column, pa.string()) for column in columns])
            self._engine.add(name, pa.Table.from_pylist(found, schema=schema))

    def _load_items(self) -> None:
        """Make `item_stretches`: what each item is, by region and day, without two rows for one day.

        The region is blank where a row holds everywhere. A claim line looks for its own region first.
        """
        region = "coalesce(region_code, '')"
        unit = "coalesce(unit, CASE WHEN item_class = 'bed_day' THEN 'day' ELSE 'session' END)"
        items = self._engine.rows(
            f"SELECT item_code, {region} AS region_code, item_class, {unit} AS unit, valid_from, valid_to "
            "FROM item_catalogue"
        )
        regions = self._engine.rows("SELECT DISTINCT region_code FROM institutions")[
            "region_code"
        ].to_pylist()
        rows = [vars(one) for one in stretches((Item(**row) for row in items.to_pylist()), regions)]
        self._engine.add("item_stretches", pa.Table.from_pylist(rows, schema=STRETCHES))
        national = "LEFT JOIN item_stretches n ON c.item_code = n.item_code AND n.region_code = '' "
        national += "AND c.service_time_day BETWEEN n.from_day AND n.to_day"
        if any(row["region_code"] for row in rows):
            self._engine.view(
                "coded_lines",
                "SELECT c.*, coalesce(o.item_class, n.item_class) AS item_class, coalesce(o.unit, n.unit) AS "
                "item_unit FROM claim_lines c "
                "LEFT JOIN institutions i ON c.institution_id = i.institution_id "
                "LEFT JOIN item_stretches o ON c.item_code = o.item_code AND o.region_code = i.region_code "
                f"AND o.region_code <> '' AND c.service_time_day BETWEEN o.from_day AND o.to_day {national}",
            )
            return
        self._engine.view(
            "coded_lines",
            f"SELECT c.*, n.item_class, n.unit AS item_unit FROM claim_lines c {national}",
        )

    def _load_rejects(self) -> None:
        """Make `rejects`, `broken_rows`, `doubts` and `refused_lines` of what could not be read or taken."""
        roots = self.aliases.roots
        self._broken.load(self._rejects, self._sources, roots)
        lines = self._sources.get("claim_lines")
        torn = lines.torn_rows if lines else ()
        self._engine.add("refused_elsewhere", refused_lines(self._rejects, torn, self._speller))
        mine = (
            "SELECT institution_id, 'rejected_by_audit' AS box, amount, fund_amount "
            "FROM rejected_claim_lines "
            "WHERE institution_id <> '' AND amount IS NOT NULL UNION ALL "
            if self._refused
            else ""
        )
        self._engine.table(
            "refused_lines", f"{mine}SELECT institution_id, box, amount, fund_amount FROM refused_elsewhere"
        )

    def _choose_salt(self) -> None:
        """Find a salt with which no two lines have the same number; the first one does, but for bad luck."""
        keys = INPUT_TABLES["claim_lines"].key
        while self._engine.has_doubles("valid_claim_lines", keys, self._salt):
            self._salt += 1

    def _check(self, source: Source) -> Loaded:
        """Count, keep apart what breaks a constraint, and leave the rest as `valid_NAME`."""
        table, name = source.table, source.table.name
        if not source.is_there and not source.torn:
            self._engine.view(f"valid_{name}", f"SELECT * FROM spelled_{name}")
            return Loaded(name, 0, 0, missing=True)
        broken = list(self._constraints(table))
        bad = " OR ".join(f"({condition})" for condition, _ in broken)
        counts = self._engine.rows(
            f"SELECT count(*) AS n, count(CASE WHEN {bad} THEN 1 END) AS bad FROM spelled_{name}"
        ).to_pylist()[0]
        doubled = bool(table.key) and self._engine.has_doubles(f"spelled_{name}", table.key)
        if counts["bad"] or doubled or source.torn:
            rejected = self._reject(source, broken, doubled=doubled)
            if doubled and name == "claim_lines":
                self._choose_salt()
        else:
            self._engine.view(f"valid_{name}", f"SELECT * FROM spelled_{name}")
            rejected = 0
        return Loaded(name, counts["n"] + len(source.torn), rejected, not source.is_there)

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
        """Make `rejected_NAME` and `valid_NAME` out of `spelled_NAME`.

        Of rows with one key the one in the last file is kept, and of those in one file the first in the
        order of its columns, whatever the order in which they come.
        """
        name, engine = table.name, self._engine
        cases = ", ".join(f"CASE WHEN {condition} THEN {reason} END" for condition, reason in broken)
        engine.view(
            f"judged_{name}", f"SELECT *, nullif(concat_ws('; ', {cases}), '') AS reason FROM spelled_{name}"
        )
        engine.table(f"broken_{name}", f"SELECT * FROM judged_{name} WHERE reason IS NOT NULL")
        engine.view(f"whole_{name}", f"SELECT * FROM judged_{name} WHERE reason IS NULL")
        self._broken.note(table, self._single_offset())
        self._refused = self._refused or name == "claim_lines"
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
            f"SELECT w.*, row_number() OVER (PARTITION BY {_of('w', table.key)} "
            f"ORDER BY {PART} DESC, {_all_columns(table)}) AS place "
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
            f"UNION ALL SELECT {columns}, 'another row with the same {keys} is kept' AS reason "
            f"FROM ranked_{name} WHERE place > 1",
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
            "SELECT DISTINCT timezone FROM spelled_institutions WHERE timezone IS NOT NULL"
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
            more += "upper(t.line_id) AS line_caps, upper(t.reverses_line_id) AS reverses_caps, "
        if table.name == "diagnoses":
            more = "regexp_replace(upper(t.diagnosis_code), '[^0-9A-Z]', '', 'g') AS diagnosis_caps, "
        columns = ", ".join(f"t.{column.name}" for column in table.columns)
        person = "t.person_id"
        if self.aliases.roots and "person_id" in table.by_name and table.name != "person_aliases":
            person = "coalesce(a.root, t.person_id)"
            columns = columns.replace("t.person_id", f"{person} AS person_id")
            joins.append("LEFT JOIN alias_roots a ON t.person_id = a.alias")
            if table.name == "persons":
                columns += ", a.root IS NULL AS own"
        if {"institution_id", "person_id"} <= table.by_name.keys():
            more += f"{self._number_here(person)} AS person_here, "
        if {"institution_id", "visit_id"} <= table.by_name.keys():
            more += f"{self._number_here('t.visit_id')} AS visit_here, "
        query = f"SELECT {extra}{more}{columns} FROM (SELECT {inner} FROM {origin}) t {' '.join(joins)}"
        return _one_row_a_person(query) if ", a.root IS NULL AS own" in columns else query

    def _number_here(self, key: str) -> str:
        """Write the number of an institution and what is named there; the run stands before either text."""
        return self._engine.number_of([f"'{self._run}' || {one}" for one in ("t.institution_id", key)])

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


def _one_row_a_person(query: str) -> str:
    """Put the rows about several numbers of one person together; a death under any of them is one."""
    return (
        "SELECT person_id, coalesce(max(CASE WHEN own THEN sex END), min(sex)) AS sex, "
        "coalesce(max(CASE WHEN own THEN birth_date END), min(birth_date)) AS birth_date, "
        f"min(death_date) AS death_date FROM ({query}) p GROUP BY person_id"
    )


def _of(alias: str, columns: Iterable[str]) -> str:
    return ", ".join(f"{alias}.{column}" for column in columns)


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
