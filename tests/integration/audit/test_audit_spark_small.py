"""The session in which rules are held against their examples: steps stay in memory, rules run two by two."""

from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from parts.audit_tables import filled, line
from pyspark.sql import SparkSession

from renzheng.central.audit.computing import Computation
from renzheng.central.audit.errors import OutOfTimeError
from renzheng.central.audit.hadoop_files import HadoopFiles
from renzheng.central.audit.rule_examples import small_session
from renzheng.central.audit.sources import find_sources
from renzheng.central.audit.spark_engine import SparkEngine
from renzheng.contracts.tables import CLAIM_LINES, arrow_schema

pytestmark = [
    pytest.mark.spark,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning"),
]
LINES = [line("L1", "04 10:00", amount="400.01"), line("L2", "05 10:00", "BED", quantity="0.5")]
# half a minute and more: what Spark interrupts may go on to its end behind the error
ENDLESS = "SELECT sum(a.n * b.n + c.n) AS x FROM many a CROSS JOIN many b CROSS JOIN many c"


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("scratch")


@pytest.fixture(scope="module")
def engine(scratch):
    with small_session():
        spark = SparkSession.getActiveSession()
        found = SparkEngine(
            spark,
            HadoopFiles(spark),
            scratch.as_uri(),
            here=scratch / "here",
            made=f"{scratch.as_uri()}/made",
        )
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
