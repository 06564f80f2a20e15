"""What a site learns from its own people, tried on people made of random numbers."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from renzheng.models import site
from renzheng.models.calibration import Calibration
from renzheng.models.calibration_files import latest, load, read_gallery, save, write_gallery
from renzheng.models.errors import CalibrationError, TemplateMismatchError
from renzheng.models.search import Gallery
from renzheng.models.templates import KeyId, ModelId, Template

MODEL = ModelId("dlib-resnet:aaaaaaaaaaaa:32")
FUSED = ModelId("one:aaaaaaaaaaaa:32+two:bbbbbbbbbbbb:16")
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def population(people: int, seed: int, model: ModelId = MODEL, each: int = 2) -> dict[str, list[Template]]:
    """People around a common centre, each with a few templates that vary."""
    rng = np.random.default_rng(seed)
    length = 32 if model == MODEL else 48
    shared = np.random.default_rng(99).normal(0, 1.5, length)
    own = shared + rng.normal(0, 1, (people, length))
    return {
        f"{seed}-{who}": [
            Template((own[who] + rng.normal(0, 0.5, length)).astype(np.float32), model) for _ in range(each)
        ]
        for who in range(people)
    }


def false_match_rate(calibration: Calibration, fmr: float, strangers: dict[str, list[Template]]) -> float:
    threshold = calibration.threshold_at(fmr).score
    rows = np.stack(
        [calibration.space.fuse(np.stack([each.values for each in own])) for own in strangers.values()]
    )
    scores = rows @ rows.T
    return float(np.mean(scores[np.triu_indices(len(rows), 1)] >= threshold))


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return site.calibrate(population(160, 1), (1.0,), now=NOW)


@pytest.mark.parametrize("fmr", [0.1, 0.01, 0.001])
def test_the_promised_rate_holds_among_people_never_seen(calibration: Calibration, fmr: float) -> None:
    found = false_match_rate(calibration, fmr, population(400, 2))
    assert fmr / 2.5 < found < fmr * 2.5


def test_counted_points_say_so_and_the_tail_beyond_is_computed_on_the_safe_side(
    calibration: Calibration,
) -> None:
    basis = {point.fmr: point.basis for point in calibration.thresholds}
    assert basis[1e-3] == "site"
    assert basis[1e-4] == "site-model"
    assert false_match_rate(calibration, 1e-4, population(400, 3)) < 3e-4
    scores = [point.score for point in sorted(calibration.thresholds, key=lambda point: point.fmr)]
    assert scores == sorted(scores, reverse=True)
    assert all(point.fmr_low <= point.fmr <= point.fmr_high for point in calibration.thresholds)


def test_a_site_s_own_people_are_told_apart(calibration: Calibration) -> None:
    people = population(160, 1)
    gallery = Gallery.enrolled([(who, own[:1]) for who, own in people.items()], calibration)
    found = [gallery.search(own[1:], at_fmr=1e-3) for own in people.values()]
    right = [
        bool(getattr(each, "candidates", ())) and each.candidates[0].person_id == who
        for who, each in zip(people, found, strict=True)
    ]
    assert np.mean(right) > 0.9


def test_each_network_counts_by_its_trust_over_its_deviation() -> None:
    made = site.calibrate(population(40, 5, FUSED), (0.3, 0.7), now=NOW)
    # Cosines in 32 dimensions spread less than in 16, so the first network's weight rises above its trust.
    assert made.space.weights[0] > 0.3
    assert sum(made.space.weights) == pytest.approx(1)


def test_a_large_gallery_gives_nearly_what_leaving_two_out_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    people = population(60, 6)
    exact = site.calibrate(people, (1.0,), now=NOW)
    monkeypatch.setattr(site, "_CALIBRATION_LEAVE_OUT_PEOPLE", 10)
    quick = site.calibrate(people, (1.0,), now=NOW)
    assert quick.comparisons == exact.comparisons
    assert quick.threshold_at(0.01).score == pytest.approx(exact.threshold_at(0.01).score, abs=0.08)


def test_too_few_people_are_refused_by_number() -> None:
    with pytest.raises(CalibrationError) as caught:
        site.calibrate(population(site.SMALLEST_GALLERY_PEOPLE - 1, 1), (1.0,), now=NOW)
    assert caught.value.attributes["people"] == 29


def test_templates_under_two_keys_are_refused() -> None:
    people = population(30, 1)
    first = people["1-0"][0]
    people["1-0"][0] = Template(first.values, first.model, KeyId("other"))
    with pytest.raises(TemplateMismatchError):
        site.calibrate(people, (1.0,), now=NOW)


def test_it_is_due_at_first_and_whenever_the_gallery_has_grown_by_a_tenth(calibration: Calibration) -> None:
    assert not site.is_due(None, 29)
    assert site.is_due(None, 30)
    assert not site.is_due(calibration, 175)
    assert site.is_due(calibration, 176)


def test_calibrations_are_versioned_kept_and_read_back(tmp_path: Path, calibration: Calibration) -> None:
    save(tmp_path, "dlib", calibration)
    later = site.calibrate(population(200, 1), (1.0,), now=NOW + timedelta(days=30), previous=calibration)
    path = save(tmp_path, "dlib", later)
    assert later.version == 2
    found = load(path)
    assert found.thresholds == later.thresholds
    np.testing.assert_array_equal(found.space.centre, later.space.centre)
    newest = latest(tmp_path, "dlib", MODEL)
    assert newest is not None
    assert newest.version == 2
    assert latest(tmp_path, "dlib", FUSED) is None
    assert latest(tmp_path, "dlib", MODEL, KeyId("k")) is None
    with pytest.raises(CalibrationError, match="exists already"):
        save(tmp_path, "dlib", later)


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"form": 2}'])
def test_a_file_that_is_no_calibration_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "dlib.v1.json"
    path.write_text(content)
    with pytest.raises(CalibrationError):
        load(path)


def test_a_gallery_survives_its_file(tmp_path: Path) -> None:
    people = population(3, 4)
    write_gallery(tmp_path / "gallery", people)
    assert read_gallery(tmp_path / "gallery") == people


def test_a_broken_gallery_is_refused_with_the_line(tmp_path: Path) -> None:
    path = tmp_path / "gallery"
    write_gallery(path, population(2, 4))
    path.write_text(path.read_text() + '{"person": "x", "template": "AAAA"}\n')
    with pytest.raises(CalibrationError, match="line 5"):
        read_gallery(path)
