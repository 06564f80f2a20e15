"""What a site learns from its own people, tried on people made of random numbers."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from renzheng.models import site
from renzheng.models.calibration import Calibration, standing_of, threshold_or_last
from renzheng.models.calibration_files import latest, load, read_gallery, save, write_gallery
from renzheng.models.errors import CalibrationError, OperatingPointError, TemplateMismatchError
from renzheng.models.protection import TemplateKey, transform
from renzheng.models.search import Gallery
from renzheng.models.templates import KeyId, ModelId, Template

MODEL = ModelId("dlib-resnet:aaaaaaaaaaaa:32")
RESEMBLING = ModelId("dlib-resnet:aaaaaaaaaaaa:64")
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


def test_a_very_large_gallery_is_compared_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    people = population(60, 6)
    exact = site.calibrate(people, (1.0,), now=NOW)
    monkeypatch.setattr(site, "MOST_COMPARED_PEOPLE", 30)
    quick = site.calibrate(people, (1.0,), now=NOW)
    assert quick.people == 60
    assert quick.comparisons == 30 * 29 * 2
    assert quick.threshold_at(0.01).score == pytest.approx(exact.threshold_at(0.01).score, abs=0.08)


def test_too_few_people_are_refused_by_number() -> None:
    with pytest.raises(CalibrationError) as caught:
        site.calibrate(population(site.SMALLEST_GALLERY_PEOPLE - 1, 1), (1.0,), now=NOW)
    assert caught.value.attributes["people"] == 9


def single_rate(calibration: Calibration, fmr: float, strangers: dict[str, list[Template]]) -> float:
    """The share of comparisons of one probe with a stranger's references that match."""
    space, score = calibration.space, calibration.threshold_at(fmr).score
    probes = space.project(np.stack([own[0].values for own in strangers.values()]))
    fused = np.stack([space.fuse(np.stack([each.values for each in own])) for own in strangers.values()])
    apart = ~np.eye(len(probes), dtype=bool)
    return float(np.mean((probes @ fused.T)[apart] >= score))


def resembling(people: int, seed: int) -> dict[str, list[Template]]:
    """People of twenty kinds: the tail of their scores falls as that of real faces does (`USUAL_TAIL`)."""
    rng = np.random.default_rng(seed)
    kinds = 0.7 * np.random.default_rng(98).normal(0, 1, (20, 64))
    shared = np.random.default_rng(99).normal(0, 1.5, 64)
    own = shared + rng.standard_t(6, (people, 64)) + kinds[rng.integers(0, 20, people)]
    return {
        f"{seed}-{who:03d}": [
            Template((own[who] + rng.normal(0, 0.3, 64)).astype(np.float32), RESEMBLING) for _ in range(2)
        ]
        for who in range(people)
    }


@pytest.mark.parametrize("people", [15, 30])
def test_a_small_site_keeps_its_promise_on_average(people: int) -> None:
    strangers = resembling(200, 77)
    found = [
        single_rate(site.calibrate(resembling(people, seed), (1.0,), now=NOW), 1e-3, strangers)
        for seed in range(100, 105)
    ]
    assert 0.5e-3 < np.mean(found) < 2e-3


@pytest.mark.parametrize("count", [12, 16, 24, 39])
def test_one_more_person_moves_the_thresholds_by_little(count: int) -> None:
    people = resembling(40, 8)
    before, after = (
        site.calibrate(dict(list(people.items())[:size]), (1.0,), now=NOW).threshold_at(1e-3).score
        for size in (count, count + 1)
    )
    assert after == pytest.approx(before, abs=0.04)  # a third of the strangers' deviation


@pytest.mark.parametrize("noise", [0.5, 1.0])
def test_no_threshold_is_above_what_a_genuine_person_reaches(noise: float) -> None:
    rng = np.random.default_rng(5)
    own = rng.normal(0, 1, (12, 32))
    people = {
        f"p{who}": [
            Template((own[who] + rng.normal(0, noise, 32)).astype(np.float32), MODEL) for _ in range(3)
        ]
        for who in range(12)
    }
    made = site.calibrate(people, (1.0,), now=NOW)
    assert max(point.score for point in made.thresholds) < 1
    assert all(point.fnmr is not None and point.fnmr <= 0.8 for point in made.thresholds)


def poor_site() -> Calibration:
    """A site whose pictures are so poor that it carries no rate of 1e-3."""
    rng = np.random.default_rng(6)
    own = rng.normal(0, 1, (20, 32))
    people = {
        f"p{who}": [Template((own[who] + rng.normal(0, 1.4, 32)).astype(np.float32), MODEL) for _ in range(3)]
        for who in range(20)
    }
    return site.calibrate(people, (1.0,), now=NOW)


def test_a_site_that_cannot_carry_a_rate_offers_what_it_can_and_asks_for_a_witness() -> None:
    poor = poor_site()
    with pytest.raises(OperatingPointError):
        poor.threshold_at(1e-3)
    standing = standing_of(poor, 1e-3)
    assert standing.witness_needed
    assert 1e-3 < standing.offered_fmr < 0.5
    last, carried = threshold_or_last(poor, 1e-3, several=False)
    assert not carried
    assert last.fmr == poor.carried_fmr


