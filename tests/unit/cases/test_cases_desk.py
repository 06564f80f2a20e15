"""Lists of doubts to work through: how sure, in which order, grouped; and words for all that can be shown."""

import pytest

from renzheng.central.cases import desk
from renzheng.central.cases.acts import ACTS, CASE_ACTS, REFERRED_TO
from renzheng.central.cases.desk import CERTAINTIES, GROUPS, SORTS, Row, certainty_of
from renzheng.central.cases.doubts import DECISIONS, POSITIONS, CaseState, State
from renzheng.central.cases.guards import GUARDS
from renzheng.central.cases.money import overturns
from renzheng.central.cases.terms import STAGES
from renzheng.central.texts import texts
from renzheng.central.web.case_pages import asked as asking
from renzheng.central.web.case_pages.asked import NARROWING
from renzheng.central.web.case_pages.ledger_page import BOXES, PARTS
from renzheng.central.web.case_pages.listing import BULK, WRITTEN
from renzheng.central.web.case_pages.overview import LANES

ROW = Row(
    "D1", 1, "C1", "H1", "县医院", "P1", "line-haemodialysis", "no_session", "contradicted", State.DRAFTED,
    confirmed=False, at_stake_fen=40_000, amount_fen=40_000, line_id="L1", of_a_finding=False,
    newest="contradicted", certainty="high",
)  # fmt: skip
SHOWN = {
    "guard": (*GUARDS, "stale", "may_not", "not_found", "body"),
    "guard_do": (*GUARDS, "stale", "may_not", "not_found", "body"),
    "act": (*ACTS, *CASE_ACTS, "flag", "first_review", "re_review"),
    "case_act": CASE_ACTS,
    "doubt.state": State,
    "case.state": CaseState,
    "decision": DECISIONS,
    "position": POSITIONS,
    "referred": REFERRED_TO,
    "stage": ("first_review", "re_review", "panel", "final"),
    "doubt.due": set(STAGES.values()),
    "certainty": CERTAINTIES,
    "doubts": (*NARROWING, *GROUPS, *WRITTEN),
    "doubts.sort": SORTS,
    "lane_of": {*(lane for lanes in LANES.values() for lane in lanes), "answered", "decided"},
    "ledger": BOXES,
}


@pytest.mark.parametrize("family", SHOWN)
def test_there_are_words_for_everything_that_a_page_of_cases_shows(family):
    for language in ("zh", "en"):
        known = texts(language).catalogue
        assert [code for code in SHOWN[family] if f"{family}.{code}" not in known] == []
    assert set(PARTS.values()) <= texts("zh").catalogue.keys()
    assert set(BULK) <= set(ACTS)


@pytest.mark.parametrize(
    ("verdict", "decided", "overturned", "sure"),
    [
        ("contradicted", 0, 0, "high"),
        ("contradicted", 1, 1, "middle"),
        ("contradicted", 40, 4, "high"),
        ("contradicted", 40, 30, "low"),
        ("suspicious", 0, 0, "low"),
        ("suspicious", 10, 0, "middle"),
        ("suspicious", 60, 0, "high"),
    ],
)
def test_how_sure_a_doubt_is_comes_from_its_verdict_and_from_what_became_of_others(
    verdict, decided, overturned, sure
):
    (fared,) = overturns([("line-haemodialysis", "no_session", decided, decided, decided, overturned)])
    assert certainty_of(verdict, fared) == sure
    assert certainty_of("contradicted", None) == "high"


def test_what_the_newest_audit_no_longer_says_comes_last():
    rows = [
        ROW._replace(doubt_id="D1", at_stake_fen=90_000, newest="supported"),
        ROW._replace(doubt_id="D2", certainty="low", at_stake_fen=80_000),
        ROW._replace(doubt_id="D3", at_stake_fen=1_000),
        ROW._replace(doubt_id="D4", at_stake_fen=2_000),
    ]
    assert [row.doubt_id for row in desk.ordered(rows, "certainty")] == ["D4", "D3", "D2", "D1"]
    assert [row.doubt_id for row in desk.ordered(rows, "amount")] == ["D1", "D2", "D4", "D3"]
    assert [row.doubt_id for row in desk.narrowed(rows, {"differs": "yes"})] == ["D1"]
    assert len(desk.narrowed(rows, {"differs": "no", "certainty": "high"})) == 2


def test_groups_add_up_and_count_what_nobody_has_looked_at():
    rows = [ROW, ROW._replace(confirmed=True), ROW._replace(institution_id="H2", institution="H2")]
    first, second = desk.grouped(rows, "institution")
    assert (first.key, first.name, first.doubts, first.at_stake_fen, first.waiting) == (
        "H1", "县医院", 2, 80_000, 1,
    )  # fmt: skip
    assert (second.key, second.doubts) == ("H2", 1)
    for by in GROUPS:
        assert sum(group.doubts for group in desk.grouped(rows, by)) == len(rows)


def test_a_seal_stands_for_doubts_and_versions_in_any_order():
    other = ROW._replace(doubt_id="D2")
    assert desk.seal([ROW, other]) == desk.seal([other, ROW])
    assert desk.seal([ROW]) != desk.seal([ROW._replace(version=2)])
    assert desk.seal([ROW]) != desk.seal([ROW, other])


def test_an_address_of_a_list_says_all_of_it():
    pairs = [("state", "drafted"), ("state", "nonsense"), ("month", "2026-03"), ("sort", "due"), ("x", "y")]
    asked = asking.read([*pairs, ("group", "shape")])
    assert asked.query() == "state=drafted&month=2026-03&group=shape&sort=due"
    narrowed = asked.narrowed_to("line-haemodialysis no_session")
    assert narrowed.chosen["shape"] == ROW.shape
    assert narrowed.without("shape").query() == "state=drafted&month=2026-03&sort=due"
    assert asking.read([("group", "state")]).narrowed_to("issued").states == ("issued",)
