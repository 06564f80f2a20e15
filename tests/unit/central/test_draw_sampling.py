"""The sample: its chances are what the weights say, and nothing but the seed moves it."""

import hashlib
import itertools
from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parts.examples import examples
from scipy import stats

from renzheng.central.draw.risk import Risk, Weighting, weigh
from renzheng.central.draw.sampling import Candidate, Stream, Unit, chances, choose, draw

TRIALS = 6_000
FAR = 1e-6
"""A p-value below which chance alone is not believed; the seeds are fixed, so the outcome is too."""


def bed_of(ward, bed):
    return Candidate(f"{ward}.{bed}", 20 + 7 * bed + ward)


def seed_of(number):
    return hashlib.sha256(f"trial {number}".encode()).digest()


@pytest.mark.parametrize(
    ("weights", "size"),
    [
        ([1] * 10, 3),
        ([50, 100, 150, 200, 400, 800, 800, 300], 3),
        ([1, 1, 1, 1, 1000], 2),
        ([5, 5, 5, 90, 95, 100], 4),
        ([7], 1),
        ([3, 4], 5),
        ([1, 1_000_000], 1),
    ],
)
def test_each_is_chosen_as_often_as_its_weight_says(weights, size):
    expected = chances(weights, size)
    counts = Counter()
    for trial in range(TRIALS):
        counts.update(choose(weights, size, Stream(seed_of(trial), "units")))
    for place, chance in enumerate(expected):
        if chance == 1:
            assert counts[place] == TRIALS
        else:
            assert stats.binomtest(counts[place], TRIALS, float(chance)).pvalue > FAR, place


def test_two_stages_together_are_proportional_to_weight():
    """Chi-square over everybody, and each one's own count; the chance is n·w/W over both stages."""
    units = [
        Unit(f"H{ward}", "W", "inpatient", tuple(bed_of(ward, bed) for bed in range(6))) for ward in range(8)
    ]
    wards, per_ward = 3, 2
    total = sum(unit.weight for unit in units)
    expected = {
        one.ref: Fraction(wards * per_ward * one.weight, total) for unit in units for one in unit.candidates
    }
    counts = Counter()
    for trial in range(TRIALS):
        drawn = draw(seed_of(trial), units, wards, per_ward)
        assert len(drawn) == wards * per_ward
        assert all(one.chance == expected[one.ref] for one in drawn)
        counts.update(one.ref for one in drawn)
    assert sum(expected.values()) == wards * per_ward
    far = sum((counts[ref] - TRIALS * p) ** 2 / (TRIALS * p * (1 - p)) for ref, p in expected.items())
    assert stats.chi2.sf(float(far), len(expected)) > FAR
    for ref, p in expected.items():
        assert stats.binomtest(counts[ref], TRIALS, float(p)).pvalue > FAR


def test_the_test_itself_would_notice_a_bias():
    """The same statistic on a shuffle that is left out: neighbours are never drawn together, and it shows."""
    weights, size = [1] * 10, 5
    pairs = Counter()
    for trial in range(TRIALS):
        chosen = choose(weights, size, Stream(seed_of(trial), "units"))
        pairs.update(itertools.combinations(chosen, 2))
    chance = size * (size - 1) / (10 * 9)
    assert all(
        stats.binomtest(pairs[pair], TRIALS, chance).pvalue > FAR
        for pair in itertools.combinations(range(10), 2)
    )
    biased = Counter()
    for trial in range(TRIALS):
        start = Stream(seed_of(trial), "units").below(2)
        biased.update(itertools.combinations(range(start, 10, 2), 2))
    assert stats.binomtest(biased[0, 1], TRIALS, chance).pvalue < FAR


@given(
    st.lists(st.integers(1, 1000), min_size=1, max_size=40),
    st.integers(1, 50),
    st.binary(min_size=32, max_size=32),
)
@settings(max_examples=examples(300), deadline=None)
def test_the_size_is_kept_and_chances_add_up_to_it(weights, size, seed):
    chosen = choose(weights, size, Stream(seed, "units"))
    assert chosen == sorted(set(chosen))
    assert len(chosen) == min(size, len(weights))
    told = chances(weights, size)
    assert sum(told) == min(size, len(weights))
    assert all(0 < chance <= 1 for chance in told)
    assert all(place in chosen for place, chance in enumerate(told) if chance == 1)


def test_integers_below_a_bound_are_even():
    stream = Stream(seed_of(0), "units")
    counts = Counter(stream.below(7) for _ in range(TRIALS))
    assert stats.chisquare([counts[n] for n in range(7)]).pvalue > FAR


def test_a_word_past_the_last_multiple_is_passed_over():
    bound = 2**255 + 1  # nearly every second word must be passed over
    stream = Stream(seed_of(1), "units")
    assert all(stream.below(bound) < bound for _ in range(50))
    assert stream._count > 60


@pytest.mark.parametrize(
    ("risk", "weight"),
    [
        (Risk(), 100 + 150),
        (Risk(days_since_check=0), 100),
        (Risk(amount_fen=500, days_since_check=0), 200),
        (Risk(amount_fen=1000, findings=2, days_since_check=3), 100 + 200 + 80 + 30),
        (Risk(amount_fen=1000, findings=99, days_since_check=999), 100 + 200 + 200 + 300),
        (Risk(days_since_check=0, returned_fen=500), 100),
        (Risk(amount_fen=-5, days_since_check=-3, returned_fen=500), 100),
        (Risk(amount_fen=100_000, days_since_check=0, returned_fen=1000), (100 + 20_000) // 2),
        (Risk(amount_fen=100_000, days_since_check=0, returned_fen=9000), (100 + 20_000) // 2),
        (Risk(amount_fen=100_000, days_since_check=0, returned_fen=10), 20_100 * 995 // 1000),
        (
            Risk(amount_fen=100_000, days_since_check=0, returned_fen=1000, sent_fen=9000),
            20_100 * 950 // 1000,
        ),
        (Risk(amount_fen=100_000, days_since_check=0, sent_fen=9000), 20_100),
    ],
)
def test_weights_follow_the_risk(risk, weight):
    assert weigh(risk, 1000, Weighting()) == weight


@settings(deadline=None)
@given(
    st.builds(
        Risk,
        st.integers(-(10**12), 10**12),
        st.integers(0, 10**6),
        st.none() | st.integers(-5, 10**5),
        st.booleans(),
    ),
    st.integers(0, 10**12),
)
def test_nobody_weighs_less_than_the_floor(risk, largest):
    assert weigh(risk, largest, Weighting()) >= Weighting().floor
