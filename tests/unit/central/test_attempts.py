"""Visits put together from attempts, and figures counted by people."""

import dataclasses

import pytest

from renzheng.central.attempts.figures import (
    By,
    Finding,
    Group,
    Traits,
    band,
    difference,
    figures,
    group,
    publishable,
)
from renzheng.central.attempts.publishing import gauges_of
from renzheng.central.attempts.visits import VISIT_MS, Attempt, Visit, visits
from renzheng.models.evaluation.metrics import Rate, rate

TRIED = Attempt("k1", "H1", "P1", 0, "identity_check", "not_acquired", None, None, "b", 0)


def at(ms, **changes):
    return dataclasses.replace(TRIED, at_us=ms * 1000, monotonic_ms=ms, **changes)


def green(ms, **changes):
    return at(ms, **{"kind": "sign_in", "outcome": "match", "engine": "dlib", "decision_ms": 700, **changes})


def witnessed(ms, outcome="manual", **changes):
    return at(ms, kind="sign_in", outcome=outcome, **changes)


SECOND_TRY = [
    at(0, outcome="non_match", engine="dlib", decision_ms=900),
    green(6_000),
]
ENDINGS = [  # attempts; tries, green, other way, failed, milliseconds to green
    ([green(0)], (1, True, False, False, 700)),
    (SECOND_TRY, (2, True, False, False, 6_900)),
    ([at(0), green(5_000)], (2, True, False, False, 5_000)),
    ([at(0), at(5_000), at(9_000), witnessed(20_000)], (3, False, True, True, None)),
    ([witnessed(0)], (0, False, True, False, None)),
    ([witnessed(0, "declined")], (0, False, True, False, None)),
    ([at(0)], (1, False, False, True, None)),
    ([at(0, boot_id="before"), green(5_000)], (2, True, False, False, None)),
]


@pytest.mark.parametrize(("attempts", "expected"), ENDINGS)
def test_a_visit_and_how_it_ended(attempts, expected):
    (one,) = visits(attempts)
    assert (one.tries, one.green, one.other_way, one.failed, one.green_ms) == expected


APART = [  # what begins a second visit
    [green(0), green(1_000, kind="sign_out")],
    [at(0), green(1_000, person_id="P2")],
    [at(0), green(VISIT_MS + 1)],
    [at(0), green(1_000, device_id="k2")],
    [at(9_000), green(1_000)],
]


@pytest.mark.parametrize("attempts", APART)
def test_what_does_not_belong_together(attempts):
    assert len(list(visits(attempts))) == 2


def test_a_visit_without_a_comparison_is_of_the_device_s_engine():
    told = [witnessed(0), green(1), witnessed(2), green(3, engine="fused"), witnessed(4)]
    assert [one.engine for one in visits(told)] == ["dlib", "dlib", "dlib", "fused", "fused"]
    assert [one.engine for one in visits([witnessed(0)])] == [None]


def of(person, *, failed=False, times=1, engine="dlib", ms=1_000):
    one = Visit("H1", person, 0, engine, 3 if failed else 1, not failed, failed, None if failed else ms)
    return [one] * times


def crowd(prefix, people, failing):
    return [one for n in range(people) for one in of(f"{prefix}{n}", failed=n < failing, times=1 + n % 3)]


def test_people_count_and_not_their_visits():
    often = of("often", failed=True, times=500)
    found = group("all", [*often, *(one for n in range(9) for one in of(f"P{n}", ms=1_000 + n))])
    assert (found.people, found.visits) == (10, 509)
    assert found.failed.value == pytest.approx(0.1)
    assert found.failed.low < 0.02
    assert found.failed.high > 0.3
    assert found.tries.value == pytest.approx(1.2)
    assert found.tries.low < 1.2 < found.tries.high
    assert found.seconds is None  # nine people only were ever green


