"""`POST /api/v1/checks`: advices in force, nothing twice, and an answer whatever comes in."""

import asyncio
import codecs
import datetime as dt
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from parts.asking import Asking
from parts.check_site import HD, HP, NOW, PAIR, Site

from renzheng.central.access import access_log, accounts
from renzheng.central.access.roles import Role
from renzheng.central.access.visitors import Visitors
from renzheng.central.checks.asked import CheckAsked
from renzheng.central.checks.filling import fill
from renzheng.central.checks.history import History
from renzheng.central.checks.keeping import Keeper
from renzheng.central.checks.site import fill_history
from renzheng.contracts import keys
from renzheng.contracts.tables import CLAIM_LINES, PERSONS, arrow_schema


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return Site(tmp_path_factory.mktemp("site"))


def item(name, code, when="2026-03-04T10:00:00+08:00", **more):
    return {"id": name, "code": code, "quantity": 1, "amount": 100, "at": when, "doctor_id": "D1", **more}


def asked(*items, person="P9", visit="V1", institution="H1", **patient):
    return {
        "stage": "before",
        "institution_id": institution,
        "patient": {"person_id": person, "sex": "M", "birth_date": "1960-05-01", **patient},
        "encounter": {"visit_id": visit, "visit_type": "outpatient"},
        "items": list(items),
    }


def test_haemoperfusion_beside_haemodialysis_is_advised_once_and_answered(site):
    body = asked(item("1", HP, amount=700), item("2", HD, amount=400.5))
    told = site.check(body)
    (advice,) = told["advices"]
    assert (told["code"], told["not_checked"]) == ("ok", [{"what": "history", "code": "person_unknown"}])
    assert (advice["point"], advice["version"], advice["power"]) == (PAIR.id, PAIR.version, "warn")
    assert (sorted(advice["items"]), advice["amount"], advice["basis"]) == (["1", "2"], 400.5, "单日")
    assert "血液透析" in advice["text_zh"]
    assert advice["clears"]["en"]
    assert site.check(body)["advices"] == [], "not twice for one order and doctor"
    assert (
        len(site.check(asked(item("1", HP, doctor_id="D2"), item("2", HD, doctor_id="D2")))["advices"]) == 1
    )
    path = f"/api/v1/checks/{told['check_id']}/answers"
    done = {"advice": advice["id"], "action": "overridden", "reason": "two_treatments"}
    assert site.check(done, path=path) == {"code": "ok"}
    assert site.check({**done, "action": "shrugged"}, path=path) == {"code": "not_valid"}
    assert site.check(b"{", path=path) == {"code": "not_json"}
    assert site.ask({**done, "advice": "x"}, path=path).status == 404
    assert site.ask(done, path=path, who="his-2").status == 404
    assert site.ask(done, path="/api/v1/checks/none/answers").status == 404


def test_three_at_most_dearest_first_the_dark_unseen_and_a_block_only_when_all_agrees(site):
    items = [item(f"w{n}", f"W{n}", amount=10 * (n + 1)) for n in range(4)] + [item("d", "D", amount=9999)]
    told = site.check(asked(*items, visit="V2"))
    assert [one["amount"] for one in told["advices"]] == [40, 30, 20]
    assert [one["amount"] for one in site.check(asked(*items, visit="V2"))["advices"]] == [10]
    (advice,) = site.check(asked(item("b", "B", quantity=2), visit="V3"))["advices"]
    assert advice["power"] == "block"
    assert advice["amount"] == 50


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"stage": "before", "instit', "not_json"),
        (b"", "not_json"),
        (b"[]", "not_valid"),
        (b'{"stage": "before", "stage": "during"}', "malformed"),
        (b" " * 5_000_000, "too_large"),
        (codecs.BOM_UTF8 + b'{"stage": "later"}', "not_valid"),
        ({"stage": "later"}, "not_valid"),
        (asked(*[item(str(n), "A") for n in range(2_001)]), "too_many_items"),
        (asked(item("1", HP), person=""), "unknown_patient"),
        (asked(), "nothing_to_check"),
        (asked(item("1", "nobody knows"), visit="V7"), "ok"),
    ],
)
def test_whatever_comes_in_is_answered_with_a_code_and_without_advice(site, body, code):
    told = site.check(body)
    assert (told["code"], told["advices"]) == (code, [])


