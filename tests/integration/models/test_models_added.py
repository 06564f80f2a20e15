"""Engines that need added model files; loudly skipped without them (RENZHENG_MODEL_DIR)."""

import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from renzheng.models.analysis import OneFace
from renzheng.models.catalogue.cards import card
from renzheng.models.catalogue.files import State, add, inspect, installed
from renzheng.models.decision import Match, NonMatch, NotSure
from renzheng.models.engine import open_engine
from renzheng.models.errors import ModelFileError
from renzheng.models.liveness.network import open_liveness
from renzheng.models.network import Network

WANTED = ("yunet", "yunet-2023mar", "mobilefacenet", "antispoof")


@pytest.fixture(scope="module")
def folder(converted: Path) -> Path:
    named = os.environ.get("RENZHENG_MODEL_DIR")
    if not named:
        pytest.skip(
            "RENZHENG_MODEL_DIR names no folder with YuNet and MobileFaceNet: their engines go untested"
        )
    missing = [name for name in WANTED if not installed(card(name))]
    if missing:
        pytest.skip(f"RENZHENG_MODEL_DIR={named} lacks {', '.join(missing)}: their engines go untested")
    return Path(named)


@pytest.mark.parametrize("name", WANTED)
def test_added_files_are_those_of_their_cards(folder: Path, name: str) -> None:
    assert inspect(card(name)).state is State.PRESENT


@pytest.mark.parametrize("name", ["yunet-dlib", "yunet-mobilefacenet", "fused"])
def test_an_engine_tells_people_apart(folder: Path, photographs: dict[str, np.ndarray], name: str) -> None:
    engine = open_engine(name)
    templates = {}
    for who in ("obama", "obama2", "biden"):
        face = engine.subject(photographs[who])
        assert face is not None
        assert len(face.points) == 5
        templates[who] = engine.embed(photographs[who], face)
    assert isinstance(engine.verify([templates["obama"]], [templates["obama2"]]), Match)
    assert isinstance(engine.verify([templates["obama"]], [templates["biden"]]), NonMatch | NotSure)
    assert engine.compare([templates["obama"]], [templates["biden"]]) < engine.compare(
        [templates["obama"]], [templates["obama2"]]
    )


def test_yunet_s_face_is_followed_as_dlib_s_is(folder: Path, photographs: dict[str, np.ndarray]) -> None:
    engine = open_engine("yunet-mobilefacenet")
    room = np.full((480, 640, 3), 128, np.uint8)
    room[:, 60:580] = cv2.resize(photographs["obama"][:840], (520, 480), interpolation=cv2.INTER_AREA)
    last, moved = engine.analyse(room), np.roll(room, 12, axis=1)
    assert isinstance(last, OneFace)
    whole, followed = engine.analyse(moved), engine.analyse(moved, last=last.face)
    assert isinstance(whole, OneFace)
    assert isinstance(followed, OneFace)
    assert followed.face.followed
    apart = np.array(followed.face.points) - np.array(whole.face.points)
    assert np.abs(apart).max() < 0.05 * whole.face.box.width
    templates = [engine.embed(moved, each.face) for each in (followed, whole)]
    assert engine.compare(templates[:1], templates[1:]) > 0.9


def test_the_smaller_yunet_serves_where_the_larger_is_missing(
    folder: Path, photographs: dict[str, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(folder / card("yunet-2023mar").file, tmp_path)
    monkeypatch.setenv("RENZHENG_MODEL_DIR", str(tmp_path))
    assert open_engine("yunet-dlib").subject(photographs["obama"]) is not None


def test_a_file_is_added_by_its_content_whatever_its_name(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RENZHENG_HOME", str(tmp_path / "home"))
    renamed = tmp_path / "download(3).bin"
    shutil.copy(folder / card("mobilefacenet").file, renamed)
    assert add(renamed).name == "mobilefacenet"
    assert (tmp_path / "home" / "models" / "mobilefacenet.onnx").is_file()


def test_a_model_of_another_task_under_a_model_s_name_is_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for known in ("yunet", "yunet-2023mar"):
        shutil.copy(folder / card(known).file, tmp_path)
    shutil.copy(folder / card("antispoof").file, tmp_path / "mobilefacenet.onnx")
    monkeypatch.setenv("RENZHENG_MODEL_DIR", str(tmp_path))
    with pytest.raises(ModelFileError):
        open_engine("yunet-mobilefacenet")
    with pytest.raises(ModelFileError):
        Network(tmp_path / "mobilefacenet.onnx", expected_sha256=card("mobilefacenet").sha256)


def test_a_photograph_of_a_person_scores_as_live_and_a_blurred_print_less(
    folder: Path, photographs: dict[str, np.ndarray]
) -> None:
    engine, liveness = open_engine("yunet-dlib"), open_liveness()
    image = photographs["obama2"]
    face = engine.subject(image)
    assert face is not None
    live = liveness.score(image, face)
    assert live.score > 0.9
    assert live.model.startswith("antispoof:")
    smeared = cv2.GaussianBlur(image, (0, 0), face.box.width / 12)
    assert liveness.score(smeared, face).score < live.score
