"""`renzheng audit run --engine python`: the oracle over a folder, for anybody to follow by hand."""

import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from parts.audit_tables import TABLES, bed, check, filled, line, manual, session, stay, up
from typer.testing import CliRunner

from renzheng.central.audit.command import app
from renzheng.central.audit.errors import AuditUsageError
from renzheng.central.audit.oracle import running
from renzheng.contracts.tables import arrow_schema

CASE = {
    "institutions": [{"institution_id": "H1"}],
    "persons": [{}],
    "claim_lines": [
        line("L1", "04 10:00", fund_amount="300.10"),
        line("L2", "06 10:00"),
        line("L3", "08 10:00", "NOPE"),
        line("L4", "09 10:00", person_id=None),
        bed("L5", "06 08:00", quantity=3, amount=100),
    ],
    "attendance": [*session("04 08:00", "04 12:00"), manual("05 09:00", person_id="P2")],
    "stays": [stay("03 09:00", "10 10:00")],
    "spot_checks": [check("05 10:00", "absent")],
    "coverage": [up()],
}


@pytest.fixture
def tables(tmp_path):
    folder = tmp_path / "tables"
    folder.mkdir()
    for name, rows in filled(CASE).items():
        table = pa.Table.from_pylist(rows, schema=arrow_schema(TABLES[name]))
        pq.write_table(table, folder / f"{name}.parquet")
    return folder


def audit(tables, engine):
    out = tables.parent / engine
    period = ["--from", "2026-03-01", "--to", "2026-03-31"]
    call = ["run", "--tables", str(tables), *period, "--out", str(out), "--engine", engine]
    return CliRunner().invoke(app, call), out


def test_it_writes_what_the_engine_writes(tables):
    outs = {}
    for engine in ("duckdb", "python"):
        result, outs[engine] = audit(tables, engine)
        assert result.exit_code == 0, result.output
    for name in ("line_verdicts", "day_verdicts", "ledger"):
        rows = {engine: pq.read_table(out / f"{name}.parquet").to_pylist() for engine, out in outs.items()}
        assert rows["python"] == rows["duckdb"]
        assert rows["python"]
    sums = {engine: json.loads((out / "summary.json").read_text()) for engine, out in outs.items()}
    for part in ("verdicts", "ledger", "shielded", "missing_tables"):
        assert sums["python"][part] == sums["duckdb"][part]
    assert sums["python"]["rows"]["claim_lines"] == {"read": 5, "rejected": 1}


def test_it_refuses_what_would_take_too_long(tables, monkeypatch):
    monkeypatch.setattr(running, "MOST_LINES", 4)
    result, out = audit(tables, "python")
    assert isinstance(result.exception, AuditUsageError)
    assert "4 lines at most; there are 5" in str(result.exception)
    assert not (out / "summary.json").exists()


DOCS = Path(__file__).parents[3] / "docs"
AS_DOCUMENTED = re.compile(r"(?m)^\| ([BD]\d) \| (\w+) \| (\w+) \| ([CE0-9, ]*)\|")


@pytest.mark.parametrize("engine", ["python", "duckdb"])
def test_the_ten_lines_of_the_documents_get_the_verdicts_that_the_documents_say(tmp_path, engine):
    documented = AS_DOCUMENTED.findall((DOCS / "audit.md").read_text(encoding="utf-8"))
    assert len(documented) == 10
    tables, out = DOCS / "examples" / "ten-lines", tmp_path / "out"
    period = ["--from", "2026-03-02", "--to", "2026-03-15"]
    call = ["run", "--tables", str(tables), *period, "--out", str(out), "--engine", engine]
    result = CliRunner().invoke(app, call, env={"COLUMNS": "120"})
    assert result.exit_code == 0, result.output
    rows = pq.read_table(out / "line_verdicts.parquet").to_pylist()
    found = {(row["line_id"], row["verdict"], row["reason"], ", ".join(row["evidence"])) for row in rows}
    assert found == {(line_id, *rest, ids.strip()) for line_id, *rest, ids in documented}
    printed = re.findall(r"(?m)^ +([BD]\d) +(\w+) +(\w+) +([CE0-9, ]*)$", result.output)
    shown = {(*rest, ids.strip()) for *rest, ids in printed}
    assert shown == (found if engine == "python" else set()), "each line is printed by the plain engine only"


def test_more_lines_than_can_be_read_are_not_printed(tables, monkeypatch):
    monkeypatch.setattr("renzheng.central.audit.command.MOST_SHOWN", 2)
    result, _ = audit(tables, "python")
    assert result.exit_code == 0
    assert "evidence" not in result.output
