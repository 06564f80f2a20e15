"""Who may be looked for, and whom a track is told to be: the list's length sets the threshold."""

from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np
import pytest

from renzheng.contracts.rosters import Inpatient, InpatientRoster
from renzheng.edge.ward.identify import (
    Divided,
    Identified,
    NotOnList,
    NotSupported,
    identify,
    wanted_fmr,
)
from renzheng.edge.ward.lists import may_look_for
from renzheng.edge.ward.shots import worth
from renzheng.models.calibration import Calibration
from renzheng.models.comparison import plain_space
from renzheng.models.decision import Threshold
from renzheng.models.quality import Quality
from renzheng.models.search import Found, Gallery
from renzheng.models.templates import ModelId, Template

LENGTH = 64
MODEL = ModelId(f"random:000000000000:{LENGTH}")
NOW = datetime(2026, 3, 2, 2, tzinfo=UTC)


def calibration_of_random_directions():
    """Thresholds of random directions, from half a million simulated cosines."""
    chance = np.random.default_rng(5)
    first = chance.normal(size=(500_000, 1))[:, 0]
    rest = chance.chisquare(LENGTH - 1, size=500_000)
    cosines = np.sort(first / np.sqrt(first**2 + rest))[::-1]
    points = [
        Threshold(float(cosines[round(fmr * len(cosines))]), fmr, fmr, fmr, "card")
        for fmr in (1e-1, 1e-2, 1e-3, 1e-4)
    ]
    return Calibration(plain_space(MODEL), tuple(points))


CALIBRATION = calibration_of_random_directions()


def random_templates(count, seed):
    return [
        Template(row.astype(np.float32), MODEL)
        for row in np.random.default_rng(seed).normal(size=(count, LENGTH))
    ]


def near(template, seed, noise=0.35):
    values = template.values + noise * np.random.default_rng(seed).normal(size=LENGTH)
    return Template(values.astype(np.float32), MODEL)


@pytest.fixture(scope="module")
def people():
    return random_templates(50, 1)


@pytest.fixture(scope="module")
def gallery(people):
    return Gallery.enrolled([(f"P{number}", [one]) for number, one in enumerate(people)], CALIBRATION)


def test_a_patient_of_the_list_is_told_with_the_lists_length(people, gallery):
    result = identify(gallery, [near(people[7], 1), near(people[7], 2)], 1e-2)
    assert isinstance(result, Identified)
    assert (result.person_id, result.gallery_size) == ("P7", 50)
    assert result.threshold.fmr == pytest.approx(1e-2 / 50)


def test_a_track_of_two_people_is_told_as_nobody(people, gallery):
    mixed = [near(people[7], number, 0.2) for number in range(3)] + [near(people[9], 9, 0.2)]
    assert isinstance(identify(gallery, mixed, 1e-2), Divided | NotOnList)
    assert not isinstance(identify(gallery, mixed, 1e-2), Identified)


def test_a_list_for_which_nothing_was_measured_is_said_to_be_too_long(people, gallery):
    result = identify(gallery, [near(people[7], 1)], 1e-4)
    assert result == NotSupported(pytest.approx(2e-6))


def test_on_an_empty_list_there_is_nobody(people):
    assert identify(Gallery.enrolled([], CALIBRATION), [people[0]], 1e-3) == NotOnList()


@pytest.mark.parametrize("length", [5, 20, 50])
def test_of_many_strangers_as_many_are_taken_for_patients_as_the_setting_says(length, people):
    """Random directions, whose distribution is known exactly: they test the sum, not a network."""
    gallery = Gallery.enrolled([(f"P{n}", [one]) for n, one in enumerate(people[:length])], CALIBRATION)
    expected, strangers = 0.02, 6_000
    taken = sum(
        isinstance(identify(gallery, [stranger], expected), Identified)
        for stranger in random_templates(strangers, 100 + length)
    )
    mean = expected * strangers
    assert abs(taken - mean) < 4 * np.sqrt(mean)


def shots_of(people, each, chance):
    """Templates (people, each, length): who somebody is lies in 16 directions, chance in all."""
    identity = np.zeros((people, 1, LENGTH))
    identity[:, 0, :16] = chance.normal(size=(people, 16))
    return (identity + 0.5 * chance.normal(size=(people, each, LENGTH))).astype(np.float32)


def test_several_shots_of_a_stranger_are_taken_for_somebody_no_more_often_than_one():
    """A site fuses to unit length, which raises strangers' scores above those of its thresholds."""
    chance = np.random.default_rng(8)
    space = replace(CALIBRATION.space, fused_at_unit_length=True)
    references = np.stack([space.fuse(one) for one in shots_of(20, 3, chance)])
    scores = np.sort((space.project(shots_of(4000, 1, chance)[:, 0]) @ references.T).ravel())[::-1]
    points = [Threshold(float(scores[int(f * len(scores))]), f, f, f, "site") for f in (1e-1, 1e-2, 1e-3)]
    gallery = Gallery([f"P{number}" for number in range(20)], references, Calibration(space, tuple(points)))
    found = {"single": 0, "fused": 0, "apart": 0}
    for values in shots_of(2000, 4, chance):
        shots = [Template(one, MODEL) for one in values]
        found["single"] += isinstance(gallery.search(shots[:1], at_fmr=1e-3), Found)
        found["fused"] += isinstance(gallery.search(shots, at_fmr=1e-3), Found)
        found["apart"] += isinstance(gallery.search(shots, at_fmr=1e-3, apart=True), Found)
    assert found["apart"] <= found["single"] < found["fused"], found
    assert found["fused"] > 2 * found["apart"], found


def test_the_wanted_rate_falls_with_the_list_s_length():
    assert wanted_fmr(1e-3, 40) == pytest.approx(2.5e-5)


def roster():
    wards = {"P1": "3", "P2": "3", "P3": "4", "P4": "3"}
    patients = [
        Inpatient(visit_id=f"v{who}", person_id=who, ward=ward, admitted_at=NOW)
        for who, ward in wards.items()
    ]
    return InpatientRoster(institution_id="H1", day=date(2026, 3, 2), made_at=NOW, patients=tuple(patients))


@pytest.mark.parametrize(("needed", "expected"), [(True, ["P1"]), (False, ["P1", "P4"])])
def test_only_the_wards_own_are_looked_for_and_never_who_refused(needed, expected):
    said = {"P1": True, "P2": False, "P3": True}
    assert may_look_for(roster(), "3", said.get, consent_needed=needed) == expected
    assert may_look_for(roster(), "5", said.get, consent_needed=False) == []


def test_a_frontal_sharp_and_large_face_is_the_best_shot():
    best = Quality(80.0, 20.0, 120.0, 0.0, 0.0, 0.0, 1.0)
    turned = Quality(80.0, 20.0, 120.0, 0.0, 0.5, 0.0, 1.0)
    small = Quality(32.0, 20.0, 120.0, 0.0, 0.0, 0.0, 1.0)
    blurred = Quality(80.0, 7.0, 120.0, 0.0, 0.0, 0.0, 1.0)
    assert worth(best) > max(map(worth, (turned, small, blurred)))
