"""Attendance events: CloudEvents 1.0 in JSON, one frozen model a type.

`parse_event` is the only way in and `Event.to_json` the only way out; both edge and central use them, so an
event that one side can write the other can read. Recorded payloads of every version stay in the tests.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

import orjson
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from renzheng.contracts.errors import InputError
from renzheng.contracts.ids import DeviceId, new_id
from renzheng.contracts.once import refuse_twice

PREFIX = "renzheng.v1."


class EventError(InputError):
    """A message is not an event of this contract."""


class Purpose(StrEnum):
    """What somebody was there for."""

    DIALYSIS = "dialysis"
    INPATIENT = "inpatient"
    REHABILITATION = "rehabilitation"
    STIMULATION = "stimulation"
    HYPERBARIC = "hyperbaric"
    IMAGING = "imaging"
    OUTPATIENT = "outpatient"
    PHARMACY = "pharmacy"


COUNTER_PURPOSES = (Purpose.OUTPATIENT, Purpose.PHARMACY)
"""Where somebody else may lawfully come for the patient."""


NETWORK_IDENTITY = "national_network_identity"
"""Among an attempt's identifiers: the national network identity service vouches, in a witness's place."""


class Outcome(StrEnum):
    """How an attempt to establish identity ended; our decision, not the truth (ISO/IEC 2382-37)."""

    MATCH = "match"
    NON_MATCH = "non_match"
    ATTACK_SUSPECTED = "attack_suspected"
    NOT_ACQUIRED = "not_acquired"
    MANUAL = "manual"
    DECLINED = "declined"


class Pad(StrEnum):
    """What presentation attack detection showed (ISO/IEC 30107-3); absent or failed is `NOT_SHOWN`."""

    BONA_FIDE = "bona_fide"
    ATTACK = "attack"
    NOT_SHOWN = "not_shown"


class CoverageState(StrEnum):
    """Whether a device could have seen someone."""

    UP = "up"
    DEGRADED = "degraded"
    DOWN = "down"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _as_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("the time lies outside the calendar once it is in UTC") from None


UtcDatetime = Annotated[AwareDatetime, AfterValidator(_as_utc)]
Text = Annotated[str, Field(min_length=1, max_length=200)]


class Clock(_Frozen):
    """What the device knew of its own clock when it recorded the event.

    Args:
        trusted: the wall clock was synchronised and had not jumped; an untrusted clock is data, not an error.
        boot_id: names the boot of the machine, within which `monotonic_ms` is comparable.
        monotonic_ms: milliseconds on the boot clock, sleep included.
    """

    trusted: bool
    boot_id: Text
    monotonic_ms: Annotated[int, Field(ge=0)]


class Data(_Frozen):
    """What every event carries."""

    institution_id: Text
    clock: Clock


class AttendanceData(Data):
    """One finished attempt to show who is there.

    Args:
        comparison_score: in the engine's unit, larger is more alike; None when nothing was compared.
        threshold: the score from which the engine calls it a match.
        false_match_rate: the rate that `threshold` stands for, in (0, 1].
        witness_id: who vouched when the outcome is `manual` or `declined`; None where the national network
            identity service did.
        reason: why the other way was taken, or why nothing was acquired; a code, not free text.
        engine: name and version of the face engine.
        identifiers: which two identifiers were used; a bed or room number never is one (WS/T 840-2025).
        decision_ms: from the first usable face to the decision, in milliseconds.
        pad_signals: what each signal behind `pad` said, as name and weight of evidence: `periodic:-2.1`.
        camera: which of the device's cameras saw it.
        direction: into the ward or out of it, where a camera at its entrance saw which.
        gallery_size: among how many people the person was looked for (1:N); `false_match_rate` times this is
            how often a stranger is taken for one of them.
    """

    purpose: Purpose
    outcome: Outcome
    pad: Pad
    comparison_score: float | None = None
    threshold: float | None = None
    false_match_rate: Annotated[float, Field(gt=0, le=1)] | None = None
    witness_id: Text | None = None
    session_id: Text | None = None
    reason: Text | None = None
    engine: Text | None = None
    identifiers: tuple[Text, ...] = ()
    attempts: Annotated[int, Field(ge=0)] = 0
    decision_ms: Annotated[int, Field(ge=0)] | None = None
    pad_signals: Annotated[tuple[Text, ...], Field(min_length=1, max_length=20)] | None = None
    camera: Text | None = None
    direction: Literal["in", "out"] | None = None
    gallery_size: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _whole(self) -> "AttendanceData":
        if self.outcome is Outcome.MATCH and (self.comparison_score is None or self.threshold is None):
            raise ValueError("a match names its comparison_score and threshold")
        witnessed = self.witness_id is not None or NETWORK_IDENTITY in self.identifiers
        if self.outcome in (Outcome.MANUAL, Outcome.DECLINED) and not witnessed:
            raise ValueError("a manual or declined attempt names its witness_id, or the network identity")
        return self


class SpotCheckResult(StrEnum):
    """The answer of a bedside check."""

    PRESENT = "present"
    ABSENT = "absent"
    AWAY_APPROVED = "away_approved"
    IDENTITY_MISMATCH = "identity_mismatch"
    REFUSED = "refused"
    UNANSWERED = "unanswered"


class Position(_Frozen):
    """Where a device said it was; a hint, no proof.

    Args:
        accuracy_m: radius within which it lies with 95 %, as the device says.
        taken_at: when the position was found.
    """

    latitude: Annotated[float, Field(ge=-90, le=90)]
    longitude: Annotated[float, Field(ge=-180, le=180)]
    accuracy_m: Annotated[float, Field(ge=0)]
    taken_at: UtcDatetime


InspectorFactor = Literal["pin", "passkey"]


class SpotCheckData(Data):
    """The answer to one drawn bedside check; of several answers to one check the last counts.

    Args:
        answer_id: names this answer over every repetition of its sending.
        corrects: event of the answer that this one takes the place of.
        answer: what the inspector chose, where it says more than `result`.
        purpose: `dialysis` for a check in a running session.
        reason: why the answer rests on something else than a face, or why it does not count; a code.
        signed_in_by: by what the inspector was signed in when the device took the answer.
        witness_id: who vouched beside the inspector.
        identifiers: which identifiers were looked at; a bed or room number never is one (WS/T 840-2025).
        comparison_score: in the engine's unit, larger is more alike; None when nothing was compared.
        patient_word: what the patient said when asked whether dialysis was given today.
        page_time: when it was answered, by the clock of the inspector's page.
        page_offset_ms: that clock minus the device's, when the answer was handed over; None when unknown.
        received_at: when the device took it over from the page.
    """

    check_id: Text
    round_id: Text
    visit_id: Text
    drawn_at: UtcDatetime
    due_at: UtcDatetime
    result: SpotCheckResult
    inspector_id: Text | None = None
    signed_in_by: InspectorFactor | None = None
    answer_id: Text | None = None
    corrects: Text | None = None
    answer: Text | None = None
    purpose: Purpose | None = None
    reason: Text | None = None
    witness_id: Text | None = None
    identifiers: Annotated[tuple[Text, ...], Field(min_length=1, max_length=8)] | None = None
    comparison_score: float | None = None
    threshold: float | None = None
    false_match_rate: Annotated[float, Field(gt=0, le=1)] | None = None
    pad: Pad | None = None
    engine: Text | None = None
    patient_word: Literal["yes", "no", "unclear"] | None = None
    position: Position | None = None
    page_time: UtcDatetime | None = None
    page_offset_ms: int | None = None
    received_at: UtcDatetime | None = None


Guardian = Literal["mother", "father", "other"]


class ConsentData(Data):
    """A consent, its refusal or its withdrawal, for one version of one notice.

    Args:
        guardian: who consents for a person under 14 (PIPL art. 31); the relation, no name.
        withdrawal_id: the withdrawal that central had told this device of; None where it was asked here.
        withdrawn_at: when it was asked, where that was elsewhere.
    """

    notice: Text
    notice_version: Text
    given: bool
    witness_id: Text | None = None
    guardian: Guardian | None = None
    withdrawal_id: Text | None = None
    withdrawn_at: UtcDatetime | None = None


class NoticeSeenData(Data):
    """A notice stood on the screen before a person was asked.

    Args:
        text_sha256: of the words, in every language, so that a version always means the same ones.
    """

    notice: Text
    notice_version: Text
    text_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class EnrolmentData(Data):
    """References of a person were captured on this device; the references themselves stay there.

    Args:
        resembles: other people enrolled on this device whose references the new ones match; for the bureau.
    """

    engine: Text
    references: Annotated[int, Field(ge=1)]
    source: Literal["live", "photograph"]
    witness_id: Text | None = None
    resembles: Annotated[tuple[Text, ...], Field(min_length=1, max_length=5)] | None = None


class CoverageData(Data):
    """A stretch in which a device could see, was degraded, or was down; half open, [from_at, to_at)."""

    purpose: Purpose
    from_at: UtcDatetime
    to_at: UtcDatetime
    state: CoverageState
    cause: Text | None = None

    @model_validator(mode="after")
    def _ordered(self) -> "CoverageData":
        if self.to_at <= self.from_at:
            raise ValueError("to_at is not after from_at")
        return self


class MachineRunData(Data):
    """One run of a treatment machine, as its own log tells it.

    Args:
        person_id: whom the log names; None where it names nobody.
        file: name of the log's file.
        offset: where in it the line begins, in bytes.
    """

    machine_id: Text
    started_at: UtcDatetime
    ended_at: UtcDatetime
    person_id: Text | None = None
    serial_number: Text | None = None
    accession_number: Text | None = None
    file: Text
    offset: Annotated[int, Field(ge=0)]

    @model_validator(mode="after")
    def _ordered(self) -> "MachineRunData":
        if self.ended_at < self.started_at:
            raise ValueError("ended_at is before started_at")
        return self


class DeviceData(Data):
    """The agent started or stopped."""

    software: Text
    reason: Text | None = None


class ClockData(Data):
    """The clock was compared, stepped or lost its source.

    Args:
        offset_ms: wall clock minus reference; positive when the device is fast; None when unknown.
    """

    change: Literal["synchronised", "lost", "jumped", "compared"]
    offset_ms: int | None = None


Relation = Literal[
    "self", "spouse", "parent", "child", "sibling", "grandparent", "grandchild", "guardian", "other"
]
"""What the buyer is to the patient."""
ProxyBasis = Literal["self", "relative", "family_account", "guardian", "not_shown"]
"""By what right somebody buys for the patient; `not_shown`: none that the clerk saw."""
CounterMethod = Literal["face", "document", "card_pin", "witness", "none"]
"""How it was established who the buyer is; `none`: it could not be told."""


class CounterData(Data):
    """Who bought at a counter, for whom and on whose account; the event's subject is the patient.

    Holder, patient and buyer may lawfully be three people: a proxy buys with the papers of both (State
    Council Decree 735 art. 17), a family account pays for relatives. It tells where the *buyer* was, never
    where the patient was.

    Args:
        purchase_id: names this purchase over every repetition of its sending.
        outcome: `match` of a face compared here, `manual` for the other ways, else what came of a look.
        source: who established it; `nhsa_terminal` is the insurer's own face terminal.
        terminal_reference: the number that the terminal gave of its own identification.
        clerk_id: who was signed in at the counter.
        witness_id: a second person who vouched; never the clerk.
        holder_id: whose account is to pay.
        buyer_id: who is at the counter; None where that could not be told.
        papers_shown: whose identity papers or cards the clerk saw.
        reason: why nothing could be told; a code, not free text.
    """

    purchase_id: Text
    purpose: Purpose
    outcome: Outcome
    pad: Pad
    method: CounterMethod
    source: Literal["counter", "clerk", "nhsa_terminal"]
    clerk_id: Text
    holder_id: Text
    buyer_id: Text | None = None
    relation: Relation
    basis: ProxyBasis
    papers_shown: Annotated[tuple[Literal["patient", "buyer"], ...], Field(max_length=2)] = ()
    witness_id: Text | None = None
    terminal_reference: Text | None = None
    comparison_score: float | None = None
    threshold: float | None = None
    false_match_rate: Annotated[float, Field(gt=0, le=1)] | None = None
    engine: Text | None = None
    reason: Text | None = None

    @model_validator(mode="after")
    def _whole(self) -> "CounterData":
        if self.outcome is Outcome.MATCH and (self.comparison_score is None or self.threshold is None):
            raise ValueError("a match names its comparison_score and threshold")
        if self.outcome in (Outcome.MATCH, Outcome.MANUAL) and (
            self.buyer_id is None or self.method == "none"
        ):
            raise ValueError("who was identified is named, with the method")
        if self.method == "witness" and self.witness_id in (None, self.clerk_id):
            raise ValueError("a witness is somebody beside the clerk")
        if (self.source == "nhsa_terminal") != (self.terminal_reference is not None):
            raise ValueError("the terminal's identification goes with its reference")
        if (self.relation == "self") != (self.basis == "self"):
            raise ValueError("who buys for themselves does so in their own right")
        return self


class PinRefusedData(Data):
    """A number and PIN, or a number and passkey, did not belong together.

    Args:
        place: where it was tried.
        witness_id: whose number it was; None for no such number, which may be a PIN in the wrong field.
        failures: how many failures the device counts at this number, this one included; 1 for a passkey.
        factor: what was tried; None for a PIN.
    """

    place: Literal["kiosk", "bedside", "counter"]
    witness_id: Text | None = None
    failures: Annotated[int, Field(ge=1)]
    factor: InspectorFactor | None = None


class KeyRotationData(Data):
    """The device signs with a new key from the entry after this one on; see `renzheng.contracts.log`.

    Args:
        new_key: the new public key (PEM).
        signed_by_old: the rotation statement in an envelope signed with the key used so far.
        signed_by_new: the same statement signed with the new key, which shows that the device holds it.
    """

    new_key: Annotated[str, Field(min_length=40, max_length=1000)]
    signed_by_old: Annotated[str, Field(min_length=1, max_length=4000)]
    signed_by_new: Annotated[str, Field(min_length=1, max_length=4000)]


class LogClosedData(Data):
    """The device joined again: the log that it had written ends, and this one goes on at central's head.

    Args:
        closed_sequence: last entry of the closed log on the device; 0 where nothing of it was left.
        closed_hash: that entry's hash (hex).
        carried: how many of its entries central may lack; they follow as `entry_carried`.
    """

    closed_sequence: Annotated[int, Field(ge=0)]
    closed_hash: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    carried: Annotated[int, Field(ge=0)]


class EntryCarriedData(Data):
    """An entry of a closed log that central may lack, as it was written.

    Args:
        sequence: its place in the closed log.
        line: its exact line.
    """

    sequence: Annotated[int, Field(ge=1)]
    line: Annotated[str, Field(min_length=1, max_length=120_000)]


class EvidenceData(Data):
    """A crop was released, encrypted to the recipient's key, for a stated purpose."""

    evidence_event_id: Text
    stated_purpose: Text
    released_to: Text