def test_a_clock_of_1970_leaves_its_item_out_and_says_so(site):
    told = site.check(asked(item("1", HP, "1970-01-01T00:00:00Z"), item("2", HD), visit="V8"))
    assert (told["advices"], told["not_checked"][0]) == ([], {"what": "1", "code": "time_implausible"})
    far = [item("1", HP, "9999-12-31T23:59:59-23:00"), item("2", HP, "0001-01-01T00:00:00+14:00")]
    assert [one["code"] for one in site.check(asked(*far, visit="V8"))["not_checked"]][:1] == [
        "time_implausible"
    ]


def test_only_those_who_may_ask_and_only_for_their_institution(site):
    assert site.ask(asked(item("1", HP)), who="his-2").status == 404
    assert site.ask(asked(item("1", HP)), who="au").status == 403
    assert site.ask(asked(item("1", HP)), who="wrong token").status == 401


def test_a_token_that_is_taken_away_holds_for_no_further_check(tmp_path):
    site = Site(tmp_path)
    body = asked(item("1", HP), item("2", HD))
    assert site.ask(body).status == 200
    with site.database.writing() as connection:
        accounts.revoke_tokens(connection, "his-1", NOW)
    assert site.ask(body).status == 401
    assert site.ask(body, who="his-2").status == 404
    with site.database.writing() as connection:
        accounts.set_roles(connection, "his-2", frozenset({Role.AUDITOR}), frozenset(), "test", NOW)
    assert site.ask(body, who="his-2").status == 403


def test_an_institution_that_is_taken_away_is_answered_for_no_further_check(tmp_path):
    site = Site(tmp_path)
    for others, status in (({"H1"}, 200), ({"H2"}, 404)):
        with site.database.writing() as connection:
            places = frozenset({"H0", *others, "H9"})
            accounts.set_roles(connection, "his-1", frozenset({Role.HOSPITAL_OFFICE}), places, "test", NOW)
        assert site.ask(asked(item("1", HP), item("2", HD))).status == status


def test_calls_that_come_together_are_written_down_one_each_and_advised_once(site):
    bodies = [
        json.dumps(asked(item("1", HP), item("2", HD), visit="V50", person=f"P5{n // 2}")) for n in range(4)
    ]
    caller = Asking(site.app, site.tokens["his-1"])
    with site.database.reading() as connection:
        before = access_log.head(connection).sequence

    async def all_at_once():
        return await asyncio.gather(*(caller.ask("POST", "/api/v1/checks", one.encode()) for one in bodies))

    told = [json.loads(answer.body) for answer in asyncio.run(all_at_once())]
    advised = sorted(len(one["advices"]) for one in told)  # which is answered first, nobody has promised
    assert advised == [0, 0, 0, 1], "one order of one doctor, asked four times"
    with site.database.reading() as connection:
        _, entries = access_log.read(connection, access_log.Wanted(limit=4))
        assert access_log.verify(connection).sequence == before + 4
    assert sorted(person for one in entries for person in one["persons"]) == ["P50", "P50", "P51", "P51"]


def test_what_is_not_known_of_the_patient_is_not_checked(site):
    told = site.check(asked(item("1", "W"), sex=None, visit="V9"))
    assert {"what": "sex", "code": "sex_unknown"} in told["not_checked"]
    assert told["advices"] == []


def test_a_pack_that_nobody_has_signed_is_watched_only_and_a_broken_one_holds_up_nothing(tmp_path):
    site = Site(tmp_path)
    site.put([PAIR], key=keys.generate_key())
    (site.settings.knowledge_dir / "broken").write_bytes(b"\x00")
    told = site.check(asked(item("1", HP), item("2", HD)))
    assert told["advices"] == []
    assert {"what": "national.knowledge", "code": "pack_not_signed"} in told["not_checked"]
    assert {"what": "broken", "code": "pack_unreadable"} in told["not_checked"]


def table(folder, kind, rows):
    folder.mkdir(parents=True, exist_ok=True)
    filled = [{column.name: row.get(column.name) for column in kind.columns} for row in rows]
    pq.write_table(pa.Table.from_pylist(filled, arrow_schema(kind)), folder / f"{kind.name}.parquet")


