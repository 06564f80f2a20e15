"""From a site's strangers to thresholds: where their scores lie, how they spread, and how their tail falls.

Pure functions. A small site cannot count false matches: among 15 people one pair in 105 is the rarest event
it can see. So the tail's shape comes from large sets of other people (`Prior`), its place and width from the
site's own, and the more pairs a site has, the more its own count speaks. All doubt is by people, who are
drawn again and again: pairs share people, and one person who resembles many makes many pairs alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from renzheng.models.decision import SameSex, Threshold

Scores = NDArray[np.float64]

FMRS = (0.3, 0.1, 0.03, 0.01, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 3e-6, 1e-6)

# A false match rate is counted rather than computed once so many false matches among the pairs carry it.
COUNTED_FALSE_MATCHES = 10
# How far beyond one false match among all pairs the computed tail is followed: a list of some forty people is
# searched at about this rate.
_FURTHEST_EXTRAPOLATION = 0.02
# What the prior's tail is worth, in expected false matches: with 5 it may be wrong by 45 % (one sigma).
_PRIOR_FALSE_MATCHES = 5.0
# Pairs that share a person fall together: half as many again are needed as if each came alone.
_OVERDISPERSION = 1.5
# Of genuine comparisons at most so many may miss a threshold that is offered.
_GENUINE_MISSING = 0.8
# Fewer people of a sex show nothing of their pairs.
_FEWEST_OF_A_SEX = 5
_RESAMPLES = 400
_BELOW_ONE = 0.999


@dataclass(frozen=True)
class Prior:
    """What large sets of other people say about strangers' scores, for one engine.

    Attributes:
        deviation: of strangers' scores; None where nothing is known of it.
        doubt: by what share a population's own deviation differs from that (one sigma).
        tail: (false match rate, deviations above the mean at which it is reached), the rate falling.
        people: how many people it was measured on.
    """

    deviation: float | None
    doubt: float
    tail: tuple[tuple[float, float], ...]
    people: int = 0

    def rate(self, deviations: Scores) -> Scores:
        """Return the share of strangers that score so many deviations above their mean."""
        rates, places = np.array(self.tail).T
        logs = np.log(rates)
        inner = np.interp(deviations, places, logs)
        fall = (logs[-1] - logs[-2]) / (places[-1] - places[-2])
        rise = (logs[1] - logs[0]) / (places[1] - places[0])
        beyond = np.where(deviations > places[-1], logs[-1] + fall * (deviations - places[-1]), inner)
        below = np.where(deviations < places[0], logs[0] + rise * (deviations - places[0]), beyond)
        share: Scores = np.exp(np.minimum(below, 0.0))
        return share


# Measured on 20 East Asian people and 157 of LFW, with every network and with sites of 10 to 60 people: at a
# rate of 1e-3 the place lay between 3.0 and 3.4 deviations (a normal distribution: 3.09). Beyond 3e-4 the
# fall is continued.
USUAL_TAIL = (
    (0.5, 0.0),
    (0.3, 0.52),
    (0.1, 1.31),
    (0.03, 1.93),
    (1e-2, 2.40),
    (3e-3, 2.82),
    (1e-3, 3.17),
    (3e-4, 3.57),
    (1e-4, 3.92),
    (1e-5, 4.60),
    (1e-6, 5.20),
)
UNKNOWN = Prior(deviation=None, doubt=0.0, tail=USUAL_TAIL)


@dataclass(frozen=True)
class Pairs:
    """The scores of each ordered pair of people: mean and mean square over their comparisons; NaN on oneself.

    Attributes:
        mean: (people, people), probes' person by references' person.
        square: (people, people).
        scores: (templates, people) single scores, NaN with oneself.
        person: (templates,) whose.
    """

    mean: Scores
    square: Scores
    scores: Scores
    person: NDArray[np.int64]

    @property
    def people(self) -> int:
        """How many people there are."""
        return len(self.mean)

    @property
    def count(self) -> float:
        """How many pairs they make."""
        return self.people * (self.people - 1) / 2

    def reaching(self, threshold: float) -> float:
        """How many pairs reach a threshold; a pair of several comparisons by its share of them."""
        hit = np.where(np.isfinite(self.scores), self.scores >= threshold, 0.0)
        return float(_by_person(hit, self.person, self.people).sum() / 2)


def pairs_of(scores: Scores, person: NDArray[np.int64]) -> Pairs:
    """Summarise single scores, (templates, people), by pairs of people."""
    people = scores.shape[1]
    own = np.eye(people, dtype=bool)
    mean, square = (_by_person(np.nan_to_num(part), person, people) for part in (scores, scores**2))
    mean[own] = square[own] = np.nan
    return Pairs(mean, square, scores, person)


def _by_person(values: Scores, person: NDArray[np.int64], people: int) -> Scores:
    """Average rows over each person."""
    sums = np.zeros((people, values.shape[1]))
    np.add.at(sums, person, values)
    averages: Scores = sums / np.bincount(person, minlength=people)[:, None]
    return averages


@dataclass(frozen=True)
class Spread:
    """Mean and deviation of strangers' scores, as often as the people were drawn again.

    Attributes:
        mean: (draws,)
        deviation: (draws,) drawn towards the prior's by how little the site says.
        chance: (draws,) standard normal numbers, for further doubt.
    """

    mean: Scores
    deviation: Scores
    chance: Scores


def spread_of(pairs: Pairs, excess: float, prior: Prior) -> Spread:
    """Measure place and width of strangers' scores with their doubt.

    Args:
        pairs: the site's.
        excess: by how much the pairs' mean is too high for a space made of everyone.
        prior: towards whose deviation the site's is drawn.
    """
    weights = _drawn_people(pairs.people)
    mean, square = (_weighted(part, weights) for part in (pairs.mean, pairs.square))
    own = _weighted(pairs.mean, np.ones((1, pairs.people)))[0]
    own_square = _weighted(pairs.square, np.ones((1, pairs.people)))[0]
    widths = np.log(np.maximum(np.sqrt(np.maximum(square - mean**2, 0)), 1e-6))
    width = float(np.log(max(np.sqrt(max(own_square - own**2, 0)), 1e-6)))
    widths = width + widths - widths.mean()  # drawing people again narrows the spread a little
    mean = own + mean - mean.mean() - excess
    chance = _chance()
    if prior.deviation is not None:
        doubt = float(widths.var())
        share = prior.doubt**2 / (prior.doubt**2 + doubt)
        widths = share * widths + (1 - share) * np.log(prior.deviation)
        widths = widths + np.sqrt(share * (1 - share) * doubt) * chance
    return Spread(mean, np.exp(widths), chance)


def _drawn_people(people: int) -> Scores:
    """Draw how much each person counts, again and again (Bayesian bootstrap), always the same draws."""
    weights: Scores = np.random.default_rng(0).exponential(1, (_RESAMPLES, people))
    return weights


def _chance() -> Scores:
    numbers: Scores = np.random.default_rng(1).normal(0, 1, _RESAMPLES)
    return numbers


def _weighted(values: Scores, weights: Scores) -> Scores:
    """Average over ordered pairs, each counting by the product of its two people's weights."""
    filled = np.nan_to_num(values)
    total = weights.sum(axis=1) ** 2 - (weights**2).sum(axis=1)
    average: Scores = np.einsum("bi,bi->b", weights @ filled, weights) / total
    return average


