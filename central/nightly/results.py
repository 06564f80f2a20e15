"""Brings what an audit run wrote into rows of the store."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import orjson

from renzheng.central.audit.request import AuditResult
from renzheng.central.nightly import run_tables
from renzheng.central.store.times import from_us

ROWS_AT_ONCE = 20_000
Row = tuple[Any, ...]

# A partial reversal lowers what a line is worth; a whole one has taken the line out of the audit already.
_VERDICTS = """
WITH given_back AS (
    SELECT institution_id, person_id, reverses_line_id AS line_id,
           sum(quantity) AS quantity, sum(amount) AS amount
    FROM claim_lines WHERE reverses_line_id IS NOT NULL
    GROUP BY institution_id, person_id, reverses_line_id
), lain AS (
    SELECT c.institution_id, c.line_id, max_by(s.ward, s.admitted_at) AS ward
    FROM claim_lines c JOIN stays s
        ON s.institution_id = c.institution_id AND s.visit_id = c.visit_id
        AND s.admitted_at <= c.service_time AND coalesce(s.discharged_at, c.service_time) >= c.service_time
    WHERE s.ward IS NOT NULL
    GROUP BY c.institution_id, c.line_id
), cited AS (
    SELECT institution_id, line_id, unnest(evidence) AS event_id FROM read_parquet(?)
), shown_by AS (
    SELECT c.institution_id, c.line_id, list_sort(list(DISTINCT a.device_id)) AS devices
    FROM cited c JOIN attendance a USING (event_id)
    GROUP BY c.institution_id, c.line_id
)
SELECT v.institution_id, v.line_id, c.person_id, c.item_code, coalesce(c.item_name, ''),
       epoch_us(c.service_time), c.quantity + coalesce(g.quantity, 0), c.amount + coalesce(g.amount, 0),
       v.amount_at_stake,
       v.verdict, v.reason, v.coverage_ratio, v.evidence, v.rule_id, v.rule_version,
       coalesce(w.ward, c.department), c.doctor_id, d.devices
FROM read_parquet(?) v
JOIN claim_lines c USING (institution_id, line_id)
LEFT JOIN given_back g USING (institution_id, person_id, line_id)
LEFT JOIN lain w USING (institution_id, line_id)
LEFT JOIN shown_by d USING (institution_id, line_id)
"""
_LEDGER = """
SELECT institution_id, box, lines, amount, fund_amount FROM read_parquet(?) ORDER BY institution_id, box
"""
_FINDINGS = """
SELECT finding_id, rule_id, rule_version, severity, verdict, institution_id, person_id, line_ids, amount,
       epoch_us(from_at), epoch_us(to_at), evidence, explanation_zh, explanation_en, parameters
FROM read_parquet(?)
"""


def read_institutions(tables: Path, default: ZoneInfo) -> list[Row]:
    """Read the institutions of a run, in the order of the store's columns."""
    return [
        (
            row["institution_id"],
            row["name"],
            row["region_code"],
            str(_zone(row["timezone"], default)),
            row["dialysis_machines"],
            row["beds"],
        )
        for row in run_tables.read(tables, "institutions").to_pylist()
    ]


def read_zones(tables: Path, default: ZoneInfo) -> dict[str, ZoneInfo]:
    """Read each institution's time zone."""
    rows = run_tables.read(tables, "institutions").to_pylist()
    return {row["institution_id"]: _zone(row["timezone"], default) for row in rows}


def _zone(name: str | None, default: ZoneInfo) -> ZoneInfo:
    try:
        return ZoneInfo(name) if name else default
    except (KeyError, ValueError, OSError):
        return default


def read_verdicts(
    run_id: str, result: AuditResult, tables: Path, zones: dict[str, ZoneInfo], default: ZoneInfo
) -> Iterator[list[Row]]:
    """Read the verdicts with what the pages show of their lines, in pieces."""
    with run_tables.opened(tables) as connection:
        found = connection.execute(_VERDICTS, [str(result.line_verdicts)] * 2)
        while part := found.fetchmany(ROWS_AT_ONCE):
            yield [_verdict(run_id, row, zones, default) for row in part]


def _verdict(run_id: str, row: Row, zones: dict[str, ZoneInfo], default: ZoneInfo) -> Row:
    (institution, line, person, code, name, service_us, quantity, amount, at_stake) = row[:9]
    (verdict, reason, coverage_ratio, evidence, rule_id, rule_version, ward, doctor, devices) = row[9:]
    day = from_us(service_us).astimezone(zones.get(institution, default)).date().isoformat()
    return (
        run_id,
        institution,
        line,
        day,
        person,
        code,
        name,
        service_us,
        f"{quantity.normalize():f}",
        _fen(amount),
        _fen(amount if at_stake is None else at_stake),
        verdict,
        reason,
        coverage_ratio,
        orjson.dumps(evidence or []).decode(),
        rule_id,
        rule_version,
        ward,
        doctor,
        orjson.dumps(devices or []).decode(),
    )


def read_ledger(run_id: str, result: AuditResult) -> list[Row]:
    """Read what each institution sent, by box, in the order of the store's columns."""
    with duckdb.connect() as connection:
        found = connection.execute(_LEDGER, [str(result.ledger)]).fetchall()
    return [
        (run_id, institution, box, lines, _fen(amount), None if fund is None else _fen(fund))
        for institution, box, lines, amount, fund in found
    ]


def read_findings(
    run_id: str, result: AuditResult, tables: Path, days: tuple[date, date], default: ZoneInfo
) -> Iterator[list[Row]]:
    """Read the findings, in pieces; each stands under the day on which it begins, or the run's first."""
    with run_tables.opened(tables) as connection:
        found = connection.execute(_FINDINGS, [str(result.findings)])
        while part := found.fetchmany(ROWS_AT_ONCE):
            yield [_finding(run_id, row, days, default) for row in part]


def _finding(run_id: str, row: Row, days: tuple[date, date], default: ZoneInfo) -> Row:
    (finding_id, rule_id, rule_version, severity, verdict, institution, person, lines, amount) = row[:9]
    (begin_us, end_us, evidence, explanation_zh, explanation_en, parameters) = row[9:]
    begins = from_us(begin_us).astimezone(default).date() if begin_us is not None else days[0]
    day = min(max(begins, days[0]), days[1])
    return (
        run_id,
        finding_id,
        day.isoformat(),
        rule_id,
        rule_version,
        severity,
        verdict,
        institution,
        person,
        orjson.dumps(lines or []).decode(),
        _fen(amount),
        begin_us,
        end_us,
        orjson.dumps(evidence or []).decode(),
        explanation_zh,
        explanation_en,
        parameters or "{}",
    )


def _fen(amount: Decimal | None) -> int:
    return int((amount or Decimal(0)) * 100)
