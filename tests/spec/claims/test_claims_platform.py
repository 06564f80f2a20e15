"""The national platform's tables: what a bureau's extract says, in whatever files it comes."""

import csv
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow.parquet as pq
import pytest
import xlsxwriter
from parts.platform_tables import COLUMNS

from renzheng.central.claims.importer import NothingReadError, import_claims
from renzheng.central.claims.platform_tables import TABLES
from renzheng.central.claims.source import ColumnsError, Options

FEE = {
    "bkkp_sn": "B1",
    "mdtrt_id": "M1",
    "setl_id": "S1",
    "psn_no": "P1",
    "fixmedins_code": "H37112100001",
    "fixmedins_name": "某某县人民医院",
    "fee_ocur_time": "2026-03-04 10:00:00",
    "med_type": "14",
    "cnt": "1.0000",
    "det_item_fee_sumamt": "400.00",
    "hilist_code": "003110000060000",
    "hilist_name": "血液透析",
    "medins_list_name": "血透",
    "bilg_dept_codg": "A03",
    "bilg_dept_name": "肾内科",
    "bilg_dr_code": "D37112100001",
    "vali_flag": "1",
}
VISIT = {
    "mdtrt_id": "M1",
    "psn_no": "P1",
    "gend": "1",
    "brdy": "1960-05-01",
    "fixmedins_code": "H37112100001",
    "fixmedins_name": "某某县人民医院",
    "hosp_lv": "05",
    "fix_blng_admdvs": "371121",
    "med_type": "14",
    "begntime": "2026-03-01 09:00:00",
    "vali_flag": "1",
}
SETTLEMENT = {
    "setl_id": "S1",
    "mdtrt_id": "M1",
    "psn_no": "P1",
    "gend": "1",
    "brdy": "1960-05-01",
    "fixmedins_code": "H37112100001",
    "medfee_sumamt": "400.00",
    "fund_pay_sumamt": "320.00",
    "refd_setl_flag": "0",
    "vali_flag": "1",
}
DIAGNOSIS = {
    "setl_list_diag_id": "DG1",
    "setl_id": "S1",
    "mdtrt_id": "M1",
    "psn_no": "P1",
    "diag_type": "1",
    "maindiag_flag": "1",
    "diag_code": "N18.0",
    "diag_name": "慢性肾脏病5期",
    "vali_flag": "1",
}
OPERATION = {
    "setl_list_oprn_id": "OP1",
    "setl_id": "S1",
    "mdtrt_id": "M1",
    "psn_no": "P1",
    "main_oprn_flag": "1",
    "oprn_oprt_code": "39.9500",
    "oprn_oprt_name": "血液透析",
    "oprn_oprt_begntime": "2026-03-04 08:00:00",
    "oper_dr_code": "D37112100001",
    "vali_flag": "1",
}
INPATIENT = VISIT | {
    "med_type": "21",
    "endtime": "2026-03-09 10:00:00",
    "adm_dept_name": "肾内科",
    "adm_bed": "3",
    "wardarea_bed": "二病区",
}


def _rows(table, *rows):
    """Return the rows with every column that the platform has, in its order."""
    assert all(set(row) <= set(COLUMNS[table]) for row in rows)
    return [[row.get(name, "") for name in COLUMNS[table]] for row in rows]


