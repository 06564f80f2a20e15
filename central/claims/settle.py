"""Settling an import: repeated keys, reversals of nothing, merging with earlier rows, lists of remarks."""

# ruff: noqa: S608 - the names are those of the canonical tables, the paths are quoted; COPY takes no parameters

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import duckdb

from renzheng.central.claims import cancelling, settlements
from renzheng.central.claims.files import count, insert, is_there, literal, note_made
from renzheng.central.claims.rejects import NO_BILL, Reason
from renzheng.central.claims.rows import TIMES
from renzheng.central.claims.staging import KEY_SEPARATOR
from renzheng.common.files import put
from renzheng.contracts.errors import InputError
from renzheng.contracts.tables import REJECTS, ColumnType, Table

REMARK_COLUMNS = ("file", "line", "field", "reason", "explanation_zh", "explanation_en", "value")


class OutputError(InputError):
    """The output folder holds a table in a form that an import cannot add to."""


@dataclass(frozen=True, slots=True)
class SettledTable:
    """How many rows a table gained, had word for word, refused as repeats, and took in another's place."""

    added: int = 0
    unchanged: int = 0
    refused: int = 0
    replaced: int = 0


@dataclass(frozen=True, slots=True)
class Billed:
    """Claim lines of one import.

    Args:
        rows: all that came.
        yuan: their amounts without signs.
        unreadable: rows refused of which not even the amount could be read.
        refused_yuan: the amounts of the rows refused.
    """

    rows: int = 0
    yuan: Decimal = Decimal(0)
    unreadable: int = 0
    refused_yuan: Decimal = Decimal(0)


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
    """Make the table `remarks`, for what is said of rows, and that for the reasons' explanations."""
    database.execute(
        "CREATE TABLE remarks (target VARCHAR, file VARCHAR, line BIGINT, field VARCHAR, reason VARCHAR, "
        "value VARCHAR, warning BOOLEAN)"
    )
    database.execute(
        "CREATE TABLE explanations (reason VARCHAR, explanation_zh VARCHAR, explanation_en VARCHAR)"
    )


