"""What a Spark cluster needs of the engine, on executors that have neither lake nor package.

The whole audit on such a cluster is test_audit_spark.py with FAULTS=long.
"""

import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from parts.audit_tables import filled, line
from parts.spark_cluster import small_cluster
from parts.webhdfs import webhdfs

from renzheng.central.audit.computing import ASSIGNED, COMPUTE, assign_contested
from renzheng.central.audit.hadoop_files import HadoopFiles
from renzheng.central.audit.request import SparkAsked
from renzheng.central.audit.spark_engine import SparkEngine
from renzheng.central.audit.spark_session import AuditSession
from renzheng.central.audit.spark_sources import LakeTables
from renzheng.contracts.tables import CLAIM_LINES, arrow_schema

pytestmark = [
    pytest.mark.spark,
    pytest.mark.timeout(1200),
    # pandas 3, which nothing here uses
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning"),
]

PERSONS = 40
CHOICES = pa.Table.from_pylist(
    [
        {
            "institution_id": "H1",
            "person_id": f"P{person}",
            "item_class": "haemodialysis",
            "line": 10 * person + line,
            "line_id": f"L{line}",
            "service_time": 3_600_000_000 * line,
            "needed": 1,
            "session": f"E{session}",
            "signed_in_at": 3_600_000_000 * session,
            "supporting": (person + session) % 3 > 0,
            "gap_us": abs(line - session),
        }
        for person in range(PERSONS)
        for line in range(3)
        for session in range(2)
    ]
)
"""Three lines a person that could take two sessions."""


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    behind = tmp_path_factory.mktemp("behind")
    tables = behind / "county" / "tables"
    tables.mkdir(parents=True)
    found = filled({"claim_lines": [line(f"L{n}", "04 10:00") for n in range(7)]})["claim_lines"]
    lines = pa.Table.from_pylist(found, schema=arrow_schema(CLAIM_LINES))
    pq.write_table(lines, tables / "claim_lines.parquet")
    pq.write_table(CHOICES, behind / "county" / "choices.parquet", row_group_size=20)
    with webhdfs(behind) as served:
        yield served


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cluster")
    with small_cluster(folder) as cluster, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARK_CONF_DIR", str(cluster.conf_dir))
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        found = AuditSession(SparkAsked(master=cluster.master))
        yield found
        found.close()


def engine_of(session, lake, here):
    files = HadoopFiles(session.spark)
    scratch = f"{lake.address}/county/out/.steps"
    files.make(f"{scratch}/kept")
    made = f"{scratch}/made"
    return SparkEngine(session.spark, files, scratch, here=here, made=made, lasting=True)


def in_order(table):
    return sorted(table.to_pylist(), key=lambda row: row["line_id"])


def rows_of(table):
    return sorted(table.to_pylist(), key=lambda row: (row["line"], row["session"]))


def test_tables_steps_and_assignment_are_the_workers_and_outlive_the_driver(session, lake, tmp_path):
    files = HadoopFiles(session.spark)
    tables = LakeTables(session.spark, files, f"{lake.address}/county/tables", tmp_path / "fetched")
    engine = engine_of(session, lake, tmp_path)
    engine.source(tables.sources()["claim_lines"], "claim_lines")
    typed = "SELECT line_id, amount, service_time, [line_id, visit_id] AS ids, true AS told FROM claim_lines"
    engine.table("typed_lines", typed)
    engine.keep("typed_lines")
    lines = in_order(engine.rows("SELECT * FROM typed_lines"))
    assert lines == in_order(engine.rows(typed))
    assert len(lines) == 7
    session.spark.read.parquet(f"{lake.address}/county/choices.parquet").createOrReplaceTempView("choices")
    engine.compute("assigned_contested", "choices", COMPUTE["assigned_contested"])
    engine.keep("assigned_contested")
    told = rows_of(engine.rows("SELECT * FROM assigned_contested"))
    assert told == rows_of(assign_contested(CHOICES))
    assert len(told) == 2 * PERSONS
    engine.write("SELECT * FROM assigned_contested ORDER BY line", tmp_path / "assigned.parquet")
    parts = sorted((lake.root / "county/out/.steps/made/assigned.parquet").glob("*.parquet"))
    assert len(parts) > 1
    written = pa.concat_tables(pq.read_table(part) for part in parts).cast(ASSIGNED)
    assert rows_of(written) == told
    assert written["line"].to_pylist() == sorted(written["line"].to_pylist())
    engine.close()
    another = engine_of(session, lake, tmp_path)
    assert another.is_kept("assigned_contested")
    assert another.is_kept("typed_lines")
    assert in_order(another.rows("SELECT * FROM typed_lines")) == lines
    assert not another.is_kept("served")
    assert rows_of(another.rows("SELECT * FROM assigned_contested")) == told
    another.close()
