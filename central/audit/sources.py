"""Find the input tables in a folder and read them, whatever form they have, as the canonical types."""

# ruff: noqa: S608 - SQL is put together from the names in contracts.tables, paths are quoted

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from renzheng.central.audit.connection import connect
from renzheng.central.audit.errors import TablesUnusableError
from renzheng.contracts.tables import INPUT_TABLES, REJECTS, Column, ColumnType, Table

UNREADABLE = "unreadable_"
"""Extra column of a typed source: what in the row could not be read as its type; NULL when all could."""
PART = "part_"
"""Extra column of a typed source: the file of a row, where a table has several; NULL where it has one."""

_PLAIN: dict[ColumnType, str] = {
    ColumnType.TEXT: "VARCHAR",
    ColumnType.INTEGER: "BIGINT",
    ColumnType.DOUBLE: "DOUBLE",
    ColumnType.BOOLEAN: "BOOLEAN",
    ColumnType.DATE: "DATE",
    ColumnType.TIMESTAMP: "TIMESTAMP WITH TIME ZONE",
    ColumnType.QUANTITY: "DECIMAL(16,4)",
    ColumnType.AMOUNT: "DECIMAL(16,2)",
}

_WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
_NUMBERS = (*_WHOLE, "HUGEINT", "FLOAT", "DOUBLE", "DECIMAL")
_ACCEPTED: dict[ColumnType, tuple[str, ...]] = {
    ColumnType.TEXT: ("VARCHAR", "ENUM", "UUID"),
    ColumnType.INTEGER: _WHOLE,
    ColumnType.DOUBLE: _NUMBERS,
    ColumnType.BOOLEAN: ("BOOLEAN",),
    ColumnType.DATE: ("DATE",),
    ColumnType.TIMESTAMP: ("TIMESTAMP", "TIMESTAMPTZ"),
    ColumnType.QUANTITY: _NUMBERS,
    ColumnType.AMOUNT: _NUMBERS,
}
"""Physical types that hold a canonical type without guessing; a naive timestamp is UTC, as every time is."""

_NAMED: dict[ColumnType, str] = {
    ColumnType.TEXT: "text",
    ColumnType.INTEGER: "a whole number",
    ColumnType.DOUBLE: "a number",
    ColumnType.BOOLEAN: "true or false",
    ColumnType.DATE: "a date (YYYY-MM-DD)",
    ColumnType.TIMESTAMP: "a UTC timestamp (in CSV: RFC 3339 with an offset)",
    ColumnType.QUANTITY: "DECIMAL(16,4)",
    ColumnType.AMOUNT: "DECIMAL(16,2)",
}

_RFC3339 = r"^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?([Zz]|[+-]\d{2}(:?\d{2})?)$"
_ISO_DATE = r"^\d{4}-\d{2}-\d{2}$"


@dataclass(frozen=True)
class Source:
    """One input table as found.

    Args:
        table: the canonical table.
        select: DuckDB query that yields the canonical columns, typed, and `unreadable_`; None when missing.
        parquet: the Parquet files that Spark reads itself: those that already have the canonical types, and
            all that only Spark can reach.
        base: the folder that a partitioned table hangs from.
        expressions: what Spark selects from those files; the canonical columns when empty.
        torn: lines of a CSV file that are no rows at all, each with its number and what is wrong.
        torn_rows: what can still be read of each of them, by column.
        rows: how many rows the query yields; 0 when it is missing.
    """

    table: Table
    select: str | None
    parquet: tuple[Path | str, ...] = ()
    base: Path | str | None = None
    expressions: tuple[str, ...] = ()
    torn: tuple[str, ...] = ()
    torn_rows: tuple[Mapping[str, str], ...] = ()
    rows: int = 0

    @property
    def is_there(self) -> bool:
        """Whether there is such a table at all."""
        return self.select is not None or bool(self.parquet)


@dataclass(frozen=True)
class Problem:
    """Why a table cannot be read, with what to do about it."""

    table: str
    column: str
    rows: int | None
    what: str
    do: str

    def __str__(self) -> str:
        place = f"{self.table}.{self.column}" if self.column else self.table
        rows = "" if self.rows is None else f" ({self.rows:,} rows)"
        return f"{place}{rows}: {self.what}. {self.do}"