def settle_table(
    database: duckdb.DuckDBPyConnection,
    table: Table,
    staged: Path,
    out: Path,
    *,
    sources: Mapping[str, str] | None = None,
    fills: bool = False,
) -> SettledTable:
    """Merge one staged table into `out`; what is to be said of repeated rows goes to the table `remarks`.

    Of several rows with one key in one file the first is kept. In a table of `CORRECTED`, a later file's row
    replaces that of an earlier file, which goes to ``history/NAME.parquet``; in the others the first stays. A
    row that an earlier import brought word for word is counted as unchanged, and so is one that has been
    replaced since when its file (`imported_before`) comes again: importing a file twice changes nothing.
    Where there is a table `touched`, the stays and leaves of its visits are replaced by those staged. Where
    there is a table `facts`, settlement, department and doctor of lines that lack them come from there.

    Args:
        database: with `remarks` and `imported_before` begun.
        table: the canonical table.
        staged: its staged rows.
        out: the folder of the tables.
        sources: canonical column to the name in the file, for remarks.
        fills: blanks of a staged row keep what the table holds already.
    """
    sources = sources or {}
    target, history = out / f"{table.name}.parquet", out / HISTORY / f"{table.name}.parquet"
    columns = ", ".join(column.name for column in table.columns)
    cancels = table.name == "claim_lines" and cancelling.are_known(database)
    suffix = "_all" if cancels else ""
    _view(database, table, f"existing{suffix}", target if target.exists() else None, "")
    joined = _view(database, table, f"staged{suffix}", staged, ", _ordinal, _file, _line", fills=fills)
    pays = table.name == "claim_lines" and settlements.are_known(database)
    settled = "settled" if pays else settlements.NONE_SETTLED
    cancelled, withdrawn = cancelling.apply(database, out / JOURNAL, settled) if cancels else (0, 0)
    if joined or cancels:
        _join_once(database, staged.with_suffix(".joined"))
    named = "line_id" if table.name == "claim_lines" else table.key[0] if table.key else ""
    repeats = _judge_repeats(database, table, columns, history)
    if repeats:
        database.execute(
            _REPEAT_REMARKS.format(shown=named or "_key"),
            {"target": table.name, "field": sources.get(named, named)},
        )
        _refuse_repeats(database, table, sources.get(named, named))
    if table.name == "claim_lines" and _any(database, "staged WHERE reverses_line_id IS NOT NULL"):
        database.execute(_REVERSALS_OF_NOTHING, [sources.get("reverses_line_id", "reverses_line_id")])
    _note_accepted(database, table)
    kept = "existing"
    is_folded = table.name in REPLACED and is_there(database, "touched")
    if is_folded:
        kept = "(FROM existing ANTI JOIN touched USING (institution_id, visit_id))"
        database.execute("DELETE FROM repeats WHERE outcome = 'unchanged'")
    elif repeats:
        if _any(database, "replaced"):
            kept = "(FROM existing ANTI JOIN replaced USING (_key))"
        _keep_history(database, ", ".join(f"o.{column.name}" for column in table.columns), history)
    merged = staged.with_suffix(".merged")
    taken = f"SELECT {columns} FROM staged ANTI JOIN repeats USING (_ordinal)"
    rows_now = f"SELECT {columns} FROM {kept} UNION ALL {taken}"
    rows_now = settlements.with_fund(rows_now, columns) if pays else rows_now
    database.execute(f"COPY ({rows_now}) TO {literal(merged)} (FORMAT parquet, COMPRESSION zstd)")
    if pays:
        settlements.note_differences(database, merged)
    rows = count(database, "SELECT count(*) FROM staged")
    told = "SELECT outcome, count(*) FROM repeats GROUP BY outcome"
    outcomes = dict(database.execute(told).fetchall()) if repeats else {}
    refused = outcomes.get("duplicate", 0) + outcomes.get("duplicate_differs", 0)
    unchanged = (
        count(database, "SELECT count(*) FROM staged SEMI JOIN existing USING (_key)")
        if is_folded
        else outcomes.get("unchanged", 0)
    )
    gave_way = count(database, "SELECT count(*) FROM replaced") if repeats else 0
    replaced = gave_way + outcomes.get("replaced", 0)
    put(merged, target)
    added = rows - refused - unchanged - replaced
    return SettledTable(added, unchanged + withdrawn, refused + cancelled, replaced)


def _any(database: duckdb.DuckDBPyConnection, rows: str) -> bool:
    """Return whether a FROM clause has any row."""
    return database.execute(f"SELECT 1 FROM {rows} LIMIT 1").fetchone() is not None


