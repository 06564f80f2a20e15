"""Boxes of medicines: what the interface's messages of sales, returns, stock and settlements say of them."""

import datetime as dt
import json
from decimal import Decimal

import pyarrow.parquet as pq
import pytest

from renzheng.central.claims.importer import NothingReadError, import_claims
from renzheng.central.claims.source import Options

BOX, OTHER = "81000012345678901234", "81000012345678905678"
SALE = {
    "med_list_codg": "XA10BA02",
    "fixmedins_bchno": "U1",
    "mdtrt_sn": "M1",
    "psn_no": "P1",
    "psn_cert_type": "01",
    "manu_lotnum": "240517",
    "manu_date": "2024-05-17",
    "expy_end": "2027-05-16",
    "rx_flag": "1",
    "trdn_flag": "0",
    "sel_retn_cnt": "2.0000",
    "sel_retn_time": "2026-03-04 10:00:00",
    "sel_retn_opter_name": "某",
}
STOCK = {
    "med_list_codg": "XA10BA02",
    "fixmedins_bchno": "U2",
    "manu_lotnum": "240517",
    "expy_end": "2027-05-16",
    "drugtracinfo": [{"drug_trac_codg": BOX}],
}
BOUGHT = {"purc_retn_stoin_time": "2026-03-01 00:00:00", "purc_retn_cnt": 30}


def envelope(infno, nodes):
    return {
        "infno": infno,
        "fixmedins_code": "P37020304446",
        "inf_time": "2026-03-04 12:00:00",
        "input": nodes,
    }


def take(folder, *messages, name="log.json"):
    (folder / name).write_text("\n".join(json.dumps(one, ensure_ascii=False) for one in messages), "utf-8")
    try:
        return import_claims(folder / name, folder / "out", file_format="nhsa", options=Options())
    except NothingReadError as error:
        return error.attributes["summary"]


def rows(folder, table="drug_sales"):
    path = folder / "out" / f"{table}.parquet"
    return pq.read_table(path).to_pylist() if path.exists() else []


def test_a_sale_is_a_row_for_each_box_with_all_that_it_says(tmp_path):
    sale = SALE | {"mdtrt_setl_type": "2", "drugtracinfo": [{"drug_trac_codg": one} for one in (BOX, OTHER)]}
    take(tmp_path, envelope("3505A", {"selinfoDetail": [sale]}))
    first, second = sorted(rows(tmp_path), key=lambda row: row["code"])
    assert first == {
        "sale_id": "U1",
        "institution_id": "P37020304446",
        "kind": "sale",
        "line_id": None,
        "settlement_id": None,
        "person_id": "P1",
        "code": BOX,
        "product_code": "8100001",
        "item_code": "XA10BA02",
        "batch": "240517",
        "expires_on": dt.date(2027, 5, 16),
        "split": False,
        "units": Decimal("2.0000"),
        "paid_by": "self",
        "sold_at": dt.datetime(2026, 3, 4, 2, 0, tzinfo=dt.UTC),
        "returned_of": None,
    }
    assert second == first | {"code": OTHER}


@pytest.mark.parametrize(
    ("record", "beside"),
    [
        ({"drugtracinfo": [{"drug_trac_codg": BOX}]}, {}),
        ({"drugtracinfo": {"drug_trac_codg": BOX}}, {}),
        ({"drugtracinfo": {"drug_trac_code": BOX}}, {}),
        ({"drugtracinfo": {"0": {"drug_trac_codg": BOX}}}, {}),
        ({"drugtracinfo": [BOX]}, {}),
        ({"drugtracinfo": BOX}, {}),
        ({"drugtracinfo": f"{BOX},{BOX}，"}, {}),
        ({"drug_trac_codg": BOX}, {}),
        ({}, {"drugtracinfo": [{"drug_trac_codg": BOX}]}),
        ({"drugtracinfo": []}, {"drugtracinfo": {"drug_trac_codg": f" {BOX[:4]} {BOX[4:]}"}}),
    ],
)  # fmt: skip
def test_codes_are_found_wherever_systems_put_them(tmp_path, record, beside):
    take(tmp_path, envelope("3505", {"selinfo": SALE | record, **beside}))
    assert [row["code"] for row in rows(tmp_path)] == [BOX]


