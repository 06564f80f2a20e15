"""Passive liveness from the motion of a face's own texture; pure.

What it measures: a flat thing, however it is shifted, turned, tilted or brought nearer, moves between two
pictures by a homography. A head that turns by a few degrees does not: its nose moves against the cheeks. So
some sixty points tracked on the face from one frame on are fitted by a homography, and what the fit leaves
over is the *parallax*. It must be large against tracking noise and against the turn itself, and go on
smoothly from frame to frame. Turning without parallax is a flat thing.

(Five detected landmarks were tried first and do not separate: a detector pulls its landmarks towards a
face's usual shape by one to two hundredths of the eye distance, which is as much as the parallax itself.)

What it can show: that what turned is flat. That what moved has *some* depth says nothing for it: a photograph
bent around an axis or folded has too, so `shape` asks whether it is a face's. Whoever does not move shows
nothing: *not shown*, the default and no reproach.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from renzheng.models.liveness.evidence import SignalResult

Points = NDArray[np.float32]

MIN_POINTS = 20
MIN_FRAMES = 4
MIN_SPAN_MS = 250
"""Fewer points or frames, or a shorter time, hold nothing to speak of."""

MIN_PARALLAX = 0.011
"""Root mean square of what a homography leaves over, in interocular distances. Measured on rendered feeds of
twelve people, 48 windows of a second each: a still picture up to 0.002 (noise), a photograph tilted by hand
up to 0.013, a head that turns by seven degrees 0.0106 to 0.030."""

MIN_PARALLAX_PER_TURN = 0.045
"""Parallax over the sine of the foreshortening's turn, same feeds: the tilted photograph 0.009 to 0.028, the
head 0.051 to 0.24."""

MIN_SMOOTHNESS = 0.75
"""Correlation of the parallax of one frame with the next; tracking noise lies at 0.5 to 0.75."""

MIN_CURVED = 0.25
"""What most points leave over, over what all do. The demo's heads 0.33 to 0.63, 213 frames of 18 feeds; a
mask of paper before a head, whose eyes and cheeks move behind it, 0.02 to 0.17 where 60 or more points are
followed, up to 0.5 where only 20 to 25 are."""

MIN_BODY_POINTS = 50
"""A body is not concluded from fewer; the demo's heads have 54 to 80. At a bound of 35 one paper mask of 42,
followed by 49 points of which most were its wearer's, passed for a body."""

MOST_FITTED = 12
"""Frames of a track that are fitted; more cost time and say no more."""

_REWEIGHTINGS = 8

FLAT_TURN_DEGREES = 16.0
FLAT_PARALLAX_PER_TURN = 0.018
"""What is foreshortened by this turn and leaves over less than this is flat. That is said of somebody, so it
lies well below what heads do: pictures turned as asked leave over 0.0033 to 0.0043, heads turned as asked
0.024 to 0.050, twelve feeds of three portraits each. (At a bound of 0.028 one head of three was taken for a
picture.) A photograph tilted by hand may leave over more: it is then not told from a head that shows too
little, and does not pass either."""


@dataclass(frozen=True, slots=True)
class Track:
    """Points followed through consecutive frames of one face.

    Args:
        interocular_px: distance of the eyes in the first frame.
        points: one array a frame, each (n, 2) in pixels, the same n points in the same order.
        at_ms: when each frame was taken.
        places: where the points lay on the face in the first frame, (n, 2), across and down from between the
            eyes in interocular distances; None where that is not known.
        nose_across: where the base of the nose lay across, likewise: 0 in a face that looks straight ahead.
        brightness: grey levels around each point, (n,) a frame; empty where they were not taken.
    """

    interocular_px: float
    points: Sequence[Points]
    at_ms: Sequence[int]
    places: Points | None = None
    nose_across: float = 0.0
    brightness: Sequence[NDArray[np.float32]] = ()


@dataclass(frozen=True, slots=True)
class Motion:
    """What the motion showed, with the numbers behind it.

    Args:
        shape: the conclusion.
        parallax: largest root mean square left over, in interocular distances.
        smoothness: correlation of consecutive frames' parallax, in [-1, 1].
        turn_degrees: the largest turn that a flat thing would need for the foreshortening seen.
        curved: what the plane that most points agree on leaves over, as a share of `parallax`.
    """

    shape: "Shape"
    parallax: float = 0.0
    smoothness: float = 0.0
    turn_degrees: float = 0.0
    curved: float = 1.0


class Shape(StrEnum):
    """What moved."""

    BODY = "body"
    FLAT = "flat"
    LAYERS = "layers"
    UNKNOWN = "unknown"


STILL = Motion(Shape.UNKNOWN)
_WEIGHTS = {Shape.BODY: 0.0, Shape.FLAT: -4.0, Shape.LAYERS: 0.0, Shape.UNKNOWN: 0.0}
"""A body may be a folded photograph: `shape` tells. Two layers accuse nobody: whoever talks moves lips and
cheeks against the rest, and is taken for a mask."""