def _join_once(database: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Write what the view `staged` joins from the journal to a file: a dozen queries read it."""
    database.execute(f"COPY (FROM staged) TO {literal(path)} (FORMAT parquet)")
    database.execute(f"CREATE OR REPLACE VIEW staged AS FROM read_parquet({literal(path)})")


def _judge_repeats(database: duckdb.DuckDBPyConnection, table: Table, columns: str, history: Path) -> bool:
    """Make `repeats` (staged rows not taken, and why) and `replaced` (keys of rows that give way).

    Returns:
        Whether any key comes more than once.
    """
    corrected = table.name in CORRECTED
    database.execute(_REPEATED)
    if not _any(database, "repeated"):
        database.execute(_NO_REPEATS)
        return False
    database.execute(_VERSIONS.format(columns=columns, part="_file" if corrected else "'' AS _file"))
    if history.exists() and corrected:
        database.execute(_SUPERSEDED.format(columns=columns, history=literal(history)))
    database.execute(
        _OUTCOMES.format(
            winner="max" if corrected else "min",
            loser="'replaced'" if corrected else "'duplicate_differs'",
        )
    )
    return True


def _note_accepted(database: duckdb.DuckDBPyConnection, table: Table) -> None:
    """Remember the keys of the rows that this import brought: what was refused under them is settled."""
    if not table.key or not _any(database, "rejects_known WHERE row_key IS NOT NULL"):
        return
    database.execute(
        "INSERT INTO accepted SELECT ?, _key, _ordinal FROM staged ANTI JOIN repeats USING (_ordinal) "
        "SEMI JOIN (SELECT row_key AS _key FROM rejects_known WHERE row_key IS NOT NULL) USING (_key)",
        [table.name],
    )


def _refuse_repeats(database: duckdb.DuckDBPyConnection, table: Table, field: str) -> None:
    """Keep rows with a repeated id and other content as rejects."""

    def known(name: str) -> str:
        return name if name in table.by_name else "NULL"

    day, time = "NULL", TIMES.get(table.name)
    if (
        time is not None
        and table.by_name[time].type is ColumnType.TIMESTAMP
        and table.by_name.get("institution_id")
    ):
        day = (
            f"({time} AT TIME ZONE coalesce(zone, (SELECT zone FROM zones WHERE institution_id = '')))::DATE"
        )
    database.execute(
        _REPEATS_REFUSED.format(
            institution=known("institution_id"),
            person=known("person_id"),
            visit=known("visit_id"),
            amount=known("amount"),
            day=day,
            zones="LEFT JOIN zones USING (institution_id)" if day != "NULL" else "",
        ),
        {"target": table.name, "field": field},
    )


def _keep_history(database: duckdb.DuckDBPyConnection, columns: str, history: Path) -> None:
    """Add the rows that were replaced to the table's history, with the place of what replaced them."""
    if not count(database, "SELECT count(*) FROM given_way"):
        return
    history.parent.mkdir(exist_ok=True)
    earlier = f"FROM read_parquet({literal(history)}) UNION ALL BY NAME " if history.exists() else ""
    merged = history.with_suffix(".merged")
    database.execute(
        f"COPY ({earlier} {_GIVEN_WAY.format(columns=columns)}) TO {literal(merged)} "
        "(FORMAT parquet, COMPRESSION zstd)"
    )
    put(merged, history)


JOURNAL, HISTORY = "journal", "history"
CORRECTED = frozenset({"claim_lines", "persons", "institutions", "item_catalogue"})
"""Tables of which a later file's row replaces an earlier file's with the same key; of the others, which hold
what devices and people witnessed, the first stays."""
REPLACED = frozenset({"stays", "leaves"})
"""Tables whose rows follow from a visit's events."""


def replace_stays(database: duckdb.DuckDBPyConnection, staged: Path, out: Path) -> int:
    """Let staged stays take the place of those that an earlier import told of the same visits.

    A visit of which messages were imported keeps what they told: they know its beds and its leaves.

    Returns:
        How many staged stays give way to messages.
    """
    events, rows = out / JOURNAL / "stay_events.parquet", f"read_parquet({literal(staged)})"
    given_way = 0
    if events.exists():
        told = f"read_parquet({literal(events)}) USING (institution_id, visit_id)"
        given_way = count(database, f"SELECT count(*) FROM {rows} SEMI JOIN {told}")
        left = staged.with_suffix(".left")
        database.execute(f"COPY (FROM {rows} ANTI JOIN {told}) TO {literal(left)} (FORMAT parquet)")
        put(left, staged)
    database.execute(
        f"CREATE OR REPLACE TABLE touched AS SELECT DISTINCT institution_id, visit_id FROM {rows}"
    )
    note_made(database, "touched")
    return given_way


def see_facts(database: duckdb.DuckDBPyConnection, journal: Path) -> None:
    """Let lines be filled from the journal of facts about visits."""
    database.execute(f"CREATE TABLE facts AS FROM read_parquet({literal(journal)})")
    note_made(database, "facts")


_FILLED = """
SELECT lines.* REPLACE (
    coalesce(lines.department, f.department) AS department,
    coalesce(lines.doctor_id, f.doctor_id) AS doctor_id
)
FROM ({rows}) lines
LEFT JOIN (
    SELECT institution_id, visit_id, min(department) AS department, min(doctor_id) AS doctor_id
    FROM facts GROUP BY ALL
) f USING (institution_id, visit_id)
"""


_REPEATED = """
CREATE OR REPLACE TEMP TABLE repeated AS
SELECT _key FROM (SELECT _key FROM staged UNION ALL SELECT _key FROM existing)
GROUP BY _key HAVING count(*) > 1
"""

_NO_REPEATS = """
CREATE OR REPLACE TEMP TABLE repeats (_ordinal BIGINT, _key VARCHAR, outcome VARCHAR)
"""

_VERSIONS = """
CREATE OR REPLACE TEMP TABLE versions AS
SELECT *, first_value(content) OVER in_file AS first_content, row_number() OVER in_file AS in_file
FROM (
    SELECT _ordinal, {part}, _line, _key, hash(row({columns})) AS content, false AS superseded
    FROM staged SEMI JOIN repeated USING (_key)
    UNION ALL
    SELECT 0, '', 0, _key, hash(row({columns})), false FROM existing SEMI JOIN repeated USING (_key)
)
WINDOW in_file AS (PARTITION BY _key, _file ORDER BY _ordinal);
"""
"""Every row whose key comes more than once; an existing one has ordinal 0."""

_SUPERSEDED = """
UPDATE versions SET superseded = true
FROM (
    SELECT s._ordinal
    FROM staged s JOIN imported_before USING (_file)
    JOIN (SELECT DISTINCT hash(row({columns})) AS content FROM read_parquet({history})) h
      ON h.content = hash(row({columns}))
) old
WHERE versions._ordinal = old._ordinal
"""
"""A row of a file that was imported before, and replaced since."""

_OUTCOMES = """
CREATE OR REPLACE TEMP TABLE winners AS
WITH heads AS (FROM versions WHERE in_file = 1 AND NOT superseded),
last AS (SELECT _key, arg_{winner}(content, _ordinal) AS content FROM heads GROUP BY _key)
SELECT _key, any_value(last.content) AS content, bool_or(_ordinal = 0) AS existed,
    min(_ordinal) FILTER (heads.content = last.content) AS winner
FROM heads JOIN last USING (_key) GROUP BY _key;

CREATE OR REPLACE TEMP TABLE repeats AS
SELECT _ordinal, _key, outcome
FROM (
    SELECT v._ordinal, v._key,
        CASE
            WHEN v.superseded THEN 'unchanged'
            WHEN v._ordinal = w.winner THEN NULL
            WHEN v.in_file > 1 AND v.content <> v.first_content THEN 'duplicate_differs'
            WHEN v.content = w.content
                THEN if(w.winner = 0 AND v._ordinal = v.first_same, 'unchanged', 'duplicate')
            WHEN v.in_file > 1 THEN 'duplicate'
            ELSE {loser}
        END AS outcome
    FROM (
        SELECT *, min(_ordinal) FILTER (_ordinal > 0) OVER (PARTITION BY _key, content) AS first_same
        FROM versions
    ) v LEFT JOIN winners w USING (_key)
    WHERE v._ordinal > 0
)
WHERE outcome IS NOT NULL;

CREATE OR REPLACE TEMP TABLE replaced AS
SELECT _key, winner FROM winners WHERE existed AND winner > 0;

CREATE OR REPLACE TEMP TABLE given_way AS
SELECT r._ordinal, w.winner, r._key FROM repeats r JOIN winners w USING (_key) WHERE outcome = 'replaced'
UNION ALL
SELECT 0, winner, _key FROM replaced
"""
"""What becomes of each version: the winner is taken, unless the table holds it word for word."""

_GIVEN_WAY = """
SELECT * FROM (
    SELECT {columns}, n._file AS replaced_by_file, n._line AS replaced_by_line
    FROM existing o JOIN given_way g USING (_key) JOIN staged n ON n._ordinal = g.winner
    WHERE g._ordinal = 0
    UNION ALL
    SELECT {columns}, n._file, n._line
    FROM staged o JOIN given_way g USING (_ordinal) LEFT JOIN staged n ON n._ordinal = g.winner
)
"""

_REPEAT_REMARKS = """
INSERT INTO remarks
SELECT $target, _file, _line, $field, repeats.outcome, left({shown}, 120), false
FROM staged JOIN (SELECT _ordinal, outcome FROM repeats) repeats USING (_ordinal)
WHERE repeats.outcome IN ('duplicate', 'duplicate_differs')
UNION ALL
SELECT $target, _file, _line, $field, 'replaces_earlier', left({shown}, 120), true
FROM staged SEMI JOIN (SELECT winner AS _ordinal FROM given_way) USING (_ordinal)
"""

_REVERSALS_OF_NOTHING = """
INSERT INTO remarks
WITH wanted AS (
    SELECT DISTINCT institution_id, reverses_line_id AS line_id
    FROM staged WHERE reverses_line_id IS NOT NULL
),
found AS (
    SELECT institution_id, line_id FROM staged SEMI JOIN wanted USING (institution_id, line_id)
    UNION
    SELECT institution_id, line_id FROM existing SEMI JOIN wanted USING (institution_id, line_id)
)
SELECT 'claim_lines', _file, _line, ?, 'reversal_of_nothing', left(reverses_line_id, 120), true
FROM staged s ANTI JOIN (FROM repeats WHERE outcome <> 'unchanged') USING (_ordinal)
ANTI JOIN found f ON f.institution_id = s.institution_id AND f.line_id = s.reverses_line_id
WHERE s.reverses_line_id IS NOT NULL
"""

_SQL_TYPES = {ColumnType.TEXT: "VARCHAR", ColumnType.TIMESTAMP: "TIMESTAMPTZ"}
"""Where DuckDB's type is not that of `ColumnType`."""


def _view(
    database: duckdb.DuckDBPyConnection,
    table: Table,
    name: str,
    path: Path | None,
    more: str,
    *,
    fills: bool = False,
) -> bool:
    """View a file (None: no rows) as a canonical table with `_key`: its key, else its content.

    Returns:
        Whether it joins other tables to its rows.
    """
    source = f"read_parquet({literal(path)})" if path is not None else "(SELECT 1) WHERE false"
    present = {row[0] for row in database.execute(f"DESCRIBE FROM {source}").fetchall()}
    columns = ", ".join(
        column.name
        if column.name in present
        else f"NULL::{_SQL_TYPES.get(column.type, column.type.value)} AS {column.name}"
        for column in table.columns
    )
    rows = f"SELECT {columns}{more} FROM {source}"
    is_lines = path is not None and table.name == "claim_lines"
    has_facts = is_lines and is_there(database, "facts")
    is_settled = is_lines and settlements.are_known(database)
    if has_facts:
        rows = _FILLED.format(rows=rows)
    if is_settled:
        rows = settlements.filled(rows)
    rows = f"SELECT *, {_key_expression(table)} AS _key FROM ({rows})"
    if fills:
        rows = _filled_from_existing(table, rows)
    database.execute(f"CREATE OR REPLACE VIEW {name} AS {rows}")
    return fills or has_facts or is_settled


def _key_expression(table: Table) -> str:
    """Return the SQL of a row's key as one text, the same as `staging.key_of`."""
    if not table.key:
        return f"row({', '.join(table.by_name)})::VARCHAR"
    parts = ", ".join(f"coalesce({name}::VARCHAR, '')" for name in table.key)
    return f"concat_ws(chr({ord(KEY_SEPARATOR)}), {parts})"


def _filled_from_existing(table: Table, rows: str) -> str:
    """Return the staged rows with what the table knows of their blanks; an unknown sex is a blank."""
    known = []
    for column in table.columns:
        if column.name == "sex":
            known.append("coalesce(nullif(s.sex, 'U'), e.sex, s.sex) AS sex")
        elif column.name not in table.key and (column.nullable or column.may_be_absent):
            known.append(f"coalesce(s.{column.name}, e.{column.name}) AS {column.name}")
    return f"SELECT s.* REPLACE ({', '.join(known)}) FROM ({rows}) s LEFT JOIN existing e USING (_key)"


def begin_rejects(
    database: duckdb.DuckDBPyConnection,
    out: Path,
    staged: Path,
    prints: Mapping[str, str],
    zones: Mapping[str, str],
) -> None:
    """Make what settling rows and rejects needs: what was refused now and before, which files came before.

    Args:
        database: the connection.
        out: the folder of the tables.
        staged: the rows refused now, as `staging.REJECTED`.
        prints: SHA-256 of each file that is imported, by name.
        zones: names of the institutions' time zones; that of all others under "".
    """
    database.execute("CREATE TABLE zones (institution_id VARCHAR, zone VARCHAR)")
    insert(database, "zones", list(zones.items()))
    files, known = out / JOURNAL / "files.parquet", out / JOURNAL / "rejects.parquet"
    database.execute("CREATE TABLE prints (_file VARCHAR, sha256 VARCHAR)")
    insert(database, "prints", list(prints.items()))
    before = f"read_parquet({literal(files)})" if files.exists() else "prints WHERE false"
    database.execute(
        f"CREATE TABLE imported_before AS SELECT _file FROM prints SEMI JOIN (FROM {before}) USING (sha256)"
    )
    columns = ", ".join(f'"{column.name}"' for column in REJECTS.columns)
    earlier = f"UNION ALL BY NAME FROM read_parquet({literal(known)})" if known.exists() else ""
    database.execute(
        f"CREATE TABLE rejects_known AS SELECT {columns}, row_key, ordinal, false AS settled "
        f"FROM read_parquet({literal(staged)}) {earlier}"
    )
    database.execute('CREATE TABLE accepted ("table" VARCHAR, row_key VARCHAR, ordinal BIGINT)')


def write_rejects(database: duckdb.DuckDBPyConnection, out: Path) -> None:
    """Write ``rejects.parquet``: every row refused and not settled since, and what the next import must know.

    A reject is settled, and leaves the table, when a later row with its key is taken; rejects of a file that
    comes again are made anew, those settled remain so. Where a visit's stay was told again, what was refused
    of it before goes.
    """
    columns = ", ".join(f'"{column.name}"' for column in REJECTS.columns)
    if _any(database, "rejects_known"):
        touched = _TOUCHED if is_there(database, "touched") else ""
        database.execute(_REJECTS.format(columns=columns, touched=touched))
    else:  # nothing to weigh up
        database.execute("CREATE TABLE rejects AS SELECT *, false AS is_new FROM rejects_known")
    journal = out / JOURNAL
    journal.mkdir(exist_ok=True)
    order = ", ".join(
        f'"{name}" NULLS FIRST' for name in ("file", "line", "table", "reason", "field", "amount")
    )
    for name, query in (
        (
            "journal/rejects",
            f"SELECT {columns}, row_key, 0 AS ordinal, settled FROM rejects ORDER BY {order}",
        ),
        ("journal/files", _prints(journal / "files.parquet")),
        ("rejects", f"SELECT {columns} FROM rejects WHERE NOT settled ORDER BY {order}"),
    ):
        merged = out / f"{name}.merged"
        database.execute(f"COPY ({query}) TO {literal(merged)} (FORMAT parquet, COMPRESSION zstd)")
        put(merged, out / f"{name}.parquet")


def rejected_by_institution(database: duckdb.DuckDBPyConnection) -> list[tuple[str, int, Decimal]]:
    """Return institution ("" where it could not be read), rows and yuan of what this import refused."""
    return database.execute(
        "SELECT coalesce(institution_id, ''), count(*), coalesce(sum(abs(amount)), 0) FROM rejects "
        "WHERE is_new AND NOT settled GROUP BY 1 ORDER BY 3 DESC, 2 DESC, 1"
    ).fetchall()


def billed(database: duckdb.DuckDBPyConnection, staged: Path | None) -> Billed:
    """Return what this import brought of claim lines, and what it refused of them."""
    taken = (0, Decimal(0))
    if staged is not None and staged.exists():
        taken = database.execute(
            f"SELECT count(*), coalesce(sum(abs(amount)), 0) FROM read_parquet({literal(staged)})"
        ).fetchall()[0]
    lost = database.execute(
        "SELECT count(*) FILTER (amount IS NULL), coalesce(sum(abs(amount)), 0), count(*) FROM rejects "
        "WHERE is_new AND NOT settled AND \"table\" = 'claim_lines' AND reason NOT IN ?",
        [[reason.value for reason in NO_BILL]],
    ).fetchall()[0]
    differing = count(
        database,
        "SELECT count(*) FROM rejects WHERE is_new AND reason = 'duplicate_differs' AND NOT settled "
        "AND \"table\" = 'claim_lines'",
    )
    rows, yuan = taken[0] + lost[2] - differing, taken[1] + lost[1]
    return Billed(rows, yuan, lost[0], lost[1])


def _prints(path: Path) -> str:
    earlier = f"UNION FROM read_parquet({literal(path)})" if path.exists() else ""
    return f"SELECT * FROM (SELECT DISTINCT sha256 FROM prints {earlier}) ORDER BY sha256"


_TOUCHED = """
AND NOT ("table" IN ('stays', 'leaves') AND EXISTS (
    FROM touched t WHERE t.institution_id = k.institution_id AND t.visit_id = k.visit_id))
"""

_REJECTS = """
CREATE TABLE rejects AS
SELECT {columns}, row_key,
    coalesce(settled OR EXISTS (
        FROM rejects_known o
        WHERE o.ordinal = 0 AND o.settled AND o.file = k.file AND o.line = k.line AND o."table" = k."table"
          AND o.row_key = k.row_key AND o.reason = k.reason
    ) OR (reason <> 'duplicate_differs' AND EXISTS (
        FROM accepted a WHERE a."table" = k."table" AND a.row_key = k.row_key AND a.ordinal > k.ordinal
    )), false) AS settled,
    ordinal > 0 AS is_new
FROM rejects_known k
WHERE ordinal > 0 OR (file NOT IN (SELECT _file FROM prints) {touched})
"""
"""What was refused now, and before in other files; earlier rejects have ordinal 0."""

_REPEATS_REFUSED = """
INSERT INTO rejects_known
SELECT $target, {institution}, {person}, {visit}, {day}, {amount}, 'duplicate_differs', _file, _line, $field,
    _key, _ordinal, false
FROM staged {zones} JOIN (SELECT _ordinal, outcome FROM repeats) repeats USING (_ordinal)
WHERE repeats.outcome = 'duplicate_differs'
"""


def write_remarks(
    database: duckdb.DuckDBPyConnection, out: Path, files: Collection[str], scratch: Path
) -> None:
    """Write ``rejected/NAME.csv`` and ``warnings/NAME.csv``; earlier remarks on other files stay."""
    database.execute("CREATE TABLE imported (file VARCHAR)")
    insert(database, "imported", [(name,) for name in files])
    said = database.execute("SELECT DISTINCT target, warning, reason FROM remarks").fetchall()
    given = {reason for _, _, reason in said}
    insert(database, "explanations", [(name, *Reason(name).explanation) for name in sorted(given)])
    for warning, folder in ((False, out / "rejected"), (True, out / "warnings")):
        tables = {target for target, is_warning, _ in said if is_warning is warning}
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
        if name == settlements.SETTLEMENTS and is_there(database, settlements.COMPARED):
            query += f" WHERE reason <> '{Reason.SETTLEMENT_DIFFERS}'"
    written = scratch / "remarks.csv"
    order = "file, line::BIGINT, field, reason, value"
    database.execute(
        f"COPY (SELECT * FROM ({query}) ORDER BY {order}) TO {literal(written)} (FORMAT csv, HEADER)"
    )
    path.parent.mkdir(exist_ok=True)
    put(written, path)
    if (
        count(database, f"SELECT count(*) FROM read_csv({literal(path)}, header = true, all_varchar = true)")
        == 0
    ):
        path.unlink()