def _csv(folder, name, table, *rows, codec="utf-8", head=None, second=None):
    folder.mkdir(exist_ok=True)
    with (folder / name).open("w", encoding=codec, newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(head or COLUMNS[table])
        if second:
            writer.writerow(second)
        writer.writerows(_rows(table, *rows))


def _extract(folder, fees=(FEE,), visits=(VISIT,), settlements=(SETTLEMENT,), **options):
    _csv(folder, "fee_list_d.csv", "fee_list_d", *fees, **options)
    _csv(folder, "mdtrt_d.csv", "mdtrt_d", *visits, **options)
    _csv(folder, "setl_d.csv", "setl_d", *settlements, **options)
    return folder


def _import(tmp_path, mapping=None, path=None):
    if mapping is not None:
        (tmp_path / "m.toml").write_text(mapping, encoding="utf-8")
    options = Options(mapping=None if mapping is None else tmp_path / "m.toml")
    return import_claims(path or tmp_path / "in", tmp_path / "out", file_format="platform", options=options)


def _table(tmp_path, name="claim_lines"):
    path = tmp_path / "out" / f"{name}.parquet"
    return pq.read_table(path).to_pylist() if path.exists() else []


def test_every_column_that_is_read_is_one_of_the_platforms():
    for name, table in TABLES.items():
        assert set(table.used) <= set(COLUMNS[name])
        assert set(table.needed) <= set(table.used)


def test_an_extract_becomes_all_tables_at_once(tmp_path):
    folder = _extract(tmp_path / "in", visits=[INPATIENT], fees=[FEE | {"med_type": "21"}])
    _csv(folder, "setl_list_diag_d.csv", "setl_list_diag_d", DIAGNOSIS)
    _csv(folder, "setl_list_oprn_d.csv", "setl_list_oprn_d", OPERATION)
    _import(tmp_path)
    assert _table(tmp_path) == [
        {
            "line_id": "B1",
            "institution_id": "H37112100001",
            "visit_id": "M1",
            "settlement_id": "S1",
            "person_id": "P1",
            "visit_type": "inpatient",
            "item_code": "003110000060000",
            "item_name": "血液透析",
            "service_time": datetime(2026, 3, 4, 2, tzinfo=UTC),
            "quantity": Decimal("1.0000"),
            "amount": Decimal("400.00"),
            "reverses_line_id": None,
            "doctor_id": "D37112100001",
            "department": "肾内科",
            "traceability_code": None,
            "fund_amount": Decimal("320.00"),
        }
    ]
    assert _table(tmp_path, "persons") == [
        {"person_id": "P1", "sex": "M", "birth_date": date(1960, 5, 1), "death_date": None}
    ]
    (stay,) = _table(tmp_path, "stays")
    assert (stay["visit_id"], stay["department"], stay["ward"], stay["bed"]) == (
        "M1",
        "肾内科",
        "二病区",
        "3",
    )
    assert (stay["admitted_at"], stay["discharged_at"]) == (
        datetime(2026, 3, 1, 1, tzinfo=UTC),
        datetime(2026, 3, 9, 2, tzinfo=UTC),
    )
    (institution,) = _table(tmp_path, "institutions")
    assert [institution[name] for name in ("institution_id", "name", "level", "region_code")] == [
        "H37112100001",
        "某某县人民医院",
        "05",
        "371121",
    ]
    (diagnosis,) = _table(tmp_path, "diagnoses")
    assert (diagnosis["institution_id"], diagnosis["diagnosis_code"], diagnosis["main"]) == (
        "H37112100001",
        "N18.0",
        True,
    )
    (operation,) = _table(tmp_path, "operations")
    assert (operation["operation_code"], operation["operated_at"]) == (
        "39.9500",
        datetime(2026, 3, 4, 0, tzinfo=UTC),
    )


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_headings_in_capitals_and_a_second_row_in_chinese(tmp_path, codec):
    chinese = {"bkkp_sn": "记账流水号", "psn_no": "人员编号", "fee_ocur_time": "费用发生时间", "cnt": "数量"}
    chinese |= {"mdtrt_id": "就诊ID", "fixmedins_code": "定点医药机构编号", "hilist_code": "医保目录编码"}
    second = [chinese.get(name, "说明") for name in COLUMNS["fee_list_d"]]
    head = [name.upper() for name in COLUMNS["fee_list_d"]]
    _csv(tmp_path / "in", "FEE_LIST_D.csv", "fee_list_d", FEE, codec=codec, head=head, second=second)
    summary = _import(tmp_path)
    assert [row["line_id"] for row in _table(tmp_path)] == ["B1"]
    assert summary.counted["heading rows"] == 1
    assert summary.tables["claim_lines"].rejected == 0


def test_any_order_of_columns_and_further_ones(tmp_path):
    names = [*reversed([name for name in COLUMNS["fee_list_d"] if name in FEE]), "own_column"]
    (tmp_path / "in").mkdir()
    with (tmp_path / "in" / "fee_list_d_01.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([names, [FEE.get(name, "x") for name in names]])
    _import(tmp_path)
    assert [row["amount"] for row in _table(tmp_path)] == [400]


def test_several_files_a_table_and_files_known_by_their_columns(tmp_path):
    folder = tmp_path / "in"
    _csv(folder, "fee_list_d_01.csv", "fee_list_d", FEE)
    _csv(folder, "导出1.csv", "fee_list_d", FEE | {"bkkp_sn": "B2", "setl_id": "S2"})
    _csv(folder, "导出2.csv", "setl_d", SETTLEMENT, SETTLEMENT | {"setl_id": "S2", "fund_pay_sumamt": "10"})
    _csv(folder, "导出3.csv", "mdtrt_d", INPATIENT)
    _csv(folder, "导出4.csv", "setl_list_diag_d", DIAGNOSIS)
    _csv(folder, "导出5.csv", "setl_list_oprn_d", OPERATION)
    (folder / "说明.txt").write_text("本目录为抽取结果\n", encoding="utf-8")
    summary = _import(tmp_path)
    assert {row["line_id"]: row["fund_amount"] for row in _table(tmp_path)} == {
        "B1": Decimal("320.00"),
        "B2": Decimal("10.00"),
    }
    assert [len(_table(tmp_path, name)) for name in ("stays", "diagnoses", "operations")] == [1, 1, 1]
    assert summary.ignored == {"file 说明.txt": 1}


def test_sheets_of_one_workbook_with_dates_and_numbers(tmp_path):
    (tmp_path / "in").mkdir()
    book = xlsxwriter.Workbook(tmp_path / "in" / "抽取.xlsx")
    day = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
    times = {"fee_ocur_time", "begntime", "brdy"}
    for name, table, row in (
        ("fee_list_d", "fee_list_d", FEE | {"cnt": 1, "det_item_fee_sumamt": 400.0}),
        ("Sheet2", "mdtrt_d", VISIT),
        ("SETL_D", "setl_d", SETTLEMENT | {"fund_pay_sumamt": 320.0}),
    ):
        sheet = book.add_worksheet(name)
        sheet.write_row(0, 0, COLUMNS[table])
        for column, (field, value) in enumerate(zip(COLUMNS[table], _rows(table, row)[0], strict=True)):
            if field in times and value:
                sheet.write_datetime(1, column, datetime.fromisoformat(value), day)
            else:
                sheet.write(1, column, value)
    book.close()
    _import(tmp_path)
    (line,) = _table(tmp_path)
    assert (line["service_time"], line["quantity"], line["fund_amount"]) == (
        datetime(2026, 3, 4, 2, tzinfo=UTC),
        1,
        Decimal("320.00"),
    )
    assert _table(tmp_path, "persons")[0]["birth_date"] == date(1960, 5, 1)
    assert line["item_code"] == "003110000060000"


def test_withdrawn_and_refunded_lines_are_counted_and_not_billed(tmp_path):
    fees = [
        FEE,
        FEE | {"bkkp_sn": "B2", "vali_flag": "0"},
        FEE | {"bkkp_sn": "B3", "setl_id": "S2"},
        FEE | {"bkkp_sn": "B4", "setl_id": "S3", "cnt": "-1", "det_item_fee_sumamt": "-400"},
        FEE | {"bkkp_sn": "B5", "cnt": "-1", "det_item_fee_sumamt": "-400", "init_feedetl_sn": "B2"},
    ]
    refund = {"setl_id": "S3", "init_setl_id": "S2", "medfee_sumamt": "-400", "fund_pay_sumamt": "-320"}
    settlements = [
        SETTLEMENT,
        SETTLEMENT | {"setl_id": "S2", "refd_setl_flag": "1"},
        SETTLEMENT | refund | {"refd_setl_flag": "1"},
    ]
    _extract(tmp_path / "in", fees=fees, settlements=settlements)
    summary = _import(tmp_path)
    assert [row["line_id"] for row in _table(tmp_path)] == ["B1"]
    assert summary.counted == {
        "fee_list_d lines withdrawn": 1,
        "fee_list_d lines refunded": 2,
        "fee_list_d lines reversal of a line not billed": 1,
        "setl_d not billed: refunded, or a refund": 2,
    }
    assert summary.refused_share == 0


@pytest.mark.parametrize("flag", ["0", "1", ""])
def test_a_refund_in_full_counts_whatever_the_first_settlements_mark(tmp_path, flag):
    refund = {"setl_id": "S2", "init_setl_id": "S1", "medfee_sumamt": "-400", "refd_setl_flag": flag}
    fees = [FEE, FEE | {"bkkp_sn": "B2", "setl_id": "S2", "cnt": "-1", "det_item_fee_sumamt": "-400"}]
    fees.append(FEE | {"bkkp_sn": "B3", "setl_id": "S9"})
    _extract(tmp_path / "in", fees=fees, settlements=[SETTLEMENT, SETTLEMENT | refund])
    _import(tmp_path)
    assert [row["line_id"] for row in _table(tmp_path)] == ["B3"]


def test_a_refund_in_part_takes_back_the_line_that_it_names(tmp_path):
    fees = [
        FEE,
        FEE | {"bkkp_sn": "B2"},
        FEE
        | {
            "bkkp_sn": "B3",
            "setl_id": "S2",
            "cnt": "-1",
            "det_item_fee_sumamt": "-400",
            "init_feedetl_sn": "B1",
        },
    ]
    settlements = [
        SETTLEMENT | {"medfee_sumamt": "800"},
        SETTLEMENT | {"setl_id": "S2", "init_setl_id": "S1", "medfee_sumamt": "-400"},
    ]
    _extract(tmp_path / "in", fees=fees, settlements=settlements)
    _import(tmp_path)
    assert {row["line_id"]: row["reverses_line_id"] for row in _table(tmp_path)} == {
        "B1": None,
        "B2": None,
        "B3": "B1",
    }


@pytest.mark.parametrize("number", ["", "0"])
def test_no_number_of_a_reversed_line_is_none(tmp_path, number):
    _extract(tmp_path / "in", fees=[FEE | {"init_feedetl_sn": number}])
    _import(tmp_path)
    assert _table(tmp_path)[0]["reverses_line_id"] is None


@pytest.mark.parametrize(
    ("amounts", "fund"),
    [
        (["33.33", "33.33", "33.34"], "66.67"),
        (["0.01"] * 7, "0.03"),
        (["100.00", "200.00", "-50.00"], "99.99"),
        (["12345678.91", "0.01", "7.77"], "8000000.01"),
        (["10.00", "20.00"], "0"),
        (["1.00", "2.00"], "3.00"),
    ],
)
def test_the_funds_shares_of_a_settlement_close_to_the_cent(tmp_path, amounts, fund):
    fees = [
        FEE
        | {"bkkp_sn": f"B{n}", "det_item_fee_sumamt": amount, "cnt": "-1" if amount[0] == "-" else "1"}
        | ({"init_feedetl_sn": "B0"} if amount[0] == "-" else {})
        for n, amount in enumerate(amounts)
    ]
    whole = str(sum(map(Decimal, amounts)))
    _extract(
        tmp_path / "in",
        fees=fees,
        settlements=[SETTLEMENT | {"medfee_sumamt": whole, "fund_pay_sumamt": fund}],
    )
    _import(tmp_path)
    shares = [row["fund_amount"] for row in _table(tmp_path)]
    assert sum(shares) == Decimal(fund)
    for share, amount in zip(shares, amounts, strict=True):
        assert abs(share - Decimal(fund) * Decimal(amount) / Decimal(whole)) <= Decimal("0.01")


def test_lines_that_are_a_part_of_their_settlement_have_a_part_of_its_fund(tmp_path):
    _extract(tmp_path / "in", settlements=[SETTLEMENT | {"medfee_sumamt": "1600"}])
    _import(tmp_path)
    assert _table(tmp_path)[0]["fund_amount"] == Decimal("80.00")


def _warned(tmp_path):
    path = tmp_path / "out" / "warnings" / "settlements.csv"
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines())) if path.exists() else []


