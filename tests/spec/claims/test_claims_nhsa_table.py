"""The interface's transactions and nodes, walked from the table of their sources (docs/importing.md).

`SOURCE` is that table, written down from nine independent hospital systems, not from the reader: each
transaction's nodes of `input` and `output`. Messages are built from it.
"""

import json
from decimal import Decimal

import pyarrow.parquet as pq
import pytest
from parts.rotated import rotated

from renzheng.central.claims.importer import NothingReadError, import_claims
from renzheng.central.claims.source import Options

MANY = "[]"
SOURCE = {
    "1101": (("data",), ("baseinfo", "insuinfo[]", "idetinfo[]")),
    "2201": (("data",), ("data",)),
    "2202": (("data",), ()),
    "2203": (("mdtrtinfo", "diseinfo[]"), ()),
    "2203A": (("mdtrtinfo", "diseinfo[]"), ()),
    "2204": (("feedetail[]",), ("result[]",)),
    "2205": (("data",), ()),
    "2206": (("data",), ("setlinfo", "setldetail[]")),
    "2207": (("data", "drug_trac_info[]"), ("setlinfo", "setldetail[]")),
    "2208": (("data",), ("setlinfo",)),
    "2301": (("feedetail[]",), ("result[]",)),
    "2302": (("data[]",), ()),
    "2303": (("data",), ("setlinfo", "setldetail[]")),
    "2304": (("data",), ("setlinfo", "setldetail[]")),
    "2305": (("data",), ("setlinfo",)),
    "2401": (("mdtrtinfo", "diseinfo[]", "agnterinfo"), ("result",)),
    "2402": (("dscginfo", "diseinfo[]"), ()),
    "2403": (("adminfo", "diseinfo[]"), ()),
    "2404": (("data",), ()),
    "2405": (("data",), ()),
    "4101": (
        ("setlinfo", "payinfo[]", "opspdiseinfo[]", "diseinfo[]", "iteminfo[]", "oprninfo[]", "icuinfo[]"),
        (),
    ),
    "4101A": (("setlinfo", "opspdiseinfo[]", "diseinfo[]", "oprninfo[]", "icuinfo[]", "bldinfo[]"), ()),
    "3501": (("invinfo",), ()),
    "3502": (("invinfo",), ()),
    "3503": (("purcinfo",), ()),
    "3504": (("purcinfo",), ()),
    "3505": (("selinfo",), ()),
    "3505A": (("selinfoDetail[]",), ()),
    "3506": (("selinfo",), ()),
    "3506A": (("selinfoDetail[]",), ()),
    "4205": (("mdtrtinfo", "diseinfo[]", "feedetail[]"), ()),
}
VISIT = {"mdtrt_id": "M1", "psn_no": "P1"}
LINE = {
    **VISIT,
    "feedetl_sn": "1",
    "chrg_bchno": "B1",
    "fee_ocur_time": "2026-03-03 08:00:00",
    "med_list_codg": "003110000060000",
    "medins_list_codg": "A1",
    "det_item_fee_sumamt": "400.00",
    "cnt": "1.0000",
    "pric": "400.000000",
    "bilg_dept_codg": "D1",
    "bilg_dr_codg": "D37112100001",
}
SELF_PAID = {
    "fixmedins_mdtrt_id": "S1",
    "bkkp_sn": "1",
    "med_type": "11",
    "fee_ocur_time": "2026-03-03 08:00:00",
    "med_list_codg": "003110000060000",
    "det_item_fee_sumamt": "400.00",
    "cnt": "1.0000",
}
SETTLED = {**VISIT, "setl_id": "J1", "medfee_sumamt": "400.00", "fund_pay_sumamt": "300.00", "gend": "1"}
DIAGNOSIS = {
    "diag_type": "1",
    "maindiag_flag": "1",
    "diag_code": "N18.501",
    "diag_name": "尿毒症",
    "vali_flag": "1",
}
BOX = "81000012345678901234"
SALE = {
    "fixmedins_hilist_id": "Y1",
    "fixmedins_bchno": "L1",
    "med_list_codg": "XA1",
    "trdn_flag": "0",
    **dict.fromkeys(
        ("sel_retn_time", "purc_retn_stoin_time", "invdate", "inv_chg_time"), "2026-03-02 10:00:00"
    ),
    "drugtracinfo": [{"drug_trac_codg": BOX}],
}
CONTENT = {
    "data": {**VISIT, "mdtrt_cert_type": "02", "chrg_bchno": "B1", "feedetl_sn": "1", "medfee_sumamt": 400},
    "2208 data": {**VISIT, "setl_id": "J1"},
    "2305 data": {**VISIT, "setl_id": "J1"},
    "1101 data": {"mdtrt_cert_type": "02", "mdtrt_cert_no": "110101199003070572", "psn_name": "某"},
    "baseinfo": {"psn_no": "P1", "psn_name": "某", "gend": "1", "brdy": "1960-01-02", "age": 66},
    "insuinfo": {"insutype": "310", "psn_insu_stas": "1"},
    "idetinfo": {"psn_idet_type": "1"},
    "mdtrtinfo": {**VISIT, "med_type": "14", "begntime": "2026-03-02 09:00:00"},
    "2401 mdtrtinfo": {"psn_no": "P1", "begntime": "2026-03-02 09:00:00", "adm_bed": "12", "ipt_no": "Z1"},
    "4205 mdtrtinfo": {"fixmedins_mdtrt_id": "S1", "certno": "110101199003070572", "med_type": "11"},
    "agnterinfo": {"agnter_name": "某"},
    "diseinfo": {**VISIT, **DIAGNOSIS},
    "feedetail": LINE,
    "4205 feedetail": SELF_PAID,
    "result": {**VISIT, "feedetl_sn": "1", "det_item_fee_sumamt": 400, "cnt": 1, "pric": 400},
    "setlinfo": SETTLED,
    "4101 setlinfo": {**VISIT, "setl_id": "J1", "hi_no": "H", "adm_time": "2026-03-02 09:00:00"},
    "setldetail": {"fund_pay_type": "310100", "fund_payamt": 300},
    "drug_trac_info": {"feedetl_sn": "1", "drug_trac_codg": BOX, "trdn_flag": "0"},
    "dscginfo": {**VISIT, "endtime": "2026-03-06 14:00:00", "dscg_bed": "15", "dscg_way": "1"},
    "adminfo": {**VISIT, "begntime": "2026-03-02 10:00:00", "adm_bed": "14"},
    "payinfo": {"fund_pay_type": "310100", "fund_payamt": 300},
    "opspdiseinfo": {"diag_code": "M07801", "diag_name": "尿毒症透析"},
    "iteminfo": {"med_chrgitm": "01", "amt": 400},
    "oprninfo": {
        "oprn_oprt_type": "1",
        "oprn_oprt_code": "39.9500",
        "oprn_oprt_name": "血液透析",
        "oper_dr_code": "D1",
        "oprn_oprt_begntime": "2026-03-03 08:00:00",
        "oprn_oprt_endtime": "2026-03-03 12:00:00",
    },
    "icuinfo": {"scs_cutd_ward_type": "1"},
    "bldinfo": {"bld_cat": "1"},
    "invinfo": SALE,
    "purcinfo": SALE,
    "selinfo": SALE,
    "selinfodetail": SALE,
}  # fmt: skip


