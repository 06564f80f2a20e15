"""Settlements: which lines they are about, what the fund paid of each, and what is taken back."""

import csv
import json
from decimal import Decimal

import pyarrow.parquet as pq
import pytest

from renzheng.central.claims.importer import NothingReadError, import_claims


def line(number, amount="100.00", batch="B1", *, infno="2204", day=3, **more):
    record = {
        "feedetl_sn": number,
        "mdtrt_id": "V1",
        "psn_no": "P1",
        "chrg_bchno": batch,
        "fee_ocur_time": f"2026-03-{day:02} 08:00:00",
        "med_list_codg": "HD",
        "det_item_fee_sumamt": amount,
        "cnt": -1 if str(amount).startswith("-") else 1,
        **more,
    }
    return {
        "infno": infno,
        "fixmedins_code": "H1",
        "inf_time": "2026-03-03 09:00:00",
        "input": {"feedetail": [record]},
    }


def settled(number, total, fund, *, infno="2207", batch="B1", codes=(), **more):
    info = {"setl_id": number, "mdtrt_id": "V1", "psn_no": "P1", "medfee_sumamt": total}
    if fund is not None:
        info["fund_pay_sumamt"] = fund
    return {
        "infno": infno,
        "msgid": f"m{number}",
        "fixmedins_code": "H1",
        "inf_time": "2026-03-04 10:00:00",
        "input": {
            "data": {"mdtrt_id": "V1", "psn_no": "P1", "chrg_bchno": batch},
            "drug_trac_info": list(codes),
        },
        "infcode": "0",
        "output": {"setlinfo": {**info, **more}, "setldetail": []},
    }


def undone(number, infno="2208", infcode="0", sent="2026-03-05 10:00:00"):
    return {
        "infno": infno,
        "fixmedins_code": "H1",
        "inf_time": sent,
        "input": {"data": {"setl_id": number, "mdtrt_id": "V1", "psn_no": "P1"}},
        "infcode": infcode,
        "output": {"setlinfo": {"setl_id": f"{number}-", "medfee_sumamt": -1, "fund_pay_sumamt": -1}},
    }


def take(folder, *messages, name="log.json"):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("\n".join(json.dumps(one) for one in messages), encoding="utf-8")
    try:
        return import_claims(folder / name, folder / "out", file_format="nhsa")
    except NothingReadError as error:
        return error.attributes["summary"]


def lines(folder):
    return pq.read_table(folder / "out" / "claim_lines.parquet").sort_by("line_id").to_pylist()


def funds(folder):
    return {row["line_id"].split(":")[-1]: row["fund_amount"] for row in lines(folder)}


def settlements(folder):
    return {row["line_id"].split(":")[-1]: row["settlement_id"] for row in lines(folder)}


def test_each_line_has_its_share_of_the_fund(tmp_path):
    take(tmp_path, line("1", "100.00"), line("2", "300.00"), settled("J1", "400.00", "260.00"))
    assert funds(tmp_path) == {"1": Decimal("65.00"), "2": Decimal("195.00")}
    assert settlements(tmp_path) == {"1": "J1", "2": "J1"}


AMOUNTS = [
    (["33.33", "33.33", "33.34"], "100.00", "70.01"),
    (["0.01"] * 7, "0.07", "0.05"),
    (["10.00", "10.00", "10.00"], "30.00", "20.00"),
    (["0.05", "0.05", "0.05", "0.05"], "0.20", "0.10"),
    (["123.45", "0.01", "678.90", "99.99"], "902.35", "601.57"),
    (["100.00", "50.00", "-50.00"], "100.00", "66.67"),
    (["400.00"], "400.00", "0.00"),
    (["400.00"], "400.00", "400.00"),
]