@pytest.mark.parametrize(
    ("total", "amounts", "told"),
    [
        ("400", ["400"], None),
        ("400.02", ["100.01", "300.00"], None),
        ("400.03", ["100.00", "300.00"], "total 400.03, lines 400.00: S1"),
        ("1600", ["400"], "total 1600.00, lines 400.00: S1"),
        ("400", ["400", "0.50"], "total 400.00, lines 400.50: S1"),
        ("400", [], "total 400.00, lines 0.00: S1"),
        ("", ["400"], None),
    ],
)
def test_a_settlement_that_is_not_the_sum_of_its_lines_is_named(tmp_path, total, amounts, told):
    other = FEE | {"bkkp_sn": "C1", "setl_id": "S9"}
    fees = [FEE | {"bkkp_sn": f"B{n}", "det_item_fee_sumamt": one} for n, one in enumerate(amounts)]
    _extract(tmp_path / "in", fees=[other, *fees], settlements=[SETTLEMENT | {"medfee_sumamt": total}])
    _import(tmp_path)
    found = [(one["file"], one["line"], one["field"], one["value"]) for one in _warned(tmp_path)]
    assert found == ([("setl_d.csv", "2", "medfee_sumamt", told)] if told else [])


def test_a_refunded_settlement_needs_no_lines(tmp_path):
    settlements = [SETTLEMENT, SETTLEMENT | {"setl_id": "S2", "refd_setl_flag": "1"}]
    _extract(tmp_path / "in", fees=[FEE, FEE | {"bkkp_sn": "B2", "setl_id": "S2"}], settlements=settlements)
    _import(tmp_path)
    assert _warned(tmp_path) == []