def nodes(infno, names):
    """Build the nodes of a transaction as the table has them."""
    made = {}
    for name in names:
        plain = name.removesuffix(MANY)
        node = CONTENT.get(f"{infno[:4]} {plain.lower()}", CONTENT.get(plain.lower()))
        made[plain] = [node] if name.endswith(MANY) else node
    return made


def message(infno, **more):
    given, answered = SOURCE[infno]
    answer = {"infcode": "0", "inf_refmsgid": "m" + infno, "err_msg": "", "output": nodes(infno, answered)}
    return {
        "infno": infno,
        "msgid": "m" + infno,
        "mdtrtarea_admvs": "371121",
        "opter_name": "某",
        "inf_time": "2026-03-04 12:00:00",
        "fixmedins_code": "H37112100001",
        "fixmedins_name": "某医院",
        "input": nodes(infno, given),
        **answer,
        **more,
    }


def take(folder, *messages, name="log.json", codec="utf-8", **options):
    folder.mkdir(exist_ok=True)
    text = "\n".join(one if isinstance(one, str) else json.dumps(one, ensure_ascii=False) for one in messages)
    (folder / name).write_bytes((text + "\n").encode(codec))
    try:
        return import_claims(folder / name, folder / "out", file_format="nhsa", options=Options(**options))
    except NothingReadError as error:
        return error.attributes["summary"]


