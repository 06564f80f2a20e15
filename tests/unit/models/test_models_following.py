"""When a followed face's frame is looked at whole."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from renzheng.models.analysis import Analysis, Face, NoFace, OneFace, SeveralFaces
from renzheng.models.detection.boxes import Box
from renzheng.models.following import WHOLE_EVERY, WHOLE_EVERY_MS, Following
from renzheng.models.landmarks import Landmarks
from renzheng.models.quality import Quality

BOX = Box(260, 160, 380, 280)
EYES = Landmarks((350, 200), (330, 200), (290, 200), (310, 200), (320, 240))
FRAME_MS = 40


@dataclass
class Engine:
    """Sees one face, as it is told to; keeps whether each look was near the last place alone."""

    near: list[bool] = field(default_factory=list)
    answer: Analysis | None = None

    def analyse(self, image: np.ndarray, *, last: Face | None = None) -> Analysis:  # noqa: ARG002
        self.near.append(last is not None)
        face = Face(BOX, 1.0, EYES, followed=last is not None)
        return self.answer or OneFace(face, Quality(40.0, 10.0, 120.0, 0.0, 0.0, 0.0, 1.0))


def scene(seed: int = 0) -> np.ndarray:
    """A room's still picture with a camera's noise."""
    room = np.full((480, 640), 120.0)
    room[:, 400:] = 80
    return noisy(np.repeat(room[:, :, None], 3, axis=2), seed)


def noisy(image: np.ndarray, seed: int) -> np.ndarray:
    grain = np.random.default_rng(seed).normal(0, 5, image.shape)
    return (image + grain).clip(0, 255).astype(np.uint8)


def with_face(image: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """Another face as the sampled picture sees it: bright and dark places where the wall was."""
    left, top, right, bottom = box
    shown = image.copy()
    shades = np.random.default_rng(5).integers(40, 220, ((bottom - top) // 10, (right - left) // 10))
    shown[top:bottom, left:right] = np.kron(shades, np.ones((10, 10)))[:, :, None]
    return shown


@pytest.fixture
def engine() -> Engine:
    return Engine()


def test_a_face_is_followed_and_every_eighth_frame_is_looked_at_whole(engine: Engine) -> None:
    following = Following(engine)
    for number in range(3 * WHOLE_EVERY):
        following.analyse(scene(number), number * FRAME_MS)
    whole = [number for number, near in enumerate(engine.near) if not near]
    assert whole == [0, WHOLE_EVERY, 2 * WHOLE_EVERY]


def test_few_frames_a_second_are_looked_at_whole_by_the_time(engine: Engine) -> None:
    following = Following(engine)
    for number in range(4):
        following.analyse(scene(number), number * WHOLE_EVERY_MS)
    assert engine.near == [False] * 4


@pytest.mark.parametrize(
    "box",
    [(20, 150, 140, 290), (500, 160, 600, 270), (260, 380, 340, 480)],
    ids=["as large", "held beside it", "six tenths of its width, below"],
)
def test_a_second_face_is_seen_in_the_frame_in_which_it_comes(
    engine: Engine, box: tuple[int, int, int, int]
) -> None:
    following = Following(engine)
    following.analyse(scene(1), 0)
    following.analyse(scene(2), FRAME_MS)
    engine.answer = SeveralFaces(2, (BOX, BOX))
    assert following.analyse(with_face(scene(3), box), 2 * FRAME_MS) == engine.answer
    assert engine.near == [False, True, False]


def test_one_that_comes_slowly_counts_against_the_last_whole_look(engine: Engine) -> None:
    following = Following(engine)
    for step in range(4):
        mixed = (1 - step / 4) * scene(1) + step / 4 * with_face(scene(1), (20, 150, 140, 290))
        following.analyse(noisy(mixed, step), step * FRAME_MS)
    assert engine.near[:2] == [False, True]
    assert False in engine.near[2:]


@pytest.mark.parametrize("brighter", [-40, 40])
def test_light_and_the_face_s_own_movement_are_no_reason_to_look_at_the_whole(
    engine: Engine, brighter: int
) -> None:
    following = Following(engine)
    following.analyse(scene(1), 0)
    lit = (with_face(scene(2), (230, 130, 410, 310)).astype(int) + brighter).clip(0, 255).astype(np.uint8)
    following.analyse(lit, FRAME_MS)
    assert engine.near == [False, True]


@pytest.mark.parametrize("between", [NoFace(), SeveralFaces(2, (BOX, BOX))])
def test_who_was_not_alone_is_not_followed(engine: Engine, between: Analysis) -> None:
    following = Following(engine)
    following.analyse(scene(1), 0)
    engine.answer = between
    following.whole(scene(2), FRAME_MS)
    engine.answer = None
    following.analyse(scene(3), 2 * FRAME_MS)
    assert engine.near == [False, False, False]


def test_a_frame_of_another_size_is_looked_at_whole(engine: Engine) -> None:
    following = Following(engine)
    following.analyse(scene(1), 0)
    following.analyse(np.ascontiguousarray(scene(2)[:, :480]), FRAME_MS)
    assert engine.near == [False, False]
