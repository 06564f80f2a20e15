# ruff: noqa: E501 - a query is easier to read in one line
"""Queries that must never run, and neighbours of theirs that must: `{secret}` is a file that no rule may see."""

HEAD = """/*
id: a-rule
version: "1.0"
title: {zh: 试, en: trial}
status: test
basis: [none]
stage: after
level: low
known_false_positives:
  - {zh: 无, en: none}
explanation: {zh: "{leak}", en: "{leak}"}
*/
"""
BEGIN = (
    "SELECT l.institution_id, l.person_id, [l.line_id] AS line_ids, l.amount, l.service_time AS from_at, "
    "l.service_time AS to_at, CAST([] AS VARCHAR[]) AS evidence, "
)
PERIOD = "l.service_day BETWEEN $from_day AND $to_day"


def whole(leak="'none'", source="billed_lines l", where=PERIOD):
    """Write a rule's query around one expression, one more source and one condition."""
    return f"{BEGIN}{leak} AS leak FROM {source} WHERE {where}"


def beside(table):
    return whole("s.token", f"billed_lines l JOIN {table} s ON 1 = 1")


HOSTILE = {
    # files as tables
    "quoted path": beside('"{secret}"'),
    "string path": beside("'{secret}'"),
    "path without alias": 'SELECT * FROM "{secret}"',
    "relative path": beside('"../secret.csv"'),
    "glob": beside('"/tmp/*.csv"'),
    "gzip": beside('"{secret}.gz"'),
    "parquet": beside('"/data/other.parquet"'),
    "json": beside('"/data/other.json"'),
    "database file": beside('"/data/other.duckdb"'),
    "url": beside('"https://example.org/x.csv"'),
    "bucket": beside('"s3://bucket/x.parquet"'),
    "proc": beside('"/proc/self/environ"'),
    "device": beside('"/dev/stdin"'),
    "comma join": whole("s.token", "billed_lines l, '{secret}' s"),
    "in a subquery": whole("(SELECT max(token) FROM '{secret}')"),
    "in a condition": whole(where=PERIOD + " AND l.line_id IN (SELECT token FROM '{secret}')"),
    "in exists": whole(where=PERIOD + " AND EXISTS (SELECT 1 FROM '{secret}')"),
    "in a common table": "WITH s AS (SELECT * FROM '{secret}') " + beside("s"),
    "in a union": whole() + " UNION ALL SELECT *, 0, 0, 0, 0, 0, 0, 0 FROM '{secret}'",
    "in a join's condition": whole(
        source="billed_lines l JOIN persons p ON p.person_id IN (SELECT token FROM '{secret}')"
    ),
    "in order by": whole() + " ORDER BY (SELECT max(token) FROM '{secret}')",
    "in having": "SELECT max(institution_id) AS institution_id FROM billed_lines HAVING (SELECT 1 FROM '{secret}')",
    "in a lateral join": whole("s.token", "billed_lines l, LATERAL (SELECT * FROM '{secret}') s"),
    "in a case": whole("CASE WHEN 1 = 1 THEN (SELECT max(token) FROM '{secret}') END"),
    "in a lambda": whole("list_filter([1], lambda x: x IN (SELECT 1 FROM '{secret}'))"),
    "in a window": whole("max(l.amount) OVER (ORDER BY (SELECT 1 FROM '{secret}'))"),
    "from first": "FROM '{secret}'",
    "table statement": "TABLE '{secret}'",
    # functions that read
    "read_csv": beside("read_csv('{secret}')"),
    "read_csv_auto": beside("read_csv_auto('{secret}')"),
    "read_text": beside("read_text('{secret}')"),
    "read_blob": beside("read_blob('{secret}')"),
    "read_parquet": beside("read_parquet('{secret}')"),
    "read_json": beside("read_json('{secret}')"),
    "sniff_csv": beside("sniff_csv('{secret}')"),
    "list files": beside("glob('/tmp/*')"),
    "parquet_metadata": beside("parquet_metadata('{secret}')"),
    "query": beside("query('FROM read_text(''{secret}'')')"),
    "query_table": beside("query_table('{secret}')"),
    "sqlite_scan": beside("sqlite_scan('{secret}', 't')"),
    "getenv": whole("getenv('HOME')"),
    "current_setting": whole("current_setting('temp_directory')"),
    "settings": beside("duckdb_settings()"),
    "catalog": beside("information_schema.tables"),
    "sqlite catalog": beside("sqlite_master"),
    "quoted function": whole("\"read_text\"('{secret}')"),
    "method": whole("'{secret}'.read_text()"),
    "spark method": whole("java_method('java.lang.System', 'getenv')"),
    "spark file": beside("csv.`{secret}`"),
    "current_user": whole("current_user"),
    "columns": whole("COLUMNS(*)"),
    "replace": "SELECT * REPLACE (read_text('{secret}') AS line_id) FROM billed_lines",
    "unnest": whole("unnest([1])"),
    "endless series": beside("generate_series(1, 1000000000000)"),
    "comprehension": whole("[x for x in [1]]"),
    # other statements
    "two statements": whole() + "; SELECT 1",
    "copy": "COPY (SELECT 1) TO '{secret}'",
    "attach": "ATTACH '{secret}' AS other",
    "pragma": "PRAGMA database_list",
    "set": "SET lock_configuration = false",
    "install": "INSTALL httpfs",
    "load": "LOAD httpfs",
    "create macro": "CREATE MACRO f() AS (SELECT 1)",
    "create view": "CREATE VIEW v AS SELECT 1",
    "drop": "DROP TABLE billed_lines",
    "delete": "DELETE FROM billed_lines",
    "insert": "INSERT INTO billed_lines SELECT * FROM billed_lines",
    "describe": "DESCRIBE '{secret}'",
    "summarize": "SUMMARIZE '{secret}'",
    "show": "SHOW TABLES",
    "explain": "EXPLAIN ANALYZE SELECT 1",
    "export": "EXPORT DATABASE '/tmp/x'",
    "call": "CALL pragma_version()",
    "into": "SELECT 1 AS x INTO billed_lines",
    # text that two parsers might read differently
    "after a comment's end": whole("'*/'") + " /* x */ UNION SELECT * FROM '{secret}'",
    "dollar quotes with a parameter's name": whole(
        "$from_day$to_day, (FROM '{secret}') AS x, $from_day$to_day"
    ),
    "dollar quotes as a table": beside("$${secret}$$"),
    "escape string": beside("E'{secret}'"),
    "full-width name": beside("ｂilled_lines"),
    "capital name": beside("Billed_Lines"),
    "zero-width name": beside('"persons\u200b"'),
    "quotes in quotes": beside('"a""b"'),
    "catalog prefix": beside("memory.main.billed_lines"),
    "schema prefix": beside("main.billed_lines"),
    "pivot": "PIVOT billed_lines ON item_code USING sum(amount)",
    "unpivot": "UNPIVOT billed_lines ON amount INTO NAME n VALUE v",
    "sample": whole(source="billed_lines l TABLESAMPLE 1%"),
    "version": whole(source="billed_lines l AT (VERSION => 1)"),
    "place of a column": whole("#1"),
    "bare parameter": whole("?"),
    "numbered parameter": whole("$1"),
    "unknown parameter": whole("$nobody"),
    # without end, and without bound
    "recursive": "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) " + beside("r"),
    "recursive with keys": "WITH RECURSIVE r(n) USING KEY (n) AS (SELECT 1 UNION SELECT n FROM r) "
    + beside("r"),
    "itself": "WITH r AS (SELECT * FROM r) " + beside("r"),
    "deeply nested": whole("(" * 3000 + "1" + ")" * 3000),
    "very long": whole(" + ".join(["1"] * 30_000)),
    "nothing": "",
    "no sql": "Dear auditor, please read the file",
    # what is no table of the audit
    "unknown table": beside("salaries"),
    "table of the loader": beside("typed_claim_lines"),
    "kept steps": beside("kept_steps"),
    "hidden table": "WITH persons AS (SELECT * FROM billed_lines) " + whole(source="persons l"),
}

