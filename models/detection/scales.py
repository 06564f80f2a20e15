"""A picture at other sizes, whole or in part: a part has the pixels that the whole has there."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Part:
    """A rectangle, in whole pixels of the smaller (or larger) picture; its right and bottom are not in it."""

    left: int
    top: int
    right: int
    bottom: int


class Scales:
    """One picture's other sizes. Pixel x of a size lies at (x + 0.5) * factor - 0.5 of the picture.

    Args:
        image: uint8 RGB, (rows, columns, 3).
    """

    def __init__(self, image: Pixels) -> None:
        self._halved = [image]

    def size(self, factor: float) -> tuple[int, int]:
        """Return rows and columns of the picture with its sides divided by `factor`."""
        rows, columns = self._halved[0].shape[:2]
        return max(1, int(rows / factor)), max(1, int(columns / factor))

    def whole(self, factor: float) -> Pixels:
        """Return the picture with its sides divided by `factor`; below 1 it is made larger."""
        rows, columns = self.size(factor)
        source, rest = self._source(factor)
        # The size is a pixel or so more than `size`: it is the factor that must be kept, not the size.
        resized = cv2.resize(source, None, fx=1 / rest, fy=1 / rest, interpolation=cv2.INTER_LINEAR)
        return np.asarray(resized[:rows, :columns], np.uint8)

    def part(self, factor: float, part: Part) -> Pixels:
        """Return one part, which must lie inside, of what `whole` returns; a grey level more or less."""
        source, rest = self._source(factor)
        left, top = ((place + 0.5) * rest - 0.5 for place in (part.left, part.top))
        size = (part.right - part.left, part.bottom - part.top)
        matrix = np.array([[rest, 0, left], [0, rest, top]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        warped = cv2.warpAffine(source, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(warped, np.uint8)

    def _source(self, factor: float) -> tuple[Pixels, float]:
        """Return the picture halved as often as it can be, and by what that is still to be divided."""
        times = 0
        while factor >= 2 and min(self._halved[times].shape[:2]) > 1:  # noqa: PLR2004 - a half
            times, factor = times + 1, factor / 2
            if times == len(self._halved):
                self._halved.append(_half(self._halved[-1]))
        return self._halved[times], factor


def _half(image: Pixels) -> Pixels:
    rows, columns = (side // 2 for side in image.shape[:2])
    even = image[: 2 * rows, : 2 * columns]
    return np.asarray(cv2.resize(even, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)
