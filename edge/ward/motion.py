"""Where in a small picture something moved: the parts worth looking for faces in; pure."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

_CHANGED = 14.0
"""Grey levels; sensor noise and the grain of a codec stay below half of it after shrinking to 160 x 90."""
_SMALLEST_PX = 6
_STEP = 2.0
_STEP_FAST = 8.0
_FAST_LOOKS = 8
"""By how many grey levels the background follows a picture: in steps of one size, so that somebody who stands
in the way for some seconds leaves hardly a trace, and a lamp that is lit becomes part of it in 20 looks."""

_ROOM_PX = 3

Part = tuple[int, int, int, int]
"""Left, top, right and bottom in the small picture."""


@dataclass(frozen=True)
class Background:
    """The picture without those who walk through it.

    Args:
        mean: float32, (rows, columns); about the median of what was seen.
        looks: how many pictures it was learnt from.
    """

    mean: NDArray[np.float32]
    looks: int


def begin(small: NDArray[np.uint8]) -> Background:
    """Take the first picture for the background."""
    return Background(small.astype(np.float32), 1)


def moving_parts(background: Background, small: NDArray[np.uint8]) -> tuple[Background, list[Part]]:
    """Compare a picture with the background; returns the background after it and the parts that moved."""
    grey = small.astype(np.float32)
    changed = np.abs(grey - background.mean) > _CHANGED
    step = np.float32(_STEP_FAST if background.looks < _FAST_LOOKS else _STEP)
    mean = background.mean + np.clip(grey - background.mean, -step, step)
    after = Background(mean, background.looks + 1)
    if not changed.any():
        return after, []
    joined = cv2.dilate(changed.astype(np.uint8), np.ones((5, 5), np.uint8))
    _, _, stats, _ = cv2.connectedComponentsWithStats(joined)
    rows, columns = small.shape
    parts = [
        (
            max(0, int(left) - _ROOM_PX),
            max(0, int(top) - _ROOM_PX),
            min(columns, int(left + width) + _ROOM_PX),
            min(rows, int(top + height) + _ROOM_PX),
        )
        for left, top, width, height, area in stats[1:]
        if width >= _SMALLEST_PX and height >= _SMALLEST_PX and area >= _SMALLEST_PX**2
    ]
    return after, joined_parts(parts)


def joined_parts(parts: list[Part]) -> list[Part]:
    """Put parts that overlap together, until none do."""
    left_over = list(parts)
    apart: list[Part] = []
    while left_over:
        part = left_over.pop()
        touching = [other for other in apart if _overlap(part, other)]
        if not touching:
            apart.append(part)
            continue
        apart = [other for other in apart if other not in touching]
        everything = [part, *touching]
        left_over.append(
            (
                min(one[0] for one in everything),
                min(one[1] for one in everything),
                max(one[2] for one in everything),
                max(one[3] for one in everything),
            )
        )
    return sorted(apart)


def _overlap(one: Part, other: Part) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
