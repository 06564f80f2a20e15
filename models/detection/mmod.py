"""dlib's max-margin face detector, run on the converted network."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from renzheng.models.conversion.networks import DETECTOR_WINDOW, Overlap
from renzheng.models.detection.boxes import Box, Detection, suppress
from renzheng.models.detection.pyramid import (
    OUTER_PADDING_PX,
    Layout,
    Pixels,
    nearest_tile,
    pack,
    plan_layout,
)
from renzheng.models.detection.scales import Part, Scales
from renzheng.models.network import Network

_CELL_STRIDE_PX = 8  # three strides of 2
_FIRST_CELL_PX = 14  # three unpadded 5 x 5: 2 + 2 * 2 + 2 * 4
_UPWARD_SHIFT_PX = 0.3  # dlib's pyramid_down<6>::point_up adds this each time it multiplies by 6/5
_LEAST_PX = 2 * _FIRST_CELL_PX + 1  # what the network takes at the least: one cell
_BOX_SIDE = DETECTOR_WINDOW - 1  # of every box, in pixels of the size at which its face was found
# A cell's score depends on so many cells around it: four convolutions with paddings of 2, 2, 2 and 4.
_CELLS_AROUND = 10


@dataclass(frozen=True)
class Plan:
    """How thoroughly to look.

    Attributes:
        longer_side_px: a larger image is made smaller first; faces under 80 px there are missed. None: as it
            is.
        enlarge: a smaller image is made up to this many times as large, towards `longer_side_px`.
        step: numerator and denominator between two scales; 5/6 is dlib's.
        smallest_px: scales with a shorter side are left out (a face fills no frame beyond its edges); 0:
            none.
        packed: all scales in one picture, exactly as dlib shows them to its network. Else each is a picture
            of its own, which takes a fifth less time and gives the same faces, a little more or less sure.
    """

    longer_side_px: int | None = None
    enlarge: float = 1.0
    step: tuple[int, int] = (5, 6)
    smallest_px: int = 0
    packed: bool = False


AS_DLIB = Plan(packed=True)
# A kiosk's visitor stands within reach: at 640 x 480 this finds faces from about 110 px, in a third of the
# time.
KIOSK = Plan(longer_side_px=448, step=(2, 3), smallest_px=80)
# For images in which the first look found nobody: at 640 x 480 faces from about 60 px, in 150 ms.
SECOND_LOOK = Plan(longer_side_px=800, enlarge=2.0)


class MmodDetector:
    """Finds faces of 80 px and more, in any upright pose.

    Args:
        network: the converted detector; its metadata hold the overlaps of the suppression.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self._between = tuple(float(mean) for mean in network.metadata["channel_means"].split())
        self._overlap = Overlap(
            iou=float(network.metadata["suppression_iou"]),
            covered=float(network.metadata["suppression_covered"]),
        )

    def detect(self, image: Pixels, plan: Plan = AS_DLIB) -> list[Detection]:
        """Return the faces of `image` (rows, columns, 3; RGB), most confident first."""
        found = self._packed(image, plan) if plan.packed else self._apart(image, plan)
        return suppress(found, self._overlap)

    def follow(self, image: Pixels, last: Box) -> list[Detection]:
        """Return the faces near a face's last place that have its size, most confident first.

        What is computed is a part of a look at the whole picture: a face that has not moved scores as it
        would there, to a few thousandths, and still to 0.15 when it has moved by a third of its width.

        Args:
            image: RGB, (rows, columns, 3).
            last: a box that this detector gave for a frame of the same size, not `packed`.
        """
        factor = last.width / _BOX_SIDE
        scales = Scales(image)
        rows, columns = scales.size(factor)
        reach = _CELL_STRIDE_PX * _CELLS_AROUND + _FIRST_CELL_PX
        across = round(((last.left + last.right) / 2 + 0.5) / factor - 0.5)
        down = round(((last.top + last.bottom) / 2 + 0.5) / factor - 0.5)
        edge = OUTER_PADDING_PX
        around = Part(
            max(across - reach, -edge),
            max(down - reach, -edge),
            min(across + reach + 1, columns + edge),
            min(down + reach + 1, rows + edge),
        )
        inside = Part(
            max(around.left, 0), max(around.top, 0), min(around.right, columns), min(around.bottom, rows)
        )
        if min(inside.right - inside.left, inside.bottom - inside.top) < _LEAST_PX:
            return []
        picture = self._framed(scales.part(factor, inside), around, inside)
        return suppress(_read(self._scores(picture), around, factor), self._overlap)

    def _packed(self, image: Pixels, plan: Plan) -> list[Detection]:
        factor = shrinkage(image.shape[0], image.shape[1], plan)
        image = _resized(image, factor)
        layout = plan_layout(image.shape[0], image.shape[1], plan.step, plan.smallest_px)
        scores = self._scores(pack(image, layout, self._between))
        return [Detection(each.box.scaled(factor), each.confidence) for each in _read_packed(scores, layout)]

    def _apart(self, image: Pixels, plan: Plan) -> list[Detection]:
        scales = Scales(image)
        edge = OUTER_PADDING_PX
        found: list[Detection] = []
        for factor in factors(image.shape[0], image.shape[1], plan):
            whole = scales.whole(factor)
            rows, columns = whole.shape[:2]
            around = Part(-edge, -edge, columns + edge, rows + edge)
            picture = self._framed(whole, around, Part(0, 0, columns, rows))
            found += _read(self._scores(picture), around, factor)
        return found

    def _framed(self, pixels: Pixels, around: Part, inside: Part) -> NDArray[np.float32]:
        """Put pixels into a border of the channels' means, which the network sees as zero."""
        room = (
            inside.top - around.top,
            around.bottom - inside.bottom,
            inside.left - around.left,
            around.right - inside.right,
        )
        values = pixels.astype(np.float32)
        framed = cv2.copyMakeBorder(values, *room, cv2.BORDER_CONSTANT, value=self._between)
        return np.asarray(framed, np.float32)

    def _scores(self, picture: NDArray[np.float32]) -> NDArray[np.float32]:
        scores: NDArray[np.float32] = self._network.run(picture[None])[0, 0]
        return scores


