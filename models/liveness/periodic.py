"""Regular patterns on the face: the moire of a screen's pixel grid, the halftone of a print.

A screen's red, green and blue stripes beat with a camera's own grid; the beat stands as a few sharp peaks in
the spectrum of the face, where skin has a smooth slope. The spectra of several frames are averaged, each bin
is compared with the median of its ring (all directions at that frequency), and the highest is the measure.

Measured on what the tests draw (docs/liveness.md), decibels at 5 %, half and 95 %: bona fide 10, 14, 24;
phone 26, 40, 46; tablet 14, 39, 47; print 11, 24, 33. What it cannot show: a screen whose grid the lens no
longer resolves leaves nothing. A patterned veil or mask may have a peak of its own: a doubt, not a verdict.
"""

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from renzheng.models.detection.boxes import Box
from renzheng.models.liveness.evidence import SignalResult

Pixels = NDArray[np.uint8]
Spectrum = NDArray[np.float32]

SIDE_PX = 160
"""The middle of the face, at the camera's own scale: scaling would invent or erase what is looked for."""

_LOWEST, _HIGHEST = 0.09, 0.49  # cycles a pixel: below are the face's own features
_FORGETS = 0.75
_COMMON_DB = 25.0
_MOST = 2.5
_REPLICA = 0.09
"""Cycles a pixel around half a cycle: a codec keeps colour at half the size, and doubling its pixels
repeats the face's own low frequencies there. Two of three real people filmed had peaks of 28 to 36 dB from
it."""
_FEWEST_BINS = 12  # a ring of fewer has no median to speak of


def spectrum(image: Pixels, box: Box) -> Spectrum:
    """Return the power of luminance and of red against green, (2, SIDE_PX, SIDE_PX), of the face's middle."""
    rows, columns = image.shape[:2]
    left = int(np.clip((box.left + box.right - SIDE_PX) / 2, 0, max(0, columns - SIDE_PX)))
    top = int(np.clip((box.top + box.bottom - SIDE_PX) / 2, 0, max(0, rows - SIDE_PX)))
    part = np.zeros((SIDE_PX, SIDE_PX, 3), np.float32)
    cut = image[top : top + SIDE_PX, left : left + SIDE_PX]
    part[: cut.shape[0], : cut.shape[1]] = cut
    grey, chroma = part.mean(axis=2), part[:, :, 0] - part[:, :, 1]
    made = [_power(channel - channel.mean()) for channel in (grey, chroma)]
    return np.stack(made).astype(np.float32)


def blend(before: Spectrum | None, now: Spectrum) -> Spectrum:
    """Average over the frames so far, later ones counting more."""
    return now if before is None else (_FORGETS * before + (1 - _FORGETS) * now).astype(np.float32)


def peak(power: Spectrum) -> float:
    """Return how far the highest peak stands above its ring, in decibels, the higher of the two channels."""
    return max(_peak(channel) for channel in power)


def say(power: Spectrum) -> SignalResult:
    """Weigh the highest peak: nothing up to 25 dB, then 0.4 a decibel, at most 2.5: no accusation alone."""
    found = peak(power)
    return SignalResult("periodic", -float(np.clip(0.4 * (found - _COMMON_DB), 0.0, _MOST)), found)


def _power(channel: NDArray[np.float32]) -> NDArray[np.float32]:
    planes = cv2.dft(channel * _window(), flags=cv2.DFT_COMPLEX_OUTPUT)
    return np.asarray(planes[:, :, 0] ** 2 + planes[:, :, 1] ** 2 + 1.0, np.float32)


def _peak(power: NDArray[np.float32]) -> float:
    decibels = 10 * np.log10(power.ravel())
    rings = [decibels[places] for places in _rings()]
    return max(float(ring.max() - np.median(ring)) for ring in rings)


@lru_cache(maxsize=1)
def _window() -> NDArray[np.float32]:
    return np.asarray(cv2.createHanningWindow((SIDE_PX, SIDE_PX), cv2.CV_32F), np.float32)


@lru_cache(maxsize=1)
def _rings() -> tuple[NDArray[np.int64], ...]:
    """Which bins make up each ring, as flat places: without JPEG's blocks and the axes."""
    frequency = np.fft.fftfreq(SIDE_PX)
    across, down = np.meshgrid(frequency, frequency)
    radius = np.hypot(across, down)
    rings = np.floor(radius * 48).astype(np.int64)
    usable = (radius > _LOWEST) & (radius < _HIGHEST)
    for axis in (across, down):
        usable &= np.abs(axis) > 0.75 / SIDE_PX  # straight edges of the scene
    blocks = np.abs(across * 8 - np.round(across * 8)) + np.abs(down * 8 - np.round(down * 8))
    usable &= blocks > 8 * 2.1 / SIDE_PX
    for right, low in ((0.5, 0.0), (0.0, 0.5), (0.5, 0.5)):
        usable &= np.hypot(np.abs(across) - right, np.abs(down) - low) > _REPLICA
    usable &= across >= 0  # the other half says the same
    found = [np.flatnonzero(usable & (rings == ring)) for ring in range(int(rings.max()) + 1)]
    return tuple(places for places in found if len(places) >= _FEWEST_BINS)
