"""What lends an expression weight: skin that moves of itself, light that stays in the room; known truth."""

from dataclasses import replace

import numpy as np
import pytest
from parts.turned import film, head

from renzheng.models.liveness import shading, softness
from renzheng.models.liveness.mean_face import forward


def speaking(along, index):
    """The jaw drops by a tenth of the eyes' distance and comes up again."""
    bent = head(along, index)
    bent[:, 1] += np.where(along[:, 1] > 0.75, 0.1 * np.sin(index * 0.6), 0)
    return bent


def only_the_lips(along, index):
    bent = head(along, index)
    painted = (np.abs(along[:, 0]) < 0.3) & (np.abs(along[:, 1] - 1.1) < 0.15)
    bent[:, 1] += np.where(painted, 0.1 * np.sin(index * 0.9), 0)
    return bent


def warped(yaw, seed=0):
    """A still that a program turns: every pixel asks for its colour by the depth where it stands."""
    shown = film(head, yaw=0.0, pitch=0.0, seed=seed, noise_px=0.0, frames=24)
    first = shown.places.astype(np.float64)
    points = []
    for index in range(24):
        sine, now = np.sin(np.radians(yaw) * np.sin(index / 6)), first.copy()
        for _ in range(20):
            now[:, 0] = first[:, 0] + (forward(now) + 1.05) * sine
        points.append((now * 100 + [320, 200]).astype(np.float32))
    return replace(shown, points=tuple(points))


@pytest.mark.parametrize("seed", [0, 1, 3])
def test_a_jaw_that_moves_is_soft(seed):
    assert softness.is_soft(film(speaking, yaw=5, seed=seed, noise_px=0.08, frames=24))


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("yaw", [3.0, 18.0])
def test_a_rigid_head_and_painted_lips_are_not(yaw, seed):
    assert not softness.is_soft(film(head, yaw=yaw, seed=seed, frames=24))
    assert not softness.is_soft(film(only_the_lips, yaw=yaw, seed=seed, frames=24))


@pytest.mark.parametrize("yaw", [6.0, 15.0, 28.0])
def test_a_picture_turned_by_a_depth_is_not_soft_however_far_it_turns(yaw):
    """Points that turn with their depth bend more than in first order: that was taken for life once."""
    assert not softness.is_soft(warped(yaw))


def test_too_few_frames_or_points_show_no_softness():
    assert softness.measure(film(speaking, frames=10)) == (0.0, 0.0)
    assert softness.measure(film(speaking, count=20)) == (0.0, 0.0)
    assert softness.measure(replace(film(speaking), places=None)) == (0.0, 0.0)


def lit(change, *, frames=16, noise=0.5):
    """Points on a face of which `change` tells the brightness, by places and a frame's number."""
    random, track = np.random.default_rng(1), film(head, frames=frames)
    albedo = random.uniform(60, 180, len(track.places))
    seen = [
        (albedo * change(track.places, index) + random.normal(0, noise, len(albedo))).astype(np.float32)
        for index in range(frames)
    ]
    return replace(track, brightness=tuple(seen))


def test_a_head_that_turns_under_a_lamp_has_other_light_on_each_side():
    assert shading.is_lit(lit(lambda at, index: np.exp(0.06 * at[:, 0] * np.sin(index / 4))))
    assert shading.is_lit(lit(lambda at, index: np.exp(0.06 * at[:, 1] * np.sin(index / 4))))


def test_a_gain_and_what_eyes_and_lips_do_are_no_such_light():
    """As of a picture whose program closes the lids, opens the lips and tints all of it."""

    def painted(at, index):
        lips = (np.abs(at[:, 0]) < 0.4) & (np.abs(at[:, 1] - 1.1) < 0.2)
        lids = np.hypot((np.abs(at[:, 0]) - 0.5) / 0.27, at[:, 1] / 0.15) < 1
        return np.where(lips | lids, 0.5 + 0.4 * np.sin(index), 1) * (1 + 0.2 * np.sin(index / 3))

    assert not shading.is_lit(lit(painted))


def test_one_bright_frame_is_no_light_that_stays():
    assert not shading.is_lit(lit(lambda at, index: np.exp(0.06 * at[:, 0] * (index == 8))))


def test_too_little_shows_no_light():
    assert shading.measure(film(head)) == 0.0
    assert shading.measure(lit(lambda at, _: 1 + at[:, 0], frames=4)) == 0.0
