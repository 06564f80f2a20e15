"""Spark gives the very rows that DuckDB gives: verdicts and findings; and the oracle agrees."""

import datetime as dt
import json
import warnings

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from parts import bed_cases
from parts.audit_worlds import some_worlds, tables_of

from renzheng.central.audit.oracle import Oracle
from renzheng.central.audit.readback import read_findings, read_verdicts
from renzheng.central.audit.request import AuditRequest
from renzheng.central.audit.rule_examples import known_codes, small_session
from renzheng.central.audit.run import run_audit
from renzheng.contracts.tables import INPUT_TABLES, REJECTS, arrow_schema
from renzheng.rules.examples import cases
from renzheng.rules.pack import load_pack

pytestmark = [pytest.mark.spark, pytest.mark.timeout(600)]

FIRST, LAST = dt.date(2026, 3, 1), dt.date(2026, 3, 31)
WORLDS = 80


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
def outputs(rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("spark")
    tables = folder / "tables"
    tables.mkdir()
    for name, found in rows.items():
        table = pa.Table.from_pylist(found, schema=arrow_schema({**INPUT_TABLES, "rejects": REJECTS}[name]))
        pq.write_table(table, tables / f"{name}.parquet")
    with warnings.catch_warnings(), small_session():
        # pyspark warns of pandas 3, which nothing here uses
        warnings.simplefilter("ignore")
        for engine in ("duckdb", "spark"):
            run_audit(AuditRequest(tables, FIRST, LAST, folder / engine, engine=engine))
    return folder


def test_line_verdicts_are_identical(outputs):
    found = {engine: list(read_verdicts(outputs / engine)) for engine in ("duckdb", "spark")}
    assert len(found["duckdb"]) > WORLDS
    assert found["spark"] == found["duckdb"]


def test_every_rule_runs_to_its_end(outputs):
    for engine in ("duckdb", "spark"):
        assert json.loads((outputs / engine / "summary.json").read_text())["failed_rules"] == {}


def test_days_of_bed_lines_are_identical(outputs):
    found = {name: pq.read_table(outputs / name / "day_verdicts.parquet") for name in ("duckdb", "spark")}
    assert all(bed_cases.of_case(found["duckdb"].to_pylist(), name) for name in bed_cases.CASES)
    assert found["spark"].to_pylist() == found["duckdb"].to_pylist()


def test_findings_are_identical(outputs):
    found = {engine: list(read_findings(outputs / engine)) for engine in ("duckdb", "spark")}
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
        for one in read_verdicts(outputs / "spark")
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