def find_sources(folder: Path) -> dict[str, Source]:
    """Look for every input table in `folder`.

    Raises:
        TablesUnusableError: with every missing or mistyped column of every table.
    """
    connection = connect()
    sources: dict[str, Source] = {}
    problems: list[Problem] = []
    try:
        for table in INPUT_TABLES.values():
            source, found = _find(connection, folder, table)
            sources[table.name] = source
            problems.extend(found)
    finally:
        connection.close()
    if problems:
        raise unusable(folder, problems)
    return sources


def unusable(folder: Path | str, problems: Sequence[Problem]) -> TablesUnusableError:
    """Make the error that lists every problem of the tables in a folder."""
    return TablesUnusableError(
        f"{len(problems)} problem(s) in the tables of {folder}:\n"
        + "\n".join(f"  - {problem}" for problem in problems),
        why="An audit on half-read tables could accuse someone wrongly, so nothing was run.",
        do="Mend the columns named above and run it again.",
        problems=problems,
    )


def _find(connection: duckdb.DuckDBPyConnection, folder: Path, table: Table) -> tuple[Source, list[Problem]]:
    parquet, csv, parts = folder / f"{table.name}.parquet", folder / f"{table.name}.csv", folder / table.name
    forms = [path for path in (parquet, csv, parts) if path.exists()]
    if len(forms) > 1:
        names = ", ".join(path.name for path in forms)
        problem = Problem(table.name, "", None, f"there are several: {names}", "Keep the one that is meant")
        return Source(table, None), [problem]
    if not forms:
        return Source(table, None), []
    try:
        if csv.is_file():
            return _csv(connection, csv, table)
        files = tuple(sorted(parts.rglob("*.parquet"))) if parts.is_dir() else (parquet,)
        return (
            _parquet(connection, files, table, parts if parts.is_dir() else None)
            if files
            else (
                Source(table, None),
                [],
            )
        )
    except duckdb.Error as error:
        first = str(error).splitlines()[0]
        problem = Problem(table.name, "", None, f"cannot be read: {first}", "Write the file anew")
        return Source(table, None), [problem]


def _parquet(
    connection: duckdb.DuckDBPyConnection, files: tuple[Path, ...], table: Table, base: Path | None
) -> tuple[Source, list[Problem]]:
    names = ", ".join(f"'{quoted(path)}'" for path in files)
    hive = ", hive_partitioning = true, hive_types_autocast = false" if base else ""
    origin = f"read_parquet([{names}], union_by_name = true{hive})"
    physical = {
        str(row[0]): str(row[1]).strip('"')
        for row in connection.execute(f"DESCRIBE SELECT * FROM {origin}").fetchall()
    }
    rows = _scalar(connection, f"SELECT count(*) FROM {origin}")
    problems = list(missing_columns(table, physical, rows))
    selected, exact = [], len(files) > 0
    for column in table.columns:
        kind = physical.get(column.name)
        if kind is None:
            selected.append(f"CAST(NULL AS {_PLAIN[column.type]}) AS {column.name}")
            exact = False
            continue
        if not _holds(connection, origin, column, kind):
            problems.append(mistyped(table, column, rows, kind))
        same = kind == _PLAIN[column.type]
        exact = exact and same
        selected.append(
            column.name if same else f"CAST({column.name} AS {_PLAIN[column.type]}) AS {column.name}"
        )
    part = "filename" if len(files) > 1 else "CAST(NULL AS VARCHAR)"
    extra = f"CAST(NULL AS VARCHAR) AS {UNREADABLE}, {part} AS {PART}"
    select = f"SELECT {', '.join(selected)}, {extra} FROM {origin}"
    return Source(table, select, files if exact else (), base, rows=rows), problems


def _holds(connection: duckdb.DuckDBPyConnection, origin: str, column: Column, kind: str) -> bool:
    """Tell whether a physical type holds the canonical one; a column without any value always does."""
    base = kind.split("(", maxsplit=1)[0].removesuffix("_NS").removesuffix("_MS").removesuffix("_S")
    base = base.replace(" WITH TIME ZONE", "TZ")
    if base in _ACCEPTED[column.type]:
        return True
    return _scalar(connection, f"SELECT count({column.name}) FROM {origin}") == 0