class EvidenceDeletedData(Data):
    """Crops were deleted on the device: past their retention, with a consent, or for want of space.

    Args:
        evidence_event_ids: the events whose crops are gone.
    """

    evidence_event_ids: Annotated[tuple[Text, ...], Field(min_length=1, max_length=100)]
    reason: Literal["disk_full", "retention", "consent_withdrawn"]


class _Event(_Frozen):
    """A CloudEvents 1.0 envelope; `source` names the device, `subject` the person."""

    specversion: Literal["1.0"] = "1.0"
    id: Text = Field(default_factory=new_id)
    source: Annotated[str, Field(pattern=r"^urn:renzheng:device:[A-Za-z0-9._-]{1,64}$")]
    time: UtcDatetime
    datacontenttype: Literal["application/json"] = "application/json"

    @property
    def device_id(self) -> DeviceId:
        """The device named by `source`."""
        return DeviceId(self.source.rsplit(":", 1)[-1])

    def to_json(self) -> bytes:
        """Write the event as one line of JSON with sorted keys; fields that are None are left out."""
        return orjson.dumps(self.model_dump(mode="json", exclude_none=True), option=orjson.OPT_SORT_KEYS)


class _PersonEvent(_Event):
    subject: Text


class SignIn(_PersonEvent):
    """A patient arrived, or tried to show that they did."""

    type: Literal["renzheng.v1.attendance.sign_in"] = "renzheng.v1.attendance.sign_in"
    data: AttendanceData


