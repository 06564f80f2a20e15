"""How far each place of a face stands forward, the mean of many faces; pure."""

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.float64]

ACROSS_STEP, DOWN_STEP, DOWN_FROM = 0.15, 0.15, -0.75

FORWARD = np.array([
    (0.21, 0.21, 0.18, 0.13, 0.05, -0.08, -0.27, -0.51),  # 0.75 above the eyes: the forehead
    (0.26, 0.26, 0.23, 0.19, 0.11, -0.02, -0.22, -0.48),
    (0.31, 0.31, 0.29, 0.25, 0.18, 0.06, -0.15, -0.45),
    (0.33, 0.32, 0.27, 0.24, 0.20, 0.12, -0.07, -0.42),
    (0.31, 0.24, 0.13, 0.12, 0.11, 0.07, -0.05, -0.39),
    (0.38, 0.20, 0.05, 0.07, 0.04, -0.04, -0.11, -0.36),  # the eyes
    (0.52, 0.35, 0.13, 0.09, 0.06, -0.02, -0.11, -0.32),
    (0.66, 0.51, 0.24, 0.15, 0.11, 0.06, -0.04, -0.29),
    (0.74, 0.66, 0.38, 0.21, 0.17, 0.11, 0.01, -0.36),
    (0.69, 0.57, 0.40, 0.23, 0.19, 0.14, 0.02, -0.37),  # the tip of the nose
    (0.45, 0.41, 0.32, 0.24, 0.19, 0.12, -0.01, -0.36),
    (0.46, 0.44, 0.37, 0.26, 0.17, 0.09, -0.05, -0.50),
    (0.39, 0.36, 0.27, 0.17, 0.12, 0.04, -0.15, -0.55),  # the mouth
    (0.39, 0.37, 0.30, 0.17, 0.09, -0.02, -0.26, -0.73),
    (0.36, 0.34, 0.26, 0.17, 0.05, -0.11, -0.42, -0.81),
    (0.31, 0.29, 0.24, 0.14, -0.01, -0.23, -0.54, -0.89),
    (0.32, 0.30, 0.24, 0.09, -0.12, -0.35, -0.64, -0.96),  # the chin
    (0.25, 0.23, 0.15, -0.03, -0.24, -0.47, -0.74, -1.04),
])  # fmt: skip
"""Forward of the plane through the eyes' corners, in interocular distances; columns from the middle line
outwards, rows downwards from `DOWN_FROM`. The median over 59 photographs of 44 people of what the free
landmark network of 468 points gives (Apache-2.0; see docs/liveness.md), made symmetric; between people the
tip of the nose deviates by 0.03, the chin by 0.02, the cheeks by 0.02."""

NOSE_BASE_FORWARD = 0.46
_MOST_SINE = 0.6


def forward(places: Places) -> NDArray[np.float64]:
    """Return how far forward of the eyes the mean face is at (n, 2) places, across and down; bilinear."""
    rows, columns = FORWARD.shape
    across = np.clip(np.abs(places[:, 0]) / ACROSS_STEP, 0, columns - 1.001)
    down = np.clip((places[:, 1] - DOWN_FROM) / DOWN_STEP, 0, rows - 1.001)
    column, row = across.astype(np.intp), down.astype(np.intp)
    right, below = across - column, down - row
    upper = FORWARD[row, column] * (1 - right) + FORWARD[row, column + 1] * right
    lower = FORWARD[row + 1, column] * (1 - right) + FORWARD[row + 1, column + 1] * right
    return np.asarray(upper * (1 - below) + lower * below, np.float64)


def unturned(seen: Places, nose_across: float) -> Places:
    """Return where on a face that looks straight ahead the points seen on a turned one lie.

    Args:
        seen: (n, 2), across and down from between the eyes, in interocular distances as they are seen.
        nose_across: where the base of the nose is seen, across: 0 on a face that looks straight ahead.
    """
    sine = float(np.clip(nose_across / NOSE_BASE_FORWARD, -_MOST_SINE, _MOST_SINE))
    places = seen.copy()
    for _ in range(3):  # a place's depth moves it across, and where it lies tells its depth
        places[:, 0] = seen[:, 0] - sine * forward(places)
    return places
