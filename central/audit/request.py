"""What an audit is asked and what it answers: plain values."""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from renzheng.central.audit.errors import AuditUsageError
from renzheng.rules.knowledge.points import Point

EngineName = Literal["duckdb", "spark", "python"]

RULE_SECONDS = 900.0
"""Longest time for one rule: a whole night of the nation, all rules together, takes a fifth of it."""

SMALL = "spark.renzheng.small"
"""Set for a Spark session that only ever sees a few thousand rows: its steps stay in the driver's memory.
Each file that is written and read again costs more than such a step."""

EPOCH = dt.date(1970, 1, 1)
DAY_US = 86_400_000_000


def day_number(day: dt.date) -> int:
    """Count days since 1970-01-01, the form in which steps and rules see local days."""
    return (day - EPOCH).days


Place = Path | str
"""A folder of this machine, or the URI of one that Spark reaches."""


def place_of(text: str) -> Place:
    """Read what a command was given: a URI stays a text."""
    return text.rstrip("/") if "://" in text else Path(text)


def address_of(place: Place) -> str:
    """Write a place as a URI; a path without one would be looked for in the cluster's own file system."""
    return f"file://{place.resolve()}" if isinstance(place, Path) else place


def parquet_of(path: Path) -> Path:
    """Return what DuckDB is to read of a table of the output: one file, or all of those in a folder."""
    return path / "*.parquet" if path.is_dir() else path


def here(place: Place) -> Path:
    """Return a place of this machine.

    Raises:
        AuditUsageError: it is a URI of somewhere else.
    """
    if isinstance(place, Path):
        return place
    if place.startswith("file:///"):
        return Path(place.removeprefix("file://"))
    raise AuditUsageError(
        f"{place} is no folder of this machine.", do="Only --engine spark reads and writes addresses."
    )


@dataclass(frozen=True)
class SparkAsked:
    """What a command asks of Spark.

    Args:
        master: URL of the master; the site's, else this machine, when None.
        settings: Spark's own settings, which come before the site's.
    """

    master: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def all(self) -> dict[str, str]:
        """All that is asked, as settings."""
        return {**self.settings, **({} if self.master is None else {"spark.master": self.master})}


@dataclass(frozen=True)
class AuditRequest:
    """One run of the audit.

    Args:
        tables: folder with the input tables; for Spark it may be a URI.
        from_day: first local service day, included.
        to_day: last local service day, included.
        out: folder for the output; files of an earlier run in it are replaced; for Spark it may be a URI.
        engine: what runs the steps.
        rules: another rule pack than the national one that comes with the product.
        only: ids of the rules of findings to run; all when empty. Those of line verdicts always run.
        region: region whose parameter overrides hold for this run.
        memory_limit: most memory DuckDB may take before it spills to `out`, such as `5GB`; 6 GB when None, or
            seven tenths of the machine's memory where that is less.
        threads: worker threads of DuckDB; its own default when None.
        resumable: keep each step in `out` while the run goes on, so that the same request goes on from there
            when the process was killed.
        rules_key: file with the bureau's public keys; with it, rules and regions that did not come with the
            product are refused unless the bureau signed them.
        rule_seconds: longest time for one rule; one that takes longer is stopped, and named as failed.
        spark: what is asked of Spark.
        points: knowledge points in force, beside the knowledge of the rule pack.
    """

    tables: Place
    from_day: dt.date
    to_day: dt.date
    out: Place
    engine: EngineName = "duckdb"
    rules: Path | None = None
    only: Collection[str] = ()
    region: str | None = None
    memory_limit: str | None = None
    threads: int | None = None
    resumable: bool = False
    rule_seconds: float = RULE_SECONDS
    rules_key: Path | None = None
    spark: SparkAsked = field(default_factory=SparkAsked)
    points: Sequence[Point] = field(default=(), repr=False)


@dataclass(frozen=True)
class AuditResult:
    """Where a run's output lies, and its summary as written to `summary.json`.

    A table is one Parquet file, or, by Spark, a folder of them whose names are in the order of the rows.
    """

    out: Place
    summary: Mapping[str, Any] = field(repr=False)

    @property
    def line_verdicts(self) -> Path:
        """Parquet of line verdicts."""
        return parquet_of(here(self.out) / "line_verdicts.parquet")

    @property
    def findings(self) -> Path:
        """Parquet of findings."""
        return here(self.out) / "findings.parquet"

    @property
    def day_verdicts(self) -> Path:
        """Parquet of the days of bed lines."""
        return parquet_of(here(self.out) / "day_verdicts.parquet")

    @property
    def ledger(self) -> Path:
        """Parquet of what each institution sent, by box."""
        return parquet_of(here(self.out) / "ledger.parquet")


class Progress(Protocol):
    """Is told which step begins, out of how many."""

    def __call__(self, step: str, index: int, total: int) -> None:
        """Note that step number `index` (from 0) of `total` begins."""


def no_progress(step: str, index: int, total: int) -> None:
    """Show nothing."""