@pytest.mark.parametrize(("amounts", "total", "fund"), AMOUNTS)
def test_the_shares_of_a_settlement_close_to_the_cent(tmp_path, amounts, total, fund):
    reversal = {"init_feedetl_sn": "1"}
    messages = [
        line(str(n), amount, **(reversal if amount.startswith("-") else {}))
        for n, amount in enumerate(amounts, start=1)
    ]
    take(tmp_path, *messages, settled("J1", total, fund))
    found = funds(tmp_path)
    assert sum(found.values()) == Decimal(fund)
    for n, amount in enumerate(amounts, start=1):
        exact = Decimal(amount) * Decimal(fund) / Decimal(total)
        assert abs(found[str(n)] - exact) < Decimal("0.01")


def test_of_lines_that_are_not_all_there_only_their_part_is_counted(tmp_path):
    take(tmp_path, line("1", "100.00"), settled("J1", "400.00", "300.00"))
    assert funds(tmp_path) == {"1": Decimal("75.00")}


# each part comes first, second and last; the three orders left are long
@pytest.mark.parametrize(
    "order",
    [(0, 1, 2), (1, 2, 0), (2, 0, 1)]
    + [pytest.param(order, marks=pytest.mark.long) for order in ((0, 2, 1), (1, 0, 2), (2, 1, 0))],
)
def test_settlements_and_lines_come_in_any_order_and_again(tmp_path, order):
    parts = [line("1", "33.33"), line("2", "66.67"), settled("J1", "100.00", "50.00")]
    for turn in (*order, *order):
        take(tmp_path, parts[turn], name=f"{turn}.json")
    assert sum(funds(tmp_path).values()) == Decimal("50.00")
    again = take(tmp_path, parts[0], name="0.json").tables["claim_lines"]
    assert (again.added, again.replaced, again.unchanged) == (0, 0, 1)


def test_a_settlement_is_about_its_batch(tmp_path):
    take(
        tmp_path,
        line("1", "100.00", "B1"),
        line("2", "100.00", "B2"),
        line("3", "100.00", "B3"),
        settled("J2", "100.00", "80.00", batch="B2"),
        settled("J1", "100.00", "10.00", batch="B1"),
    )
    assert settlements(tmp_path) == {"1": "J1", "2": "J2", "3": None}
    assert funds(tmp_path) == {"1": Decimal("10.00"), "2": Decimal("80.00"), "3": None}


def test_interim_settlements_of_a_stay_are_told_apart_by_their_days(tmp_path):
    take(
        tmp_path,
        *(line(str(day), "100.00", infno="2301", day=day) for day in (3, 4, 8)),
        settled("J1", "200.00", "100.00", infno="2304", setl_time="2026-03-05 10:00:00"),
        settled("J2", "100.00", "90.00", infno="2304", setl_time="2026-03-09 10:00:00"),
    )
    assert settlements(tmp_path) == {"3": "J1", "4": "J1", "8": "J2"}
    assert funds(tmp_path)["8"] == Decimal("90.00")


def test_parts_of_the_fund_stand_for_a_sum_that_is_not_told(tmp_path):
    parts = {"hifp_pay": 40, "hifmi_pay": "5.50", "maf_pay": 0, "acct_pay": 20}
    take(tmp_path, line("1"), settled("J1", "100.00", None, **parts))
    assert funds(tmp_path) == {"1": Decimal("45.50")}


@pytest.mark.parametrize("infno", ["2206", "2303"])
def test_a_trial_settles_nothing(tmp_path, infno):
    summary = take(tmp_path, line("1"), settled("J1", "100.00", "70.00", infno=infno))
    assert (settlements(tmp_path), funds(tmp_path)) == ({"1": None}, {"1": None})
    assert [name[:4] for name in summary.ignored] == [infno]


@pytest.mark.parametrize(
    ("imports", "settles", "undoes"),
    [
        (1, "2207", "2208"),
        (2, "2304", "2305"),
        (3, "2207", "2208"),
        *(pytest.param(*one, marks=pytest.mark.long) for one in ((1, "2304", "2305"), (2, "2207", "2208"))),
        pytest.param(3, "2304", "2305", marks=pytest.mark.long),
    ],
)
def test_a_cancelled_settlement_is_taken_back(tmp_path, settles, undoes, imports):
    infno = "2204" if settles == "2207" else "2301"
    messages = [line("1", infno=infno), settled("J1", "100.00", "70.00", infno=settles), undone("J1", undoes)]
    for turn in range(imports):
        take(tmp_path, *messages[turn::imports], name=f"{turn}.json")
    assert (settlements(tmp_path), funds(tmp_path)) == ({"1": None}, {"1": None})
    take(tmp_path, settled("J2", "100.00", "60.00", infno=settles), name="again.json")
    assert (settlements(tmp_path), funds(tmp_path)) == ({"1": "J2"}, {"1": Decimal("60.00")})


