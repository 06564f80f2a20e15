"""Lines whose upload was taken back: they leave the table, and stay away when their file comes again.

A cancellation takes back what was uploaded before it: in one file the order of the messages tells, else
when they were sent (`inf_time`), else when they were imported. An upload after it, word for word the same or
not, is a new one. What came is kept in the journal: when and in which charging batch each line was uploaded
(``line_uploads``), the cancellations (``line_cancellations``), and what they took back
(``cancelled_lines``), so that a file that is imported again brings nothing back.
"""

# ruff: noqa: S608 - the names are our own, the paths are quoted; COPY takes no parameters

from pathlib import Path

import duckdb
import pyarrow as pa

from renzheng.central.claims.files import count, is_there, literal, note_made
from renzheng.central.claims.staging import Staging
from renzheng.central.claims.stay_events import LineCancellation, LineUpload
from renzheng.common.files import put

CANCELLATIONS, UPLOADS, CANCELLED = "line_cancellations", "line_uploads", "cancelled_lines"
_TIME = pa.timestamp("us", tz="UTC")
_POSITION = [("_ordinal", pa.int64()), ("_file", pa.string()), ("_line", pa.int64())]
_CANCELLATION = pa.schema(
    [
        ("institution_id", pa.string()),
        ("visit_id", pa.string()),
        ("line_id", pa.string()),
        ("batch", pa.string()),
        ("sent_at", _TIME),
        *_POSITION,
    ]
)
_UPLOAD = pa.schema(
    [
        ("institution_id", pa.string()),
        ("line_id", pa.string()),
        ("batch", pa.string()),
        ("sent_at", _TIME),
        *_POSITION,
    ]
)
_CORE = "line_id, person_id, item_code, service_time, quantity, amount"
"""What makes one upload of a line the same as another, word for word."""


def stage(staging: Staging, item: LineCancellation | LineUpload) -> None:
    """Stage a cancellation, or how a line came."""
    position = staging.position(item.place)
    if isinstance(item, LineUpload):
        values = (item.institution_id, item.line_id, item.batch, item.sent_at)
        staging.add(UPLOADS, lambda: _UPLOAD, (*values, *position))
    else:
        told = (item.institution_id, item.visit_id, item.line_id, item.batch, item.sent_at)
        staging.add(CANCELLATIONS, lambda: _CANCELLATION, (*told, *position))


def prepare(database: duckdb.DuckDBPyConnection, staging: Staging, journal: Path) -> None:
    """Make the tables that `apply` and the settlements need, and keep what came in the journal.

    Args:
        database: with `prints`, the SHA-256 of each file.
        staging: what came.
        journal: its folder.
    """
    staged, uploads = staging.close(CANCELLATIONS), staging.close(UPLOADS)
    paths = {name: journal / f"{name}.parquet" for name in (CANCELLATIONS, UPLOADS, CANCELLED)}
    _table(database, "uploads_now", uploads, _NO_UPLOADS)
    _table(database, "uploads_before", paths[UPLOADS], _NO_UPLOADS)
    if uploads is not None:
        _write(database, _LATEST_UPLOADS, paths[UPLOADS])
    _table(database, "known_uploads", paths[UPLOADS], _NO_UPLOADS)
    if staged is None and not paths[CANCELLATIONS].exists():
        return
    _table(database, "cancellations_now", staged, _NO_CANCELLATIONS)
    _table(database, "cancellations_before", paths[CANCELLATIONS], f"{_NO_CANCELLATIONS}, '' AS mark")
    _table(database, "cancelled_before", paths[CANCELLED], _NO_CANCELLED)
    database.execute(_ALL_CANCELLATIONS)
    note_made(database, CANCELLATIONS)
    if staged is not None:
        _write(database, _KEPT_CANCELLATIONS, paths[CANCELLATIONS])


def _table(database: duckdb.DuckDBPyConnection, name: str, path: Path | None, empty: str) -> None:
    is_there = path is not None and path.exists()
    rows = (
        f"SELECT * FROM read_parquet({literal(path)})" if path and is_there else f"SELECT {empty} WHERE false"
    )
    database.execute(f"CREATE TABLE {name} AS {rows}")


