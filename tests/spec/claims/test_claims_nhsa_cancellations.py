"""NHSA cancellations: 2205 and 2302 of lines, 2404 of an admission, 2405 of a discharge."""

import csv
import json

import pyarrow.parquet as pq
import pytest
from parts.rotated import rotated

from renzheng.central.claims.importer import import_claims
from renzheng.central.claims.source import ColumnsError, Options

ENVELOPE = {"fixmedins_code": "H1"}


def uploaded(number, batch="B1", visit="V1", **more):
    line = {
        "feedetl_sn": number,
        "mdtrt_id": visit,
        "psn_no": "P1",
        "fee_ocur_time": "2026-03-03 08:00:00",
        "med_list_codg": "HD",
        "det_item_fee_sumamt": 400,
        "cnt": 1,
        "chrg_bchno": batch,
        **more,
    }
    return {"infno": "2204", **ENVELOPE, "input": {"feedetl": [line]}}


def cancelled(infno, *, infcode=None, inf_time="2026-03-05 10:00:00", visit="V1", **what):
    answer = {} if infcode is None else {"infcode": infcode}
    data = {"mdtrt_id": visit, "psn_no": "P1", **what}
    return {"infno": infno, **ENVELOPE, **answer, "inf_time": inf_time, "input": {"data": data}}


def take(folder, *messages, name="log.json"):
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text("\n".join(json.dumps(one) for one in messages) + "\n", encoding="utf-8")
    return import_claims(path, folder / "out", file_format="nhsa")


def lines(folder):
    return sorted(row["line_id"] for row in pq.read_table(folder / "out" / "claim_lines.parquet").to_pylist())


def rejected(folder, table="claim_lines"):
    path = folder / "out" / "rejected" / f"{table}.csv"
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [(row["reason"], row["value"]) for row in csv.DictReader(file)]


def test_a_line_is_taken_back_by_its_number(tmp_path):
    take(tmp_path, uploaded("1"), uploaded("2"))
    take(tmp_path, cancelled("2302", feedetl_sn="1"), name="later.json")
    assert lines(tmp_path) == ["H1:V1:2"]
    assert rejected(tmp_path) == []


def test_a_batch_is_taken_back_in_a_later_import(tmp_path):
    take(tmp_path, uploaded("1", "B1"), uploaded("2", "B2"), uploaded("3", "B1"))
    take(tmp_path, cancelled("2205", chrg_bchno="B1"), name="later.json")
    assert lines(tmp_path) == ["H1:V1:2"]


@pytest.mark.parametrize(("infno", "field"), [("2205", "chrg_bchno"), ("2302", "feedetl_sn")])
def test_four_noughts_take_back_all_of_the_visit_that_is_not_settled(tmp_path, infno, field):
    settled = uploaded("3", setl_id="J1")
    take(tmp_path, uploaded("1"), uploaded("2"), settled, uploaded("4", visit="V2"))
    take(tmp_path, cancelled(infno, **{field: "0000"}), name="later.json")
    assert lines(tmp_path) == ["H1:V1:3", "H1:V2:4"]


def test_it_takes_back_what_came_before_it_only(tmp_path):
    again = uploaded("1", det_item_fee_sumamt=380)
    take(tmp_path, uploaded("1"), cancelled("2302", feedetl_sn="1"), again)
    assert lines(tmp_path) == ["H1:V1:1"]
    (row,) = pq.read_table(tmp_path / "out" / "claim_lines.parquet").to_pylist()
    assert row["amount"] == 380
    assert rejected(tmp_path) == []


def test_importing_the_same_files_again_changes_nothing(tmp_path):
    first = (uploaded("1"), uploaded("2"))
    take(tmp_path, *first)
    take(tmp_path, cancelled("2302", feedetl_sn="1"), name="later.json")
    take(tmp_path, *first)
    assert lines(tmp_path) == ["H1:V1:2"]
    assert rejected(tmp_path) == [("cancelled", "H1:V1:1")]
    take(tmp_path, cancelled("2302", feedetl_sn="1"), name="later.json")
    assert lines(tmp_path) == ["H1:V1:2"]


def test_what_cancels_nothing_is_a_reject_that_says_so(tmp_path):
    take(
        tmp_path,
        uploaded("1"),
        cancelled("2302", feedetl_sn="9"),
        cancelled("2205", chrg_bchno="B9"),
        cancelled("2205", chrg_bchno="0000", visit="V9"),
    )
    assert lines(tmp_path) == ["H1:V1:1"]
    assert sorted(rejected(tmp_path)) == [
        ("cancels_nothing", "B9"),
        ("cancels_nothing", "H1:V1:9"),
        ("cancels_nothing", "V9"),
    ]


