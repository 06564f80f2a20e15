r"""One visit to the kiosk as a state machine; pure: `now_ms` is an argument, effects are values.

    idle (-> scanning) -> (consent) -> looking -> failed -> looking ... -> done
                              \-> the other way: a witness and a reason -> done

Every state but `Idle` and `Scanning` names a patient. The other way can be asked for in all that do. An
attempt that does not sign the patient in is recorded all the same. The screen turns green only after the
caller has carried out the `Record` effects: it shows the new state when they are on disk.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from renzheng.contracts.events import NETWORK_IDENTITY, Outcome, Pad
from renzheng.contracts.ids import SessionId, WitnessId
from renzheng.edge.device.store.people import OpenSession, Patient
from renzheng.edge.look.attempt import TOO_SLOW
from renzheng.edge.look.outcomes import (
    AttackSuspected,
    LookOutcome,
    Matched,
    NotAcquired,
    NotMatched,
    NotShown,
    NotSure,
)
from renzheng.models.decision import Compared

WARNING_MS = 20_000
"""How long "do you need more time?" stands before the screen is cleared (WCAG 2.2, 2.2.1: at least 20 s)."""

LIVENESS_NOT_SHOWN = "liveness_not_shown"
"""Reason and advice of an attempt that matched, but showed nothing living: no accusation, another try."""


class Intent(StrEnum):
    """What the visit is for."""

    SIGN_IN = "sign_in"
    SIGN_OUT = "sign_out"


class Identifier(StrEnum):
    """What can name a patient (WS/T 840: two of them, one unique; never a bed or a room)."""

    INSURANCE_CARD = "insurance_card"
    NAME_AND_NUMBER = "name_and_masked_number"
    FACE = "face"
    ID_CARD = "id_card"
    E_CREDENTIAL = "e_credential"
    DATE_OF_BIRTH = "date_of_birth"
    PHONE_NUMBER = "phone_number"
    NETWORK_IDENTITY = NETWORK_IDENTITY


WITNESSED_IDENTIFIERS = (
    Identifier.ID_CARD,
    Identifier.INSURANCE_CARD,
    Identifier.E_CREDENTIAL,
    Identifier.DATE_OF_BIRTH,
    Identifier.PHONE_NUMBER,
)


class Cause(StrEnum):
    """Why the other way is taken; the witness picks one, the machine proposes."""

    TRIES_USED = "tries_used"
    ASKED_FOR = "asked_for"
    CANNOT_LOOK = "cannot_look"
    FACE_CHANGED = "face_changed"
    NO_REFERENCE = "no_reference"
    ENROL_AGAIN = "enrol_again"
    CAMERA_FAULT = "camera_fault"
    TOO_SLOW = "too_slow"
    FACE_DECLINED = "face_declined"
    PREVIOUS_SESSION_OPEN = "previous_session_open"
    GUARDIAN_NEEDED = "guardian_needed"


WITNESSED_CAUSES = (
    Cause.ASKED_FOR,
    Cause.CANNOT_LOOK,
    Cause.FACE_CHANGED,
    Cause.CAMERA_FAULT,
    Cause.FACE_DECLINED,
)
"""What a witness may pick; what the machine proposes may be picked as well."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a visit keeps to, in milliseconds and counts; see `KioskSettings`."""

    tries: int
    idle_ms: int
    done_ms: int
    already: timedelta
    open_too_long: timedelta


@dataclass(frozen=True, slots=True)
class Visit:
    """Who is here, for what, and how it went so far.

    Args:
        patient: who was named.
        identifier: by what.
        intent: sign in, or sign out of `open_session`.
        open_session: the session that is open, if any.
        has_reference: a face can be compared at all.
        enrol_again: there are references, but of another face engine only.
        failed: attempts that did not succeed.
        face_declined: the patient does not want their face to be used.
    """

    patient: Patient
    identifier: Identifier
    intent: Intent
    open_session: OpenSession | None
    has_reference: bool
    failed: int = 0
    face_declined: bool = False
    enrol_again: bool = False


@dataclass(frozen=True, slots=True)
class Idle:
    """Nobody is here."""


@dataclass(frozen=True, slots=True)
class _Present:
    """Somebody is here; `until_ms` is when the screen asks, `warned` that it has asked."""

    visit: Visit
    until_ms: int
    warned: bool = False


@dataclass(frozen=True, slots=True)
class Consenting(_Present):
    """The notice stands on the screen: agree, or take the other way."""


