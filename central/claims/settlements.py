"""Settlements at rest: which lines each is about, what the fund paid of a line, and what was taken back.

They are kept in the journal (``settlements``, ``settlement_cancellations``, ``line_codes``), for lines,
settlements and cancellations come in any order, over weeks. The fund's share of a line and its traceability
code are therefore never taken from the table as it was: they follow from the journal at each import.
"""

# ruff: noqa: S608 - the names are our own, the paths are quoted; COPY takes no parameters

from dataclasses import fields
from pathlib import Path

import duckdb
import pyarrow as pa

from renzheng.central.claims.files import count, insert, is_there, literal, note_made
from renzheng.central.claims.rejects import Reason
from renzheng.central.claims.staging import Staging
from renzheng.central.claims.stay_events import LineCode, Settlement, SettlementCancellation
from renzheng.common.files import put

Told = Settlement | SettlementCancellation | LineCode
SETTLEMENTS, CANCELLATIONS, CODES = "settlements", "settlement_cancellations", "line_codes"
_NAMES: dict[type, str] = {Settlement: SETTLEMENTS, SettlementCancellation: CANCELLATIONS, LineCode: CODES}
_YUAN, _TIMES = {"total", "fund"}, {"from_at", "to_at", "sent_at"}
_POSITION = [("_ordinal", pa.int64()), ("_file", pa.string()), ("_line", pa.int64())]


def _schema(kind: type) -> pa.Schema:
    """Return the Arrow schema of a dataclass, with the position of its message."""
    columns = [
        pa.field(
            one.name,
            pa.decimal128(16, 2)
            if one.name in _YUAN
            else pa.timestamp("us", tz="UTC")
            if one.name in _TIMES
            else pa.string(),
        )
        for one in fields(kind)
        if one.name != "place"
    ]
    return pa.schema([*columns, *_POSITION])


_SCHEMAS = {kind: _schema(kind) for kind in _NAMES}


def stage(staging: Staging, item: Told) -> None:
    """Stage what a message said of settlements."""
    name, schema = _NAMES[type(item)], _SCHEMAS[type(item)]
    values = (getattr(item, column) for column in schema.names[: -len(_POSITION)])
    staging.count(name)
    staging.add(name, lambda: schema, (*values, *staging.position(item.place)))


def prepare(database: duckdb.DuckDBPyConnection, staging: Staging, journal: Path) -> None:
    """Merge what was staged into the journal, and make `settled` and `line_code` where anything is known."""
    staged = {kind: staging.close(name) for kind, name in _NAMES.items()}
    paths = {kind: journal / f"{name}.parquet" for kind, name in _NAMES.items()}
    if not any(staged.values()) and not any(path.exists() for path in paths.values()):
        return
    journal.mkdir(exist_ok=True)
    for kind, name in _NAMES.items():
        _merge(database, kind, staged[kind], paths[kind])
        rows = (
            f"FROM read_parquet({literal(paths[kind])})" if paths[kind].exists() else _nothing(_SCHEMAS[kind])
        )
        database.execute(f"CREATE TABLE {name}_told AS {rows}")
    now = staged[Settlement]
    rows = f"FROM read_parquet({literal(now)})" if now is not None else _nothing(_SCHEMAS[Settlement])
    database.execute(f"CREATE TABLE settlements_now AS {rows}")
    came = [(name,) for kind, name in _NAMES.items() if staged[kind] is not None]
    database.execute("CREATE TABLE settlements_came (name VARCHAR)")
    insert(database, "settlements_came", came)
    database.execute(_SETTLED)
    note_made(database, "settled")
    database.execute(_LINE_CODE)


def _merge(database: duckdb.DuckDBPyConnection, kind: type, staged: Path | None, path: Path) -> None:
    """Add what was staged to a journal, each entry once; `arrival` is the import that first brought it."""
    if staged is None:
        return
    columns = ", ".join(_SCHEMAS[kind].names[: -len(_POSITION)])
    old = f"read_parquet({literal(path)})"
    earlier = f"UNION ALL BY NAME SELECT {columns}, arrival FROM {old}" if path.exists() else ""
    arrival = f"(SELECT max(arrival) + 1 FROM {old})" if path.exists() else "0"
    merged = path.with_suffix(".merged")
    database.execute(
        f"COPY (SELECT {columns}, min(arrival) AS arrival FROM (SELECT {columns}, {arrival} AS arrival "
        f"FROM read_parquet({literal(staged)}) {earlier}) GROUP BY {columns} ORDER BY arrival, {columns}) "
        f"TO {literal(merged)} (FORMAT parquet, COMPRESSION zstd)"
    )
    put(merged, path)


