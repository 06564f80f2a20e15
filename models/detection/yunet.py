"""YuNet: a small detector that also gives eyes, nose and mouth corners."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from renzheng.models.conversion.networks import Overlap
from renzheng.models.detection.boxes import Box, Detection, suppress
from renzheng.models.network import Network

Pixels = NDArray[np.uint8]

_STRIDES_PX = (8, 16, 32)
_MULTIPLE_PX = 32
_SUPPRESSION = Overlap(iou=0.3, covered=1.0)  # as OpenCV's FaceDetectorYN sets it


@dataclass(frozen=True)
class YunetPlan:
    """How thoroughly to look.

    Attributes:
        longer_side_px: the image is brought to this size; None: as it is, but at most `largest_side_px`.
        smallest_score: detections below are dropped, 0 to 1.
    """

    longer_side_px: int = 320
    smallest_score: float = 0.6


QUICK = YunetPlan()
THOROUGH = YunetPlan(longer_side_px=640, smallest_score=0.5)


class YunetDetector:
    """Finds faces of about 10 px and more at the size that the plan sets.

    Args:
        network: YuNet with an input of any size, or of one fixed size.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        rows, columns = network.input_shape[2:4]
        self._fixed = (rows, columns) if isinstance(rows, int) and isinstance(columns, int) else None

    def detect(self, image: Pixels, plan: YunetPlan = QUICK) -> list[Detection]:
        """Return the faces of `image` (rows, columns, 3; RGB) with five points each, most confident first."""
        factor, canvas = self._prepared(image, plan)
        return suppress(
            [_scaled(each, factor) for each in self._found(canvas, plan.smallest_score)], _SUPPRESSION
        )

    def follow(self, image: Pixels, around: Box, plan: YunetPlan = QUICK) -> list[Detection]:
        """Return the faces within a part of `image`, at the size and on the grid of a look at the whole.

        Args:
            image: RGB, (rows, columns, 3).
            around: the part, in pixels of the image; its edges are moved to the network's coarsest grid.
            plan: of the look at the whole.
        """
        if self._fixed:
            return self.detect(image, plan)
        factor = max(image.shape[:2]) / plan.longer_side_px
        left, right = _grid(around.left / factor, around.right / factor, image.shape[1] / factor)
        top, bottom = _grid(around.top / factor, around.bottom / factor, image.shape[0] / factor)
        edges = tuple(round(edge * factor) for edge in (left, top, right, bottom))
        part = image[edges[1] : edges[3], edges[0] : edges[2]]
        if min(part.shape[:2]) < 1:
            return []
        found = self._found(_canvas(part, factor), plan.smallest_score)
        return suppress([_shifted(_scaled(each, factor), *edges[:2]) for each in found], _SUPPRESSION)

    def _found(self, canvas: Pixels, smallest_score: float) -> list[Detection]:
        names = self._network.output_names
        outputs = dict(
            zip(names, self._network.run_all(canvas.transpose(2, 0, 1)[None].astype(np.float32)), strict=True)
        )
        found: list[Detection] = []
        for stride in _STRIDES_PX:
            found += _read(outputs, stride, canvas.shape[1] // stride, smallest_score)
        return found

    def _prepared(self, image: Pixels, plan: YunetPlan) -> tuple[float, Pixels]:
        """Return by what to multiply coordinates, and the BGR image padded to what the network takes."""
        longest = min(self._fixed) if self._fixed else plan.longer_side_px
        factor = max(image.shape[:2]) / longest
        return factor, _canvas(image, factor, self._fixed)


def _canvas(image: Pixels, factor: float, fixed: tuple[int, int] | None = None) -> Pixels:
    """Return an image with its sides divided, as BGR, with black beyond its right and lower edges."""
    size = (max(1, round(image.shape[1] / factor)), max(1, round(image.shape[0] / factor)))
    scaled = cv2.resize(image, size, interpolation=cv2.INTER_AREA if factor > 1 else cv2.INTER_LINEAR)
    rows, columns = fixed or (_rounded_up(size[1]), _rounded_up(size[0]))
    canvas = np.zeros((rows, columns, 3), dtype=np.uint8)
    canvas[: size[1], : size[0]] = scaled[:, :, ::-1]
    return canvas


def _grid(first: float, last: float, end: float) -> tuple[float, float]:
    """Return a stretch's ends, each at the nearest place on the network's coarsest grid, within the image."""
    low, high = (round(place / _MULTIPLE_PX) * _MULTIPLE_PX for place in (first, last))
    return max(0, low), min(high, end)


def _rounded_up(length: int) -> int:
    return -(-length // _MULTIPLE_PX) * _MULTIPLE_PX


def _read(
    outputs: dict[str, NDArray[np.float32]], stride: int, cells_across: int, smallest_score: float
) -> list[Detection]:
    """Turn one stride's outputs into detections in the coordinates of the canvas."""
    likely = outputs[f"cls_{stride}"][0, :, 0].clip(0, 1) * outputs[f"obj_{stride}"][0, :, 0].clip(0, 1)
    scores = np.sqrt(likely)
    found = []
    for index in np.flatnonzero(scores >= smallest_score):
        row, column = divmod(int(index), cells_across)
        middle_x, middle_y, width, height = outputs[f"bbox_{stride}"][0, index].astype(np.float64)
        middle_x, middle_y = (column + middle_x) * stride, (row + middle_y) * stride
        half_width, half_height = np.exp(width) * stride / 2, np.exp(height) * stride / 2
        box = Box(
            float(middle_x - half_width),
            float(middle_y - half_height),
            float(middle_x + half_width),
            float(middle_y + half_height),
        )
        points = outputs[f"kps_{stride}"][0, index].reshape(5, 2).astype(np.float64)
        placed = (points + np.array([column, row])) * stride
        found.append(Detection(box, float(scores[index]), tuple((float(x), float(y)) for x, y in placed)))
    return found


def _scaled(detection: Detection, factor: float) -> Detection:
    points = tuple((x * factor, y * factor) for x, y in detection.points)
    return Detection(detection.box.scaled(factor), detection.confidence, points)


def _shifted(detection: Detection, right: int, down: int) -> Detection:
    box = detection.box
    moved = Box(box.left + right, box.top + down, box.right + right, box.bottom + down)
    points = tuple((x + right, y + down) for x, y in detection.points)
    return Detection(moved, detection.confidence, points)
