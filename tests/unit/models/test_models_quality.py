"""Quality and guidance, on a drawn face whose properties are known."""

import cv2
import numpy as np
import pytest

from renzheng.models.detection.boxes import Box
from renzheng.models.landmarks import Landmarks
from renzheng.models.quality import GUIDANCE_FOR, Bounds, Guidance, Problem, advise, judge, measure

BOX = Box(50, 50, 150, 150)


def landmarks(interocular: float = 40, nose_aside: float = 0, roll_degrees: float = 0) -> Landmarks:
    """Eyes around (100, 90), turned about that point."""
    turn = np.radians(roll_degrees)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    half, corner = interocular / 2, interocular / 5
    points = [
        (half + corner, 0),
        (half - corner, 0),
        (-half - corner, 0),
        (corner - half, 0),
        (nose_aside, 25),
    ]
    placed = np.array(points) @ matrix.T + (100, 90)
    return Landmarks(*((float(x), float(y)) for x, y in placed))


def face(mean: float = 130, contrast: float = 50) -> np.ndarray:
    noise = np.random.default_rng(0).normal(mean, contrast, (200, 200, 1))
    return np.repeat(noise, 3, axis=2).clip(0, 255).astype(np.uint8)


def blurred(mean: float = 130, contrast: float = 50) -> np.ndarray:
    """Soft light and shade, and no edge in it."""
    coarse = np.random.default_rng(0).normal(mean, contrast, (4, 4)).astype(np.float32)
    soft = cv2.resize(coarse, (200, 200), interpolation=cv2.INTER_CUBIC)
    return np.repeat(soft[..., None], 3, axis=2).clip(0, 255).astype(np.uint8)


def test_a_good_face_has_no_problem_and_its_measures_are_right() -> None:
    quality = measure(face(), BOX, landmarks())
    assert judge(quality, Bounds()) == ()
    assert quality.interocular_px == pytest.approx(40)
    assert quality.yaw == pytest.approx(0, abs=1e-6)
    assert quality.roll_degrees == pytest.approx(0, abs=1e-6)
    assert quality.exposure_mean == pytest.approx(130, abs=3)
    assert quality.inside_share == 1


@pytest.mark.parametrize(
    ("image", "box", "points", "problem"),
    [
        (face(), BOX, landmarks(interocular=20), Problem.INTEROCULAR_DISTANCE),
        (face(), Box(-40, 50, 60, 150), landmarks(), Problem.CROPPED),
        (face(), BOX, landmarks(nose_aside=14), Problem.POSE_YAW),
        (face(), BOX, landmarks(nose_aside=-14), Problem.POSE_YAW),
        (face(), BOX, landmarks(roll_degrees=45), Problem.POSE_ROLL),
        (face(mean=20, contrast=12), BOX, landmarks(), Problem.UNDER_EXPOSURE),
        (face(mean=240, contrast=12), BOX, landmarks(), Problem.OVER_EXPOSURE),
        (blurred(), BOX, landmarks(), Problem.SHARPNESS),
    ],
)
def test_each_fault_is_found_alone(image: np.ndarray, box: Box, points: Landmarks, problem: Problem) -> None:
    assert judge(measure(image, box, points), Bounds()) == (problem,)


@pytest.mark.parametrize("share", [0.4, 0.7])
def test_sharpness_does_not_depend_on_the_light(share: float) -> None:
    bright = measure(face(), BOX, landmarks()).sharpness
    dim = measure((face() * share).astype(np.uint8), BOX, landmarks()).sharpness
    assert dim == pytest.approx(bright, rel=0.05)


def test_a_face_against_the_light_is_turned_towards_it_and_one_in_the_dark_wants_more() -> None:
    against = np.full((400, 400, 3), 220, np.uint8)
    against[:200, :200] = face(mean=25, contrast=12)
    assert judge(measure(against, BOX, landmarks()), Bounds())[0] is Problem.ILLUMINATION_UNIFORMITY
    dark = face(mean=25, contrast=12)
    assert judge(measure(dark, BOX, landmarks()), Bounds())[0] is Problem.UNDER_EXPOSURE


def test_a_face_that_does_not_fit_is_too_near_and_a_small_one_at_the_edge_is_not() -> None:
    near = Box(-20, -60, 190, 180)
    assert judge(measure(face(), near, landmarks()), Bounds())[0] is Problem.HEAD_SIZE
    assert GUIDANCE_FOR[Problem.HEAD_SIZE] is Guidance.MOVE_BACK
    aside = Box(-40, 50, 60, 150)
    assert judge(measure(face(), aside, landmarks()), Bounds()) == (Problem.CROPPED,)


def skin(lower: tuple[int, int, int]) -> np.ndarray:
    """Skin above the nose, something else below it."""
    image = np.full((200, 200, 3), (205, 160, 140), np.uint8)
    image[118:] = lower
    return image


@pytest.mark.parametrize(
    ("lower", "advice"),
    [
        ((205, 160, 140), None),
        ((190, 130, 120), None),  # lips are redder
        ((150, 190, 215), Guidance.TAKE_OFF_MASK),
        ((235, 235, 235), Guidance.TAKE_OFF_MASK),
        ((35, 35, 38), Guidance.TAKE_OFF_MASK),
    ],
    ids=["skin", "lips", "blue mask", "white mask", "black mask"],
)
def test_a_mask_is_advised_against_but_is_no_problem(
    lower: tuple[int, int, int], advice: Guidance | None
) -> None:
    quality = measure(skin(lower), BOX, landmarks())
    assert advise(quality) is advice


def test_a_picture_without_colour_tells_nothing_of_a_mask() -> None:
    assert advise(measure(face(), BOX, landmarks())) is None


def test_the_foremost_problem_comes_first() -> None:
    dark_and_turned = measure(face(mean=20, contrast=12), BOX, landmarks(interocular=20, nose_aside=8))
    assert judge(dark_and_turned, Bounds()) == (
        Problem.INTEROCULAR_DISTANCE,
        Problem.POSE_YAW,
        Problem.UNDER_EXPOSURE,
    )


def test_a_turn_to_the_side_does_not_count_as_a_tilt_and_the_other_way_round() -> None:
    tilted = measure(face(), BOX, landmarks(roll_degrees=20))
    assert tilted.yaw == pytest.approx(0, abs=1e-6)
    assert tilted.roll_degrees == pytest.approx(20)


@pytest.mark.parametrize("box", [Box(-300, -300, -200, -200), Box(500, 500, 600, 600), Box(10, 10, 10, 10)])
def test_a_box_outside_of_the_image_is_measured_as_cropped(box: Box) -> None:
    assert Problem.CROPPED in judge(measure(face(), box, landmarks()), Bounds())


def test_every_problem_has_guidance_and_every_guidance_words_in_both_languages() -> None:
    assert set(GUIDANCE_FOR) == set(Problem)
    for guidance in Guidance:
        assert guidance.en.isascii()
        assert any("一" <= character <= "鿿" for character in guidance.zh)
