"""NHSA registrations, admissions and settlements, as CSV and JSON, in one import or several."""

import csv
import json
from datetime import UTC, datetime

import pyarrow.parquet as pq
import pytest

from renzheng.central.claims.importer import Format, import_claims
from renzheng.central.claims.source import ColumnsError, Options
from renzheng.contracts.errors import UsageError

ADMIT = {
    "mdtrt_id": "V1",
    "psn_no": "P1",
    "begntime": "2026-03-02 09:00:00",
    "adm_dept_codg": "A01",
    "adm_bed": "12",
}
DISCHARGE = {
    "mdtrt_id": "V1",
    "psn_no": "P1",
    "endtime": "2026-03-06 14:30:00",
    "dscg_bed": "15",
    "dscg_way": "1",
}
LINE = {
    "feedetl_sn": "1",
    "mdtrt_id": "V1",
    "psn_no": "P1",
    "fee_ocur_time": "2026-03-03 08:00:00",
    "med_list_codg": "BED",
    "det_item_fee_sumamt": 40.1,
    "cnt": 1,
    "med_type": "21",
}
SETTLED = {"setl_id": "J1", "mdtrt_id": "V1", "psn_no": "P1"}


def at(day, hour, minute=0):
    return datetime(2026, 3, day, hour - 8, minute, tzinfo=UTC)


def message(infno, node, content, institution="H1", **envelope):
    return {"infno": infno, "fixmedins_code": institution, "input": {node: content}} | envelope


def _json(path, *messages, form="lines", codec="utf-8"):
    texts = [json.dumps(one, ensure_ascii=False) for one in messages]
    content = {
        "lines": "\n".join(texts) + "\n",
        "array": json.dumps(messages, ensure_ascii=False, indent=1),
        "one": texts[0],
        "many": "\n".join(json.dumps(one, ensure_ascii=False, indent=2) for one in messages),
    }[form]
    path.write_bytes(content.encode(codec))
    return path


def _csv(path, *rows):
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, names)
        writer.writeheader()
        writer.writerows(rows)
    return path


def _import(path, out, **options):
    return import_claims(path, out, file_format=Format.NHSA, options=Options(**options))


def _table(out, name):
    path = out / f"{name}.parquet"
    return pq.read_table(path).to_pylist() if path.exists() else []


def _rejected(out, name):
    path = out / "rejected" / f"{name}.csv"
    with path.open(encoding="utf-8", newline="") as stream:
        return [(int(row["line"]), row["field"], row["reason"]) for row in csv.DictReader(stream)]


def _stay(out):
    (row,) = _table(out, "stays")
    return row["admitted_at"], row["discharged_at"], row["bed"]


@pytest.mark.parametrize("form", ["lines", "array", "many"])
@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "gb18030"])
def test_json_messages_become_a_stay(tmp_path, form, codec):
    messages = [
        message("2402", "dscginfo", DISCHARGE),
        message("2401", "mdtrtinfo", ADMIT | {"adm_dept_name": "肾内科"}),
    ]
    _import(_json(tmp_path / "a.json", *messages, form=form, codec=codec), tmp_path / "out")
    assert _stay(tmp_path / "out") == (at(2, 9), at(6, 14, 30), "15")
    assert _table(tmp_path / "out", "stays")[0]["department"] == "肾内科"


def test_field_names_may_be_in_capitals(tmp_path):
    node = {name.upper(): value for name, value in ADMIT.items()}
    _import(
        _json(tmp_path / "a.json", {"INFNO": "2401", "FIXMEDINS_CODE": "H1", "INPUT": {"MDTRTINFO": node}}),
        tmp_path / "out",
    )
    assert _stay(tmp_path / "out") == (at(2, 9), None, "12")