def _write(database: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    merged = path.with_suffix(".merged")
    database.execute(f"COPY ({query}) TO {literal(merged)} (FORMAT parquet, COMPRESSION zstd)")
    put(merged, path)


def any_came(database: duckdb.DuckDBPyConnection) -> bool:
    """Return whether this import brought cancellations."""
    return are_known(database) and count(database, "SELECT count(*) FROM cancellations_now") > 0


def are_known(database: duckdb.DuckDBPyConnection) -> bool:
    """Return whether any cancellation is known, of this import or an earlier one."""
    return is_there(database, CANCELLATIONS)


def apply(database: duckdb.DuckDBPyConnection, journal: Path, settled: str) -> tuple[int, int]:
    """Take cancelled lines out of `staged_all` and `existing_all`; the rest is `staged`, `existing`.

    Args:
        database: after `prepare`, with the two views and `imported_before`.
        journal: its folder.
        settled: a table of settlements, with `institution_id`, `settlement_id`, `sent_at` and `_ordinal`.

    Returns:
        How many rows were refused (cancelled lines that came again, cancellations of nothing), and how many
        are known to have been taken back since they were sent.
    """
    database.execute(_STRIKE.format(content=f"md5(row({_CORE})::VARCHAR)", settled=settled))
    database.execute(_REMARKS)
    _write(database, _ALL_CANCELLED, journal / f"{CANCELLED}.parquet")
    refused = "SELECT (SELECT count(*) FROM come_again) + (SELECT count(*) FROM of_nothing)"
    withdrawn = (
        "SELECT count(DISTINCT s._ordinal) FROM struck s JOIN line_cancellations c USING (mark) "
        "WHERE c.is_old AND s._ordinal > 0"
    )
    return count(database, refused), count(database, withdrawn)


_PLACE = "0::BIGINT AS _ordinal, '' AS _file, 0::BIGINT AS _line"
_NO_UPLOADS = f"'' AS institution_id, '' AS line_id, '' AS batch, NULL::TIMESTAMPTZ AS sent_at, {_PLACE}"
_NO_CANCELLATIONS = (
    "'' AS institution_id, '' AS visit_id, '' AS line_id, '' AS batch, NULL::TIMESTAMPTZ AS sent_at, "
    + _PLACE
)
_NO_CANCELLED = (
    "'' AS institution_id, '' AS visit_id, '' AS line_id, '' AS batch, '' AS content, "
    "NULL::TIMESTAMPTZ AS cancelled_at, '' AS mark"
)

_LATEST_UPLOADS = """
SELECT * REPLACE (0::BIGINT AS _ordinal, '' AS _file, 0::BIGINT AS _line)
FROM (FROM uploads_before UNION ALL BY NAME FROM uploads_now)
QUALIFY row_number() OVER (
    PARTITION BY institution_id, line_id ORDER BY sent_at DESC NULLS LAST, _ordinal DESC
) = 1
ORDER BY institution_id, line_id
"""

_ALL_CANCELLATIONS = """
CREATE TABLE line_cancellations AS
SELECT c.*, false AS is_old, md5(concat_ws(
    chr(31), c.institution_id, c.visit_id, coalesce(c.line_id, ''), coalesce(c.batch, ''),
    coalesce(c.sent_at::VARCHAR, concat(p.sha256, ':', c._line))
)) AS mark
FROM cancellations_now c LEFT JOIN prints p USING (_file);

INSERT INTO line_cancellations BY NAME
SELECT b.*, true AS is_old FROM cancellations_before b
ANTI JOIN (SELECT mark FROM line_cancellations) USING (mark)
"""
"""`mark` tells cancellations apart, in whatever file they come again."""

_KEPT_CANCELLATIONS = f"""
SELECT DISTINCT institution_id, visit_id, line_id, batch, sent_at, mark, {_PLACE}
FROM line_cancellations ORDER BY ALL
"""

_STRIKE = """
CREATE OR REPLACE TEMP TABLE struck AS
WITH lines AS (
    SELECT s._key, s.line_id, s.institution_id, s.visit_id, s.settlement_id, s._ordinal, s._file,
        u.batch, u.sent_at
    FROM staged_all s LEFT JOIN uploads_now u ON u._ordinal = s._ordinal + 1
    UNION ALL
    SELECT e._key, e.line_id, e.institution_id, e.visit_id, e.settlement_id, 0, '', u.batch, u.sent_at
    FROM existing_all e LEFT JOIN uploads_before u USING (institution_id, line_id)
)
SELECT DISTINCT c._ordinal AS cancellation, c.mark, c.sent_at AS cancelled_at, l._key, l._ordinal, l.batch
FROM line_cancellations c
JOIN lines l USING (institution_id, visit_id)
LEFT JOIN {settled} t ON t.institution_id = l.institution_id AND t.settlement_id = l.settlement_id
LEFT JOIN (SELECT DISTINCT mark FROM cancelled_before) d USING (mark)
WHERE CASE
    WHEN c.line_id IS NOT NULL THEN l.line_id = c.line_id
    WHEN c.batch IS NOT NULL THEN l.batch = c.batch
    WHEN l.settlement_id IS NULL THEN true
    WHEN t.sent_at <> c.sent_at THEN t.sent_at > c.sent_at
    ELSE t._ordinal > c._ordinal
END AND CASE
    WHEN c.is_old THEN l._ordinal > 0 AND l.sent_at < c.sent_at
    WHEN l._file = c._file THEN l._ordinal < c._ordinal
    WHEN l.sent_at <> c.sent_at THEN l.sent_at < c.sent_at
    WHEN l._ordinal = 0 THEN d.mark IS NULL
    ELSE l._ordinal < c._ordinal
END;

CREATE OR REPLACE TEMP TABLE cancelled_now AS
SELECT s.line_id, s.institution_id, s.visit_id, k.batch, {content} AS content, k.cancelled_at, k.mark
FROM staged_all s JOIN (SELECT * EXCLUDE (_key) FROM struck WHERE _ordinal > 0) k USING (_ordinal)
UNION
SELECT e.line_id, e.institution_id, e.visit_id, k.batch, {content}, k.cancelled_at, k.mark
FROM existing_all e JOIN (FROM struck WHERE _ordinal = 0) k USING (_key);

CREATE OR REPLACE TEMP TABLE come_again AS
SELECT s._ordinal, s._file, s._line, s.line_id
FROM (SELECT *, {content} AS content FROM staged_all) s
LEFT JOIN uploads_now u ON u._ordinal = s._ordinal + 1
LEFT JOIN imported_before i ON i._file = s._file
ANTI JOIN (FROM struck WHERE _ordinal > 0) k ON k._ordinal = s._ordinal
ANTI JOIN (
    SELECT _key, {content} AS content
    FROM existing_all ANTI JOIN (FROM struck WHERE _ordinal = 0) USING (_key)
) e ON e._key = s._key AND e.content = s.content
WHERE EXISTS (
    FROM cancelled_before b
    WHERE b.institution_id = s.institution_id AND b.line_id = s.line_id AND b.content = s.content
      AND CASE WHEN u.sent_at IS NULL OR b.cancelled_at IS NULL THEN i._file IS NOT NULL
               ELSE u.sent_at <= b.cancelled_at END
);

CREATE OR REPLACE TEMP TABLE of_nothing AS
SELECT c.*
FROM line_cancellations c
ANTI JOIN struck s ON s.mark = c.mark
ANTI JOIN cancelled_before k ON k.institution_id = c.institution_id AND k.visit_id = c.visit_id
  AND (c.line_id IS NULL OR c.line_id = k.line_id)
  AND (c.batch IS NULL OR c.batch = k.batch)
WHERE NOT c.is_old;

CREATE OR REPLACE VIEW existing AS
FROM existing_all ANTI JOIN (FROM struck WHERE _ordinal = 0) USING (_key);

CREATE OR REPLACE VIEW staged AS
FROM staged_all
ANTI JOIN (SELECT _ordinal FROM struck WHERE _ordinal > 0 UNION SELECT _ordinal FROM come_again)
USING (_ordinal)
"""
"""An upload is staged right behind its line, so its ordinal is the next; an existing line has ordinal 0."""

_ALL_CANCELLED = """
SELECT DISTINCT institution_id, visit_id, line_id, batch, content, cancelled_at, mark
FROM (FROM cancelled_now UNION ALL BY NAME FROM cancelled_before)
ORDER BY ALL
"""

_REMARKS = """
INSERT INTO remarks
SELECT 'claim_lines', _file, _line, 'feedetl_sn', 'cancelled', left(line_id, 120), false FROM come_again
UNION ALL
SELECT 'claim_lines', _file, _line, if(batch IS NULL, 'feedetl_sn', 'chrg_bchno'), 'cancels_nothing',
    left(coalesce(line_id, batch, visit_id), 120), false
FROM of_nothing
"""