@dataclass(frozen=True, slots=True)
class AlreadyIn(_Present):
    """Signed in a moment ago: is a sign-out really meant?"""


@dataclass(frozen=True, slots=True)
class Looking(_Present):
    """The camera runs; an attempt is under way."""


@dataclass(frozen=True, slots=True)
class Failed(_Present):
    """The attempt did not succeed; `advice` says what to do better."""

    advice: str = "try_again"


@dataclass(frozen=True, slots=True)
class OtherWay(_Present):
    """A witness is asked for; `cause` is what the machine proposes as the reason."""

    cause: Cause = Cause.ASKED_FOR


@dataclass(frozen=True, slots=True)
class Done(_Present):
    """It is recorded; `pad` tells the page nothing, the audit everything."""

    manual: bool = False


@dataclass(frozen=True, slots=True)
class Scanning:
    """Nobody is named yet: the camera looks for the QR code of an e-credential, and for nothing else."""

    until_ms: int
    warned: bool = False


State = Idle | Scanning | Consenting | AlreadyIn | Looking | Failed | OtherWay | Done
IDLE = Idle()


@dataclass(frozen=True, slots=True)
class Identified:
    """A patient was named.

    Args:
        consent: what the patient said to the present notice; None when never asked.
        now: wall clock, to tell how long a session has been open.
        enrol_again: see `Visit`.
        child: the patient is under 14, and so does not consent alone.
    """

    patient: Patient
    identifier: Identifier
    open_session: OpenSession | None
    has_reference: bool
    consent: bool | None
    now: datetime
    enrol_again: bool = False
    child: bool = False


@dataclass(frozen=True, slots=True)
class ScanAsked:
    """Somebody wants to show the QR code of their e-credential."""


@dataclass(frozen=True, slots=True)
class ConsentAnswered:
    """The patient answered the notice."""

    given: bool


@dataclass(frozen=True, slots=True)
class GoOn:
    """Sign out after all; try again; or, after declining, read the notice again."""


@dataclass(frozen=True, slots=True)
class LookEnded:
    """The attempt under way has ended."""

    outcome: LookOutcome


@dataclass(frozen=True, slots=True)
class OtherWayAsked:
    """Somebody touched the button for the other way, or the page found that its camera fails."""

    cause: Cause = Cause.ASKED_FOR


@dataclass(frozen=True, slots=True)
class Witnessed:
    """A witness, checked by the caller, vouches with a second identifier and a reason."""

    witness_id: WitnessId
    identifier: Identifier
    cause: Cause


@dataclass(frozen=True, slots=True)
class NetworkIdentityShown:
    """The national network identity service, asked by the caller, has said whose code it is."""

    person_id: str


@dataclass(frozen=True, slots=True)
class MoreTime:
    """Somebody is still here."""


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The visit is broken off."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


Input = (
    Identified
    | ScanAsked
    | ConsentAnswered
    | GoOn
    | LookEnded
    | OtherWayAsked
    | Witnessed
    | NetworkIdentityShown
    | MoreTime
    | Cancelled
    | Tick
)


class Kind(StrEnum):
    """Which event an attempt becomes."""

    SIGN_IN = "sign_in"
    SIGN_OUT = "sign_out"
    IDENTITY_CHECK = "identity_check"


@dataclass(frozen=True, slots=True)
class RecordAttempt:
    """Write an attendance event, durably, before the new state is shown.

    Args:
        session_id: the open session at a sign-out; at a sign-in the caller makes a new one.
    """

    kind: Kind
    patient: Patient
    outcome: Outcome
    pad: Pad
    identifiers: tuple[Identifier, ...]
    attempts: int
    compared: Compared | None = None
    decision_ms: int | None = None
    witness_id: WitnessId | None = None
    reason: str | None = None
    session_id: SessionId | None = None
    signals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RecordConsent:
    """Write a consent or a refusal, durably."""

    patient: Patient
    given: bool


@dataclass(frozen=True, slots=True)
class ShowNotice:
    """The notice stands before a patient: write it, durably, before it is shown."""

    patient: Patient


@dataclass(frozen=True, slots=True)
class BeginLook:
    """Begin a new attempt for this visit."""

    visit: Visit


@dataclass(frozen=True, slots=True)
class EndLook:
    """Let go of an attempt that is no longer wanted."""


Effect = RecordAttempt | RecordConsent | ShowNotice | BeginLook | EndLook