def thresholds_of(
    pairs: Pairs, spread: Spread, prior: Prior, genuine: Scores | None = None
) -> tuple[Threshold, ...]:
    """Return the operating points that a site's strangers support, the rate falling.

    Args:
        pairs: the site's.
        spread: of their scores.
        prior: the tail's shape.
        genuine: scores of the site's people with their own references. A rate that needs a score which only
            one in five of them reaches is left out: hardly anybody would pass. The rate at that score is the
            last one offered.
    """
    reach = None if genuine is None else float(np.quantile(genuine, _GENUINE_MISSING))
    points = _within_reach(pairs, spread, prior, reach)
    if genuine is None:
        return points
    return tuple(replace(each, fnmr=float(np.mean(genuine < each.score))) for each in points)


def _within_reach(pairs: Pairs, spread: Spread, prior: Prior, reach: float | None) -> tuple[Threshold, ...]:
    furthest = _FURTHEST_EXTRAPOLATION / pairs.count
    points: list[Threshold] = []
    for fmr in (*(one for one in FMRS if one > furthest), furthest):
        point = _point(pairs, spread, prior, fmr)
        if points and point.score < points[-1].score:
            continue
        if reach is not None and point.score > reach and len(points) >= 2:  # noqa: PLR2004 - a line takes two
            last = _last(points[-1], point, reach)
            return (*points, last) if last else tuple(points)
        points.append(point)
    return tuple(points)


