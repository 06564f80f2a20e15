"""Lists of doubts to work through: how sure, in which order, grouped; and words for all that can be shown."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from renzheng.central.cases import corrections, desk, patient_questions, penalties, powers, summonses
from renzheng.central.cases.acts import ACTS, CASE_ACTS, REFERRED_TO
from renzheng.central.cases.desk import CERTAINTIES, GROUPS, SORTS, certainty_of
from renzheng.central.cases.doubts import DECISIONS, POSITIONS, CaseState, State
from renzheng.central.cases.guards import GUARDS
from renzheng.central.cases.money import overturns
from renzheng.central.cases.penalty_keeping import ARTICLES, PARTIES
from renzheng.central.cases.terms import STAGES
from renzheng.central.store.times import to_us
from renzheng.central.texts import texts
from renzheng.central.web.case_pages import asked as asking
from renzheng.central.web.case_pages.asked import NARROWING
from renzheng.central.web.case_pages.ledger_page import BOXES, PARTS
from renzheng.central.web.case_pages.listing import BULK, WRITTEN
from renzheng.central.web.case_pages.overview import LANES
from renzheng.contracts.patient_questions import ANSWERS, NO_ANSWERS

SHOWN = {
    "guard": (
        *GUARDS,
        *penalties.GUARDS,
        "issued_before",
        "not_summoned",
        *patient_questions.GUARDS,
        "stale",
        "may_not",
        "not_found",
        "body",
    ),
    "guard_do": (
        *GUARDS,
        *penalties.GUARDS,
        "issued_before",
        *patient_questions.GUARDS,
        "stale",
        "may_not",
        "not_found",
        "body",
    ),
    "penalty_act": (*penalties.ACTS, "open"),
    "penalty.state": penalties.State,
    "penalty.source": penalties.SOURCES,
    "penalty.party": PARTIES,
    "penalty.article": ARTICLES,
    "penalty.degree": penalties.DEGREES,
    "penalty.delivery": penalties.DELIVERIES,
    "corrections.proof": (corrections.REVERSAL, corrections.RECEIPT),
    "power": powers.LOWER,
    "patient_said": (*ANSWERS, *NO_ANSWERS),
    "act": (*ACTS, *CASE_ACTS, "flag", "comment", "first_review", "re_review"),
    "case_act": CASE_ACTS,
    "doubt.state": State,
    "case.state": CaseState,
    "decision": DECISIONS,
    "position": POSITIONS,
    "referred": REFERRED_TO,
    "stage": ("first_review", "re_review", "panel", "final"),
    "summons.state": summonses.State,
    "summons.act": summonses.ACTS,
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


def test_a_seal_stands_for_doubts_and_versions_in_any_order():
    assert desk.seal({"D1": 1, "D2": 1}) == desk.seal({"D2": 1, "D1": 1})
    assert desk.seal({"D1": 1}) != desk.seal({"D1": 2})
    assert desk.seal({"D1": 1}) != desk.seal({"D1": 1, "D2": 1})


def test_an_address_of_a_list_says_all_of_it():
    pairs = [("state", "drafted"), ("state", "nonsense"), ("month", "2026-03"), ("sort", "due"), ("x", "y")]
    asked = asking.read([*pairs, ("group", "shape")])
    assert asked.query() == "state=drafted&month=2026-03&group=shape&sort=due"
    narrowed = asked.narrowed_to("line-haemodialysis no_session")
    assert narrowed.chosen["shape"] == "line-haemodialysis no_session"
    assert narrowed.without("shape").query() == "state=drafted&month=2026-03&sort=due"
    assert asking.read([("group", "state")]).narrowed_to("issued").states == ("issued",)


def test_what_changed_since_a_day_begins_at_its_midnight_in_the_sites_zone():
    zone = ZoneInfo("Asia/Shanghai")
    now = dt.datetime(2026, 4, 7, 18, tzinfo=dt.UTC)  # the 8th there
    for day, begins in (("yesterday", "2026-04-06T16:00+00:00"), ("2026-04-01", "2026-03-31T16:00+00:00")):
        chosen = asking.read([("changed", day)]).choice(now, zone)
        assert chosen.changed_us == to_us(dt.datetime.fromisoformat(begins))
    assert not asking.read([("changed", "2026-13-01"), ("changed", "0001-01-01"), ("changed", "x")]).chosen
