"""Run a changed rule pack against past tables and say what would change."""

# ruff: noqa: S608 - paths are quoted

import csv
import dataclasses
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from renzheng.central.audit.connection import connect
from renzheng.central.audit.errors import TablesUnusableError
from renzheng.central.audit.readback import read_findings
from renzheng.central.audit.request import AuditRequest, parquet_of
from renzheng.central.audit.run import run_audit
from renzheng.central.audit.sources import quoted
from renzheng.rules.pack import load_pack

DECISIONS = ("upheld", "overturned")


@dataclass(frozen=True)
class RuleChange:
    """What would change for one rule: findings by what becomes of them."""

    rule_id: str
    kept: int
    gained: int
    lost: int


@dataclass(frozen=True)
class Backtest:
    """What would change.

    Args:
        rules: by rule, those whose findings differ or stay.
        verdicts: lines by (verdict/reason before, verdict/reason after), changed ones only.
        cases: adjudicated cases by (decision, what the changed pack would do: found or not found).
    """

    rules: tuple[RuleChange, ...]
    verdicts: Mapping[tuple[str, str], int]
    cases: Mapping[tuple[str, str], int]


def backtest(
    request: AuditRequest,
    changed: Path,
    cases: Path | None = None,
    decided: Mapping[str, str] | None = None,
) -> Backtest:
    """Audit the same tables with the pack of the request and with a changed one, and compare.

    Args:
        request: tables, period and the pack so far; its `out` is not used.
        changed: the changed pack, folder or rule file; only rules that it holds are compared.
        cases: CSV with the columns `id` (of a finding or a line) and `decision` (upheld or overturned).
        decided: the same of closed cases, by id; a row of `cases` goes before.

    Raises:
        TablesUnusableError: the cases cannot be read.
    """
    decisions = {**(decided or {}), **(_read_cases(cases) if cases else {})}
    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder) / "before", Path(folder) / "after"
        run_audit(dataclasses.replace(request, out=before))
        run_audit(dataclasses.replace(request, out=after, rules=changed))
        old = {finding.finding_id: finding.rule_id for finding in read_findings(before)}
        new = {finding.finding_id: finding.rule_id for finding in read_findings(after)}
        named = accused(after)
        return Backtest(
            rules=tuple(_compare(old, new, sorted(load_pack(changed).rules))),
            verdicts=_changed_verdicts(before, after),
            cases=Counter(
                (decision, "found" if name in new or name in named else "not found")
                for name, decision in decisions.items()
            ),
        )


def _compare(old: Mapping[str, str], new: Mapping[str, str], rules: Sequence[str]) -> list[RuleChange]:
    changes = []
    for rule in rules:
        before = {name for name, of in old.items() if of == rule}
        after = {name for name, of in new.items() if of == rule}
        changes.append(RuleChange(rule, len(before & after), len(after - before), len(before - after)))
    return changes


def accused(out: Path) -> set[str]:
    """Return the ids of the lines that an audit contradicts."""
    path = quoted(parquet_of(out / "line_verdicts.parquet"))
    return {
        str(row[0])
        for row in _rows(f"SELECT line_id FROM read_parquet('{path}') WHERE verdict = 'contradicted'")
    }


def _changed_verdicts(before: Path, after: Path) -> dict[tuple[str, str], int]:
    old, new = (quoted(parquet_of(folder / "line_verdicts.parquet")) for folder in (before, after))
    rows = _rows(
        "SELECT o.verdict || '/' || o.reason AS was, n.verdict || '/' || n.reason AS becomes, count(*) "
        f"FROM read_parquet('{old}') o JOIN read_parquet('{new}') n USING (institution_id, line_id) "
        "GROUP BY was, becomes HAVING was <> becomes ORDER BY was, becomes"
    )
    return {(was, becomes): lines for was, becomes, lines in rows}


def _read_cases(path: Path) -> dict[str, str]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    wrong = [
        f"line {number}" for number, row in enumerate(rows, start=2) if row.get("decision") not in DECISIONS
    ]
    if wrong or (rows and "id" not in rows[0]):
        raise TablesUnusableError(
            f"{path} is no list of adjudicated cases: {', '.join(wrong) or 'there is no column id'}.",
            do="Give a CSV with the columns id and decision, the latter upheld or overturned.",
        )
    return {row["id"]: row["decision"] for row in rows}


def _rows(sql: str) -> list[tuple[Any, ...]]:
    with connect() as connection:
        return list(connection.execute(sql).fetchall())