def _last(before: Threshold, beyond: Threshold, reach: float) -> Threshold | None:
    """Return the point at the score that genuine people reach, between two points; None if it is one."""
    share = (reach - before.score) / (beyond.score - before.score)
    if share < 1e-3:  # noqa: PLR2004 - the point before serves
        return None
    low, high, fmr = (
        float(np.exp((1 - share) * np.log(max(one, 1e-12)) + share * np.log(max(other, 1e-12))))
        for one, other in (
            (before.fmr_low, beyond.fmr_low),
            (before.fmr_high, beyond.fmr_high),
            (before.fmr, beyond.fmr),
        )
    )
    return Threshold(reach, fmr, low, high, beyond.basis)


def _point(pairs: Pairs, spread: Spread, prior: Prior, fmr: float) -> Threshold:
    """Return the threshold at which the expected false match rate, all doubt included, is `fmr`."""
    expected = fmr * pairs.count / _OVERDISPERSION
    found = pairs.reaching(_solved(spread, prior, fmr)) / _OVERDISPERSION
    heavier = (_PRIOR_FALSE_MATCHES + found) / (_PRIOR_FALSE_MATCHES + expected)
    score = _solved(spread, prior, fmr / heavier)
    doubt = 1 / np.sqrt(_PRIOR_FALSE_MATCHES + found)
    rates = heavier * np.exp(doubt * spread.chance[::-1]) * _rates(spread, prior, score)
    low, high = np.quantile(rates, [0.025, 0.975])
    basis = "site" if pairs.count * fmr >= COUNTED_FALSE_MATCHES else "site-model"
    return Threshold(score, fmr, float(min(low, fmr)), float(min(1.0, max(high, fmr))), basis)


def _rates(spread: Spread, prior: Prior, score: float) -> Scores:
    return prior.rate((score - spread.mean) / spread.deviation)


def _solved(spread: Spread, prior: Prior, fmr: float) -> float:
    """Find the score whose false match rate, averaged over all draws, is `fmr`; below 1."""
    low, high = -1.0, _BELOW_ONE
    for _ in range(40):
        middle = (low + high) / 2
        if float(_rates(spread, prior, middle).mean()) > fmr:
            low = middle
        else:
            high = middle
    return high


def same_sex(
    pairs: Pairs, excess: float, prior: Prior, thresholds: Sequence[Threshold], sexes: Sequence[str]
) -> tuple[SameSex, ...]:
    """Return what thresholds mean among people of one sex: by their pairs' mean and deviation, same tail.

    Args:
        pairs: the site's.
        excess: as for `spread_of`.
        prior: the tail's shape.
        thresholds: the site's.
        sexes: of the pairs' people; the empty string where it is not known.
    """
    found = []
    for sex in sorted(set(sexes) - {""}):
        who = np.flatnonzero(np.array(sexes) == sex)
        if len(who) < _FEWEST_OF_A_SEX:
            continue
        mean, square = (float(np.nanmean(part[np.ix_(who, who)])) for part in (pairs.mean, pairs.square))
        width = max(float(np.sqrt(max(square - mean**2, 0.0))), 1e-6)
        scores = np.array([each.score for each in thresholds])
        rates = prior.rate((scores - mean + excess) / width)
        at = tuple((each.fmr, float(rate)) for each, rate in zip(thresholds, rates, strict=True))
        found.append(SameSex(sex, len(who), len(who) * (len(who) - 1) // 2, at))
    return tuple(found)
