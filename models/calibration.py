"""What score stands for what false match rate, and where the centre of a population lies."""

import math
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise

from renzheng.models.comparison import Space
from renzheng.models.decision import SameSex, Threshold
from renzheng.models.errors import OperatingPointError
from renzheng.models.templates import NO_KEY, KeyId

# An attempt matches as soon as its probes, fused, reach the threshold at any moment. Three photographs of
# different days so do at 2.2 to 2.7 times the rate of one comparison, frames of one look at 1.15 times
# (docs/faces.md). Thresholds of a card are for the mean of single scores, which lies lower than a fusion's.
SEVERAL_PROBES = 2.0

# No site's calibration goes further, however many its people.
SMALLEST_FMR = 1e-6


@dataclass(frozen=True)
class Calibration:
    """The space in which scores are taken, and the scores' meaning.

    Attributes:
        space: centre and weights.
        thresholds: measured operating points, in any order; at least two.
        key: the key under which the templates it was made from, and so its centre, were transformed.
        version: counts up each time a site calibrates again; 0 for a card's.
        people: how many distinct people it was made from.
        comparisons: how many non-mated comparisons.
        made_at: aware UTC; None for a card's.
        same_sex: the same thresholds among people of one sex, where sexes are known.
    """

    space: Space
    thresholds: tuple[Threshold, ...]
    key: KeyId = NO_KEY
    version: int = 0
    people: int = 0
    comparisons: int = 0
    made_at: datetime | None = None
    same_sex: tuple[SameSex, ...] = ()

    @property
    def carried_fmr(self) -> float:
        """The smallest false match rate that these points can promise a single comparison."""
        return min(point.fmr for point in self.thresholds)

    @property
    def carried_by_several(self) -> float:
        """The smallest that they can promise an attempt of several probes."""
        return self.carried_fmr * (SEVERAL_PROBES if self.version else 1.0)

    def threshold_at(self, fmr: float, *, several: bool = False) -> Threshold:
        """Return the threshold for a false match rate, between measured points on the line through log(FMR).

        Args:
            fmr: the share of impostors that may match.
            several: an attempt of several probes that are fused and compared again and again, until one
                match: its rate is that of single comparisons times `SEVERAL_PROBES`.

        Raises:
            OperatingPointError: no measured point supports so small (or so large) a rate.
        """
        if several and self.version:
            single = self.threshold_at(fmr / SEVERAL_PROBES)
            low, high = (min(1.0, SEVERAL_PROBES * rate) for rate in (single.fmr_low, single.fmr_high))
            return replace(single, fmr=fmr, fmr_low=low, fmr_high=high)
        points = sorted(self.thresholds, key=lambda point: point.fmr)
        if not points[0].fmr <= fmr * (1 + 1e-9) or fmr > points[-1].fmr * (1 + 1e-9):
            raise OperatingPointError(
                f"A false match rate of {fmr:g} is outside of what was measured "
                f"({points[0].fmr:g} to {points[-1].fmr:g}).",
                why="A threshold that nobody measured would promise something that nobody knows.",
                do="Ask for a rate in that range, or calibrate on more people: renzheng models calibrate",
            )
        for lower, upper in pairwise(points):
            if fmr <= upper.fmr * (1 + 1e-9):
                return _between(lower, upper, fmr)
        return points[-1]


# Where more than half of all genuine comparisons miss the threshold, the face does not serve: a witness does.
HARDLY_ANYBODY_FNMR = 0.5


@dataclass(frozen=True)
class CalibrationStatus:
    """What a device can promise at this moment, for a screen and for staff.

    Attributes:
        basis: of the threshold in force: `card`, `site-model` or `site`.
        people: on how many of the site's own people it rests; 0 for a card's.
        asked_fmr: what the settings ask for.
        offered_fmr: the rate that is carried: the one asked for, or the smallest there is ("1 in 300 so
            far").
        fnmr: the share of genuine comparisons expected to miss; None where nobody measured it.
        witness_needed: hardly anybody passes: the rate is not carried, or most genuine comparisons miss.
    """

    basis: str
    people: int
    asked_fmr: float
    offered_fmr: float
    fnmr: float | None
    witness_needed: bool


def standing_of(calibration: Calibration, fmr: float) -> CalibrationStatus:
    """Return what a calibration, or a card, promises an attempt of several probes at the rate asked for."""
    try:
        threshold, is_carried = threshold_or_last(calibration, fmr, several=True)
    except OperatingPointError:
        threshold, is_carried = min(calibration.thresholds, key=lambda point: point.fmr), False
    offered = threshold.fmr if is_carried else calibration.carried_by_several
    misses = threshold.fnmr is not None and threshold.fnmr > HARDLY_ANYBODY_FNMR
    return CalibrationStatus(
        basis=threshold.basis,
        people=calibration.people,
        asked_fmr=fmr,
        offered_fmr=offered,
        fnmr=threshold.fnmr,
        witness_needed=not is_carried or misses,
    )


def threshold_or_last(calibration: Calibration, fmr: float, *, several: bool) -> tuple[Threshold, bool]:
    """Return the threshold for a rate, or the last that a small site carries; and whether it carries it.

    Raises:
        OperatingPointError: the rate is above what was measured, below what anybody measures, or below what a
            card gives.
    """
    try:
        return calibration.threshold_at(fmr, several=several), True
    except OperatingPointError:
        if not calibration.version or not SMALLEST_FMR <= fmr < calibration.carried_by_several:
            raise
        return min(calibration.thresholds, key=lambda point: point.fmr), False


def _between(lower: Threshold, upper: Threshold, fmr: float) -> Threshold:
    if math.isclose(fmr, lower.fmr):
        return lower
    if math.isclose(fmr, upper.fmr):
        return upper
    share = (math.log(fmr) - math.log(lower.fmr)) / (math.log(upper.fmr) - math.log(lower.fmr))
    return Threshold(
        score=lower.score + share * (upper.score - lower.score),
        fmr=fmr,
        fmr_low=fmr * min(lower.fmr_low / lower.fmr, upper.fmr_low / upper.fmr),
        fmr_high=fmr * max(lower.fmr_high / lower.fmr, upper.fmr_high / upper.fmr),
        basis=lower.basis,
        fnmr=lower.fnmr,
    )