def test_what_the_bureau_refused_cancels_nothing(tmp_path):
    refused = cancelled("2302", feedetl_sn="1", infcode="-1")
    take(tmp_path, uploaded("1"), refused, cancelled("2302", mdtrt_id="", feedetl_sn="1"))
    assert lines(tmp_path) == ["H1:V1:1"]
    assert sorted(rejected(tmp_path, "cancellations")) == [("missing", ""), ("refused_by_bureau", "-1")]


ADMITTED = {"begntime": "2026-03-02 09:00:00", "adm_bed": "12"}
LEFT = {"endtime": "2026-03-04 14:00:00"}


def stays(folder):
    rows = pq.read_table(folder / "out" / "stays.parquet").to_pylist()
    return [(row["visit_id"], row["discharged_at"] is not None) for row in rows]


def test_an_admission_is_taken_back(tmp_path):
    kept = cancelled("2401", visit="V2", inf_time="2026-03-02 09:05:00", **ADMITTED)
    take(tmp_path, cancelled("2401", inf_time="2026-03-02 09:05:00", **ADMITTED), kept)
    take(tmp_path, cancelled("2404", inf_time="2026-03-02 11:00:00"), name="later.json")
    assert stays(tmp_path) == [("V2", False)]


def test_a_discharge_is_taken_back_and_made_again(tmp_path):
    admitted = cancelled("2401", inf_time="2026-03-02 09:05:00", **ADMITTED)
    left = cancelled("2402", inf_time="2026-03-04 14:05:00", **LEFT)
    back = cancelled("2405", inf_time="2026-03-04 15:00:00")
    take(tmp_path, back, left, admitted)
    assert stays(tmp_path) == [("V1", False)]
    later = cancelled("2402", inf_time="2026-03-06 10:00:00", endtime="2026-03-06 09:30:00")
    take(tmp_path, later, name="later.json")
    (row,) = pq.read_table(tmp_path / "out" / "stays.parquet").to_pylist()
    assert row["discharged_at"].day == 6


def test_a_cancellation_of_a_stay_needs_the_time_of_its_message(tmp_path):
    admitted = cancelled("2401", inf_time="2026-03-02 09:05:00", **ADMITTED)
    take(tmp_path, admitted, cancelled("2405", inf_time=""), cancelled("2404", infcode="-1"))
    assert stays(tmp_path) == [("V1", False)]
    assert sorted(rejected(tmp_path, "stays")) == [("missing", ""), ("refused_by_bureau", "-1")]


def test_a_csv_of_cancellations_names_every_column_it_lacks(tmp_path):
    path = tmp_path / "cancel.csv"
    path.write_text("fixmedins_code,mdtrt_id\nH1,V1\n", encoding="utf-8")
    with pytest.raises(ColumnsError, match="psn_no, feedetl_sn"):
        import_claims(path, tmp_path / "out", file_format="nhsa", options=Options(transaction="2302"))


UP = "2026-03-04 08:00:00"
BACK = "2026-03-05 10:00:00"
AGAIN = "2026-03-06 10:00:00"


def timed(message, sent):
    return {**message, "inf_time": sent}


def upload(*, sent=None, batch="B1", number="1"):
    made = uploaded(number, batch)
    return made if sent is None else timed(made, sent)


def taken_back(*, sent=None, **what):
    message = cancelled("2302" if "feedetl_sn" in what else "2205", **what)
    return {name: value for name, value in message.items() if name != "inf_time"} | (
        {} if sent is None else {"inf_time": sent}
    )


WHAT = [{"feedetl_sn": "1"}, {"feedetl_sn": "0000"}, {"chrg_bchno": "B1"}, {"chrg_bchno": "0000"}]


@pytest.mark.parametrize(
    ("what", "times"), rotated(WHAT, [(UP, BACK, AGAIN), (None, None, None), (UP, UP, UP)])
)
def test_the_same_upload_again_after_its_withdrawal_leaves_the_line(tmp_path, what, times):
    log = [upload(sent=times[0]), taken_back(sent=times[1], **what), upload(sent=times[2])]
    for _ in range(2):
        take(tmp_path, *log)
        assert lines(tmp_path) == ["H1:V1:1"]
        assert rejected(tmp_path) == []


@pytest.mark.parametrize(("what", "times"), rotated(WHAT, [(UP, BACK, AGAIN), (None, None, None)]))
def test_the_same_over_three_imports_and_each_of_them_again(tmp_path, what, times):
    files = {
        "1.json": upload(sent=times[0]),
        "2.json": taken_back(sent=times[1], **what),
        "3.json": upload(sent=times[2], number=1 if times[2] is None else "1"),
    }
    for name, one in files.items():
        take(tmp_path, one, name=name)
    assert lines(tmp_path) == ["H1:V1:1"]
    for name, one in files.items():
        take(tmp_path, one, name=name)
        assert lines(tmp_path) == ["H1:V1:1"]