def test_lines_without_visit_or_settlement_are_kept_with_a_remark(tmp_path):
    _extract(tmp_path / "in", fees=[FEE, FEE | {"bkkp_sn": "B2", "mdtrt_id": "M9", "setl_id": "S9"}])
    summary = _import(tmp_path)
    assert [row["fund_amount"] for row in _table(tmp_path)] == [Decimal("320.00"), None]
    assert summary.tables["claim_lines"].reasons == {"no_settlement": 1, "no_visit": 1}


def test_a_line_that_is_not_settled_yet_needs_no_remark(tmp_path):
    _extract(tmp_path / "in", fees=[FEE | {"setl_id": ""}])
    assert _import(tmp_path).tables["claim_lines"].reasons == {}


@pytest.mark.parametrize(
    ("line", "visit", "expected", "reasons"),
    [
        ("", "21", "inpatient", {}),
        ("14", "21", "outpatient", {}),
        ("", "41", "pharmacy", {}),
        ("9901", "14", "pharmacy", {}),
        ("2101", "14", "inpatient", {"unknown_med_type": 1}),
        ("77", "14", "outpatient", {"unknown_med_type": 1}),
    ],
)
def test_the_kind_of_visit(tmp_path, line, visit, expected, reasons):
    _extract(tmp_path / "in", fees=[FEE | {"med_type": line}], visits=[VISIT | {"med_type": visit}])
    summary = _import(tmp_path, '[platform.med_type]\n"9901" = "pharmacy"\n')
    assert _table(tmp_path)[0]["visit_type"] == expected
    assert summary.tables["claim_lines"].reasons == reasons


