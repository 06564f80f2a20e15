"""What a thumbnail of the scene says of the camera and of the room, never of a person; pure.

A thumbnail is far too small to hold a face: it tells whether something moves, whether the lens is covered and
whether the picture stands still.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Thumbnail = NDArray[np.float32]
"""Grey levels 0 to 255, shape (THUMBNAIL_HEIGHT, THUMBNAIL_WIDTH)."""

THUMBNAIL_WIDTH, THUMBNAIL_HEIGHT = 32, 24

STIRRED_LEVELS = 14.0
"""A cell that changes by this much between two thumbnails has moved; sensor noise over a cell is under 3."""

STIRRED_SHARE = 0.04
"""Someone who steps before the camera changes far more cells than this; a curtain in the corner does not."""

STIRRED_TIMES = 2
"""Thumbnails in a row that must show movement: a light switched on changes one."""

COVERED_DEVIATION = 5.0
"""A hand or tape over the lens leaves less contrast than this, whatever the light."""

COVERED_MS = 3_000
FROZEN_MS = 10_000
"""A picture that is the same to the last grey level for this long comes from no living sensor."""


@dataclass(frozen=True, slots=True)
class SceneState:
    """What the thumbnails so far have shown.

    Args:
        last: the newest thumbnail.
        at_ms: when it was taken.
        stirred: thumbnails in a row that showed movement.
        flat_since_ms: since when there has been no contrast; None while there is.
        still_since_ms: since when nothing at all has changed; None while something does.
    """

    last: Thumbnail | None = None
    at_ms: int = 0
    stirred: int = 0
    flat_since_ms: int | None = None
    still_since_ms: int | None = None

    @property
    def somebody_stirs(self) -> bool:
        """Something large moves before the camera."""
        return self.stirred >= STIRRED_TIMES

    @property
    def trouble(self) -> str | None:
        """What keeps the camera from seeing: `covered`, `frozen`, or None."""
        if self.flat_since_ms is not None and self.at_ms - self.flat_since_ms >= COVERED_MS:
            return "covered"
        if self.still_since_ms is not None and self.at_ms - self.still_since_ms >= FROZEN_MS:
            return "frozen"
        return None


def observe(sight: SceneState, thumbnail: Thumbnail, at_ms: int) -> SceneState:
    """Take one thumbnail."""
    flat = float(thumbnail.std()) < COVERED_DEVIATION
    flat_since = (at_ms if sight.flat_since_ms is None else sight.flat_since_ms) if flat else None
    seen = replace(sight, last=thumbnail, at_ms=at_ms, flat_since_ms=flat_since)
    if sight.last is None:
        return seen
    change = np.abs(thumbnail - sight.last)
    moved = float((change > STIRRED_LEVELS).mean()) > STIRRED_SHARE
    same = not change.any()
    still_since = (sight.at_ms if sight.still_since_ms is None else sight.still_since_ms) if same else None
    return replace(seen, stirred=sight.stirred + 1 if moved else 0, still_since_ms=still_since)


def rested(sight: SceneState) -> SceneState:
    """Forget movement: whoever went away moved, and must not wake what has just gone to sleep."""
    return replace(sight, last=None, stirred=0, still_since_ms=None)