def test_who_comes_often_and_fails_at_random_narrows_the_interval_and_who_always_fails_does_not():
    at_random = group(
        "all", [v for n in range(40) for k in range(20) for v in of(f"P{n}", failed=k == n % 20)]
    )
    always = group("all", [v for n in range(40) for v in of(f"P{n}", failed=n < 2, times=20)])
    assert at_random.failed.value == always.failed.value == pytest.approx(0.05)
    assert 0.035 < at_random.failed.low < at_random.failed.high < 0.07  # 800 visits that do not depend
    assert always.failed.low < 0.015  # 40 people
    assert always.failed.high > 0.16
    nobody = group("all", [v for n in range(40) for v in of(f"P{n}", times=20)])
    assert nobody.failed.high == pytest.approx(rate(0, 40).high)


def test_the_median_of_people_s_medians_has_an_interval_by_ranks():
    found = group("all", [one for n in range(20) for one in of(f"P{n}", ms=1_000 * (n + 1))])
    # of 20 values the 6th and the 15th bound the median's 95 % interval: fewer than 6 of 20 heads come 2.1 %
    # of the time, fewer than 7 come 5.8 %
    assert found.seconds == Rate(10.5, 6.0, 15.0)
    many = group("all", [one for n in range(1_001) for one in of(f"P{n}", ms=n)])
    assert many.seconds.value == 0.5
    assert many.seconds.low == pytest.approx(0.469, abs=0.002)


def test_of_few_people_nothing_is_said():
    found = group("all", crowd("P", 9, 3))
    assert found == Group("all", 9, len(crowd("P", 9, 3)))
    assert list(gauges_of(figures(crowd("P", 9, 3), {}))) == []


MEASURES = [(of, measure) for of in ("old", "women") for measure in ("failed", "again")]


def test_old_patients_who_are_failed_are_seen_and_chance_is_not():
    traits = {f"O{n}": Traits(75, "F") for n in range(40)} | {f"Y{n}": Traits(50, "M") for n in range(40)}
    found = figures([*crowd("O", 40, 12), *crowd("Y", 40, 1)], traits).comparisons
    assert [(one.of, one.measure) for one in found] == MEASURES
    assert {one.finding for one in found} == {Finding.MORE}
    old = found[0]
    assert old.difference.value == pytest.approx(11 / 40)
    assert figures([*crowd("O", 40, 4), *crowd("Y", 40, 2)], traits).comparisons[0].finding is (
        Finding.NO_DIFFERENCE
    )
    assert figures([*crowd("O", 40, 0), *crowd("Y", 40, 20)], traits).comparisons[0].finding is Finding.LESS
    assert figures([*crowd("O", 9, 9), *crowd("Y", 40, 0)], traits).comparisons[0].finding is Finding.TOO_FEW


def test_the_difference_of_two_shares_is_newcombe_s():
    # 56 of 70 against 48 of 80: 0.2, 0.0524 to 0.3339 (Newcombe 1998, table II, example a, method 10)
    found = difference(rate(56, 70), rate(48, 80))
    assert (found.low, found.high) == (pytest.approx(0.0524, abs=1e-4), pytest.approx(0.3339, abs=1e-4))


@pytest.mark.parametrize(
    ("years", "name"),
    [(None, "unknown"), (-1, "unknown"), (0, "0-9"), (69, "60-69"), (80, "80+"), (101, "80+")],
)
def test_age_bands(years, name):
    assert band(years) == name


def groups_of(*people):
    return [group(str(n), crowd(f"{n}-", count, 0)) for n, count in enumerate(people)]


@pytest.mark.parametrize(
    ("people", "told"),
    [((30, 20), [30, 20]), ((30, 20, 3), [30]), ((30, 6, 5), [30]), ((30, 12, 4, 4), [30]), ((12, 3), [])],
)
def test_what_is_told_gives_no_small_group_away(people, told):
    assert [one.people for one in publishable(groups_of(*people))] == told


def test_gauges_are_few_whatever_devices_call_their_engines():
    told = [one for n in range(300) for one in of(f"P{n}", engine=f"engine-{n // 11}")]
    found = figures(told, {f"P{n}": Traits(n % 90, "FM"[n % 2]) for n in range(300)})
    assert len(found.groups[By.ENGINE]) == 7
    assert found.groups[By.ENGINE][-1].name == "others"
    assert [one.name for one in found.groups[By.AGE]][:2] == ["0-9", "10-19"]
    gauges = list(gauges_of(found))
    assert len({(name, labels) for name, labels, _ in gauges}) == len(gauges) < 400
