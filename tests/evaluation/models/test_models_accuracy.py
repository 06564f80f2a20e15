"""Accuracy on photographs that are no part of the product; skipped without RENZHENG_TEST_FACES."""

import os
from pathlib import Path

import pytest

from renzheng.models.catalogue.cards import card
from renzheng.models.catalogue.files import installed
from renzheng.models.conversion.convert import SOURCES, ensure_converted
from renzheng.models.evaluation.acquisition import Sample, acquire_all
from renzheng.models.evaluation.run import evaluate
from renzheng.models.evaluation.sets import Photographs, read_identities


# half of the photographs are more than a thousand comparisons of strangers; the other half is long
@pytest.fixture(scope="module", params=[5, pytest.param(None, marks=pytest.mark.long)], ids=["five", "all"])
def people(request: pytest.FixtureRequest) -> Photographs:
    folder = os.environ.get("RENZHENG_TEST_FACES")
    if not folder:
        pytest.skip(
            "RENZHENG_TEST_FACES names no folder with a sub-folder a person: accuracy goes unmeasured"
        )
    for name in SOURCES:
        ensure_converted(name)
    found = read_identities(Path(folder))
    most: int | None = request.param
    if most is None:
        return found
    kept = [place for place, who in enumerate(found.person) if (found.person[:place] == who).sum() < most]
    return Photographs(tuple(found.images[place] for place in kept), found.person[kept])


@pytest.fixture(scope="module")
def by_dlib(people: Photographs) -> list[Sample]:
    """What `dlib` makes of every photograph."""
    return list(acquire_all(people.images, "dlib", thorough=True))


def test_dlib_finds_every_face_and_nineteen_in_twenty_people(
    people: Photographs, by_dlib: list[Sample]
) -> None:
    result = evaluate(people, by_dlib, "dlib")
    assert not result.failures
    assert result.rates.at_fmr[1e-2].tar.value > 0.95
    assert result.rates.at_fmr[1e-3].tar.value > 0.9


def test_more_references_help(people: Photographs, by_dlib: list[Sample]) -> None:
    one, three = (evaluate(people, by_dlib, "dlib", count).rates.at_fmr[1e-2].tar.value for count in (1, 3))
    assert three >= one


# `long`: the library's own engine is measured above, and every network runs in tests/integration/models
@pytest.mark.long
def test_two_networks_together_find_nearly_everyone(people: Photographs) -> None:
    if not all(installed(card(name)) for name in ("yunet", "mobilefacenet")):
        pytest.skip("RENZHENG_MODEL_DIR names no folder with YuNet and MobileFaceNet: fused goes unmeasured")
    samples = list(acquire_all(people.images, "fused", thorough=True))
    assert evaluate(people, samples, "fused").rates.at_fmr[1e-3].tar.value > 0.98