def shrinkage(rows: int, columns: int, plan: Plan) -> float:
    """Return by what an image's sides are divided before the detector looks."""
    if plan.longer_side_px is None:
        return 1.0
    return max(max(rows, columns) / plan.longer_side_px, 1 / plan.enlarge)


def _resized(image: Pixels, factor: float) -> Pixels:
    if factor == 1.0:
        return image
    size = (max(1, round(image.shape[1] / factor)), max(1, round(image.shape[0] / factor)))
    how = cv2.INTER_AREA if factor > 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size, interpolation=how), np.uint8)


def factors(rows: int, columns: int, plan: Plan) -> list[float]:
    """Return by what an image's sides are divided for each scale, the largest picture first."""
    found = [shrinkage(rows, columns, plan)]
    while min(rows, columns) / (found[-1] * plan.step[1] / plan.step[0]) >= max(plan.smallest_px, _LEAST_PX):
        found.append(found[-1] * plan.step[1] / plan.step[0])
    return [factor for factor in found if min(rows, columns) / factor >= _LEAST_PX]


def _read(scores: NDArray[np.float32], around: Part, factor: float) -> list[Detection]:
    """Turn the cells above zero of one scale's picture, or a part of it, into boxes of the whole image."""
    found = []
    half = _BOX_SIDE / 2 * factor
    for row, column in zip(*np.nonzero(scores > 0), strict=True):
        x = (_CELL_STRIDE_PX * int(column) + _FIRST_CELL_PX + around.left + 0.5) * factor - 0.5
        y = (_CELL_STRIDE_PX * int(row) + _FIRST_CELL_PX + around.top + 0.5) * factor - 0.5
        found.append(Detection(Box(x - half, y - half, x + half, y + half), float(scores[row, column])))
    return found


def _read_packed(scores: NDArray[np.float32], layout: Layout) -> list[Detection]:
    """Turn the cells above zero into boxes in the coordinates of the unpacked image."""
    cell_rows, cell_columns = np.nonzero(scores > 0)
    x = (_CELL_STRIDE_PX * cell_columns + _FIRST_CELL_PX).astype(np.float64)
    y = (_CELL_STRIDE_PX * cell_rows + _FIRST_CELL_PX).astype(np.float64)
    half = _BOX_SIDE / 2
    found = []
    for center_x, center_y, index, score in zip(
        x, y, nearest_tile(layout, x, y), scores[cell_rows, cell_columns], strict=True
    ):
        tile = layout.tiles[index]
        middle_x, middle_y = center_x - tile.left, center_y - tile.top
        shift = shift_of(tile.enlargement)
        edges = (middle_x - half, middle_y - half, middle_x + half, middle_y + half)
        box = Box(*(float(edge * tile.enlargement + shift) for edge in edges))
        found.append(Detection(box, float(score)))
    return found


def shift_of(enlargement: float) -> float:
    """Return what dlib's repeated p * 6/5 + 0.3 adds beyond the enlargement itself, in pixels."""
    return _UPWARD_SHIFT_PX * (enlargement - 1) / (6 / 5 - 1)