def _csv(connection: duckdb.DuckDBPyConnection, path: Path, table: Table) -> tuple[Source, list[Problem]]:
    physical = dict.fromkeys(_header(path), "VARCHAR")
    origin = _read_csv(path, physical)
    rows, torn = _torn(connection, path, physical)
    names = list(physical)
    problems = list(missing_columns(table, physical, rows))
    if problems:
        return Source(table, None), problems
    selected, failures = [], []
    for column in table.columns:
        if column.name not in physical:
            selected.append(f"CAST(NULL AS {_PLAIN[column.type]}) AS {column.name}")
            continue
        parsed = _parsed(column)
        selected.append(f"{parsed} AS {column.name}")
        if column.type is not ColumnType.TEXT:
            bad = f"{column.name} IS NOT NULL AND {parsed} IS NULL"
            failures.append(
                f"CASE WHEN {bad} THEN '{column.name} is not {_NAMED[column.type]}: ' || {column.name} END"
            )
            problems.extend(_all_unreadable(connection, origin, table, column, bad))
    reasons = f"nullif(concat_ws('; ', {', '.join(failures)}), '')" if failures else "CAST(NULL AS VARCHAR)"
    extra = f"{reasons} AS {UNREADABLE}, CAST(NULL AS VARCHAR) AS {PART}"
    select = f"SELECT {', '.join(selected)}, {extra} FROM {origin}"
    described, texts = tuple(told for told, _ in torn), tuple(text for _, text in torn)
    rest = tuple(_what_is_left(names, text) for text in texts)
    return Source(table, select, torn=described, torn_rows=rest, rows=rows), problems


