"""The shape of a face on points whose truth is known: heads of the mean shape, folds, cylinders, sheets."""

import numpy as np
import pytest
from parts.turned import EYES_PX, film, flat, head, places

from renzheng.models.liveness.mean_face import FORWARD, NOSE_BASE_FORWARD, forward, unturned
from renzheng.models.liveness.motion import Track
from renzheng.models.liveness.shape import Relief, assess, say


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


def test_the_mean_face_is_symmetric_and_its_nose_stands_out():
    there = places(50, 1)
    np.testing.assert_allclose(forward(there), forward(there * [-1, 1]))
    assert forward(np.array([[0.0, 0.45]])) == pytest.approx(FORWARD.max())


def test_a_turned_face_is_laid_straight():
    straight = places(50, 2) * [0.6, 1]
    sine = np.sin(np.radians(12))
    seen = straight + np.column_stack([sine * forward(straight), np.zeros(50)])
    assert np.abs(unturned(seen, sine * NOSE_BASE_FORWARD) - straight).max() < 0.08
