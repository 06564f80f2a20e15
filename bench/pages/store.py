"""Fills a store with verdicts and findings as a county's audited months leave them: synthetic, and seeded."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import orjson

from renzheng.central.lists.asked import month_bounds
from renzheng.central.store import audits
from renzheng.central.store.database import Database
from renzheng.central.store.times import to_us

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
               'match' AS outcome, 0.7::DOUBLE AS comparison_score, 0.4::DOUBLE AS threshold,
               'bona_fide' AS pad, NULL::VARCHAR AS witness_id, event_id AS session_id, true AS clock_trusted
        FROM lines WHERE verdict = 'supported' ORDER BY person_id, service_us
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
        _fill_month(database, folder, first, own, size)
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


def _fill_month(database: Database, folder: Path, first: date, lines: int, size: Size) -> None:
    last = date.fromisoformat(month_bounds(f"{first:%Y-%m}")[1])
    run_id = f"run-{first:%Y-%m}"
    own = folder / run_id
    (own / "tables").mkdir(parents=True, exist_ok=True)
    now_us = to_us(datetime(last.year, last.month, last.day, tzinfo=UTC) + timedelta(days=1))
    with database.writing() as connection:
        audits.begin(connection, run_id, first, last, folder=str(own), now_us=now_us)
    with duckdb.connect() as made:
        made.execute("SET TimeZone = 'UTC'")
        values = {"lines": lines, "seed": first.toordinal(), "days": last.day, "first": first.isoformat()}
        made.execute(_LINES.format(**values, institutions=size.institutions, persons=size.persons))
        for name, query in _TABLES.items():
            path = str(own / "tables" / f"{name}.parquet").replace("'", "''")
            made.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")
        for part in _parts(made, "SELECT * FROM lines"):
            with database.writing() as connection:
                audits.add_verdicts(connection, [_verdict(run_id, row) for row in part])
        for part in _parts(
            made, "SELECT * FROM lines WHERE verdict = 'contradicted' AND hash(line_id) % 4 = 0"
        ):
            with database.writing() as connection:
                audits.add_findings(connection, [_finding(run_id, row) for row in part])
    with database.writing() as connection:
        audits.publish(connection, run_id, first, last, summary={}, now_us=now_us)


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
    rule = {"after_death": "F01", "no_session": "F02"}.get(reason, "F03")
    return (
        *(run_id, f"f-{line}", day.isoformat(), rule, "1", "high" if rule == "F01" else "medium"),
        *("contradicted" if rule == "F01" else "suspicious", institution, person),
        *(orjson.dumps([line]).decode(), fen, service_us, service_us + 3_600_000_000, "[]"),
        *(f"{person} 当日无透析记录而收费。", f"{person} was billed and no session shows it.", "{}"),
    )
