"""Bed days, day by day: each way out of the audit with the innocent case beside it, in `parts/bed_cases.py`.

All cases run in one audit of March 2026; test_audit_spark.py has them answered by Spark.
"""

import datetime as dt
from decimal import Decimal

import pyarrow.parquet as pq
import pytest
from parts.audit_tables import few_rules
from parts.bed_cases import CASES, laid_out, of_case

from renzheng.central.audit.request import AuditRequest
from renzheng.central.audit.rule_examples import write_tables
from renzheng.central.audit.run import run_audit
from renzheng.contracts.tables import DAY_VERDICTS, LINE_VERDICTS, arrow_schema

FIRST, LAST = dt.date(2026, 3, 1), dt.date(2026, 3, 31)


def audited(folder, names):
    write_tables(folder / "tables", laid_out(names))
    rules = few_rules(folder / "rules")
    run_audit(AuditRequest(folder / "tables", FIRST, LAST, folder / "out", rules=rules))
    return {
        name: pq.read_table(folder / "out" / f"{name}.parquet").to_pylist()
        for name in ("line_verdicts", "day_verdicts")
    }


@pytest.fixture(scope="module")
def on_duckdb(tmp_path_factory):
    return audited(tmp_path_factory.mktemp("beds"), list(CASES))


@pytest.mark.parametrize("name", CASES)
def test_verdict(on_duckdb, name):
    lines = {
        row["line_id"]: f"{row['verdict']}/{row['reason']}"
        for row in of_case(on_duckdb["line_verdicts"], name)
    }
    days = {}
    for row in of_case(on_duckdb["day_verdicts"], name):
        days.setdefault(row["line_id"], {})[row["day"].day] = f"{row['verdict']}/{row['reason']}"
    expected = CASES[name][1]
    assert set(days) == set(lines) == set(expected)
    assert {
        line: days[line] if isinstance(wanted, dict) else lines[line] for line, wanted in expected.items()
    } == expected


@pytest.mark.parametrize("name", CASES)
def test_the_line_is_the_worst_of_its_days(on_duckdb, name):
    order = ("contradicted", "insufficient", "supported")
    days = of_case(on_duckdb["day_verdicts"], name)
    for line in of_case(on_duckdb["line_verdicts"], name):
        mine = [row for row in days if row["line_id"] == line["line_id"]]
        verdict = min((row["verdict"] for row in mine), key=order.index)
        deciding = [row for row in mine if row["verdict"] == verdict]
        assert (line["verdict"], line["reason"]) == (verdict, deciding[0]["reason"])
        assert line["evidence"] == sorted({one for row in deciding for one in row["evidence"]})


def test_an_enormous_quantity_is_judged_by_as_many_days_as_a_line_may_have(on_duckdb):
    days = of_case(on_duckdb["day_verdicts"], "a million days")
    assert len(days) == 366
    assert [row["reason"] for row in days[-3:]] == ["outside_stay", "not_seen", "not_seen"]


def test_the_tables_have_their_schema(on_duckdb, tmp_path):
    run = audited(tmp_path, ["three days in one line, seen on two"])
    assert len(run["day_verdicts"]) == 3
    for table in (DAY_VERDICTS, LINE_VERDICTS):
        schema = pq.read_schema(tmp_path / "out" / f"{table.name}.parquet")
        assert schema.names == arrow_schema(table).names
        assert [str(one).replace("element", "item") for one in schema.types] == [
            str(one) for one in arrow_schema(table).types
        ]


@pytest.mark.parametrize(
    ("name", "line", "yuan"),
    [
        ("three days in one line, absent on one", "L1", "20.00"),
        ("more days than the stay has", "L1", "30.00"),
        ("three days in one line, all seen", "L1", "0.00"),
        ("a million days", "L1", "60.00"),
        ("more days than the stay has, where no stay was sent", "L1", "0.00"),
        ("two days after discharge", "L1", "60.00"),
        ("the days of one line billed once more each", "L9", "60.00"),
    ],
)
def test_amount_at_stake(on_duckdb, name, line, yuan):
    (row,) = [row for row in of_case(on_duckdb["line_verdicts"], name) if row["line_id"] == line]
    assert row["amount_at_stake"] == Decimal(yuan)
