"""What the site learns from its own people, on real SQLite with made-up templates."""

from datetime import timedelta

import numpy as np
import pytest
from parts.edge import DAY, StandInEngine, make_settings, stepped_clock

from renzheng.contracts.log import read_entry
from renzheng.edge.kiosk.main import build_agent
from renzheng.edge.look.gallery import RESEMBLANCE_FMR
from renzheng.models.calibration import Calibration
from renzheng.models.comparison import plain_space
from renzheng.models.decision import Threshold
from renzheng.models.errors import TemplateDamagedError
from renzheng.models.templates import ModelId, Template

LENGTH = 64


class Wide(StandInEngine):
    """An engine whose templates have room for many people."""

    name = "wide"
    model = ModelId(f"wide:000000000000:{LENGTH}")
    card_calibration = Calibration(
        plain_space(model), (Threshold(0.8, 1e-4, 1e-5, 1e-3, "card"), Threshold(0.5, 0.1, 0.05, 0.2, "card"))
    )


def templates_of(number, count=2):
    """One person's templates: near each other, far from everybody else's; all lean one way."""
    random = np.random.default_rng(number)
    centre = random.normal(size=LENGTH) + 1.0
    return [
        Template((centre + random.normal(scale=0.2, size=LENGTH)).astype(np.float32), Wide.model)
        for _ in range(count)
    ]


@pytest.fixture
def agent(tmp_path):
    agent = build_agent(make_settings(tmp_path), clock=stepped_clock(), engine=Wide())
    yield agent
    agent.store.close()


def enter(agent, numbers):
    for number in numbers:
        agent.people.put_patient(f"P{number}", surname="某", card_number=f"6222{number:08d}")
        agent.enrolment.enrol(f"P{number}", templates_of(number), source="photograph")


def test_the_card_serves_until_there_are_enough_people_and_growth_calibrates_again(agent, tmp_path):
    enter(agent, range(9))
    assert agent.gallery.renew(DAY) is None
    enter(agent, range(9, 20))
    first = agent.gallery.renew(DAY)
    assert (first.version, first.people) == (1, 20)
    enter(agent, [20])
    assert agent.gallery.renew(DAY).version == 1
    enter(agent, [21])
    assert agent.gallery.renew(DAY + timedelta(days=1)).version == 2
    again = build_agent(make_settings(tmp_path), clock=stepped_clock(), engine=Wide())
    assert again.gallery.calibration.version == 2
    assert np.allclose(again.gallery.calibration.space.centre, agent.gallery.calibration.space.centre)
    again.store.close()


def test_a_face_that_is_enrolled_as_another_is_told_to_the_bureau_and_not_to_the_nurse(agent):
    enter(agent, range(5))
    agent.people.put_patient("P9", surname="某", card_number="62229999")
    agent.enrolment.enrol("P9", templates_of(3), source="live", witness_id="1001")
    event = read_entry(agent.log.lines(0, 100)[-1]).event
    assert event["data"]["resembles"] == ["P3"]
    agent.people.put_patient("P10", surname="某", card_number="62220010")
    agent.enrolment.enrol("P10", templates_of(77), source="live", witness_id="1001")
    assert "resembles" not in read_entry(agent.log.lines(0, 100)[-1]).event["data"]


def test_a_small_site_too_is_searched_for_a_face_that_is_enrolled_twice(agent):
    enter(agent, range(12))
    small = agent.gallery.renew(DAY)
    assert small.carried_fmr > RESEMBLANCE_FMR
    agent.people.put_patient("P99", surname="某", card_number="62229999")
    agent.enrolment.enrol("P99", templates_of(3), source="live", witness_id="1001")
    assert read_entry(agent.log.lines(0, 100)[-1]).event["data"]["resembles"] == ["P3"]


class Strict(Wide):
    """An engine by whose card hardly anybody passes."""

    card_calibration = Calibration(
        plain_space(Wide.model),
        (
            Threshold(0.99, 1e-4, 1e-5, 1e-3, "card", fnmr=0.9),
            Threshold(0.5, 0.1, 0.05, 0.2, "card", fnmr=0.1),
        ),
    )


def test_the_kiosk_says_that_a_witness_is_needed_until_the_site_has_calibrated(tmp_path):
    agent = build_agent(make_settings(tmp_path), clock=stepped_clock(), engine=Strict())
    assert agent.kiosk.display.screen().witness_needed
    standing = agent.gallery.standing(1e-3)
    assert (standing.basis, standing.people, standing.fnmr) == ("card", 0, 0.9)
    enter(agent, range(12))
    agent.gallery.renew(DAY)
    assert not agent.kiosk.display.screen().witness_needed
    assert agent.gallery.standing(1e-3).people == 12
    agent.store.close()


def test_references_lie_encrypted_and_bound_to_their_person(agent):
    enter(agent, [1, 2])
    (row, *_) = agent.store.rows("SELECT template FROM person_references WHERE person_id = 'P1'")
    assert templates_of(1)[0].values.tobytes() not in row["template"]
    assert agent.people.references("P1", Wide.model) == templates_of(1)
    with agent.store.writing() as database:
        database.execute("UPDATE person_references SET person_id = 'P2' WHERE person_id = 'P1'")
    with pytest.raises(TemplateDamagedError):
        agent.people.references("P2", Wide.model)
