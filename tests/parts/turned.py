"""Followed points whose truth is known: a head of the mean shape, or what else, turned before a camera."""

import numpy as np

from renzheng.models.liveness.mean_face import forward
from renzheng.models.liveness.motion import Track

EYES_PX, DISTANCE = 100.0, 8.0  # half a metre


def places(count, seed):
    random = np.random.default_rng(seed)
    return np.column_stack([random.uniform(-0.85, 0.85, count), random.uniform(-0.45, 1.3, count)])


def head(along, _):
    return np.column_stack([along, -forward(along)])


def flat(along, _):
    return np.column_stack([along, np.zeros(len(along))])


def film(surface, *, yaw=9.0, pitch=3.0, seed=0, noise_px=0.25, frames=16, count=64):
    """Turn a surface before a pinhole camera; one frame every 83 ms."""
    random = np.random.default_rng(seed)
    along, shown = places(count, seed), []
    for index in range(frames):
        a, b = np.radians(yaw) * np.sin(index / 3.1), np.radians(pitch) * np.sin(index / 4.3 + 1)
        around_y = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
        around_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
        turned = surface(along, index) @ (around_x @ around_y).T + [0.05 * np.sin(index / 4), 0, DISTANCE]
        projected = EYES_PX * DISTANCE * turned[:, :2] / turned[:, 2:] + random.normal(
            0, noise_px, (count, 2)
        )
        shown.append((projected + np.array([320, 200])).astype(np.float32))
    seen = ((shown[0] - [320, 200]) / EYES_PX).astype(np.float32)
    return Track(EYES_PX, tuple(shown), tuple(range(0, 83 * frames, 83)), seen)
