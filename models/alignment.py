"""Cuts a face out, turned and scaled as an embedder expects it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import dlib
import numpy as np
from numpy.typing import NDArray

from renzheng.models.conversion.networks import CHIP_SIDE
from renzheng.models.detection.boxes import Box
from renzheng.models.landmarks import Landmarks, Point, as_rectangle

Pixels = NDArray[np.uint8]
Matrix = NDArray[np.float64]

_CHIP_PADDING = 0.25  # as dlib's recogniser was trained
# Where dlib's `get_face_chip_details` puts the five points, in a face of side 1 before the padding.
_DLIB_POINTS = np.array(
    [
        (0.8595674595992, 0.2134981538014),
        (0.6460604764104, 0.2289674387677),
        (0.1205750620789, 0.2137274526848),
        (0.3340850613712, 0.2290642403242),
        (0.4901123135679, 0.6277975316475),
    ]
)
# The usual template of ArcFace-shaped embedders in 112 x 112: eyes, tip of the nose, corners of the mouth.
ARCFACE_SIDE = 112
_ARCFACE_POINTS = np.array(
    [(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)]
)
# Where the base of the nose comes to lie in it, for faces of which only dlib's five points are known.
_ARCFACE_NOSE_BASE = (56.0, 79.0)
_COARSEST = 0.5  # below, the picture is halved first, or thin lines would alias


@dataclass(frozen=True)
class Variation:
    """A small change of the cut, as a share of the chip's side (shifts) or a factor (scale)."""

    right: float = 0.0
    down: float = 0.0
    scale: float = 1.0


EXACT = Variation()
# Averaged over these, a template no longer depends on a pixel more or less in the landmarks. The amounts are
# those by which the landmarks themselves vary from one detection to the next.
THOROUGH: tuple[Variation, ...] = (
    EXACT,
    Variation(scale=0.95),
    Variation(scale=1.05),
    Variation(right=0.027),
    Variation(right=-0.027),
    Variation(down=0.027),
    Variation(down=-0.027),
)


def dlib_chip(image: Pixels, box: Box, landmarks: Landmarks) -> Pixels:
    """Return dlib's own face chip, 150 x 150 RGB."""
    points = [dlib.point(round(x), round(y)) for x, y in landmarks.points]
    shape = dlib.full_object_detection(as_rectangle(box), points)
    chip: Pixels = dlib.get_face_chip(image, shape, size=CHIP_SIDE, padding=_CHIP_PADDING)
    return chip


def dlib_chips(image: Pixels, landmarks: Landmarks, variations: Sequence[Variation]) -> list[Pixels]:
    """Return chips in dlib's framing, but from landmarks between the pixels, and varied."""
    places = (_CHIP_PADDING + _DLIB_POINTS) / (2 * _CHIP_PADDING + 1) * CHIP_SIDE
    return _cut(image, similarity(np.array(landmarks.points), places), CHIP_SIDE, variations)


def arcface_chips(
    image: Pixels, landmarks: Landmarks, points: Sequence[Point], variations: Sequence[Variation]
) -> list[Pixels]:
    """Return chips of 112 x 112 RGB.

    Args:
        image: RGB.
        landmarks: used where the detector gave no points.
        points: the detector's five points, or none.
        variations: one chip for each.
    """
    if points:
        matrix = similarity(np.array(points), _ARCFACE_POINTS)
    else:
        known = np.array([landmarks.right_eye, landmarks.left_eye, landmarks.nose_base])
        matrix = similarity(known, np.vstack([_ARCFACE_POINTS[:2], _ARCFACE_NOSE_BASE]))
    return _cut(image, matrix, ARCFACE_SIDE, variations)


def similarity(source: Matrix, target: Matrix) -> Matrix:
    """Return the rotation, scaling and shift, (2, 3), that best takes points to points."""
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    from_mean, to_mean = source - source_mean, target - target_mean
    spread = float((from_mean**2).sum())
    if spread == 0:
        return np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    along = float((from_mean * to_mean).sum()) / spread
    across = float((from_mean[:, 0] * to_mean[:, 1] - from_mean[:, 1] * to_mean[:, 0]).sum()) / spread
    turn = np.array([[along, -across], [across, along]])
    return np.column_stack([turn, target_mean - turn @ source_mean])


def _cut(image: Pixels, matrix: Matrix, side: int, variations: Sequence[Variation]) -> list[Pixels]:
    image, matrix = _coarse(image, matrix)
    return [
        np.asarray(
            cv2.warpAffine(image, _varied(matrix, side, each), (side, side), flags=cv2.INTER_LINEAR), np.uint8
        )
        for each in variations
    ]


def _coarse(image: Pixels, matrix: Matrix) -> tuple[Pixels, Matrix]:
    """Halve the image until the cut shrinks it by less than half."""
    scale = math.hypot(matrix[0, 0], matrix[1, 0])
    while 0 < scale < _COARSEST and min(image.shape[:2]) > 1:
        image = np.asarray(cv2.pyrDown(image), np.uint8)
        matrix = np.column_stack([matrix[:, :2] * 2, matrix[:, 2]])
        scale *= 2
    return image, matrix


def _varied(matrix: Matrix, side: int, variation: Variation) -> Matrix:
    middle = np.full(2, side / 2)
    shift = np.array([variation.right, variation.down]) * side
    moved = variation.scale * (matrix[:, 2] - middle) + middle + shift
    return np.column_stack([matrix[:, :2] * variation.scale, moved])