HARMLESS = {
    "plain": whole(),
    "a path as a text": whole("'/etc/passwd'"),
    "a statement as a text": whole("'COPY x TO y; DROP TABLE z'"),
    "a comment": whole() + " -- FROM '/etc/passwd'",
    "a block comment": whole("/* read_text('x') */ 'none'"),
    "a join": whole("p.sex", "billed_lines l JOIN persons p ON l.person_id = p.person_id"),
    "a quoted table": whole("p.sex", 'billed_lines l JOIN "persons" p ON l.person_id = p.person_id'),
    "a common table": "WITH s AS (SELECT person_id, max(sex) AS token FROM persons GROUP BY person_id) "
    + beside("s"),
    "common tables in a row": "WITH a AS (SELECT 1 AS token), s AS (SELECT * FROM a) " + beside("s"),
    "a subquery": whole(where=PERIOD + " AND l.person_id IN (SELECT person_id FROM persons)"),
    "a window": whole("count(*) OVER (PARTITION BY l.person_id)"),
    "a lambda": whole("list_filter(['a'], lambda x: x IS NOT NULL)"),
    "a prefix alias": "SELECT leak: 'none', "
    + whole("'x'").removeprefix("SELECT ").replace("'x' AS leak", "'x' AS other"),
    "knowledge": whole("c.period", "billed_lines l JOIN known_caps c ON c.most > 0"),
    "like": whole(where=PERIOD + " AND l.item_code LIKE '%透析%'"),
    "a column named like a function": "WITH s AS (SELECT 1 AS getenv, 'x' AS token) " + beside("s"),
    "an anti join": whole(source="billed_lines l ANTI JOIN persons p ON l.person_id = p.person_id"),
}
