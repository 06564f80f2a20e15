"""The visit under way: what a look leaves behind belongs to its own attempt and to nobody else's."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from renzheng.contracts.events import Pad
from renzheng.contracts.ids import EventId, PersonId, WitnessId
from renzheng.edge.device.store.people import Patient
from renzheng.edge.errors import StoreError
from renzheng.edge.kiosk import session
from renzheng.edge.kiosk.controller import Controller
from renzheng.edge.kiosk.loop import KioskLoop
from renzheng.edge.kiosk.pages import Pages
from renzheng.edge.kiosk.session import Cause, Identifier
from renzheng.edge.kiosk.sleep_timer import SleepTimer
from renzheng.edge.look.outcomes import Matched
from renzheng.models import decision
from renzheng.models.decision import Threshold

RULES = session.Rules(
    tries=3,
    idle_ms=60_000,
    done_ms=60_000,
    already=timedelta(0),
    open_too_long=timedelta(hours=12),
)
MATCHED = Matched(decision.Match(0.95, Threshold(0.9, 1e-3, 1e-4, 2e-3, "card")), Pad.BONA_FIDE, 600)


def named(person_id, **changed):
    values = {"open_session": None, "has_reference": True, "consent": True}
    patient = Patient(PersonId(person_id), "某", "****1234")
    now = datetime(2026, 3, 2, 1, tzinfo=UTC)
    return session.Identified(patient, Identifier.INSURANCE_CARD, now=now, **(values | changed))


class Written:
    """Stands in for the log: keeps what would be written, or refuses."""

    def __init__(self):
        self.attempts = []
        self.refuses = False

    def write(self, effect, crop):
        if self.refuses:
            raise StoreError("The disk is full.")
        self.attempts.append((effect.patient.person_id, effect.kind.value, crop))
        return EventId(f"event-{len(self.attempts)}")


class NoLooks:
    """Stands in for the look under way: nobody looks, the test says how it ends."""

    blind = False

    def __init__(self):
        self.hears = None
        self.ended = 0

    async def begin(self, patient):
        """Nothing begins."""

    def end(self):
        self.ended += 1

    def clear(self):
        """Nothing was seen."""


@pytest.fixture
def written():
    return Written()


@pytest.fixture
def controller(written):
    return Controller(RULES, None, written, NoLooks(), pages=Pages(), rest=SleepTimer(0, 0), loop=KioskLoop())


def in_the_loop(controller, *steps):
    """Take inputs one after the other; a pair is a look's end with its crop."""

    async def run():
        return [
            await (controller._judge(*each) if isinstance(each, tuple) else controller.take(each))
            for each in steps
        ]

    return asyncio.run(run())


def test_a_match_is_written_with_its_own_crop(controller, written):
    in_the_loop(controller, named("P1"), (MATCHED, b"P1's face"))
    assert written.attempts == [("P1", "sign_in", b"P1's face")]
    assert isinstance(controller.state, session.Done)
    assert controller.result.event_id == "event-1"


def test_the_crop_of_a_look_that_was_broken_off_goes_with_nobody(controller, written):
    witness = session.Witnessed(WitnessId("1001"), Identifier.ID_CARD, Cause.ASKED_FOR)
    in_the_loop(
        controller,
        named("P1"),
        session.Cancelled(),
        (MATCHED, b"P1's face"),  # it ended at the same moment
        named("P2"),
        session.OtherWayAsked(),
        witness,
    )
    assert written.attempts == [("P2", "sign_in", None)]


def test_what_cannot_be_written_signs_nobody_in(controller, written):
    written.refuses = True
    in_the_loop(controller, named("P1"), (MATCHED, b"P1's face"))
    assert controller.screen_name == "fault"
    assert isinstance(controller.state, session.Idle)
    assert written.attempts == []