def say(seen: Motion) -> SignalResult:
    """Weigh what moved."""
    return SignalResult("motion", _WEIGHTS[seen.shape], seen.parallax)


def assess(track: Track) -> Motion:
    """Say what the tracked points show."""
    enough = len(track.points) >= MIN_FRAMES and len(track.points[0]) >= MIN_POINTS
    if not enough or track.at_ms[-1] - track.at_ms[0] < MIN_SPAN_MS:
        return STILL
    unit = max(track.interocular_px, 1.0)
    first = (track.points[0] - track.points[0].mean(axis=0)).astype(np.float64) / unit
    shapes = [(track.points[index] - track.points[index].mean(axis=0)) / unit for index in _spread(track)]
    shapes = [shape.astype(np.float64) for shape in shapes]
    fits = [fit_homography(first, shape) for shape in shapes]
    left_over = np.stack([shape - carry(fit, first) for fit, shape in zip(fits, shapes, strict=True)])
    sizes = np.sqrt((left_over**2).sum(axis=2).mean(axis=1))
    one_before_largest = int(np.argsort(sizes)[-2])  # one bad frame decides nothing
    measured = Motion(
        Shape.UNKNOWN,
        parallax=float(sizes[one_before_largest]),
        smoothness=_smoothness(left_over),
        turn_degrees=float(np.sort([_turn_degrees(fit) for fit in fits])[-2]),
    )
    shape = _conclude(measured)
    if shape is Shape.BODY:
        curved = plane_residual(first, shapes[one_before_largest]) / measured.parallax
        dense = len(first) >= MIN_BODY_POINTS
        shape = (Shape.BODY if dense else Shape.UNKNOWN) if curved >= MIN_CURVED else Shape.LAYERS
        measured = replace(measured, curved=curved)
    return replace(measured, shape=shape)


def _spread(track: Track) -> list[int]:
    """Choose at most `MOST_FITTED` frames after the first, evenly, the last among them."""
    later = len(track.points) - 1
    return sorted({round(place) for place in np.linspace(1, later, min(later, MOST_FITTED))})


def _conclude(seen: Motion) -> Shape:
    turn = float(np.sin(np.radians(seen.turn_degrees)))
    if seen.turn_degrees >= FLAT_TURN_DEGREES and seen.parallax < FLAT_PARALLAX_PER_TURN * turn:
        return Shape.FLAT
    deep = seen.parallax >= max(MIN_PARALLAX, MIN_PARALLAX_PER_TURN * turn)
    return Shape.BODY if deep and seen.smoothness >= MIN_SMOOTHNESS else Shape.UNKNOWN


def fit_homography(
    before: NDArray[np.float64], after: NDArray[np.float64], weights: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Fit the homography that carries `before` to `after`, least squares on both coordinates; (3, 3).

    The bottom right element is 1: the points lie around the origin, which no pose of a face sends away.
    """
    x, y = before.T
    u, v = after.T
    one, zero = np.ones_like(x), np.zeros_like(x)
    rows = np.concatenate(
        [
            np.column_stack([x, y, one, zero, zero, zero, -u * x, -u * y]),
            np.column_stack([zero, zero, zero, x, y, one, -v * x, -v * y]),
        ]
    )
    wanted = np.concatenate([u, v])
    if weights is not None:
        root = np.sqrt(np.concatenate([weights, weights]))
        rows, wanted = rows * root[:, None], wanted * root
    solved = np.linalg.lstsq(rows, wanted, rcond=None)[0]
    return np.append(solved, 1.0).reshape(3, 3)


def plane_residual(before: NDArray[np.float64], after: NDArray[np.float64]) -> float:
    """Return the median distance that the best plane leaves over when it need not hold all of the points.

    A face has no large flat part; a mask of paper is one, whatever moves in its holes and behind its edges.
    """
    weights = np.ones(len(before))
    residual = np.zeros(len(before))
    for _ in range(_REWEIGHTINGS):
        fit = fit_homography(before, after, weights)
        residual = np.linalg.norm(after - carry(fit, before), axis=1)
        scale = max(float(np.median(residual)), 1e-4)
        weights = 1.0 / (1.0 + (residual / scale) ** 2)
    return float(np.median(residual))


def carry(homography: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Carry (n, 2) points by a homography."""
    lifted = np.column_stack([points, np.ones(len(points))]) @ homography.T
    return np.asarray(lifted[:, :2] / lifted[:, 2:], dtype=np.float64)


def _smoothness(left_over: NDArray[np.float64]) -> float:
    power = np.sqrt((left_over**2).sum(axis=(1, 2)))
    products = (left_over[1:] * left_over[:-1]).sum(axis=(1, 2))
    weights = power[1:] * power[:-1]
    return float(products.sum() / max(float(weights.sum()), 1e-12))


def _turn_degrees(homography: NDArray[np.float64]) -> float:
    sizes = np.linalg.svd(homography[:2, :2], compute_uv=False)
    return float(np.degrees(np.arccos(np.clip(sizes[1] / max(float(sizes[0]), 1e-9), 0.0, 1.0))))
