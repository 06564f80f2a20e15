"""Boxes around faces, and the choice among overlapping ones."""

from collections.abc import Sequence
from dataclasses import dataclass

from renzheng.models.conversion.networks import Overlap


@dataclass(frozen=True)
class Box:
    """An upright box, in pixels from the upper left of the image; its edges may lie outside of it."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        """Width in pixels."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """Height in pixels."""
        return self.bottom - self.top

    @property
    def area(self) -> float:
        """Area in square pixels, 0 where the box is empty."""
        return max(self.width, 0.0) * max(self.height, 0.0)

    def scaled(self, factor: float) -> "Box":
        """Return the box in an image that is `factor` times as large."""
        return Box(self.left * factor, self.top * factor, self.right * factor, self.bottom * factor)


@dataclass(frozen=True)
class Detection:
    """A face that a detector found.

    Attributes:
        box: where, in the coordinates of the image handed in.
        confidence: the detector's own score; comparable within one detector only.
        points: five landmarks (x, y) where the detector gives them: right eye, left eye, nose, right and left
            mouth corner of the subject, as seen from the left of the image.
    """

    box: Box
    confidence: float
    points: tuple[tuple[float, float], ...] = ()


def intersection(one: Box, other: Box) -> float:
    """Return the area that two boxes share, in square pixels."""
    width = min(one.right, other.right) - max(one.left, other.left)
    height = min(one.bottom, other.bottom) - max(one.top, other.top)
    return max(width, 0.0) * max(height, 0.0)


def iou(one: Box, other: Box) -> float:
    """Return intersection over union, 0 to 1."""
    shared = intersection(one, other)
    union = one.area + other.area - shared
    return shared / union if union > 0 else 0.0


def suppress(detections: Sequence[Detection], overlap: Overlap) -> list[Detection]:
    """Keep the most confident of every group that overlaps, most confident first.

    Two overlap above `overlap.iou`, or where one covers more than `overlap.covered` of the other.
    """
    kept: list[Detection] = []
    for candidate in sorted(detections, key=lambda found: found.confidence, reverse=True):
        if not any(_overlap(candidate.box, other.box, overlap) for other in kept):
            kept.append(candidate)
    return kept


def _overlap(one: Box, other: Box, overlap: Overlap) -> bool:
    shared = intersection(one, other)
    if shared == 0:
        return False
    return (
        iou(one, other) > overlap.iou
        or shared > overlap.covered * one.area
        or shared > overlap.covered * other.area
    )
