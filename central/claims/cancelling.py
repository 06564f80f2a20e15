"""Lines whose upload was taken back: they leave the table, and stay away when their file comes again.

A cancellation takes back what came before it, in this import or an earlier one. What it took back is kept in
the journal (``journal/cancelled_lines.parquet``): the same line, word for word, is then not taken again; a
line with other content under the same number is a new upload. In which charging batch a line came
(``journal/line_batches.parquet``) is kept too, for cancellations name batches.
"""

# ruff: noqa: S608 - the names are our own, the paths are quoted; COPY takes no parameters

from pathlib import Path

import duckdb
import pyarrow as pa

from renzheng.central.claims.files import count, literal, replace
from renzheng.central.claims.staging import Staging
from renzheng.central.claims.stay_events import LineBatch, LineCancellation

CANCELLATIONS, BATCHES, CANCELLED = "line_cancellations", "line_batches", "cancelled_lines"
_TEXTS = ("institution_id", "visit_id", "line_id", "batch")
_CANCELLATION = pa.schema(
    [
        *((name, pa.string()) for name in _TEXTS),
        ("_ordinal", pa.int64()),
        ("_file", pa.string()),
        ("_line", pa.int64()),
    ]
)
_BATCH = pa.schema([("line_id", pa.string()), ("batch", pa.string())])


def stage(staging: Staging, item: LineCancellation | LineBatch) -> None:
    """Stage a cancellation, or the batch of a line."""
    if isinstance(item, LineBatch):
        staging.add(BATCHES, lambda: _BATCH, (item.line_id, item.batch))
    else:
        told = (item.institution_id, item.visit_id, item.line_id, item.batch)
        staging.add(CANCELLATIONS, lambda: _CANCELLATION, (*told, *staging.position(item.place)))


def prepare(database: duckdb.DuckDBPyConnection, staging: Staging, journal: Path) -> None:
    """Make the tables `line_cancellations`, `line_batches` and `cancelled_before`, where they are needed."""
    staged, batches = staging.close(CANCELLATIONS), staging.close(BATCHES)
    known, cancelled = journal / f"{BATCHES}.parquet", journal / f"{CANCELLED}.parquet"
    if batches is not None:
        journal.mkdir(exist_ok=True)
        _merge(database, f"SELECT * FROM read_parquet({literal(batches)})", known)
    if staged is None and not cancelled.exists():
        return
    for name, path, columns in (
        (CANCELLATIONS, staged, "*"),
        (BATCHES, known if known.exists() else None, "*"),
        ("cancelled_before", cancelled if cancelled.exists() else None, "*"),
    ):
        empty = _EMPTY[name]
        origin = f"SELECT {columns} FROM read_parquet({literal(path)})" if path is not None else empty
        database.execute(f"CREATE TABLE {name} AS {origin}")


def any_came(database: duckdb.DuckDBPyConnection) -> bool:
    """Tell whether this import brought cancellations."""
    made = database.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = ?", [CANCELLATIONS]).fetchone()
    return made is not None and count(database, f"SELECT count(*) FROM {CANCELLATIONS}") > 0


_EMPTY = {
    CANCELLATIONS: "SELECT '' AS institution_id, '' AS visit_id, '' AS line_id, '' AS batch, 0 AS _ordinal, "
    "'' AS _file, 0 AS _line WHERE false",
    BATCHES: "SELECT '' AS line_id, '' AS batch WHERE false",
    "cancelled_before": "SELECT '' AS line_id, '' AS institution_id, '' AS visit_id, '' AS content "
    "WHERE false",
}


def apply(database: duckdb.DuckDBPyConnection, columns: str, journal: Path) -> int:
    """Take cancelled lines out of `staged_all` and `existing_all`; the rest is `staged`, `existing`.

    Returns:
        How many rows were refused: cancelled lines that came again, and cancellations of nothing.
    """
    database.execute(_STRIKE.format(content=f"md5(row({columns})::VARCHAR)"))
    database.execute(_REMARKS)
    path = journal / f"{CANCELLED}.parquet"
    journal.mkdir(exist_ok=True)
    _merge(database, "SELECT line_id, institution_id, visit_id, content FROM cancelled_now", path)
    return count(database, "SELECT (SELECT count(*) FROM come_again) + (SELECT count(*) FROM of_nothing)")


