"""Does the face move of itself? Lids, gaze and lips against the rest of it; pure but for OpenCV.

Each frame's face is cut out upright and to one size. The eyes and the mouth are then compared with what they
looked like a third of a second before, moved and stretched to fit as well as they can, so that neither a turn
nor a shaking hand counts. A photograph's eyes and lips stay what they are.

What it can show: somebody blinks, looks elsewhere or speaks. What it cannot: a video does all of it, and a
program can close a still's lids or open its lips. So it counts only where something else moved that such a
program leaves alone: jaw or cheeks (`softness`), or the light on a face that turns (`shading`).
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from renzheng.models.landmarks import Landmarks
from renzheng.models.liveness.evidence import Family, SignalResult

Pixels = NDArray[np.uint8]
Chip = NDArray[np.float32]

LAG_MS, LONGEST_LAG_MS = 300, 1_000
"""What two frames lie apart that are compared: the first as near as can be, the second on a busy machine."""

EYES_MOVED, LIPS_MOVED = 0.21, 0.29
"""Change over the face's own contrast. Third largest in eight seconds, real people: eyes 0.11 to 0.62, lips
0.09 to 1.0; prints bent and turned, and stills that a program turns: eyes 0.09 to 0.17, lips up to 0.22."""

PAIRS = 3
"""That many pairs of frames must show it: one slipped landmark is no blink."""

_UNIT_PX = 64  # of the eye distance in the chip
_LEFT, _TOP, _WIDTH, _HEIGHT = -1.2, -0.8, 2.4, 2.6
_EYES = ((-0.5, 0.0, 0.27, 0.15), (0.5, 0.0, 0.27, 0.15))
_LIPS = (0.0, 1.08, 0.42, 0.26)
_ASTRAY = 0.1  # of the eye distance: how far a part is looked for
_STRETCHES = (0.88, 0.94, 1.0, 1.06, 1.13)

Part = tuple[float, float, float, float]
"""Across and down from between the eyes, and half sizes, in interocular distances."""


@dataclass(frozen=True, slots=True)
class Moved:
    """How many pairs of frames showed the eyes and the lips to move."""

    eyes: int = 0
    lips: int = 0


def say(moved: Moved, *, supported: bool) -> SignalResult:
    """Weigh it; `supported`: skin moved of itself too, or the light stayed in the room."""
    found = supported and max(moved.lips, moved.eyes) >= PAIRS
    return SignalResult(
        "expression",
        1.5 if found else 0.0,
        moved.eyes + moved.lips,
        family=Family.EXPRESSION if found else None,
    )


class Expressions:
    """Compares the faces of one thread."""

    def __init__(self) -> None:
        self._kept: list[tuple[int, Chip]] = []
        self.moved = Moved()

    def take(self, image: Pixels, landmarks: Landmarks, at_ms: int) -> None:
        """Take one frame, RGB."""
        now = chip(image, landmarks)
        if now is None:
            return
        before = [kept for at, kept in self._kept if LAG_MS <= at_ms - at <= LONGEST_LAG_MS]
        self._kept = [each for each in self._kept if at_ms - each[0] <= LONGEST_LAG_MS] + [(at_ms, now)]
        if before:
            eyes, lips = changes(before[-1], now)
            self.moved = Moved(self.moved.eyes + (eyes >= EYES_MOVED), self.moved.lips + (lips >= LIPS_MOVED))


def chip(image: Pixels, landmarks: Landmarks) -> Chip | None:
    """Cut the face out, upright, (rows, columns) in grey; None where the eyes fall together."""
    first, second = sorted((landmarks.right_eye, landmarks.left_eye))
    apart = float(np.hypot(second[0] - first[0], second[1] - first[1]))
    if apart < 8.0:  # noqa: PLR2004 - pixels: nothing of a lid is left
        return None
    scale = _UNIT_PX / apart
    cosine, sine = (second[0] - first[0]) / apart * scale, (second[1] - first[1]) / apart * scale
    middle = (first[0] + second[0]) / 2, (first[1] + second[1]) / 2
    across = -_LEFT * _UNIT_PX - cosine * middle[0] - sine * middle[1]
    down = -_TOP * _UNIT_PX + sine * middle[0] - cosine * middle[1]
    place = np.array([[cosine, sine, across], [-sine, cosine, down]])
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    size = (round(_WIDTH * _UNIT_PX), round(_HEIGHT * _UNIT_PX))
    cut = cv2.warpAffine(grey, place, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.GaussianBlur(cut.astype(np.float32), (0, 0), 1.2), np.float32)


def changes(before: Chip, now: Chip) -> tuple[float, float]:
    """How much both eyes, and the lips, have changed, over the contrast of the face."""
    contrast = max(float(_part(now, (0.0, 0.45, 0.8, 0.95)).std()), 4.0)
    eyes = min(_change(before, now, eye) for eye in _EYES)
    return eyes / contrast, _change(before, now, _LIPS) / contrast


def _change(before: Chip, now: Chip, part: Part) -> float:
    """What is left of a part, in grey levels, when it is moved and stretched to fit."""
    wanted, around = _part(before, part), _part(now, part, _ASTRAY)
    best, fitted, found = -2.0, wanted, wanted
    for stretch in _STRETCHES:
        tried = (
            wanted if stretch == 1.0 else np.asarray(cv2.resize(wanted, None, fx=stretch, fy=1), np.float32)
        )
        if tried.shape[0] > around.shape[0] or tried.shape[1] > around.shape[1]:
            continue
        _, likeness, _, (x, y) = cv2.minMaxLoc(cv2.matchTemplate(around, tried, cv2.TM_CCOEFF_NORMED))
        if likeness > best:
            best, fitted = likeness, tried
            found = around[y : y + tried.shape[0], x : x + tried.shape[1]]
    one, other = fitted - fitted.mean(), found - found.mean()
    gain = np.clip(np.sqrt((one**2).mean() / max(float((other**2).mean()), 1e-6)), 0.84, 1.18)
    return float(np.sqrt(((one - gain * other) ** 2).mean()))


def _part(cut: Chip, part: Part, more: float = 0.0) -> Chip:
    x, y, half_x, half_y = part
    rows = [round((y + side * (half_y + more) - _TOP) * _UNIT_PX) for side in (-1, 1)]
    columns = [round((x + side * (half_x + more) - _LEFT) * _UNIT_PX) for side in (-1, 1)]
    return cut[max(0, rows[0]) : rows[1], max(0, columns[0]) : columns[1]]
