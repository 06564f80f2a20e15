"""Claims that are billed no more: replaced by another claim, cancelled, or entered in error.

Their lines leave the table, whatever came first, and are kept in its history. Which claims these are is kept
in the journal (``journal/withdrawn_claims.parquet``), so that a file that comes again brings none back.
"""

# ruff: noqa: S608 - the names are our own, the paths are quoted; COPY takes no parameters

from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from renzheng.central.claims.files import count, literal
from renzheng.central.claims.rejects import Place
from renzheng.central.claims.staging import Staging
from renzheng.common.files import put

NAME = "withdrawn_claims"
_SCHEMA = pa.schema(
    [("institution_id", pa.string()), ("claim", pa.string()), ("file", pa.string()), ("line", pa.int64())]
)
_CLAIM = "concat(split_part(line_id, ':', 1), ':', split_part(line_id, ':', 2))"
"""Of a line's id (institution, claim, number) what names its claim."""


@dataclass(frozen=True, slots=True)
class ClaimWithdrawal:
    """A claim that is billed no more.

    Args:
        claim: institution and claim, as its lines' ids begin.
    """

    place: Place
    institution_id: str
    claim: str


def stage(staging: Staging, item: ClaimWithdrawal) -> None:
    """Stage a withdrawal."""
    staging.count(NAME)
    values = (item.institution_id, item.claim, item.place.file, item.place.line)
    staging.add(NAME, lambda: _SCHEMA, values)


def drop(
    database: duckdb.DuckDBPyConnection,
    staging: Staging,
    lines: Path | None,
    out: Path,
    folders: tuple[Path, Path],
) -> int:
    """Take the lines of withdrawn claims out of those staged and those there already.

    Args:
        database: the connection.
        staging: what came.
        lines: the staged claim lines; the file is replaced.
        out: the folder of the tables.
        folders: the journal and the history.

    Returns:
        How many lines of this import, and of earlier ones, were left out.
    """
    staged, journal = staging.close(NAME), folders[0] / f"{NAME}.parquet"
    if staged is not None:
        _keep(database, staged, journal)
    if not journal.exists():
        return 0
    database.execute(f"CREATE TABLE withdrawn AS FROM read_parquet({literal(journal)})")
    dropped = _filter(database, lines) if lines is not None else 0
    table = out / "claim_lines.parquet"
    if staged is None or not table.exists():
        return dropped
    database.execute(f"CREATE TABLE gone AS {_matching('SEMI', table)}")
    gone = count(database, "SELECT count(*) FROM gone")
    if gone:
        _to_history(database, folders[1] / "claim_lines.parquet")
        _filter(database, table)
    return dropped + gone


def _matching(join: str, path: Path) -> str:
    return (
        f"SELECT l.* FROM read_parquet({literal(path)}) l {join} JOIN withdrawn w "
        f"ON w.institution_id = l.institution_id AND w.claim = {_CLAIM}"
    )


def _filter(database: duckdb.DuckDBPyConnection, path: Path) -> int:
    """Leave the withdrawn lines out of a file; return how many there were."""
    before = count(database, f"SELECT count(*) FROM read_parquet({literal(path)})")
    kept = path.with_suffix(".kept")
    database.execute(
        f"COPY ({_matching('ANTI', path)}) TO {literal(kept)} (FORMAT parquet, COMPRESSION zstd)"
    )
    put(kept, path)
    return before - count(database, f"SELECT count(*) FROM read_parquet({literal(path)})")


def _keep(database: duckdb.DuckDBPyConnection, staged: Path, journal: Path) -> None:
    earlier = f"UNION ALL FROM read_parquet({literal(journal)})" if journal.exists() else ""
    _copy(
        database,
        "SELECT institution_id, claim, min(file) AS file, arg_min(line, file) AS line "
        f"FROM (FROM read_parquet({literal(staged)}) {earlier}) GROUP BY ALL ORDER BY ALL",
        journal,
    )


def _to_history(database: duckdb.DuckDBPyConnection, history: Path) -> None:
    """Keep the lines that were there, with the place of what withdrew their claim."""
    earlier = f"FROM read_parquet({literal(history)}) UNION ALL BY NAME " if history.exists() else ""
    _copy(
        database,
        f"{earlier} SELECT l.*, w.file AS replaced_by_file, w.line AS replaced_by_line FROM gone l "
        f"JOIN withdrawn w ON w.institution_id = l.institution_id AND w.claim = {_CLAIM}",
        history,
    )


def _copy(database: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    written = path.with_suffix(".merged")
    database.execute(f"COPY ({query}) TO {literal(written)} (FORMAT parquet, COMPRESSION zstd)")
    put(written, path)
