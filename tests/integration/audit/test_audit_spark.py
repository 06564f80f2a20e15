"""Spark gives the very rows that DuckDB gives: verdicts and findings; and the oracle agrees.

One audit answers everything. In the ordinary tests Spark runs in one process of this machine, in the session
in which rules are held against their examples: steps stay in memory, rules run two by two, and they are a
tenth of all, one of each kind of query. With FAULTS=long it is all of them, on a master and two workers, over
a lake that none of them has under a local path, by a driver that is killed in the middle; what of that every
run must have seen is in test_audit_spark_cluster.py.
"""

import datetime as dt
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from parts import bed_cases
from parts.audit_tables import few_rules, filled, line
from parts.audit_worlds import some_worlds, tables_of
from parts.killed import steps_until
from parts.spark_cluster import spark_cluster
from parts.webhdfs import webhdfs
from pyspark import SparkContext
from pyspark.sql import SparkSession

from renzheng.central.audit.computing import Computation
from renzheng.central.audit.errors import OutOfTimeError
from renzheng.central.audit.hadoop_files import HadoopFiles
from renzheng.central.audit.oracle import Oracle
from renzheng.central.audit.readback import read_findings, read_verdicts
from renzheng.central.audit.request import AuditRequest
from renzheng.central.audit.rule_examples import known_codes, small_session
from renzheng.central.audit.run import run_audit
from renzheng.central.audit.sources import find_sources
from renzheng.central.audit.spark_engine import SparkEngine
from renzheng.central.audit.steps import STEPS, VIEWS
from renzheng.contracts.tables import CLAIM_LINES, INPUT_TABLES, REJECTS, arrow_schema
from renzheng.rules.examples import cases
from renzheng.rules.pack import load_pack

pytestmark = [
    pytest.mark.spark,
    pytest.mark.timeout(1200),
    # pandas 3, which nothing here uses
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning"),
]

FIRST, LAST = dt.date(2026, 3, 1), dt.date(2026, 3, 31)
WORLDS = 80
LONG = os.environ.get("FAULTS") == "long"
by_choice = pytest.mark.skipif(not LONG, reason="a whole audit on a cluster: FAULTS=long")
KILLED_AT = "bed_spread"
SOME_RULES = (
    "checks-not-answered",
    "knowledge-pair",
    "machine-overlap",
    "orphan-reversal",
    "weak-evidence-share",
)
"""Windows over machines, knowledge tables, lists of evidence, shares and reversals."""
AUDIT = """
import datetime as dt
from renzheng.central.audit.request import AuditRequest
from renzheng.central.audit.run import run_audit
from renzheng.central.audit.steps import STEPS, VIEWS
from pathlib import PosixPath

first, last = dt.date(2026, 3, 1), dt.date(2026, 3, 31)
asked = AuditRequest({tables!r}, first, last, {out!r}, engine="spark", rules={rules!r}, resumable=True)
run_audit(asked, tell)
"""


@pytest.fixture(scope="module")
def rows():
    """Every worked example of every rule, the cases of bed days and the generated worlds, side by side."""
    together = tables_of(some_worlds(WORLDS))
    pack = load_pack()
    examples = cases(list(pack.rules.values()), known_codes(pack))
    for case in (*examples, *bed_cases.laid_out(bed_cases.CASES)):
        for name, found in case.rows.items():
            together[name] += found
    return together


@pytest.fixture(scope="module")
def lake(rows, tmp_path_factory):
    """The tables in a file system that the cluster reaches, and nobody under a local path."""
    behind = tmp_path_factory.mktemp("behind")
    tables = behind / "county" / "tables"
    tables.mkdir(parents=True)
    for name, found in rows.items():
        table = pa.Table.from_pylist(found, schema=arrow_schema({**INPUT_TABLES, "rejects": REJECTS}[name]))
        pq.write_table(table, tables / f"{name}.parquet")
    with webhdfs(behind) as served:
        yield served


