"""What thumbnails say of camera and room, and when the kiosk sleeps."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from renzheng.bench.site import codes
from renzheng.edge.kiosk.codes import LONGEST_CODE, read_code
from renzheng.edge.kiosk.frame_scan import thumbnail_of
from renzheng.edge.kiosk.sight import COVERED_MS, FROZEN_MS, SceneState, observe, rested
from renzheng.edge.kiosk.sleep_timer import SleepTimer

RANDOM = np.random.default_rng(6)
ROOM = cv2.GaussianBlur(RANDOM.integers(0, 255, (480, 640, 3), dtype=np.uint8), (0, 0), 25)
ROOM = cv2.normalize(ROOM, None, 20, 230, cv2.NORM_MINMAX)


def jpeg(picture):
    return cv2.imencode(".jpg", picture)[1].tobytes()


def noisy(picture, deviation=3.0):
    """A living sensor's picture of a scene in which nothing moves."""
    noise = RANDOM.normal(0, deviation, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def watch(pictures, *, every_ms=500, sight=None):
    sight = sight or SceneState()
    start = sight.at_ms
    for number, picture in enumerate(pictures):
        sight = observe(sight, thumbnail_of(jpeg(picture)), start + (number + 1) * every_ms)
    return sight


def with_person(shift):
    picture = ROOM.copy()
    cv2.ellipse(picture, (320 + shift, 300), (110, 190), 0, 0, 360, (30, 40, 60), -1)
    return noisy(picture)


def test_an_empty_room_wakes_nobody_and_its_noise_is_neither_frozen_nor_covered():
    sight = watch([noisy(ROOM) for _ in range(40)])
    assert (sight.somebody_stirs, sight.trouble) == (False, None)


def test_somebody_who_steps_before_the_camera_stirs():
    assert watch([noisy(ROOM), with_person(-250), with_person(-100)]).somebody_stirs


def test_a_light_that_is_switched_on_does_not_stir():
    bright = np.clip(ROOM.astype(np.int16) + 60, 0, 255).astype(np.uint8)
    assert not watch([noisy(ROOM), noisy(ROOM), noisy(bright), noisy(bright)]).somebody_stirs


def test_what_moved_before_the_kiosk_went_to_sleep_does_not_wake_it():
    moving = watch([noisy(ROOM), with_person(-100), with_person(50)])
    assert moving.somebody_stirs
    assert not watch([noisy(ROOM), noisy(ROOM)], sight=rested(moving)).somebody_stirs


@pytest.mark.parametrize("shade", [4, 120, 250], ids=["hand", "grey tape", "white tape"])
def test_a_covered_lens_is_named_after_a_while_and_not_at_once(shade):
    covered = [noisy(np.full((480, 640, 3), shade, np.uint8))] * (COVERED_MS // 500 + 1)
    assert watch(covered[:3]).trouble is None
    sight = watch(covered)
    assert sight.trouble == "covered"
    assert watch([noisy(ROOM)], sight=sight).trouble is None


def test_a_picture_that_stands_still_to_the_last_level_is_frozen():
    frozen = [ROOM] * (FROZEN_MS // 500 + 2)
    sight = watch(frozen)
    assert sight.trouble == "frozen"
    assert watch([noisy(ROOM)], sight=sight).trouble is None


def test_a_kiosk_sleeps_when_nobody_stirs_and_wakes_once():
    rest = SleepTimer(sleep_ms=1000, stirred_ms=0)
    assert [rest.settle(now) for now in (500, 999, 1000, 1500)] == [False, False, True, False]
    assert rest.asleep
    assert [rest.stir(1600), rest.stir(1700)] == [True, False]
    assert not rest.settle(2600)
    assert rest.settle(2700)


def test_a_kiosk_told_never_to_sleep_does_not():
    rest = SleepTimer(sleep_ms=0, stirred_ms=0)
    assert not rest.settle(10**9)


def test_a_qr_code_is_read_and_an_empty_scene_holds_none():
    code = cv2.QRCodeEncoder.create().encode("e-credential:P1:7f3a")
    large = cv2.copyMakeBorder(code, 4, 4, 4, 4, cv2.BORDER_CONSTANT, value=255)
    large = cv2.resize(large, None, fx=6, fy=6, interpolation=cv2.INTER_NEAREST)
    scene = ROOM.copy()
    scene[100 : 100 + len(large), 180 : 180 + len(large)] = large[:, :, None]
    assert read_code(noisy(scene)) == "e-credential:P1:7f3a"
    assert read_code(noisy(ROOM)) is None


READABLE = [
    codes.PLAIN,
    *(replace(codes.PLAIN, module_px=px) for px in (2.0, 2.5, 3.0)),
    *codes.SERIES["turned"],
    *codes.SERIES["tilted"],
    *(replace(codes.PLAIN, blur_px=px) for px in (1.5, 2.0)),
    *codes.SERIES["pale"],
    *codes.SERIES["inverted"],
]


@pytest.mark.parametrize("look", READABLE, ids=str)
def test_small_turned_tilted_blurred_pale_and_inverted_codes_are_read(look):
    assert read_code(codes.draw(look, 5)) == codes.CONTENT.format(number=5)


def shown(content, px=6):
    code = cv2.QRCodeEncoder.create().encode(content)
    paper = cv2.copyMakeBorder(code, 4, 4, 4, 4, cv2.BORDER_CONSTANT, value=255)
    large = cv2.resize(paper, None, fx=px, fy=px, interpolation=cv2.INTER_NEAREST)
    return np.repeat(large[:, :, None], 3, axis=2)


def test_of_several_codes_the_largest_counts_whichever_side_it_is_on():
    near, far = shown("the patient's", 6), shown("a poster's", 3)
    far = cv2.copyMakeBorder(far, 0, len(near) - len(far), 0, 0, cv2.BORDER_CONSTANT, value=(255, 255, 255))
    for pair in ((near, far), (far, near)):
        assert read_code(np.ascontiguousarray(np.concatenate(pair, axis=1))) == "the patient's"


def test_a_code_in_chinese_is_read_and_one_that_is_too_long_is_not():
    assert read_code(shown("患者:血液透析")) == "患者:血液透析"
    assert read_code(shown("7" * LONGEST_CODE, 4)) == "7" * LONGEST_CODE
    assert read_code(shown("7" * (LONGEST_CODE + 1), 4)) is None
