"""Spark gives the very rows that DuckDB gives, verdicts and findings; the oracle agrees. With FAULTS=long.

One audit answers everything, on a master and two workers, over a lake that none of them has under a local
path, by a driver that is killed in the middle. What every run must have seen of it is in
test_audit_spark_steps.py and test_audit_spark_cluster.py.
"""

import datetime as dt
import json
import os
import sys

import pyarrow.parquet as pq
import pytest
from parts import bed_cases
from parts.every_case import every_case, written
from parts.killed import steps_until
from parts.spark_cluster import spark_cluster
from parts.webhdfs import webhdfs

from renzheng.central.audit.oracle import Oracle
from renzheng.central.audit.readback import read_findings, read_verdicts
from renzheng.central.audit.request import AuditRequest
from renzheng.central.audit.run import run_audit
from renzheng.central.audit.steps import STEPS, VIEWS
from renzheng.rules.pack import load_pack

pytestmark = [
    pytest.mark.skipif(os.environ.get("FAULTS") != "long", reason="a whole audit on a cluster: FAULTS=long"),
    pytest.mark.spark,
    pytest.mark.timeout(1200),
    # pandas 3, which nothing here uses
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning"),
]

FIRST, LAST = dt.date(2026, 3, 1), dt.date(2026, 3, 31)
WORLDS = 80
KILLED_AT = "bed_spread"
AUDIT = """
import datetime as dt
from renzheng.central.audit.request import AuditRequest
from renzheng.central.audit.run import run_audit
from renzheng.central.audit.steps import STEPS, VIEWS
from pathlib import PosixPath

first, last = dt.date(2026, 3, 1), dt.date(2026, 3, 31)
asked = AuditRequest({tables!r}, first, last, {out!r}, engine="spark", resumable=True)
run_audit(asked, tell)
"""


@pytest.fixture(scope="module")
def rows():
    return every_case(load_pack(), WORLDS)


@pytest.fixture(scope="module")
def lake(rows, tmp_path_factory):
    """The tables in a file system that the cluster reaches, and nobody under a local path."""
    behind = tmp_path_factory.mktemp("behind")
    written(rows, behind / "county" / "tables")
    with webhdfs(behind) as served:
        yield served


@pytest.fixture(scope="module")
def steps(lake, tmp_path_factory):
    """The steps of the audit before its driver is killed, and those after it."""
    folder = tmp_path_factory.mktemp("spark")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        audit = AUDIT.format(tables=f"{lake.address}/county/tables", out=f"{lake.address}/county/out")
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        with spark_cluster(folder) as cluster:
            patch.setenv("SPARK_CONF_DIR", str(cluster.conf_dir))
            first = steps_until(KILLED_AT, audit)
            assert not (lake.root / "county" / "out" / "summary.json").exists()
            return [first, steps_until(None, audit)]


@pytest.fixture(scope="module")
def outputs(lake, steps, tmp_path_factory):
    assert steps[-1]
    alone = tmp_path_factory.mktemp("duckdb")
    run_audit(AuditRequest(lake.root / "county" / "tables", FIRST, LAST, alone))
    return {"duckdb": alone, "spark": lake.root / "county" / "out"}


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
    assert len(list((out / "line_verdicts.parquet").glob("*.parquet"))) > 1


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


def test_findings_are_identical(outputs):
    found = {engine: list(read_findings(outputs[engine])) for engine in ("duckdb", "spark")}
    assert len({one.rule_id for one in found["duckdb"]}) == len(load_pack().active)
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
