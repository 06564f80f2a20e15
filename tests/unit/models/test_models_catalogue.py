"""The cards, and the files they stand for."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from renzheng.models.calibration import Calibration, standing_of
from renzheng.models.catalogue.cards import card, cards, read_card
from renzheng.models.catalogue.files import State, add, check_shapes, fetch, find_file, identify, inspect
from renzheng.models.comparison import plain_space
from renzheng.models.engine import ENGINES, open_engine, thresholds_of
from renzheng.models.errors import (
    CardError,
    DownloadError,
    ModelFileError,
    ModelMissingError,
    UnknownEngineError,
    UnknownModelError,
)
from renzheng.models.network import Network
from renzheng.models.templates import ModelId


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RENZHENG_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("RENZHENG_MODEL_DIR", raising=False)
    return tmp_path / "home"


def tiny_network(path: Path, shape: tuple[int, ...], length: int) -> Path:
    """A real ONNX file that averages its picture."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["y"]),
    ]
    weight = helper.make_tensor("w", TensorProto.FLOAT, [3, length], np.ones(3 * length, np.float32))
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, length])],
        [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("name", sorted(cards()))
def test_a_card_says_what_a_site_must_know(name: str) -> None:
    known = card(name)
    assert known.name == name
    assert known.licence
    assert known.training_data
    assert known.download == "" or known.download.startswith("https://")
    assert known.task != "embedding" or known.output.length
    for point in known.operating_points:
        assert point.fmr_interval[0] <= point.fmr <= point.fmr_interval[1]
        assert point.fnmr_interval[0] <= point.fnmr <= point.fnmr_interval[1]
        assert point.engine in {*ENGINES, "face_recognition"}


def test_an_engine_s_thresholds_rise_as_its_false_match_rate_falls() -> None:
    for name, recipe in ENGINES.items():
        points = sorted(thresholds_of(card(recipe.embedders[-1]), name), key=lambda point: point.fmr)
        scores = [point.score for point in points]
        assert scores == sorted(scores, reverse=True)
    assert len(thresholds_of(card("dlib-resnet"), "dlib")) >= 3


@pytest.mark.parametrize("name", ["dlib", "yunet-dlib", "yunet-mobilefacenet", "fused"])
def test_of_several_populations_the_worst_is_in_force(name: str) -> None:
    points = [point for point in card(ENGINES[name].embedders[-1]).operating_points if point.engine == name]
    assert {point.population for point in points} == {"lfw", "east-asian"}
    for threshold in thresholds_of(card(ENGINES[name].embedders[-1]), name):
        same = [point for point in points if point.fmr == threshold.fmr]
        assert threshold.score == max(point.threshold for point in same)
        assert threshold.fnmr in {point.fnmr for point in same}
    of_one = thresholds_of(card(ENGINES[name].embedders[-1]), name, "lfw")
    assert {each.score for each in of_one} == {
        point.threshold for point in points if point.population == "lfw"
    }


def test_where_hardly_anybody_passes_by_the_card_a_witness_is_asked_for() -> None:
    model = ModelId("x:aaaaaaaaaaaa:8")
    for name, needed in (("dlib", True), ("yunet-mobilefacenet", False)):
        thresholds = thresholds_of(card(ENGINES[name].embedders[-1]), name)
        standing = standing_of(Calibration(plain_space(model), thresholds), 1e-3)
        assert standing.witness_needed is needed, name
        assert standing.basis == "card"
        assert standing.people == 0


def test_a_malformed_card_names_every_fault(tmp_path: Path) -> None:
    path = tmp_path / "card.toml"
    path.write_text('name = "X"\nsha256 = "abc"\nunknown = 1\n')
    with pytest.raises(CardError) as caught:
        read_card(path)
    for fault in ("name", "sha256", "unknown", "licence"):
        assert fault in caught.value.why


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownModelError, match="dlib-resnet"):
        card("nobody")
    with pytest.raises(UnknownEngineError, match="dlib"):
        open_engine("nobody")


def test_a_missing_model_says_how_to_get_it() -> None:
    with pytest.raises(ModelMissingError, match="renzheng models fetch mobilefacenet"):
        find_file(card("mobilefacenet"))
    with pytest.raises(ModelMissingError):
        open_engine("yunet-dlib")
    assert inspect(card("mobilefacenet")).state is State.MISSING


def test_an_unknown_an_empty_and_a_missing_file_are_not_added(tmp_path: Path) -> None:
    stranger, empty = tmp_path / "stranger.onnx", tmp_path / "empty.onnx"
    stranger.write_bytes(b"whatever")
    empty.write_bytes(b"")
    with pytest.raises(ModelFileError, match="of no card"):
        add(stranger)
    with pytest.raises(ModelFileError, match="0 bytes"):
        add(empty)
    with pytest.raises(ModelMissingError):
        add(tmp_path / "none.onnx")
    assert identify(b"whatever") is None


@pytest.mark.parametrize("content", [b"", b"no network", b"\x08\x08"])
def test_a_file_under_a_known_name_is_not_trusted(own_home: Path, content: bytes) -> None:
    path = own_home / "models" / card("mobilefacenet").file
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    assert inspect(card("mobilefacenet")).state is State.ALTERED
    with pytest.raises(ModelFileError):
        Network(path, expected_sha256=card("mobilefacenet").sha256)
    with pytest.raises(ModelFileError):
        Network(path)


def test_a_network_of_another_task_is_refused(tmp_path: Path) -> None:
    fits = Network(tiny_network(tmp_path / "a.onnx", (1, 3, 112, 112), 128))
    check_shapes(fits, card("mobilefacenet"))
    for name in ("yunet-2023mar", "antispoof", "dlib-resnet"):
        with pytest.raises(ModelFileError, match="as the card"):
            check_shapes(fits, card(name))
    shorter = Network(tiny_network(tmp_path / "b.onnx", (1, 3, 112, 112), 64))
    with pytest.raises(ModelFileError):
        check_shapes(shorter, card("mobilefacenet"))


def test_converted_models_and_those_without_address_are_not_fetched() -> None:
    for known in (card("dlib-resnet"), card("mobilefacenet").model_copy(update={"download": ""})):
        with pytest.raises(DownloadError):
            fetch(known)


def test_the_tiny_network_is_a_real_one(tmp_path: Path) -> None:
    path = tiny_network(tmp_path / "a.onnx", (1, 3, 8, 8), 4)
    onnx.checker.check_model(str(path), full_check=True)
    out = Network(path).run(np.ones((1, 3, 8, 8), np.float32))
    np.testing.assert_array_equal(out, np.full((1, 4), 3))
