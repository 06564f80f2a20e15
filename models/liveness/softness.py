"""Does skin move of itself? Parts of a face against what turns the whole of it; pure.

Who talks or makes faces moves jaw and cheeks, and brows (which a tilt hides mostly). What a homography leaves
over of the tracked points is freed of everything that goes with the turn: of the parallax along the mean
face's depth, of its square and its cube, since a picture that a program turns by a depth, or a head that
turns far, bends more than a turn in first order does. What then still moves together, in one part of the
face, is skin.

What it can show: that no rigid thing was moved, and no picture turned by a program that paints over lids and
lips alone. What it cannot: a video, or a program that moves jaw and cheeks, has soft skin too.
"""

import numpy as np
from numpy.typing import NDArray

from renzheng.models.liveness.mean_face import forward, unturned
from renzheng.models.liveness.motion import Track, carry, fit_homography
from renzheng.models.liveness.shape import trust_in
from renzheng.models.liveness.surfaces import depth_ways, orthonormal, plane_ways

Array = NDArray[np.float64]

MIN_FRAMES, MIN_POINTS = 12, 30
"""Seven ways of a turn are taken out over the frames: fewer frames leave nothing."""

MIN_SIZE, MIN_PER_TURN = 0.0010, 0.035
"""Root mean square over time of a part's median motion, less its noise, in interocular distances; and over
the largest parallax, as a sine of the turn. docs/liveness.md has what people and stills show."""

_FEWEST_IN_PART = 4
_PAINTED = 0.2  # lips and lids are trusted less than this: what is painted over them must move nothing else


def is_soft(track: Track) -> bool:
    """Tell whether a part of the face moved by itself."""
    size, turn = measure(track)
    return size >= max(MIN_SIZE, MIN_PER_TURN * turn)


def measure(track: Track) -> tuple[float, float]:
    """Return how far the part that moved most by itself did, and the turn; (0, 0) if too little was seen."""
    if track.places is None or len(track.points) < MIN_FRAMES or len(track.places) < MIN_POINTS:
        return 0.0, 0.0
    places = unturned(track.places.astype(np.float64), track.nose_across)
    trust = np.where(trust_in(places) < _PAINTED, 0.0, trust_in(places))
    first, rest = _left_over(track, trust)
    turns = _turns(first, rest, forward(places), trust)
    beyond = _without(rest, turns)
    parts = [np.median(beyond[:, part], axis=1) for part in _parts(places) if part.sum() >= _FEWEST_IN_PART]
    return max((_size(part) for part in parts), default=0.0), float(np.abs(turns).max())


def _left_over(track: Track, trust: Array) -> tuple[Array, Array]:
    """The first frame's points around their middle; what a plane leaves over of each later one."""
    unit = max(track.interocular_px, 1.0)
    first, *later = (((each - each.mean(axis=0)) / unit).astype(np.float64) for each in track.points)
    return first, np.stack([each - carry(fit_homography(first, each, trust), first) for each in later])


def _turns(first: Array, rest: Array, depth: Array, trust: Array) -> Array:
    """How far each frame is turned across and down, by the parallax of the mean face; (frames, 2)."""
    root = np.sqrt(trust)
    plane = orthonormal(plane_ways(first, root))
    ways = depth_ways(depth[:, None], root)
    ways = ways - plane @ (plane.T @ ways)
    weighted = (rest * root[:, None]).transpose(2, 1, 0).reshape(2 * len(first), -1)
    return np.asarray(np.linalg.lstsq(ways, weighted, rcond=None)[0].T, np.float64)


def _without(rest: Array, turns: Array) -> Array:
    """Take out of each point's motion whatever goes with the turn, up to its cube."""
    across, down = (turns / max(float(np.abs(turns).max()), 1e-9)).T
    ways = np.column_stack([across, down, across**2, across * down, down**2, across**3, down**3])
    basis, sizes, _ = np.linalg.svd(ways, full_matrices=False)
    kept = basis[:, sizes > 1e-3 * max(float(sizes[0]), 1e-9)]
    flat = rest.reshape(len(rest), -1)
    return np.asarray((flat - kept @ (kept.T @ flat)).reshape(rest.shape), np.float64)


def _parts(places: Array) -> list[NDArray[np.bool_]]:
    """Which points lie on the chin, the jaw's sides, the cheeks and the brows; none on lips and lids."""
    across, down = places.T
    parts = [(down > 1.3) & (np.abs(across) < 0.6)]  # noqa: PLR2004 - interocular distances
    for side in (across, -across):
        parts += [
            (down > 0.75) & (side > 0.42),  # noqa: PLR2004
            (down > 0.2) & (down < 0.8) & (side > 0.35),  # noqa: PLR2004
            (down < -0.2) & (side > 0.1),  # noqa: PLR2004
        ]
    return parts


def _size(moved: Array) -> float:
    """How far, root mean square over time, less the noise that differs from frame to frame; (frames, 2)."""
    smooth = (moved[:-2] + moved[1:-1] + moved[2:]) / 3
    rough = moved[:-2] - 2 * moved[1:-1] + moved[2:]
    noise = (
        float((rough**2).sum(axis=1).mean()) / 6 / 3
    )  # of one frame, a sixth; of the mean of three, a third
    return float(np.sqrt(max((smooth**2).sum(axis=1).mean() - noise, 0.0)))
