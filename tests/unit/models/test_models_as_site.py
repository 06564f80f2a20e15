"""Sites drawn from a set of people, tried on people made of random numbers, and through the command."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from renzheng.contracts.errors import RenzhengError, UsageError
from renzheng.models.command import app
from renzheng.models.errors import CalibrationError, PairsFileError, UnknownEngineError
from renzheng.models.evaluation.as_site import Templates, as_site
from renzheng.models.evaluation.sets import columns_of, read_templates
from renzheng.models.templates import ModelId, lengths, names

MODEL = ModelId("dlib-resnet:aaaaaaaaaaaa:64")


def people(count: int, length: int = 64, each: int = 3, noise: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """Templates of people of twenty kinds, some of whom resemble each other; and whose each is."""
    rng = np.random.default_rng(3)
    kinds = 0.7 * rng.normal(0, 1, (20, length))
    own = rng.normal(0, 1.5, length) + rng.normal(0, 1, (count, length)) + kinds[rng.integers(0, 20, count)]
    person = np.repeat(np.arange(count), each)
    return (own[person] + rng.normal(0, noise, (len(person), length))).astype(np.float32), person


def test_a_drawn_site_gets_about_the_rate_that_it_asks_for() -> None:
    values, person = people(120)
    found = as_site(Templates(MODEL, values, person), (1.0,), people=20, fmr=0.01, references=3, draws=3)
    assert 0.005 < found.real_fmr.value < 0.02
    assert found.real_fmr.low < found.real_fmr.value < found.real_fmr.high
    assert found.tar.value > 0.95
    assert found.not_carried == 0
    assert found.searched == 100
    assert found.attempts.value < 0.02


def test_images_without_a_face_count_as_not_found() -> None:
    values, person = people(30)
    values[::3] = np.nan
    found = as_site(Templates(MODEL, values, person), (1.0,), people=12, fmr=0.01, references=3, draws=2)
    assert found.tar.value == pytest.approx(2 / 3, abs=0.02)


def test_a_site_that_carries_no_such_rate_lets_nobody_pass() -> None:
    values, person = people(30, noise=2.5)
    found = as_site(Templates(MODEL, values, person), (1.0,), people=15, fmr=1e-3, references=3, draws=2)
    assert found.not_carried == 2
    assert found.thresholds == ()
    assert found.tar.value == found.real_fmr.value == 0
    assert found.real_fmr.high > 0
    assert found.offered_fmr > 1e-3


@pytest.mark.parametrize(("site", "error"), [(29, PairsFileError), (9, CalibrationError)])
def test_too_few_people_are_refused(site: int, error: type[Exception]) -> None:
    values, person = people(30)
    with pytest.raises(error):
        as_site(Templates(MODEL, values, person), (1.0,), people=site, fmr=0.01, references=3, draws=1)


def call(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, ["evaluate", *(str(argument) for argument in arguments)])
    if result.exception:
        raise result.exception
    return result.stdout


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("templates") / "people.npz"
    values, person = people(24, length=256)
    values[5] = np.nan
    arrays = {"fused": values, "dlib": values[:, :128], "elsewhere": values[:, :100]}
    np.savez(path, person=person, sex=np.arange(24) % 2, light=np.arange(72) % 3, wrong=np.ones(5), **arrays)
    return path


def test_the_command_evaluates_templates_as_a_site(file: Path) -> None:
    report = json.loads(
        call("--templates", file, "--engine", "dlib", "--references", "3", "--as-site", "14",
             "--draws", "2", "--fmr", "0.01", "--json")
    )  # fmt: skip
    assert report["people"] == 24
    assert report["fta"] == pytest.approx(1 / 72)
    site = report["as_site"]
    assert (site["people"], site["draws"], site["asked_fmr"]) == (14, 2, 0.01)
    assert site["real_fmr_interval"][0] <= site["real_fmr"] <= site["real_fmr_interval"][1] <= 1
    assert site["tar_interval"][0] <= site["tar"] <= site["tar_interval"][1] <= 1
    assert site["search"]["people"] == 10
    assert "site of 14" in call("--templates", file, "--as-site", "14", "--draws", "1", "--fmr", "0.01")


def test_groups_are_held_to_everybody_s_threshold_and_drawn(file: Path, tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    report = json.loads(
        call("--templates", file, "--group-array", "sex", "--pictures", pictures, "--det", tmp_path / "d.svg",
             "--json")
    )  # fmt: skip
    assert list(report["groups"]) == ["sex=0", "sex=1"]
    threshold = report["threshold_at_fmr"]["0.01"]
    for found in (report, *report["groups"].values()):
        at = found["at_common_threshold"]["0.01"]
        assert at["threshold"] == threshold
        assert at["fmr_interval"][0] <= at["fmr"] <= at["fmr_interval"][1]
        assert at["fnmr_interval"][0] <= at["fnmr"] <= at["fnmr_interval"][1]
        assert found["scores"]["edges"] == report["scores"]["edges"]
    assert [found["people"] for found in report["groups"].values()] == [12, 12]
    for drawn in (pictures / "det.svg", pictures / "scores.svg", tmp_path / "d.svg"):
        assert "sex=1 (12 people)" in drawn.read_text()


def test_groups_of_images_are_read_too(file: Path) -> None:
    found = json.loads(call("--templates", file, "--group-array", "light", "--json"))["groups"]["light=2"]
    assert found["people"] == 23  # of one person the picture shows no face
    assert found["comparisons"]["mated"] == 0
    assert found["at_common_threshold"]["0.01"]["fnmr"] is None  # nobody is there twice
    assert "light=2" in call("--templates", file, "--group-array", "light")


def test_without_as_site_there_is_none(file: Path) -> None:
    assert json.loads(call("--templates", file, "--json"))["as_site"] is None


def test_a_part_of_a_fused_template_serves_an_engine_of_one_network(file: Path) -> None:
    _, whole = read_templates(file, "fused", None)
    _, part = read_templates(file, "yunet-mobilefacenet", "fused")
    assert whole[0].template is not None
    assert part[0].template is not None
    np.testing.assert_array_equal(whole[0].template.values[128:], part[0].template.values)
    assert names(part[0].template.model) == ("mobilefacenet",)
    assert lengths(columns_of("dlib", 256)[0]) == (128,)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("--engine", "fused", "--array", "elsewhere"), PairsFileError),
        (("--array", "missing"), PairsFileError),
        (("--engine", "nobody", "--array", "fused"), UnknownEngineError),
        (("--images", "."), UsageError),
        (("--group-array", "missing"), PairsFileError),
        (("--group-array", "wrong"), PairsFileError),
        (("--groups", "groups.csv"), UsageError),
        (("--pairs", "pairs.csv", "--as-site", "12"), UsageError),
    ],
)
def test_a_wrong_call_says_so(file: Path, arguments: tuple[str, ...], error: type[RenzhengError]) -> None:
    with pytest.raises(error):
        call("--templates", file, *arguments)


def test_a_file_that_is_no_array_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(PairsFileError):
        call("--templates", path)
