"""Refresh bands: a screen that is lit line by line and a shutter that rolls leave bands that wander.

Measured on what the tests draw, least, half and most: bona fide 0, 0, 0; phone and tablet 0.006, 0.027,
0.047; a codec's pulsing 0.003. A lamp that flickers leaves bands too: set the camera to the mains' frequency.
Alone they can make the kiosk ask for the challenge, not refuse.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from renzheng.models.detection.boxes import Box
from renzheng.models.liveness.evidence import SignalResult

Pixels = NDArray[np.uint8]
Profile = NDArray[np.float32]

ROWS, STRIPS = 60, 4
CLOSE_MS, FEWEST_CHANGES = 110, 5
"""Only frames so near each other are compared, and so many times at least: on a busy machine a head moves
between two frames as far as a band would."""
_COMMON = 0.004


def profile(image: Pixels, box: Box) -> Profile:
    """Return the logarithm of the light by strip of columns and row, (STRIPS, ROWS), from brow to chin."""
    rows, columns = image.shape[:2]
    left, top = max(0, int(box.left)), max(0, int(box.top - 0.2 * box.height))
    part = image[top : min(rows, int(box.bottom + 0.2 * box.height)), left : min(columns, int(box.right))]
    if part.size == 0:
        return np.zeros((STRIPS, ROWS), np.float32)
    green = cv2.resize(part[:, :, 1], (STRIPS, ROWS), interpolation=cv2.INTER_AREA)
    return np.asarray(np.log(green.astype(np.float32).T + 8.0), np.float32)


def bands(profiles: NDArray[np.float32], at_ms: Sequence[int] | None = None) -> float:
    """Return how strong the bands are that all strips of the face share from frame to frame.

    Args:
        profiles: (frames, STRIPS, ROWS), of consecutive frames.
        at_ms: when each came; None where they are known to be near each other.

    Returns:
        Root of the least covariance between two strips' changes: a relative brightness; 0 without any.
    """
    if len(profiles) < 3:  # noqa: PLR2004 - a change needs frames to change between
        return 0.0
    change = np.diff(profiles, axis=0)
    if at_ms is not None:
        change = change[np.diff(np.asarray(at_ms)) <= CLOSE_MS]
        if len(change) < FEWEST_CHANGES:
            return 0.0
    kernel = np.hanning(13)[1:-1] / np.hanning(13).sum()
    smooth = np.apply_along_axis(lambda rows: np.convolve(rows, kernel, mode="same"), 2, change)
    smooth = smooth - smooth.mean(axis=2, keepdims=True)
    shared = np.einsum("fir,fjr->fij", smooth, smooth) / ROWS
    pairs = shared[:, *np.triu_indices(STRIPS, 1)]
    return float(np.sqrt(max(0.0, float(np.median(np.sort(pairs, axis=1)[:, 1])))))


def say(profiles: NDArray[np.float32], at_ms: Sequence[int] | None = None) -> SignalResult:
    """Weigh the bands: from 0.004 on, at most 2.5."""
    found = bands(profiles, at_ms)
    return SignalResult("bands", -float(np.clip(600 * (found - _COMMON), 0.0, 2.5)), found)
