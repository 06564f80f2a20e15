"""A finding about boxes of medicines shows the sales that it names, and returns of the same boxes."""

from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
from parts.audit_tables import at

from renzheng.central.nightly.finding_evidence import read_finding
from renzheng.central.store.times import to_us
from renzheng.contracts.tables import INPUT_TABLES, arrow_schema


def test_sales_that_a_finding_names_are_resolved(tmp_path):
    empty = {column.name: None for column in INPUT_TABLES["drug_sales"].columns}
    sale = empty | {"institution_id": "H1", "kind": "sale", "code": "C1"}
    rows = [
        sale | {"sale_id": "S1", "sold_at": at("04 10:00"), "split": True},
        sale | {"sale_id": "R1", "sold_at": at("05 10:00"), "kind": "return"},
        sale | {"sale_id": "S2", "sold_at": at("09 10:00"), "institution_id": "H2", "person_id": "P2"},
        sale | {"sale_id": "S3", "sold_at": at("09 10:00"), "code": "C2"},
    ]
    pq.write_table(
        pa.Table.from_pylist(rows, schema=arrow_schema(INPUT_TABLES["drug_sales"])),
        tmp_path / "drug_sales.parquet",
    )
    span = {"from_at": to_us(at("04 10:00")), "to_at": to_us(at("09 10:00"))}
    finding = {"institution_id": "H2", "person_id": None, **span}
    cited = ["H1@S1", "H2@S2", "H9@S9"]
    found = read_finding(tmp_path, finding, cited, [], ZoneInfo("Asia/Shanghai"), sees=lambda _: True)
    (kind,) = found.kinds
    shown = [(one.id, one.code, one.person_id, one.place, one.cited) for one in kind.items]
    assert kind.name == "drug_sale"
    assert shown == [
        ("H1@S1", "split", "", "C1", True),
        ("H1@R1", "return", "", "C1", False),
        ("H2@S2", "sale", "P2", "C1", True),
    ]
    assert found.unknown == ["H9@S9"]
    mine = read_finding(tmp_path, finding, cited, [], ZoneInfo("Asia/Shanghai"), sees=lambda one: one == "H2")
    assert [one.id for one in mine.kinds[0].items] == ["H2@S2"]
