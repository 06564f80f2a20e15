"""Error rates whose intervals come from drawing people again, not comparisons.

A person's comparisons are alike: a set of 20 people says what 20 people say, however many photographs it has.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from renzheng.models.evaluation.metrics import Rate, Scores
from renzheng.models.evaluation.sets import Comparison

Counts = NDArray[np.float64]
MOST_PEOPLE = 2_000
"""Of more people the interval of a rate of pairs is taken from so many: the product of pairs is large."""
_RESAMPLES = 1000


def error_rates(
    made: Sequence[Comparison], scores: Scores, person: NDArray[np.int64], threshold: float
) -> tuple[Rate, Rate]:
    """Return false match rate and false non-match rate at a threshold, with 95 % intervals by people.

    Args:
        made: comparisons.
        scores: one for each.
        person: (images,) who each image is of.
        threshold: comparison score from which it is a match.
    """
    people, numbers = np.unique(person, return_inverse=True)
    one = np.array([numbers[each.probe] for each in made], dtype=np.int64)
    other = np.array([numbers[each.references[0]] for each in made], dtype=np.int64)
    mated, reached = one == other, scores >= threshold
    missed, tried = (np.bincount(one[each], minlength=len(people)) for each in (mated & ~reached, mated))
    strange = np.zeros((2, len(people), len(people)))
    for part, chosen in zip(strange, (~mated & reached, ~mated), strict=True):
        np.add.at(part, (one[chosen], other[chosen]), 1)
        np.add.at(part, (other[chosen], one[chosen]), 1)  # a pair of people has no order
    return rate_by_pairs(*strange), rate_by_people(missed.astype(float), tried.astype(float))


def _drawn(people: int) -> Counts:
    weights: Counts = np.random.default_rng(0).exponential(1, (_RESAMPLES, people))
    return weights


def rate_by_people(hits: Counts, trials: Counts) -> Rate:
    """Return a share with the 95 % interval that drawing its people again gives."""
    there = trials > 0
    if not there.any():
        return Rate(float("nan"), 0.0, 1.0)
    weights = _drawn(int(there.sum()))
    drawn = (weights @ hits[there]) / (weights @ trials[there])
    return _rate(hits.sum() / trials.sum(), drawn, int(there.sum()))


def rate_by_pairs(hits: Counts, trials: Counts) -> Rate:
    """Return a share of pairs; both people of a pair are drawn again."""
    there = np.flatnonzero((trials.sum(axis=0) + trials.sum(axis=1)) > 0)
    if not len(there):
        return Rate(float("nan"), 0.0, 1.0)
    value, units = hits.sum() / trials.sum(), int((trials > 0).sum()) // 2
    there = there[:: -(-len(there) // MOST_PEOPLE)]
    weights = _drawn(len(there))
    hits, trials = hits[np.ix_(there, there)], trials[np.ix_(there, there)]
    above, below = (np.einsum("bi,bi->b", weights @ part, weights) for part in (hits, trials))
    return _rate(value, above / below, units)


def _rate(value: float, drawn: Counts, units: int) -> Rate:
    """Return a rate with its interval; where nothing or everything was a hit, by the number of units."""
    low, high = (float(each) for each in np.quantile(drawn, [0.025, 0.975]))
    rarest = 1 - 0.025 ** (1 / max(units, 1))
    if value <= 0:
        high = rarest
    if value >= 1:
        low = 1 - rarest
    return Rate(float(value), min(low, float(value)), max(high, float(value)))
