"""Is what turned a face? The parallax of tracked points must lie along a face's depth; pure.

A homography takes out of the tracked points what a plane would do. What is left over (the parallax) is then
compared with surfaces that paper can take: a fold, a cylinder, any sheet bent along one direction, as much
as it likes and another way in every frame. Only what these leave over and the depth of the mean face
explains speaks for a face: nose, brows and chin stand forward of places beside *and* below them, which no
sheet does.

What it can show: a photograph folded, rolled or flexed is no face, a head that turns by some three degrees
is. What it cannot: a still that a program turns by a face's depth has a face's shape. So a second sign is
needed, and `softness` helps to judge it: nothing of such a still moves but with its turn.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from renzheng.models.liveness.evidence import Family, SignalResult
from renzheng.models.liveness.mean_face import forward, unturned
from renzheng.models.liveness.motion import Track, carry, fit_homography
from renzheng.models.liveness.surfaces import bends, depth_ways, orthonormal, plane_ways

Array = NDArray[np.float64]

MIN_FRAMES = 5
MIN_SPAN_MS = 700
MIN_POINTS = 30

MIN_RATIO = 4.0
"""Variance that the face's depth explains after the best sheet, over what then remains. Largest of a window
of eight seconds, real people: 3.7 to 50, median 13; folded, rolled and flexed prints 1.0 to 6.7, so the
next two bounds are needed as well."""

MIN_AMPLITUDE = 0.0011
"""Root mean square of that part, in interocular distances; flexed prints up to 0.001, people 0.002 to
0.05.
"""

MIN_SHARE = 0.012
"""That part as a share of all parallax; folded prints up to 0.004 where the ratio is high, people 0.017 to
0.2.
"""

MIN_SMOOTHNESS = 0.3
"""Correlation of that part from frame to frame: 0.5 and more, less where a busy machine sees few frames."""

_MOST_FITTED = 12
_DIRECTIONS, _REWEIGHTINGS = 12, 3


class Relief(StrEnum):
    """What the depth of what moved is like."""

    FACE = "face"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Depth:
    """What the parallax showed, with the numbers behind it; see the bounds above."""

    relief: Relief
    ratio: float = 0.0
    amplitude: float = 0.0
    share: float = 0.0
    smoothness: float = 0.0


UNSEEN = Depth(Relief.UNKNOWN)


def say(seen: Depth) -> SignalResult:
    """Weigh the depth: a face's speaks for a living face; another depth, or none, accuses nobody."""
    found = seen.relief is Relief.FACE
    return SignalResult(
        "face_shape", 2.0 if found else 0.0, seen.ratio, found, Family.SHAPE if found else None
    )


def assess(track: Track) -> Depth:
    """Say what the tracked points' depth is like."""
    span = track.at_ms[-1] - track.at_ms[0]
    if track.places is None or len(track.points) < MIN_FRAMES or span < MIN_SPAN_MS:
        return UNSEEN
    places = unturned(track.places.astype(np.float64), track.nose_across)
    if len(places) < MIN_POINTS:
        return UNSEEN
    first, shapes = _centred(track)
    trust = trust_in(places)
    depth = forward(places)[:, None]
    trust = _reweighted(first, shapes, depth, trust)
    over = left_over(first, shapes, trust)
    measured = _compare(first, over, depth, np.sqrt(trust))
    found = (
        measured.ratio >= MIN_RATIO
        and measured.amplitude >= MIN_AMPLITUDE
        and measured.share >= MIN_SHARE
        and measured.smoothness >= MIN_SMOOTHNESS
    )
    return replace(measured, relief=Relief.FACE) if found else measured


def _centred(track: Track) -> tuple[Array, list[Array]]:
    """The points of the first frame, and of some later ones, around their middle in interocular distances."""
    later = len(track.points) - 1
    chosen = sorted({round(place) for place in np.linspace(1, later, min(later, _MOST_FITTED))})
    unit = max(track.interocular_px, 1.0)
    first, *shapes = (
        ((track.points[index] - track.points[index].mean(axis=0)) / unit).astype(np.float64)
        for index in (0, *chosen)
    )
    return first, shapes


