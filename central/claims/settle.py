"""Settling an import: repeated ids, reversals of nothing, merging with earlier rows, lists of remarks."""

# ruff: noqa: S608 - the names are those of the canonical tables, the paths are quoted; COPY takes no parameters

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb

from renzheng.central.claims import cancelling
from renzheng.central.claims.files import count, literal, replace
from renzheng.central.claims.rejects import Reason
from renzheng.contracts.errors import InputError
from renzheng.contracts.tables import Table

REMARK_COLUMNS = ("file", "line", "field", "reason", "explanation_zh", "explanation_en", "value")


class OutputError(InputError):
    """The output folder holds a table in a form that an import cannot add to."""


@dataclass(frozen=True, slots=True)
class Settled:
    """How many rows a table gained, how many it had word for word, and how many repeat another's id."""

    added: int = 0
    unchanged: int = 0
    refused: int = 0


def check_output(out: Path, tables: Collection[str]) -> None:
    """See that the tables of `out` that an import may add to are single Parquet files, or absent.

    Raises:
        OutputError: one lies there as CSV or as a folder.
    """
    wrong = [path for name in tables for path in (out / f"{name}.csv", out / name) if path.exists()]
    if wrong:
        raise OutputError(
            f"{', '.join(path.name for path in wrong)} in {out} cannot be added to.",
            why="An import adds to NAME.parquet; a second form of the same table would be ambiguous.",
            do="Import into another folder, or convert the table to Parquet.",
            path=str(out),
        )


def begin_remarks(database: duckdb.DuckDBPyConnection) -> None:
    """Make the table `remarks`, for what is said of rows, and that of the reasons' explanations."""
    database.execute(
        "CREATE TABLE remarks (target VARCHAR, file VARCHAR, line BIGINT, field VARCHAR, reason VARCHAR, "
        "value VARCHAR, warning BOOLEAN)"
    )
    database.execute(
        "CREATE TABLE explanations (reason VARCHAR, explanation_zh VARCHAR, explanation_en VARCHAR)"
    )
    database.executemany(
        "INSERT INTO explanations VALUES (?, ?, ?)",
        [(reason.value, *reason.explanation) for reason in Reason],
    )


def settle_table(
    database: duckdb.DuckDBPyConnection, table: Table, staged: Path, out: Path, sources: Mapping[str, str]
) -> Settled:
    """Merge one staged table into `out`; what is to be said of repeated rows goes to the table `remarks`.

    The first of several rows with one id is kept, an earlier import's before all. A row that an earlier
    import brought word for word is counted as unchanged: importing a file twice changes nothing. Where there
    is a table `touched`, the stays and leaves of its visits are replaced by those staged. Where there is a
    view `facts`, settlement, department and doctor of lines that lack them come from there.

    Args:
        database: with `remarks` begun.
        table: the canonical table.
        staged: its staged rows.
        out: the folder of the tables.
        sources: canonical column to the name in the file, for remarks.
    """
    target = out / f"{table.name}.parquet"
    columns = ", ".join(column.name for column in table.columns)
    cancels = table.name == "claim_lines" and is_there(database, cancelling.CANCELLATIONS)
    suffix = "_all" if cancels else ""
    _view(database, table, f"staged{suffix}", staged, ", _ordinal, _file, _line")
    if target.exists():
        _view(database, table, f"existing{suffix}", target, "")
    else:
        nothing = f"SELECT {columns}, _key FROM staged{suffix} WHERE false"
        database.execute(f"CREATE OR REPLACE VIEW existing{suffix} AS {nothing}")
    cancelled = cancelling.apply(database, columns, out / JOURNAL) if cancels else 0
    database.execute(_REPEATS.format(columns=columns))
    field = sources.get(table.key[0], table.key[0]) if table.key else ""
    database.execute(_REPEAT_REMARKS, {"target": table.name, "field": field})
    if table.name == "claim_lines":
        database.execute(_REVERSALS_OF_NOTHING, [sources.get("reverses_line_id", "reverses_line_id")])
    kept = "existing"
    if table.name in REPLACED and is_there(database, "touched"):
        kept = "(FROM existing ANTI JOIN touched USING (institution_id, visit_id))"
        database.execute("DELETE FROM repeats WHERE unchanged")
    merged = staged.with_suffix(".merged")
    database.execute(
        f"COPY (SELECT {columns} FROM {kept} UNION ALL SELECT {columns} FROM staged "
        f"ANTI JOIN repeats USING (_ordinal)) TO {literal(merged)} (FORMAT parquet, COMPRESSION zstd)"
    )
    rows = count(database, "SELECT count(*) FROM staged")
    refused = count(database, "SELECT count(*) FROM repeats WHERE NOT unchanged")
    unchanged = (
        count(database, "SELECT count(*) FROM staged SEMI JOIN existing USING (_key)")
        if kept != "existing"
        else count(database, "SELECT count(*) FROM repeats WHERE unchanged")
    )
    replace(merged, target)
    return Settled(rows - refused - unchanged, unchanged, refused + cancelled)


JOURNAL = "journal"
REPLACED = frozenset({"stays", "leaves"})
"""Tables whose rows follow from a visit's events."""


def is_there(database: duckdb.DuckDBPyConnection, name: str) -> bool:
    """Whether a table has been made."""
    found = database.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = ?", [name])
    return found.fetchone() is not None


def see_facts(database: duckdb.DuckDBPyConnection, journal: Path) -> None:
    """Let lines be filled from the journal of facts about visits."""
    database.execute(f"CREATE TABLE facts AS FROM read_parquet({literal(journal)})")