def _merge(database: duckdb.DuckDBPyConnection, rows: str, path: Path) -> None:
    earlier = f" UNION SELECT * FROM read_parquet({literal(path)})" if path.exists() else ""
    merged = path.with_suffix(".merged")
    database.execute(
        f"COPY (SELECT DISTINCT * FROM ({rows}{earlier}) ORDER BY ALL) TO {literal(merged)} "
        "(FORMAT parquet, COMPRESSION zstd)"
    )
    replace(merged, path)


_STRIKE = """
CREATE OR REPLACE TEMP TABLE struck AS
WITH lines AS (
    SELECT _key, line_id, institution_id, visit_id, settlement_id, _ordinal FROM staged_all
    UNION ALL
    SELECT _key, line_id, institution_id, visit_id, settlement_id, 0 FROM existing_all
)
SELECT DISTINCT c._ordinal AS cancellation, l._key, l._ordinal
FROM line_cancellations c
JOIN lines l
  ON l.institution_id = c.institution_id AND l.visit_id = c.visit_id AND l._ordinal < c._ordinal
LEFT JOIN line_batches b ON b.line_id = l.line_id
WHERE CASE
    WHEN c.line_id IS NOT NULL THEN l.line_id = c.line_id
    WHEN c.batch IS NOT NULL THEN b.batch = c.batch
    ELSE l.settlement_id IS NULL
END;

CREATE OR REPLACE TEMP TABLE cancelled_now AS
SELECT line_id, institution_id, visit_id, {content} AS content
FROM staged_all SEMI JOIN (FROM struck WHERE _ordinal > 0) USING (_ordinal)
UNION
SELECT line_id, institution_id, visit_id, {content}
FROM existing_all SEMI JOIN (FROM struck WHERE _ordinal = 0) USING (_key);

CREATE OR REPLACE TEMP TABLE come_again AS
SELECT s._ordinal, s._file, s._line, s.line_id
FROM (SELECT _ordinal, _file, _line, institution_id, line_id, {content} AS _content FROM staged_all) s
ANTI JOIN (FROM struck WHERE _ordinal > 0) USING (_ordinal)
SEMI JOIN (
    SELECT institution_id, line_id, content FROM cancelled_now
    UNION
    SELECT institution_id, line_id, content FROM cancelled_before
) k ON k.institution_id = s.institution_id AND k.line_id = s.line_id AND k.content = s._content;

CREATE OR REPLACE TEMP TABLE of_nothing AS
SELECT c.*
FROM line_cancellations c
ANTI JOIN struck s ON s.cancellation = c._ordinal
ANTI JOIN (
    SELECT k.*, b.batch FROM cancelled_before k LEFT JOIN line_batches b ON b.line_id = k.line_id
) k ON k.institution_id = c.institution_id AND k.visit_id = c.visit_id
  AND coalesce(c.line_id, k.line_id) = k.line_id
  AND (c.batch IS NULL OR c.batch = k.batch);

CREATE OR REPLACE VIEW existing AS
FROM existing_all ANTI JOIN (FROM struck WHERE _ordinal = 0) USING (_key);

CREATE OR REPLACE VIEW staged AS
FROM staged_all
ANTI JOIN (SELECT _ordinal FROM struck WHERE _ordinal > 0 UNION SELECT _ordinal FROM come_again)
USING (_ordinal)
"""

_REMARKS = """
INSERT INTO remarks
SELECT 'claim_lines', _file, _line, 'feedetl_sn', 'cancelled', left(line_id, 120), false FROM come_again
UNION ALL
SELECT 'claim_lines', _file, _line, if(batch IS NULL, 'feedetl_sn', 'chrg_bchno'), 'cancels_nothing',
    left(coalesce(line_id, batch, visit_id), 120), false
FROM of_nothing
"""