@pytest.fixture(scope="module")
def rules(tmp_path_factory):
    """The pack to run: the whole national one by choice."""
    return None if LONG else few_rules(tmp_path_factory.mktemp("pack") / "national", *SOME_RULES).parent


@pytest.fixture(scope="module")
def small():
    """A session of this machine alone in which compiling and shuffling cost next to nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        with small_session():
            yield SparkSession.getActiveSession()
    end_java()


def end_java():
    """End this process's Java: another session would take it as it is, whatever its site says."""
    gateway = SparkContext._gateway
    gateway.shutdown()
    gateway.proc.stdin.close()
    gateway.proc.wait()
    SparkContext._gateway = SparkContext._jvm = None


@pytest.fixture(scope="module")
def steps(lake, rules, tmp_path_factory, request):
    """The steps of the audit on Spark: on a cluster those before its driver is killed, and those after it."""
    if not LONG:
        request.getfixturevalue("small")
        told, county = [], lake.root / "county"
        asked = AuditRequest(county / "tables", FIRST, LAST, county / "out", engine="spark", rules=rules)
        run_audit(asked, lambda step, *_: told.append(step))
        return [told]
    folder = tmp_path_factory.mktemp("spark")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        audit = AUDIT.format(
            tables=f"{lake.address}/county/tables", out=f"{lake.address}/county/out", rules=rules
        )
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        with spark_cluster(folder) as cluster:
            patch.setenv("SPARK_CONF_DIR", str(cluster.conf_dir))
            first = steps_until(KILLED_AT, audit)
            assert not (lake.root / "county" / "out" / "summary.json").exists()
            return [first, steps_until(None, audit)]


@pytest.fixture(scope="module")
def outputs(lake, steps, rules, tmp_path_factory):
    assert steps[-1]
    alone = tmp_path_factory.mktemp("duckdb")
    run_audit(AuditRequest(lake.root / "county" / "tables", FIRST, LAST, alone, rules=rules))
    return {"duckdb": alone, "spark": lake.root / "county" / "out"}


@by_choice
def test_a_killed_driver_goes_on_at_its_step(steps):
    first, then = ([step for step in told if step in STEPS] for told in steps)
    assert first[-1] == KILLED_AT
    assert not set(first[:-1]) & set(then) - VIEWS
    assert set(first) | set(then) == set(STEPS)


def test_the_output_is_in_parts_and_nothing_else_is_left(outputs):
    out = outputs["spark"]
    names = ["day_verdicts.parquet", "findings.parquet", "ledger.parquet", "line_verdicts.parquet"]
    # Hadoop keeps a checksum beside each file of a local folder
    left = sorted(path.name for path in out.iterdir() if path.suffix != ".crc")
    assert left == [*names, "rejected", "summary.json"]
    assert len(list((out / "line_verdicts.parquet").glob("*.parquet"))) > (1 if LONG else 0)


def test_line_verdicts_are_identical(outputs):
    found = {engine: list(read_verdicts(outputs[engine])) for engine in ("duckdb", "spark")}
    assert len(found["duckdb"]) > WORLDS
    assert found["spark"] == found["duckdb"]


def test_every_rule_runs_to_its_end(outputs):
    for engine in ("duckdb", "spark"):
        assert json.loads((outputs[engine] / "summary.json").read_text())["failed_rules"] == {}


def test_days_of_bed_lines_are_identical(outputs):
    found = {name: pq.read_table(outputs[name] / "day_verdicts.parquet") for name in ("duckdb", "spark")}
    assert all(bed_cases.of_case(found["duckdb"].to_pylist(), name) for name in bed_cases.CASES)
    assert found["spark"].to_pylist() == found["duckdb"].to_pylist()


def test_ledgers_are_identical(outputs):
    found = {name: pq.read_table(outputs[name] / "ledger.parquet").to_pylist() for name in outputs}
    assert found["spark"] == found["duckdb"]


