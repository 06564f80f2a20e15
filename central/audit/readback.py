"""Read an audit's output back, for the console and the reports."""

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from renzheng.central.audit.errors import TablesUnusableError


@dataclass(frozen=True)
class LineVerdict:
    """The verdict on one line, as in `line_verdicts.parquet`; `coverage_ratio` lies between 0 and 1.

    `amount_at_stake` is None in the output of an earlier version.
    """

    line_id: str
    institution_id: str
    verdict: str
    reason: str
    coverage_ratio: float
    evidence: tuple[str, ...]
    rule_id: str
    rule_version: str
    amount_at_stake: Decimal | None = None


@dataclass(frozen=True)
class Finding:
    """One finding, as in `findings.parquet`; `parameters` is the decoded JSON."""

    finding_id: str
    rule_id: str
    rule_version: str
    severity: str
    verdict: str
    institution_id: str
    person_id: str | None
    line_ids: tuple[str, ...]
    amount: Decimal
    from_at: dt.datetime
    to_at: dt.datetime
    evidence: tuple[str, ...]
    explanation_zh: str
    explanation_en: str
    parameters: dict[str, Any]


def read_summary(out: Path) -> dict[str, Any]:
    """Read `summary.json`; only a folder that has one holds a finished audit.

    Raises:
        TablesUnusableError: there is none.
    """
    path = out / "summary.json"
    if not path.is_file():
        raise TablesUnusableError(
            f"There is no finished audit in {out}.", do="Run `renzheng audit run` with it as --out."
        )
    summary: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return summary


def read_verdicts(out: Path) -> Iterator[LineVerdict]:
    """Read the line verdicts in the order of their line ids."""
    read_summary(out)
    path = out / "line_verdicts.parquet"
    for part in sorted(path.glob("*.parquet")) if path.is_dir() else (path,):
        with pq.ParquetFile(part) as file:
            for batch in file.iter_batches():
                for row in batch.to_pylist():
                    yield LineVerdict(**{**row, "evidence": tuple(row["evidence"])})


def read_findings(out: Path) -> Iterator[Finding]:
    """Read the findings in the order of their ids."""
    read_summary(out)
    with pq.ParquetFile(out / "findings.parquet") as file:
        for batch in file.iter_batches():
            for row in batch.to_pylist():
                yield Finding(
                    **{
                        **row,
                        "line_ids": tuple(row["line_ids"]),
                        "evidence": tuple(row["evidence"]),
                        "parameters": json.loads(row["parameters"]),
                    }
                )
