"""Claims and lines that are billed no more: replaced, cancelled, entered in error, withdrawn or refunded.

Their lines leave the table, whatever came first, and are kept in its history. Which claims these are, and
under which identifiers claims are known, is kept in the journal (``journal/withdrawn_claims.parquet``,
``journal/claim_names.parquet``), so that a file that comes again brings none back. Claims that replace each
other in a circle, or themselves, replace nothing: a claim cannot leave the audit by its own word.

Of a line that the platform withdraws (``journal/withdrawn_lines.parquet``) only the row of an earlier import
leaves the table, and it stays away when its file comes again; a new file may bring it back, as it may correct
any line.
"""

# ruff: noqa: S608 - the names are our own, the paths are quoted; COPY takes no parameters

from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from renzheng.central.claims.files import count, literal
from renzheng.central.claims.rejects import RowPlace
from renzheng.central.claims.staging import Staging
from renzheng.common.files import put

NAME, NAMES, LINES = "withdrawn_claims", "claim_names", "withdrawn_lines"
_SCHEMA = pa.schema(
    [
        *(("institution_id", pa.string()), ("claim", pa.string()), ("by_claim", pa.string())),
        *(("file", pa.string()), ("line", pa.int64())),
    ]
)
_NAMES_SCHEMA = pa.schema([("institution_id", pa.string()), ("name", pa.string()), ("claim", pa.string())])
_LINES_SCHEMA = pa.schema(
    [
        *(("institution_id", pa.string()), ("line_id", pa.string()), ("settlement_id", pa.string())),
        *(("file", pa.string()), ("line", pa.int64())),
    ]
)
_CLAIM = "concat(split_part(line_id, ':', 1), ':', split_part(line_id, ':', 2))"
"""Of a line's id (institution, claim, number) what names its claim."""


@dataclass(frozen=True, slots=True)
class ClaimWithdrawal:
    """A claim that is billed no more.

    Args:
        claim: institution and claim, as its lines' ids begin; or institution and identifier (`ClaimName`).
        by_claim: likewise, the claim that replaces it; None where it is cancelled.
    """

    place: RowPlace
    institution_id: str
    claim: str
    by_claim: str | None = None


@dataclass(frozen=True, slots=True)
class ClaimName:
    """An identifier of a claim, by which others may name it.

    Args:
        name: institution and identifier.
        claim: institution and claim, as its lines' ids begin.
    """

    institution_id: str
    name: str
    claim: str


@dataclass(frozen=True, slots=True)
class LineWithdrawal:
    """A line, or all lines of a settlement, billed no more: one of the two ids is told."""

    place: RowPlace
    institution_id: str
    line_id: str | None = None
    settlement_id: str | None = None


def stage(staging: Staging, item: ClaimWithdrawal | ClaimName | LineWithdrawal) -> None:
    """Stage a withdrawal, or an identifier."""
    if isinstance(item, LineWithdrawal):
        told = (item.institution_id, item.line_id, item.settlement_id, item.place.file, item.place.line)
        staging.count(LINES)
        staging.add(LINES, lambda: _LINES_SCHEMA, told)
        return
    if isinstance(item, ClaimName):
        staging.add(NAMES, lambda: _NAMES_SCHEMA, (item.institution_id, item.name, item.claim))
        return
    staging.count(NAME)
    values = (item.institution_id, item.claim, item.by_claim, item.place.file, item.place.line)
    staging.add(NAME, lambda: _SCHEMA, values)


def drop(
    database: duckdb.DuckDBPyConnection,
    staging: Staging,
    lines: Path | None,
    out: Path,
    folders: tuple[Path, Path],
) -> int:
    """Take withdrawn lines, and those of withdrawn claims, out of those staged and those there already.

    Args:
        database: the connection, with `imported_before`.
        staging: what came.
        lines: the staged claim lines; the file is replaced.
        out: the folder of the tables.
        folders: the journal and the history.

    Returns:
        How many lines of this import, and of earlier ones, were left out.
    """
    journal, history = folders[0], folders[1] / "claim_lines.parquet"
    came = [_noted(database, staging, journal, name) for name in (NAME, NAMES, LINES)]
    if not any((journal / f"{name}.parquet").exists() for name in (NAME, LINES)):
        return 0
    database.execute(_WITHDRAWN)
    dropped = _filter(database, lines, _STAGED) if lines is not None else 0
    table = out / "claim_lines.parquet"
    if not any(came) or not table.exists():
        return dropped
    database.execute(f"CREATE TABLE gone AS {_withdrawn_of(table)}")
    gone = count(database, "SELECT count(*) FROM gone")
    if gone:
        _to_history(database, table, history)
        _filter(database, table)
    return dropped + gone


def _noted(database: duckdb.DuckDBPyConnection, staging: Staging, journal: Path, name: str) -> bool:
    """Add what came under a name to the journal and make a table of all of it; return whether any came."""
    staged, path = staging.close(name), journal / f"{name}.parquet"
    if staged is not None:
        _keep(database, staged, path, _KEPT[name])
    columns = ", ".join(f"{field.name} {_SQL[field.type]}" for field in _SCHEMAS[name])
    database.execute(f"CREATE TABLE {name} ({columns})")
    if path.exists():
        database.execute(f"INSERT INTO {name} BY NAME FROM read_parquet({literal(path)})")
    return staged is not None