def test_findings_are_identical(outputs, rules):
    found = {engine: list(read_findings(outputs[engine])) for engine in ("duckdb", "spark")}
    assert len({one.rule_id for one in found["duckdb"]}) == len(
        load_pack(rules).active if rules else load_pack().active
    )
    assert found["spark"] == found["duckdb"]


def test_the_oracle_agrees(outputs, rows):
    found = {
        (one.institution_id, one.line_id): (
            one.verdict,
            one.reason,
            round(one.coverage_ratio, 9),
            one.evidence,
        )
        for one in read_verdicts(outputs["spark"])
        if "~" not in one.institution_id
    }
    mine = {name: [row for row in table if _generated(row)] for name, table in rows.items()}
    told = {
        key: (answer.verdict, answer.reason, round(answer.coverage_ratio, 9), answer.evidence)
        for key, answer in Oracle(mine, FIRST, LAST).answers().items()
    }
    assert found == told


def _generated(row):
    """Tell the rows of worlds, and the stay and catalogue that they share, from those of rule examples."""
    return "~" not in str(row.get("institution_id") or row.get("person_id") or row.get("item_code"))


# the small session itself

LINES = [line("L1", "04 10:00", amount="400.01"), line("L2", "05 10:00", "BED", quantity="0.5")]
# half a minute and more: what Spark interrupts may go on to its end behind the error
ENDLESS = "SELECT sum(a.n * b.n + c.n) AS x FROM many a CROSS JOIN many b CROSS JOIN many c"


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("scratch")


@pytest.fixture(scope="module")
def engine(small, scratch):
    address = scratch.as_uri()
    found = SparkEngine(small, HadoopFiles(small), address, here=scratch / "here", made=f"{address}/made")
    yield found
    found.close()


def test_a_table_is_read_and_a_step_is_done_without_a_file(engine, scratch, tmp_path):
    rows = filled({"claim_lines": LINES})["claim_lines"]
    table = pa.Table.from_pylist(rows, schema=arrow_schema(CLAIM_LINES))
    pq.write_table(table, tmp_path / "claim_lines.parquet")
    engine.source(find_sources(tmp_path)["claim_lines"], "typed_claim_lines")
    engine.table("halves", "SELECT line_id, amount, [line_id] AS line_ids FROM typed_claim_lines")
    engine.table("twice", "SELECT a.line_id, b.amount FROM halves a JOIN halves b ON a.line_id = b.line_id")
    assert engine.rows("SELECT * FROM twice ORDER BY line_id").to_pylist() == [
        {"line_id": row["line_id"], "amount": row["amount"]} for row in rows
    ]
    assert [len(batch) for batch in engine.batches("SELECT line_ids FROM halves")] == [2]
    engine.drop("twice")
    assert list(scratch.rglob("*")) == []


def test_what_is_computed_in_python_is_computed_here(engine):
    number = Computation(lambda rows: rows.select(["n"]), ("line_id",), pa.schema([("n", pa.int64())]))
    engine.add("numbered", pa.table({"line_id": ["L1", "L2"], "n": [1, 2]}))
    engine.compute("computed", "numbered", number)
    assert sorted(engine.rows("SELECT n FROM computed")["n"].to_pylist()) == [1, 2]


def test_a_limit_stops_what_runs_in_its_own_thread_only(engine):
    assert engine.at_once == 2
    engine.add("many", pa.table({"n": range(300)}))
    engine.add("few", pa.table({"n": range(10)}))

    def run(sql, seconds):
        with engine.limited(seconds):
            return engine.rows(sql).num_rows

    with ThreadPoolExecutor(2) as pool:
        endless = pool.submit(run, ENDLESS, 1)
        short = [pool.submit(run, "SELECT count(*) AS n FROM few", 60).result() for _ in range(3)]
        assert short == [1, 1, 1]
        with pytest.raises(OutOfTimeError):
            endless.result()