def _header(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        return next(csv.reader(file), [])


def _read_csv(path: Path, columns: Iterable[str], more: str = "") -> str:
    """Write the call that reads a CSV file as texts; its form is told: guessing fails on bad rows."""
    listed = ", ".join(f"'{quoted(name)}': 'VARCHAR'" for name in columns) or "'nothing': 'VARCHAR'"
    form = "auto_detect = false, header = true, delim = ',', quote = '\"', escape = '\"', nullstr = ''"
    return f"read_csv('{quoted(path)}', {form}, columns = {{{listed}}}, ignore_errors = true{more})"


def _torn(
    connection: duckdb.DuckDBPyConnection, path: Path, columns: Iterable[str]
) -> tuple[int, tuple[tuple[str, str], ...]]:
    """Count the rows of a CSV file; describe the lines that are none, each with its text."""
    if path.stat().st_size == 0:
        return 0, ()
    told = _read_csv(path, columns, ", store_rejects = true")
    rows = _scalar(connection, f"SELECT count(*) FROM (SELECT * FROM {told} OFFSET 0)")
    errors = connection.execute(
        "SELECT DISTINCT line, lower(error_type), error_message, csv_line FROM reject_errors ORDER BY ALL"
    ).fetchall()
    connection.execute("DROP TABLE reject_errors; DROP TABLE reject_scans")
    lines: dict[int, tuple[str, str]] = {}
    for line, kind, message, text in errors:
        told = f"line {line}: {kind}: {str(message).splitlines()[0]}"
        lines.setdefault(int(line), (told, str(text or "")))
    return rows, tuple(lines[line] for line in sorted(lines))


def _what_is_left(names: Sequence[str], text: str) -> dict[str, str]:
    """Read a torn line as far as it goes, by the places of its columns."""
    try:
        fields = next(csv.reader([text]), [])
    except csv.Error:
        fields = text.split(",")
    return {name: field for name, field in zip(names, fields, strict=False) if field}


def _parsed(column: Column) -> str:
    """Write the DuckDB expression that reads one CSV text as the column's type, or NULL."""
    name, kind = column.name, _PLAIN[column.type]
    match column.type:
        case ColumnType.TEXT:
            return name
        case ColumnType.TIMESTAMP:
            upper = f"upper({name})"
            return f"CASE WHEN regexp_matches({name}, '{_RFC3339}') THEN TRY_CAST({upper} AS {kind}) END"
        case ColumnType.DATE:
            return f"CASE WHEN regexp_matches({name}, '{_ISO_DATE}') THEN TRY_CAST({name} AS DATE) END"
        case _:
            return f"TRY_CAST({name} AS {kind})"


def _all_unreadable(
    connection: duckdb.DuckDBPyConnection, origin: str, table: Table, column: Column, bad: str
) -> Iterator[Problem]:
    """Report a column as mistyped when none of its values, and there are several, can be read."""
    filled, failed = connection.execute(
        f"SELECT count({column.name}), count(*) FILTER (WHERE {bad}) FROM {origin}"
    ).fetchall()[0]
    if filled == failed and failed > 1:
        yield mistyped(table, column, filled, "text that cannot be read as that")


def missing_columns(table: Table, physical: Mapping[str, str], rows: int | None) -> Iterator[Problem]:
    """Name every column that a table must have and has not."""
    for column in table.columns:
        if column.name not in physical and not column.may_be_absent:
            yield Problem(
                table.name,
                column.name,
                rows,
                "the column is missing",
                f"Add it as {_NAMED[column.type]}" + (", empty where unknown" if column.nullable else ""),
            )


def mistyped(table: Table, column: Column, rows: int | None, kind: str) -> Problem:
    """Tell that a column is of another type than it must be."""
    return Problem(
        table.name, column.name, rows, f"the column is {kind}", f"Write it as {_NAMED[column.type]}"
    )


def _scalar(connection: duckdb.DuckDBPyConnection, sql: str) -> int:
    return int(connection.execute(sql).fetchall()[0][0])


def no_rows(table: Table) -> str:
    """Write the query of a typed source that has no rows, in DuckDB's types."""
    nulls = canonical_nulls(table)
    extra = f"CAST(NULL AS VARCHAR) AS {UNREADABLE}, CAST(NULL AS VARCHAR) AS {PART}"
    return f"SELECT {nulls}, {extra} WHERE false"


def read_rejects(folder: Path) -> list[dict[str, Any]]:
    """Read what importers did not take, as leniently as can be: it is evidence, not a table to be judged.

    A column that is missing or cannot be read is None; without the table there are no rows.

    Raises:
        TablesUnusableError: the file is none at all.
    """
    forms = (folder / f"{REJECTS.name}.parquet", folder / f"{REJECTS.name}.csv", folder / REJECTS.name)
    for path in forms:
        if path.exists():
            try:
                return list(_lenient(path))
            except (duckdb.Error, OSError) as error:
                raise TablesUnusableError(
                    f"{path} cannot be read: {str(error).splitlines()[0]}",
                    why="It tells what an importer did not take, and the ledger would not add up without it.",
                    do="Run the import again, or take the file away if it is not the importer's.",
                ) from error
    return []


def _lenient(path: Path) -> Iterator[dict[str, Any]]:
    with connect() as connection:
        parts = f"{quoted(path)}/**/*.parquet" if path.is_dir() else quoted(path)
        origin = None if path.suffix == ".csv" else f"read_parquet('{parts}', union_by_name = true)"
        if origin is None:
            names = _header(path)
            if not names:
                return
            origin = _read_csv(path, names)
        present = {str(row[0]) for row in connection.execute(f"DESCRIBE SELECT * FROM {origin}").fetchall()}
        selected = ", ".join(
            f'TRY_CAST(CAST("{column.name}" AS VARCHAR) AS {_PLAIN[column.type]}) AS "{column.name}"'
            if column.name in present
            else f'CAST(NULL AS {_PLAIN[column.type]}) AS "{column.name}"'
            for column in REJECTS.columns
        )
        rows: list[dict[str, Any]] = (
            connection.sql(f"SELECT {selected} FROM {origin}").to_arrow_table().to_pylist()
        )
        yield from rows


def canonical_nulls(table: Table) -> str:
    """Write the select list of a canonical table without rows, in DuckDB's types."""
    return ", ".join(f"CAST(NULL AS {_PLAIN[column.type]}) AS {column.name}" for column in table.columns)


def quoted(path: Path | str) -> str:
    """Escape a path for a SQL string."""
    return str(path).replace("'", "''")
