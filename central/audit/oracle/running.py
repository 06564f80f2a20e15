"""`renzheng audit run --engine python`: the oracle over a folder of tables, for anybody to follow by hand.

It reads the same tables and writes the same verdicts, days and ledger, but no findings.
"""

import datetime as dt
import json
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from renzheng.central.audit.connection import connect
from renzheng.central.audit.errors import AuditUsageError
from renzheng.central.audit.oracle.judge import Oracle
from renzheng.central.audit.oracle.values import BoxSum, Judgement, Parameters
from renzheng.central.audit.request import AuditRequest, AuditResult, here
from renzheng.central.audit.sources import Source, find_sources, read_rejects
from renzheng.contracts.tables import BOXES, DAY_VERDICTS, LEDGER, LINE_VERDICTS, Table, arrow_schema
from renzheng.rules.pack import LINE_RULES, Pack
from renzheng.rules.parameters import resolve

MOST_LINES = 20_000
"""Billed lines beyond which the plain way takes too long."""


def run_in_python(request: AuditRequest, pack: Pack, made: Path) -> dict[str, Any]:
    """Judge the tables of a request with the oracle, write what it answers, and return the summary.

    Raises:
        AuditUsageError: there are too many lines for it.
        TablesUnusableError: input columns are missing or mistyped.
    """
    sources = find_sources(here(request.tables))
    rows = {name: list(_rows(source)) for name, source in sources.items()}
    if len(rows["claim_lines"]) > MOST_LINES:
        raise AuditUsageError(
            f"--engine python judges {MOST_LINES:,} lines at most; there are {len(rows['claim_lines']):,}.",
            why="It tries every way to put sessions and lines together, one line after the other.",
            do="Use --engine duckdb, or cut out the institution and the persons you want to follow.",
        )
    rows["rejects"] = read_rejects(here(request.tables))
    judged = Oracle(rows, request.from_day, request.to_day, parameters_of(request.region, pack)).judge()
    _write(judged, pack, made)
    return _summary(request, sources, rows, judged)


def parameters_of(region: str | None, pack: Pack) -> Callable[[dt.date], Parameters]:
    """Return the parameters of a day, with the region's own on top of the national ones."""
    known: dict[dt.date, Parameters] = {}

    def on(day: dt.date) -> Parameters:
        if day not in known:
            known[day] = as_parameters(values_on(region, pack, day))
        return known[day]

    return on


def values_on(region: str | None, pack: Pack, day: dt.date) -> Mapping[str, Decimal]:
    """Return the parameters of a day by the names that the rules of line verdicts give them."""
    values: dict[str, Decimal] = {}
    for name in ("line-service-point", "line-bed-day", "line-haemodialysis"):
        values.update(resolve(pack.rules[name].header, pack.overrides(region, name), day))
    return values


def as_parameters(values: Mapping[str, Decimal]) -> Parameters:
    """Take the parameters of the line rules, by their names there, as the oracle has them."""

    def time(name: str, unit: str) -> dt.timedelta:
        return dt.timedelta(**{unit: float(values[f"{name}_{unit}"])})

    return Parameters(
        match_window=time("match_window", "hours"),
        max_session=time("max_session", "hours"),
        mid_session=time("mid_session", "minutes"),
        near=time("mid_session", "minutes"),
        min_duration_ratio=values["min_duration_ratio"],
        hour_ratio=values["min_duration_ratio"],
        min_session=time("min_session", "minutes"),
        min_prescribed_minutes=int(values["min_prescribed_minutes"]),
        resume=time("resume", "minutes"),
        late_billing_days=int(values["late_billing_days"]),
        late_bed_days=int(values["late_bed_days"]),
        late_entry_days=int(values["late_entry_days"]),
        elsewhere_margin=time("elsewhere_margin", "minutes"),
        posting_grace=time("posting_grace", "hours"),
        inpatients_sign_in=bool(values["inpatients_sign_in"]),
        hospital_log_corroborates=bool(values["hospital_log_corroborates"]),
        shield_attempts=int(values["shield_attempts"]),
        coverage_needed=values["coverage_needed"],
        coverage_hours=(int(values["coverage_from_hour"]), int(values["coverage_to_hour"])),
        bed_hours=(int(values["bed_day_from_hour"]), int(values["bed_day_to_hour"])),
        bill_on_leave=int(values["bill_on_leave"]),
        longest_examination=time("longest_examination", "hours"),
        errand_pause=time("errand_pause", "hours"),
        point_repeat=time("point_repeat", "minutes"),
        staff_must_be_shown=bool(values["staff_must_be_shown"]),
    )


def _rows(source: Source) -> Iterator[dict[str, Any]]:
    """Return the typed rows of a table; a line that is no row is one of which little could be read."""
    if source.select is not None:
        with connect() as connection:
            table: pa.Table = connection.sql(source.select).to_arrow_table()
            yield from table.to_pylist()
    for torn in source.torn_rows:
        ids = {name: text for name, text in torn.items() if name.endswith("_id")}
        yield {**ids, "amount": _amount(torn.get("amount")), "unreadable_": "no row"}


