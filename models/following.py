"""Looks at one visitor's frames: at all of the first, then mostly where the face was.

A look at the whole frame costs three times what is needed to find a face again. So the face is looked for
near its last place, and the whole frame is looked at

- at first, and whenever the face is not found again there, alone and much as it was;
- every `WHOLE_EVERY` frames, and after `WHOLE_EVERY_MS`;
- as soon as something as large as a face that would count changes outside of the face's window;
- whenever the caller asks (`whole`): a kiosk does before it concludes anything.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from renzheng.models.analysis import Analysis, Face, OneFace, PoorQuality
from renzheng.models.detection.boxes import Box

Pixels = NDArray[np.uint8]

WHOLE_EVERY = 8
WHOLE_EVERY_MS = 1_000
"""Somebody else, or another picture held up, is seen after so many frames, or so long, at the latest."""

_SAMPLED_EVERY = 8
_CHANGED = 24
"""Grey levels; a camera's noise and JPEG leave 5 to 10."""
_OTHER_SHARE = 0.36 * 0.3
"""Of the face's area: a face of six tenths its width counts as a second one, and three tenths of its pixels
differ from what was there before."""
_ROOM = 0.5


class Analyses(Protocol):
    """The part of renzheng.models.engine.FaceEngine that following uses."""

    def analyse(self, image: Pixels, *, last: Face | None = None) -> Analysis:
        """Say what is to be seen in an image, where a face was last if that will do."""


class Following:
    """One visitor's frames, in their order.

    Args:
        engine: the face engine.
    """

    def __init__(self, engine: Analyses) -> None:
        self._engine = engine
        self._last: Face | None = None
        self._frames = 0
        self._whole_ms = 0
        self._whole: NDArray[np.int16] | None = None

    def analyse(self, image: Pixels, at_ms: int) -> Analysis:
        """Say what is to be seen in the next frame.

        Args:
            image: uint8 RGB, (rows, columns, 3).
            at_ms: when it came.

        Raises:
            PixelLayoutError, ImageTooSmallError: as `FaceEngine.analyse`.
        """
        last = self._last if self._may_follow(image, at_ms) else None
        return self._take(image, at_ms, self._engine.analyse(image, last=last))

    def whole(self, image: Pixels, at_ms: int) -> Analysis:
        """Say what is to be seen in a frame, all of which is looked at; it may be the last one again."""
        return self._take(image, at_ms, self._engine.analyse(image))

    def _take(self, image: Pixels, at_ms: int, seen: Analysis) -> Analysis:
        self._last = seen.face if isinstance(seen, OneFace | PoorQuality) else None
        if self._last is not None and self._last.followed:
            self._frames += 1
        else:
            self._frames, self._whole_ms, self._whole = 0, at_ms, _sampled(image)
        return seen

    def _may_follow(self, image: Pixels, at_ms: int) -> bool:
        if self._last is None or self._whole is None:
            return False
        if self._frames >= WHOLE_EVERY - 1 or at_ms - self._whole_ms >= WHOLE_EVERY_MS:
            return False
        now = _sampled(image)
        return now.shape == self._whole.shape and not _other_appeared(self._whole, now, self._last.box)


def _sampled(image: Pixels) -> NDArray[np.int16]:
    return image[::_SAMPLED_EVERY, ::_SAMPLED_EVERY, 1].astype(np.int16)


def _other_appeared(before: NDArray[np.int16], now: NDArray[np.int16], face: Box) -> bool:
    """Whether enough pixels outside of a face's surroundings changed for another face to have come there.

    What all of the picture does, as the light or the camera's exposure changes, is left out.
    """
    difference = now - before
    difference -= np.int16(np.median(difference))
    changed = np.abs(difference) > _CHANGED
    room = _ROOM * face.width
    left, top, right, bottom = (
        max(0, int(edge) // _SAMPLED_EVERY)
        for edge in (face.left - room, face.top - room, face.right + room, face.bottom + room)
    )
    changed[top : bottom + 1, left : right + 1] = False
    return int(changed.sum()) > _OTHER_SHARE * face.area / _SAMPLED_EVERY**2