@dataclass(frozen=True, slots=True)
class Step:
    """The new state, and what the caller must do before it shows it."""

    state: State
    effects: tuple[Effect, ...] = ()


def step(  # noqa: C901, PLR0911, PLR0912 - the table of transitions, one a line, is read in one piece
    state: State, happened: Input, now_ms: int, rules: Rules
) -> Step | None:
    """Take one input.

    Returns:
        The next state and its effects, or None when the input means nothing in this state.
    """
    match state, happened:
        case Idle() | Scanning() | Done(), Identified():
            return _welcome(happened, now_ms, rules)
        case Idle(), ScanAsked():
            return Step(Scanning(now_ms + rules.idle_ms))
        case (Idle(), _):
            return None
        case (_, Tick()):
            return _tick(state, now_ms)
        case (_, Cancelled()):
            return Step(IDLE, _end_of(state))
        case (Done(), _):
            return None
        case (_, MoreTime()):
            return Step(replace(state, until_ms=now_ms + rules.idle_ms, warned=False))
        case (_, OtherWayAsked(cause)):
            return _ask_witness(state, cause, now_ms, rules)
        case Consenting(visit), ConsentAnswered(given):
            return _consent(visit, given=given, now_ms=now_ms, rules=rules)
        case (AlreadyIn(visit) | Failed(visit), GoOn()):
            return _towards_look(visit, now_ms, rules)
        case Looking(visit), LookEnded(outcome):
            return _judge(visit, outcome, now_ms, rules)
        case OtherWay(visit), GoOn() if visit.face_declined:
            return Step(Consenting(replace(visit, face_declined=False), now_ms + rules.idle_ms))
        case OtherWay(visit), Witnessed():
            return _vouch(visit, happened, now_ms, rules)
        case OtherWay(visit), NetworkIdentityShown(person_id) if person_id == visit.patient.person_id:
            return _identified(state, now_ms, rules)
        case _:
            return None


def _welcome(named: Identified, now_ms: int, rules: Rules) -> Step:
    session = named.open_session
    intent = Intent.SIGN_IN if session is None else Intent.SIGN_OUT
    visit = Visit(
        named.patient,
        named.identifier,
        intent,
        session,
        named.has_reference,
        enrol_again=named.enrol_again,
    )
    until = now_ms + rules.idle_ms
    if named.consent is False:
        return Step(OtherWay(replace(visit, face_declined=True), until, cause=Cause.FACE_DECLINED))
    if session is not None:
        age = named.now - session.signed_in_at
        if age > rules.open_too_long:
            fresh = replace(visit, intent=Intent.SIGN_IN)
            return Step(OtherWay(fresh, until, cause=Cause.PREVIOUS_SESSION_OPEN))
        if age < rules.already:
            return Step(AlreadyIn(visit, until))
    if named.consent is None and named.child:
        return Step(OtherWay(visit, until, cause=Cause.GUARDIAN_NEEDED))
    if named.consent is None:
        return Step(Consenting(visit, until), (ShowNotice(visit.patient),))
    return _towards_look(visit, now_ms, rules)


def _towards_look(visit: Visit, now_ms: int, rules: Rules) -> Step:
    until = now_ms + rules.idle_ms
    if not visit.has_reference:
        cause = Cause.ENROL_AGAIN if visit.enrol_again else Cause.NO_REFERENCE
        return Step(OtherWay(visit, until, cause=cause))
    return Step(Looking(visit, until), (BeginLook(visit),))


def _consent(visit: Visit, *, given: bool, now_ms: int, rules: Rules) -> Step:
    said = RecordConsent(visit.patient, given)
    if not given:
        declined = replace(visit, face_declined=True)
        return Step(OtherWay(declined, now_ms + rules.idle_ms, cause=Cause.FACE_DECLINED), (said,))
    onward = _towards_look(visit, now_ms, rules)
    return Step(onward.state, (said, *onward.effects))


def _judge(visit: Visit, outcome: LookOutcome, now_ms: int, rules: Rules) -> Step:
    if isinstance(outcome, Matched):
        record = RecordAttempt(
            kind=Kind(visit.intent.value),
            patient=visit.patient,
            outcome=Outcome.MATCH,
            pad=outcome.pad,
            identifiers=(visit.identifier, Identifier.FACE),
            attempts=visit.failed + 1,
            compared=outcome.compared,
            decision_ms=outcome.decision_ms,
            session_id=_session_to_end(visit),
            signals=outcome.signals,
        )
        return Step(Done(visit, now_ms + rules.done_ms), (record,))
    tried = replace(visit, failed=visit.failed + 1)
    record = _failed_attempt(tried, outcome)
    until = now_ms + rules.idle_ms
    if record.reason == TOO_SLOW:  # another try on the same machine would only take the patient's time
        return Step(OtherWay(tried, until, cause=Cause.TOO_SLOW), (record,))
    if tried.failed >= rules.tries:
        return Step(OtherWay(tried, until, cause=Cause.TRIES_USED), (record,))
    advice = _advice(outcome)
    return Step(Failed(tried, until, advice=advice), (record,))