class SignOut(_PersonEvent):
    """A patient left."""

    type: Literal["renzheng.v1.attendance.sign_out"] = "renzheng.v1.attendance.sign_out"
    data: AttendanceData


class Presence(_PersonEvent):
    """A camera or a mid-session check showed that a patient is there."""

    type: Literal["renzheng.v1.attendance.presence"] = "renzheng.v1.attendance.presence"
    data: AttendanceData


class IdentityCheck(_PersonEvent):
    """An attempt under a patient's number that did not sign them in."""

    type: Literal["renzheng.v1.attendance.identity_check"] = "renzheng.v1.attendance.identity_check"
    data: AttendanceData


class CounterIdentification(_PersonEvent):
    """Somebody bought at a counter for the patient, or for themselves."""

    type: Literal["renzheng.v1.attendance.counter"] = "renzheng.v1.attendance.counter"
    data: CounterData


class SpotCheckAnswered(_PersonEvent):
    """A bedside check was answered."""

    type: Literal["renzheng.v1.spot_check.answered"] = "renzheng.v1.spot_check.answered"
    data: SpotCheckData


class ConsentRecorded(_PersonEvent):
    """A patient consented, or refused."""

    type: Literal["renzheng.v1.consent.recorded"] = "renzheng.v1.consent.recorded"
    data: ConsentData


