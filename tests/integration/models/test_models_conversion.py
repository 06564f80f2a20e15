"""The converter against dlib itself, on dlib's real files."""

from pathlib import Path

import cv2
import dlib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from renzheng.models.catalogue.cards import card
from renzheng.models.conversion.convert import SOURCES, convert, ensure_converted
from renzheng.models.conversion.networks import read_recogniser
from renzheng.models.detection.boxes import Box, iou
from renzheng.models.detection.mmod import AS_DLIB, MmodDetector
from renzheng.models.engine import FaceEngine, load_network
from renzheng.models.errors import ModelFileError
from renzheng.models.home import dlib_file
from renzheng.models.network import Network

RECOGNISER, DETECTOR = SOURCES["dlib-resnet"], SOURCES["dlib-mmod"]


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return {name: dlib_file(source.file).read_bytes() for name, source in SOURCES.items()}


@pytest.fixture(scope="module")
def recogniser() -> dlib.face_recognition_model_v1:
    return dlib.face_recognition_model_v1(str(dlib_file(RECOGNISER.file)))


@pytest.fixture(scope="module")
def detector() -> dlib.cnn_face_detection_model_v1:
    return dlib.cnn_face_detection_model_v1(str(dlib_file(DETECTOR.file)))


@pytest.fixture(scope="module")
def network(converted: Path) -> Network:
    return load_network("dlib-resnet", 1)


def small(image: np.ndarray, side: int) -> np.ndarray:
    factor = side / max(image.shape[:2])
    size = (round(image.shape[1] * factor), round(image.shape[0] * factor))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def test_templates_equal_dlib_s_own(
    photographs: dict[str, np.ndarray], engine: FaceEngine, recogniser: dlib.face_recognition_model_v1
) -> None:
    predictor = dlib.shape_predictor(str(dlib_file("shape_predictor_5_face_landmarks.dat")))
    compared = 0
    for image in photographs.values():
        face = engine.subject(image)
        if face is None:
            continue
        corners = (face.box.left, face.box.top, face.box.right, face.box.bottom)
        shape = predictor(image, dlib.rectangle(*map(round, corners)))
        theirs = np.array(recogniser.compute_face_descriptor(image, shape))
        np.testing.assert_allclose(engine.embed(image, face).values, theirs, atol=1e-5)
        compared += 1
    assert compared >= 7


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    arrays(np.uint8, (5, 5, 3), elements=st.integers(0, 255)), st.integers(0, 60), st.integers(0, 2**32 - 1)
)
def test_any_chip_gives_dlib_s_numbers(
    network: Network, recogniser: dlib.face_recognition_model_v1, colours: np.ndarray, noise: int, seed: int
) -> None:
    grain = np.random.default_rng(seed).integers(-noise, noise + 1, (150, 150, 3))
    smooth = cv2.resize(colours, (150, 150), interpolation=cv2.INTER_CUBIC)
    chip = (smooth.astype(int) + grain).clip(0, 255).astype(np.uint8)
    theirs = np.array(recogniser.compute_face_descriptor(chip))
    np.testing.assert_allclose(network.run(chip[None])[0], theirs, atol=1e-5)


def test_a_batch_gives_what_single_chips_give(network: Network) -> None:
    chips = np.random.default_rng(0).integers(0, 256, (3, 150, 150, 3), dtype=np.uint8)
    each = np.concatenate([network.run(chip[None]) for chip in chips])
    np.testing.assert_allclose(network.run(chips), each, atol=1e-6)


