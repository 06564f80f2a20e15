"""A pharmacy's counter: a relative buys, identified in any of the equal ways, and nobody is turned away."""

import orjson
import pytest
from parts.edge import hurry
from parts.till import (
    CLERK,
    COLLEAGUE,
    COLLEAGUES_PIN,
    DAUGHTER,
    DAUGHTERS_CARD,
    MOTHER,
    MOTHERS_CARD,
    PIN,
    SHADE,
    ClerksPage,
    make_counter,
    purchases_of,
)

from renzheng.central.ingest import quick
from renzheng.central.ingest.entitlement import unentitled
from renzheng.central.ingest.project import EventFlaw
from renzheng.edge.errors import SettingsError

STRANGER = 30


@pytest.fixture(scope="module")
def counter(tmp_path_factory):
    agent = make_counter(tmp_path_factory.mktemp("counter"))
    agent.start()
    yield agent
    agent.stop()


@pytest.fixture(scope="module")
def page(counter):
    return ClerksPage(counter)


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    hurry(monkeypatch)


def last(counter):
    event = purchases_of(counter)[-1]
    return event, event["data"]


def test_a_daughter_buys_for_her_mother_by_her_face(counter, page):
    name = page.new_id()
    look = page.look(name, DAUGHTERS_CARD, SHADE)
    assert look["verdict"] == "match"
    done = page.buy("face", name, look_id=look["look_id"], holder=DAUGHTERS_CARD, basis="family_account")
    event, data = last(counter)
    assert done.json() == {"purchase_id": name, "event_id": event["id"], "identified": True}
    assert (event["subject"], data["holder_id"], data["buyer_id"]) == (MOTHER, DAUGHTER, DAUGHTER)
    assert (data["outcome"], data["method"], data["source"]) == ("match", "face", "counter")
    assert (data["relation"], data["basis"], data["papers_shown"]) == (
        "child",
        "family_account",
        ["patient", "buyer"],
    )
    assert (data["clerk_id"], data["purpose"]) == (CLERK, "pharmacy")
    again = page.buy("face", name, look_id=look["look_id"])
    assert again.json() == done.json()
    assert purchases_of(counter)[-1] == event, "handed over twice, written once"


