"""A change of knowledge is tried on the past, and a region's own codes are put into a pack."""

import datetime as dt
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from parts.audit_tables import CHINA, filled
from parts.command_line import run
from parts.libraries import HD, HP, book

from renzheng.central.checks.errors import KnowledgeError
from renzheng.central.checks.own_codes import read_own_codes
from renzheng.contracts.tables import INPUT_TABLES, arrow_schema
from renzheng.rules.knowledge.packfile import KnowledgePack, read_pack, write_pack
from renzheng.rules.knowledge.points import Kind, Point

AT = dt.datetime(2026, 3, 4, 10, tzinfo=CHINA)


def point(kind, value, unit, *items):
    return Point(f"{kind.value}-{items[0]}", kind, items, "", value, unit)


def test_what_a_change_would_have_flagged_by_institution(tmp_path):
    line = {
        "institution_id": "H1",
        "item_code": "F1",
        "service_time": AT,
        "quantity": 2,
        "amount": 50,
    }
    lines = [
        {**line, "line_id": "L1"},
        {**line, "line_id": "L2", "institution_id": "H2", "item_code": "F2", "amount": 90},
    ]
    catalogue = [{"item_code": code, "item_class": "other"} for code in ("F1", "F2")]
    rows = filled({"persons": [{}], "claim_lines": lines, "item_catalogue": catalogue})
    for name in ("persons", "claim_lines", "item_catalogue"):
        table = pa.Table.from_pylist(rows[name], arrow_schema(INPUT_TABLES[name]))
        (tmp_path / "tables").mkdir(exist_ok=True)
        pq.write_table(table, tmp_path / "tables" / f"{name}.parquet")
    kept = point(Kind.FREQUENCY, 1, "day", "F1")
    new = [point(Kind.FREQUENCY, 1, "day", "F2"), point(Kind.INSURANCE, ("maternity",), "", "F1")]
    write_pack(KnowledgePack((kept,)), tmp_path / "a")
    write_pack(KnowledgePack((kept, *new)), tmp_path / "b")
    days = ("--from", "2026-03-01", "--to", "2026-03-31", "--tables", tmp_path / "tables")
    told = json.loads(run("knowledge", "impact", tmp_path / "a", tmp_path / "b", *days, "--json"))
    assert [tuple(one.values()) for one in told["institutions"]] == [
        ("H2", 0, "0", 1, "45.00"),
        ("H1", 1, "25.00", 1, "25.00"),
    ]
    assert (told["changed"], told["not_audited"]) == (2, ["insurance-F1"])


def test_a_regions_own_codes_are_put_into_a_pack_and_take_its_signature(tmp_path):
    write_pack(KnowledgePack((point(Kind.PAIR, 1, "day", HP, HD),)), tmp_path / "pack")
    rows = [
        ["own_code", "name", "national_code"],
        ["33-01", "灌流", int(HP)],
        ["３３-02", "透析", HD],
        ["", "", ""],
    ]
    run("knowledge", "codes", book(tmp_path / "codes.xlsx", {"S": rows}), "--pack", tmp_path / "pack")
    read = read_pack(tmp_path / "pack")
    assert (read.codes, read.signature) == ({"33-01": HP, "33-02": HD}, None)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("own_code,national\n1,2\n", "lacks the columns"),
        (f"own_code,national_code\nA,{HP}\nA,{HD}\n", "second national code"),
        (f"own_code,national_code\nA,{HP}\nB,\n", "one code of each kind"),
        (f"own_code,national_code\nA,{HP};{HD}\n", "one code of each kind"),
        ("own_code,national_code\n", "no row has codes"),
    ],
)
def test_a_table_of_codes_that_cannot_be_right_is_refused(tmp_path, text, what):
    (tmp_path / "codes.csv").write_text(text, encoding="utf-8")
    with pytest.raises(KnowledgeError, match=what):
        read_own_codes(tmp_path / "codes.csv", "own_code", "national_code")
