"""Five points of a face, by dlib's own predictor.

The file of 68 points is not used: what it was trained on is not free for commercial use.
"""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import dlib
import numpy as np
from numpy.typing import NDArray

from renzheng.models.detection.boxes import Box
from renzheng.models.errors import ModelFileError
from renzheng.models.home import dlib_file

Pixels = NDArray[np.uint8]
Point = tuple[float, float]

PREDICTOR_FILE = "shape_predictor_5_face_landmarks.dat"
PREDICTOR_SHA256 = "c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888"

# To the right, down (shares of the side) and scale: by as much as a detector's box varies between two of its
# cells.
_BOX_VARIATIONS = (
    (0.0, 0.0, 1.0), (0.08, 0.0, 1.0), (-0.08, 0.0, 1.0), (0.0, 0.08, 1.0), (0.0, -0.08, 1.0),
    (0.0, 0.0, 1.1), (0.0, 0.0, 0.9),
)  # fmt: skip


@dataclass(frozen=True)
class Landmarks:
    """Both corners of both eyes and the base of the nose, as (x, y) in pixels.

    Left and right are the subject's own; the subject's left eye is on the right of the picture.
    """

    left_eye_outer: Point
    left_eye_inner: Point
    right_eye_outer: Point
    right_eye_inner: Point
    nose_base: Point

    @property
    def left_eye(self) -> Point:
        """Centre of the subject's left eye."""
        return _middle(self.left_eye_outer, self.left_eye_inner)

    @property
    def right_eye(self) -> Point:
        """Centre of the subject's right eye."""
        return _middle(self.right_eye_outer, self.right_eye_inner)

    @property
    def points(self) -> tuple[Point, ...]:
        """The five points in dlib's order."""
        return (
            self.left_eye_outer,
            self.left_eye_inner,
            self.right_eye_outer,
            self.right_eye_inner,
            self.nose_base,
        )


class FivePointPredictor:
    """dlib's predictor of five points inside a detector's box.

    Raises:
        ModelMissingError: face_recognition_models is not installed.
        ModelFileError: its file is not the published one.
    """

    def __init__(self, path: Path | None = None) -> None:
        path = path or dlib_file(PREDICTOR_FILE)
        found = sha256(path.read_bytes()).hexdigest()
        if found != PREDICTOR_SHA256:
            raise ModelFileError(
                f"{path.name} has SHA-256 {found}, published is {PREDICTOR_SHA256}.",
                do="Install the package face_recognition_models again.",
                path=str(path),
            )
        self._predictor = dlib.shape_predictor(str(path))

    def locate(self, image: Pixels, box: Box) -> Landmarks:
        """Return the five points of the face in `box`; they may lie outside of the image."""
        shape = self._predictor(image, as_rectangle(box))
        return Landmarks(*((float(point.x), float(point.y)) for point in shape.parts()))

    def locate_finely(self, image: Pixels, box: Box) -> Landmarks:
        """Return the mean of the points over boxes that vary a little: finer than whole pixels."""
        placed = [self.locate(image, varied).points for varied in _varied(box)]
        return Landmarks(*((float(x), float(y)) for x, y in np.mean(placed, axis=0)))

    def unsteadiness(self, image: Pixels, box: Box) -> float:
        """Measure how far the points move as the box does: root mean square, as a share of its width.

        Points that are found in the picture stay where they are. Those of a face that is not upright, or that
        can hardly be seen, are the average face's and follow the box (docs/faces.md has the figures).
        """
        placed = np.array([self.locate(image, varied).points for varied in _varied(box)])
        return float(np.sqrt(np.square(placed - placed.mean(axis=0)).sum(axis=2).mean())) / box.width


def _varied(box: Box) -> list[Box]:
    middle_x, middle_y, side = (box.left + box.right) / 2, (box.top + box.bottom) / 2, box.width
    boxes = []
    for right, down, scale in _BOX_VARIATIONS:
        x, y, half = middle_x + right * side, middle_y + down * side, side * scale / 2
        boxes.append(Box(x - half, y - half, x + half, y + half))
    return boxes


def as_rectangle(box: Box) -> dlib.rectangle:
    """Return a box in dlib's whole pixels."""
    return dlib.rectangle(*(round(edge) for edge in (box.left, box.top, box.right, box.bottom)))


def _middle(one: Point, other: Point) -> Point:
    return ((one[0] + other[0]) / 2, (one[1] + other[1]) / 2)