def _amount(text: str | None) -> Decimal | None:
    try:
        return Decimal(text).quantize(Decimal("0.01")) if text else None
    except InvalidOperation:
        return None


def _write(judged: Judgement, pack: Pack, made: Path) -> None:
    versions = {name: pack.rules[name].header.version for name in LINE_RULES}
    rules = dict.fromkeys(judged.of_points, "line-service-point")
    rules |= {(institution, line): "line-bed-day" for institution, line, _ in judged.days}
    lines = [
        {
            "line_id": key[1],
            "institution_id": key[0],
            "verdict": answer.verdict,
            "reason": answer.reason,
            "coverage_ratio": answer.coverage_ratio,
            "evidence": list(answer.evidence),
            "rule_id": (rule := rules.get(key, "line-haemodialysis")),
            "rule_version": versions[rule],
            "amount_at_stake": answer.at_stake,
        }
        for key, answer in sorted(judged.lines.items())
    ]
    days = [
        {
            "line_id": line,
            "institution_id": institution,
            "day": day,
            "verdict": answer.verdict,
            "reason": answer.reason,
            "evidence": list(answer.evidence),
        }
        for (institution, line, day), answer in sorted(judged.days.items())
    ]
    boxes = [
        {
            "institution_id": institution,
            "box": box,
            "lines": held.lines,
            "amount": held.amount,
            "fund_amount": held.fund_amount,
        }
        for (institution, box), held in sorted(judged.ledger.items())
    ]
    for table, rows in ((LINE_VERDICTS, lines), (DAY_VERDICTS, days), (LEDGER, boxes)):
        _write_table(table, rows, made)


def _write_table(table: Table, rows: list[dict[str, Any]], made: Path) -> None:
    pq.write_table(pa.Table.from_pylist(rows, schema=arrow_schema(table)), made / f"{table.name}.parquet")


def _summary(
    request: AuditRequest,
    sources: Mapping[str, Source],
    rows: Mapping[str, list[dict[str, Any]]],
    judged: Judgement,
) -> dict[str, Any]:
    return {
        "engine": "python",
        "from": request.from_day.isoformat(),
        "to": request.to_day.isoformat(),
        "region": request.region,
        "tables": str(here(request.tables).resolve()),
        "rows": {
            name: {"read": len(rows[name]), "rejected": judged.rejected.get(name, 0)} for name in sources
        },
        "missing_tables": [
            name for name, source in sources.items() if source.select is None and not source.table.optional
        ],
        "verdicts": _by_reason(judged),
        "ledger": _ledger(judged),
        "shielded": [
            {"shield": by, "lines": lines, "amount": str(amount)}
            for by, (lines, amount) in sorted(judged.shielded.items())
        ],
        "findings": {},
        "failed_rules": {},
    }


def _by_reason(judged: Judgement) -> list[dict[str, Any]]:
    """Count lines and yuan by verdict and reason."""
    found: dict[tuple[str, str], tuple[int, Decimal]] = {}
    for answer in judged.lines.values():
        lines, amount = found.get((answer.verdict, answer.reason), (0, Decimal(0)))
        found[answer.verdict, answer.reason] = lines + 1, amount + answer.amount
    return [
        {"verdict": verdict, "reason": reason, "lines": lines, "amount": str(amount)}
        for (verdict, reason), (lines, amount) in sorted(found.items())
    ]


def _ledger(judged: Judgement) -> dict[str, Any]:
    """Return what was sent, by box: of each institution, and of all together."""
    total: dict[str, BoxSum] = {}
    for (_, box), held in judged.ledger.items():
        before = total.get(box, BoxSum(0, Decimal(0), None))
        fund = None
        if before.fund_amount is not None or held.fund_amount is not None:
            fund = (before.fund_amount or Decimal(0)) + (held.fund_amount or Decimal(0))
        total[box] = BoxSum(before.lines + held.lines, before.amount + held.amount, fund)
    return {
        "total": {box: _texts(total[box]) for box in BOXES if box in total},
        "institutions": [
            {"institution_id": institution, "box": box, **_texts(held)}
            for (institution, box), held in sorted(judged.ledger.items())
        ],
    }


def _texts(held: BoxSum) -> dict[str, Any]:
    fund = None if held.fund_amount is None else str(held.fund_amount)
    return {"lines": held.lines, "amount": str(held.amount), "fund_amount": fund}


def run_plainly(request: AuditRequest, pack: Pack) -> AuditResult:
    """Run the oracle and put what it wrote into `request.out`; the summary comes last and vouches for it."""
    out = here(request.out)
    out.mkdir(parents=True, exist_ok=True)
    (out / "summary.json").unlink(missing_ok=True)
    summary = run_in_python(request, pack, out)
    text = json.dumps(summary, ensure_ascii=False, indent=2) + "\n"
    (out / "summary.json").write_text(text, encoding="utf-8")
    return AuditResult(out, summary)