def rows(folder, table):
    path = folder / "out" / f"{table}.parquet"
    return pq.read_table(path).to_pylist() if path.exists() else []


def said(folder, table, kind="rejected"):
    path = folder / "out" / kind / f"{table}.csv"
    return path.read_text("utf-8") if path.exists() else ""


BECOMES = {
    "1101": {"persons": 1},
    "2203": {"diagnoses": 1},
    "2203A": {"diagnoses": 1},
    "2204": {"claim_lines": 1},
    "2301": {"claim_lines": 1},
    "2207": {"persons": 1, "drug_sales": 1},
    "2304": {"persons": 1},
    "2401": {"stays": 1, "diagnoses": 1},
    "2402": {"diagnoses": 1},
    "2403": {"stays": 1, "diagnoses": 1},
    "4101": {"stays": 1, "diagnoses": 2, "operations": 1},
    "4101A": {"stays": 1, "diagnoses": 2, "operations": 1},
    "4205": {"claim_lines": 1},
    **{number: {"drug_sales": 1} for number in ("2208", "2305")},
    **{number: {"drug_stock": 1} for number in ("3501", "3502", "3503", "3504")},
    **{number: {"drug_sales": 1} for number in ("3505", "3505A", "3506", "3506A")},
}
"""What one message by itself puts into the tables; the others speak of what other messages brought."""
COUNTED = {"2202", "2206", "2303"}
TABLES = ("claim_lines", "persons", "stays", "diagnoses", "operations", "drug_sales", "drug_stock")


@pytest.mark.parametrize("infno", SOURCE)
def test_every_transaction_is_read_or_counted_by_its_name(tmp_path, infno):
    summary = take(tmp_path, message(infno))
    found = {table: len(made) for table in TABLES if (made := rows(tmp_path, table))}
    assert found == BECOMES.get(infno, {})
    assert [name[:4] for name in summary.ignored] == ([infno[:4]] if infno in COUNTED else [])
    for table in ("claim_lines", "stays", "persons", "settlements", "registrations", "cancellations"):
        wrong = said(tmp_path, table)
        assert not wrong or "cancels_nothing" in wrong or "no_admission" in wrong


@pytest.mark.parametrize(("number", "infno"), rotated(["{}", "{}A", "{}a", " {} "], ["2204", "2301", "2401"]))
def test_a_number_may_have_a_letter_and_be_no_text(tmp_path, infno, number):
    for one in (number.format(infno), int(infno)):
        take(tmp_path, message(infno) | {"infno": one})
        assert len(rows(tmp_path, "stays" if infno == "2401" else "claim_lines")) == 1


def two(infno):
    lines = [LINE, LINE | {"feedetl_sn": "2"}]
    return message(infno, input={"feedetail": lines})


def upper(value):
    if isinstance(value, dict):
        return {name.upper(): upper(one) for name, one in value.items()}
    return [upper(one) for one in value] if isinstance(value, list) else value


def apart(one):
    """Take a message apart into request and answer."""
    answer = {name: one[name] for name in ("infcode", "inf_refmsgid", "err_msg", "output")}
    return {name: value for name, value in one.items() if name not in answer}, answer


def log_row(one):
    request, answer = apart(one)
    return {"INTERFACE_CODE": "2204", "IN_JSON": json.dumps(request), "OUT_JSON": json.dumps(answer)}