def billed(name, code, at, **more):
    return {
        "line_id": name, "institution_id": "H1", "visit_id": "V1", "person_id": "P1",
        "visit_type": "outpatient",
        "item_code": code, "service_time": at, "quantity": 1, "amount": 400, **more,
    }  # fmt: skip


def test_what_was_imported_is_history_and_reversals_take_it_back(site):
    at = dt.datetime(2026, 3, 3, 16, 30, tzinfo=dt.UTC)  # half past midnight of the fourth, there
    lines = [
        billed("L1", HD, at),
        billed("L2", HD, at, person_id="P2"),
        billed("L3", HD, at, person_id="P2", quantity=-1, amount=-400, reverses_line_id="L2"),
    ]
    table(site.settings.tables_dir, CLAIM_LINES, lines)
    table(site.settings.tables_dir, PERSONS, [{"person_id": "P1", "sex": "M"}])
    fill_history(site.settings)
    path = site.settings.checks_dir / "history.sqlite"
    assert not fill(site.settings.tables_dir, path, "Asia/Shanghai"), "nothing has changed"
    (line,) = History(path).lines("P1", 0, {HD})
    assert (line.id, line.quantity_e4, line.amount_fen) == ("L1", 10_000, 40_000)
    assert History(path).lines("P2", 0, {HD}) == []
    told = site.check(asked(item("9", HP), person="p1", visit="V20", sex=None))
    assert [(one["items"], one["amount"]) for one in told["advices"]] == [(["9"], 400)]
    assert told["not_checked"] == []
    assert site.check(asked(item("9", HP), person="P2", visit="V20"))["advices"] == []


def order(name, code, when="2026-03-04 10:00:00", *, now="1", amount="100.00"):
    return {
        "rx_id": name, "hilist_code": code, "hilist_name": f"项目{name}", "cnt": "1.0000", "sumamt": amount,
        "drord_begn_date": when, "drord_dr_codg": "D1", "curr_drord_flag": now,
    }  # fmt: skip


def message(number, *orders, person="P30", visit="N1", institution="H1", **more):
    encounter = {
        "mdtrt_id": visit, "medins_id": institution, "med_mdtrt_type": "1", "insutype": "310",
        "medins_lv": "2",
        "fsi_diagnose_dtos": [{"dise_codg": "N18.600"}], "fsi_order_dtos": list(orders),
    }  # fmt: skip
    patient = {
        "patn_id": person, "gend": "1", "brdy": "1960-05-01", "curr_mdtrt_id": visit,
        "fsi_encounter_dtos": [encounter],
    }  # fmt: skip
    data = {"patient_dtos": [patient], "trig_scen": "2", "syscode": "HIS", "task_id": "T1", **more}
    return {
        "infno": number,
        "msgid": "H1202603041000000001",
        "fixmedins_code": institution,
        "input": {"data": data},
    }


@pytest.mark.parametrize("number", ["3101", "3102"])
def test_the_national_interface_gets_its_own_envelope_and_nodes(site, number):
    orders = [order("1", HP, amount="700"), order("2", HD, now="0")]
    told = site.check(message(number, *orders, visit=f"N{number}"), path=f"/nhsa/{number}")
    assert (told["infcode"], told["inf_refmsgid"], told["err_msg"]) == (0, "H1202603041000000001", "")
    (result,) = told["output"]["result"]
    assert {
        "jr_id", "rule_id", "rule_name", "vola_cont", "patn_id", "mdtrt_id", "judge_result_detail_dtos",
        "vola_amt", "vola_amt_stas", "sev_deg", "vola_evid", "vola_bhvr_type", "task_id",
    } <= set(result)  # fmt: skip
    named = [result[name] for name in ("rule_id", "patn_id", "task_id", "vola_amt")]
    assert named == [PAIR.id, "P30", "T1", 100]
    details = [(one["rx_id"], one["vola_item_type"]) for one in result["judge_result_detail_dtos"]]
    assert details == [("1", "2")], "the order at hand is involved; what it includes was ordered before"
    warn = {"warn_rslt_id": result["jr_id"], "dspo_way": "1", "dspo_way_rea": "急诊"}
    feedback = {"infno": "3103", "msgid": "M2", "input": {"data": {"warn_type": "1", "warns": [warn]}}}
    assert site.check(feedback, path="/nhsa/3103")["infcode"] == 0
    kept = Keeper(site.settings.checks_dir / "checks.sqlite")
    assert kept.answers(result["jr_id"]) == [("overridden", "急诊")], "on the disk, for whoever opens it"
    kept.close()
    assert site.check(feedback, path="/nhsa/3103", who="his-2")["infcode"] == -1
    for wrong in ({"dspo_way_rea": ""}, {"warn_rslt_id": "x"}, {"dspo_way": "9"}):
        refused = {**feedback, "input": {"data": {"warns": [{**warn, **wrong}]}}}
        assert site.check(refused, path="/nhsa/3103")["infcode"] == -1


