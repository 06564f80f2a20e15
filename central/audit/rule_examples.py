"""Hold rules against their own worked examples: one run of the audit answers all of them."""

import datetime as dt
import tempfile
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from renzheng.central.audit.readback import Finding, LineVerdict, read_findings, read_verdicts
from renzheng.central.audit.request import SMALL, AuditRequest, EngineName
from renzheng.central.audit.run import run_audit
from renzheng.contracts.tables import REJECTS, arrow_schema
from renzheng.rules.examples import EXAMPLE_TABLES, SEPARATOR, Case, cases, key_of
from renzheng.rules.header import Expectation
from renzheng.rules.pack import Pack, Rule

MARGIN = dt.timedelta(days=10)
NEAR = dt.timedelta(days=180)
"""Rows further than this from the middle one are far away on purpose: they do not lengthen the period."""
SMALL_SPARK: Mapping[str, str] = {
    SMALL: "true",
    "spark.sql.shuffle.partitions": "1",
    # in one partition a sort is a task of the same job; a broadcast is a job of its own
    "spark.sql.autoBroadcastJoinThreshold": "-1",
    "spark.sql.constraintPropagation.enabled": "false",
    "spark.sql.optimizer.dynamicPartitionPruning.enabled": "false",
    "spark.sql.optimizer.runtime.bloomFilter.enabled": "false",
    "spark.sql.exchange.reuse": "false",
    "spark.broadcast.compress": "false",
    "spark.shuffle.compress": "false",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    # every query is described in words for a page that nobody sees: in few words
    "spark.sql.ui.explainMode": "simple",
    "spark.sql.maxPlanStringLength": "100",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
    # the run is over before the second compiler has paid for itself
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto "
    # room for what is compiled and for what is soon forgotten, so that neither is swept again and again
    "-XX:ReservedCodeCacheSize=240m -XX:-UseCodeCacheFlushing -Xmn320m",
    "spark.hadoop.mapreduce.fileoutputcommitter.algorithm.version": "2",
    "spark.sql.parquet.enableVectorizedReader": "false",
    "spark.sql.sources.parallelPartitionDiscovery.threshold": "100000",
}


@dataclass(frozen=True)
class Outcome:
    """How one case came out; without problems it is as the rule's author said."""

    case: Case
    problems: tuple[str, ...]
    findings: tuple[Finding, ...] = ()
    """Of whatever rule, in the order of their ids."""


def check_examples(
    pack: Pack, *, engine: EngineName = "duckdb", rules: Path | None = None, only: Sequence[str] = ()
) -> list[Outcome]:
    """Run every example of a pack on an engine, those of a region's own rules with what holds there.

    Only the rules whose examples are asked for run.

    Args:
        pack: the rules.
        engine: what runs them.
        rules: where the pack was loaded from; None for the national one.
        only: ids of rules; all when empty.
    """
    with small_session() if engine == "spark" else nullcontext():
        outcomes = run_cases(_laid_out(pack, pack.rules, only), engine=engine, rules=rules, only=only)
        for code, region in pack.regions.items():
            own = _laid_out(pack.for_region(code), region.rules, only)
            outcomes += run_cases(own, engine=engine, rules=rules, only=[*region.rules], region=code)
    return outcomes


def _laid_out(pack: Pack, rules: Mapping[str, Rule], only: Sequence[str]) -> list[Case]:
    chosen = [rule for name, rule in sorted(rules.items()) if not only or name in only]
    return list(cases(chosen, known_codes(pack)))


def known_codes(pack: Pack) -> list[str]:
    """List the item codes of the knowledge tables, which keep their names in every example."""
    columns = ("item_code", "main_code", "sub_code")
    rows = [row for table in pack.knowledge.values() for row in table]
    return sorted({row[column] for row in rows for column in columns if row.get(column)})


