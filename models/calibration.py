"""What score stands for what false match rate, and where the centre of a population lies."""

import math
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from renzheng.models.comparison import Space
from renzheng.models.decision import Threshold
from renzheng.models.errors import OperatingPointError
from renzheng.models.templates import NO_KEY, KeyId


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
    """

    space: Space
    thresholds: tuple[Threshold, ...]
    key: KeyId = NO_KEY
    version: int = 0
    people: int = 0
    comparisons: int = 0
    made_at: datetime | None = None

    def threshold_at(self, fmr: float) -> Threshold:
        """Return the threshold for a false match rate, between measured points on the line through log(FMR).

        Raises:
            OperatingPointError: no measured point supports so small (or so large) a rate.
        """
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
    )
