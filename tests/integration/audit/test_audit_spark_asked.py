"""What a command may ask of Spark, what is said before Spark begins, and output in parts; none runs here."""

import datetime as dt
import gc
import socket
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from renzheng.central.audit.backtest import accused
from renzheng.central.audit.command import EngineChoice, app, asked_of_spark
from renzheng.central.audit.errors import AuditUsageError, EngineError
from renzheng.central.audit.readback import read_verdicts
from renzheng.central.audit.request import (
    AuditRequest,
    AuditResult,
    SparkAsked,
    address_of,
    here,
    place_of,
)
from renzheng.central.audit.run import run_audit
from renzheng.central.audit.spark_session import AuditSession
from renzheng.contracts.tables import LINE_VERDICTS, arrow_schema

DAY = dt.date(2026, 3, 1)


def test_settings_are_read_and_may_hold_equal_signs():
    asked = asked_of_spark(
        EngineChoice.spark, "yarn", ["spark.a=1", "spark.executor.extraJavaOptions=-Dx=y -Dz"]
    )
    assert asked == SparkAsked("yarn", {"spark.a": "1", "spark.executor.extraJavaOptions": "-Dx=y -Dz"})
    assert asked.all["spark.master"] == "yarn"


@pytest.mark.parametrize("setting", ["spark.a", "memory=1g", "=1", ""])
def test_what_is_no_setting_is_refused(setting):
    with pytest.raises(AuditUsageError, match="no setting of Spark"):
        asked_of_spark(EngineChoice.spark, None, [setting])


def test_settings_of_spark_are_for_spark(tmp_path):
    period = ["--from", "2026-03-01", "--to", "2026-03-01"]
    where = ["--tables", str(tmp_path), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, ["run", *period, *where, "--master", "local"])
    assert isinstance(result.exception, AuditUsageError)
    assert "the engine is duckdb" in str(result.exception)


@pytest.mark.parametrize("engine", ["duckdb", "python"])
def test_addresses_are_for_spark(tmp_path, engine):
    for tables, out in (("hdfs://nn/t", tmp_path), (tmp_path, "s3a://bucket/out")):
        with pytest.raises(AuditUsageError, match="is no folder of this machine"):
            run_audit(AuditRequest(tables, DAY, DAY, out, engine=engine))


def test_a_plain_path_is_never_looked_for_in_the_cluster(tmp_path):
    assert address_of(place_of(str(tmp_path))) == f"file://{tmp_path}"
    assert address_of(place_of("hdfs://nn:8020/a/b/")) == "hdfs://nn:8020/a/b"
    assert here(place_of(f"file://{tmp_path}")) == tmp_path


def test_without_java_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(EngineError, match="no java in JAVA_HOME"):
        AuditSession(SparkAsked())
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineError, match="no java on PATH"):
        AuditSession(SparkAsked())


@pytest.fixture
def java(tmp_path, monkeypatch):
    """A java that is there, and would fail if it were begun."""
    program = tmp_path / "home" / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/false\n")
    program.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))


@pytest.mark.usefixtures("java")
def test_a_master_that_cannot_be_reached_is_named():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(EngineError, match=f"No Spark master can be reached: 127.0.0.1:{port}"):
        AuditSession(SparkAsked(f"spark://127.0.0.1:{port}"))
    with pytest.raises(EngineError, match="nonsense"):
        AuditSession(SparkAsked("spark://nonsense"))


@pytest.mark.usefixtures("java")
def test_yarn_needs_its_configuration(monkeypatch):
    monkeypatch.delenv("HADOOP_CONF_DIR", raising=False)
    monkeypatch.delenv("YARN_CONF_DIR", raising=False)
    with pytest.raises(AuditUsageError, match="HADOOP_CONF_DIR"):
        AuditSession(SparkAsked("yarn"))


@pytest.mark.usefixtures("java")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_java_that_does_not_start_is_an_error_of_the_engine():
    with pytest.raises(EngineError, match="Spark could not be started"):
        AuditSession(SparkAsked("local"))
    gc.collect()  # pyspark leaves the pipe to its java open


def verdict(line, verdict="contradicted"):
    return {
        "line_id": line,
        "institution_id": "H1",
        "verdict": verdict,
        "reason": "no_session",
        "coverage_ratio": 1.0,
        "evidence": [],
        "rule_id": "line-haemodialysis",
        "rule_version": "1.0",
        "amount_at_stake": Decimal("1.00"),
    }


def test_output_in_parts_is_read_in_the_order_of_the_parts(tmp_path):
    (tmp_path / "summary.json").write_text("{}")
    parts = tmp_path / "line_verdicts.parquet"
    parts.mkdir()
    (parts / "_SUCCESS").touch()
    written = {"part-00001": [verdict("L3"), verdict("L4")], "part-00000": [verdict("L1", "supported")]}
    for name, rows in written.items():
        table = pa.Table.from_pylist(rows, schema=arrow_schema(LINE_VERDICTS))
        pq.write_table(table, parts / f"{name}.parquet")
    assert [one.line_id for one in read_verdicts(tmp_path)] == ["L1", "L3", "L4"]
    assert accused(tmp_path) == {"L3", "L4"}
    assert AuditResult(tmp_path, {}).line_verdicts == parts / "*.parquet"
