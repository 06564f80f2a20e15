"""What an audit is asked and what it answers: plain values."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

EngineName = Literal["duckdb", "spark", "python"]

RULE_SECONDS = 900.0
"""Longest time for one rule: a whole night of the nation, all rules together, takes a fifth of it."""

EPOCH = dt.date(1970, 1, 1)
DAY_US = 86_400_000_000


def day_number(day: dt.date) -> int:
    """Count days since 1970-01-01, the form in which steps and rules see local days."""
    return (day - EPOCH).days


@dataclass(frozen=True)
class AuditRequest:
    """One run of the audit.

    Args:
        tables: folder with the input tables.
        from_day: first local service day, included.
        to_day: last local service day, included.
        out: folder for the output; files of an earlier run in it are replaced.
        engine: what runs the steps.
        rules: another rule pack than the national one that comes with the product.
        region: region whose parameter overrides hold for this run.
        memory_limit: most memory DuckDB may take before it spills to `out`, such as `5GB`; 6 GB when None, or
            seven tenths of the machine's memory where that is less.
        threads: worker threads of DuckDB; its own default when None.
        resumable: keep each step in a database in `out` while the run goes on, so that the same request goes
            on from there when the process was killed. DuckDB only; Spark begins again.
        rules_key: file with the bureau's public keys; with it, rules and regions that did not come with the
            product are refused unless the bureau signed them.
        rule_seconds: longest time for one rule; one that takes longer is stopped, and named as failed.
    """

    tables: Path
    from_day: dt.date
    to_day: dt.date
    out: Path
    engine: EngineName = "duckdb"
    rules: Path | None = None
    region: str | None = None
    memory_limit: str | None = None
    threads: int | None = None
    resumable: bool = False
    rule_seconds: float = RULE_SECONDS
    rules_key: Path | None = None


@dataclass(frozen=True)
class AuditResult:
    """Where a run's output lies, and its summary as written to `summary.json`."""

    out: Path
    summary: Mapping[str, Any] = field(repr=False)

    @property
    def line_verdicts(self) -> Path:
        """Parquet file of line verdicts."""
        return self.out / "line_verdicts.parquet"

    @property
    def findings(self) -> Path:
        """Parquet file of findings."""
        return self.out / "findings.parquet"

    @property
    def day_verdicts(self) -> Path:
        """Parquet file of the days of bed lines."""
        return self.out / "day_verdicts.parquet"

    @property
    def ledger(self) -> Path:
        """Parquet file of what each institution sent, by box."""
        return self.out / "ledger.parquet"


class Progress(Protocol):
    """Is told which step begins, out of how many."""

    def __call__(self, step: str, index: int, total: int) -> None:
        """Note that step number `index` (from 0) of `total` begins."""


def no_progress(step: str, index: int, total: int) -> None:
    """Show nothing."""