def test_only_inpatients_have_stays_and_an_unknown_kind_with_a_bed_is_one(tmp_path):
    visits = [
        VISIT,
        INPATIENT | {"mdtrt_id": "M2"},
        INPATIENT | {"mdtrt_id": "M3", "med_type": "77"},
        INPATIENT | {"mdtrt_id": "M4", "vali_flag": "0"},
    ]
    _extract(tmp_path / "in", visits=visits)
    _import(tmp_path)
    assert [row["visit_id"] for row in _table(tmp_path, "stays")] == ["M2", "M3"]


def test_a_later_extract_ends_the_stay_and_keeps_what_is_known_of_the_person(tmp_path):
    _extract(tmp_path / "in", visits=[INPATIENT | {"endtime": "", "die_date": "2026-03-08"}])
    _import(tmp_path)
    _extract(tmp_path / "in", visits=[INPATIENT | {"gend": "9", "brdy": ""}])
    _import(tmp_path)
    (stay,) = _table(tmp_path, "stays")
    assert stay["discharged_at"] == datetime(2026, 3, 9, 2, tzinfo=UTC)
    assert _table(tmp_path, "persons") == [
        {
            "person_id": "P1",
            "sex": "M",
            "birth_date": date(1960, 5, 1),
            "death_date": date(2026, 3, 8),
        }
    ]


