"""`renzheng models` as a user calls it."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from renzheng.contracts.errors import UsageError
from renzheng.models.command import app
from renzheng.models.errors import CalibrationError, ModelFileError, PairsFileError


def call(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture(scope="module")
def people(
    tmp_path_factory: pytest.TempPathFactory, portraits: Path, photographs: dict[str, np.ndarray]
) -> Path:
    """Four people: three portraits of one, and of the others one portrait in two lights."""
    folder = tmp_path_factory.mktemp("people")
    for name, files in {"obama": ("obama.jpg", "obama2.jpg", "obama3.jpg"), "biden": ("biden.jpg",)}.items():
        (folder / name).mkdir()
        for file in files:
            shutil.copy(portraits / file, folder / name / file)
    (folder / "astronaut").mkdir()
    for name, file in (("astronaut", "astronaut"), ("biden", "biden-dim")):
        dimmed = (photographs[name.split("-", maxsplit=1)[0]] * 0.6).astype(np.uint8)
        cv2.imwrite(str(folder / name / f"{file}-dim.png"), dimmed[:, :, ::-1])
    (folder / "obama" / "broken.jpg").write_bytes(b"no image")
    return folder


def test_convert_writes_both_networks_and_says_where(converted: Path, tmp_path: Path) -> None:
    result = call("convert", "--to", tmp_path / "models")
    assert result.exit_code == 0
    assert len(list((tmp_path / "models").glob("*.onnx"))) == 2


def test_list_names_every_model_and_verify_finds_the_converted_ones_whole(
    converted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RENZHENG_MODEL_DIR", raising=False)
    assert "mobilefacenet" in call("list").stdout
    result = call("verify")
    assert result.exit_code == 0
    assert "dlib-resnet: present" in result.stdout
    assert "sface: missing" in result.stdout


def test_verify_fails_on_an_altered_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RENZHENG_MODEL_DIR", str(tmp_path))
    (tmp_path / "mobilefacenet.onnx").write_bytes(b"altered")
    result = call("verify")
    assert result.exit_code == 1
    assert "mobilefacenet: altered" in result.stdout


def test_a_stranger_s_file_is_not_added(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"x")
    with pytest.raises(ModelFileError):
        call("add", tmp_path / "x.onnx")


def test_evaluate_prints_the_documented_keys(converted: Path, people: Path, tmp_path: Path) -> None:
    det = tmp_path / "det.svg"
    result = call(
        "evaluate", "--images", people, "--identities", "--quick", "--workers", "1", "--det", det, "--json"
    )
    report = json.loads(result.stdout)
    assert report["comparisons"] == {"mated": 4, "non_mated": 11, "mated_not_acquired": 3}
    assert report["fta"] == pytest.approx(1 / 7)
    assert report["not_acquired"] == {str(people / "obama" / "broken.jpg"): "NotAnImageError"}
    assert report["tar_at_fmr"]["0.01"] == pytest.approx(4 / 7)
    assert report["fmr_at_card_threshold"] == 0
    assert report["accuracy_at_card_threshold"] > 0.8
    assert det.read_text().startswith("<svg")


def test_evaluate_reads_pairs_and_uses_several_processes(
    converted: Path, people: Path, tmp_path: Path
) -> None:
    pairs = tmp_path / "pairs.csv"
    pairs.write_text(
        "file_x,file_y,mated\nobama/obama.jpg,obama/obama2.jpg,1\nobama/obama.jpg,biden/biden.jpg,0\n"
    )
    report = json.loads(
        call("evaluate", "--images", people, "--pairs", pairs, "--quick", "--workers", "2", "--json").stdout
    )
    assert report["comparisons"]["mated"] == 1
    assert report["accuracy_at_card_threshold"] == 1


# `long`: another engine by the way that the tests around it go
@pytest.mark.long
def test_the_library_itself_is_evaluated_in_the_same_way(converted: Path, people: Path) -> None:
    report = json.loads(
        call(
            "evaluate",
            "--images",
            people,
            "--identities",
            "--engine",
            "face_recognition",
            "--workers",
            "1",
            "--json",
        ).stdout
    )
    assert report["card_threshold"] == pytest.approx(0.4)
    assert report["tar_at_fmr"]["0.01"] > 0.4


def drawn(image: np.ndarray, seed: int) -> np.ndarray:
    """Somebody else's face: a portrait whose features are smoothly moved, and whose skin is another."""
    rng = np.random.default_rng(seed)
    rows, columns = image.shape[:2]
    moves = [
        cv2.resize(rng.normal(0, 0.02 * columns, (6, 6)).astype(np.float32), (columns, rows), None, 0, 0, 2)
        for _ in range(2)
    ]
    across, down = np.meshgrid(np.arange(columns, dtype=np.float32), np.arange(rows, dtype=np.float32))
    moved = cv2.remap(image, across + moves[0], down + moves[1], cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE)
    return np.clip(moved * rng.uniform(0.75, 1.15, 3), 0, 255).astype(np.uint8)


