"""How a check counts, and what rate, interval and call follow."""

import datetime as dt
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from renzheng.central.draw.answers import (
    Answer,
    Discharge,
    DrawnCheck,
    RateCategory,
    SettledCheck,
    settle_checks,
)
from renzheng.central.rate.core import Call, further_checks, in_bed
from renzheng.central.rate.service import threshold_of
from renzheng.central.store.times import from_us, to_us
from renzheng.contracts.events import SpotCheckResult
from renzheng.contracts.rosters import Away
from renzheng.models.evaluation.metrics import rate

HOUR = 3_600_000_000
DUE = to_us(dt.datetime(2026, 3, 2, 1, tzinfo=dt.UTC))
CLOSES = DUE + 4 * HOUR
DRAWN = DUE - 10 * HOUR
CHECK = DrawnCheck("C", "R", "H1", "W", "V1", "P1", "inpatient", DRAWN, DUE, CLOSES)


def told(result, at=DUE + HOUR, place=("tablet", 1)):
    return Answer("C", at, SpotCheckResult(result), "I1", place)


def leave(recorded_at, left_at=DUE - HOUR, back_at=None):
    away = {"kind": "leave", "left_at": from_us(left_at), "recorded_at": from_us(recorded_at)}
    return Away(**away, returned_at=None if back_at is None else from_us(back_at))


def stand(answers, *, leaves=(), discharged=None, now=CLOSES + 1, check=CHECK):
    visit = (check.institution_id, check.visit_id)
    gone = {} if discharged is None else {visit: Discharge(*discharged)}
    (found,) = settle_checks([check], answers, {visit: leaves}, gone, now)
    return found.standing


@pytest.mark.parametrize(
    ("result", "standing"),
    [
        ("present", RateCategory.PRESENT),
        ("absent", RateCategory.ABSENT),
        ("away_approved", RateCategory.COVERED),
        ("identity_mismatch", RateCategory.MISMATCH),
        ("refused", RateCategory.REFUSED),
        ("unanswered", RateCategory.UNANSWERED),
    ],
)
def test_an_answer_counts_as_what_it_says(result, standing):
    assert stand([told(result)]) == standing


def test_no_answer_is_unanswered_once_the_round_has_closed_and_never_absent():
    assert stand([], now=CLOSES) == RateCategory.OPEN
    assert stand([], now=CLOSES + 1) == RateCategory.UNANSWERED


@pytest.mark.parametrize("at", [DUE - 1, CLOSES + 1])
def test_an_answer_outside_its_hours_does_not_count(at):
    assert stand([told("absent", at)]) == RateCategory.UNANSWERED


def test_of_several_answers_the_last_counts_whatever_order_they_come_in():
    answers = [told("absent", DUE + HOUR), told("present", DUE + 2 * HOUR), told("refused", DUE + HOUR - 1)]
    assert stand(answers) == stand(answers[::-1]) == RateCategory.PRESENT
    same_moment = [told("absent", place=("tablet", 3)), told("present", place=("tablet", 4))]
    assert stand(same_moment) == stand(same_moment[::-1]) == RateCategory.PRESENT


@pytest.mark.parametrize(
    ("leaves", "standing"),
    [
        ([leave(DRAWN - 1)], RateCategory.COVERED),
        ([leave(DRAWN)], RateCategory.ABSENT),
        ([leave(DUE)], RateCategory.ABSENT),
        ([leave(DRAWN - 1, back_at=DUE)], RateCategory.ABSENT),
        ([leave(DRAWN - 1, left_at=DUE + 2 * HOUR)], RateCategory.ABSENT),
        ([leave(DUE), leave(DRAWN - HOUR)], RateCategory.COVERED),
    ],
)
def test_only_a_leave_recorded_before_the_draw_covers_an_absence(leaves, standing):
    assert stand([told("absent")], leaves=leaves) == standing


