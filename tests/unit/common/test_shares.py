"""Wilson's interval, against published values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from renzheng.common.shares import wilson


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    # Newcombe, Statistics in Medicine 17 (1998) 857-872, table I, method 3: score, without correction
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_interval_is_the_published_one(hits, trials, low, high):
    assert [round(one, 4) for one in wilson(hits, trials)] == [low, high]
    mirrored = [round(1 - one, 4) for one in wilson(trials - hits, trials)]
    assert mirrored == [high, low]


def test_of_no_trials_nothing_is_known():
    assert wilson(0, 0) == (0.0, 1.0)


@given(st.integers(0, 10**6), st.integers(1, 10**6))
def test_it_lies_within_0_and_1_and_holds_the_share(hits, trials):
    hits = min(hits, trials)
    low, high = wilson(hits, trials)
    assert 0 <= low <= hits / trials <= high <= 1
