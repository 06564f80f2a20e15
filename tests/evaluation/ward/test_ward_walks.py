"""Composed walks of people who are no part of the product: enrolled ones are found, strangers are not told.

Needs RENZHENG_TEST_FACES (a sub-folder a person, four photographs or more each); docs/ward.md holds the
figures of all photographs. RENZHENG_WARD_WALKS sets how many walks a person and takes everybody, else a few
people walk once; RENZHENG_WARD_ENGINE sets the engine.
"""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from renzheng.bench.ward import scenes
from renzheng.edge.settings.ward import CameraSettings
from renzheng.edge.ward.camera import Counts, TimedPicture
from renzheng.edge.ward.decoder import Picture
from renzheng.edge.ward.lists import WardList
from renzheng.edge.ward.watch import CameraWatch
from renzheng.models.engine import open_engine
from renzheng.models.images import decode
from renzheng.models.search import Gallery

REFERENCES = 3
FEW = 4
FMR = 1e-3
"""The card's for LFW, whose people these are; five are too few for a calibration of their own."""


@pytest.fixture(scope="module")
def people():
    folder = os.environ.get("RENZHENG_TEST_FACES")
    if not folder:
        pytest.skip("RENZHENG_TEST_FACES names no folder with a sub-folder a person: walks go unmeasured")
    found = [sorted(one.glob("*.jpg")) for one in sorted(Path(folder).iterdir()) if one.is_dir()]
    several = [one for one in found if len(one) > REFERENCES]
    some = several if "RENZHENG_WARD_WALKS" in os.environ else several[:FEW]
    return {one[0].parent.name: one for one in some}


class NoCamera:
    settings = CameraSettings(id="c", url="rtsp://c/", ward="1", place="corridor")
    counts = Counts()


def taken(picture, second):
    """The picture as a camera's key frame; JPEG stands in for intra coding."""
    _, coded = cv2.imencode(".jpg", picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])
    planes = cv2.cvtColor(cv2.imdecode(coded, cv2.IMREAD_COLOR), cv2.COLOR_BGR2YUV_I420)
    return TimedPicture(Picture(planes), float(second))


def test_enrolled_people_are_found_and_strangers_are_not_told(people, tmp_path):
    engine = open_engine(os.environ.get("RENZHENG_WARD_ENGINE", "dlib"), population="lfw")
    walks_each = int(os.environ.get("RENZHENG_WARD_WALKS", "1"))
    enrolled = sorted(people)[::2]
    gallery = Gallery.enrolled(
        [(who, references_of(people[who], engine)) for who in enrolled], engine.card_calibration
    )
    told, chance = [], np.random.default_rng(0)
    watch = CameraWatch(
        NoCamera(),
        list_of=lambda: WardList(gallery, len(enrolled)),
        tell=lambda result, *_: told.append(result.person_id),
        expected_false_matches=FMR * len(enrolled),
        scene_file=tmp_path / "scene.npy",
    )
    second, empty = 0, list(scenes.frames([], 1, seed=3))
    found, walks, wrong = 0, 0, 0
    for who, photographs in people.items():
        for path in photographs[REFERENCES : REFERENCES + walks_each]:
            head = scenes.cut_head(decode(path.read_bytes()), engine)
            if head is None:
                continue
            begins = float(chance.uniform(200, 1000))
            ends = float(np.clip(begins + chance.uniform(-350, 350), 250, 1000))
            walk = scenes.Walk(head, 0, 5.0, (begins, 180, 85), (ends, 400, 215))
            told.clear()
            shown = [one for number, one in enumerate(scenes.frames([walk], 5.2, seed=3)) if number % 15 == 4]
            for picture in [*shown, *empty[:5]]:
                watch.analyse(engine, taken(picture, second))
                second += 1
            walks += who in enrolled
            found += who in told
            wrong += any(name != who for name in told)
    assert walks >= len(enrolled) / 2
    assert wrong == 0
    assert found / walks >= 0.75


def references_of(photographs, engine):
    images = [decode(path.read_bytes()) for path in photographs[:REFERENCES]]
    faces = [(image, engine.subject(image)) for image in images]
    return [engine.embed(image, face, mirrored=True) for image, face in faces if face is not None]