# `long`: more levels of the same pyramid
@pytest.mark.parametrize("side", [180, pytest.param(320, marks=pytest.mark.long)])
def test_detections_equal_dlib_s_own(
    photographs: dict[str, np.ndarray],
    converted: Path,
    detector: dlib.cnn_face_detection_model_v1,
    side: int,
) -> None:
    ours_of = MmodDetector(load_network("dlib-mmod", 1))
    total = 0
    upper = [image[: image.shape[1]] for image in photographs.values()]
    crowd = np.hstack([small(photographs[name], 420)[:180, :180] for name in ("obama", "obama2")])
    for image in [*(small(image, side) for image in upper), crowd]:
        theirs, ours = detector(image, 0), ours_of.detect(image, AS_DLIB)
        assert len(theirs) == len(ours)
        for one, other in zip(theirs, ours, strict=True):
            edges = one.rect
            box = Box(edges.left() - 0.5, edges.top() - 0.5, edges.right() + 0.5, edges.bottom() + 0.5)
            assert iou(box, other.box) >= 0.95
            assert one.confidence == pytest.approx(other.confidence, abs=1e-4)
            total += 1
    assert total >= 4


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_the_same_bytes_come_out_and_they_are_the_card_s(
    name: str, files: dict[str, bytes], converted: Path
) -> None:
    path = ensure_converted(name)
    assert path.name == card(name).file
    assert convert(files[name], SOURCES[name]) == path.read_bytes()
    Network(path, expected_sha256=card(name).sha256)


@pytest.mark.parametrize("name", sorted(SOURCES))
@pytest.mark.parametrize("share", [0.0, 1e-5, 0.001, 0.3, 0.77, 0.999999])
def test_a_truncated_file_is_refused_with_the_offset(
    name: str, share: float, files: dict[str, bytes]
) -> None:
    cut = files[name][: int(len(files[name]) * share)]
    with pytest.raises(ModelFileError) as caught:
        convert(cut, SOURCES[name])
    assert 0 <= caught.value.attributes["offset"] <= len(cut)


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_a_file_with_more_behind_its_end_is_refused(name: str, files: dict[str, bytes]) -> None:
    with pytest.raises(ModelFileError, match=f"1 bytes too many at offset {len(files[name])}"):
        convert(files[name] + b"\0", SOURCES[name])


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_altered_byte_of_the_detector_is_refused(files: dict[str, bytes], data: st.DataObject) -> None:
    altered = bytearray(files["dlib-mmod"])
    place = data.draw(st.one_of(st.integers(0, 200), st.integers(0, len(altered) - 1)))
    altered[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ModelFileError) as caught:
        convert(bytes(altered), DETECTOR)
    assert "offset" in caught.value.attributes


@pytest.mark.parametrize(
    ("name", "old", "new", "what"),
    [
        ("dlib-resnet", b"loss_metric_2", b"loss_metric_3", "'loss_metric_3', not 'loss_metric_2'"),
        ("dlib-resnet", b"\x05con_4", b"\x05con_9", "con_9"),
        ("dlib-resnet", b"relu_110", b"relu_1x0", "no flag"),
        ("dlib-resnet", b"\x01\x96\x01\x96", b"\x01\x97\x01\x96", "the rows of the input is 151, not 150"),
        ("dlib-resnet", b"max_pool_2\x01\x03\x01\x03", b"max_pool_2\x01\x05\x01\x03", "stands where"),
        ("dlib-mmod", b"\x01\x50\x01\x50", b"\x01\x51\x01\x50", "the width of the window is 81, not 80"),
        ("dlib-mmod", b"input_rgb_image_pyramid", b"input_rgb_image_pyramie", "pyramie"),
        ("dlib-mmod", b"bn_con2", b"bn_con1", "bn_con1"),
    ],
)
def test_every_tag_version_and_size_is_checked(
    name: str, old: bytes, new: bytes, what: str, files: dict[str, bytes]
) -> None:
    assert old in files[name]
    altered = files[name].replace(old, new, 1)
    with pytest.raises(ModelFileError) as caught:
        convert(altered, SOURCES[name])
    assert what in caught.value.what


def test_one_network_is_not_taken_for_the_other(files: dict[str, bytes]) -> None:
    with pytest.raises(ModelFileError, match="loss_mmod_"):
        read_recogniser(files["dlib-mmod"], "file")


def test_a_half_written_conversion_is_never_seen(
    files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: Path, target: Path) -> None:
        raise OSError("no space")

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(OSError, match="no space"):
        ensure_converted("dlib-mmod", tmp_path)
    assert list(tmp_path.iterdir()) == []