@pytest.mark.parametrize(
    ("body", "warning"),
    [
        (b'{"infno": "3101", "inp', "not_json"),
        (b" " * 5_000_000, "too_large"),
        ({"infno": "3101", "input": {}}, "not_valid"),
        (message("3101", order("1", HP), institution="H2"), "institution_not_yours"),
        (message("3101", order("1", HP), patient_dtos=[{}] * 21), "too_many_patients"),
        (message("3101", order("1", HP, "")), "not_valid,person_unknown,nothing_to_check"),
        (message("3101", *[order("1", HP)] * 2_001), "too_many_items"),
        (
            message("3101", order("1", HP, "1970-01-01 00:00:00")),
            "time_implausible,person_unknown,nothing_to_check",
        ),
    ],
)
def test_a_message_that_cannot_be_checked_is_taken_without_result_and_says_why(site, body, warning):
    told = site.check(body, path="/nhsa/3101")
    assert (told["infcode"], told["output"], told["warn_msg"]) == (0, {"result": []}, warning)


def test_feedback_that_cannot_be_kept_is_not_acknowledged(site):
    for body in (b"{", b" " * 5_000_000, {"input": {"data": {"warns": []}}}):
        assert site.check(body, path="/nhsa/3103")["infcode"] == -1
    assert site.ask(message("3101"), path="/nhsa/3101", who="wrong").status == 401
    too_many = {"input": {"data": {"warns": [{"warn_rslt_id": "x", "dspo_way": "2"}] * 2_001}}}
    assert site.check(too_many, path="/nhsa/3103")["err_msg"] == "too_many_warns"


def test_feedback_that_comes_again_is_kept_once_and_a_change_of_mind_after_it(site):
    told = site.check(message("3101", order("1", HP), order("2", HD), visit="N40"), path="/nhsa/3101")
    jr_id = told["output"]["result"][0]["jr_id"]
    changed = {"warn_rslt_id": jr_id, "dspo_way": "2"}
    gone_on = {"warn_rslt_id": jr_id, "dspo_way": "1", "dspo_way_rea": "急诊"}
    for warns in ([changed], [changed, changed], [gone_on], [gone_on], [changed]):
        feedback = {"input": {"data": {"warns": warns}}}
        assert site.check(feedback, path="/nhsa/3103")["infcode"] == 0
    kept = Keeper(site.settings.checks_dir / "checks.sqlite")
    assert [action for action, _ in kept.answers(jr_id)] == ["followed", "overridden", "followed"]
    kept.close()


def test_what_one_hospital_system_writes_otherwise_is_read_and_what_cannot_be_is_left_out(site):
    orders = [
        order("1", HP, "20260304100000", amount="1,700.00"),
        order("", HD, "2026/3/4 9:30", amount="４００"),
        order("", HD, "2026-03-04T09:40:00+08:00", amount="50"),
        order("4", "", "2026-03-04"),
        order("5", "A", "soon"),
    ]
    body = message("3101", *orders, visit="N41")
    body["input"]["data"]["patient_dtos"][0]["brdy"] = "19600501"
    told = site.check(body, path="/nhsa/3101")
    (result,) = told["output"]["result"]
    assert told["warn_msg"] == "not_valid,person_unknown"
    assert result["vola_amt"] == 450
    assert sorted(one["rx_id"] for one in result["judge_result_detail_dtos"]) == ["", "", "1"]


def changed(body, *, patient=(), encounter=(), orders=()):
    """Change what a message says of its patient, visit and orders."""
    told = body["input"]["data"]["patient_dtos"][0]
    told |= dict(patient)
    told["fsi_encounter_dtos"][0] |= dict(encounter)
    for one in told["fsi_encounter_dtos"][0]["fsi_order_dtos"]:
        one |= dict(orders)
    return body


