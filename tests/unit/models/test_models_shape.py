"""The shape of a face on points whose truth is known: heads of the mean shape, folds, cylinders, sheets."""

import numpy as np
import pytest

from renzheng.models.liveness.mean_face import FORWARD, NOSE_BASE_FORWARD, forward, unturned
from renzheng.models.liveness.motion import Track
from renzheng.models.liveness.shape import Relief, assess, say

EYES_PX, DISTANCE = 100.0, 8.0  # half a metre


def places(count, seed):
    random = np.random.default_rng(seed)
    return np.column_stack([random.uniform(-0.85, 0.85, count), random.uniform(-0.45, 1.3, count)])


def head(along, _):
    return np.column_stack([along, -forward(along)])


def flat(along, _):
    return np.column_stack([along, np.zeros(len(along))])


def fold(degrees, lean=0.0):
    """A sheet folded along a line through the nose that leans by so much."""

    def bent(along, _):
        across = along @ np.array([np.cos(np.radians(lean)), np.sin(np.radians(lean))])
        return np.column_stack([along, np.tan(np.radians(degrees)) * np.abs(across)])

    return bent


def cylinder(radius):
    return lambda along, _: np.column_stack([along, radius - np.sqrt(radius**2 - along[:, 0] ** 2)])


def flexing(along, index):
    return np.column_stack([along, 0.3 * np.sin(index / 3) * np.cos(1.8 * along[:, 0])])


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


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("yaw", [4.0, 9.0, 18.0])
def test_a_head_that_turns_has_the_shape_of_a_face(seed, yaw):
    seen = assess(film(head, yaw=yaw, seed=seed))
    assert seen.relief is Relief.FACE
    assert say(seen).shows_depth


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("yaw", [4.0, 12.0, 22.0])
@pytest.mark.parametrize(
    "surface",
    [
        flat,
        fold(10),
        fold(25),
        fold(45),
        fold(25, lean=40),
        cylinder(1.0),
        cylinder(2.0),
        cylinder(4.0),
        flexing,
    ],
    ids=["flat", "fold 10", "fold 25", "fold 45", "leaning fold", "bottle", "cylinder", "bowed", "flexing"],
)
def test_no_sheet_has_it_however_it_is_bent_and_turned(surface, yaw, seed):
    seen = assess(film(surface, yaw=yaw, seed=seed))
    assert seen.relief is Relief.UNKNOWN
    assert say(seen).weight == 0.0  # and nobody is accused of it


def test_whoever_holds_still_shows_no_shape():
    assert assess(film(head, yaw=0.0, pitch=0.0)).relief is Relief.UNKNOWN


def test_a_face_whose_eyes_are_not_known_shows_no_shape():
    seen = film(head)
    assert assess(Track(EYES_PX, seen.points, seen.at_ms)).relief is Relief.UNKNOWN
    assert assess(film(head, frames=6)).relief is Relief.UNKNOWN
    assert assess(film(head, count=20)).relief is Relief.UNKNOWN


def test_the_rest_of_one_rigid_head_is_not_loose_and_of_one_that_also_speaks_it_is():
    assert not assess(film(head, noise_px=0.08)).loose

    def speaking(along, index):
        bent = head(along, index)
        bent[:, 1] += np.where(along[:, 1] > 0.5, 0.05 * np.sin(index * 0.9), 0)
        bent[:, 0] += np.where(along[:, 1] < 0, 0.02 * np.sin(index * 0.7), 0)
        return bent

    assert assess(film(speaking, noise_px=0.08, yaw=12)).loose


def test_the_mean_face_is_symmetric_and_its_nose_stands_out():
    there = places(50, 1)
    np.testing.assert_allclose(forward(there), forward(there * [-1, 1]))
    assert forward(np.array([[0.0, 0.45]])) == pytest.approx(FORWARD.max())


def test_a_turned_face_is_laid_straight():
    straight = places(50, 2) * [0.6, 1]
    sine = np.sin(np.radians(12))
    seen = straight + np.column_stack([sine * forward(straight), np.zeros(50)])
    assert np.abs(unturned(seen, sine * NOSE_BASE_FORWARD) - straight).max() < 0.08
