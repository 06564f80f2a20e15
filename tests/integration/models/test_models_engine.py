"""The engine `dlib` on real photographs."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from renzheng.models.analysis import NoFace, OneFace, PoorQuality, SeveralFaces
from renzheng.models.calibration import Calibration
from renzheng.models.comparison import plain_space
from renzheng.models.decision import Match, NonMatch, NoReference, Threshold
from renzheng.models.engine import FaceEngine
from renzheng.models.errors import OperatingPointError, PixelLayoutError, TemplateMismatchError
from renzheng.models.following import Following
from renzheng.models.landmarks import Landmarks
from renzheng.models.protection import TemplateKey, transform
from renzheng.models.quality import GUIDANCE_FOR, Guidance, Problem
from renzheng.models.templates import Template
from renzheng.models.transparency import Captured


def template(engine: FaceEngine, image: np.ndarray, **how: bool) -> Template:
    face = engine.subject(image)
    assert face is not None
    return engine.embed(image, face, **how)


def frame(image: np.ndarray, rows: int = 480, columns: int = 640) -> np.ndarray:
    """A camera's frame with the photograph's upper part in its middle."""
    upper = image[: round(image.shape[1] * 0.9)]
    factor = rows / upper.shape[0]
    scaled = cv2.resize(
        upper, (min(columns, round(upper.shape[1] * factor)), rows), interpolation=cv2.INTER_AREA
    )
    canvas = np.full((rows, columns, 3), 128, np.uint8)
    left = (columns - scaled.shape[1]) // 2
    canvas[:, left : left + scaled.shape[1]] = scaled
    return canvas


@pytest.fixture(scope="module")
def known(photographs: dict[str, np.ndarray], engine: FaceEngine) -> dict[str, Template]:
    names = ("obama", "obama2", "obama3", "biden", "astronaut")
    return {name: template(engine, photographs[name]) for name in names}


@pytest.mark.parametrize("other", ["obama2", "obama3"])
def test_the_same_person_matches(engine: FaceEngine, known: dict[str, Template], other: str) -> None:
    decision = engine.verify([known["obama"]], [known[other]], at_fmr=1e-3)
    assert isinstance(decision, Match)
    assert decision.fmr == 1e-3
    assert decision.threshold.basis == "card"


@pytest.mark.parametrize("other", ["biden", "astronaut"])
def test_another_person_does_not(engine: FaceEngine, known: dict[str, Template], other: str) -> None:
    assert isinstance(engine.verify([known["obama"]], [known[other]], at_fmr=1e-3), NonMatch)


def test_several_probes_and_references_decide_together(
    engine: FaceEngine, known: dict[str, Template]
) -> None:
    single = engine.compare([known["obama2"]], [known["obama3"]])
    fused = engine.compare([known["obama"], known["obama2"]], [known["obama3"]])
    assert fused > single - 0.01
    assert isinstance(engine.verify([known["obama"], known["obama2"]], [known["obama3"]]), Match)


def test_nobody_to_compare_with_is_not_a_non_match(engine: FaceEngine, known: dict[str, Template]) -> None:
    assert engine.verify([known["obama"]], []) == NoReference()
    with pytest.raises(OperatingPointError):
        engine.verify([], [known["obama"]])
    with pytest.raises(OperatingPointError):
        engine.verify([known["obama"]], [known["obama2"]], at_fmr=1e-9)


def test_plain_mirrored_and_thorough_templates_compare(
    engine: FaceEngine, photographs: dict[str, np.ndarray], known: dict[str, Template]
) -> None:
    for how in ({"mirrored": True}, {"thorough": True}):
        other = template(engine, photographs["obama2"], **how)
        assert isinstance(engine.verify([known["obama"]], [other]), Match)
        assert isinstance(engine.verify([known["biden"]], [other]), NonMatch)


def test_a_site_s_key_is_minded(engine: FaceEngine, known: dict[str, Template]) -> None:
    key = TemplateKey(b"k" * 32)
    one, other = (transform(known[name], key) for name in ("obama", "obama2"))
    assert engine.compare([one], [other]) == pytest.approx(
        engine.compare([known["obama"]], [known["obama2"]]), abs=1e-5
    )
    points = (Threshold(0.5, 0.1, 0.1, 0.1, "site"), Threshold(0.9, 1e-3, 1e-3, 1e-3, "site"))
    of_site = Calibration(plain_space(engine.model), points, key=key.id, version=1)
    assert isinstance(engine.verify([one], [other], calibration=of_site), Match)
    with pytest.raises(TemplateMismatchError, match="the calibration under"):
        engine.verify([known["obama"]], [known["obama2"]], calibration=of_site)


def test_a_good_frame_is_one_face(engine: FaceEngine, photographs: dict[str, np.ndarray]) -> None:
    for name in ("obama", "obama2", "biden"):
        seen = engine.analyse(frame(photographs[name]))
        assert isinstance(seen, OneFace), (name, seen)
        assert seen.quality.interocular_px > 30
        assert abs(seen.quality.yaw) < 0.5


@pytest.mark.parametrize("quarters", [0, 1, *(pytest.param(n, marks=pytest.mark.long) for n in (2, 3))])
def test_a_photograph_on_its_side_or_head_is_righted_for_a_reference(
    engine: FaceEngine, photographs: dict[str, np.ndarray], known: dict[str, Template], quarters: int
) -> None:
    as_sent = np.ascontiguousarray(np.rot90(frame(photographs["obama2"]), quarters))
    upright, seen = engine.analyse_reference(as_sent, any_way_up=True)
    assert isinstance(seen, OneFace)
    made = engine.embed(upright, seen.face)
    assert isinstance(engine.verify([made], [known["obama"]]), Match)
    if quarters:
        _, unturned = engine.analyse_reference(as_sent)
        assert not isinstance(unturned, OneFace), (
            "a camera's frame is not turned, and makes no wrong template"
        )


def test_what_hides_a_face_is_refused_in_a_reference_and_only_there(
    engine: FaceEngine, photographs: dict[str, np.ndarray]
) -> None:
    plain = frame(photographs["obama"])
    bare = engine.subject(plain)
    assert bare is not None
    assert isinstance(engine.analyse_reference(plain)[1], OneFace)
    for hidden, guidance in (
        (behind_glasses(plain, bare.landmarks), Guidance.TAKE_OFF_DARK_GLASSES),
        (behind_mask(plain, bare.landmarks), Guidance.TAKE_OFF_MASK),
    ):
        _, seen = engine.analyse_reference(hidden)
        assert isinstance(seen, PoorQuality), guidance
        assert guidance in (seen.guidance, Guidance.HOLD_HEAD_UPRIGHT)
        assert guidance in [GUIDANCE_FOR[problem] for problem in seen.problems]
        assert isinstance(engine.analyse(hidden), OneFace), "nobody is turned away at the kiosk for it"


def behind_glasses(image: np.ndarray, points: Landmarks) -> np.ndarray:
    dark = image.copy()
    apart = points.left_eye[0] - points.right_eye[0]
    for x, y in (points.left_eye, points.right_eye):
        size = (round(0.42 * apart), round(0.32 * apart))
        cv2.ellipse(dark, (round(x), round(y)), size, 0, 0, 360, (18, 15, 12), -1)
    return dark


def behind_mask(image: np.ndarray, points: Landmarks) -> np.ndarray:
    masked = image.copy()
    apart, (x, y) = points.left_eye[0] - points.right_eye[0], points.nose_base
    corners = [(-0.95, -0.1), (0, -0.35), (0.95, -0.1), (0.8, 0.8), (0, 1.35), (-0.8, 0.8)]
    outline = np.array([(x + right * apart, y + down * apart) for right, down in corners], np.int32)
    cv2.fillPoly(masked, [outline], (150, 190, 215))
    return masked


def test_a_reference_as_small_as_the_chip_of_an_identity_card_gives_it_will_do(
    engine: FaceEngine, photographs: dict[str, np.ndarray], known: dict[str, Template]
) -> None:
    photograph = photographs["obama2"]
    whole = engine.subject(photograph)
    assert whole is not None
    (x, y), apart = whole.landmarks.right_eye, whole.landmarks.left_eye[0] - whole.landmarks.right_eye[0]
    unit = apart / 23  # pixels of the chip between the eyes
    left, top = round(x - 40 * unit), round(y - 56 * unit)
    portrait = photograph[max(top, 0) : top + round(126 * unit), max(left, 0) : left + round(102 * unit)]
    chip = cv2.resize(portrait, (102, 126), interpolation=cv2.INTER_AREA)
    upright, seen = engine.analyse_reference(chip, any_way_up=True)
    assert isinstance(seen, OneFace), seen
    assert isinstance(engine.verify([engine.embed(upright, seen.face)], [known["obama"]]), Match)


def test_an_empty_room_is_no_face(engine: FaceEngine) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    for image in (np.zeros((480, 640, 3), np.uint8), np.full((480, 640, 3), 200, np.uint8), noise):
        assert engine.analyse(image) == NoFace()
        assert engine.subject(image) is None


def test_two_people_are_several_faces_but_a_passer_by_is_none(
    engine: FaceEngine, photographs: dict[str, np.ndarray]
) -> None:
    one, other = frame(photographs["obama"], 480, 400), frame(photographs["obama2"], 480, 400)
    seen = engine.analyse(np.hstack([one, other]))
    assert isinstance(seen, SeveralFaces)
    assert seen.count == 2
    assert seen.guidance is Guidance.ONE_PERSON_ONLY
    behind = np.full((480, 640, 3), 128, np.uint8)
    behind[:, :480] = frame(photographs["obama"], 480, 480)
    behind[100:230, 500:630] = cv2.resize(other, (130, 130), interpolation=cv2.INTER_AREA)
    assert isinstance(engine.analyse(behind), OneFace)


@pytest.mark.parametrize(
    ("spoil", "problem", "guidance"),
    [
        (lambda image: (image * 0.12).astype(np.uint8), Problem.UNDER_EXPOSURE, Guidance.MORE_LIGHT),
        (
            lambda image: cv2.GaussianBlur(image, (0, 0), 13),
            Problem.SHARPNESS,
            Guidance.HOLD_STILL,
        ),
    ],
)
def test_a_poor_frame_says_what_to_do(
    engine: FaceEngine,
    photographs: dict[str, np.ndarray],
    spoil: object,
    problem: Problem,
    guidance: Guidance,
) -> None:
    seen = engine.analyse(spoil(frame(photographs["obama"])))
    assert isinstance(seen, PoorQuality), seen
    assert seen.problems == (problem,)
    assert seen.guidance is guidance


def test_a_face_too_far_away_is_told_to_come_closer(
    engine: FaceEngine, photographs: dict[str, np.ndarray]
) -> None:
    far = np.full((480, 640, 3), 128, np.uint8)
    scaled = cv2.resize(frame(photographs["obama"], 480, 480), (190, 190), interpolation=cv2.INTER_AREA)
    far[200:390, 250:440] = scaled
    seen = engine.analyse(far)
    assert isinstance(seen, PoorQuality), seen
    assert seen.guidance is Guidance.COME_CLOSER


def test_a_grey_photograph_is_still_the_person(
    engine: FaceEngine, photographs: dict[str, np.ndarray], known: dict[str, Template]
) -> None:
    grey = np.repeat(cv2.cvtColor(photographs["obama2"], cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    assert engine.compare([template(engine, grey)], [known["obama2"]]) > 0.93


def test_a_frame_of_another_layout_is_refused(engine: FaceEngine) -> None:
    with pytest.raises(PixelLayoutError):
        engine.analyse(np.zeros((480, 640), np.uint8))


def test_tight_small_and_tilted_photographs_are_acquired(
    engine: FaceEngine, photographs: dict[str, np.ndarray], known: dict[str, Template]
) -> None:
    image = photographs["obama"]
    face = engine.subject(image)
    assert face is not None
    box = face.box
    tight = np.ascontiguousarray(
        image[round(box.top) : round(box.bottom), round(box.left) : round(box.right)]
    )
    tiny = cv2.resize(tight, (64, 64), interpolation=cv2.INTER_AREA)
    turn = cv2.getRotationMatrix2D((image.shape[1] / 2, image.shape[0] / 2), 25, 1)
    tilted = cv2.warpAffine(image, turn, image.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
    for spoiled in (tight, tiny, tilted):
        assert engine.compare([template(engine, spoiled)], [known["obama"]]) > 0.93


def test_every_intermediate_can_be_captured_without_changing_the_outcome(
    engine: FaceEngine, photographs: dict[str, np.ndarray], known: dict[str, Template]
) -> None:
    captured = Captured()
    image = frame(photographs["obama"])
    seen = engine.analyse(image, transparency=captured)
    assert isinstance(seen, OneFace)
    made = engine.embed(image, seen.face, transparency=captured)
    decision = engine.verify([made], [known["obama2"]], transparency=captured)
    assert " ".join(captured.stages) == (
        "image detections chosen landmarks quality aligned template comparison decision"
    )
    assert captured.stages["aligned"]["dlib-resnet"][0].shape == (150, 150, 3)
    assert captured.stages["template"] == made
    assert captured.stages["decision"] == decision
    assert engine.analyse(image) == seen
    assert engine.embed(image, seen.face) == made


@pytest.mark.parametrize("moved", [(0, 0), (9, -6), (-17, 12)])
def test_a_followed_face_gives_what_a_look_at_the_whole_gives(
    engine: FaceEngine, photographs: dict[str, np.ndarray], moved: tuple[int, int]
) -> None:
    before = frame(photographs["obama"])
    shifted = cv2.warpAffine(
        before, np.array([[1.0, 0, moved[0]], [0, 1, moved[1]]]), (640, 480), borderMode=cv2.BORDER_REPLICATE
    )
    last, whole = engine.analyse(before), engine.analyse(shifted)
    assert isinstance(last, OneFace)
    assert isinstance(whole, OneFace)
    followed = engine.analyse(shifted, last=last.face)
    assert isinstance(followed, OneFace)
    assert followed.face.followed
    assert not whole.face.followed
    apart = np.array(followed.face.landmarks.points) - np.array(whole.face.landmarks.points)
    assert np.abs(apart).max() < 0.05 * whole.quality.interocular_px
    templates = [engine.embed(shifted, each.face).values for each in (followed, whole)]
    np.testing.assert_allclose(*templates, atol=0.03)


def test_whoever_is_not_where_the_face_was_is_looked_for_in_the_whole(
    engine: FaceEngine, photographs: dict[str, np.ndarray]
) -> None:
    here = frame(photographs["obama"])
    last = engine.analyse(here)
    assert isinstance(last, OneFace)
    away = np.ascontiguousarray(np.roll(here, -round(1.2 * last.face.box.width), axis=1))
    seen = engine.analyse(away, last=last.face)
    assert isinstance(seen, OneFace)
    assert not seen.face.followed
    assert engine.analyse(np.full_like(here, 128), last=last.face) == NoFace()


def test_a_face_held_up_beside_a_followed_one_is_seen_in_that_frame(
    engine: FaceEngine, photographs: dict[str, np.ndarray]
) -> None:
    half = [cv2.resize(frame(photographs[name]), (320, 240)) for name in ("obama", "biden")]
    alone, joined = (np.full((240, 640, 3), 128, np.uint8) for _ in range(2))
    alone[:, :320] = half[0]
    joined[:] = np.hstack(half)
    following = Following(engine)
    seen = [following.analyse(image, number * 40) for number, image in enumerate((alone, alone, joined))]
    assert isinstance(seen[1], OneFace)
    assert seen[1].face.followed
    assert isinstance(seen[2], SeveralFaces)


def test_several_threads_get_what_one_gets(engine: FaceEngine, photographs: dict[str, np.ndarray]) -> None:
    frames = [frame(photographs[name]) for name in ("obama", "biden")] * 4
    wanted = [engine.analyse(each) for each in frames]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(engine.analyse, frames)) == wanted


def test_an_engine_opens_without_importing_the_package_of_its_files(converted: Path) -> None:
    code = (
        "import sys; from renzheng.models.engine import open_engine; open_engine(); "
        "unwanted = {'face_recognition_models', 'face_recognition', 'pkg_resources'}; "
        "print(sorted(unwanted & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
