"""Error rates against the slow and obvious way of counting them."""

import math
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from renzheng.models.evaluation.by_people import error_rates
from renzheng.models.evaluation.drawing import det_svg, scores_svg
from renzheng.models.evaluation.metrics import (
    bin_edges,
    det_curve,
    equal_error_rate,
    fnir_at_fpir,
    histogram,
    rate,
    share_at_least,
    threshold_for,
)
from renzheng.models.evaluation.sets import all_pairs

scores = arrays(np.float64, st.integers(1, 60), elements=st.integers(-5, 5).map(float))


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    # Wilson's interval as statistics text books tabulate it.
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (5, 10, 0.2366, 0.7634), (0, 42, 0.0, 0.0838)],
)
def test_the_interval_is_wilson_s(hits: int, trials: int, low: float, high: float) -> None:
    found = rate(hits, trials)
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


@given(st.integers(0, 500), st.integers(1, 500))
def test_an_interval_holds_its_share(hits: int, trials: int) -> None:
    found = rate(min(hits, trials), trials)
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_of_nothing_nothing_is_known() -> None:
    assert (rate(0, 0).low, rate(0, 0).high) == (0, 1)


@given(scores, st.sampled_from([0.5, 0.1, 0.01, 1e-3]))
def test_a_threshold_is_the_lowest_that_keeps_the_rate(non_mated: np.ndarray, fmr: float) -> None:
    threshold = threshold_for(non_mated, fmr)
    assert np.mean(non_mated >= threshold) <= fmr + 1e-12
    lower = [value for value in non_mated if value < threshold]
    if lower:
        assert np.mean(non_mated >= max(lower)) > fmr


def test_without_strangers_no_threshold_is_safe() -> None:
    assert threshold_for(np.array([]), 0.1) == math.inf


@given(scores, scores)
def test_the_equal_error_rate_is_where_the_rates_meet(mated: np.ndarray, non_mated: np.ndarray) -> None:
    found = equal_error_rate(mated, non_mated)
    rates = [
        (float(np.mean(mated < threshold)), float(np.mean(non_mated >= threshold)))
        for threshold in np.unique(np.concatenate([mated, non_mated]))
    ]
    closest = min(abs(fnmr - fmr) for fnmr, fmr in rates)
    assert any(
        math.isclose((fnmr + fmr) / 2, found) and math.isclose(abs(fnmr - fmr), closest, abs_tol=1e-12)
        for fnmr, fmr in rates
    )


def test_error_rates_of_separated_scores_are_zero() -> None:
    assert equal_error_rate(np.array([2.0, 3.0]), np.array([0.0, 1.0])) == 0
    assert share_at_least(np.array([1.0, 2.0]), 2.0).value == 0.5


@given(scores, scores)
def test_a_det_curve_counts_as_one_would_by_hand(mated: np.ndarray, non_mated: np.ndarray) -> None:
    curve = det_curve(mated, non_mated, points=20)
    for threshold, fmr, fnmr in curve:
        assert fmr == pytest.approx(np.mean(non_mated >= threshold))
        assert fnmr == pytest.approx(np.mean(mated < threshold))
    assert [fmr for _, fmr, _ in curve] == sorted((fmr for _, fmr, _ in curve), reverse=True)


def test_open_set_search_fails_on_a_wrong_first_as_on_a_low_score() -> None:
    own = np.array([0.9, 0.8, 0.2, -np.inf])
    best_other = np.array([0.1, 0.85, 0.1, 0.3])
    # One of four strangers may be found: the threshold lies just above 0.3.
    assert fnir_at_fpir(own, best_other, 0.25) == 0.75
    assert fnir_at_fpir(own[:1], best_other[:1], 0.01) == 0


def test_the_curve_is_drawn_as_svg_and_names_are_escaped() -> None:
    curve = det_curve(np.linspace(0, 1, 50), np.linspace(-1, 0.3, 50))
    drawn = det_svg({"a<b&c": curve, "women": curve})
    ET.fromstring(drawn)
    assert "a&lt;b&amp;c" in drawn
    assert drawn.count("<polyline") == 2


def test_spreads_are_drawn_as_svg_one_panel_a_group() -> None:
    edges = bin_edges(np.array([-1.0, 1.0]))
    spread = histogram(np.array([0.5, 0.6]), np.array([-0.5, -0.4, 0.0]), edges)
    assert sum(spread.mated) == pytest.approx(1)
    assert sum(spread.non_mated) == pytest.approx(1)
    nobody = histogram(np.array([]), np.array([]), edges)
    drawn = scores_svg({"all": spread, "<nobody>": nobody}, 0.25)
    ET.fromstring(drawn)
    assert drawn.count("<polygon") == 2
    assert "&lt;nobody&gt;" in drawn
    assert "0.2500" in drawn


def test_rates_by_people_count_people() -> None:
    person = np.repeat(np.arange(20), 4)
    made = all_pairs(person)
    scores = np.array([0.9 if each.mated else 0.1 for each in made])
    of_one = [number for number, each in enumerate(made) if each.mated and person[each.probe] == 0]
    scores[of_one] = 0.0  # one of twenty people is never found
    false_match, false_non_match = error_rates(made, scores, person, 0.5)
    assert false_non_match.value == pytest.approx(1 / 20)
    assert false_non_match.high > 0.12  # of 120 independent comparisons it would be 0.10
    assert (false_match.value, false_match.low) == (0, 0)
    assert false_match.high == pytest.approx(1 - 0.025 ** (1 / 190))  # of 190 pairs of people, not 3,040
