"""Which face engine a device uses, by its settings, by the files that are here, and by who is enrolled."""

import pytest
from parts.edge import make_settings

from renzheng.edge.errors import SettingsError
from renzheng.edge.look.engines import best_of, better_engine, choose_engine
from renzheng.models.catalogue.cards import card
from renzheng.models.engine import BEST_FIRST, ENGINES, model_of, ready_engines
from renzheng.models.errors import ModelMissingError

ADDED = ("yunet_n_dynamic.onnx", "mobilefacenet.onnx")


@pytest.fixture(autouse=True)
def bare_machine(monkeypatch, tmp_path):
    """A machine on which no model file was added."""
    monkeypatch.delenv("RENZHENG_MODEL_DIR", raising=False)
    monkeypatch.setenv("RENZHENG_HOME", str(tmp_path / "home"))


@pytest.fixture
def added(tmp_path):
    """A folder with files of the better engines' names."""
    folder = tmp_path / "models"
    folder.mkdir()
    for name in ADDED:
        (folder / name).write_bytes(b"its name is looked at, not yet its content")
    return folder


def chosen(tmp_path, **face):
    return choose_engine(make_settings(tmp_path, face=face)).name


def test_without_added_files_the_engine_is_dlib(tmp_path):
    assert chosen(tmp_path) == "dlib"


def test_the_best_engine_whose_files_are_in_model_dir_is_taken(tmp_path, added):
    assert chosen(tmp_path, model_dir=added) == "yunet-mobilefacenet"
    (added / "mobilefacenet.onnx").unlink()
    assert chosen(tmp_path, model_dir=added) == "yunet-dlib"


def test_an_engine_that_is_named_is_taken(tmp_path, added):
    assert chosen(tmp_path, model_dir=added, engine="fused") == "fused"


def test_every_engine_that_may_be_the_best_has_an_operating_point():
    for name in BEST_FIRST:
        points = card(ENGINES[name].embedders[-1]).operating_points
        assert any(point.engine == name for point in points), name


@pytest.mark.parametrize(
    ("enrolled", "expected"),
    [
        ({}, "yunet-mobilefacenet"),
        ({"dlib": 5}, "yunet-dlib"),  # the same templates, found faster
        ({"dlib": 5, "fused": 1}, "yunet-dlib"),
        ({"dlib": 1, "fused": 5}, "fused"),
        ({"yunet-mobilefacenet": 1}, "yunet-mobilefacenet"),
    ],
)
def test_a_device_keeps_the_model_that_its_people_are_enrolled_with(enrolled, expected):
    assert best_of(BEST_FIRST, {model_of(name): people for name, people in enrolled.items()}) == expected


def test_where_the_enrolled_model_s_files_are_gone_the_best_of_the_rest_serves():
    assert best_of(("yunet-dlib", "dlib"), {model_of("fused"): 5}) == "yunet-dlib"


def test_a_better_engine_is_named_to_who_uses_a_lesser_one(added):
    assert better_engine("dlib", added) == better_engine("fused", added) == "yunet-mobilefacenet"
    assert better_engine("yunet-mobilefacenet", added) is None
    assert better_engine("dlib", None) is None
    assert better_engine("stand-in", added) is None


def test_ready_engines_are_named_best_first(added):
    assert ready_engines(added) == BEST_FIRST
    assert ready_engines(None) == ("dlib",)


def test_a_missing_file_says_what_why_and_what_next(tmp_path):
    settings = make_settings(tmp_path, face={"engine": "fused"})
    with pytest.raises(ModelMissingError) as missing:
        choose_engine(settings).open()
    error = missing.value
    assert "fused" in error.what
    assert ".onnx" in error.what
    assert "references of another engine" in error.why
    assert "face.model_dir" in error.do
    assert "dlib" in error.do


@pytest.mark.parametrize(
    ("face", "named"),
    [
        ({"engine": "nobody"}, "yunet-dlib"),
        ({"model_dir": "/nowhere/at/all"}, "/nowhere/at/all"),
    ],
)
def test_settings_that_name_nothing_are_refused(tmp_path, face, named):
    with pytest.raises(SettingsError, match=named):
        choose_engine(make_settings(tmp_path, face=face))


def test_an_older_file_s_ward_engine_is_the_device_s(tmp_path):
    assert make_settings(tmp_path, ward={"engine": "yunet-dlib"}).face.engine == "yunet-dlib"
    both = make_settings(tmp_path, ward={"engine": "yunet-dlib"}, face={"engine": "fused"})
    assert both.face.engine == "fused"