def trust_in(places: Array) -> Array:
    """How rigid (n, 2) places of a face are: little where lips, jaw and lids move, or hair may hang."""
    across, down = np.abs(places[:, 0]), places[:, 1]
    trust = np.ones(len(places))
    trust[down > 0.75] = 0.35  # noqa: PLR2004 - below the nose the jaw moves
    trust[(across < 0.5) & (down > 0.85) & (down < 1.35)] = 0.1  # noqa: PLR2004 - the lips
    trust[np.hypot((across - 0.5) / 0.3, down / 0.17) < 1] = 0.15
    trust[across > 1.0] = 0.3
    return trust


def _reweighted(first: Array, shapes: Sequence[Array], depth: Array, trust: Array) -> Array:
    """Trust points less that neither a face nor a sheet explains: what talks, or slid."""
    x, y = first.T
    surfaces = np.column_stack([depth, x * x, x * y, y * y, np.abs(x)])
    kept = trust
    for _ in range(_REWEIGHTINGS):
        root = np.sqrt(kept)
        over = left_over(first, shapes, kept)
        base = orthonormal(plane_ways(first, root))
        span = orthonormal(depth_ways(surfaces, root), base)
        rest = (over - span @ (span.T @ over)).reshape(2, len(first), -1)
        error = np.sqrt((rest**2).sum(axis=0).mean(axis=1)) / np.maximum(root, 1e-3)
        kept = trust / (1 + (error / (1.5 * max(float(np.median(error)), 1e-3))) ** 2)
    return np.asarray(kept, np.float64)


def left_over(first: Array, shapes: Sequence[Array], trust: Array) -> Array:
    """What the best plane leaves over in each frame, weighted; (2 n, frames)."""
    root = np.sqrt(trust)[:, None]
    rest = [(shape - carry(fit_homography(first, shape, trust), first)) * root for shape in shapes]
    over = np.stack([each.T.reshape(-1) for each in rest], axis=1)
    base = orthonormal(plane_ways(first, root[:, 0]))
    return np.asarray(over - base @ (base.T @ over), np.float64)


def _compare(first: Array, over: Array, depth: Array, root: Array) -> Depth:
    """Explain the parallax by the sheet that leaves a face least to explain, then by the face's depth."""
    base = orthonormal(plane_ways(first, root))
    points, frames = len(first), over.shape[1]
    total = max(float((over**2).sum()), 1e-12)
    worst: Depth | None = None
    for angle in np.arange(_DIRECTIONS) * np.pi / _DIRECTIONS:
        bent = bends(first @ np.array([np.cos(angle), np.sin(angle)]))
        sheet = np.column_stack([base, orthonormal(depth_ways(bent, root, first), base)])
        face = orthonormal(depth_ways(depth, root), sheet)
        by_face = face.T @ over
        explained = float((by_face**2).sum())
        remains = max(float(((over - sheet @ (sheet.T @ over)) ** 2).sum()) - explained, 1e-12)
        free = max(2 * points - sheet.shape[1] - face.shape[1], 1)
        ratio = (explained / (face.shape[1] * frames)) / (remains / (free * frames))
        if worst is None or ratio < worst.ratio:
            sizes = np.sqrt((by_face**2).sum(axis=0) / (root**2).sum())
            worst = Depth(
                Relief.UNKNOWN, ratio, float(np.sort(sizes)[-2]), explained / total, _smoothness(by_face)
            )
    assert worst is not None
    return worst


def _smoothness(parts: Array) -> float:
    products = float((parts[:, 1:] * parts[:, :-1]).sum())
    powers = float((parts[:, 1:] ** 2).sum() * (parts[:, :-1] ** 2).sum())
    return products / max(float(np.sqrt(powers)), 1e-12)
