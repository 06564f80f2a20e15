"""One camera's analysis with a painted scene and a stand-in engine: never told while blind, memory flat."""

import gc
import tracemalloc

import cv2
import numpy as np
import pytest
from parts.edge import eventually

from renzheng.contracts.events import CoverageState
from renzheng.edge.device.coverage import CoverageStatus
from renzheng.edge.settings.ward import CameraSettings
from renzheng.edge.ward.analysts import Analysts
from renzheng.edge.ward.camera import Counts, TimedPicture
from renzheng.edge.ward.decoder import Picture
from renzheng.edge.ward.following import BEST_SHOTS
from renzheng.edge.ward.identify import Identified
from renzheng.edge.ward.lists import WardList
from renzheng.edge.ward.watch import CameraWatch
from renzheng.models.analysis import Face
from renzheng.models.calibration import Calibration
from renzheng.models.comparison import plain_space
from renzheng.models.decision import Threshold
from renzheng.models.detection.boxes import Box, Detection
from renzheng.models.landmarks import Landmarks
from renzheng.models.search import Gallery
from renzheng.models.templates import ModelId, Template

MODEL = ModelId("painted:000000000000:8")
CALIBRATION = Calibration(
    plain_space(MODEL), (Threshold(0.9, 1e-2, 1e-3, 2e-2, "card"), Threshold(0.95, 1e-4, 1e-5, 1e-3, "card"))
)
PATIENT, OTHER, STRANGER = 60, 90, 120


class PaintedEngine:
    """Sees light squares; whose face one is stands in the grey of its middle."""

    name, model, card_calibration = "painted", MODEL, CALIBRATION

    def __init__(self):
        self.surveys = 0
        self.fails = False

    def survey(self, image):
        self.surveys += 1
        if self.fails:
            raise RuntimeError("broken network")
        light = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) > 165).astype(np.uint8)
        filled = cv2.morphologyEx(light, cv2.MORPH_CLOSE, np.ones((45, 45), np.uint8))
        _, _, stats, _ = cv2.connectedComponentsWithStats(filled)
        return [Detection(Box(x, y, x + w, y + h), 1.0) for x, y, w, h, area in stats[1:] if area > 2000]

    def face_of(self, image, detection):  # noqa: ARG002 - the Protocol's
        box = detection.box
        x, y = (lambda share: box.left + share * box.width), (lambda share: box.top + share * box.height)
        eyes = [(x(share), y(0.3)) for share in (0.85, 0.65, 0.15, 0.35)]
        return Face(box, 1.0, Landmarks(*eyes, (x(0.5), y(0.6))))

    def embed(self, image, face):
        box = face.box
        middle = image[int(box.top + box.height / 2), int(box.left + box.width / 2)].mean()
        return template(round(middle * 219 / 255 + 16))  # what the picture's luminance was


def template(shade):
    """Directions that lie far apart for shades that do."""
    angle = shade * np.pi / 45
    values = [np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(2 * angle), 0, 0, 0, 0]
    return Template(np.array(values, np.float32), MODEL)


class StillCamera:
    """Delivers nothing by itself; the test hands pictures to the watch."""

    def __init__(self, **changed):
        values = {"id": "door", "url": "rtsp://c/", "ward": "3", "place": "entrance"} | changed
        self.settings = CameraSettings.model_validate(values)
        self.counts = Counts()
        self.waiting = []

    def standing(self):
        return CoverageStatus(CoverageState.UP)

    @property
    def waiting_since(self):
        return self.waiting[0].at_s if self.waiting else None

    def take(self):
        return self.waiting.pop(0) if self.waiting else None


class Ward:
    """A watch over a painted corridor."""

    def __init__(self, folder, people=(PATIENT, OTHER), **changed):
        self.engine = PaintedEngine()
        self.camera = StillCamera(**changed)
        self.told = []
        self.list = WardList(
            Gallery.enrolled([(f"P{shade}", [template(shade)]) for shade in people], CALIBRATION), len(people)
        )
        self.watch = CameraWatch(
            self.camera,
            list_of=lambda: self.list,
            tell=lambda *said: self.told.append(said),
            expected_false_matches=2e-2,
            scene_file=folder / "scenes" / "door.npy",
        )
        self.second = 0
        chance = np.random.default_rng(1)
        blocks = chance.integers(40, 130, (9, 16)).repeat(40, axis=0).repeat(40, axis=1)
        self.corridor = blocks.astype(np.int16)
        self.chance = np.random.default_rng(2)

    def look(self, *faces, shifted=0, light=1.0):
        """Show one picture; a face is (shade, x, y, width)."""
        scene = np.roll(self.corridor, shifted, axis=1) * light
        scene = scene + self.chance.integers(-3, 4, scene.shape)
        for shade, x, y, width in faces:
            half = width // 2
            scene[y - half : y + half, x - half : x + half] = 200
            scene[y - half + 4 : y + half - 4 : 9, x - half : x + half] = 175
            scene[y - 8 : y + 8, x - 8 : x + 8] = shade
        grey = np.clip(scene, 0, 255).astype(np.uint8)
        planes = np.full((540, 640), 128, np.uint8)
        planes[:360] = grey
        self.watch.analyse(self.engine, TimedPicture(Picture(planes), float(self.second)))
        self.second += 1

    def walk(self, shade, *, up=False):
        places = [(200, 90, 90), (230, 150, 106), (250, 220, 122), (270, 280, 140)]
        for x, y, width in places[::-1] if up else places:
            self.look((shade, x, y, width))

    def empty(self, seconds=5):
        for _ in range(seconds):
            self.look()


