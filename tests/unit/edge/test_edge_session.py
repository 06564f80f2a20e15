"""The session as tables: state, input, next state, what is recorded."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from renzheng.contracts.events import Outcome, Pad
from renzheng.contracts.ids import PersonId, SessionId, WitnessId
from renzheng.edge.device.store.people import OpenSession, Patient
from renzheng.edge.kiosk import session
from renzheng.edge.kiosk.session import (
    BeginLook,
    Cause,
    EndLook,
    Identifier,
    Intent,
    Kind,
    RecordAttempt,
    RecordConsent,
    Rules,
    step,
)
from renzheng.edge.look.outcomes import AttackSuspected, Matched, NotAcquired, NotMatched, NotShown, NotSure
from renzheng.models import decision
from renzheng.models.decision import Threshold

NOW = datetime(2026, 3, 2, 1, tzinfo=UTC)
RULES = Rules(
    tries=3,
    idle_ms=45_000,
    done_ms=6_000,
    already=timedelta(minutes=10),
    open_too_long=timedelta(hours=12),
)
PATIENT = Patient(PersonId("P1"), "王某", "****2222")
THRESHOLD = Threshold(0.9, 1e-3, 1e-4, 2e-3, "card")
MATCH = Matched(decision.Match(0.95, THRESHOLD), Pad.BONA_FIDE, 600)
STILL_MATCH = replace(MATCH, pad=Pad.NOT_SHOWN)
CHECK = Kind.IDENTITY_CHECK
NON_MATCH = NotMatched(decision.NonMatch(0.2, THRESHOLD), Pad.BONA_FIDE, 1500)
NOT_SURE = NotSure(decision.NotSure(0.85, THRESHOLD), Pad.NOT_SHOWN, 1500)
UNSHOWN = NotShown(decision.Match(0.95, THRESHOLD), 9_500, ("challenge:-1.5",))
ATTACK = AttackSuspected(decision.Match(0.95, THRESHOLD), 1200)
NOBODY = NotAcquired("step_into_view")
OPEN = OpenSession(SessionId("S1"), NOW - timedelta(hours=4))


def identified(**changed):
    named = session.Identified(
        PATIENT, Identifier.INSURANCE_CARD, None, has_reference=True, consent=True, now=NOW
    )
    return replace(named, **changed)


def looking(*, failed=0, open_session=None, **changed):
    intent = Intent.SIGN_OUT if open_session else Intent.SIGN_IN
    visit = session.Visit(
        PATIENT, Identifier.INSURANCE_CARD, intent, open_session, has_reference=True, failed=failed
    )
    return session.Looking(replace(visit, **changed), 45_000)


def split(taken):
    return taken.state, taken.effects


def other_way(**changed):
    return session.OtherWay(looking(**changed).visit, 45_000)


@pytest.mark.parametrize(
    ("named", "state", "cause"),
    [
        (identified(), session.Looking, None),
        (identified(consent=None), session.Consenting, None),
        (identified(consent=None, child=True), session.OtherWay, Cause.GUARDIAN_NEEDED),
        (identified(consent=True, child=True), session.Looking, None),
        (identified(consent=False), session.OtherWay, Cause.FACE_DECLINED),
        (identified(has_reference=False), session.OtherWay, Cause.NO_REFERENCE),
        (identified(open_session=OPEN), session.Looking, None),
        (
            identified(open_session=replace(OPEN, signed_in_at=NOW - timedelta(minutes=9))),
            session.AlreadyIn,
            None,
        ),
        (
            identified(open_session=replace(OPEN, signed_in_at=NOW - timedelta(hours=13))),
            session.OtherWay,
            Cause.PREVIOUS_SESSION_OPEN,
        ),
    ],
)
def test_whoever_is_named_is_led_on(named, state, cause):
    taken = step(session.IDLE, named, 0, RULES)
    assert isinstance(taken.state, state)
    assert getattr(taken.state, "cause", None) == cause
    looks = [effect for effect in taken.effects if isinstance(effect, BeginLook)]
    assert len(looks) == (state is session.Looking)


def test_a_session_open_too_long_ends_in_a_new_sign_in_not_in_a_made_up_sign_out():
    long_open = replace(OPEN, signed_in_at=NOW - timedelta(hours=30))
    asked = step(session.IDLE, identified(open_session=long_open), 0, RULES).state
    word = session.Witnessed(WitnessId("N1"), Identifier.ID_CARD, Cause.PREVIOUS_SESSION_OPEN)
    (record,) = step(asked, word, 1, RULES).effects
    assert (record.kind, record.outcome, record.session_id) == (Kind.SIGN_IN, Outcome.MANUAL, None)


@pytest.mark.parametrize(
    ("outcome", "failed", "state", "wanted"),
    [
        (MATCH, 0, session.Done, (Kind.SIGN_IN, Outcome.MATCH, Pad.BONA_FIDE, None)),
        (STILL_MATCH, 2, session.Done, (Kind.SIGN_IN, Outcome.MATCH, Pad.NOT_SHOWN, None)),
        (NON_MATCH, 0, session.Failed, (CHECK, Outcome.NON_MATCH, Pad.BONA_FIDE, None)),
        (NON_MATCH, 2, session.OtherWay, (CHECK, Outcome.NON_MATCH, Pad.BONA_FIDE, None)),
        (ATTACK, 0, session.Failed, (CHECK, Outcome.ATTACK_SUSPECTED, Pad.ATTACK, None)),
        (NOT_SURE, 0, session.Failed, (CHECK, Outcome.NOT_ACQUIRED, Pad.NOT_SHOWN, "not_sure")),
        (UNSHOWN, 0, session.Failed, (CHECK, Outcome.NOT_ACQUIRED, Pad.NOT_SHOWN, "liveness_not_shown")),
        (UNSHOWN, 2, session.OtherWay, (CHECK, Outcome.NOT_ACQUIRED, Pad.NOT_SHOWN, "liveness_not_shown")),
        (NOBODY, 1, session.Failed, (CHECK, Outcome.NOT_ACQUIRED, Pad.NOT_SHOWN, "step_into_view")),
    ],
)
def test_every_attempt_is_recorded_as_what_it_was(outcome, failed, state, wanted):
    taken = step(looking(failed=failed), session.LookEnded(outcome), 1_000, RULES)
    (record,) = taken.effects
    assert isinstance(taken.state, state)
    assert (record.kind, record.outcome, record.pad, record.reason) == wanted
    assert record.attempts == failed + 1
    assert len(record.identifiers) == (2 if record.kind is Kind.SIGN_IN else 1)


@pytest.mark.parametrize("outcome", [NotAcquired("too_slow"), replace(UNSHOWN, too_slow=True)])
def test_whoever_meets_a_machine_that_is_too_slow_is_sent_to_the_nurse_at_once(outcome):
    taken = step(looking(), session.LookEnded(outcome), 1_000, RULES)
    assert (taken.state.cause, taken.state.visit.failed) == (Cause.TOO_SLOW, 1)
    (record,) = taken.effects
    assert (record.kind, record.outcome, record.reason) == (CHECK, Outcome.NOT_ACQUIRED, "too_slow")
    word = session.Witnessed(WitnessId("N1"), Identifier.ID_CARD, Cause.TOO_SLOW)
    (manual,) = step(taken.state, word, 2_000, RULES).effects
    assert (manual.outcome, manual.reason) == (Outcome.MANUAL, "too_slow")


def test_what_was_not_shown_is_advised_on_and_recorded_with_its_signals():
    taken = step(looking(), session.LookEnded(UNSHOWN), 1_000, RULES)
    assert taken.state.advice == session.LIVENESS_NOT_SHOWN
    assert (taken.effects[0].signals, taken.effects[0].compared.comparison_score) == (UNSHOWN.signals, 0.95)


def test_a_sign_out_names_the_session_it_ends():
    (record,) = step(looking(open_session=OPEN), session.LookEnded(MATCH), 0, RULES).effects
    assert (record.kind, record.session_id) == (Kind.SIGN_OUT, "S1")


@pytest.mark.parametrize(
    ("state", "given", "outcome", "looks"),
    [(True, True, None, 1), (True, False, Outcome.DECLINED, 0)],
)
def test_consent_is_recorded_and_a_refusal_leads_the_other_way(state, given, outcome, looks):
    asked, shown = split(step(session.IDLE, identified(consent=None), 0, RULES))
    assert shown == (session.ShowNotice(PATIENT),), "that the notice stands there is written first"
    taken = step(asked, session.ConsentAnswered(given), 0, RULES)
    assert RecordConsent(PATIENT, given) in taken.effects
    assert sum(isinstance(effect, BeginLook) for effect in taken.effects) == looks
    if outcome:
        word = session.Witnessed(WitnessId("N1"), Identifier.ID_CARD, Cause.FACE_DECLINED)
        (record,) = step(taken.state, word, 0, RULES).effects
        assert record.outcome is outcome


def test_a_witness_signs_in_with_a_second_identifier_and_a_reason():
    word = session.Witnessed(WitnessId("N1"), Identifier.DATE_OF_BIRTH, Cause.CANNOT_LOOK)
    taken = step(other_way(failed=3), word, 0, RULES)
    assert taken.state.manual
    assert taken.effects == (
        RecordAttempt(
            kind=Kind.SIGN_IN,
            patient=PATIENT,
            outcome=Outcome.MANUAL,
            pad=Pad.NOT_SHOWN,
            identifiers=(Identifier.INSURANCE_CARD, Identifier.DATE_OF_BIRTH),
            attempts=3,
            witness_id=WitnessId("N1"),
            reason="cannot_look",
        ),
    )


@pytest.mark.parametrize(
    "identifier", [Identifier.INSURANCE_CARD, Identifier.FACE, Identifier.NAME_AND_NUMBER]
)
def test_the_same_identifier_twice_or_one_that_no_witness_can_check_does_not_count(identifier):
    word = session.Witnessed(WitnessId("N1"), identifier, Cause.ASKED_FOR)
    assert step(other_way(), word, 0, RULES) is None


STATES = {
    "consenting": session.Consenting(looking().visit, 45_000),
    "already": session.AlreadyIn(looking(open_session=OPEN).visit, 45_000),
    "looking": looking(),
    "failed": session.Failed(looking(failed=1).visit, 45_000),
    "other_way": other_way(),
}


@pytest.mark.parametrize("name", [name for name in STATES if name != "other_way"])
def test_the_other_way_can_be_asked_for_on_every_screen(name):
    taken = step(STATES[name], session.OtherWayAsked(), 0, RULES)
    assert isinstance(taken.state, session.OtherWay)
    assert (EndLook() in taken.effects) == (name == "looking")


@pytest.mark.parametrize("name", list(STATES))
def test_every_visit_can_be_broken_off_and_records_nothing_by_that(name):
    taken = step(STATES[name], session.Cancelled(), 0, RULES)
    assert taken.state == session.IDLE
    assert not any(isinstance(effect, RecordAttempt) for effect in taken.effects)


@pytest.mark.parametrize("name", [name for name in STATES if name != "looking"])
def test_a_screen_asks_before_it_clears_itself_and_one_touch_extends_it(name):
    state = STATES[name]
    assert step(state, session.Tick(), 44_999, RULES) is None
    warned = step(state, session.Tick(), 45_000, RULES).state
    assert warned.warned
    extended = step(warned, session.MoreTime(), 50_000, RULES).state
    assert (extended.warned, extended.until_ms) == (False, 95_000)
    assert step(warned, session.Tick(), 64_999, RULES) is None
    assert step(warned, session.Tick(), 65_000, RULES).state == session.IDLE


def test_the_green_screen_clears_itself_and_the_next_patient_need_not_wait_for_it():
    done = step(looking(), session.LookEnded(MATCH), 0, RULES).state
    assert step(done, session.Tick(), 5_999, RULES) is None
    assert step(done, session.Tick(), 6_000, RULES).state == session.IDLE
    assert isinstance(step(done, identified(), 100, RULES).state, session.Looking)


@pytest.mark.parametrize(
    ("state", "happened"),
    [
        (session.IDLE, session.GoOn()),
        (session.IDLE, session.Cancelled()),
        (session.IDLE, session.LookEnded(MATCH)),
        (STATES["failed"], session.LookEnded(MATCH)),
        (STATES["looking"], identified()),
        (STATES["looking"], session.ConsentAnswered(given=True)),
        (STATES["consenting"], session.GoOn()),
    ],
)
def test_what_means_nothing_now_changes_nothing(state, happened):
    assert step(state, happened, 0, RULES) is None


def test_whoever_declined_may_think_again_and_is_shown_the_notice():
    asked = step(session.IDLE, identified(consent=False), 0, RULES).state
    again = step(asked, session.GoOn(), 0, RULES).state
    assert isinstance(again, session.Consenting)
    agreed = step(again, session.ConsentAnswered(given=True), 0, RULES)
    assert isinstance(agreed.state, session.Looking)
    assert RecordConsent(PATIENT, given=True) in agreed.effects
    assert step(other_way(), session.GoOn(), 0, RULES) is None


def test_a_camera_that_fails_leads_to_the_nurse_under_that_name():
    asked = step(looking(), session.OtherWayAsked(Cause.CAMERA_FAULT), 0, RULES)
    assert asked.state.cause is Cause.CAMERA_FAULT