_FILLED = """
SELECT * REPLACE (
    coalesce(settlement_id, (
        SELECT min(f.settlement_id) FROM facts f
        WHERE f.institution_id = lines.institution_id AND f.visit_id = lines.visit_id
          AND (f.from_at IS NULL OR lines.service_time >= f.from_at)
          AND (f.to_at IS NULL OR lines.service_time < f.to_at)
    )) AS settlement_id,
    coalesce(department, (
        SELECT min(f.department) FROM facts f
        WHERE f.institution_id = lines.institution_id AND f.visit_id = lines.visit_id
    )) AS department,
    coalesce(doctor_id, (
        SELECT min(f.doctor_id) FROM facts f
        WHERE f.institution_id = lines.institution_id AND f.visit_id = lines.visit_id
    )) AS doctor_id
) FROM ({rows}) lines
"""


_REPEATS = """
CREATE OR REPLACE TEMP TABLE repeated AS
SELECT _key, min(_ordinal) AS first_ordinal, min(_ordinal) FILTER (_ordinal > 0) AS first_staged
FROM (SELECT _key, _ordinal FROM staged UNION ALL SELECT _key, 0 FROM existing)
GROUP BY _key HAVING count(*) > 1;

CREATE OR REPLACE TEMP TABLE firsts AS
SELECT _key, hash(row({columns})) AS content
FROM staged JOIN repeated USING (_key) WHERE _ordinal = first_ordinal
UNION ALL
SELECT _key, hash(row({columns})) FROM existing JOIN repeated USING (_key) WHERE first_ordinal = 0;

CREATE OR REPLACE TEMP TABLE repeats AS
SELECT
    _ordinal, _file, _line, _key,
    hash(row({columns})) = content AS same,
    same AND first_ordinal = 0 AND _ordinal = first_staged AS unchanged
FROM staged JOIN repeated USING (_key) JOIN firsts USING (_key)
WHERE _ordinal > first_ordinal
"""

_REPEAT_REMARKS = """
INSERT INTO remarks
SELECT $target, _file, _line, $field, if(same, 'duplicate', 'duplicate_differs'), left(_key, 120), false
FROM repeats WHERE NOT unchanged
"""

_REVERSALS_OF_NOTHING = """
INSERT INTO remarks
WITH wanted AS (
    SELECT DISTINCT reverses_line_id AS _key FROM staged WHERE reverses_line_id IS NOT NULL
),
found AS (
    SELECT _key FROM staged SEMI JOIN wanted USING (_key)
    UNION
    SELECT _key FROM existing SEMI JOIN wanted USING (_key)
)
SELECT 'claim_lines', _file, _line, ?, 'reversal_of_nothing', left(reverses_line_id, 120), true
FROM staged ANTI JOIN (FROM repeats WHERE NOT unchanged) USING (_ordinal)
WHERE reverses_line_id IS NOT NULL AND reverses_line_id NOT IN (SELECT _key FROM found)
"""


def _view(database: duckdb.DuckDBPyConnection, table: Table, name: str, path: Path, more: str) -> None:
    """View a file as a canonical table with `_key`, its id, or its whole content where it has none."""
    source = f"read_parquet({literal(path)})"
    present = {row[0] for row in database.execute(f"DESCRIBE FROM {source}").fetchall()}
    columns = ", ".join(
        column.name if column.name in present else f"NULL::VARCHAR AS {column.name}"
        for column in table.columns
    )
    key = (
        table.key[0]
        if len(table.key) == 1
        else f"row({', '.join(table.key or tuple(table.by_name))})::VARCHAR"
    )
    rows = f"SELECT {columns}{more} FROM {source}"
    if table.name == "claim_lines" and is_there(database, "facts"):
        rows = _FILLED.format(rows=rows)
    database.execute(f"CREATE OR REPLACE VIEW {name} AS SELECT *, {key} AS _key FROM ({rows})")


def write_remarks(
    database: duckdb.DuckDBPyConnection, out: Path, files: Collection[str], scratch: Path
) -> None:
    """Write ``rejected/NAME.csv`` and ``warnings/NAME.csv``; earlier remarks on other files stay."""
    database.execute("CREATE TABLE imported (file VARCHAR)")
    database.executemany("INSERT INTO imported VALUES (?)", [(name,) for name in files])
    for warning, folder in ((False, out / "rejected"), (True, out / "warnings")):
        tables = {
            row[0]
            for row in database.execute(
                "SELECT DISTINCT target FROM remarks WHERE warning = ?", [warning]
            ).fetchall()
        }
        for name in sorted(tables | {path.stem for path in folder.glob("*.csv")}):
            _write_list(database, name, folder / f"{name}.csv", scratch, warning=warning)


def _write_list(
    database: duckdb.DuckDBPyConnection, name: str, path: Path, scratch: Path, *, warning: bool
) -> None:
    columns = ", ".join(REMARK_COLUMNS)
    query = (
        f"SELECT {columns} FROM remarks JOIN explanations USING (reason) "
        f"WHERE target = {literal(name)} AND warning = {warning}"
    )
    if path.exists():
        query += (
            f" UNION ALL SELECT {columns} FROM read_csv({literal(path)}, header = true, all_varchar = true) "
            "ANTI JOIN imported USING (file)"
        )
    written = scratch / "remarks.csv"
    order = "file, line::BIGINT, field, reason, value"
    database.execute(
        f"COPY (SELECT * FROM ({query}) ORDER BY {order}) TO {literal(written)} (FORMAT csv, HEADER)"
    )
    path.parent.mkdir(exist_ok=True)
    replace(written, path)
    if (
        count(database, f"SELECT count(*) FROM read_csv({literal(path)}, header = true, all_varchar = true)")
        == 0
    ):
        path.unlink()