def _nothing(schema: pa.Schema) -> str:
    """Return a query without rows, with the columns of a schema and `arrival`."""
    types = {pa.int64(): "BIGINT", pa.decimal128(16, 2): "DECIMAL(16,2)", pa.string(): "VARCHAR"}
    columns = ", ".join(f"NULL::{types.get(one.type, 'TIMESTAMPTZ')} AS {one.name}" for one in schema)
    return f"SELECT {columns}, 0 AS arrival WHERE false"


def are_known(database: duckdb.DuckDBPyConnection) -> bool:
    """Return whether anything is known of settlements."""
    return is_there(database, "settled")


def any_came(database: duckdb.DuckDBPyConnection) -> bool:
    """Return whether this import brought settlements, cancellations of some, or traceability codes."""
    return are_known(database) and count(database, "SELECT count(*) FROM settlements_came") > 0


NONE_SETTLED = (
    "(SELECT '' AS institution_id, '' AS settlement_id, NULL::TIMESTAMPTZ AS sent_at, 0 AS _ordinal "
    "WHERE false)"
)
"""Stands for the table `settled` where nothing is known."""


def filled(rows: str) -> str:
    """Return a query for lines with settlement and traceability code as the journal has them.

    What the fund paid of lines whose settlement is in the journal is left out: `with_fund` works it out over
    all lines of the settlement. `known_uploads` must be there.
    """
    return _FILLED.format(rows=rows)


def with_fund(rows: str, columns: str) -> str:
    """Return a query for lines with the fund's part of each amount, such that a settlement's sum closes."""
    others = ", ".join(name for name in columns.split(", ") if name != "fund_amount")
    return _WITH_FUND.format(rows=rows, columns=columns, others=others)


TOLD = "'total ' || total || ', lines ' || amount || ': ' || settlement"
"""What a remark says of a settlement; it begins with a word: a spreadsheet runs what begins with a sign."""


def note_differences(database: duckdb.DuckDBPyConnection, lines: Path) -> None:
    """Remark on every settlement whose total is not the sum of its lines, of all that are known.

    One of which no line is there yet is left alone: lines may come after their settlement. A cent a line is
    rounding. What earlier imports remarked of it is no longer true, see `settle.write_remarks`.
    """
    database.execute(
        _DIFFERING.format(lines=literal(lines), told=TOLD),
        {"target": SETTLEMENTS, "reason": Reason.SETTLEMENT_DIFFERS.value},
    )
    note_made(database, COMPARED)


COMPARED = "settlements_compared"
"""Noted when the totals of settlements were compared with their lines."""
_DIFFERING = """
INSERT INTO remarks
SELECT $target, file, line, 'medfee_sumamt', $reason, left({told}, 120), true
FROM (
    SELECT coalesce(arg_max(n._file, n._ordinal), '') AS file,
        coalesce(arg_max(n._line, n._ordinal), 0) AS line,
        s.institution_id || ' ' || s.settlement_id AS settlement,
        any_value(s.total) AS total, any_value(l.amount) AS amount
    FROM settled s
    JOIN (
        SELECT institution_id, settlement_id, count(*) AS lines, sum(amount)::DECIMAL(16,2) AS amount
        FROM read_parquet({lines}) WHERE settlement_id IS NOT NULL GROUP BY ALL
    ) l ON l.institution_id = s.institution_id AND l.settlement_id = s.settlement_id
    LEFT JOIN settlements_now n ON n.institution_id = s.institution_id AND n.settlement_id = s.settlement_id
    WHERE NOT s.is_void AND abs(s.total - l.amount) > 0.01 * l.lines
    GROUP BY s.institution_id, s.settlement_id
)
"""

