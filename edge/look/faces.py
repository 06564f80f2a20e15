"""What the kiosk asks of the face engine, and one frame's analysis in the few values an attempt needs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from renzheng.models.analysis import Analysis, Face, OneFace
from renzheng.models.calibration import Calibration
from renzheng.models.decision import Decision
from renzheng.models.images import decode_frame as decode
from renzheng.models.liveness.watch import eyes_of
from renzheng.models.templates import ModelId, Template

__all__ = ["UNREADABLE", "FaceEngine", "Image", "Look", "crop_of", "decode", "look_of"]

Image = NDArray[np.uint8]
"""RGB, shape (height, width, 3)."""

UNREADABLE = "unreadable_frame"
"""Guidance of a frame that is no picture; the others are renzheng.models.quality.Guidance."""


class FaceEngine(Protocol):
    """The part of renzheng.models.engine.FaceEngine that the kiosk uses; called from one thread at a time."""

    name: str
    model: ModelId
    card_calibration: Calibration

    def analyse(self, image: Image, *, last: Face | None = None) -> Analysis:
        """Say what is to be seen in an image, where a face was last if that will do."""

    def analyse_reference(self, image: Image, *, any_way_up: bool = False) -> tuple[Image, Analysis]:
        """Look at what is to be a reference; return it upright, and what is to be seen."""

    def embed(self, image: Image, face: Face, *, mirrored: bool = False) -> Template:
        """Turn a face into a template."""

    def verify(
        self,
        probes: Sequence[Template],
        references: Sequence[Template],
        at_fmr: float = 1e-3,
        calibration: Calibration | None = None,
    ) -> Decision:
        """Decide whether the probes are of the references' person."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one frame shows.

    Args:
        centre: middle between the eyes in pixels, when there is exactly one face.
        interocular_px: distance of the eyes; 0 without a face.
        guidance: what keeps the frame from being usable; None when it can be compared.
        quality: larger is better; decides which probes are compared.
        advice: what would help although the frame can be compared; said only while it does not match.
    """

    centre: tuple[float, float] | None
    interocular_px: float
    guidance: str | None
    quality: float = 0.0
    advice: str | None = None


def look_of(analysis: Analysis) -> Look:
    """Reduce an analysis to what an attempt needs."""
    eyes = eyes_of(analysis)
    if eyes is None:
        return Look(None, 0.0, None if analysis.guidance is None else analysis.guidance.value)
    match analysis:
        case OneFace(quality=quality, guidance=advice):
            frontal = max(0.0, 1.0 - abs(quality.yaw))
            return Look(
                eyes.centre,
                eyes.apart_px,
                None,
                quality=frontal * min(quality.sharpness, 30.0),
                advice=None if advice is None else advice.value,
            )
        case _:
            return Look(
                eyes.centre, eyes.apart_px, None if analysis.guidance is None else analysis.guidance.value
            )


def crop_of(image: Image, face: Face) -> bytes | None:
    """Cut a face out with some room around it, as JPEG; what an auditor may ask for later."""
    box = face.box
    room_x, room_y = 0.35 * (box.right - box.left), 0.35 * (box.bottom - box.top)
    left, top = max(0, int(box.left - room_x)), max(0, int(box.top - room_y))
    part = image[top : max(top + 1, int(box.bottom + room_y)), left : max(left + 1, int(box.right + room_x))]
    if part.size == 0:
        return None
    done, encoded = cv2.imencode(".jpg", part[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
    return encoded.tobytes() if done else None
