"""Every step and rule on Spark, on one machine: it reads each of them, and gives DuckDB's rows of some.

Each step gets the rows that DuckDB made for it. What all steps and rules give, from the input tables to the
output, is compared by test_audit_spark.py, with FAULTS=long.
"""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from parts.audit_tables import filled, line
from parts.beside_duckdb import BesideDuckDB, in_order
from parts.every_case import every_case, written
from pyspark import SparkContext
from pyspark.sql import SparkSession

from renzheng.central.audit.computing import Computation
from renzheng.central.audit.duckdb_engine import DuckDBEngine
from renzheng.central.audit.errors import OutOfTimeError
from renzheng.central.audit.findings import placeholders_of, running
from renzheng.central.audit.hadoop_files import HadoopFiles
from renzheng.central.audit.loading import Loader
from renzheng.central.audit.request import AuditRequest, no_progress
from renzheng.central.audit.rule_examples import small_session
from renzheng.central.audit.run import Run
from renzheng.central.audit.sources import find_sources
from renzheng.central.audit.spark_engine import SparkEngine
from renzheng.central.audit.steps import COMPUTED, STEPS
from renzheng.contracts.tables import CLAIM_LINES, arrow_schema
from renzheng.rules.dialect import bound
from renzheng.rules.pack import load_pack

pytestmark = [
    pytest.mark.spark,
    pytest.mark.timeout(1200),
    # pandas 3, which nothing here uses
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning"),
]

FIRST, LAST = dt.date(2026, 3, 1), dt.date(2026, 3, 31)
WORLDS = 30
RUN = (
    "reversals",
    "session_parts",
    "session_choices",
    "refutable_lines",
    "bed_spread",
    "bed_coverage",
    "line_verdicts",
    "ledger",
)
"""Windows, lists of evidence, joins by time, sums: verdicts and ledger among them."""
LOADED = ("institutions", "person_aliases", "item_catalogue", "claim_lines")
LINES = [line("L1", "04 10:00", amount="400.01"), line("L2", "05 10:00", "BED", quantity="0.5")]
# half a minute and more: what Spark interrupts may go on to its end behind the error
ENDLESS = "SELECT sum(a.n * b.n + c.n) AS x FROM many a CROSS JOIN many b CROSS JOIN many c"


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
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("scratch")


@pytest.fixture(scope="module")
def engine(small, scratch):
    address = scratch.as_uri()
    found = SparkEngine(small, HadoopFiles(small), address, here=scratch / "here", made=f"{address}/made")
    yield found
    found.close()


@pytest.fixture(scope="module")
def pack():
    return load_pack()


@pytest.fixture(scope="module")
def tables(pack, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lake") / "tables"
    written(every_case(pack, WORLDS), folder)
    return folder


@pytest.fixture(scope="module")
def beside(engine, pack, tables, tmp_path_factory):
    """Every step and rule, over every worked example, the cases of bed days and some generated worlds."""
    folder = tmp_path_factory.mktemp("beside")
    made = folder / "made"
    made.mkdir()
    with BesideDuckDB(folder, tables, engine, RUN) as both:
        asked = AuditRequest(tables, FIRST, LAST, folder / "out")
        Run(asked, pack, both, made, no_progress).lay_out(find_sources(tables))
        for rule in pack.active:
            for part in running(rule, pack, region=None, from_day=FIRST, to_day=LAST):
                both.beside(rule.id, bound(rule.sql, placeholders_of(part)))
        yield both


def test_spark_reads_every_step_and_every_rule(beside, pack):
    assert beside.read == {*STEPS, *(rule.id for rule in pack.active)} - set(COMPUTED)


@pytest.mark.parametrize("name", RUN)
def test_a_step_gives_the_rows_that_it_gives_in_duckdb(beside, name):
    mine, theirs = beside.found[name]
    assert mine
    assert theirs == mine


def test_a_table_is_read_and_a_step_is_done_without_a_file(engine, scratch, tmp_path):
    before = set(scratch.rglob("*"))
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
    assert set(scratch.rglob("*")) == before


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


def test_tables_are_loaded_alike(engine, tables, scratch, tmp_path):
    found = {name: source for name, source in find_sources(tables).items() if name in LOADED}
    broken = [{**LINES[0], "line_id": "L9", "quantity": -1}, *LINES, LINES[0]]
    lines = filled({"claim_lines": broken})["claim_lines"]
    (tmp_path / "tables").mkdir()
    pq.write_table(
        pa.Table.from_pylist(lines, schema=arrow_schema(CLAIM_LINES)), tmp_path / "tables/claim_lines.parquet"
    )
    found["claim_lines"] = find_sources(tmp_path / "tables")["claim_lines"]
    with DuckDBEngine(tmp_path, memory_limit="1GB", reads=[tables]) as duckdb:
        told = [loaded(duckdb, found, tmp_path), loaded(engine, found, scratch / "here")]
    assert told[1] == told[0]
    assert [(one.read, one.rejected) for one in told[0][0] if one.table == "claim_lines"] == [(4, 2)]


def loaded(engine, sources, folder):
    """Load tables; return what the loader counted and the rows that it made, without numbers of keys."""
    (folder / "rejected").mkdir(parents=True)
    loader = Loader(engine, sources, from_day=FIRST, to_day=LAST, rejected=folder / "rejected")
    counts = loader.load()
    rows = {name: in_order(engine.rows(f"SELECT * FROM {name}")) for name in (*LOADED, "refused_lines")}
    for row in (one for made in rows.values() for one in made):
        for name in {"line", "person_here", "visit_here"} & row.keys():
            del row[name]  # each engine has hashes of its own
    return counts, rows