class ConsentWithdrawn(_PersonEvent):
    """A patient took a consent back."""

    type: Literal["renzheng.v1.consent.withdrawn"] = "renzheng.v1.consent.withdrawn"
    data: ConsentData


class NoticeSeen(_PersonEvent):
    """A person was shown a notice; consent and refusal follow it as events of their own."""

    type: Literal["renzheng.v1.notice.seen"] = "renzheng.v1.notice.seen"
    data: NoticeSeenData


class EnrolmentCaptured(_PersonEvent):
    """References were captured."""

    type: Literal["renzheng.v1.enrolment.captured"] = "renzheng.v1.enrolment.captured"
    data: EnrolmentData


class DeviceCoverage(_Event):
    """A stretch of coverage was closed."""

    type: Literal["renzheng.v1.device.coverage"] = "renzheng.v1.device.coverage"
    data: CoverageData


class MachineRun(_Event):
    """A machine's log told of a run; the device that signs it only read it."""

    type: Literal["renzheng.v1.machine.run"] = "renzheng.v1.machine.run"
    data: MachineRunData


class DeviceStarted(_Event):
    """The agent started."""

    type: Literal["renzheng.v1.device.started"] = "renzheng.v1.device.started"
    data: DeviceData


class DeviceStopped(_Event):
    """The agent stopped on purpose, or found at its next start that it had been stopped."""

    type: Literal["renzheng.v1.device.stopped"] = "renzheng.v1.device.stopped"
    data: DeviceData