@pytest.mark.parametrize("what", WHAT)
def test_files_of_a_folder_are_read_in_the_order_in_which_they_were_sent(tmp_path, what):
    folder = tmp_path / "in"
    folder.mkdir()
    contents = {
        "c.json": upload(sent=UP),
        "b.json": taken_back(sent=BACK, **what),
        "a.json": upload(sent=AGAIN),
        "d.json": upload(sent=UP, number="2", batch="B2"),
    }
    for name, one in contents.items():
        (folder / name).write_text(json.dumps(one), encoding="utf-8")
    import_claims(folder, tmp_path / "out", file_format="nhsa")
    left = ["H1:V1:1"] if "0000" in what.values() else ["H1:V1:1", "H1:V1:2"]
    assert lines(tmp_path) == left
    assert rejected(tmp_path) == []


def test_a_withdrawal_without_a_time_comes_after_uploads_without_one(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.json").write_text(json.dumps(taken_back(feedetl_sn="1")), encoding="utf-8")
    (folder / "b.json").write_text(json.dumps(upload()), encoding="utf-8")
    (folder / "c.json").write_text(json.dumps(upload(number="2")), encoding="utf-8")
    import_claims(folder, tmp_path / "out", file_format="nhsa")
    assert lines(tmp_path) == ["H1:V1:2"]


def test_a_withdrawal_imported_late_spares_what_was_uploaded_after_it(tmp_path):
    take(tmp_path, upload(sent=AGAIN), name="1.json")
    take(tmp_path, upload(sent=UP, number="2"), taken_back(sent=BACK, chrg_bchno="B1"), name="2.json")
    assert lines(tmp_path) == ["H1:V1:1"]


def test_an_upload_imported_after_its_withdrawal_stays_away(tmp_path):
    take(tmp_path, upload(sent=UP, number="2"), taken_back(sent=BACK, chrg_bchno="B1"), name="2.json")
    take(tmp_path, upload(sent=UP), upload(sent=AGAIN, number="3"), name="1.json")
    assert lines(tmp_path) == ["H1:V1:3"]


def test_a_line_withdrawn_twice_is_gone(tmp_path):
    withdrawn = taken_back(sent=BACK, feedetl_sn="1")
    take(tmp_path, upload(sent=UP), withdrawn, upload(sent=AGAIN), timed(withdrawn, "2026-03-07 10:00:00"))
    assert lines(tmp_path) == []
    take(tmp_path, upload(sent=UP), withdrawn, upload(sent=AGAIN), timed(withdrawn, "2026-03-07 10:00:00"))
    assert lines(tmp_path) == []


@pytest.mark.parametrize("infno", ["2205", "2302"])
def test_a_list_of_cancellations_takes_back_each(tmp_path, infno):
    field = "chrg_bchno" if infno == "2205" else "feedetl_sn"
    one = cancelled(infno)
    one["input"]["data"] = [{"mdtrt_id": "V1", "psn_no": "P1", field: name} for name in ("1", "3")]
    take(tmp_path, *(uploaded(name, batch=name) for name in ("1", "2", "3")), one)
    assert lines(tmp_path) == ["H1:V1:2"]


def test_a_line_that_was_settled_then_is_spared_and_one_that_was_settled_later_is_not(tmp_path):
    settle = {
        "infno": "2207",
        **ENVELOPE,
        "inf_time": "2026-03-04 09:00:00",
        "input": {"data": {"mdtrt_id": "V1", "psn_no": "P1", "chrg_bchno": "B1"}},
        "output": {"setlinfo": {"setl_id": "J1", "mdtrt_id": "V1", "psn_no": "P1"}},
    }
    later = upload(sent=AGAIN, number="2", batch="B2")
    take(
        tmp_path,
        upload(sent=UP),
        settle,
        upload(sent=UP, number="2", batch="B2"),
        taken_back(sent=BACK, chrg_bchno="0000"),
    )
    assert lines(tmp_path) == ["H1:V1:1"]
    take(tmp_path, later, name="later.json")
    assert lines(tmp_path) == ["H1:V1:1", "H1:V1:2"]


def test_messages_of_a_list_on_one_line_keep_their_order(tmp_path):
    log = [
        upload(batch="B1"),
        taken_back(chrg_bchno="B1"),
        upload(batch="B2"),
        upload(batch="B1", number="2"),
    ]
    tmp_path.joinpath("log.json").write_text(json.dumps(log), encoding="utf-8")
    import_claims(tmp_path / "log.json", tmp_path / "out", file_format="nhsa")
    assert lines(tmp_path) == ["H1:V1:1", "H1:V1:2"]
    take(tmp_path, taken_back(chrg_bchno="B1"), name="later.json")
    assert lines(tmp_path) == ["H1:V1:1"]