def parts_of(lines):
    return {f"part{line['feedetl_sn']}": {"feedetail": [line]} for line in lines}


WRAPPED = {
    "one envelope": lambda one: [one],
    "a list": lambda one: [json.dumps([one])],
    "pretty": lambda one: [json.dumps(one, indent=2)],
    "a pretty list": lambda one: [json.dumps([one, message("2206")], indent=2)],
    "one a line": lambda one: [one, message("2206")],
    "bare input": lambda one: [one["input"] | {"fixmedins_code": "H37112100001"}],
    "input alone": lambda one: [{"input": one["input"], "fixmedins_code": "H37112100001"}],
    "a list of lines": lambda one: [json.dumps(one["input"]["feedetail"])],
    "a line a line": lambda one: one["input"]["feedetail"],
    "input is a list": lambda one: [one | {"input": one["input"]["feedetail"]}],
    "input is text": lambda one: [one | {part: json.dumps(one[part]) for part in ("input", "output")}],
    "in capitals": lambda one: [upper(one)],
    "answer within output": lambda one: [apart(one)[0] | {"output": apart(one)[1]}],
    "answer within response": lambda one: [apart(one)[0] | {"response": apart(one)[1]}],
    "a pair by name": lambda one: [dict(zip(("request", "response"), apart(one), strict=True))],
    "a pair as input and output": lambda one: [dict(zip(("input", "output"), apart(one), strict=True))],
    "a pair as a list": lambda one: [json.dumps([apart(one)])],
    "two records": apart,
    "two records, the answer first": lambda one: apart(one)[::-1],
    "rows of a log's table": lambda one: [log_row(one)],
    "a table's export": lambda one: [{"RECORDS": [log_row(one)]}],
    "input's nodes in a node": lambda one: [one | {"input": {"data": one["input"]}}],
    "nodes beside the envelope's fields": lambda one: [
        {name: value for name, value in one.items() if name != "input"} | one["input"]
    ],
    "body for input": lambda one: [
        {name: value for name, value in one.items() if name != "input"} | {"body": one["input"]}
    ],
    "lines by number": lambda one: [
        one | {"input": {"feedetail": dict(zip("01", one["input"]["feedetail"], strict=True))}}
    ],
    "a node each, in two": lambda one: [one | {"input": parts_of(one["input"]["feedetail"])}],
    "messages in a wrapper": lambda one: [{"messages": [one], "count": 1}],
}  # fmt: skip


@pytest.mark.parametrize(("wrapping", "codec"), rotated(WRAPPED, ["utf-8", "utf-8-sig", "gb18030"]))
def test_lines_come_in_every_wrapping(tmp_path, wrapping, codec):
    take(tmp_path, *WRAPPED[wrapping](two("2204")), codec=codec, institution="H37112100001")
    assert [row["line_id"] for row in rows(tmp_path, "claim_lines")] == [
        "H37112100001:M1:1",
        "H37112100001:M1:2",
    ]


BARE = ("1101", "2203", "2401", "2402", "2403", "2301", "4101", "4205")


@pytest.mark.parametrize("infno", BARE)
def test_a_bare_input_is_known_by_its_nodes(tmp_path, infno):
    bare = nodes(infno, SOURCE[infno][1] if infno == "1101" else SOURCE[infno][0])
    if infno == "2401":
        bare["mdtrtinfo"] = bare["mdtrtinfo"] | {"mdtrt_id": "M1"}
    take(tmp_path, bare, institution="H37112100001")
    assert {table: len(made) for table in TABLES if (made := rows(tmp_path, table))} == BECOMES[infno]


