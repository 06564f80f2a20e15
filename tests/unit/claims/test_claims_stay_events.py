"""Replaying a visit's events: the same whatever the order in which they came."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from renzheng.central.claims.rejects import RowPlace
from renzheng.central.claims.stay_events import StayEvent, StayEventKind, fold

START = datetime(2026, 3, 2, tzinfo=UTC)
KINDS = st.sampled_from([kind for kind in StayEventKind if kind is not StayEventKind.AMEND])


def event(kind, hours, number, bed=None):
    moment = START + timedelta(hours=hours)
    return StayEvent(
        RowPlace("a", number), kind, "H", "V", "P", moment, moment, message_id=str(number), bed=bed
    )


@given(st.lists(KINDS, max_size=9), st.randoms(use_true_random=False))
def test_any_events_in_any_order_give_the_same(kinds, random):
    events = [event(kind, hours, hours, f"B{hours}") for hours, kind in enumerate(kinds)]
    shuffled = list(events)
    random.shuffle(shuffled)
    assert fold(shuffled) == fold(events)


@given(st.lists(KINDS, max_size=9))
def test_a_repeated_message_changes_nothing_but_is_named(kinds):
    events = [event(kind, hours, hours) for hours, kind in enumerate(kinds)]
    once, twice = fold(events), fold(events + events)
    assert twice.drafts == once.drafts
    assert len(twice.remarks) == len(once.remarks) + len(events)


@given(st.integers(1, 6))
def test_as_many_cancellations_as_moves_lead_back_to_the_first_bed(moves):
    events = [event(StayEventKind.ADMIT, 0, 0, "B0")]
    events += [event(StayEventKind.TRANSFER, n, n, f"B{n}") for n in range(1, moves + 1)]
    events += [event(StayEventKind.CANCEL_TRANSFER, 10 + n, 10 + n) for n in range(moves)]
    folded = fold(events)
    assert folded.drafts[0].values["bed"] == "B0"
    assert folded.remarks == ()


def test_a_visit_admitted_anew_after_a_cancellation_is_a_stay():
    events = [
        event(StayEventKind.ADMIT, 0, 0, "B0"),
        event(StayEventKind.CANCEL_ADMIT, 1, 1),
        event(StayEventKind.ADMIT, 2, 2, "B2"),
    ]
    (stay,) = fold(events).drafts
    assert (stay.values["admitted_at"], stay.values["bed"]) == (START + timedelta(hours=2), "B2")


def test_no_events_are_no_stay():
    assert fold([]).drafts == ()


def ended(kind, hours, number, end=None):
    at = START + timedelta(hours=end if end is not None else hours)
    told = START + timedelta(hours=hours)
    changed = {"discharged_at": at} if kind is StayEventKind.UPDATE else {}
    return StayEvent(RowPlace("a", number), kind, "H", "V", "P", at, told, message_id=str(number), **changed)


def test_a_discharge_was_told_by_the_first_message_since_which_it_holds():
    events = [
        event(StayEventKind.ADMIT, 0, 0),
        ended(StayEventKind.DISCHARGE, 10, 1),
        ended(StayEventKind.UPDATE, 12, 2, end=10),
        ended(StayEventKind.DISCHARGE, 14, 3, end=10),
    ]
    assert fold(events).drafts[0].values["discharge_recorded_at"] == START + timedelta(hours=10)
    taken_back = [*events, ended(StayEventKind.CANCEL_DISCHARGE, 20, 4)]
    assert fold(taken_back).drafts[0].values["discharge_recorded_at"] is None
    again = [*taken_back, ended(StayEventKind.UPDATE, 30, 5, end=10)]
    assert fold(again).drafts[0].values["discharge_recorded_at"] == START + timedelta(hours=30)


@pytest.mark.parametrize(
    ("done", "undone"),
    [
        (StayEventKind.TRANSFER, StayEventKind.CANCEL_TRANSFER),
        (StayEventKind.DISCHARGE, StayEventKind.CANCEL_DISCHARGE),
        (StayEventKind.LEAVE, StayEventKind.CANCEL_LEAVE),
        (StayEventKind.LEAVE, StayEventKind.RETURN),
    ],
)
def test_what_is_done_and_undone_in_one_moment_is_so_in_whatever_order_it_is_told(done, undone):
    events = [event(StayEventKind.ADMIT, 0, 0, "B0"), event(done, 1, 1, "B1"), event(undone, 1, 2, "B0")]
    folded = fold(events)
    assert fold(events[::-1]) == folded
    assert folded.remarks == ()
    assert folded.drafts[0].values["discharged_at"] is None


def _absences(*events):
    """Hours of departure and return of the leaves."""
    leaves = [one.values for one in fold(events).drafts if one.table == "leaves"]
    hours = [(one["left_at"], one["returned_at"]) for one in leaves]
    return [tuple(at and (at - START) / timedelta(hours=1) for at in pair) for pair in hours]


def test_a_leave_without_return_ends_where_the_next_one_begins():
    """Else it would explain every absence to the end of the stay."""
    kinds = [StayEventKind.ADMIT, StayEventKind.LEAVE, StayEventKind.LEAVE]
    admit, first, second = (event(kind, n, n) for n, kind in enumerate(kinds))
    back, undo = event(StayEventKind.RETURN, 5, 5), event(StayEventKind.CANCEL_LEAVE, 3, 3)
    assert _absences(admit, first, second, back) == [(1, 2), (2, 5)]
    assert _absences(admit, first, second, undo, back) == [(1, 5)]
    due = replace(first, due_back_at=START + timedelta(hours=1.5))
    assert _absences(admit, due, second, back) == [(1, None), (2, 5)]


def test_a_leave_without_return_does_not_reach_into_the_next_stretch_of_the_visit():
    kinds = [StayEventKind.ADMIT, StayEventKind.LEAVE, StayEventKind.DISCHARGE, StayEventKind.ADMIT]
    assert _absences(*(event(kind, n, n) for n, kind in enumerate(kinds))) == [(1, 2)]
    cancelled = [*kinds[:3], StayEventKind.CANCEL_DISCHARGE]
    assert _absences(*(event(kind, n, n) for n, kind in enumerate(cancelled))) == [(1, None)]
