"""Fills a store with verdicts and findings as a county's audited months leave them: synthetic, and seeded."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import orjson

from renzheng.central.audit.request import AuditResult
from renzheng.central.audit.sources import quoted
from renzheng.central.lists.asked import month_bounds
from renzheng.central.nightly.report import REPORT, keep_named, write_report
from renzheng.central.store import audits, reading
from renzheng.central.store.database import Database
from renzheng.central.store.times import to_us
from renzheng.rules.pack import load_pack

ROWS_AT_ONCE = 20_000


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is.

    Args:
        lines: verdicts in all.
        months: over how many, ending with March 2026.
        institutions: of how many.
        persons: of how many.
    """

    lines: int
    months: int = 12
    institutions: int = 60
    persons: int = 40_000


_LINES = """
CREATE TABLE lines AS
WITH numbered AS (
    SELECT i, (hash(i) % 10000)::BIGINT AS draw, (hash(i + {seed}) % 100000)::BIGINT AS other,
           (i % {days})::BIGINT AS day
    FROM range({lines}) t(i)
)
SELECT 'H' || lpad((other % {institutions})::VARCHAR, 3, '0') AS institution_id,
       'L' || strftime(DATE '{first}', '%y%m') || lpad(i::VARCHAR, 8, '0') AS line_id,
       DATE '{first}' + day::INT AS day,
       'P' || lpad((hash(i // 13) % {persons})::VARCHAR, 6, '0') AS person_id,
       CASE WHEN draw % 3 = 0 THEN '110900001' ELSE '310800010' END AS item_code,
       CASE WHEN draw % 3 = 0 THEN '床位费' ELSE '血液透析' END AS item_name,
       epoch_us(DATE '{first}'::TIMESTAMP) + day * 86400000000
           + (draw % 36000 + 3600) * 1000000 AS service_us,
       CASE WHEN draw % 3 = 0 THEN 4000 + draw % 7 * 500 ELSE 40000 + draw % 11 * 250 END AS fen,
       CASE WHEN draw < 400 THEN 'contradicted' WHEN draw < 2600 THEN 'insufficient'
            ELSE 'supported' END AS verdict,
       CASE WHEN draw < 60 THEN 'after_death' WHEN draw < 250 THEN 'no_session'
            WHEN draw < 400 THEN 'too_short' WHEN draw < 1500 THEN 'coverage_gap'
            WHEN draw < 2600 THEN 'manual_uncorroborated'
            WHEN draw % 3 = 0 THEN 'seen' ELSE 'verified_session' END AS reason,
       (draw % 100) / 100.0 AS coverage,
       CASE WHEN draw % 3 = 0 THEN 'line-bed-day' ELSE 'line-dialysis' END AS rule_id,
       'ward-' || (draw % 9) AS ward, 'D' || lpad((other % 900)::VARCHAR, 4, '0') AS doctor_id,
       'kiosk-' || (other % {institutions}) || '-' || (draw % 2) AS device_id,
       'e' || strftime(DATE '{first}', '%y%m') || '-' || i AS event_id
FROM numbered
"""
_RULES = {"after_death": "claims-after-death", "no_session": "never-seen"}
_TABLES = {
    "claim_lines": """
        SELECT line_id, institution_id, 'V' || line_id AS visit_id, NULL::VARCHAR AS settlement_id, person_id,
               'outpatient' AS visit_type, item_code, item_name, make_timestamptz(service_us) AS service_time,
               1::DECIMAL(12, 2) AS quantity, (fen / 100)::DECIMAL(14, 2) AS amount,
               NULL::VARCHAR AS reverses_line_id, doctor_id, ward AS department,
               NULL::VARCHAR AS traceability_code,
               NULL::DECIMAL(14, 2) AS fund_amount
        FROM lines ORDER BY institution_id, line_id
    """,
    "attendance": """
        SELECT event_id, institution_id, device_id, person_id, 'sign_in' AS event_type, 'dialysis' AS purpose,
               make_timestamptz(service_us) AS occurred_at, make_timestamptz(service_us) AS received_at,
               CASE verdict WHEN 'supported' THEN 'match' ELSE 'manual' END AS outcome,
               CASE verdict WHEN 'supported' THEN 0.7::DOUBLE END AS comparison_score,
               CASE verdict WHEN 'supported' THEN 0.4::DOUBLE END AS threshold,
               CASE verdict WHEN 'supported' THEN 'bona_fide' ELSE 'not_shown' END AS pad,
               CASE WHEN verdict <> 'supported' THEN 'nurse-' || (hash(person_id) % 9) END AS witness_id,
               event_id AS session_id, true AS clock_trusted
        FROM lines WHERE verdict = 'supported' OR reason = 'manual_uncorroborated'
        ORDER BY person_id, service_us
    """,
    "machine_sessions": """
        SELECT 'M' || (hash(line_id) % 40) AS machine_id, institution_id, person_id,
               make_timestamptz(service_us) AS started_at,
               make_timestamptz(service_us + 14400000000) AS ended_at, NULL::VARCHAR AS source
        FROM lines WHERE verdict = 'supported' AND item_code = '310800010' ORDER BY person_id, service_us
    """,
    "institutions": """
        SELECT DISTINCT institution_id, '第' || substr(institution_id, 2)::INT || '人民医院' AS name,
               '371122' AS region_code, 'Asia/Shanghai' AS timezone, 20 AS dialysis_machines, 300 AS beds,
               NULL::VARCHAR AS level
        FROM lines ORDER BY institution_id
    """,
    "item_catalogue": """
        SELECT item_code, item_class, NULL::VARCHAR AS sex_limit, NULL::BIGINT AS min_age_years,
               NULL::BIGINT AS max_age_years, NULL::VARCHAR AS unit, NULL::DATE AS valid_from,
               NULL::DATE AS valid_to, NULL::VARCHAR AS region_code, NULL::VARCHAR AS source
        FROM (VALUES ('110900001', 'bed_day'), ('310800010', 'haemodialysis')) t(item_code, item_class)
    """,
    "rejects": """
        SELECT 'claim_lines' AS "table", institution_id, person_id,
               NULL::VARCHAR AS visit_id, day, (fen / 100)::DECIMAL(16, 2) AS amount, 'bad time' AS reason,
               'fees.csv' AS file, 1 AS line, NULL::VARCHAR AS field
        FROM lines LIMIT 3
    """,
    "coverage": """
        SELECT institution_id, device_id, purpose, make_timestamptz(day_us + hour * 3600000000) AS from_at,
               make_timestamptz(day_us + (hour + 2) * 3600000000) AS to_at,
               CASE WHEN hash(device_id, day_us, hour) % 20 = 0 THEN 'down' ELSE 'up' END AS state
        FROM (SELECT DISTINCT institution_id, device_id, epoch_us(day::TIMESTAMP) AS day_us FROM lines),
             (SELECT unnest(['dialysis', 'inpatient']) AS purpose), range(0, 24, 2) AS hours(hour)
        ORDER BY institution_id, device_id, from_at
    """,
}
_RESULTS = {
    "line_verdicts": """
        SELECT line_id, institution_id, verdict, reason, coverage AS coverage_ratio,
               CASE WHEN verdict = 'supported' THEN [event_id] ELSE []::VARCHAR[] END AS evidence,
               rule_id, '2' AS rule_version, (fen / 100)::DECIMAL(16, 2) AS amount_at_stake
        FROM lines ORDER BY institution_id, line_id
    """,
    "findings": """
        SELECT 'f-' || line_id AS finding_id,
               CASE reason WHEN 'after_death' THEN 'claims-after-death' WHEN 'no_session' THEN 'never-seen'
                    ELSE 'long-examination' END AS rule_id,
               '1' AS rule_version, CASE reason WHEN 'after_death' THEN 'high' ELSE 'medium' END AS severity,
               CASE reason WHEN 'after_death' THEN 'contradicted' ELSE 'suspicious' END AS verdict,
               institution_id, person_id, [line_id] AS line_ids, (fen / 100)::DECIMAL(16, 2) AS amount,
               make_timestamptz(service_us) AS from_at, make_timestamptz(service_us + 3600000000) AS to_at,
               []::VARCHAR[] AS evidence, person_id || ' 当日无透析记录而收费。' AS explanation_zh,
               person_id || ' was billed and no session shows it.' AS explanation_en, '{}' AS parameters
        FROM lines WHERE verdict = 'contradicted' AND hash(line_id) % 4 = 0
    """,
    "ledger": """
        SELECT institution_id, verdict AS box, count(*) AS lines,
               (sum(fen) / 100)::DECIMAL(16, 2) AS amount, NULL::DECIMAL(16, 2) AS fund_amount
        FROM lines GROUP BY ALL ORDER BY ALL
    """,
}


