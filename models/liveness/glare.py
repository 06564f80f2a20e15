"""Specular glare: a lamp mirrored in glass or gloss as one burnt-out patch on the face.

A weak sign: oily skin and glasses shine as well. What the tests draw reaches 0.002, bona fide 0.00005.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from renzheng.models.detection.boxes import Box
from renzheng.models.liveness.evidence import SignalResult

Pixels = NDArray[np.uint8]

_BURNT = 250
_SIDE_PX = 96
_PLAIN = 0.0008


def patch(image: Pixels, box: Box) -> float:
    """Return the largest burnt-out patch as a share of the face's box, 0 to 1."""
    rows, columns = image.shape[:2]
    left, top = max(0, int(box.left)), max(0, int(box.top))
    part = image[top : min(rows, int(box.bottom)), left : min(columns, int(box.right))]
    if part.size == 0:
        return 0.0
    small = cv2.resize(part, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA)
    burnt = (small.min(axis=2) >= _BURNT).astype(np.uint8)
    _, _, stats, _ = cv2.connectedComponentsWithStats(burnt)
    return float(stats[1:, cv2.CC_STAT_AREA].max(initial=0)) / _SIDE_PX**2


def say(share: float) -> SignalResult:
    """Weigh the burnt-out patch."""
    return SignalResult("glare", -0.5 if share > _PLAIN else 0.0, share)