@pytest.mark.parametrize(
    ("fields", "died"),
    [
        ({"die_date": "2026-03-08"}, date(2026, 3, 8)),
        ({"dscg_way": "5"}, date(2026, 3, 9)),
        ({"dscg_way": "5", "die_date": "2026-03-08"}, date(2026, 3, 8)),
        ({"dscg_way": "5", "endtime": "2026/3/9 10:00"}, date(2026, 3, 9)),
        ({"dscg_way": "5", "endtime": "20260309100000"}, date(2026, 3, 9)),
        ({"dscg_way": "1"}, None),
        ({"die_date": "1900-01-01"}, None),
        ({"die_date": "9999-12-31 00:00:00"}, None),
        ({"die_date": "0000-00-00"}, None),
    ],
)
def test_the_day_of_death(tmp_path, fields, died):
    _extract(tmp_path / "in", visits=[INPATIENT | fields])
    _import(tmp_path)
    assert _table(tmp_path, "persons")[0]["death_date"] == died


@pytest.mark.parametrize(("gend", "sex"), [("1", "M"), ("2", "F"), ("9", "U"), ("", "U"), ("0", "U")])
def test_the_sex(tmp_path, gend, sex):
    _extract(tmp_path / "in", visits=[VISIT | {"gend": gend}], settlements=[SETTLEMENT | {"gend": ""}])
    _import(tmp_path)
    assert _table(tmp_path, "persons")[0]["sex"] == sex


def test_of_several_versions_of_a_row_the_newest_holds(tmp_path):
    fees = [
        FEE | {"updt_time": "2026-03-06 00:00:00", "det_item_fee_sumamt": "380", "pt": "20260306"},
        FEE | {"updt_time": "2026-03-05 00:00:00", "pt": "20260305"},
        FEE | {"updt_time": "2026-03-05 00:00:00", "pt": "20260306"},
        FEE | {"bkkp_sn": "B2", "updt_time": "2026-03-05 00:00:00"},
        FEE | {"bkkp_sn": "B2", "updt_time": "2026-03-06 00:00:00", "vali_flag": "0"},
    ]
    _extract(tmp_path / "in", fees=fees)
    summary = _import(tmp_path)
    assert {row["line_id"]: row["amount"] for row in _table(tmp_path)} == {"B1": 380}
    assert summary.counted["fee_list_d older versions of a row"] == 3
    assert summary.counted["fee_list_d lines withdrawn"] == 1
    assert summary.tables["claim_lines"].rejected == 0


