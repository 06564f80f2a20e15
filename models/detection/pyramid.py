"""dlib's tiled image pyramid: all scales packed into one image, so that one pass finds faces of every size.

Follows dlib's `input_rgb_image_pyramid<pyramid_down<6>>` (each scale 5/6 of the one before), padding 10 and
outer padding 11, so that the network sees the very pixels that dlib shows it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

_PADDING_PX = 10
OUTER_PADDING_PX = 11
_SMALLEST_HEIGHT_PX = 5


@dataclass(frozen=True)
class Tile:
    """One scale's place in the packed image, and how much larger the original is."""

    left: int
    top: int
    width: int
    height: int
    enlargement: float


@dataclass(frozen=True)
class Layout:
    """The packed image's size and its tiles, largest first."""

    rows: int
    columns: int
    tiles: tuple[Tile, ...]


def plan_layout(rows: int, columns: int, step: tuple[int, int] = (5, 6), smallest_px: int = 0) -> Layout:
    """Lay out the scales of an image of `rows` x `columns`, each a `step` smaller than the one before.

    Args:
        rows: of the image, pixels.
        columns: of the image, pixels.
        step: between two scales, as numerator and denominator; 5/6 is dlib's.
        smallest_px: scales whose shorter side is below are left out; 0 keeps all, as dlib does.
    """
    sizes = _scales(rows, columns, step, smallest_px)
    first_column = _first_column(sizes)
    height = sum(size[0] + _PADDING_PX for size in sizes[:first_column]) - _PADDING_PX
    tiles: list[Tile] = []
    top = OUTER_PADDING_PX
    enlargement = step[1] / step[0]
    for index, (tile_rows, tile_columns) in enumerate(sizes[:first_column]):
        tiles.append(Tile(OUTER_PADDING_PX, top, tile_columns, tile_rows, enlargement**index))
        top += tile_rows + _PADDING_PX
    bottom = top - _PADDING_PX
    for index, (tile_rows, tile_columns) in enumerate(sizes[first_column:], start=first_column):
        # The second column is filled upwards along the right edge.
        left = OUTER_PADDING_PX + columns - tile_columns
        tiles.append(Tile(left, bottom - tile_rows, tile_columns, tile_rows, enlargement**index))
        bottom -= tile_rows + _PADDING_PX
    return Layout(height + 2 * OUTER_PADDING_PX, columns + 2 * OUTER_PADDING_PX, tuple(tiles))


def pack(image: Pixels, layout: Layout, between: tuple[float, ...]) -> NDArray[np.float32]:
    """Return the packed image, (rows, columns, 3): every scale made from the one before.

    Args:
        image: RGB.
        layout: from `plan_layout` for an image of this size.
        between: the colour between the scales; the channels' means, which the network sees as zero, as in
            dlib.
    """
    packed = np.empty((layout.rows, layout.columns, 3), dtype=np.float32)
    packed[:] = between
    scaled = image.astype(np.float32)
    for tile in layout.tiles:
        if scaled.shape[:2] != (tile.height, tile.width):
            scaled = shrink(scaled, tile.height, tile.width)
        packed[tile.top : tile.top + tile.height, tile.left : tile.left + tile.width] = scaled
    return packed


def shrink(image: NDArray[np.float32], rows: int, columns: int) -> NDArray[np.float32]:
    """Resize bilinearly as dlib's `tt::resize_bilinear`: the corners' centres stay, nothing is rounded."""
    source_y, source_x = image.shape[0] - 1, image.shape[1] - 1
    matrix = np.array(
        [[source_x / max(columns - 1, 1), 0, 0], [0, source_y / max(rows - 1, 1), 0]], dtype=np.float64
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    resized = cv2.warpAffine(image, matrix, (columns, rows), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(resized, np.float32)


def nearest_tile(layout: Layout, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return for each point of the packed image the index of the tile it lies in or nearest to."""
    distances = np.stack(
        [
            np.maximum(np.maximum(tile.left - x, x - (tile.left + tile.width - 1)), 0) ** 2
            + np.maximum(np.maximum(tile.top - y, y - (tile.top + tile.height - 1)), 0) ** 2
            for tile in layout.tiles
        ]
    )
    nearest: NDArray[np.intp] = np.argmin(distances, axis=0)
    return nearest


def _scales(rows: int, columns: int, step: tuple[int, int], smallest_px: int) -> list[tuple[int, int]]:
    sizes = [(rows, columns)]
    while True:
        rows, columns = step[0] * rows // step[1], step[0] * columns // step[1]
        if rows < max(_SMALLEST_HEIGHT_PX, smallest_px) or columns < max(1, smallest_px):
            return sizes
        sizes.append((rows, columns))


def _first_column(sizes: Sequence[tuple[int, int]]) -> int:
    """Return how many scales stand in the first column: until half of the rest fits beside it."""
    total = sum(height + _PADDING_PX for height, _ in sizes) - 2 * _PADDING_PX
    first_height, first_width = sizes[0]
    height, previous_width = 0, 0
    for index, (tile_height, tile_width) in enumerate(sizes):
        fits_beside = tile_width <= first_width - previous_width - _PADDING_PX
        if fits_beside and (height - first_height) * 2 >= (total - first_height):
            return index
        height += tile_height + _PADDING_PX
        previous_width = tile_width
    return len(sizes)
