"""The two ways in which an engine looks: quickly at a kiosk's frames, thoroughly at photographs.

Both give boxes in dlib's framing, since dlib's five-point predictor is run inside of them.
"""

import math
from collections.abc import Callable, Sequence
from typing import Protocol

import cv2
import dlib
import numpy as np
from numpy.typing import NDArray

from renzheng.models.detection.boxes import Box, Detection
from renzheng.models.detection.mmod import KIOSK, SECOND_LOOK, MmodDetector, Plan
from renzheng.models.detection.yunet import QUICK, THOROUGH, YunetDetector, YunetPlan

Pixels = NDArray[np.uint8]
Look = Callable[[Pixels], list[Detection]]

# A tightly cropped portrait: the detectors want some surroundings to see a face in.
_BORDER_SHARE = 0.5
_FOLLOWED_ROOM = 0.5  # of a face's width, on each side of its last place
# A part of a ward camera's picture is looked at in its own size up to so many pixels, in about 60 ms; mmod
# finds faces from 80 px there, which is also about the smallest that an embedder can use.
_SURVEY_PIXELS = 640 * 400
_SURVEY_STEP = (2, 3)
_GRADIENTS_SIDE_PX = 800  # doubled inside; larger would take more memory than the rest of the engine


class Detector(Protocol):
    """Finds faces."""

    def detect(self, image: Pixels) -> list[Detection]:
        """Look quickly; faces of an RGB image, most confident first."""

    def follow(self, image: Pixels, last: Box) -> list[Detection]:
        """Look near the last place of a face that `detect` found; faces of about its size."""

    def survey(self, image: Pixels) -> list[Detection]:
        """Look once for whoever walks past; faces of about 80 px and more."""

    def search(self, image: Pixels) -> list[Detection]:
        """Look thoroughly, as time allows, for a photograph's face."""


class MmodLooks:
    """dlib's CNN detector; for photographs in which it finds nobody, dlib's older gradient detector."""

    def __init__(self, mmod: MmodDetector) -> None:
        self._mmod = mmod
        self._gradients: dlib.fhog_object_detector | None = None

    def detect(self, image: Pixels) -> list[Detection]:
        """Look quickly; where that finds none, look for smaller faces."""
        return self._mmod.detect(image, KIOSK) or self._mmod.detect(image, SECOND_LOOK)

    def follow(self, image: Pixels, last: Box) -> list[Detection]:
        """Look at a tenth of what `detect` computes, at one size."""
        return self._mmod.follow(image, last)

    def survey(self, image: Pixels) -> list[Detection]:
        """Look once, in the image's own size where that is small enough."""
        side = longest_side(image.shape[0], image.shape[1], _SURVEY_PIXELS)
        return self._mmod.detect(image, Plan(longer_side_px=side, step=_SURVEY_STEP, smallest_px=80))

    def search(self, image: Pixels) -> list[Detection]:
        """Look at the photograph, then at it within a border, then by gradients."""
        return first_found(image, [self._large, in_border(self._large), self._by_gradients])

    def _large(self, image: Pixels) -> list[Detection]:
        return self._mmod.detect(image, SECOND_LOOK)

    def _by_gradients(self, image: Pixels) -> list[Detection]:
        if self._gradients is None:
            self._gradients = dlib.get_frontal_face_detector()
        factor = max(1.0, max(image.shape[:2]) / _GRADIENTS_SIDE_PX)
        size = (round(image.shape[1] / factor), round(image.shape[0] / factor))
        scaled = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        rectangles, scores, _ = self._gradients.run(scaled, 1, 0.0)
        return [
            Detection(
                Box(found.left(), found.top(), found.right(), found.bottom()).scaled(factor), float(score)
            )
            for found, score in zip(rectangles, scores, strict=True)
        ]


