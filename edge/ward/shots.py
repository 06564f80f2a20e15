"""Where in a camera's picture there are faces, and which of them are good enough to tell whose they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from renzheng.edge.ward import motion, sight
from renzheng.edge.ward.decoder import Picture
from renzheng.edge.ward.sight import Small
from renzheng.models import quality as quality_of
from renzheng.models.analysis import Face
from renzheng.models.calibration import Calibration
from renzheng.models.detection.boxes import Box, Detection
from renzheng.models.quality import Bounds, Quality
from renzheng.models.templates import ModelId, Template

Pixels = NDArray[np.uint8]
"""RGB, shape (rows, columns, 3)."""

_ROOM_SHARE = 0.12
_ROOM_PX = 48
_CROP_ROOM = 0.35


class WardEngine(Protocol):
    """The part of renzheng.models.engine.FaceEngine that a ward's analysts use."""

    name: str
    model: ModelId
    card_calibration: Calibration

    def survey(self, image: Pixels) -> list[Detection]:
        """Find the faces of whoever walks past."""

    def face_of(self, image: Pixels, detection: Detection) -> Face:
        """Find eyes and nose of a detection."""

    def embed(self, image: Pixels, face: Face) -> Template:
        """Turn a face into a template."""


@dataclass(frozen=True, slots=True)
class Shot:
    """One usable look at a face, in memory only."""

    quality: float
    template: Template
    crop: Pixels


@dataclass(frozen=True, slots=True)
class DetectedFaces:
    """The faces of one picture.

    Args:
        boxes: where they are, in pixels of the picture.
        shots: a shot of each that is good enough.
        searched: something moved, so that faces were looked for.
    """

    boxes: Sequence[Box] = ()
    shots: Sequence[Shot | None] = ()
    searched: bool = False


class FaceFinder:
    """Looks for faces where something moves, within the camera's region.

    Args:
        region: left, top, right and bottom of the part to look at, as shares of the picture.
    """

    def __init__(self, region: tuple[float, float, float, float]) -> None:
        self._region = region
        self._bounds = Bounds()
        self._background: motion.Background | None = None

    def forget(self) -> None:
        """Begin anew with the background: the camera sees nothing that could be one."""
        self._background = None

    def find(
        self, engine: WardEngine, picture: Picture, small: Small, *, with_shots: bool
    ) -> DetectedFaces | None:
        """Return the faces of one picture; None for the first one, before which nothing can have moved.

        Args:
            engine: finds and measures faces.
            picture: as it was decoded.
            small: the same, as `sight.in_small` makes it.
            with_shots: False where nobody is looked for, so that nobody is measured.
        """
        if self._background is None:
            self._background = motion.begin(small)
            return None
        self._background, parts = motion.moving_parts(self._background, small)
        areas = self._areas(parts, picture)
        if not areas:
            return DetectedFaces()
        image = picture.rgb()
        found: list[tuple[Box, Shot | None]] = []
        for left, top, right, bottom in areas:
            part = np.ascontiguousarray(image[top:bottom, left:right])
            for detection in engine.survey(part):
                shot = self._shot(engine, part, detection) if with_shots else None
                found.append((_moved(detection.box, left, top), shot))
        found = _distinct(found)
        return DetectedFaces([box for box, _ in found], [shot for _, shot in found], searched=True)

    def _areas(self, parts: Sequence[motion.Part], picture: Picture) -> list[motion.Part]:
        """Return the moving parts in pixels of the picture, with some room, within the region."""
        rows, columns = picture.grey.shape
        across, down = columns / sight.SMALL_PX[0], rows / sight.SMALL_PX[1]
        left, top, right, bottom = self._region
        region = (left * columns, top * rows, right * columns, bottom * rows)
        areas: list[motion.Part] = []
        for part in parts:
            room_x = max(_ROOM_PX, _ROOM_SHARE * (part[2] - part[0]) * across)
            room_y = max(_ROOM_PX, _ROOM_SHARE * (part[3] - part[1]) * down)
            area = (
                int(max(region[0], part[0] * across - room_x)),
                int(max(region[1], part[1] * down - room_y)),
                int(min(region[2], part[2] * across + room_x)),
                int(min(region[3], part[3] * down + room_y)),
            )
            if area[2] - area[0] >= _ROOM_PX and area[3] - area[1] >= _ROOM_PX:
                areas.append(area)
        return motion.joined_parts(areas)

    def _shot(self, engine: WardEngine, part: Pixels, detection: Detection) -> Shot | None:
        """Make a shot of a face that is good enough."""
        face = engine.face_of(part, detection)
        measured = quality_of.measure(part, face.box, face.landmarks)
        if quality_of.judge(measured, self._bounds):
            return None
        return Shot(worth(measured), engine.embed(part, face), _crop(part, face.box))


def worth(measured: Quality) -> float:
    """Rank a shot: frontal, sharp and large before the rest; larger is better."""
    frontal = max(0.0, 1.0 - abs(measured.yaw))
    return frontal * min(measured.sharpness, 30.0) * min(measured.interocular_px / 60.0, 1.0)


def _moved(box: Box, by_x: int, by_y: int) -> Box:
    return Box(box.left + by_x, box.top + by_y, box.right + by_x, box.bottom + by_y)


def _distinct(found: Sequence[tuple[Box, Shot | None]]) -> list[tuple[Box, Shot | None]]:
    """Leave out a face that was found twice, in areas that share a border."""
    distinct: list[tuple[Box, Shot | None]] = []
    for box, shot in found:
        near = [
            other
            for other, _ in distinct
            if abs(other.left - box.left) + abs(other.top - box.top) < box.width / 2
        ]
        if not near:
            distinct.append((box, shot))
    return distinct


def _crop(part: Pixels, box: Box) -> Pixels:
    room = _CROP_ROOM * box.width
    left, top = max(0, int(box.left - room)), max(0, int(box.top - room))
    return part[top : int(box.bottom + room), left : int(box.right + room)].copy()