def test_a_cancellation_that_the_bureau_refused_leaves_the_settlement(tmp_path):
    take(tmp_path, line("1"), settled("J1", "100.00", "70.00"), undone("J1", infcode="-1"))
    assert funds(tmp_path) == {"1": Decimal("70.00")}


def test_a_reversed_message_takes_its_settlement_back(tmp_path):
    reversed_ = {
        "infno": "2601",
        "fixmedins_code": "H1",
        "input": {"data": {"psn_no": "P1", "omsgid": "mJ1", "oinfno": "2207"}},
        "infcode": "0",
    }
    take(tmp_path, line("1"), settled("J1", "100.00", "70.00"), reversed_)
    assert funds(tmp_path) == {"1": None}


def code(number, value, split="0"):
    return {"feedetl_sn": number, "drug_trac_codg": value, "trdn_flag": split, "min_prcunt_type": "1"}


def codes(folder):
    return {row["line_id"].split(":")[-1]: row["traceability_code"] for row in lines(folder)}


def test_traceability_codes_come_with_the_settlement(tmp_path):
    told = [code("1", "8" * 20), code("2", "7" * 20, split="1"), code("1", "9" * 20)]
    summary = take(tmp_path, line("1"), line("2"), settled("J1", "200.00", "100.00", codes=told))
    assert codes(tmp_path) == {"1": "8" * 20, "2": None}
    assert summary.ignored == {}
    again = take(tmp_path, line("1"), line("2"), settled("J1", "200.00", "100.00", codes=told))
    assert again.tables["claim_lines"].unchanged == 2


def test_a_code_goes_with_the_settlement_that_told_of_it(tmp_path):
    take(tmp_path, line("1"), settled("J1", "100.00", "70.00", codes=[code("1", "8" * 20)]))
    take(tmp_path, undone("J1"), name="later.json")
    assert codes(tmp_path) == {"1": None}
    take(tmp_path, settled("J2", "100.00", "70.00", codes=[code("1", "8" * 20)]), name="again.json")
    assert codes(tmp_path) == {"1": "8" * 20}


def differing(folder):
    path = folder / "out" / "warnings" / "settlements.csv"
    rows = csv.DictReader(path.read_text(encoding="utf-8").splitlines()) if path.exists() else ()
    return [(one["file"], one["value"]) for one in rows if one["reason"] == "settlement_differs"]


def test_a_settlement_that_is_not_the_sum_of_its_lines_is_named_until_it_is(tmp_path):
    first = [line("1", "100.00"), line("2", "60.50"), settled("S1", "200.50", "100.00")]
    take(tmp_path, *first, line("9", "5.00", "B9"), settled("S9", "5.00", "5.00", batch="B9"), name="a.json")
    assert differing(tmp_path) == [("a.json", "total 200.50, lines 160.50: H1 S1")]
    take(tmp_path, line("3", "30.00"), name="b.json")
    assert differing(tmp_path) == [("", "total 200.50, lines 190.50: H1 S1")]
    take(tmp_path, line("4", "10.00"), name="c.json")
    assert differing(tmp_path) == []
    take(tmp_path, line("5", "10.00"), name="d.json")
    assert differing(tmp_path) == [("", "total 200.50, lines 210.50: H1 S1")]
    take(tmp_path, undone("S1"), name="e.json")
    assert differing(tmp_path) == []
    take(tmp_path, settled("S7", "7.00", "7.00", batch="B7"), name="f.json")
    assert differing(tmp_path) == []
