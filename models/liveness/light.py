"""Colour light: the kiosk's screen shows a random sequence of soft colours, and skin answers; pure.

The light that falls on a face changes its colour by a few thousandths to a few hundredths. The mean colour of
the cheeks, in logarithms of red and blue against green, is followed frame by frame and correlated with the
sequence that was shown, at the lag that a screen, a camera and a page have. A second screen shines by itself
and hardly answers; a recording answers another sequence than this one. A program can see the colours and tint
what it shows: later than light comes, and the same all over, while of the kiosk's light a head's sides
catch less than its middle and what is behind it next to nothing. A print answers as skin does: it has to be
told by its shape. Bright daylight drowns the light: then nothing is measured, and nothing is said.
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

LATEST_MS = 320
"""A camera's and a page's delay; a program that sees the colours first adds a camera's, its own and a
screen's.
"""

MOST_BESIDE, MOST_AT_SIDES = 0.6, 0.9
"""The answer beside the head, and of the head's sides, over that of its middle. By the law of cosines and
of the square of the distance: half a metre before the screen the sides of a head turned away by 45 degrees
catch 0.7, a wall a metre behind it 0.1. Computed, never measured on people."""

MIN_CORRELATION = 0.70
MIN_AMPLITUDE = 0.0015
"""Deviation of the answering part of the skin's log colour; below, the camera's own noise could be it."""

DROWNED = 0.25
"""Noise that would hide an answer of usual size: the skin's colour deviates by more than this on its own."""


class Answer(StrEnum):
    """What the skin's colour did."""

    ANSWERED = "answered"
    UNANSWERED = "unanswered"
    NOT_AS_A_HEAD = "not_as_a_head"
    LATE = "late"
    UNMEASURED = "unmeasured"


@dataclass(frozen=True, slots=True)
class Skin:
    """The mean colour of the cheeks and the nose in one frame, linear or not, 0 to 255.

    Args:
        at_ms: when.
        red: of the middle of the face, and so on.
        green: likewise.
        blue: likewise.
        sides: the colour of the face's two sides together; None where it was not taken.
        beside: of what is seen beside the head.
    """

    at_ms: int
    red: float
    green: float
    blue: float
    sides: tuple[float, float, float] | None = None
    beside: tuple[float, float, float] | None = None


@dataclass(frozen=True, slots=True)
class PaintedColour:
    """A colour of the sequence, and when the page had painted it."""

    at_ms: int
    colour: Colour


def skin_of(image: Pixels, box: Box, at_ms: int) -> Skin | None:
    """Take the mean colour of the middle of a face; None where the box lies outside of the image."""
    middle = _colour(image, box, ((0.25, 0.75),))
    if middle is None:
        return None
    sides = _colour(image, box, ((0.02, 0.14), (0.86, 0.98)))
    beside = _colour(image, box, ((-0.85, -0.5), (1.5, 1.85)))
    return Skin(at_ms, *middle, sides=sides or middle, beside=beside or middle)


def _colour(
    image: Pixels, box: Box, columns: Sequence[tuple[float, float]]
) -> tuple[float, float, float] | None:
    """Take the mean colour of strips at the height of the nose, given in shares of the box's width."""
    top, bottom = (max(0, int(box.top + share * box.height)) for share in (0.45, 0.75))
    edges = [[max(0, int(box.left + share * box.width)) for share in strip] for strip in columns]
    parts = [image[top:bottom, left:right].reshape(-1, 3) for left, right in edges]
    pixels = np.concatenate(parts)
    if len(pixels) == 0:
        return None
    red, green, blue = pixels.mean(axis=0)
    return float(red), float(green), float(blue)


def answer(skin: Sequence[Skin], shown: Sequence[PaintedColour]) -> Answer:
    """Tell whether the skin answered the colours that were shown."""
    if len(shown) < _FEWEST_STEPS:
        return Answer.UNMEASURED
    during = [each for each in skin if each.at_ms >= shown[0].at_ms]
    if len(during) < _FEWEST_FRAMES or during[-1].at_ms < shown[_FEWEST_STEPS - 1].at_ms:
        return Answer.UNMEASURED
    seen = _without_drift(_log_colour(during), during)
    if float(seen.std()) > DROWNED:
        return Answer.UNMEASURED
    found, size, lag = max((*_correlation(seen, during, shown, lag), lag) for lag in _LAGS_MS)
    if found < MIN_CORRELATION or size < MIN_AMPLITUDE:
        return Answer.UNANSWERED
    if lag > LATEST_MS:
        return Answer.LATE
    return Answer.ANSWERED if _as_a_head(during, shown, lag) else Answer.NOT_AS_A_HEAD