@pytest.mark.parametrize(
    "change",
    [
        {"orders": {"drord_begn_date": 1_772_589_600_000}, "patient": {"brdy": -315_648_000_000}},
        {"orders": {"curr_drord_flag": True, "cnt": 1, "sumamt": 100.5}},
        {"orders": {"curr_drord_flag": 1.0}, "encounter": {"med_mdtrt_type": "01"}},
        {"orders": {"hilist_name": "名" * 5_000}},
        {"encounter": {"mdtrt_id": ""}, "patient": {"curr_mdtrt_id": None, "patn_id": "P-new"}},
        {"encounter": {"fsi_diagnose_dtos": [{"dise_codg": "N18" * 500}] * 500}},
    ],
    ids=["milliseconds", "numbers", "digits", "a long name", "no visit yet", "diagnoses"],
)
def test_what_programs_make_of_dates_codes_and_numbers_is_read(site, change):
    orders = [order("1", HP), order("2", HD)]
    body = changed(message("3101", *orders, visit=f"N50{sorted(change)}{len(str(change))}"), **change)
    told = site.check(body, path="/nhsa/3101")
    assert (told["warn_msg"], len(told["output"]["result"])) == ("person_unknown", 1)


def test_codes_as_numbers_and_messages_in_gb18030_are_read_and_advices_are_known_in_capitals(site):
    orders = [order("1", int(HP)), order("2", int(HD))]
    body = changed(message("3101", *orders, visit="N60"), orders={"hilist_name": "血液净化治疗"})
    content = json.dumps(body, ensure_ascii=False).encode("gb18030")
    (result,) = site.check(content, path="/nhsa/3101")["output"]["result"]
    assert "血液净化治疗" in result["vola_cont"]
    for way in (2, 2.0, "02"):
        warns = [{"warn_rslt_id": result["jr_id"].upper(), "dspo_way": way}]
        assert site.check({"input": {"data": {"warns": warns}}}, path="/nhsa/3103")["infcode"] == 0


def test_several_diagnoses_in_one_text_are_several_and_one_that_is_none_accuses_nobody():
    def read(*codes):
        return CheckAsked.model_validate(asked() | {"encounter": {"visit_id": "V", "diagnoses": codes}})

    assert read("E11.9|N18.6", "n18.6，I10 ").encounter.diagnoses == ("E11.9", "N18.6", "n18.6", "I10")
    assert read("E11.9", "N" * 51).encounter.diagnoses == ()


def test_an_order_of_another_hospital_stands_beside_nothing_here(site):
    body = message("3101", order("1", HP), visit="N42")
    encounters = body["input"]["data"]["patient_dtos"][0]["fsi_encounter_dtos"]
    there = {**encounters[0], "mdtrt_id": "X1", "fsi_order_dtos": [order("2", HD)]}
    found = {}
    for institution in ("H2", "H1"):
        body["input"]["data"]["patient_dtos"][0]["fsi_encounter_dtos"] = [
            encounters[0],
            {**there, "medins_id": institution},
        ]
        found[institution] = len(site.check(body, path="/nhsa/3101")["output"]["result"])
    assert found == {"H2": 0, "H1": 1}


def test_of_items_with_one_id_the_last_counts_and_the_check_says_so(site):
    told = site.check(asked(item("1", HP), item("1", HD), visit="V30"))
    assert {"what": "1", "code": "id_repeated"} in told["not_checked"]


def test_nothing_is_shown_while_it_cannot_be_written_down_and_nobody_waits(tmp_path, monkeypatch):
    site = Site(tmp_path)
    with site.database.writing():
        told = site.check(asked(item("1", HP), item("2", HD)))
        assert (told["code"], told["advices"]) == ("late", [])

    def refuse(*_):
        raise sa.exc.OperationalError("INSERT", {}, Exception("disk I/O error"))

    monkeypatch.setattr(Visitors, "note", refuse)
    monkeypatch.setattr(Visitors, "note_holding", refuse)
    assert site.check(asked(item("1", HP), item("2", HD)))["code"] == "error"
    assert site.check({"input": {"data": {}}}, path="/nhsa/3103")["infcode"] == -1
