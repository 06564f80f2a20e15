"""Liveness on points whose truth is known: turned bodies, tilted planes, nothing at all."""

import numpy as np
import pytest

from renzheng.models.liveness.motion import STILL, Shape, Track, assess, carry, fit_homography

EYES_PX = 100.0
DISTANCE = 8.0  # in interocular distances: half a metre


def surface(count, seed, *, body):
    """Points on a face, in interocular distances around the point between the eyes."""
    random = np.random.default_rng(seed)
    across, down = random.uniform(-0.8, 0.8, count), random.uniform(-0.4, 1.2, count)
    depth = np.zeros(count)
    if body:
        depth = 1.1 * np.sqrt(np.clip(1 - (across / 1.35) ** 2 - ((down - 0.35) / 1.9) ** 2, 0, None))
        depth += 0.42 * np.exp(-((across / 0.22) ** 2) - ((down - 0.58) / 0.28) ** 2)
    return np.column_stack([across, down, -depth])


def film(points, *, yaw_degrees, seed=0, noise_px=0.15, frames=10, period=18, sway=0.05, tilt_degrees=3.0):
    """Turn, tilt and shift points before a pinhole camera; one frame every 100 ms."""
    random = np.random.default_rng(seed)
    shown = []
    for index in range(frames):
        turn = 2 * np.pi * index / period
        yaw, pitch = np.radians(yaw_degrees) * np.sin(turn), np.radians(tilt_degrees) * np.sin(1.3 * turn)
        around_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
        around_x = np.array(
            [[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]]
        )
        turned = points @ (around_x @ around_y).T + [sway * np.sin(turn), 0, DISTANCE]
        projected = EYES_PX * DISTANCE * turned[:, :2] / turned[:, 2:]
        noise = random.normal(0, noise_px, projected.shape)
        shown.append((projected + np.array([320, 200]) + noise).astype(np.float32))
    return Track(EYES_PX, tuple(shown), tuple(range(0, 100 * frames, 100)))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("yaw", [6.0, 10.0, 20.0])
def test_a_turning_head_shows_itself(seed, yaw):
    assert assess(film(surface(60, seed, body=True), yaw_degrees=yaw, seed=seed)).shape is Shape.BODY


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("yaw", [0.0, 3.0, 8.0, 12.0, 20.0, 30.0])
def test_a_flat_picture_never_passes_for_a_body_however_it_is_held(seed, yaw):
    seen = assess(film(surface(60, seed, body=False), yaw_degrees=yaw, seed=seed))
    assert seen.shape is not Shape.BODY
    if yaw >= 20.0:
        assert seen.shape is Shape.FLAT


@pytest.mark.parametrize("seed", range(8))
def test_whoever_holds_still_shows_nothing_and_is_accused_of_nothing(seed):
    seen = assess(film(surface(60, seed, body=True), yaw_degrees=0.0, tilt_degrees=0.0, sway=0.0, seed=seed))
    assert seen.shape is Shape.UNKNOWN


@pytest.mark.parametrize(
    "track",
    [
        film(surface(60, 1, body=True), yaw_degrees=10, frames=3),
        film(surface(10, 1, body=True), yaw_degrees=10),
    ],
    ids=["too short", "too few points"],
)
def test_too_little_is_nothing(track):
    assert assess(track) == STILL


def test_the_fitted_homography_carries_what_a_homography_moved():
    random = np.random.default_rng(3)
    truth = np.array([[1.1, 0.05, 0.02], [-0.04, 0.95, -0.1], [0.06, -0.03, 1.0]])
    points = random.uniform(-1, 1, (40, 2))
    fitted = fit_homography(points, carry(truth, points))
    assert np.allclose(fitted, truth, atol=1e-8)