def fill(
    database: Database, folder: Path, size: Size, told: Callable[[str], object] = lambda _: None
) -> list[str]:
    """Fill a store, a run a month; return its months, oldest first.

    Args:
        database: a migrated store.
        folder: where the runs' tables are written.
        size: how much.
        told: hears of each month.
    """
    last = date(2026, 3, 1)
    months = [_earlier(last, back) for back in range(size.months)][::-1]
    _add_institutions(database, size)
    for number, first in enumerate(months):
        own = size.lines // size.months + (size.lines % size.months if number == 0 else 0)
        told(f"{first:%Y-%m}")
        summary = _fill_month(database, folder, first, own, size)
    _report(database, folder / f"run-{last:%Y-%m}", f"run-{last:%Y-%m}", summary)
    return [f"{first:%Y-%m}" for first in months]


def _earlier(month: date, back: int) -> date:
    whole = month.year * 12 + month.month - 1 - back
    return date(whole // 12, whole % 12 + 1, 1)


def _add_institutions(database: Database, size: Size) -> None:
    rows = [
        (f"H{number:03d}", f"第{number}人民医院", "371122", "Asia/Shanghai", 20, 300)
        for number in range(size.institutions)
    ]
    with database.writing() as connection:
        audits.add_institutions(connection, rows)


def _fill_month(database: Database, folder: Path, first: date, lines: int, size: Size) -> dict[str, Any]:
    last = date.fromisoformat(month_bounds(f"{first:%Y-%m}")[1])
    run_id = f"run-{first:%Y-%m}"
    own = folder / run_id
    for part in ("tables", "result"):
        (own / part).mkdir(parents=True, exist_ok=True)
    now_us = to_us(datetime(last.year, last.month, last.day, tzinfo=UTC) + timedelta(days=1))
    with database.writing() as connection:
        audits.begin(connection, run_id, first, last, folder=str(own), now_us=now_us)
    with duckdb.connect() as made:
        made.execute("SET TimeZone = 'UTC'")
        values = {"lines": lines, "seed": first.toordinal(), "days": last.day, "first": first.isoformat()}
        made.execute(_LINES.format(**values, institutions=size.institutions, persons=size.persons))
        for part, queries in (("tables", _TABLES), ("result", _RESULTS)):
            for name, query in queries.items():
                path = quoted(own / part / f"{name}.parquet")
                made.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")
        for rows in _parts(made, "SELECT * FROM lines"):
            with database.writing() as connection:
                audits.add_verdicts(connection, [_verdict(run_id, row) for row in rows])
        for rows in _parts(
            made, "SELECT * FROM lines WHERE verdict = 'contradicted' AND hash(line_id) % 4 = 0"
        ):
            with database.writing() as connection:
                audits.add_findings(connection, [_finding(run_id, row) for row in rows])
    summary = {
        "from": first.isoformat(),
        "to": last.isoformat(),
        "region": "371122",
        "rules": {},
        "rows": {},
        "missing_tables": [],
        "failed_rules": {},
        "switched_off": [],
        "packs": {"pack_hash": "0" * 64},
    }
    with database.writing() as connection:
        audits.publish(connection, run_id, first, last, summary={}, now_us=now_us)
    return summary


def _report(database: Database, own: Path, run_id: str, summary: dict[str, Any]) -> None:
    """Write the report of one run, as a night does."""
    made_at = datetime.fromisoformat(summary["to"]).replace(tzinfo=ZoneInfo("Asia/Shanghai"))
    result = AuditResult(own / "result", summary)
    write_report(own / REPORT, result, own / "tables", run_id, made_at, load_pack())
    with database.reading() as connection:
        keep_named(own, reading.persons_judged(connection, run_id))


def _parts(made: duckdb.DuckDBPyConnection, query: str) -> Iterator[Sequence[tuple[Any, ...]]]:
    found = made.execute(query)
    while part := found.fetchmany(ROWS_AT_ONCE):
        yield part


def _verdict(run_id: str, row: tuple[Any, ...]) -> tuple[Any, ...]:
    (institution, line, day, person, code, name, service_us, fen, verdict, reason, coverage) = row[:11]
    (rule_id, ward, doctor, device, event) = row[11:]
    evidence, devices = ([event], [device]) if verdict == "supported" else ([], [])
    return (
        *(run_id, institution, line, day.isoformat(), person, code, name, service_us, "1", fen, fen),
        *(verdict, reason, coverage, orjson.dumps(evidence).decode(), rule_id, "2", ward, doctor),
        orjson.dumps(devices).decode(),
    )


def _finding(run_id: str, row: tuple[Any, ...]) -> tuple[Any, ...]:
    institution, line, day, person, service_us, fen, reason = (*row[:4], row[6], row[7], row[9])
    rule = _RULES.get(reason, "long-examination")
    return (
        *(run_id, f"f-{line}", day.isoformat(), rule, "1"),
        *(("high", "contradicted") if reason == "after_death" else ("medium", "suspicious")),
        *(institution, person),
        *(orjson.dumps([line]).decode(), fen, service_us, service_us + 3_600_000_000, "[]"),
        *(f"{person} 当日无透析记录而收费。", f"{person} was billed and no session shows it.", "{}"),
    )