class DeviceClock(_Event):
    """The device's clock changed its standing."""

    type: Literal["renzheng.v1.device.clock"] = "renzheng.v1.device.clock"
    data: ClockData


class DevicePinRefused(_Event):
    """Somebody tried a PIN that was not right; of a flood only a part is told."""

    type: Literal["renzheng.v1.device.pin_refused"] = "renzheng.v1.device.pin_refused"
    data: PinRefusedData


class DeviceKeyRotated(_Event):
    """The device changed its signing key."""

    type: Literal["renzheng.v1.device.key_rotated"] = "renzheng.v1.device.key_rotated"
    data: KeyRotationData


class DeviceLogClosed(_Event):
    """The device joined again, and began its log anew behind what central has."""

    type: Literal["renzheng.v1.device.log_closed"] = "renzheng.v1.device.log_closed"
    data: LogClosedData


class DeviceEntryCarried(_Event):
    """An entry of a closed log is carried over."""

    type: Literal["renzheng.v1.device.entry_carried"] = "renzheng.v1.device.entry_carried"
    data: EntryCarriedData


class EvidenceReleased(_PersonEvent):
    """A crop left the device."""

    type: Literal["renzheng.v1.evidence.released"] = "renzheng.v1.evidence.released"
    data: EvidenceData


