"""Whether a camera can see: every condition by a picture of it, and what several cameras can see together."""

import numpy as np
import pytest

from renzheng.contracts.events import CoverageState
from renzheng.edge.device.coverage import CoverageStatus
from renzheng.edge.ward import motion, timeline
from renzheng.edge.ward.sight import (
    SMALL_PX,
    Condition,
    PictureHistory,
    Rules,
    edges_of,
    look,
    shift_between,
    union,
)
from renzheng.edge.ward.timeline import Mark, restarted

COLUMNS, ROWS = SMALL_PX
UP = CoverageStatus(CoverageState.UP)
LOST = CoverageStatus(CoverageState.DOWN, "unreachable")
DARK = CoverageStatus(CoverageState.DEGRADED, "dark")


def scene(seed=1, *, shifted=0, brightness=1.0):
    chance = np.random.default_rng(seed)
    wide = chance.integers(30, 220, (10, 24)).repeat(12, axis=0).repeat(12, axis=1)[:ROWS]
    part = wide[:, 40 + shifted : 40 + shifted + COLUMNS]
    return np.clip(part * brightness, 0, 255).astype(np.uint8)


def noisy(small, seed):
    noise = np.random.default_rng(seed).normal(0, 1.5, small.shape)
    return np.clip(small + noise, 0, 255).astype(np.uint8)


def seen(pictures, *, begin_s=0.0, sight=None, still=False):
    """Look at pictures a second apart; every one has its own fingerprint unless they are still."""
    sight = sight or PictureHistory()
    for number, small in enumerate(pictures):
        fingerprint = b"still" if still else str((begin_s, number)).encode()
        sight = look(sight, small, fingerprint, begin_s + number, Rules())
    return sight


@pytest.fixture
def hung():
    """A camera whose scene has been learnt."""
    return seen([noisy(scene(), number) for number in range(15)])


def test_a_living_scene_is_good(hung):
    assert hung.condition is Condition.GOOD
    assert hung.looks == Rules().settling_looks


def test_night_without_light_is_dark(hung):
    assert seen([scene(brightness=0.05)], sight=hung, begin_s=20).condition is Condition.DARK


def test_dusk_is_not_dark_and_light_is_no_movement(hung):
    evening = [noisy(scene(brightness=0.45), number) for number in range(15)]
    assert seen(evening, sight=hung, begin_s=20).condition is Condition.GOOD


def test_a_hand_on_the_lens_is_covered(hung):
    hand = noisy(np.full((ROWS, COLUMNS), 120, np.uint8), 3)
    assert seen([hand], sight=hung, begin_s=20).condition is Condition.COVERED


def test_a_picture_that_never_changes_is_frozen_after_a_minute_and_not_before(hung):
    assert seen([scene()] * 59, sight=hung, begin_s=20, still=True).condition is Condition.GOOD
    frozen = seen([scene()] * 62, sight=hung, begin_s=20, still=True)
    assert frozen.condition is Condition.FROZEN
    assert seen([noisy(scene(), 5)], sight=frozen, begin_s=90).condition is Condition.GOOD


def test_a_camera_that_was_turned_is_moved_and_stays_so_until_it_looks_the_same_way_again(hung):
    turned = [noisy(scene(shifted=20), number) for number in range(12)]
    moved = seen(turned, sight=hung, begin_s=20)
    assert moved.condition is Condition.MOVED
    assert seen(turned, sight=moved, begin_s=40).condition is Condition.MOVED
    back = [noisy(scene(), number) for number in range(3)]
    assert seen(back, sight=moved, begin_s=60).condition is Condition.GOOD


def test_another_scene_altogether_is_moved(hung):
    elsewhere = [noisy(scene(seed=9), number) for number in range(12)]
    assert seen(elsewhere, sight=hung, begin_s=20).condition is Condition.MOVED


def test_somebody_before_the_camera_for_some_seconds_is_no_movement(hung):
    blocked = noisy(scene(), 4)
    blocked[10:, 30:130] = 90
    blocked[20:60:6, 40:120] = 160
    assert seen([blocked] * 5, sight=hung, begin_s=20).condition is Condition.GOOD


@pytest.mark.parametrize("pixels", [0, 2, 10, 30])
def test_a_shift_is_measured(pixels):
    shift, response = shift_between(edges_of(scene()), edges_of(scene(shifted=pixels)))
    assert shift * COLUMNS == pytest.approx(pixels, abs=1.0)
    assert response > 0.1


@pytest.mark.parametrize(
    ("cameras", "expected"),
    [
        ({}, CoverageStatus(CoverageState.DOWN, "no_camera")),
        ({"a": UP, "b": UP}, UP),
        ({"a": UP, "b": LOST}, CoverageStatus(CoverageState.DEGRADED, "b:unreachable")),
        ({"a": DARK, "b": LOST}, CoverageStatus(CoverageState.DEGRADED, "a:dark,b:unreachable")),
        ({"a": LOST, "b": LOST}, CoverageStatus(CoverageState.DOWN, "a:unreachable,b:unreachable")),
    ],
)
def test_what_several_cameras_see_together(cameras, expected):
    assert union(cameras) == expected


def test_the_cause_of_many_lost_cameras_still_fits_an_event():
    lost = union({f"camera-number-{number}": LOST for number in range(40)})
    assert lost.cause == "40_cameras"


def test_a_camera_that_begins_anew_is_noticed_and_an_even_one_is_not():
    ticks = timeline.TICKS_PER_SECOND
    before = Mark(7, 2**32 - ticks, 100.0)
    assert not restarted(None, before)
    assert not restarted(before, Mark(7, ticks, 102.0))  # over the end of the counter
    assert restarted(before, Mark(8, 0, 101.0))
    assert restarted(before, Mark(7, 5, 400.0))
    assert restarted(before, Mark(7, 60 * ticks, 101.0))


def test_only_what_moves_is_looked_at():
    empty = scene()
    background = motion.begin(empty)
    for number in range(10):
        background, parts = motion.moving_parts(background, noisy(empty, number))
        assert parts == []
    person = empty.copy()
    person[20:70, 60:80] = 255 - person[20:70, 60:80]
    _, (part,) = motion.moving_parts(background, person)
    assert part[0] <= 60
    assert part[2] >= 80
    assert part[1] <= 20
    assert part[3] >= 70
    assert (part[2] - part[0]) * (part[3] - part[1]) < 0.3 * ROWS * COLUMNS


def test_parts_that_touch_are_one():
    assert motion.joined_parts([(0, 0, 10, 10), (8, 8, 20, 20), (15, 0, 30, 9), (50, 50, 60, 60)]) == [
        (0, 0, 30, 20),
        (50, 50, 60, 60),
    ]
