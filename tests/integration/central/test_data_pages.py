"""The pages of what came in: tables that lack, rejects with their yuan, why a line has no verdict."""

import datetime as dt
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from renzheng.central.web.console.data_pages import explained, held_table, rejects, rejects_by_institution
from renzheng.contracts.tables import INPUT_TABLES, REJECTS, arrow_schema


def reject(institution, amount, line, reason="bad_time"):
    return {
        "table": "claim_lines", "institution_id": institution, "person_id": None, "visit_id": None,
        "day": dt.date(2026, 3, 4), "amount": amount, "reason": reason, "file": "a.csv", "line": line,
        "field": "service_time",
    }  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    rows = [reject("H1", Decimal("400.10"), 2), reject("H1", Decimal("0.05"), 3), reject(None, None, 4)]
    pq.write_table(pa.Table.from_pylist(rows, schema=arrow_schema(REJECTS)), tmp_path / "rejects.parquet")
    pq.write_table(arrow_schema(INPUT_TABLES["persons"]).empty_table(), tmp_path / "persons.parquet")
    return tmp_path


def test_rejects_are_added_up_by_institution_dearest_first(folder):
    first, last = rejects_by_institution(folder)
    assert (first["institution_id"], first["rows"], first["amount"]) == ("H1", 2, Decimal("400.15"))
    assert (last["institution_id"], last["rows"], last["amount"]) == (None, 1, None)
    assert rejects_by_institution(folder / "nowhere") == []


def test_rejects_are_listed_by_institution_and_table(folder):
    total, rows = rejects(folder, "H1", "claim_lines", offset=0)
    assert (total, [row["line"] for row in rows]) == (2, [2, 3])
    assert rejects(folder, "H2", "", offset=0) == (0, [])
    assert explained("bad_time", language="en").endswith(".")
    assert explained("of_a_later_version", language="zh") == "of_a_later_version"


def test_each_table_says_whether_it_is_there_and_how_it_comes_in(folder):
    assert held_table(folder, "persons").state == "there"
    assert held_table(folder, "persons").rows == 0
    missing = held_table(folder, "item_catalogue")
    assert (missing.state, str(folder) in missing.command) == ("missing", True)
    assert held_table(folder, "attendance").state == "devices"
    assert held_table(folder, "person_aliases").optional