_SETTLED = """
CREATE TABLE settled AS
WITH voided AS (
    SELECT institution_id, settlement_id FROM settlement_cancellations_told
    UNION
    SELECT s.institution_id, s.settlement_id FROM settlements_told s
    JOIN settlement_cancellations_told c USING (institution_id, message_id)
)
SELECT
    s.institution_id, s.settlement_id, min(s.visit_id) AS visit_id, max(s.batch) AS batch,
    min(s.from_at) AS from_at,
    coalesce(max(s.to_at) FILTER (s.from_at IS NOT NULL), max(s.to_at)) AS to_at,
    arg_max(s.total, s.arrival) FILTER (s.total IS NOT NULL) AS total,
    arg_max(s.fund, s.arrival) FILTER (s.fund IS NOT NULL) AS fund,
    max(s.sent_at) AS sent_at,
    coalesce(max(n._ordinal), 0) AS _ordinal,
    bool_or(v.settlement_id IS NOT NULL) AS is_void
FROM settlements_told s
LEFT JOIN voided v ON v.institution_id = s.institution_id AND v.settlement_id = s.settlement_id
LEFT JOIN settlements_now n ON n.institution_id = s.institution_id AND n.settlement_id = s.settlement_id
GROUP BY s.institution_id, s.settlement_id
"""

_LINE_CODE = """
CREATE TABLE line_code AS
SELECT k.institution_id, k.line_id,
    arg_max(k.code, k.arrival) FILTER (s.is_void IS NOT TRUE) AS code,
    list(k.code) FILTER (s.is_void) AS void
FROM line_codes_told k LEFT JOIN settled s USING (institution_id, settlement_id)
GROUP BY k.institution_id, k.line_id
"""

_FILLED = """
SELECT l.* REPLACE (
    coalesce(if(own.is_void, NULL, l.settlement_id), (
        SELECT arg_min(
            s.settlement_id, concat(coalesce(epoch_us(s.to_at), 9e18)::BIGINT, '-', s.settlement_id)
        )
        FROM settled s
        WHERE NOT s.is_void AND s.institution_id = l.institution_id AND s.visit_id = l.visit_id
          AND (s.batch IS NULL OR u.batch IS NULL OR s.batch = u.batch)
          AND (s.from_at IS NULL OR l.service_time >= s.from_at)
          AND (s.to_at IS NULL OR l.service_time < s.to_at)
    )) AS settlement_id,
    coalesce(k.code, if(list_contains(k.void, l.traceability_code), NULL, l.traceability_code))
        AS traceability_code,
    if(own.fund IS NULL, l.fund_amount, NULL) AS fund_amount
)
FROM ({rows}) l
LEFT JOIN settled own ON own.institution_id = l.institution_id AND own.settlement_id = l.settlement_id
LEFT JOIN known_uploads u ON u.institution_id = l.institution_id AND u.line_id = l.line_id
LEFT JOIN line_code k ON k.institution_id = l.institution_id AND k.line_id = l.line_id
"""

_WITH_FUND = """
WITH lines AS MATERIALIZED ({rows}),
paid AS (
    SELECT institution_id, settlement_id, (fund * 100)::HUGEINT AS f, (total * 100)::HUGEINT AS t
    FROM settled WHERE NOT is_void AND total > 0 AND fund BETWEEN 0 AND total
),
shares AS (
    SELECT l.*, f, t, (l.amount * 100)::HUGEINT AS a,
        sign(a * f) * ((2 * abs(a * f) + t) // (2 * t)) AS r, a * f - r * t AS left_over
    FROM lines l JOIN paid USING (institution_id, settlement_id)
),
sums AS (
    SELECT *, sum(a) OVER settlement AS all_a,
        (if(all_a = t, f, sign(all_a * f) * ((2 * abs(all_a * f) + t) // (2 * t))) - sum(r) OVER settlement)
            AS cents
    FROM shares WINDOW settlement AS (PARTITION BY institution_id, settlement_id)
),
ranked AS (
    SELECT *, row_number() OVER (
        PARTITION BY institution_id, settlement_id ORDER BY sign(cents) * left_over DESC, line_id
    ) AS turn
    FROM sums
)
SELECT {columns} FROM (
    SELECT {others},
        ((r + if(turn <= abs(cents), sign(cents), 0))::DECIMAL(16,0) * 0.01)::DECIMAL(16,2) AS fund_amount
    FROM ranked
    UNION ALL BY NAME
    SELECT {columns} FROM lines ANTI JOIN paid USING (institution_id, settlement_id)
)
"""
"""Each line's part is rounded by itself, halves away from zero, in whole cents; the cents by which their sum
then misses that of the settlement go to the lines that were rounded the most."""