@pytest.fixture
def ward(tmp_path):
    ward = Ward(tmp_path, line={"start": (0.0, 0.5), "end": (1.0, 0.5), "inside": (0.5, 0.9)})
    ward.empty(15)
    return ward


def test_a_patient_who_walks_in_is_told_when_the_track_ends(ward):
    ward.walk(PATIENT)
    assert ward.told == []
    ward.empty()
    ((result, camera, direction, shots, crop),) = ward.told
    assert isinstance(result, Identified)
    assert (result.person_id, camera, direction, shots) == ("P60", "door", "in", BEST_SHOTS)
    assert crop.ndim == 3


def test_a_stranger_is_told_as_nobody_and_forgotten(ward):
    ward.walk(STRANGER)
    ward.empty()
    assert ward.told == []
    assert ward.watch.numbers.tracks == 1
    assert ward.watch.following.followed == {}


def test_an_empty_corridor_costs_no_look_for_faces(ward):
    before = ward.engine.surveys
    ward.empty(20)
    assert ward.engine.surveys == before


def test_without_a_list_nobody_is_even_measured_and_the_camera_does_not_count_as_seeing(ward):
    ward.list = None
    ward.walk(PATIENT)
    ward.empty()
    assert ward.told == []
    assert ward.watch.standing() == CoverageStatus(CoverageState.DEGRADED, "no_roster")


def test_a_camera_that_was_turned_looks_for_nobody_until_somebody_says_that_it_hangs_right(ward):
    for _ in range(12):
        ward.look(shifted=120)
    assert ward.watch.standing() == CoverageStatus(CoverageState.DEGRADED, "moved")
    before = ward.engine.surveys
    ward.look((PATIENT, 250, 200, 120), shifted=120)
    assert ward.engine.surveys == before
    ward.watch.scene.path.unlink()  # as `renzheng edge ward settle` does
    for _ in range(14):
        ward.look(shifted=120)
    assert ward.watch.standing() == CoverageStatus(CoverageState.UP)


def test_a_camera_that_was_turned_while_the_agent_was_off_is_noticed(ward, tmp_path):
    again = Ward(tmp_path)
    for _ in range(12):
        again.look(shifted=120)
    assert again.watch.standing().cause == "moved"


def test_in_the_dark_nobody_is_looked_for(ward):
    before = ward.engine.surveys
    ward.look((PATIENT, 250, 200, 120), light=0.05)
    for _ in range(3):
        ward.look(light=0.05)
    assert ward.watch.standing() == CoverageStatus(CoverageState.DEGRADED, "dark")
    assert ward.engine.surveys == before


def test_a_list_that_nothing_measured_supports_is_said_and_not_guessed_at(tmp_path):
    ward = Ward(tmp_path, people=range(1, 400))
    ward.watch._expected_false_matches = 1e-3
    ward.empty(15)
    ward.walk(PATIENT)
    ward.empty()
    assert ward.told == []
    assert ward.watch.standing() == CoverageStatus(CoverageState.DEGRADED, "list_too_long_to_tell")


def test_pictures_that_nobody_has_time_for_are_said(ward):
    ward.camera.counts.replaced += 30
    ward.look()
    assert ward.watch.standing() == CoverageStatus(CoverageState.DEGRADED, "overloaded")
    ward.empty(30)
    assert ward.watch.standing() == CoverageStatus(CoverageState.UP)


def test_a_broken_network_degrades_its_camera_and_ends_nothing(ward, caplog):
    analysts = Analysts([ward.watch], lambda: ward.engine, 1)
    ward.engine.fails = True
    planes = np.full((540, 640), 128, np.uint8)
    planes[:360] = np.clip(ward.corridor, 0, 255)
    planes[100:250, 200:320] = 200
    for _ in range(2):
        ward.camera.waiting.append(TimedPicture(Picture(planes.copy()), float(ward.second)))
        ward.second += 1
    analysts.start()
    analysts.wake()
    assert eventually(lambda: ward.watch.fault)
    analysts.stop()
    assert ward.watch.standing() == CoverageStatus(CoverageState.DEGRADED, "model_fault")


def test_memory_stays_flat_over_many_people(ward):
    def crowd(times):
        for number in range(times):
            ward.walk(40 + number % 100)
            ward.empty(4)
        ward.told.clear()
        gc.collect()

    crowd(4)
    tracemalloc.start()
    crowd(3)
    before = tracemalloc.get_traced_memory()[0]
    crowd(12)
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert after - before < 100_000
    assert len(ward.watch.following.followed) <= 1