def test_the_newest_is_that_of_time_and_not_of_spelling(tmp_path):
    fees = [
        FEE | {"updt_time": "2026/3/10 8:00", "det_item_fee_sumamt": "380"},
        FEE | {"updt_time": "2026/3/5 8:00"},
    ]
    _extract(tmp_path / "in", fees=fees)
    _import(tmp_path)
    assert [row["amount"] for row in _table(tmp_path)] == [380]


@pytest.mark.parametrize(
    ("code", "read", "reasons"),
    [
        ("3110000060000", "003110000060000", {"zeros_restored": 1}),
        ("003110000060000", "003110000060000", {}),
        ("XB05AAR041B002010178844", "XB05AAR041B002010178844", {}),
        ("311000006000", "311000006000", {}),
    ],
)
def test_leading_zeros_of_a_national_code_are_put_back(tmp_path, code, read, reasons):
    _extract(tmp_path / "in", fees=[FEE | {"hilist_code": code}])
    summary = _import(tmp_path)
    assert _table(tmp_path)[0]["item_code"] == read
    assert summary.tables["claim_lines"].reasons == reasons


def test_two_contents_of_one_row_that_nothing_orders_leave_evidence(tmp_path):
    _extract(tmp_path / "in", fees=[FEE, FEE | {"det_item_fee_sumamt": "900"}])
    summary = _import(tmp_path)
    assert [(one.institution_id, one.amount) for one in summary.rejected] == [("H37112100001", 900)]


def test_a_line_without_a_national_code_is_kept_under_the_hospitals_own(tmp_path):
    _extract(
        tmp_path / "in", fees=[FEE | {"hilist_code": "", "medins_list_codg": "own-7", "hilist_name": ""}]
    )
    _import(tmp_path)
    assert [(row["item_code"], row["item_name"]) for row in _table(tmp_path)] == [("OWN-7", "血透")]


def test_a_bad_line_is_evidence_under_the_platforms_own_names(tmp_path):
    _extract(tmp_path / "in", fees=[FEE, FEE | {"bkkp_sn": "B2", "fee_ocur_time": "2026-02-30 08:00:00"}])
    _import(tmp_path)
    (reject,) = pq.read_table(tmp_path / "out" / "rejects.parquet").to_pylist()
    assert (reject["file"], reject["line"], reject["field"], reject["reason"], reject["amount"]) == (
        "fee_list_d.csv",
        3,
        "fee_ocur_time",
        "bad_time",
        400,
    )


def test_a_diagnosis_of_nobodys_visit_says_what_it_lacks(tmp_path):
    folder = _extract(tmp_path / "in")
    _csv(folder, "setl_list_diag_d.csv", "setl_list_diag_d", DIAGNOSIS | {"setl_id": "S9", "mdtrt_id": "M9"})
    summary = _import(tmp_path)
    assert summary.tables["diagnoses"].reasons == {"missing": 1}
    assert _table(tmp_path, "diagnoses") == []


def test_the_same_extract_again_changes_nothing(tmp_path):
    folder = _extract(tmp_path / "in", visits=[INPATIENT], fees=[FEE, FEE | {"bkkp_sn": "B2", "cnt": "x"}])
    _csv(folder, "setl_list_diag_d.csv", "setl_list_diag_d", DIAGNOSIS)
    names = ("claim_lines", "persons", "stays", "institutions", "diagnoses", "rejects")
    _import(tmp_path)
    before = {name: _table(tmp_path, name) for name in names}
    summary = _import(tmp_path)
    assert {name: _table(tmp_path, name) for name in names} == before
    assert sum(table.added + table.replaced for table in summary.tables.values()) == 0


def test_one_file_will_do(tmp_path):
    _extract(tmp_path / "in")
    _import(tmp_path, path=tmp_path / "in" / "fee_list_d.csv")
    assert [row["fund_amount"] for row in _table(tmp_path)] == [None]
    assert _table(tmp_path, "institutions")[0]["region_code"] == "371121"