class EvidenceDeleted(_Event):
    """Crops are gone from the device."""

    type: Literal["renzheng.v1.evidence.deleted"] = "renzheng.v1.evidence.deleted"
    data: EvidenceDeletedData


Event = (
    SignIn
    | SignOut
    | Presence
    | IdentityCheck
    | CounterIdentification
    | SpotCheckAnswered
    | ConsentRecorded
    | ConsentWithdrawn
    | NoticeSeen
    | EnrolmentCaptured
    | DeviceCoverage
    | MachineRun
    | DeviceStarted
    | DeviceStopped
    | DeviceClock
    | DevicePinRefused
    | DeviceKeyRotated
    | DeviceLogClosed
    | DeviceEntryCarried
    | EvidenceReleased
    | EvidenceDeleted
)
Attendance = SignIn | SignOut | Presence | IdentityCheck

_ADAPTER: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="type")])


def device_source(device_id: str) -> str:
    """Build the `source` of a device's events."""
    return f"urn:renzheng:device:{device_id}"


def parse_event(value: bytes | str | dict[str, Any]) -> Event:
    """Read one event.

    Raises:
        EventError: it is no JSON object, or breaks the model of its type; the message names the fields,
            never their values, which may be personal.
    """
    try:
        content = orjson.dumps(value) if isinstance(value, dict) else value
        refuse_twice("event", content)
        event = _ADAPTER.validate_json(content)
        orjson.loads(content)  # as entries are read; the model takes NaN, and numbers that no double holds
    except (ValidationError, orjson.JSONEncodeError) as error:
        raise _no_event(_places(error)) from None
    except orjson.JSONDecodeError:
        raise _no_event("it holds a value that JSON cannot") from None
    if "id" not in event.model_fields_set:  # the default is for those who make an event, not who read one
        raise _no_event("id: Field required")
    return event


def _no_event(places: str) -> EventError:
    return EventError(
        f"A message is not an event of {PREFIX}*: {places}.",
        why="What cannot be read cannot be counted as evidence.",
        do="Check the sender's software version; the message is kept in quarantine.",
    )


def _places(error: ValidationError | orjson.JSONEncodeError) -> str:
    if not isinstance(error, ValidationError):
        return "it holds a value that JSON cannot"
    found = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(f"{'.'.join(map(str, item['loc'])) or 'message'}: {item['msg']}" for item in found[:5])


def utc_now() -> datetime:
    """Read the wall clock; only a process's entry point calls this, the cores take `now`."""
    return datetime.now(UTC)