def run_cases(
    laid_out: Sequence[Case],
    *,
    engine: EngineName = "duckdb",
    rules: Path | None = None,
    only: Collection[str] = (),
    region: str | None = None,
) -> list[Outcome]:
    """Run cases side by side, in one run of the audit; with `only`, of these rules of findings."""
    if not laid_out:
        return []
    with tempfile.TemporaryDirectory() as folder:
        tables, out = Path(folder) / "tables", Path(folder) / "out"
        write_tables(tables, laid_out)
        first, last = _period(laid_out)
        asked = AuditRequest(tables, first, last, out, engine, rules, only, region)
        result = run_audit(asked)
        failed = result.summary["failed_rules"]
        verdicts, findings = _by_case(read_verdicts(out)), _by_case(read_findings(out))
        return [
            Outcome(
                case,
                (failed[case.rule_id],)
                if case.rule_id in failed
                else tuple(_problems(case, verdicts[key_of(case.prefix)], findings[key_of(case.prefix)])),
                tuple(findings[key_of(case.prefix)]),
            )
            for case in laid_out
        ]


def write_tables(folder: Path, laid_out: Sequence[Case]) -> None:
    """Write the rows of all cases as one set of canonical tables."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in EXAMPLE_TABLES.items():
        rows = [row for case in laid_out for row in case.rows.get(name, ())]
        if table is REJECTS and not rows:
            continue
        pq.write_table(pa.Table.from_pylist(rows, schema=arrow_schema(table)), folder / f"{name}.parquet")


@contextmanager
def small_session() -> Iterator[None]:
    """Hold a Spark session in which compiling and shuffling cost next to nothing, as suits so few rows.

    The engine takes it. Where there is a session already, that one is left as it is. Without pyspark, or
    without Java, it does nothing: the engine then says what is missing.
    """
    try:
        from pyspark.sql import SparkSession  # noqa: PLC0415 - few sites have Spark

        made = None
        if SparkSession.getActiveSession() is None:
            builder = SparkSession.builder.master("local[2]").appName("renzheng-rules")
            for name, value in SMALL_SPARK.items():
                builder = builder.config(name, value)
            made = builder.getOrCreate()
    except (ImportError, OSError, RuntimeError):
        yield
        return
    try:
        yield
    finally:
        if made is not None:
            made.stop()


def _period(laid_out: Sequence[Case]) -> tuple[dt.date, dt.date]:
    times = sorted(
        row[column]
        for case in laid_out
        for table, column in (("claim_lines", "service_time"), ("attendance", "occurred_at"))
        for row in case.rows.get(table, ())
    )
    near = [time for time in times if abs(time - times[len(times) // 2]) <= NEAR]
    return near[0].date() - MARGIN, near[-1].date() + MARGIN


def _by_case(rows: Iterator[Any]) -> Mapping[str, list[Any]]:
    """Sort output by the case that its institution belongs to."""
    sorted_: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        sorted_[row.institution_id.split(SEPARATOR)[0]].append(row)
    return sorted_


def _problems(case: Case, verdicts: Sequence[LineVerdict], findings: Sequence[Finding]) -> Iterator[str]:
    mine = [finding for finding in findings if finding.rule_id == case.rule_id]
    if case.verdicts:
        got = dict(_answers(verdicts))
        for line, verdict in case.verdicts.items():
            if got.get(line) != verdict:
                yield f"{line}: expected {verdict}, got {got.get(line)}"
        return
    for expected in case.flags:
        if not any(_fits(finding, expected) for finding in mine):
            yield f"no finding like {expected.model_dump(exclude_none=True)}; got {[_told(f) for f in mine]}"
    if len(mine) != len(case.flags):
        yield f"expected {len(case.flags)} finding(s), got {[_told(finding) for finding in mine]}"


def _answers(verdicts: Sequence[LineVerdict]) -> Iterator[tuple[str, str]]:
    """Name each line's answer by the line, and by institution and line where two share a number."""
    for one in verdicts:
        answer = f"{one.verdict}/{one.reason}"
        yield _bare(one.line_id), answer
        yield f"{_bare(one.institution_id)}/{_bare(one.line_id)}", answer


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
