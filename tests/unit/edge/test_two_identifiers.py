"""WS/T 840-2025: who is signed in or found present was named by two identifiers, one unique, never by a bed.

Every way of naming somebody at the kiosk (card read or typed, code, roster) with every way of proving it
(face, a witness's look at a second identifier), and every answer at the bed.
"""

from datetime import UTC, datetime, timedelta
from itertools import combinations, product

import pytest

from renzheng.contracts.events import Outcome, Pad
from renzheng.contracts.ids import PersonId, WitnessId
from renzheng.edge.bedside import answering
from renzheng.edge.device.store.people import Patient
from renzheng.edge.kiosk import session
from renzheng.edge.kiosk.screen import IdentifyCall
from renzheng.edge.kiosk.session import Cause, Identified, Identifier, Kind, RecordAttempt, Rules, step
from renzheng.edge.look.outcomes import Matched
from renzheng.models import decision
from renzheng.models.decision import Threshold

NOW = datetime(2026, 3, 2, 1, tzinfo=UTC)
RULES = Rules(
    tries=3, idle_ms=45_000, done_ms=6_000, already=timedelta(minutes=10), open_too_long=timedelta(hours=12)
)
PATIENT = Patient(PersonId("P1"), "王某", "****2222")
THRESHOLD = Threshold(0.9, 1e-3, 1e-4, 2e-3, "card")
MATCH = Matched(decision.Match(0.95, THRESHOLD), Pad.BONA_FIDE, 600)
NAMED_BY = (Identifier.INSURANCE_CARD, Identifier.NAME_AND_NUMBER, Identifier.E_CREDENTIAL)
"""Card (read or typed), a touch on the roster, a code: `kiosk.visitors` knows no other way."""
NOT_UNIQUE = {Identifier.DATE_OF_BIRTH, Identifier.PHONE_NUMBER, Identifier.FACE}
PLACES = ("bed", "room", "ward", "seat", "machine", "station")
DONE = {Outcome.MATCH, Outcome.MANUAL, Outcome.DECLINED}


def records(state, *inputs):
    found = []
    for one in inputs:
        taken = step(state, one, 0, RULES)
        if taken is None:
            return found
        state = taken.state
        found += [effect for effect in taken.effects if isinstance(effect, RecordAttempt)]
    return found


def is_enough(record):
    different = set(record.identifiers)
    return len(different) == 2 and bool(different - NOT_UNIQUE)


@pytest.mark.parametrize("by", Identifier)
def test_no_identifier_is_a_place(by):
    assert not any(place in by.value for place in PLACES)


@pytest.mark.parametrize("by", answering.Identifier)
def test_no_identifier_at_the_bed_is_a_place(by):
    assert not any(place in by.value.replace("wristband", "") for place in PLACES)


def test_the_kiosk_is_told_a_card_or_somebody_on_the_roster_and_nothing_else():
    assert set(IdentifyCall.model_fields) - {"lang", "language"} == {"card_number", "person_id"}


@pytest.mark.parametrize("by", NAMED_BY)
def test_a_face_is_the_second_identifier_and_never_the_only_one(by):
    (record,) = records(session.IDLE, *welcome(by), session.LookEnded(MATCH))
    assert (record.kind, record.outcome) == (Kind.SIGN_IN, Outcome.MATCH)
    assert record.identifiers == (by, Identifier.FACE)
    assert is_enough(record)


@pytest.mark.parametrize(("by", "second"), list(product(NAMED_BY, Identifier)))
def test_a_witness_looks_at_another_identifier_than_the_one_that_was_shown(by, second):
    word = session.Witnessed(WitnessId("1001"), second, Cause.ASKED_FOR)
    found = records(session.IDLE, *welcome(by), session.OtherWayAsked(Cause.ASKED_FOR), word)
    signed = [one for one in found if one.outcome in DONE]
    taken = second is not by and second in session.WITNESSED_IDENTIFIERS
    assert len(signed) == taken
    assert all(is_enough(one) and one.witness_id for one in signed)


def welcome(by):
    return (Identified(PATIENT, by, None, has_reference=True, consent=True, now=NOW),)


@pytest.mark.parametrize("shown", [
    two for size in range(4) for two in combinations(answering.Identifier, size)
])  # fmt: skip
def test_at_the_bed_nobody_is_present_without_two_identifiers_of_which_one_is_unique(shown):
    wanted = len(shown) >= 2 and bool(set(shown) & answering.UNIQUE)
    assert answering.enough(shown) == wanted
    assert not answering.enough((*shown[:1], *shown[:1])), "the same twice is one"
