"""Version 1 of the canonical tables, as recorded: what was a table's column stays one, of the same type."""

import json
from pathlib import Path

import pytest

from renzheng.contracts.tables import DAY_VERDICTS, FINDINGS, INPUT_TABLES, LEDGER, LINE_VERDICTS

RECORDED = json.loads((Path(__file__).parent / "recorded" / "v1" / "tables.json").read_text(encoding="utf-8"))
WRITTEN = (LINE_VERDICTS, FINDINGS, DAY_VERDICTS, LEDGER)
TABLES = {**INPUT_TABLES, **{table.name: table for table in WRITTEN}}


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_a_recorded_table_can_still_be_read(name):
    now = TABLES[name].by_name
    for column, (kind, nullable) in RECORDED[name].items():
        assert now[column].type.name == kind
        assert now[column].nullable or not nullable, f"{name}.{column} may no longer be empty"


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_a_table_asks_for_no_column_that_version_1_did_not_have(name):
    added = [column for column in TABLES[name].columns if column.name not in RECORDED[name]]
    assert [column.name for column in added if not column.may_be_absent] == []


def test_every_table_is_recorded():
    assert set(RECORDED) == set(TABLES)