def test_missing_columns_of_all_files_are_named_at_once(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "fee_list_d.csv").write_text("bkkp_sn,mdtrt_id,psn_no\n1,2,3\n", encoding="utf-8")
    (tmp_path / "in" / "setl_d.csv").write_text("setl_id,psn_no,fixmedins_code\n1,2,3\n", encoding="utf-8")
    with pytest.raises(ColumnsError, match=r"fee_list_d.csv has no column fixmedins_code.*fund_pay_sumamt"):
        _import(tmp_path)


def test_files_of_which_none_is_the_platforms_say_what_is_looked_for(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text("x,y\n1,2\n", encoding="utf-8")
    with pytest.raises(ColumnsError, match="fee_list_d: bkkp_sn"):
        _import(tmp_path)


def test_an_extract_of_headings_only_has_no_rows(tmp_path):
    _extract(tmp_path / "in", fees=(), visits=(), settlements=())
    with pytest.raises(NothingReadError):
        _import(tmp_path)


@pytest.mark.parametrize("other", [{"fixmedins_code": "H37112100002"}, {"psn_no": "P9"}])
def test_a_refund_of_another_institution_or_person_takes_nothing_back(tmp_path, other):
    refund = {"setl_id": "S2", "init_setl_id": "S1", "medfee_sumamt": "-400", "refd_setl_flag": "1"}
    same = SETTLEMENT | other | {"refd_setl_flag": "1", "fixmedins_code": "H37112100002"}
    _extract(tmp_path / "in", settlements=[SETTLEMENT, SETTLEMENT | refund | other, same])
    _import(tmp_path)
    assert [(row["line_id"], row["fund_amount"]) for row in _table(tmp_path)] == [("B1", 320)]


@pytest.mark.parametrize("null", ["\\N", "NULL", "(null)"])
def test_a_lakes_null_is_blank(tmp_path, null):
    fee = FEE | {"init_feedetl_sn": null, "hilist_name": null}
    _extract(
        tmp_path / "in", fees=[fee], visits=[INPATIENT | {"endtime": null, "die_date": null, "adm_bed": null}]
    )
    _import(tmp_path)
    assert [(row["item_name"], row["reverses_line_id"]) for row in _table(tmp_path)] == [("血透", None)]
    assert [(row["discharged_at"], row["bed"]) for row in _table(tmp_path, "stays")] == [(None, None)]


def test_the_fund_takes_back_its_share_of_a_reversal_written_positive(tmp_path):
    back = FEE | {"bkkp_sn": "B2", "cnt": "-1", "init_feedetl_sn": "B1"}
    _extract(
        tmp_path / "in",
        fees=[FEE, back, FEE | {"bkkp_sn": "B3"}],
    )
    _import(tmp_path)
    assert [row["fund_amount"] for row in _table(tmp_path)] == [320, -320, 320]


@pytest.mark.parametrize(
    ("fees", "settlements"),
    [
        ([FEE | {"vali_flag": "0"}], [SETTLEMENT]),
        ([], [SETTLEMENT | {"refd_setl_flag": "1"}]),
        ([], [SETTLEMENT, SETTLEMENT | {"setl_id": "S2", "init_setl_id": "S1", "medfee_sumamt": "-400"}]),
    ],
)
def test_what_a_later_extract_withdraws_or_refunds_is_billed_no_more(tmp_path, fees, settlements):
    """The first extract again brings nothing back; the row is kept in the history."""
    other = FEE | {"bkkp_sn": "B9", "setl_id": "S9"}
    for folder, rows in (("in", ([FEE, other], [SETTLEMENT])), ("later", (fees, settlements))):
        _extract(tmp_path / folder, fees=rows[0], settlements=rows[1])
    for folder in ("in", "later", "in"):
        _import(tmp_path, path=tmp_path / folder)
    assert [row["line_id"] for row in _table(tmp_path)] == ["B9"]
    history = pq.read_table(tmp_path / "out" / "history" / "claim_lines.parquet").to_pylist()
    assert [row["line_id"] for row in history] == ["B1"]
