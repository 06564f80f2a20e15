"""dlib's max-margin face detector, run on the converted network."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from renzheng.models.conversion.networks import DETECTOR_WINDOW, Overlap
from renzheng.models.detection.boxes import Box, Detection, suppress
from renzheng.models.detection.pyramid import Layout, Pixels, nearest_tile, pack, plan_layout
from renzheng.models.network import Network

_CELL_STRIDE_PX = 8  # three strides of 2
_FIRST_CELL_PX = 14  # three unpadded 5 x 5: 2 + 2 * 2 + 2 * 4
_UPWARD_SHIFT_PX = 0.3  # dlib's pyramid_down<6>::point_up adds this each time it multiplies by 6/5


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
    """

    longer_side_px: int | None = None
    enlarge: float = 1.0
    step: tuple[int, int] = (5, 6)
    smallest_px: int = 0


AS_DLIB = Plan()
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
        factor = shrinkage(image.shape[0], image.shape[1], plan)
        image = _resized(image, factor)
        layout = plan_layout(image.shape[0], image.shape[1], plan.step, plan.smallest_px)
        scores = self._network.run(pack(image, layout, self._between)[None])[0, 0]
        found = [Detection(each.box.scaled(factor), each.confidence) for each in _read(scores, layout)]
        return suppress(found, self._overlap)


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


def _read(scores: NDArray[np.float32], layout: Layout) -> list[Detection]:
    """Turn the cells above zero into boxes in the coordinates of the unpacked image."""
    cell_rows, cell_columns = np.nonzero(scores > 0)
    x = (_CELL_STRIDE_PX * cell_columns + _FIRST_CELL_PX).astype(np.float64)
    y = (_CELL_STRIDE_PX * cell_rows + _FIRST_CELL_PX).astype(np.float64)
    half = (DETECTOR_WINDOW - 1) / 2
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
