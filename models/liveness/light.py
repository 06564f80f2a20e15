"""Colour light: the kiosk's screen shows a random sequence of soft colours, and skin answers; pure.

The light that falls on a face changes its colour by a few thousandths to a few hundredths. The mean colour of
the cheeks, in logarithms of red and blue against green, is followed frame by frame and correlated with the
sequence that was shown, at the lag that a screen, a camera and a page have. A second screen shines by itself
and hardly answers; a recording answers another sequence than this one. A print answers as skin does: it has
to be told by its flatness. Bright daylight drowns the light: then nothing is measured, and nothing is said.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from renzheng.models.detection.boxes import Box

Pixels = NDArray[np.uint8]


class Colour(StrEnum):
    """The fills around the oval: soft, of like luminance, none of a saturated red (WCAG 2.2, 2.3.1)."""

    CORAL = "coral"
    MINT = "mint"
    SKY = "sky"


STEPS = 8
STEP_MS = 400
"""2.5 changes a second, which is at most 1.25 flashes a second; three are allowed."""

FILLS = {Colour.CORAL: (255, 150, 130), Colour.MINT: (120, 225, 150), Colour.SKY: (135, 185, 255)}
"""sRGB; the page's stylesheet has the same. Relative luminances 0.44, 0.61 and 0.47."""

_LAGS_MS = range(0, 401, 40)
_FEWEST_FRAMES = 14
_FEWEST_STEPS = 5

MIN_CORRELATION = 0.70
MIN_AMPLITUDE = 0.0015
"""Deviation of the answering part of the skin's log colour; below, the camera's own noise could be it."""

DROWNED = 0.25
"""Noise that would hide an answer of usual size: the skin's colour deviates by more than this on its own."""


class Answer(StrEnum):
    """What the skin's colour did."""

    ANSWERED = "answered"
    UNANSWERED = "unanswered"
    UNMEASURED = "unmeasured"


@dataclass(frozen=True, slots=True)
class Skin:
    """The mean colour of the cheeks and the nose in one frame, linear or not, 0 to 255."""

    at_ms: int
    red: float
    green: float
    blue: float


@dataclass(frozen=True, slots=True)
class Shown:
    """A colour of the sequence, and when the page had painted it."""

    at_ms: int
    colour: Colour


def skin_of(image: Pixels, box: Box, at_ms: int) -> Skin | None:
    """Take the mean colour of the middle of a face; None where the box lies outside of the image."""
    top, bottom = int(box.top + 0.45 * box.height), int(box.top + 0.75 * box.height)
    left, right = int(box.left + 0.25 * box.width), int(box.left + 0.75 * box.width)
    part = image[max(0, top) : max(0, bottom), max(0, left) : max(0, right)]
    if part.size == 0:
        return None
    red, green, blue = (float(mean) for mean in part.reshape(-1, 3).mean(axis=0))
    return Skin(at_ms, red, green, blue)


def answer(skin: Sequence[Skin], shown: Sequence[Shown]) -> Answer:
    """Tell whether the skin answered the colours that were shown."""
    if len(shown) < _FEWEST_STEPS:
        return Answer.UNMEASURED
    during = [each for each in skin if each.at_ms >= shown[0].at_ms]
    if len(during) < _FEWEST_FRAMES or during[-1].at_ms < shown[_FEWEST_STEPS - 1].at_ms:
        return Answer.UNMEASURED
    seen = _without_drift(_log_colour(during), during)
    if float(seen.std()) > DROWNED:
        return Answer.UNMEASURED
    found, size = max(_correlation(seen, during, shown, lag) for lag in _LAGS_MS)
    return Answer.ANSWERED if found >= MIN_CORRELATION and size >= MIN_AMPLITUDE else Answer.UNANSWERED


def correlation(skin: Sequence[Skin], shown: Sequence[Shown]) -> tuple[float, float]:
    """Return the highest correlation over the lags, in [-1, 1], and the size of the answer at that lag."""
    during = [each for each in skin if each.at_ms >= shown[0].at_ms]
    seen = _without_drift(_log_colour(during), during)
    return max(_correlation(seen, during, shown, lag) for lag in _LAGS_MS)


def _log_colour(skin: Sequence[Skin]) -> NDArray[np.float64]:
    """Red and blue against green, as logarithms; (frames, 2)."""
    colours = np.log(np.array([(each.red, each.green, each.blue) for each in skin]) + 1.0)
    return np.column_stack([colours[:, 0] - colours[:, 1], colours[:, 2] - colours[:, 1]])


def _without_drift(values: NDArray[np.float64], skin: Sequence[Skin]) -> NDArray[np.float64]:
    at = np.array([each.at_ms for each in skin], dtype=np.float64)
    lines = np.column_stack([np.ones_like(at), (at - at.mean()) / max(float(np.ptp(at)), 1.0)])
    return np.asarray(values - lines @ np.linalg.lstsq(lines, values, rcond=None)[0], np.float64)


_LIGHT = {
    colour: np.array([red - green, blue - green]) / 255.0 for colour, (red, green, blue) in FILLS.items()
}


def _correlation(
    seen: NDArray[np.float64], skin: Sequence[Skin], shown: Sequence[Shown], lag_ms: int
) -> tuple[float, float]:
    starts = np.array([each.at_ms + lag_ms for each in shown])
    places = np.searchsorted(starts, [each.at_ms for each in skin], side="right") - 1
    expected = np.array([_LIGHT[shown[max(0, place)].colour] for place in places])
    expected = _without_drift(expected, skin)
    strength = float(np.sqrt((expected**2).sum() * (seen**2).sum()))
    if strength <= 0.0:
        return 0.0, 0.0
    product = float((expected * seen).sum())
    size = abs(product) / float((expected**2).sum()) * float(np.sqrt((expected**2).mean()))
    return product / strength, size