def test_codes_beside_several_records_are_nobodys(tmp_path):
    several = [SALE, SALE | {"fixmedins_bchno": "U9"}]
    take(tmp_path, envelope("3505", {"selinfo": several, "drugtracinfo": [{"drug_trac_codg": BOX}]}))
    assert [(row["sale_id"], row["code"]) for row in rows(tmp_path)] == [("U1", None), ("U9", None)]


def test_a_code_that_cannot_be_one_is_not_scanned_and_says_so(tmp_path):
    summary = take(tmp_path, envelope("3505", {"selinfo": SALE | {"drugtracinfo": "无码"}}))
    assert [row["code"] for row in rows(tmp_path)] == [None]
    assert summary.tables["drug_sales"].warnings == 1


def test_a_return_and_what_it_takes_back(tmp_path):
    back = SALE | {"medins_prod_sel_no": "S7", "sel_retn_time": "2026-03-05", "drugtracinfo": BOX}
    take(tmp_path, envelope("3506", {"selinfo": back}))
    (row,) = rows(tmp_path)
    assert (row["kind"], row["returned_of"], row["code"]) == ("return", "S7", BOX)


@pytest.mark.parametrize(
    ("infno", "node", "more", "kind"),
    [
        ("3501", "invinfo", {"invdate": "2026-03-01", "inv_cnt": "30"}, "count"),
        ("3501A", "invinfoDetail", {"invdate": "2026-03-01", "inv_cnt": "30"}, "count"),
        ("3502", "invinfo", {"inv_chg_time": "2026-03-01 00:00:00", "cnt": 30}, "change"),
        ("3503", "purcinfo", BOUGHT, "purchase"),
        ("3504", "purcinfo", BOUGHT, "purchase_return"),
    ],
)  # fmt: skip
def test_stock(tmp_path, infno, node, more, kind):
    body = STOCK | more
    take(tmp_path, envelope(infno, {node: [body] if "Detail" in node else body}))
    (row,) = rows(tmp_path, "drug_stock")
    assert (row["kind"], row["code"], row["quantity"]) == (kind, BOX, 30)
    assert row["recorded_at"] == dt.datetime(2026, 2, 28, 16, 0, tzinfo=dt.UTC)


def test_a_settlement_brings_every_box_split_ones_too_and_its_cancellation_a_return(tmp_path):
    codes = [
        {"feedetl_sn": "1", "drug_trac_codg": BOX, "trdn_flag": "0", "min_prcunt_type": "1"},
        {"feedetl_sn": "1", "drug_trac_codg": OTHER, "trdn_flag": "1", "min_prcunt_type": "1"},
    ]
    visit = {"mdtrt_id": "V1", "psn_no": "P1", "setl_id": "J1"}
    settled = envelope("2207", {"data": visit, "drug_trac_info": codes}) | {
        "infcode": "0",
        "output": {"setlinfo": {**visit, "medfee_sumamt": 10, "setl_time": "2026-03-04 11:00:00"}},
    }
    take(tmp_path, settled, envelope("2208", {"data": visit}) | {"infcode": "0", "output": {}})
    found = [
        (row["kind"], row["code"], row["split"], row["settlement_id"], row["line_id"])
        for row in rows(tmp_path)
    ]
    assert sorted(found, key=str) == [
        ("return", None, None, "J1", None),
        ("sale", BOX, False, "J1", "P37020304446:V1:1"),
        ("sale", OTHER, True, "J1", "P37020304446:V1:1"),
    ]


def test_an_upload_that_comes_again_changes_nothing(tmp_path):
    sale = envelope("3505", {"selinfo": SALE | {"drugtracinfo": BOX}})
    take(tmp_path, sale, sale)
    take(tmp_path, sale, name="again.json")
    assert len(rows(tmp_path)) == 1


def test_a_record_under_another_node_is_named_with_what_was_expected(tmp_path):
    take(tmp_path, envelope("3505", {"sellinfo": SALE}))
    text = (tmp_path / "out" / "rejected" / "drug_sales.csv").read_text("utf-8")
    assert "sellinfo" in text
    assert "selinfo, selinfodetail" in text