WITNESS = {"number": COLLEAGUE, "pin": COLLEAGUES_PIN}
WAYS = {
    "document": ({}, {"method": "document", "source": "clerk"}),
    "card_pin": ({}, {"method": "card_pin", "source": "clerk"}),
    "witness": ({"witness": WITNESS}, {"method": "witness", "source": "clerk", "witness_id": COLLEAGUE}),
    "nhsa_terminal": (
        {"terminal_reference": "T20260302-0001"},
        {"method": "face", "source": "nhsa_terminal", "terminal_reference": "T20260302-0001"},
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_other_way_counts_as_well(counter, page, way):
    asked, written = WAYS[way]
    assert page.buy(way, **asked).json()["identified"]
    data = last(counter)[1]
    assert {name: data.get(name) for name in written} == written
    assert (data["outcome"], data["pad"], data["buyer_id"]) == ("manual", "not_shown", DAUGHTER)


def test_a_face_that_does_not_match_bars_no_other_way_and_names_nobody(counter, page):
    name = page.new_id()
    look = page.look(name, DAUGHTERS_CARD, STRANGER)
    assert look["verdict"] == "non_match"
    done = page.buy("none", name, look_id=look["look_id"], papers_seen=False)
    assert done.status_code == 200
    assert not done.json()["identified"]
    data = last(counter)[1]
    assert (data["outcome"], data["reason"]) == ("not_acquired", "non_match")
    assert "buyer_id" not in data
    other = page.new_id()
    assert page.buy("document", other).json()["identified"]


def test_a_stranger_without_papers_buys_and_is_not_identified(counter, page):
    done = page.buy("document", buyer="110105199001010011", relation="other", basis="not_shown")
    assert not done.json()["identified"]
    assert last(counter)[1]["buyer_id"] == "110105199001010011"


def test_who_buys_for_themselves_needs_one_number(counter, page):
    done = page.buy("document", patient=DAUGHTERS_CARD, buyer=None, relation="self", basis="self")
    event, data = last(counter)
    assert done.json()["identified"]
    assert event["subject"] == data["buyer_id"] == data["holder_id"] == DAUGHTER


@pytest.mark.parametrize(
    ("said", "problem", "missing"),
    [
        ({"way": "witness"}, "incomplete", "witness"),
        ({"way": "nhsa_terminal"}, "incomplete", "terminal_reference"),
        ({"way": "document", "papers_seen": False}, "incomplete", "papers"),
        ({"way": "face"}, "incomplete", "look"),
        ({"way": "document", "relation": "self", "basis": "self"}, "incomplete", "buyer"),
        ({"way": "document", "basis": "self"}, "incomplete", "basis"),
        ({"way": "document", "buyer": MOTHERS_CARD}, "incomplete", "buyer"),
        ({"way": "witness", "witness": {"number": CLERK, "pin": PIN}}, "unknown_witness", None),
        ({"way": "witness", "witness": {"number": COLLEAGUE, "pin": "111222"}}, "unknown_witness", None),
        ({"way": "document", "patient": "王 小明"}, "unreadable_number", None),
    ],
)
def test_what_is_missing_is_named_and_nothing_is_written(counter, page, said, problem, missing):
    before = len(purchases_of(counter))
    answer = page.buy(**said).json()
    assert (answer["problem"], answer.get("missing")) == (problem, missing)
    assert len(purchases_of(counter)) == before


def test_a_look_counts_for_its_own_purchase_and_buyer_only(counter, page):
    name = page.new_id()
    look = page.look(name, DAUGHTERS_CARD, SHADE)
    assert page.buy("face", look_id=look["look_id"]).json()["problem"] == "unknown_look"
    borrowed = page.buy("face", name, look_id=look["look_id"], buyer="110105199001010011", relation="other")
    assert borrowed.json()["problem"] == "unknown_look"


def test_nobody_without_a_sign_in_is_answered(counter):
    page = ClerksPage(counter, signed_in=False)
    for path in ("/api/people", "/api/looks", "/api/purchases"):
        sent = {"number": "1234", "purchase_id": "purchase-0000000001", "buyer": "1234"}
        wanted = {"/api/people": ("number",), "/api/looks": ("purchase_id", "buyer")}.get(path)
        body = {name: sent[name] for name in wanted or ()} or {
            "purchase_id": "purchase-0000000001",
            "patient": "1234",
            "way": "none",
        }
        assert page.post(path, json=body).status_code == 401
    assert page.sign_in(CLERK, "wrong-pin").status_code == 403


def test_it_reports_no_coverage_in_which_somebody_could_have_been_seen(counter):
    health = counter.health()
    assert (health["state"], health["cause"], health["moving"]) == ("down", "counter", True)


def test_central_takes_it_from_a_counter_and_from_no_other_device(counter, page):
    page.buy("document")
    event = quick.read(orjson.dumps(last(counter)[0], option=orjson.OPT_SORT_KEYS))
    assert unentitled(event, "P1", "pharmacy") is None
    for purpose, institution in (("outpatient", "P1"), ("dialysis", "P1"), ("inpatient", "P1")):
        assert isinstance(unentitled(event, institution, purpose), EventFlaw)


def test_a_purchase_handed_over_again_after_a_restart_is_written_once(tmp_path):
    for _ in range(2):
        agent = make_counter(tmp_path)
        agent.start()
        done = ClerksPage(agent).buy("document", "purchase-0000000001").json()
        events = purchases_of(agent)
        agent.stop()
    assert [event["id"] for event in events] == [done["event_id"]]


def test_a_kiosk_of_a_dialysis_room_is_no_counter(tmp_path):
    with pytest.raises(SettingsError, match="cannot be a device for dialysis"):
        make_counter(tmp_path, purpose="dialysis")