def test_a_good_site_needs_no_witness(calibration: Calibration) -> None:
    standing = standing_of(calibration, 1e-3)
    assert not standing.witness_needed
    assert standing.offered_fmr == standing.asked_fmr == 1e-3
    assert standing.people == 160
    assert standing.basis == "site-model"  # of 5e-4: an attempt's single comparisons


def test_an_attempt_of_several_probes_must_reach_more(calibration: Calibration) -> None:
    single, several = calibration.threshold_at(1e-3), calibration.threshold_at(1e-3, several=True)
    assert several.score > single.score
    assert several.fmr == 1e-3
    assert several.score == pytest.approx(calibration.threshold_at(5e-4).score)


def test_few_people_leave_a_wide_interval_and_many_a_narrow_one(calibration: Calibration) -> None:
    few = site.calibrate(population(12, 1), (1.0,), now=NOW).threshold_at(1e-3)
    many = calibration.threshold_at(1e-3)
    assert few.fmr_low < few.fmr < few.fmr_high
    assert few.fmr_high / few.fmr_low > 2 * many.fmr_high / many.fmr_low


def test_pairs_of_one_sex_are_counted_and_shown_where_the_sex_is_known(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    apart = rng.normal(0, 1, 64)
    people, sexes = {}, {}
    for who, alone in enumerate(rng.normal(0, 1, (40, 64))):
        sexes[f"p{who:02d}"] = "fm"[who % 2]
        own = alone + apart * (-1) ** who
        people[f"p{who:02d}"] = [
            Template((own + rng.normal(0, 0.3, 64)).astype(np.float32), RESEMBLING) for _ in range(2)
        ]
    sexes["p00"] = ""
    made = site.calibrate(people, (1.0,), now=NOW, sexes=sexes)
    assert [(each.sex, each.people, each.pairs) for each in made.same_sex] == [("f", 19, 171), ("m", 20, 190)]
    for each in made.same_sex:
        rates = dict(each.rates)
        assert set(rates) == {point.fmr for point in made.thresholds}
        assert rates[0.01] > 0.01  # people of one sex resemble each other more
    assert load(save(tmp_path, "dlib", made)).same_sex == made.same_sex
    assert site.calibrate(people, (1.0,), now=NOW).same_sex == ()


def test_a_key_changes_nothing_but_the_space() -> None:
    people = population(14, 9)
    key = TemplateKey(b"k" * 32)
    under = {who: [transform(each, key) for each in own] for who, own in people.items()}
    plain, keyed = (site.calibrate(each, (1.0,), now=NOW) for each in (people, under))
    assert keyed.key == key.id
    for one, other in zip(plain.thresholds, keyed.thresholds, strict=True):
        assert one.score == pytest.approx(other.score, abs=1e-3)


def test_templates_under_two_keys_are_refused() -> None:
    people = population(30, 1)
    first = people["1-0"][0]
    people["1-0"][0] = Template(first.values, first.model, KeyId("other"))
    with pytest.raises(TemplateMismatchError):
        site.calibrate(people, (1.0,), now=NOW)


def test_it_is_due_at_first_and_whenever_the_gallery_has_grown_by_a_tenth(calibration: Calibration) -> None:
    assert not site.is_due(None, 9)
    assert site.is_due(None, 10)
    assert not site.is_due(calibration, 175)
    assert site.is_due(calibration, 176)


def test_a_calibration_of_a_former_release_is_still_read_and_due_at_once(
    tmp_path: Path, calibration: Calibration
) -> None:
    path = save(tmp_path, "dlib", calibration)
    content = json.loads(path.read_text())
    del content["damping"]
    content["form"] = 1
    for point in content["thresholds"]:
        del point["fnmr"]
    path.write_text(json.dumps(content))
    old = load(path)
    assert old.space.damping is None
    assert old.threshold_at(1e-3).score == calibration.threshold_at(1e-3).score
    assert site.is_due(old, 160)


def test_calibrations_are_versioned_kept_and_read_back(tmp_path: Path, calibration: Calibration) -> None:
    save(tmp_path, "dlib", calibration)
    later = site.calibrate(population(200, 1), (1.0,), now=NOW + timedelta(days=30), previous=calibration)
    path = save(tmp_path, "dlib", later)
    assert later.version == 2
    found = load(path)
    assert found.thresholds == later.thresholds
    np.testing.assert_array_equal(found.space.centre, later.space.centre)
    probe = population(1, 3)["3-0"][0].values
    np.testing.assert_array_equal(found.space.project(probe), later.space.project(probe))
    newest = latest(tmp_path, "dlib", MODEL)
    assert newest is not None
    assert newest.version == 2
    assert latest(tmp_path, "dlib", FUSED) is None
    assert latest(tmp_path, "dlib", MODEL, KeyId("k")) is None
    with pytest.raises(CalibrationError, match="exists already"):
        save(tmp_path, "dlib", later)


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"form": 2}', '{"form": 3}'])
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
