"""Straight edges around the face: the rim of a phone or tablet, the edges of a sheet of paper.

Sides found on what the tests draw, least, half and most: bona fide 0, 0, 2; phone 3, 4, 4; print 1, 2, 3;
tablet 0, 2, 4. Door frames and shelves have long edges too, so up to two sides say nothing.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from renzheng.models.detection.boxes import Box
from renzheng.models.liveness.evidence import SignalResult

Pixels = NDArray[np.uint8]

_WIDTH_PX = 240
_LONG = 0.75  # of the face's height: shorter ones are collars, shelves and door handles
_COMMON = 2.0
_MOST = 2.5  # a window with its frame behind somebody accuses nobody
_SLANT = np.tan(np.radians(14.0))


def sides(image: Pixels, box: Box) -> int:
    """Count the sides of the face, 0 to 4, along which a long straight edge runs outside of it."""
    scale = _WIDTH_PX / image.shape[1]
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (_WIDTH_PX, max(1, round(image.shape[0] * scale))), interpolation=cv2.INTER_AREA)
    found: Any = cv2.createLineSegmentDetector(cv2.LSD_REFINE_STD).detect(small)[0]
    if found is None:
        return 0
    x1, y1, x2, y2 = (found.reshape(-1, 4) / scale).T
    across, down = np.abs(x2 - x1), np.abs(y2 - y1)
    middle_x, middle_y = (box.left + box.right) / 2, (box.top + box.bottom) / 2
    upright = (across < _SLANT * down) & (down > _LONG * box.height)
    level = (down < _SLANT * across) & (across > _LONG * box.width)
    beside = upright & (np.minimum(y1, y2) < middle_y) & (np.maximum(y1, y2) > middle_y)
    along = level & (np.minimum(x1, x2) < middle_x) & (np.maximum(x1, x2) > middle_x)
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    outside = (
        beside & (x < box.left),
        beside & (x > box.right),
        along & (y < box.top),
        along & (y > box.bottom),
    )
    return sum(bool(side.any()) for side in outside)


def say(counted: float) -> SignalResult:
    """Weigh the sides with an edge, the median over a few frames."""
    return SignalResult("frame_edges", -min(1.5 * max(0.0, counted - _COMMON), _MOST), counted)
