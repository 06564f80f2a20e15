"""In or out: whether a track crossed an entrance's line, and which way; pure."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from renzheng.edge.settings.ward import DoorLine, Spot

Direction = Literal["in", "out"]
_CLEAR_SHARE = 0.01
"""A face must be this far from the line, as a share of the picture, to be on one of its sides."""


def direction_of(places: Sequence[Spot], line: DoorLine) -> Direction | None:
    """Say which way somebody went through.

    Args:
        places: the middles of the face along the track, as shares of the picture's width and height.
        line: the entrance's.

    Returns:
        `in` or `out` when the way crosses the line between its two ends an odd number of times, begins
        clearly on one side and ends clearly on the other; else None.
    """
    if len(places) < 2:  # noqa: PLR2004 - a crossing takes two
        return None
    first, last = _side(places[0], line), _side(places[-1], line)
    if min(abs(first), abs(last)) < _CLEAR_SHARE or (first > 0) == (last > 0):
        return None
    through = sum(_crosses(one, other, line) for one, other in pairwise(places))
    if through % 2 == 0:
        return None
    return "in" if (last > 0) == (_side(line.inside, line) > 0) else "out"


def _side(place: Spot, line: DoorLine) -> float:
    """The distance from the line, with the sign of the side."""
    (ax, ay), (bx, by) = line.start, line.end
    length = math.hypot(bx - ax, by - ay)
    return ((bx - ax) * (place[1] - ay) - (by - ay) * (place[0] - ax)) / length


def _crosses(one: Spot, other: Spot, line: DoorLine) -> bool:
    """Whether a step passes between the line's ends."""
    here, there = _side(one, line), _side(other, line)
    if (here > 0) == (there > 0):
        return False
    share = here / (here - there)
    x, y = one[0] + share * (other[0] - one[0]), one[1] + share * (other[1] - one[1])
    (ax, ay), (bx, by) = line.start, line.end
    along = ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / ((bx - ax) ** 2 + (by - ay) ** 2)
    return 0 <= along <= 1
