"""The engine against the oracle, on generated cases: same verdict, reason, coverage and evidence."""

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from parts.audit_worlds import FIRST, LAST, tables_of, worlds

from renzheng.central.audit.oracle import Answer, Oracle
from renzheng.central.audit.readback import read_verdicts
from renzheng.central.audit.request import AuditRequest
from renzheng.central.audit.run import run_audit
from renzheng.contracts.tables import INPUT_TABLES, arrow_schema


def engine_answers(folder, rows, engine):
    tables = folder / "tables"
    tables.mkdir(parents=True, exist_ok=True)
    for name, found in rows.items():
        table = pa.Table.from_pylist(found, schema=arrow_schema(INPUT_TABLES[name]))
        pq.write_table(table, tables / f"{name}.parquet")
    run_audit(AuditRequest(tables, FIRST, LAST, folder / "out", engine=engine))
    return {
        one.line_id: Answer(one.verdict, one.reason, round(one.coverage_ratio, 9), one.evidence)
        for one in read_verdicts(folder / "out")
    }


def oracle_answers(rows):
    return {
        line: Answer(a.verdict, a.reason, round(a.coverage_ratio, 9), a.evidence)
        for line, a in Oracle(rows, FIRST, LAST).answers().items()
    }


@settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
@given(generated=st.lists(worlds(), min_size=4, max_size=12))
def test_duckdb_says_what_the_oracle_says(tmp_path_factory, generated):
    rows = tables_of(generated)
    assert engine_answers(tmp_path_factory.mktemp("audit"), rows, "duckdb") == oracle_answers(rows)
