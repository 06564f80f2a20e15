"""Comparison, decision and what templates refuse."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from renzheng.models.calibration import Calibration
from renzheng.models.comparison import Space, centre_of, compare, plain_space
from renzheng.models.decision import Match, NonMatch, NotSure, Threshold, decide
from renzheng.models.errors import OperatingPointError, TemplateDamagedError, TemplateMismatchError
from renzheng.models.templates import KeyId, ModelId, Template, model_id, names

MODEL = ModelId("one:aaaaaaaaaaaa:5+two:bbbbbbbbbbbb:3")
OTHER = ModelId("one:cccccccccccc:5+two:bbbbbbbbbbbb:3")
values = arrays(np.float32, 8, elements=st.floats(-2, 2, width=32))
templates = st.lists(st.builds(Template, values, st.just(MODEL)), min_size=1, max_size=4)
spaces = st.builds(Space, st.just(MODEL), values, st.sampled_from([(0.5, 0.5), (0.3, 0.7), (1.0, 0.0)]))


def threshold(score: float, fmr: float) -> Threshold:
    return Threshold(score, fmr, fmr / 2, fmr * 2, "card")


@given(templates, templates, spaces)
def test_a_score_is_symmetric_bounded_and_blind_to_order(
    probes: list[Template], references: list[Template], space: Space
) -> None:
    score = compare(probes, references, space)
    assert -1 <= score <= 1
    assert compare(references, probes, space) == pytest.approx(score, abs=1e-5)
    assert compare(probes[::-1], references[::-1], space) == pytest.approx(score, abs=1e-4)


@given(templates, spaces)
def test_a_template_scores_highest_with_itself(several: list[Template], space: Space) -> None:
    row = space.project(several[0].values)
    assert compare(several[:1], several[:1], space) == pytest.approx(float(row @ row), abs=1e-5)
    assert compare(several, several, space) >= compare(several, several[:1], space) - 1e-4


def test_the_centre_takes_out_what_everyone_shares() -> None:
    rng = np.random.default_rng(0)
    shared = np.array([5, -4, 3, 2, 1, 3, 3, 3], dtype=np.float32)
    people = (shared + rng.normal(0, 1, (200, 8))).astype(np.float32)
    centre = centre_of(people, MODEL)
    np.testing.assert_allclose(centre, people.mean(axis=0), rtol=0.03)
    space = Space(MODEL, centre, (0.5, 0.5))
    one, other = Template(people[0], MODEL), Template(people[1], MODEL)
    assert compare([one], [other], plain_space(MODEL)) > 0.8
    assert abs(compare([one], [other], space)) < 0.8


@pytest.mark.parametrize("people", [0, 1])
def test_a_centre_takes_two_people(people: int) -> None:
    np.testing.assert_array_equal(centre_of(np.ones((people, 8), np.float32), MODEL), np.zeros(8))


def test_a_centre_that_chance_explains_is_not_subtracted() -> None:
    rng = np.random.default_rng(2)
    people = rng.normal(0, 1, (4, 8))
    people -= people.mean(axis=0) * 0.9
    assert np.abs(centre_of(people, MODEL)).max() == 0


def test_templates_of_different_models_or_keys_do_not_compare() -> None:
    plain = Template(np.ones(8, np.float32), MODEL)
    for other in (
        Template(np.ones(8, np.float32), OTHER),
        Template(np.ones(8, np.float32), MODEL, KeyId("k")),
    ):
        with pytest.raises(TemplateMismatchError):
            compare([plain], [other], plain_space(MODEL))
    with pytest.raises(TemplateMismatchError):
        compare([plain], [plain], plain_space(OTHER))


def test_a_template_refuses_another_length_and_numbers_that_are_none() -> None:
    with pytest.raises(TemplateMismatchError):
        Template(np.ones(7, np.float32), MODEL)
    with pytest.raises(TemplateDamagedError):
        Template(np.full(8, np.nan, np.float32), MODEL)
    with pytest.raises(TemplateMismatchError):
        Template(np.ones(8, np.float32), ModelId("nonsense"))


@given(values, st.sampled_from(["", "0123456789abcdef"]))
def test_a_template_survives_its_bytes(numbers: np.ndarray, key: str) -> None:
    template = Template(numbers, MODEL, KeyId(key))
    assert Template.from_bytes(template.to_bytes()) == template


@given(st.binary(max_size=80))
def test_other_bytes_are_no_template(data: bytes) -> None:
    with pytest.raises(TemplateDamagedError):
        Template.from_bytes(data)


def test_a_template_does_not_print_its_numbers() -> None:
    assert "0.123" not in repr(Template(np.full(8, 0.123, np.float32), MODEL))


def test_a_model_id_names_its_networks() -> None:
    made = model_id([("dlib-resnet", "a" * 64, 128), ("mobilefacenet", "b" * 64, 128)])
    assert made == "dlib-resnet:aaaaaaaaaaaa:128+mobilefacenet:bbbbbbbbbbbb:128"
    assert names(made) == ("dlib-resnet", "mobilefacenet")


def test_a_score_falls_in_one_of_three_zones() -> None:
    match, unsure = threshold(0.5, 1e-3), threshold(0.2, 0.1)
    assert decide(0.5, match, unsure) == Match(0.5, match)
    assert decide(0.49, match, unsure) == NotSure(0.49, match)
    assert decide(0.2, match, unsure) == NotSure(0.2, match)
    assert decide(0.19, match, unsure) == NonMatch(0.19, match)
    assert decide(0.6, match, unsure).fmr == 1e-3


CALIBRATION = Calibration(
    plain_space(MODEL), (threshold(0.2, 0.1), threshold(0.6, 1e-3), threshold(0.4, 0.01))
)


@pytest.mark.parametrize(("fmr", "score"), [(0.1, 0.2), (0.01, 0.4), (1e-3, 0.6), (10**-2.5, 0.5)])
def test_a_threshold_is_found_by_its_false_match_rate(fmr: float, score: float) -> None:
    found = CALIBRATION.threshold_at(fmr)
    assert found.score == pytest.approx(score)
    assert found.fmr == pytest.approx(fmr)
    assert found.fmr_low <= found.fmr <= found.fmr_high


@pytest.mark.parametrize("fmr", [1e-4, 0.2])
def test_a_rate_that_nothing_measured_supports_is_refused(fmr: float) -> None:
    with pytest.raises(OperatingPointError, match="outside of what was measured"):
        CALIBRATION.threshold_at(fmr)