_SCHEMAS = {NAME: _SCHEMA, NAMES: _NAMES_SCHEMA, LINES: _LINES_SCHEMA}
_SQL = {pa.string(): "VARCHAR", pa.int64(): "BIGINT"}
_ANY = "true"
_STAGED = "l._file IN (SELECT _file FROM imported_before)"


def _withdrawn_of(path: Path, lines_if: str = _ANY) -> str:
    """Return the query for a file's withdrawn lines; of lines withdrawn singly, where `lines_if` holds."""
    return f"""
    WITH l AS (SELECT *, {_CLAIM} AS claim FROM read_parquet({literal(path)})),
    struck AS (
        SELECT l.institution_id, l.line_id, w.file, w.line
        FROM l JOIN withdrawn w ON w.institution_id = l.institution_id AND w.claim = l.claim
        UNION ALL
        SELECT l.institution_id, l.line_id, w.file, w.line
        FROM l JOIN withdrawn_lines w ON w.institution_id = l.institution_id AND w.line_id = l.line_id
        WHERE {lines_if}
        UNION ALL
        SELECT l.institution_id, l.line_id, w.file, w.line
        FROM l JOIN withdrawn_lines w
            ON w.institution_id = l.institution_id AND w.settlement_id = l.settlement_id
        WHERE {lines_if}
    )
    SELECT institution_id, line_id, min(file) AS file, arg_min(line, file) AS line FROM struck GROUP BY ALL
    """


def _filter(database: duckdb.DuckDBPyConnection, path: Path, lines_if: str = _ANY) -> int:
    """Leave the withdrawn lines out of a file; return how many there were."""
    database.execute(f"CREATE OR REPLACE TABLE struck AS {_withdrawn_of(path, lines_if)}")
    rows = f"FROM read_parquet({literal(path)})"
    dropped = count(database, f"SELECT count(*) {rows} SEMI JOIN struck USING (institution_id, line_id)")
    if dropped:
        kept = path.with_suffix(".kept")
        query = f"{rows} ANTI JOIN struck USING (institution_id, line_id)"
        database.execute(f"COPY ({query}) TO {literal(kept)} (FORMAT parquet, COMPRESSION zstd)")
        put(kept, path)
    return dropped


def _keep(database: duckdb.DuckDBPyConnection, staged: Path, journal: Path, kept: str) -> None:
    """Write what came, with what the journal has, as the journal."""
    earlier = f"UNION ALL BY NAME FROM read_parquet({literal(journal)})" if journal.exists() else ""
    _copy(database, f"WITH came AS (FROM read_parquet({literal(staged)}) {earlier}) {kept}", journal)


_KEPT = {
    NAME: "SELECT institution_id, claim, by_claim, min(file) AS file, arg_min(line, file) AS line "
    "FROM came GROUP BY ALL ORDER BY ALL",
    NAMES: "SELECT DISTINCT institution_id, name, claim FROM came ORDER BY ALL",
    LINES: "SELECT institution_id, line_id, settlement_id, min(file) AS file, arg_min(line, file) AS line "
    "FROM came GROUP BY ALL ORDER BY ALL",
}

_WITHDRAWN = """
CREATE TABLE withdrawn AS
WITH RECURSIVE edges AS (
    SELECT w.institution_id, coalesce(n.claim, w.claim) AS claim, w.by_claim, w.file, w.line
    FROM withdrawn_claims w
    LEFT JOIN claim_names n ON n.institution_id = w.institution_id AND n.name = w.claim
),
reached AS (
    SELECT institution_id, by_claim AS first, claim AS last FROM edges WHERE by_claim IS NOT NULL
    UNION
    SELECT r.institution_id, r.first, e.claim
    FROM reached r JOIN edges e ON e.institution_id = r.institution_id AND e.by_claim = r.last
)
SELECT institution_id, claim, min(file) AS file, arg_min(line, file) AS line
FROM edges e
WHERE by_claim IS NULL OR NOT EXISTS (
    FROM reached r WHERE r.institution_id = e.institution_id AND r.first = e.claim AND r.last = e.by_claim
) AND claim <> by_claim
GROUP BY ALL
"""
"""A claim that the one it replaces replaces in turn, however many stand between, replaces nothing."""


def _to_history(database: duckdb.DuckDBPyConnection, table: Path, history: Path) -> None:
    """Keep the lines that were there, with the place of what withdrew them."""
    earlier = f"FROM read_parquet({literal(history)}) UNION ALL BY NAME " if history.exists() else ""
    _copy(
        database,
        f"{earlier} SELECT l.*, g.file AS replaced_by_file, g.line AS replaced_by_line "
        f"FROM read_parquet({literal(table)}) l JOIN gone g USING (institution_id, line_id)",
        history,
    )


def _copy(database: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    written = path.with_suffix(".merged")
    database.execute(f"COPY ({query}) TO {literal(written)} (FORMAT parquet, COMPRESSION zstd)")
    put(written, path)