REFUSED = {
    "in the same envelope": lambda one: [one | {"infcode": "-1", "err_msg": "参保状态异常"}],
    "as a number": lambda one: [one | {"infcode": -1}],
    "within output": lambda one: [apart(one)[0] | {"output": apart(one)[1] | {"infcode": "1001"}}],
    "in a pair": lambda one: [{"in": apart(one)[0], "out": apart(one)[1] | {"infcode": "-1"}}],
    "behind it": lambda one: [apart(one)[0], apart(one)[1] | {"infcode": "-1"}],
    "far behind it": lambda one: [apart(one)[0], message("2206"), apart(one)[1] | {"infcode": "-1"}],
    "before it": lambda one: [apart(one)[1] | {"infcode": "-1"}, message("2206"), apart(one)[0]],
    "behind it, under the receiver's number": lambda one: [
        apart(one)[0],
        apart(one)[1] | {"infcode": "-1", "inf_refmsgid": "37112120260304120000123"},
    ],
    "by the same msgid": lambda one: [
        apart(one)[0],
        {"infcode": "-1", "msgid": one["msgid"], "output": {}},
    ],
}


@pytest.mark.parametrize(
    ("how", "infno", "form"),
    rotated(REFUSED, ["2204", "2301", "2401", "2207", "4101", "2205"], ["lines", "list"], turns=6),
)
def test_what_the_bureau_refused_is_no_bill(tmp_path, how, infno, form):
    refused = REFUSED[how](message(infno, msgid="m1", inf_refmsgid="m1"))
    kept = message("2204", input={"feedetail": [LINE | {"feedetl_sn": "9"}]})
    messages = [*refused, kept]
    take(tmp_path, *(messages if form == "lines" else [json.dumps(messages)]))
    (line,) = rows(tmp_path, "claim_lines")
    assert (line["line_id"], line["settlement_id"]) == ("H37112100001:M1:9", None)
    assert rows(tmp_path, "stays") == rows(tmp_path, "diagnoses") == []
    listed = "".join(said(tmp_path, table) for table in (*TABLES, "settlements", "cancellations"))
    assert listed.count("refused_by_bureau") == 1
    assert pq.read_table(tmp_path / "out" / "rejects.parquet").num_rows == 0