class YunetLooks:
    """YuNet; its boxes are reframed as dlib's, and its own points kept."""

    def __init__(self, yunet: YunetDetector, fallback: Detector | None = None) -> None:
        self._yunet = yunet
        self._fallback = fallback

    def detect(self, image: Pixels) -> list[Detection]:
        """Look quickly."""
        return [as_dlib_frames(found) for found in self._yunet.detect(image, QUICK)]

    def follow(self, image: Pixels, last: Box) -> list[Detection]:
        """Look at twice the last box."""
        room = _FOLLOWED_ROOM * last.width
        around = Box(last.left - room, last.top - room, last.right + room, last.bottom + room)
        return [as_dlib_frames(found) for found in self._yunet.follow(image, around, QUICK)]

    def survey(self, image: Pixels) -> list[Detection]:
        """Look once, at no more than 640 px."""
        plan = YunetPlan(longer_side_px=min(max(image.shape[:2]), THOROUGH.longer_side_px))
        return [as_dlib_frames(found) for found in self._yunet.detect(image, plan)]

    def search(self, image: Pixels) -> list[Detection]:
        """Look at the photograph twice, at two sizes, then within a border, then with the other detector."""
        looks: list[Look] = [self._twice, in_border(self._large), self.detect]
        if self._fallback is not None:
            looks.append(self._fallback.search)
        return first_found(image, looks)

    def _large(self, image: Pixels) -> list[Detection]:
        return [as_dlib_frames(found) for found in self._yunet.detect(image, THOROUGH)]

    def _twice(self, image: Pixels) -> list[Detection]:
        """Average the points that the two sizes give: each alone is a pixel or two off."""
        other = self.detect(image)
        return [_averaged(found, other) for found in self._large(image)]


def longest_side(rows: int, columns: int, most_pixels: int) -> int:
    """Return the longer side of an image once it has at most so many pixels; its own when it has."""
    return math.floor(max(rows, columns) * min(1.0, math.sqrt(most_pixels / (rows * columns))))


def first_found(image: Pixels, looks: Sequence[Look]) -> list[Detection]:
    """Return what the first look finds that finds any."""
    for look in looks:
        found = look(image)
        if found:
            return found
    return []


def in_border(look: Look) -> Look:
    """Return a look at the image within a border of its own edge pixels."""

    def bordered(image: Pixels) -> list[Detection]:
        border = round(max(image.shape[:2]) * _BORDER_SHARE)
        framed = cv2.copyMakeBorder(image, border, border, border, border, cv2.BORDER_REPLICATE)
        return [_shifted(found, -border) for found in look(np.asarray(framed, np.uint8))]

    return bordered


def as_dlib_frames(found: Detection) -> Detection:
    """Return a YuNet detection with the box that dlib's detector would have given.

    Fitted on 100 photographs of LFW: dlib's square has 0.88 of the geometric mean of YuNet's sides (deviation
    9 %), its middle lies 5 % to the left.
    """
    box = found.box
    side = 0.88 * math.sqrt(max(box.area, 1.0))
    middle_x, middle_y = (box.left + box.right) / 2 - 0.05 * side, (box.top + box.bottom) / 2
    square = Box(middle_x - side / 2, middle_y - side / 2, middle_x + side / 2, middle_y + side / 2)
    return Detection(square, found.confidence, found.points)


def _averaged(found: Detection, others: Sequence[Detection]) -> Detection:
    near = [other for other in others if _same_face(found, other)]
    if not near:
        return found
    points = np.mean([found.points, near[0].points], axis=0)
    return Detection(found.box, found.confidence, tuple((float(x), float(y)) for x, y in points))


_SAME_FACE_SHARE = 0.15


def _same_face(one: Detection, other: Detection) -> bool:
    """Whether all points lie within a sixth of the face's width of each other."""
    distances = np.hypot(*(np.array(one.points) - np.array(other.points)).T)
    return bool(distances.max() < _SAME_FACE_SHARE * one.box.width)


def _shifted(found: Detection, by: float) -> Detection:
    box = found.box
    moved = Box(box.left + by, box.top + by, box.right + by, box.bottom + by)
    return Detection(moved, found.confidence, tuple((x + by, y + by) for x, y in found.points))
