"""Cuts a face out, turned and scaled as an embedder expects it."""

import dlib
import numpy as np
from numpy.typing import NDArray

from renzheng.models.conversion.networks import CHIP_SIDE
from renzheng.models.detection.boxes import Box
from renzheng.models.landmarks import Landmarks, as_rectangle

Pixels = NDArray[np.uint8]

_CHIP_PADDING = 0.25  # as dlib's recogniser was trained


def dlib_chip(image: Pixels, box: Box, landmarks: Landmarks) -> Pixels:
    """Return dlib's own face chip, 150 x 150 RGB."""
    points = [dlib.point(round(x), round(y)) for x, y in landmarks.points]
    shape = dlib.full_object_detection(as_rectangle(box), points)
    chip: Pixels = dlib.get_face_chip(image, shape, size=CHIP_SIDE, padding=_CHIP_PADDING)
    return chip