def test_an_answer_in_a_file_of_its_own_is_found(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    request, answer = apart(message("2204"))
    other, good = apart(
        message("2204", msgid="m7", inf_refmsgid="m7", input={"feedetail": [LINE | {"feedetl_sn": "7"}]})
    )
    (folder / "a.json").write_text(json.dumps([request, other]), "utf-8")
    (folder / "b.json").write_text(json.dumps([answer | {"infcode": "-1"}, good]), "utf-8")
    import_claims(folder, tmp_path / "out", file_format="nhsa")
    assert [row["line_id"][-1] for row in rows(tmp_path, "claim_lines")] == ["7"]


def test_one_id_for_all_messages_leaves_each_its_own_answer(tmp_path):
    log = []
    for number, code in (("1", "0"), ("2", "-1"), ("3", "0")):
        sent = message("2204", msgid="null", input={"feedetail": [LINE | {"feedetl_sn": number}]})
        request, answer = apart(sent | {"inf_refmsgid": "null", "infcode": code})
        log += [request, answer]
    take(tmp_path, *log)
    assert [row["line_id"][-1] for row in rows(tmp_path, "claim_lines")] == ["1", "3"]


def test_an_id_refused_in_one_file_says_nothing_of_another_file(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    request, answer = apart(message("2204", msgid="1", inf_refmsgid="1"))
    (folder / "a.json").write_text(
        json.dumps([request, message("2206"), answer | {"infcode": "-1"}]), "utf-8"
    )
    other, _ = apart(message("2204", msgid="1", input={"feedetail": [LINE | {"feedetl_sn": "7"}]}))
    (folder / "b.json").write_text(json.dumps([other]), "utf-8")
    import_claims(folder, tmp_path / "out", file_format="nhsa")
    assert [row["line_id"][-1] for row in rows(tmp_path, "claim_lines")] == ["7"]


def test_answers_without_a_message_are_counted(tmp_path):
    summary = take(tmp_path, message("2204"), apart(message("2304", inf_refmsgid="elsewhere"))[1])
    assert summary.ignored == {"应答 answer without its message": 1}


def test_a_call_that_failed_and_was_made_again_under_its_id_is_taken(tmp_path):
    request, answer = apart(message("2204"))
    take(tmp_path, request, answer | {"infcode": "-1"}, request, answer)
    assert len(rows(tmp_path, "claim_lines")) == 1


@pytest.mark.parametrize(
    ("name", "infno"), rotated(["feedetl", "details", "data", "feeDetailList"], ["2204", "2301", "4205"])
)
def test_lines_under_another_name_are_read_and_the_name_is_told(tmp_path, infno, name):
    line = SELF_PAID if infno == "4205" else LINE
    take(tmp_path, message(infno, input={name: [line, line | {"feedetl_sn": "2"}]}, psn_no="P1"))
    assert len(rows(tmp_path, "claim_lines")) == 2
    assert f"found {name.lower()}; expected feedetail" in said(tmp_path, "claim_lines", "warnings")


@pytest.mark.parametrize("infno", ["2204", "2301", "2401", "2402", "2403", "2207", "2208", "2205", "4101"])
def test_a_message_without_its_node_says_what_was_found_and_what_was_expected(tmp_path, infno):
    take(tmp_path, message("2203"), message(infno, input={"foo": [{"a": 1}], "bar": {"b": 2}}, output={}))
    listed = "".join(said(tmp_path, table) for table in (*TABLES, "settlements", "cancellations"))
    expected = SOURCE[infno][0][0].removesuffix(MANY)
    assert "no_node" in listed
    assert f"found foo, bar; expected {expected}" in listed
    assert "missing" not in listed


@pytest.mark.parametrize("infno", ["5204", "7777", "2206", "2401", "2207", "9001", "22O4"])
def test_lines_in_an_unknown_transaction_are_refused_with_what_they_bill(tmp_path, infno):
    take(tmp_path, message("2203"), message("2204") | {"infno": infno})
    assert rows(tmp_path, "claim_lines") == []
    assert "infno,unknown_value" in said(tmp_path, "claim_lines")
    listed = pq.read_table(tmp_path / "out" / "rejects.parquet").to_pylist()
    (refused,) = (row for row in listed if row["table"] == "claim_lines")
    assert (refused["institution_id"], refused["amount"]) == ("H37112100001", Decimal("400.00"))


def test_a_log_of_other_transactions_is_counted_by_their_numbers(tmp_path):
    others = [message("2206") | {"infno": number} for number in ("9001", "1301", "3201", "5301", "9101")]
    summary = take(tmp_path, message("2204"), *others)
    assert summary.ignored == dict.fromkeys(("1301", "3201", "5301", "9001", "9101"), 1)
    assert said(tmp_path, "claim_lines") == ""


@pytest.mark.parametrize("broken", [{}, {"feedetl_sn": "2"}, "line", 7, None, [1]])
def test_a_broken_line_among_good_ones_is_a_reject(tmp_path, broken):
    take(tmp_path, message("2204", input={"feedetail": [LINE, broken]}))
    assert len(rows(tmp_path, "claim_lines")) == 1
    assert len(said(tmp_path, "claim_lines").splitlines()) > 1


@pytest.mark.parametrize("empty", [[], None, ""])
def test_an_upload_without_lines_is_counted(tmp_path, empty):
    summary = take(tmp_path, message("2203"), message("2204", input={"feedetail": empty}))
    told = [*summary.ignored, *said(tmp_path, "claim_lines").splitlines()]
    assert any("feedetail" in one or "no lines" in one for one in told)


def test_numbers_may_be_numbers_or_text(tmp_path):
    numbers = LINE | {
        "feedetl_sn": 1,
        "mdtrt_id": 77,
        "psn_no": 1002,
        "cnt": 1.5,
        "det_item_fee_sumamt": 600.1,
    }
    take(tmp_path, message("2204", input={"feedetail": [numbers]}))
    (line,) = rows(tmp_path, "claim_lines")
    assert (line["line_id"], line["person_id"]) == ("H37112100001:77:1", "1002")
    assert (line["quantity"], line["amount"]) == (Decimal("1.5"), Decimal("600.10"))


def test_lines_of_a_patient_who_pays_himself_are_billed_and_no_money_of_the_fund(tmp_path):
    take(tmp_path, message("4205"))
    (line,) = rows(tmp_path, "claim_lines")
    assert (line["line_id"], line["visit_id"]) == ("H37112100001:S1:1", "S1")
    assert (line["person_id"], line["fund_amount"]) == ("110101199003070572", 0)


def test_persons_come_from_queries_and_settlements_once_each(tmp_path):
    asked = message("1101")
    woman = {"baseinfo": {"psn_no": "P2", "gend": "2", "brdy": "1970-05-06"}}
    unknown = {"baseinfo": {"psn_no": "P3", "gend": "9"}}
    take(
        tmp_path,
        asked,
        asked,
        message("1101", output=woman),
        message("1101", output=unknown),
        message("2304"),
    )
    people = {row["person_id"]: (row["sex"], str(row["birth_date"])) for row in rows(tmp_path, "persons")}
    assert people == {"P1": ("M", "1960-01-02"), "P2": ("F", "1970-05-06"), "P3": ("U", "None")}
    take(tmp_path, message("1101", output={"baseinfo": {"psn_no": "P1", "gend": "9"}}), name="later.json")
    assert {row["person_id"]: row["sex"] for row in rows(tmp_path, "persons")}["P1"] == "M"


@pytest.mark.parametrize(
    ("told", "died"),
    [
        ({"dscg_way": "5", "die_date": "2026-03-06"}, "2026-03-06"),
        ({"dscg_way": "5"}, "2026-03-06"),
        ({"dscg_way": "5", "die_date": "1900-01-01"}, "2026-03-06"),
        ({"dscg_way": "5", "die_date": "2026-03-05"}, "2026-03-05"),
        ({"dscg_way": "1", "die_date": ""}, None),
        ({"dscg_way": "1", "die_date": "2026-03-06"}, None),
        ({"dscg_way": "", "die_date": "2026-03-06"}, None),
    ],
)
def test_a_discharge_tells_of_a_death(tmp_path, told, died):
    gone = message("2402", input={"dscginfo": CONTENT["dscginfo"] | told})
    take(tmp_path, message("1101"), message("2401"), gone)
    (person,) = rows(tmp_path, "persons")
    assert (person["sex"], person["death_date"] and str(person["death_date"])) == ("M", died)


def test_a_death_goes_with_the_discharge_that_told_of_it(tmp_path):
    gone = message("2402", input={"dscginfo": CONTENT["dscginfo"] | {"dscg_way": "5"}})
    take(tmp_path, message("1101"), message("2401"), gone, message("2405"))
    (person,) = rows(tmp_path, "persons")
    assert person["death_date"] is None


def test_a_settlement_list_without_a_person_says_what_it_lacks(tmp_path):
    head = {name: value for name, value in CONTENT["4101 setlinfo"].items() if name != "psn_no"}
    listed = message("4101")
    listed["input"]["setlinfo"] = head
    take(tmp_path, message("2301"), listed)
    (line,) = rows(tmp_path, "claim_lines")
    assert line["settlement_id"] == "J1"
    assert rows(tmp_path, "stays") == rows(tmp_path, "diagnoses") == []
    assert "psn_no,no_person" in said(tmp_path, "settlements", "warnings")
    assert "hi_no" in said(tmp_path, "settlements", "warnings")


def test_diagnoses_and_operations_of_a_settlement_list(tmp_path):
    take(tmp_path, message("4101A"))
    codes = {
        row["diagnosis_code"]: (row["main"], row["settlement_id"]) for row in rows(tmp_path, "diagnoses")
    }
    assert codes == {"N18.501": (True, "J1"), "M07801": (None, "J1")}
    (done,) = rows(tmp_path, "operations")
    assert (done["operation_code"], done["main"], done["operated_at"].hour) == ("39.9500", True, 0)
