"""Does the light stay in the room while the face turns? The brightness of followed points; pure.

A lamp stands where it stands: as a head turns, one side of it grows brighter and the other darker. A picture
that a program turns takes its light along: whatever is followed on it keeps its brightness, but for a gain
that all of it shares. So the logarithm of each point's brightness against its first is fitted by a constant
and a slope across and down the face, and only the slope counts.

What it can show: that what turned is lit from outside. What it cannot: a video was lit as well, a program may
compute the light, and a reflection on a screen moves over a picture too. So it is no sign of life by itself.
"""

import numpy as np
from numpy.typing import NDArray

from renzheng.models.liveness.motion import Track

Array = NDArray[np.float64]

MIN_FRAMES, MIN_POINTS = 5, 15
"""As few frames as a shape needs, so that a slow camera shows both at once."""

MIN_SLOPE = 0.02
"""Change of the brightness's logarithm over one interocular distance; docs/liveness.md has what people and
stills show."""

_DARKEST = 6.0  # grey levels: a camera's noise in the dark is no change of light
_REWEIGHTINGS = 4


def is_lit(track: Track) -> bool:
    """Tell whether the light on the face changed as it does on a thing that turns under a lamp."""
    return measure(track) >= MIN_SLOPE


def measure(track: Track) -> float:
    """Return the second largest slope that brightness took, mean of three frames; 0 if not seen."""
    if track.places is None or len(track.brightness) < MIN_FRAMES:
        return 0.0
    across, down = track.places.astype(np.float64).T
    rigid = _rigid(across, down)
    if int(rigid.sum()) < MIN_POINTS:
        return 0.0
    changed = np.log(np.stack(track.brightness)[:, rigid].astype(np.float64) + _DARKEST)
    slopes = _slopes(np.column_stack([across[rigid], down[rigid]]), (changed - changed[0]).T)
    smooth = (slopes[:, :-2] + slopes[:, 1:-1] + slopes[:, 2:]) / 3
    return float(np.sort(np.hypot(*smooth))[-2])


def _rigid(across: Array, down: Array) -> NDArray[np.bool_]:
    """Leave out eyes and lips, which change by themselves, and what may be hair."""
    eyes = np.hypot((np.abs(across) - 0.5) / 0.32, down / 0.2) < 1
    lips = (np.abs(across) < 0.5) & (down > 0.8) & (down < 1.4)  # noqa: PLR2004 - interocular distances
    return np.asarray(~eyes & ~lips & (np.abs(across) < 1))


def _slopes(places: Array, changed: Array) -> Array:
    """Fit a constant and two slopes to each frame, points that differ from all others less; (2, frames)."""
    ways = np.column_stack([np.ones(len(places)), places - places.mean(axis=0)])
    weights = np.ones(len(places))
    for _ in range(_REWEIGHTINGS):
        fitted = np.linalg.lstsq(ways * weights[:, None], changed * weights[:, None], rcond=None)[0]
        error = np.sqrt(((changed - ways @ fitted) ** 2).mean(axis=1))
        weights = 1 / (1 + (error / (1.5 * max(float(np.median(error)), 1e-3))) ** 2)
    return np.asarray(fitted[1:], np.float64)