def test_csv_files_are_known_by_their_own_fields(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    _csv(folder / "b.csv", ADMIT)
    _csv(folder / "a.csv", DISCHARGE)
    _csv(folder / "c.csv", SETTLED)
    _csv(folder / "d.csv", {**LINE, "drord_no": "7"})
    _import(folder, tmp_path / "out", institution="H1")
    assert _stay(tmp_path / "out") == (at(2, 9), at(6, 14, 30), "15")
    (line,) = _table(tmp_path / "out", "claim_lines")
    assert (line["settlement_id"], line["visit_type"], line["line_id"]) == ("J1", "inpatient", "H1:V1:1")


def test_a_column_infno_names_each_rows_transaction(tmp_path):
    rows = [{"infno": "2401", **ADMIT}, {"infno": "2402", **DISCHARGE}, {"infno": "9999", **DISCHARGE}]
    _import(_csv(tmp_path / "a.csv", *rows), tmp_path / "out", institution="H1")
    assert _stay(tmp_path / "out") == (at(2, 9), at(6, 14, 30), "15")
    assert _rejected(tmp_path / "out", "claim_lines") == [(4, "infno", "unknown_message")]


def test_an_amendment_changes_what_it_says(tmp_path):
    amended = {"mdtrt_id": "V1", "psn_no": "P1", "begntime": "2026-03-02 10:00:00", "adm_bed": "14"}
    messages = [message("2403", "adminfo", amended), message("2401", "mdtrtinfo", ADMIT)]
    _import(_json(tmp_path / "a.json", *messages), tmp_path / "out")
    assert _stay(tmp_path / "out") == (at(2, 10), None, "14")
    assert _table(tmp_path / "out", "stays")[0]["department"] == "A01"


def test_a_message_may_hold_many_lines_and_numbers(tmp_path):
    lines = [LINE | {"feedetl_sn": n} for n in (1, 2, 3)]
    _import(_json(tmp_path / "a.json", message("2301", "feedetl", lines)), tmp_path / "out")
    rows = _table(tmp_path / "out", "claim_lines")
    assert [row["line_id"] for row in rows] == ["H1:V1:1", "H1:V1:2", "H1:V1:3"]
    assert str(rows[0]["amount"]) == "40.10"


def test_lines_without_an_envelope_and_med_types_of_a_region(tmp_path):
    (tmp_path / "m.toml").write_text('[nhsa.med_type]\n"9901" = "pharmacy"\n', encoding="utf-8")
    path = _json(tmp_path / "a.json", LINE | {"fixmedins_code": "H2", "med_type": "9901"})
    _import(path, tmp_path / "out", mapping=tmp_path / "m.toml")
    assert _table(tmp_path / "out", "claim_lines")[0]["visit_type"] == "pharmacy"


@pytest.mark.parametrize("order", [("lines", "settlement"), ("settlement", "lines")])
def test_a_settlement_finds_the_lines_of_its_visit_and_days_whenever_they_come(tmp_path, order):
    files = {
        "lines": _json(
            tmp_path / "lines.json",
            message(
                "2301", "feedetl", [LINE, LINE | {"feedetl_sn": "2", "fee_ocur_time": "2026-03-05 08:00:00"}]
            ),
        ),
        "settlement": _json(
            tmp_path / "settlement.json",
            message(
                "2304", "data", SETTLED | {"setl_begn_date": "2026-03-01", "setl_end_date": "2026-03-04"}
            ),
            message(
                "4101", "setlinfo", SETTLED | {"setl_id": "J2", "setl_begn_date": "2026-03-05", "hi_no": "1"}
            ),
        ),
    }
    for name in order:
        _import(files[name], tmp_path / "out")
    found = {row["line_id"]: row["settlement_id"] for row in _table(tmp_path / "out", "claim_lines")}
    assert found == {"H1:V1:1": "J1", "H1:V1:2": "J2"}
    again = _import(files["lines"], tmp_path / "out").tables["claim_lines"]
    assert (again.added, again.unchanged, again.rejected) == (0, 2, 0)


def test_a_settlement_sheet_tells_of_a_stay_that_nothing_else_tells_of(tmp_path):
    sheet = SETTLED | {"adm_time": "2026-03-02 09:00:00", "dscg_time": "2026-03-06 10:00:00", "hi_no": "1"}
    _import(_json(tmp_path / "a.json", message("4101", "setlinfo", sheet, output={})), tmp_path / "out")
    assert _stay(tmp_path / "out") == (at(2, 9), at(6, 10), None)
    _import(_json(tmp_path / "b.json", message("2402", "dscginfo", DISCHARGE)), tmp_path / "out")
    assert _stay(tmp_path / "out") == (at(2, 9), at(6, 14, 30), "15")


def test_a_registration_fills_department_and_doctor(tmp_path):
    registered = {"psn_no": "P1", "begntime": "2026-03-03 07:00:00", "dept_code": "B04", "atddr_no": "D9"}
    messages = [
        message("2204", "feedetl", [LINE | {"med_type": "14"}]),
        message("2201", "data", registered, output={"data": {"mdtrt_id": "V1"}}),
    ]
    _import(_json(tmp_path / "a.json", *messages), tmp_path / "out")
    (line,) = _table(tmp_path / "out", "claim_lines")
    assert (line["department"], line["doctor_id"]) == ("B04", "D9")


@pytest.mark.parametrize(
    ("bad", "table", "field", "reason"),
    [
        (message("2401", "mdtrtinfo", ADMIT | {"begntime": "soon"}), "stays", "begntime", "bad_time"),
        (message("2401", "mdtrtinfo", ADMIT | {"begntime": ""}), "stays", "begntime", "missing"),
        (message("2402", "dscginfo", DISCHARGE | {"mdtrt_id": None}), "stays", "mdtrt_id", "missing"),
        (message("2401", "mdtrtinfo", ADMIT, institution=""), "stays", "fixmedins_code", "missing"),
        (message("2304", "data", {"mdtrt_id": "V1"}), "settlements", "setl_id", "missing"),
        (message("9999", "data", {"psn_no": "P1"}), "claim_lines", "infno", "unknown_message"),
        (message("2301", "feedetl", [LINE | {"cnt": "many"}]), "claim_lines", "cnt", "bad_decimal"),
        (message("2301", "feedetl", [LINE | {"psn_no": 1.5}]), "claim_lines", "psn_no", "not_parsable"),
        ([1, 2], "claim_lines", "", "not_parsable"),
    ],
)  # fmt: skip
def test_a_bad_message_is_listed_and_its_neighbours_go_in(tmp_path, bad, table, field, reason):
    good = message("2401", "mdtrtinfo", ADMIT | {"mdtrt_id": "V7"})
    _import(_json(tmp_path / "a.json", good, bad, good | {"fixmedins_code": "H8"}), tmp_path / "out")
    assert _rejected(tmp_path / "out", table) == [(2, field, reason)]
    assert len(_table(tmp_path / "out", "stays")) == 2


def test_broken_json_costs_its_line(tmp_path):
    path = tmp_path / "a.json"
    good = json.dumps(message("2401", "mdtrtinfo", ADMIT))
    path.write_text(f'{good}\n{{"infno": \n{{"cnt": NaN}}\n{good.replace("V1", "V2")}\n', encoding="utf-8")
    _import(path, tmp_path / "out")
    assert _rejected(tmp_path / "out", "claim_lines") == [(2, "", "not_parsable"), (3, "", "not_parsable")]
    assert len(_table(tmp_path / "out", "stays")) == 2


def test_a_discharge_before_the_admission_is_refused(tmp_path):
    early = DISCHARGE | {"endtime": "2026-03-01 10:00:00"}
    other = message("2401", "mdtrtinfo", ADMIT | {"mdtrt_id": "V7"})
    messages = [message("2401", "mdtrtinfo", ADMIT), message("2402", "dscginfo", early), other]
    _import(_json(tmp_path / "a.json", *messages), tmp_path / "out")
    assert _rejected(tmp_path / "out", "stays") == [(1, "discharged_at", "end_before_start")]


def test_missing_columns_are_those_of_the_transaction(tmp_path):
    path = _csv(tmp_path / "a.csv", {"adm_bed": "1", "mdtrt_id": "V1"})
    with pytest.raises(ColumnsError) as caught:
        _import(path, tmp_path / "out")
    assert caught.value.attributes["missing"] == {"a.csv": ["psn_no", "begntime", "fixmedins_code"]}


def test_an_unknown_transaction_is_a_wrong_call(tmp_path):
    with pytest.raises(UsageError, match="2206"):
        _import(_csv(tmp_path / "a.csv", ADMIT), tmp_path / "out", transaction="2206")