def test_evaluate_as_a_site_on_photographs_of_drawn_people(
    converted: Path, photographs: dict[str, np.ndarray], tmp_path: Path
) -> None:
    for who in range(13):
        image = photographs[("obama", "biden", "astronaut")[who % 3]]
        rows = 300 * image.shape[0] // image.shape[1]
        small = drawn(cv2.resize(image, (300, rows), interpolation=cv2.INTER_AREA), who)
        (tmp_path / f"p{who:02d}").mkdir()
        for number, light in enumerate((1.0, 0.7)):
            lit = (small * light).astype(np.uint8)
            cv2.imwrite(str(tmp_path / f"p{who:02d}" / f"{number}.png"), lit[:, :, ::-1])
    arguments = ("evaluate", "--images", tmp_path, "--identities", "--references", "3", "--quick")
    asked = ("--workers", "1", "--as-site", "10", "--draws", "2", "--fmr", "0.01", "--json")
    report = json.loads(call(*arguments, *asked).stdout)
    site = report["as_site"]
    assert (site["people"], site["draws"], site["asked_fmr"]) == (10, 2, 0.01)
    assert site["search"]["people"] == 3
    assert 0 <= site["real_fmr_interval"][0] <= site["real_fmr"] <= site["real_fmr_interval"][1] <= 1
    assert 0 <= site["tar_interval"][0] <= site["tar"] <= site["tar_interval"][1] <= 1


def test_ten_people_leave_nobody_to_measure_a_site_of_ten_on(converted: Path, people: Path) -> None:
    with pytest.raises(PairsFileError, match="a site of 10"):
        call("evaluate", "--images", people, "--identities", "--quick", "--workers", "1", "--as-site", "10")


def test_a_wrong_call_says_what_is_wrong(people: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--pairs"):
        call("evaluate", "--images", people)
    with pytest.raises(UsageError, match="--references"):
        call("evaluate", "--images", people, "--pairs", tmp_path / "x.csv", "--references", "2")
    with pytest.raises(UsageError, match="--gallery"):
        call("calibrate")


def test_calibrate_refuses_three_people(converted: Path, people: Path, tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="holds 3 people"):
        call("calibrate", "--images", people, "--to", tmp_path)


# `long`: a measurement on the side
@pytest.mark.long
def test_bench_measures_this_engine_and_the_library_side_by_side(
    converted: Path, portraits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RENZHENG_MODEL_DIR", raising=False)
    shutil.copy(portraits / "obama2.jpg", tmp_path / "obama2.jpg")
    report = json.loads(call("bench", "--images", tmp_path, "--json").stdout)
    # how fast is what `make bench` is for: a busy machine stops now the one, now the other
    library = report["library"]
    for stage in ("embed", "detect_cnn"):
        theirs, ours = library[f"library_{stage}_ms"], library[f"{stage}_ms"]
        assert report[f"{stage}_ratio"] == pytest.approx(theirs / ours, abs=0.02)
        assert ours > 0
    assert report["peak_rss_mb"] < 400
    measured = report["engines"]["dlib"]
    assert set(measured["stages_ms"]) == {
        "detect", "detect_followed", "landmarks", "quality", "embed", "compare",
        "verification", "verification_followed",
    }  # fmt: skip
    assert report["verify_followed_ms_median"] == measured["stages_ms"]["verification_followed"] > 0
    assert "fused" in report["skipped"]
