"""Error rates and their intervals. Arrays in, numbers out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from renzheng.common.shares import wilson

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Rate:
    """A share and its 95 % interval (Wilson's)."""

    value: float
    low: float
    high: float


def rate(hits: int, trials: int) -> Rate:
    """Return hits / trials with Wilson's 95 % interval; of no trials, 0 with the interval 0 to 1."""
    return Rate(hits / trials if trials else 0.0, *wilson(hits, trials))


def threshold_for(non_mated: Scores, fmr: float) -> float:
    """Return the lowest threshold at which at most this share of non-mated scores match (score >= threshold).

    With fewer than 1 / fmr comparisons that is just above the highest of them.
    """
    if not len(non_mated):
        return math.inf
    allowed = int(fmr * len(non_mated) + 1e-9)
    ordered = np.sort(non_mated)[::-1]
    if allowed >= len(ordered):
        return float(ordered[-1])
    return float(np.nextafter(ordered[allowed], np.inf))


def equal_error_rate(mated: Scores, non_mated: Scores) -> float:
    """Return the rate at which FMR and FNMR meet."""
    if not len(mated) or not len(non_mated):
        return math.nan
    thresholds = np.unique(np.concatenate([mated, non_mated]))
    fnmr = np.searchsorted(np.sort(mated), thresholds, side="left") / len(mated)
    fmr = 1 - np.searchsorted(np.sort(non_mated), thresholds, side="left") / len(non_mated)
    nearest = int(np.argmin(np.abs(fnmr - fmr)))
    return float((fnmr[nearest] + fmr[nearest]) / 2)


def det_curve(mated: Scores, non_mated: Scores, points: int = 200) -> list[tuple[float, float, float]]:
    """Return (threshold, FMR, FNMR) at thresholds spread over both kinds of scores, FMR falling."""
    if not len(mated) or not len(non_mated):
        return []
    shares = np.concatenate([np.linspace(0, 0.99, points // 2), 1 - np.geomspace(0.01, 1e-6, points // 2)])
    thresholds = np.unique(np.concatenate([np.quantile(non_mated, shares), np.quantile(mated, shares)]))
    below = np.searchsorted(np.sort(mated), thresholds, side="left")
    reach = len(non_mated) - np.searchsorted(np.sort(non_mated), thresholds, side="left")
    return [
        (float(threshold), float(over) / len(non_mated), float(under) / len(mated))
        for threshold, over, under in zip(thresholds, reach, below, strict=True)
    ]


BINS = 60


@dataclass(frozen=True)
class Histogram:
    """How scores spread.

    Attributes:
        edges: of the bins, rising, one more than there are bins.
        mated: share of the mated scores in each bin.
        non_mated: of the others.
    """

    edges: tuple[float, ...]
    mated: tuple[float, ...]
    non_mated: tuple[float, ...]


def bin_edges(scores: Scores) -> NDArray[np.float64]:
    """Return the edges of bins that hold all scores."""
    low, high = (float(scores.min()), float(scores.max())) if len(scores) else (0.0, 1.0)
    edges: NDArray[np.float64] = np.linspace(low, high if high > low else low + 1, BINS + 1)
    return edges


def histogram(mated: Scores, non_mated: Scores, edges: NDArray[np.float64]) -> Histogram:
    """Return the shares of scores in the bins between `edges`; of no scores, zeros."""
    counts = [np.histogram(each, edges)[0] / max(len(each), 1) for each in (mated, non_mated)]
    return Histogram(tuple(edges.tolist()), tuple(counts[0].tolist()), tuple(counts[1].tolist()))


def fnir_at_fpir(own: Scores, best_other: Scores, fpir: float) -> float:
    """Return the false negative identification rate of an open-set search.

    Args:
        own: (probes,) score with the probe's own reference; -inf where there is none to find.
        best_other: (probes,) highest score among everyone else's references, which is all that a search sees
            when the probe's person has not enrolled.
        fpir: the share of such searches that may return someone.
    """
    if not len(own):
        return math.nan
    threshold = threshold_for(best_other[np.isfinite(best_other)], fpir)
    return float(np.mean((own < threshold) | (own < best_other)))


def share_at_least(scores: Scores, threshold: float) -> Rate:
    """Return the share of scores at or above a threshold."""
    return rate(int(np.sum(scores >= threshold)), len(scores))


def intervals(rates: Sequence[Rate]) -> list[tuple[float, float]]:
    """Return the intervals of rates."""
    return [(each.low, each.high) for each in rates]
