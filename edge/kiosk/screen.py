"""What the page is told: one frozen message a screen, and the calls it may make. Version 1."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from renzheng.contracts.events import Guardian
from renzheng.edge.kiosk import session
from renzheng.edge.kiosk.session import Cause, Identifier
from renzheng.models.liveness import light
from renzheng.models.liveness.challenge import Ability, Plan

ShortText = Annotated[str, Field(min_length=1, max_length=64)]


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ScreenPatient(_Message):
    """What may stand on the screen."""

    surname: str
    masked_number: str


class ScreenChallenge(_Message):
    """What the page has to show beside the sentence of guidance.

    Args:
        nonce: names the attempt's plan; the page names it with every colour that it has painted.
        movement: what is asked.
        colours: fills for around the oval as `#rrggbb`, one after the other; may be empty.
        step_ms: how long each stands.
    """

    nonce: ShortText
    movement: str
    colours: tuple[str, ...]
    step_ms: int


class Screen(_Message):
    """What to show now.

    Args:
        screen: which of the screens.
        guidance: code of the one sentence to show while looking.
        challenge: what is asked and shown besides, when liveness did not show by itself.
        advice: code of what to do better after a failed attempt.
        frame: the newest frame that was looked at.
        first_usable_frame: the frame that carried the first usable face of this attempt.
        first_usable_ago_ms: how long ago the agent's own camera took it, for the latency report.
        event_id: the event behind a `done`, for the latency report.
        network_away: central has not got the newest events; the patient is signed in all the same.
        disk_short: the disk is nearly full; staff should be told.
        halted: what keeps this device from delivering to central until somebody acts; staff should be told.
        problem: code of what was wrong with the QR code that was shown last.
        camera: what keeps the camera from seeing: `covered` or `frozen`; staff should be told.
        unable: why this kiosk verifies nobody although its camera sees (`Verifying`); staff should be told.
        witness_needed: by the thresholds in force hardly anybody matches, until the site has calibrated.
    """

    version: Literal[1] = 1
    screen: Literal[
        "asleep", "idle", "scan", "consent", "already", "looking", "failed", "other_way", "done", "fault"
    ]
    patient: ScreenPatient | None = None
    intent: Literal["sign_in", "sign_out"] | None = None
    identifier: str | None = None
    guidance: str | None = None
    challenge: ScreenChallenge | None = None
    advice: str | None = None
    cause: str | None = None
    tries_left: int | None = None
    warned: bool = False
    manual: bool = False
    frame: int | None = None
    first_usable_frame: int | None = None
    first_usable_ago_ms: int | None = None
    event_id: str | None = None
    network_away: bool = False
    disk_short: bool = False
    halted: str | None = None
    problem: str | None = None
    camera: str | None = None
    unable: str | None = None
    witness_needed: bool = False


_NAMES: dict[type[session.State], str] = {
    session.Idle: "idle",
    session.Scanning: "scan",
    session.Consenting: "consent",
    session.AlreadyIn: "already",
    session.Looking: "looking",
    session.Failed: "failed",
    session.OtherWay: "other_way",
    session.Done: "done",
}


def name_of(state: session.State) -> str:
    """Return the name of a state's screen."""
    return _NAMES[type(state)]


def screen_of(state: session.State, *, tries: int, **more: object) -> Screen:
    """Say a state the way the page needs it; `more` are the fields that the state does not know."""
    values: dict[str, object] = {"screen": name_of(state), **more}
    if isinstance(state, session.Scanning):
        values["warned"] = state.warned
    elif not isinstance(state, session.Idle):
        visit = state.visit
        values |= {
            "patient": ScreenPatient(
                surname=visit.patient.surname, masked_number=visit.patient.masked_number
            ),
            "intent": visit.intent.value,
            "identifier": visit.identifier.value,
            "tries_left": max(0, tries - visit.failed),
            "warned": state.warned,
        }
    match state:
        case session.Failed(advice=advice):
            values["advice"] = advice
        case session.OtherWay(cause=cause):
            values["cause"] = cause.value
        case session.Done(manual=manual):
            values["manual"] = manual
        case _:
            pass
    return Screen.model_validate(values)


def challenge_of(plan: Plan | None) -> ScreenChallenge | None:
    """Say a plan the way the page needs it."""
    if plan is None or plan.challenge is None:
        return None
    fills = tuple("#{:02x}{:02x}{:02x}".format(*light.FILLS[colour]) for colour in plan.colours)
    return ScreenChallenge(
        nonce=plan.nonce, movement=plan.challenge.value, colours=fills, step_ms=light.STEP_MS
    )


class PaintedCall(_Message):
    """The page has painted a colour of the challenge; numbered from 0."""

    nonce: ShortText
    step: Annotated[int, Field(ge=0, le=63)]


class AbilitiesCall(_Message):
    """A witness says what a patient can do when a movement is asked for; nothing at all is an answer."""

    person_id: ShortText
    abilities: frozenset[Ability]
    witness_id: ShortText
    pin: Annotated[SecretStr, Field(min_length=1, max_length=64)]


class IdentifyCall(_Message):
    """Name the patient by a card's number or by a touch on the roster."""

    card_number: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    person_id: ShortText | None = None


class ConsentCall(_Message):
    """The patient's answer to the notice."""

    given: bool


class WitnessCall(_Message):
    """A witness vouches."""

    witness_id: ShortText
    pin: Annotated[SecretStr, Field(min_length=1, max_length=64)]
    identifier: Identifier
    cause: Cause


class NetworkIdentityCall(_Message):
    """The patient who is here shows a code of the national network identity."""

    code: Annotated[SecretStr, Field(min_length=1, max_length=512)]


class OtherWayCall(_Message):
    """Ask for the other way; the page says when its camera is the cause."""

    cause: Literal["asked_for", "camera_fault"] = "asked_for"


class CameraCall(_Message):
    """The page's word about its camera."""

    state: Literal["up", "failed"]
    cause: Annotated[str, Field(pattern="^[A-Za-z_]{1,40}$")] | None = None
    label: Annotated[str, Field(max_length=200)] | None = None


class LatencyCall(_Message):
    """From the first usable face to green, as the page measured it.

    Args:
        event_id: the event behind the green screen.
        frame: the frame that carried the first usable face.
        milliseconds: from the capture of that frame to the first paint of the green screen.
    """

    event_id: ShortText
    frame: Annotated[int, Field(ge=0)]
    milliseconds: Annotated[float, Field(ge=0, le=600_000)]


class EnrolCall(_Message):
    """Begin the enrolment of a person, vouched for by a witness.

    Args:
        cannot: what the patient is not to be asked for; empty leaves what is known of them.
        guardian: who consents for a child under 14.
    """

    person_id: ShortText
    surname: Annotated[str, Field(min_length=1, max_length=40)]
    card_number: Annotated[str, Field(min_length=4, max_length=64)]
    witness_id: ShortText
    pin: Annotated[SecretStr, Field(min_length=1, max_length=64)]
    consented: bool
    cannot: frozenset[Ability] = frozenset()
    guardian: Guardian | None = None