def _advice(outcome: LookOutcome) -> str:
    if isinstance(outcome, NotAcquired):
        return outcome.reason
    return LIVENESS_NOT_SHOWN if isinstance(outcome, NotShown) else "try_again"


def _failed_attempt(tried: Visit, outcome: LookOutcome) -> RecordAttempt:
    failed = RecordAttempt(
        kind=Kind.IDENTITY_CHECK,
        patient=tried.patient,
        outcome=Outcome.NOT_ACQUIRED,
        pad=Pad.NOT_SHOWN,
        identifiers=(tried.identifier,),
        attempts=tried.failed,
    )
    match outcome:
        case NotAcquired(reason):
            return replace(failed, reason=reason)
        case AttackSuspected(compared, decision_ms):
            named = replace(failed, outcome=Outcome.ATTACK_SUSPECTED, pad=Pad.ATTACK)
        case NotShown(compared, decision_ms, too_slow=too_slow):
            named = replace(failed, reason=TOO_SLOW if too_slow else LIVENESS_NOT_SHOWN)
        case NotMatched(compared, pad, decision_ms):
            named = replace(failed, outcome=Outcome.NON_MATCH, pad=pad)
        case NotSure(compared, pad, decision_ms) | Matched(compared, pad, decision_ms):
            # Neither answer would be honest, so no identity was acquired; the score says how near it came.
            named = replace(failed, pad=pad, reason="not_sure")
    return replace(named, compared=compared, decision_ms=decision_ms, signals=outcome.signals)


def _ask_witness(state: State, cause: Cause, now_ms: int, rules: Rules) -> Step | None:
    if isinstance(state, Idle | Scanning | Done | OtherWay):
        return None
    visit = state.visit
    declined = isinstance(state, Consenting)
    asked = OtherWay(
        replace(visit, face_declined=declined),
        now_ms + rules.idle_ms,
        cause=Cause.FACE_DECLINED if declined else cause,
    )
    return Step(asked, _end_of(state))


def _vouch(visit: Visit, word: Witnessed, now_ms: int, rules: Rules) -> Step | None:
    if word.identifier is visit.identifier or word.identifier not in WITNESSED_IDENTIFIERS:
        return None
    record = replace(_other_way(visit, word.identifier, word.cause), witness_id=word.witness_id)
    return Step(Done(visit, now_ms + rules.done_ms, manual=True), (record,))


def _identified(asked: OtherWay, now_ms: int, rules: Rules) -> Step:
    record = _other_way(asked.visit, Identifier.NETWORK_IDENTITY, asked.cause)
    return Step(Done(asked.visit, now_ms + rules.done_ms, manual=True), (record,))


def _other_way(visit: Visit, second: Identifier, cause: Cause) -> RecordAttempt:
    declined = visit.face_declined or cause is Cause.FACE_DECLINED
    return RecordAttempt(
        kind=Kind(visit.intent.value),
        patient=visit.patient,
        outcome=Outcome.DECLINED if declined else Outcome.MANUAL,
        pad=Pad.NOT_SHOWN,
        identifiers=(visit.identifier, second),
        attempts=visit.failed,
        reason=cause.value,
        session_id=_session_to_end(visit),
    )


def _tick(state: State, now_ms: int) -> Step | None:
    if isinstance(state, Idle) or now_ms < state.until_ms:
        return None
    if isinstance(state, Looking):
        return None  # the attempt has its own end
    if isinstance(state, Done) or state.warned:
        return Step(IDLE, _end_of(state))
    return Step(replace(state, until_ms=now_ms + WARNING_MS, warned=True))


def _end_of(state: State) -> tuple[Effect, ...]:
    return (EndLook(),) if isinstance(state, Looking) else ()


def _session_to_end(visit: Visit) -> SessionId | None:
    leaving = visit.intent is Intent.SIGN_OUT and visit.open_session is not None
    return visit.open_session.session_id if leaving and visit.open_session else None
