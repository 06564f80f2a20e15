"""Hold rules against their own worked examples: one run of the audit answers all of them."""

import datetime as dt
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from renzheng.central.audit.readback import Finding, LineVerdict, read_findings, read_verdicts
from renzheng.central.audit.request import AuditRequest, EngineName
from renzheng.central.audit.run import run_audit
from renzheng.contracts.tables import INPUT_TABLES, arrow_schema
from renzheng.rules.examples import SEPARATOR, Case, cases
from renzheng.rules.header import Expectation
from renzheng.rules.pack import Pack

MARGIN = dt.timedelta(days=10)


@dataclass(frozen=True)
class Outcome:
    """How one case came out; without problems it is as the rule's author said."""

    case: Case
    problems: tuple[str, ...]


def check_examples(
    pack: Pack, *, engine: EngineName = "duckdb", rules: Path | None = None, only: Sequence[str] = ()
) -> list[Outcome]:
    """Run every example of a pack on an engine.

    Args:
        pack: the rules.
        engine: what runs them.
        rules: where the pack was loaded from; None for the national one.
        only: ids of rules; all when empty.
    """
    chosen = [rule for name, rule in sorted(pack.rules.items()) if not only or name in only]
    codes = [row["item_code"] for row in pack.knowledge.get("item_limits", ())]
    laid_out = list(cases(chosen, codes))
    with tempfile.TemporaryDirectory() as folder:
        tables, out = Path(folder) / "tables", Path(folder) / "out"
        write_tables(tables, laid_out)
        first, last = _period(laid_out)
        run_audit(AuditRequest(tables, first, last, out, engine=engine, rules=rules))
        verdicts, findings = _by_case(read_verdicts(out)), _by_case(read_findings(out))
        return [
            Outcome(case, tuple(_problems(case, verdicts[case.prefix], findings[case.prefix])))
            for case in laid_out
        ]


def write_tables(folder: Path, laid_out: Sequence[Case]) -> None:
    """Write the rows of all cases as one set of canonical tables."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in INPUT_TABLES.items():
        rows = [row for case in laid_out for row in case.rows.get(name, ())]
        pq.write_table(pa.Table.from_pylist(rows, schema=arrow_schema(table)), folder / f"{name}.parquet")


def _period(laid_out: Sequence[Case]) -> tuple[dt.date, dt.date]:
    times = [
        row[column]
        for case in laid_out
        for table, column in (("claim_lines", "service_time"), ("attendance", "occurred_at"))
        for row in case.rows.get(table, ())
    ]
    return min(times).date() - MARGIN, max(times).date() + MARGIN


def _by_case(rows: Iterator[Any]) -> Mapping[str, list[Any]]:
    """Sort output by the case that its institution belongs to."""
    sorted_: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        sorted_[row.institution_id.split(SEPARATOR)[0]].append(row)
    return sorted_


def _problems(case: Case, verdicts: Sequence[LineVerdict], findings: Sequence[Finding]) -> Iterator[str]:
    mine = [finding for finding in findings if finding.rule_id == case.rule_id]
    if case.verdicts:
        got = {_bare(one.line_id): f"{one.verdict}/{one.reason}" for one in verdicts}
        for line, verdict in case.verdicts.items():
            if got.get(line) != verdict:
                yield f"{line}: expected {verdict}, got {got.get(line)}"
        return
    for expected in case.flags:
        if not any(_fits(finding, expected) for finding in mine):
            yield f"no finding like {expected.model_dump(exclude_none=True)}; got {[_told(f) for f in mine]}"
    if len(mine) != len(case.flags):
        yield f"expected {len(case.flags)} finding(s), got {[_told(finding) for finding in mine]}"


def _fits(finding: Finding, expected: Expectation) -> bool:
    told = _told(finding)
    for name, value in expected.model_dump(exclude_none=True).items():
        wanted = sorted(value) if isinstance(value, tuple) else value
        if told[name] != wanted:
            return False
    return True


def _told(finding: Finding) -> dict[str, Any]:
    return {
        "institution_id": _bare(finding.institution_id),
        "person_id": _bare(finding.person_id) if finding.person_id else None,
        "line_ids": sorted(_bare(line) for line in finding.line_ids),
        "evidence": sorted(_bare(one) for one in finding.evidence),
        "amount": finding.amount,
    }


def _bare(name: str) -> str:
    return name.split(SEPARATOR, 1)[-1]
