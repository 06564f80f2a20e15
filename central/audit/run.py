"""Run the audit: load, step after step, write. It reads as the audit's table of contents."""



import json
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from renzheng.central.audit.duckdb_engine import DuckDBEngine
from renzheng.central.audit.engine import Engine
from renzheng.central.audit.errors import AuditUsageError
from renzheng.central.audit.loading import Loaded, Loader
from renzheng.central.audit.matching import Choice, assign
from renzheng.central.audit.request import AuditRequest, AuditResult, Progress, day_number, no_progress
from renzheng.central.audit.settings import DEFAULTS, day_settings
from renzheng.central.audit.sources import Source, find_sources
from renzheng.central.audit.steps import ASSIGNMENT, STEPS, filled, read_step
from renzheng.contracts.tables import FINDINGS, empty_table

CHOICE_FIELDS = tuple(field.name for field in fields(Choice))


def run_audit(request: AuditRequest, progress: Progress = no_progress) -> AuditResult:
    """Audit the claim lines of a period.

    Nothing under `request.out` changes before all of it is computed; `summary.json` is put in place last.

    Raises:
        AuditUsageError: the request makes no sense.
        TablesUnusableError: input columns are missing or mistyped; every problem is listed.
        EngineError: the engine failed.
    """
    _check(request)
    request.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".audit-", dir=request.out) as folder:
        scratch = Path(folder)
        made = scratch / "made"
        made.mkdir()
        sources = find_sources(request.tables)
        with DuckDBEngine(scratch, memory_limit=request.memory_limit, threads=request.threads) as engine:
            summary = Run(request, engine, made, progress).audit(sources)
        (made / "summary.json").write_text(
            json.dumps(summary, ensure_ascii=False, indent=2) + "\n", encoding="utf-8"
        )
        _put_in_place(made, request.out)
    return AuditResult(request.out, summary)


class Run:
    """One run under way.

    Args:
        request: what was asked.
        engine: an engine without tables yet.
        made: folder in which the output is made.
        progress: is told of every step.
    """

    def __init__(self, request: AuditRequest, engine: Engine, made: Path, progress: Progress) -> None:
        self._request = request
        self._engine = engine
        self._made = made
        self._progress = progress
        self._seconds: dict[str, float] = {}
        self._steps = ("load", *STEPS, "write")

    def audit(self, sources: Mapping[str, Source]) -> dict[str, Any]:
        """Do all of it; the summary is what is returned."""
        loaded = self._load(sources)
        for name in STEPS:
            with self._timed(name):
                self._step(name)
        with self._timed("write"):
            self._write()
        return self._summary(loaded)

    def _load(self, sources: Mapping[str, Source]) -> list[Loaded]:
        with self._timed("load"):
            rejected = self._made / "rejected"
            rejected.mkdir()
            period = {"from_day": self._request.from_day, "to_day": self._request.to_day}
            loaded = Loader(self._engine, sources, **period, rejected=rejected).load()
            days, windows = day_settings(**period, resolve=lambda _: DEFAULTS)
            self._engine.add("days", days)
            self._engine.add("windows", windows)
        return loaded

    def _step(self, name: str) -> None:
        if name == ASSIGNMENT:
            self._engine.add(name, assign_contested(self._engine.rows("SELECT * FROM contested_choices")))
            return
        values = {
            "from_day": day_number(self._request.from_day),
            "to_day": day_number(self._request.to_day),
        }
        self._engine.table(name, filled(read_step(name).sql, values))

    def _write(self) -> None:
        self._engine.write(
            "SELECT line_id, institution_id, verdict, reason, coverage_ratio, evidence, "
            "'line-haemodialysis' AS rule_id, '1' AS rule_version FROM dialysis_verdicts ORDER BY line_id",
            self._made / "line_verdicts.parquet",
        )
        pq.write_table(empty_table(FINDINGS), self._made / "findings.parquet")

    def _summary(self, loaded: list[Loaded]) -> dict[str, Any]:
        verdicts = self._engine.rows(
            "SELECT v.verdict, v.reason, count(*) AS lines, sum(l.amount) AS amount FROM dialysis_verdicts v "
            "JOIN scope_lines l ON v.line_id = l.line_id GROUP BY v.verdict, v.reason ORDER BY v.verdict, v.reason"
        ).to_pylist()
        return {
            "engine": self._engine.name,
            "from": self._request.from_day.isoformat(),
            "to": self._request.to_day.isoformat(),
            "region": self._request.region,
            "rows": {one.table: {"read": one.read, "rejected": one.rejected} for one in loaded},
            "missing_tables": [one.table for one in loaded if one.missing],
            "verdicts": [{**row, "amount": str(row["amount"])} for row in verdicts],
            "findings": {},
            "seconds": {name: round(seconds, 3) for name, seconds in self._seconds.items()},
        }

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        self._progress(name, self._steps.index(name), len(self._steps))
        began = time.perf_counter()
        yield
        self._seconds[name] = time.perf_counter() - began


def assign_contested(choices: pa.Table) -> pa.Table:
    """Assign contested sessions, person by person, institution by institution, class by class."""
    groups: dict[tuple[str, str, str], list[Choice]] = defaultdict(list)
    for row in choices.to_pylist():
        group = (row["institution_id"], row["person_id"], row["item_class"])
        groups[group].append(Choice(**{field: row[field] for field in CHOICE_FIELDS}))
    assigned = [
        {"line_id": line, "session": session}
        for group in sorted(groups)
        for line, sessions in assign(groups[group]).items()
        for session in sessions
    ]
    return pa.Table.from_pylist(
        assigned, schema=pa.schema([("line_id", pa.string()), ("session", pa.string())])
    )


def _check(request: AuditRequest) -> None:
    if request.from_day > request.to_day:
        raise AuditUsageError(
            f"--from {request.from_day} is after --to {request.to_day}.",
            do="Give the first day of the period first; both days are included.",
        )
    if not request.tables.is_dir():
        raise AuditUsageError(
            f"There is no folder {request.tables}.",
            why="The audit reads one table a name from it.",
            do="Give the folder with the canonical tables as --tables.",
        )
    if request.out.exists() and not request.out.is_dir():
        raise AuditUsageError(f"{request.out} is a file.", do="Give a folder as --out.")


def _put_in_place(made: Path, out: Path) -> None:
    """Move the output of this run over that of an earlier one; the summary comes last and vouches for the rest."""
    (out / "summary.json").unlink(missing_ok=True)
    if (out / "rejected").exists():
        shutil.rmtree(out / "rejected")
    for path in sorted(made.iterdir(), key=lambda path: path.name == "summary.json"):
        path.replace(out / path.name)