@pytest.mark.parametrize(
    ("known", "leaves", "standing"),
    [
        ([leave(DRAWN - 1)], [leave(DRAWN - 1)], RateCategory.COVERED),
        ([leave(DRAWN - 1)], [leave(DUE, left_at=DUE)], RateCategory.COVERED),  # corrected since
        ([leave(DRAWN - 1)], [leave(DRAWN - 1, back_at=DUE)], RateCategory.ABSENT),
        ([leave(DRAWN - 1)], [], RateCategory.ABSENT),
        ([], [leave(DRAWN - 1)], RateCategory.ABSENT),
    ],
)
def test_what_was_known_at_the_draw_covers_while_it_holds(known, leaves, standing):
    check = replace(CHECK, away=tuple(known))
    assert stand([told("absent")], leaves=leaves, check=check) == standing


@pytest.mark.parametrize(
    ("answers", "discharged", "standing"),
    [
        ([told("absent")], (DRAWN - HOUR, DRAWN), RateCategory.VOID),
        ([], (DRAWN - 1, DRAWN - 1), RateCategory.VOID),
        ([told("absent")], (DRAWN - HOUR, DRAWN + 1), RateCategory.DISCHARGED),
        ([told("absent")], (DUE, DUE + HOUR), RateCategory.DISCHARGED),
        ([], (DUE, DUE), RateCategory.DISCHARGED),
        ([told("absent")], (DUE, DUE + HOUR + 1), RateCategory.ABSENT),
        ([told("absent")], (DUE + 2 * HOUR, DUE), RateCategory.ABSENT),
        ([told("present")], (DUE, DUE), RateCategory.PRESENT),
    ],
)
def test_who_had_gone_home_before_the_draw_is_void_and_a_discharge_told_since_stands_apart(
    answers, discharged, standing
):
    assert stand(answers, discharged=discharged) == standing


def checks(purpose="inpatient", **counts):
    own = DrawnCheck("C", "R", "H1", "W", "V1", "P1", purpose, DRAWN, DUE, CLOSES)
    return [
        SettledCheck(own, None, RateCategory(name)) for name, count in counts.items() for _ in range(count)
    ]


@pytest.mark.parametrize(
    ("counts", "call"),
    [
        ({}, Call.NOTHING),
        ({"unanswered": 30, "refused": 5, "covered": 9, "void": 2, "open": 3}, Call.NOTHING),
        ({"present": 5, "absent": 15}, Call.SUMMON),
        ({"present": 2, "absent": 3}, Call.CHECK_AGAIN),
        ({"present": 5, "absent": 3}, Call.FINE),
        ({"present": 50, "absent": 3}, Call.SURE),
        ({"present": 5, "identity_mismatch": 15}, Call.SUMMON),
        ({"present": 10, "covered": 90}, Call.SURE),
        ({"present": 10, "unanswered": 90, "refused": 90}, Call.SURE),
    ],
)
def test_who_is_summoned_and_who_is_checked_again(counts, call):
    assert in_bed(checks(**counts), 0.6).call == call


def test_checks_in_dialysis_sessions_are_no_bed_checks():
    found = in_bed([*checks(present=4), *checks("dialysis", absent=40)], 0.6)
    assert (found.answered, found.share.value) == (4, 1.0)


def test_the_same_figures_as_the_rule_of_the_audit():
    """The rule's own example: five of twenty, 11.2 % to 46.9 %."""
    found = in_bed(checks(present=5, absent=15), 0.6)
    assert (round(found.share.low, 3), round(found.share.high, 3)) == (0.112, 0.469)


@given(st.integers(0, 60), st.integers(0, 60), st.sampled_from([0.5, 0.6, 0.75, 0.9]))
@settings(deadline=None)
def test_so_many_further_checks_would_do_and_one_fewer_would_not(present, absent, threshold):
    answered = present + absent
    further = further_checks(present, answered, threshold)
    share = present / answered if answered else 0.5
    if further is None:
        assert abs(share - threshold) < 0.002
        return

    def is_sure(m):
        found = rate(round(share * (answered + m)) if m else present, answered + m)
        return answered + m > 0 and (found.high < threshold or found.low >= threshold)

    assert is_sure(further)
    assert (further == 0) == is_sure(0)


def test_the_threshold_is_the_rules_and_the_regions():
    assert threshold_of(None, None, dt.date(2026, 3, 2)) == 0.6
    assert threshold_of("371121", None, dt.date(2026, 3, 2)) == 0.6
