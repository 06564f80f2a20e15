"""Scans frames while nobody is named: for a QR code, for movement, never for a face.

Only the newest frame is looked at. Nothing of a frame is kept but a thumbnail of 32 x 24 cells.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np

from renzheng.common.supervised import Worker
from renzheng.edge.kiosk.codes import read_code
from renzheng.edge.kiosk.sight import (
    THUMBNAIL_HEIGHT,
    THUMBNAIL_WIDTH,
    SceneState,
    Thumbnail,
    observe,
    rested,
)
from renzheng.edge.look.faces import decode
from renzheng.edge.look.watcher import Frame
from renzheng.models.images import decode_frame_small

LOGGER = logging.getLogger(__name__)
_WAIT_S = 0.5


@dataclass(frozen=True, slots=True)
class FrameScan:
    """What one frame showed.

    Args:
        stirs: something large moves before the camera.
        trouble: what keeps the camera from seeing: `covered`, `frozen`, or None.
        code: the content of a QR code, if one was looked for and found.
    """

    stirs: bool
    trouble: str | None
    code: str | None


class FrameScanner:
    """Scans frames in a thread of its own.

    Args:
        tell: called in that thread after each frame.
    """

    def __init__(self, tell: Callable[[FrameScan], object]) -> None:
        self._tell = tell
        self._condition = threading.Condition()
        self._newest: tuple[Frame, bool] | None = None
        self._rested = False
        self._sight = SceneState()
        self.worker = Worker("frame_scanner", self._turn)

    def start(self) -> None:
        """Begin."""
        self.worker.start()

    def stop(self) -> None:
        """End."""
        self.worker.stop(timeout_seconds=10)

    def show(self, frame: Frame, *, for_code: bool) -> None:
        """Hand over a frame; an older one that was not looked at yet is forgotten."""
        with self._condition:
            self._newest = frame, for_code
            self._condition.notify()

    def rest(self) -> None:
        """Begin anew with movement: the room is as it is now."""
        with self._condition:
            self._rested = True

    def _turn(self) -> None:
        with self._condition:
            if self._newest is None:
                self._condition.wait(_WAIT_S)
            newest, self._newest = self._newest, None
            forget, self._rested = self._rested, False
        if forget:
            self._sight = rested(self._sight)
        thumbnail = None if newest is None else thumbnail_of(newest[0].jpeg)
        if newest is None or thumbnail is None:
            return
        frame, for_code = newest
        sight = self._sight = observe(self._sight, thumbnail, frame.at_ms)
        image = decode(frame.jpeg) if for_code else None
        code = None if image is None else read_code(image)
        self._tell(FrameScan(sight.somebody_stirs, sight.trouble, code))
        if sight.somebody_stirs:
            self._sight = replace(sight, stirred=0)


def thumbnail_of(jpeg: bytes) -> Thumbnail | None:
    """Reduce a frame to its thumbnail; None when it is no picture."""
    grey = decode_frame_small(jpeg)
    if grey is None:
        return None
    size = THUMBNAIL_WIDTH, THUMBNAIL_HEIGHT
    # Averaged as floats: rounded to whole grey levels, a living but quiet picture would seem frozen.
    return np.asarray(cv2.resize(grey.astype(np.float32), size, interpolation=cv2.INTER_AREA), np.float32)
