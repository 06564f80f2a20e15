"""1:N search against the obvious way of doing it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from renzheng.models.calibration import Calibration
from renzheng.models.comparison import plain_space
from renzheng.models.decision import Threshold
from renzheng.models.errors import OperatingPointError, TemplateMismatchError
from renzheng.models.search import Found, Gallery, NotInGallery, top
from renzheng.models.templates import KeyId, ModelId, Template

MODEL = ModelId("dlib-resnet:aaaaaaaaaaaa:8")
POINTS = (Threshold(0.5, 0.1, 0.05, 0.2, "card"), Threshold(0.9, 1e-3, 5e-4, 2e-3, "card"))
CALIBRATION = Calibration(plain_space(MODEL), POINTS)


def template(seed: int, key: str = "") -> Template:
    return Template(np.random.default_rng(seed).normal(0, 1, 8).astype(np.float32), MODEL, KeyId(key))


@given(
    arrays(np.float32, st.tuples(st.integers(0, 60), st.just(4)), elements=st.integers(-3, 3).map(float)),
    arrays(np.float32, 4, elements=st.integers(-3, 3).map(float)),
    st.integers(-12, 12),
    st.integers(1, 8),
)
def test_the_top_equals_brute_force(rows: np.ndarray, probe: np.ndarray, smallest: int, most: int) -> None:
    """Whole numbers, so that many scores tie."""
    indices, scores = top(rows, probe, smallest, most)
    listed = [(float(row @ probe), index) for index, row in enumerate(rows)]
    wanted = sorted([each for each in listed if each[0] >= smallest], key=lambda each: (-each[0], each[1]))[
        :most
    ]
    assert [(float(score), int(index)) for index, score in zip(indices, scores, strict=True)] == wanted


def test_the_right_person_comes_first_with_what_a_hit_is_worth() -> None:
    gallery = Gallery.enrolled([(f"p{seed}", [template(seed)]) for seed in range(200)], CALIBRATION)
    found = gallery.search([template(17)], at_fmr=1e-3)
    assert isinstance(found, Found)
    assert found.candidates[0].person_id == "p17"
    assert found.candidates[0].comparison_score == pytest.approx(1)
    assert found.gallery_size == 200
    assert found.expected_false_matches == pytest.approx(0.2)


def test_nobody_here_is_an_answer() -> None:
    gallery = Gallery.enrolled([("p1", [template(1)])], CALIBRATION)
    opposite = Template(-template(1).values, MODEL)
    assert gallery.search([opposite], at_fmr=1e-3) == NotInGallery(POINTS[1], 1, pytest.approx(1e-3))


def test_an_empty_gallery_holds_nobody() -> None:
    assert Gallery.enrolled([], CALIBRATION).search([template(1)], at_fmr=1e-3) == NotInGallery(
        POINTS[1], 0, 0
    )


def test_several_references_and_probes_are_fused() -> None:
    rng = np.random.default_rng(3)
    noisy = [
        Template(template(1).values + rng.normal(0, 0.6, 8).astype(np.float32), MODEL) for _ in range(12)
    ]
    alone = Gallery.enrolled([("p1", noisy[:1])], CALIBRATION).search(noisy[6:7], at_fmr=0.1)
    fused = Gallery.enrolled([("p1", noisy[:6])], CALIBRATION).search(noisy[6:], at_fmr=0.1)
    assert isinstance(alone, Found)
    assert isinstance(fused, Found)
    assert fused.candidates[0].comparison_score > alone.candidates[0].comparison_score


def test_other_models_keys_and_no_probe_are_refused() -> None:
    gallery = Gallery.enrolled([("p1", [template(1)])], CALIBRATION)
    with pytest.raises(OperatingPointError):
        gallery.search([], at_fmr=1e-3)
    with pytest.raises(TemplateMismatchError):
        gallery.search([Template(np.ones(8, np.float32), ModelId("x:cccccccccccc:8"))], at_fmr=1e-3)
    with pytest.raises(TemplateMismatchError):
        Gallery.enrolled([("p1", [template(1), template(1, "k")])], CALIBRATION)
    of_site = Calibration(plain_space(MODEL), POINTS, key=KeyId("k"), version=1)
    with pytest.raises(TemplateMismatchError, match="under key none"):
        Gallery.enrolled([("p1", [template(1)])], of_site)