def _as_a_head(skin: Sequence[Skin], shown: Sequence[PaintedColour], lag_ms: int) -> bool:
    """Tell whether the sides answered less than the middle, and what is beside the head hardly."""
    middle = _gain([(each.red, each.green, each.blue) for each in skin], skin, shown, lag_ms)
    sides = _gain([each.sides for each in skin], skin, shown, lag_ms)
    beside = _gain([each.beside for each in skin], skin, shown, lag_ms)
    if sides is None or beside is None or middle is None:
        return True  # only the middle was taken
    return sides <= MOST_AT_SIDES * middle and beside <= MOST_BESIDE * middle


def _gain(
    colours: Sequence[tuple[float, float, float] | None],
    skin: Sequence[Skin],
    shown: Sequence[PaintedColour],
    lag_ms: int,
) -> float | None:
    """Return by how much a part's colour goes with what was shown; None where it was not taken."""
    taken = [colour for colour in colours if colour is not None]
    if len(taken) < len(skin):
        return None
    values = _without_drift(_logarithms(np.array(taken)), skin)
    expected = _expected(skin, shown, lag_ms)
    return float((expected * values).sum()) / max(float((expected**2).sum()), 1e-12)


def correlation(skin: Sequence[Skin], shown: Sequence[PaintedColour]) -> tuple[float, float]:
    """Return the highest correlation over the lags, in [-1, 1], and the size of the answer at that lag."""
    during = [each for each in skin if each.at_ms >= shown[0].at_ms]
    seen = _without_drift(_log_colour(during), during)
    return max(_correlation(seen, during, shown, lag) for lag in _LAGS_MS)


def _log_colour(skin: Sequence[Skin]) -> NDArray[np.float64]:
    """Red and blue against green, as logarithms; (frames, 2)."""
    return _logarithms(np.array([(each.red, each.green, each.blue) for each in skin]))


def _logarithms(colours: NDArray[np.float64]) -> NDArray[np.float64]:
    logarithms = np.log(colours + 1.0)
    return np.column_stack([logarithms[:, 0] - logarithms[:, 1], logarithms[:, 2] - logarithms[:, 1]])


def _without_drift(values: NDArray[np.float64], skin: Sequence[Skin]) -> NDArray[np.float64]:
    at = np.array([each.at_ms for each in skin], dtype=np.float64)
    lines = np.column_stack([np.ones_like(at), (at - at.mean()) / max(float(np.ptp(at)), 1.0)])
    return np.asarray(values - lines @ np.linalg.lstsq(lines, values, rcond=None)[0], np.float64)


_LIGHT = {
    colour: np.array([red - green, blue - green]) / 255.0 for colour, (red, green, blue) in FILLS.items()
}


def _expected(skin: Sequence[Skin], shown: Sequence[PaintedColour], lag_ms: int) -> NDArray[np.float64]:
    """The light of each frame, of the colour shown so long before, without drift; (frames, 2)."""
    starts = np.array([each.at_ms + lag_ms for each in shown])
    places = np.searchsorted(starts, [each.at_ms for each in skin], side="right") - 1
    return _without_drift(np.array([_LIGHT[shown[max(0, place)].colour] for place in places]), skin)


def _correlation(
    seen: NDArray[np.float64], skin: Sequence[Skin], shown: Sequence[PaintedColour], lag_ms: int
) -> tuple[float, float]:
    expected = _expected(skin, shown, lag_ms)
    strength = float(np.sqrt((expected**2).sum() * (seen**2).sum()))
    if strength <= 0.0:
        return 0.0, 0.0
    product = float((expected * seen).sum())
    size = abs(product) / float((expected**2).sum()) * float(np.sqrt((expected**2).mean()))
    return product / strength, size
