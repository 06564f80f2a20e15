"""Kinds that count are as fast as they need to be, and equal to their obvious definitions."""

from hypothesis import given, settings
from hypothesis import strategies as st

from renzheng.rules.knowledge import kinds
from renzheng.rules.knowledge.facts import HOUR_US, Encounter, Line, Patient, situation
from renzheng.rules.knowledge.points import Kind, Point

DAY_US = 24 * HOUR_US
LINES = st.lists(
    st.builds(
        lambda code, quantity, half_hours, place, visit, at_hand: {
            "code": code, "quantity_e4": quantity * 10_000, "amount_fen": quantity * 100,
            "at_us": 20_000 * DAY_US + half_hours * HOUR_US // 2, "institution_id": place, "visit_id": visit,
            "at_hand": at_hand,
        },
        st.sampled_from("AB"), st.sampled_from([1, 1, 2, -1]), st.integers(0, 240), st.sampled_from("HK"),
        st.sampled_from("VW"), st.booleans(),
    ),
    max_size=14,
)  # fmt: skip


def seen(rows):
    lines = [Line(id=f"{at:02}", **row) for at, row in enumerate(rows)]
    return situation(
        Patient("P"),
        Encounter("H", "V"),
        [one for one in lines if one.at_hand],
        [one for one in lines if not one.at_hand],
    )


def here(now, *codes):
    return [line for code in codes for line in now.by_code.get(code, ()) if line.institution_id == "H"]


@settings(max_examples=120, deadline=None)
@given(LINES, st.sampled_from([("hours", 6), ("hours", 30), ("hour", 1), ("day", 1), ("visit", 1)]))
def test_pairs(rows, limit):
    now = seen(rows)
    unit, value = limit
    alike = {
        "hours": lambda one, other: abs(one.at_us - other.at_us) < value * HOUR_US,
        "hour": lambda one, other: one.at_us // HOUR_US == other.at_us // HOUR_US,
        "day": lambda one, other: one.day == other.day,
        "visit": lambda one, other: one.visit_id == other.visit_id,
    }[unit]
    expected = [
        sub.id
        for sub in here(now, "B")
        for mains in [[one for one in here(now, "A") if alike(one, sub)]]
        if mains and any(one.at_hand for one in (sub, *mains))
    ]
    found = kinds.pair(Point("p", Kind.PAIR, ("A", "B"), "", value, unit), now)
    assert [line.id for hit in found for line in hit.lines] == expected


@settings(max_examples=120, deadline=None)
@given(LINES, st.integers(1, 3))
def test_24_hours(rows, most):
    now = seen(rows)
    lines = sorted(here(now, "A"), key=lambda one: (one.at_us, one.id))
    expected = set()
    for first in lines:
        window = [one for one in lines if first.at_us <= one.at_us < first.at_us + DAY_US]
        over = sum(one.quantity_e4 for one in window) > most * 10_000
        if over and any(one.at_hand for one in window):
            expected |= {one.id for one in window}
    found = kinds.frequency(Point("p", Kind.FREQUENCY, ("A",), "", most, "24 hours"), now)
    assert {line.id for hit in found for line in hit.lines} == expected


@settings(max_examples=120, deadline=None)
@given(LINES, st.integers(1, 3), st.sampled_from(["day", "time"]), st.sampled_from([None, 1, 2, 5]))
def test_courses(rows, most, unit, within):
    now = seen(rows)
    lines = [line for code in "AB" for line in now.by_code.get(code, ())]
    expected = {}
    for last in (one for one in lines if one.at_hand):
        course = [one for one in lines if one.at_us <= last.at_us]
        if within is None:
            same = (last.institution_id, last.visit_id)
            course = [one for one in course if (one.institution_id, one.visit_id) == same]
        else:
            course = [one for one in course if one.day > last.day - within]
        days = len({one.day for one in course}) * 10_000
        billed = days if unit == "day" else sum(one.quantity_e4 for one in course)
        if billed > most * 10_000:
            expected[last.id] = billed
    found = kinds.period(Point("p", Kind.PERIOD, ("A", "B"), "", most, unit, within), now)
    assert {hit.lines[0].id: hit.billed for hit in found} == expected


@settings(max_examples=120, deadline=None)
@given(LINES)
def test_what_is_taken_back_leaves_what_the_rest_comes_to(rows):
    now = seen(rows)
    for code in "AB":
        for place in "HK":
            left = 0
            for row in sorted(
                (row for row in rows if (row["code"], row["institution_id"]) == (code, place)),
                key=lambda row: (row["at_us"] // DAY_US, row["quantity_e4"] < 0),
            ):
                left = max(0, left + row["quantity_e4"])
            kept = [one for one in now.by_code.get(code, ()) if one.institution_id == place]
            assert sum(one.quantity_e4 for one in kept) == left
            assert all(one.quantity_e4 > 0 for one in kept)
