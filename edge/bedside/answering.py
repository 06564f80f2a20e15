"""From what an inspector says at a bed to the result that counts; pure.

An answer that accuses must rest on more than a score and on a clock that can be trusted; what does not is
kept as *unanswered*, with its reason and with what was said. Nothing that was said is dropped.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from renzheng.contracts.events import SpotCheckResult
from renzheng.contracts.rosters import Away
from renzheng.contracts.rounds import Check, Sheet
from renzheng.edge.look.verdicts import Face, FaceVerdict

CLOCK_SLACK = timedelta(seconds=2)
"""How far an answer may lie ahead of its own receipt: rounding and the way over the network."""


class Choice(StrEnum):
    """What the inspector found at the bed."""

    PRESENT = "present"
    CANNOT_BE_ASKED = "cannot_be_asked"
    ABSENT = "absent"
    AWAY = "away"
    REFUSED = "refused"
    MISMATCH = "mismatch"


class Identifier(StrEnum):
    """What can name a patient at the bed (WS/T 840: two of them, one unique; never a bed or a room)."""

    NAME = "name"
    WRISTBAND = "wristband"
    INSURANCE_CARD = "insurance_card"
    ID_CARD = "id_card"
    E_CREDENTIAL = "e_credential"
    DATE_OF_BIRTH = "date_of_birth"


UNIQUE = frozenset(
    {Identifier.WRISTBAND, Identifier.INSURANCE_CARD, Identifier.ID_CARD, Identifier.E_CREDENTIAL}
)
NEEDED_IDENTIFIERS = 2


class Reason(StrEnum):
    """Why a witness vouches where a face should have been compared."""

    NO_REFERENCE = "no_reference"
    FACE_NOT_VERIFIED = "face_not_verified"
    ASLEEP = "asleep"
    INTENSIVE_CARE = "intensive_care"
    ISOLATION = "isolation"
    MASK = "mask"
    FACE_DECLINED = "face_declined"
    CAMERA_FAULT = "camera_fault"


CANNOT_BE_ASKED = (Reason.ASLEEP, Reason.INTENSIVE_CARE, Reason.ISOLATION)


class MismatchReason(StrEnum):
    """What shows that somebody else lies in the bed; a score is none of these."""

    OTHER_NAME_GIVEN = "other_name_given"
    OTHER_DOCUMENT = "other_document"
    STAFF_CONFIRMED = "staff_confirmed"


class ResultReason(StrEnum):
    """Why a result is not simply what was said."""

    LATE = "late"
    CLOCK_UNTRUSTED = "clock_untrusted"
    IDENTIFIERS_MISSING = "identifiers_missing"
    WITNESS_MISSING = "witness_missing"
    WITNESS_UNKNOWN = "witness_unknown"
    NO_BASIS = "no_basis"
    NOT_CONFIRMED = "not_confirmed"
    RECORDED_LEAVE = "recorded_leave"
    ORDER_PHOTOGRAPHED = "order_photographed"


@dataclass(frozen=True, slots=True)
class SubmittedAnswer:
    """One answer as it came from the page, its witness and its face already checked by the device.

    Args:
        reason: of `Reason` or `MismatchReason`, as the choice asks.
        witness_id: whose PIN was right; never the inspector's own.
        witness_refused: somebody was named, and number or PIN were not right.
        confirmed: the inspector confirmed an accusing answer on a screen of its own.
        has_photograph: a photograph of the order came with it.
    """

    choice: Choice
    identifiers: tuple[Identifier, ...] = ()
    reason: Reason | MismatchReason | None = None
    face: Face | None = None
    witness_id: str | None = None
    witness_refused: bool = False
    confirmed: bool = False
    has_photograph: bool = False


@dataclass(frozen=True, slots=True)
class AnswerTime:
    """When an answer was given, as well as it can be known.

    Args:
        at: on the device's clock, never after `received_at`.
        page_time: on the page's clock.
        offset_ms: page's clock minus the device's at the handing over; None when unknown.
        trusted: both clocks can be relied on.
    """

    at: datetime
    page_time: datetime
    received_at: datetime
    offset_ms: int | None
    trusted: bool


@dataclass(frozen=True, slots=True)
class Decided:
    """What is recorded: the result, and why it is not simply what was said; `verified` by the face."""

    result: SpotCheckResult
    reason: str | None = None
    verified: bool = False


def place(
    page_time: datetime,
    sent_at: datetime | None,
    received_at: datetime,
    *,
    tolerance: timedelta,
    device_trusted: bool,
) -> AnswerTime:
    """Carry a moment on the page's clock over to the device's.

    Args:
        page_time: when it was answered, by the page.
        sent_at: when it was handed over, by the page; the two clocks' distance is taken from it.
        received_at: the same moment on the device's clock.
        tolerance: clocks further apart than this are not trusted: whoever stepped one may have done so
            between the answer and now.
        device_trusted: the device's clock is synchronised.
    """
    if sent_at is None:
        return AnswerTime(min(page_time, received_at), page_time, received_at, None, trusted=False)
    offset = sent_at - received_at
    at = page_time - offset
    trusted = device_trusted and abs(offset) <= tolerance and at <= received_at + CLOCK_SLACK
    return AnswerTime(
        min(at, received_at), page_time, received_at, round(offset / timedelta(milliseconds=1)), trusted
    )


def decide(
    sheet: Sheet, check: Check, said: SubmittedAnswer, moment: AnswerTime, before: SpotCheckResult | None
) -> Decided:
    """Say what counts.

    Args:
        sheet: the round's sheet at this institution.
        check: one of its checks.
        said: the answer.
        moment: when it was given.
        before: the result that stands for this check so far; None when there is none.
    """
    found = _found(sheet, check, said, moment.at)
    if moment.at > sheet.closes_at:
        return Decided(before or SpotCheckResult.UNANSWERED, ResultReason.LATE)
    trusted = moment.trusted and moment.at >= sheet.due_at - CLOCK_SLACK
    if found.result in (SpotCheckResult.ABSENT, SpotCheckResult.IDENTITY_MISMATCH) and not trusted:
        return Decided(SpotCheckResult.UNANSWERED, ResultReason.CLOCK_UNTRUSTED)
    return found


def covering(sheet: Sheet, check: Check, at: datetime) -> Away | None:
    """Find an absence that was on record before the draw and covers a moment."""
    return next((away for away in check.away if away.recorded_at <= sheet.drawn_at and away.covers(at)), None)


def enough(identifiers: Sequence[Identifier]) -> bool:
    """Whether these name a patient: two, one of them unique."""
    different = set(identifiers)
    return len(different) >= NEEDED_IDENTIFIERS and bool(different & UNIQUE)


def _found(sheet: Sheet, check: Check, said: SubmittedAnswer, at: datetime) -> Decided:
    match said.choice:
        case Choice.PRESENT:
            return _present(said)
        case Choice.CANNOT_BE_ASKED:
            return _witnessed(said) if said.reason in CANNOT_BE_ASKED else _open(ResultReason.WITNESS_MISSING)
        case Choice.ABSENT | Choice.AWAY:
            return _away(sheet, check, said, at)
        case Choice.REFUSED:
            return Decided(SpotCheckResult.REFUSED)
        case Choice.MISMATCH:
            if said.confirmed and isinstance(said.reason, MismatchReason):
                return Decided(SpotCheckResult.IDENTITY_MISMATCH, said.reason)
            return _open(ResultReason.NOT_CONFIRMED)


def _present(said: SubmittedAnswer) -> Decided:
    if said.face is None or said.face.verdict is not FaceVerdict.MATCH:
        return _witnessed(said)
    if not enough(said.identifiers):
        return _open(ResultReason.IDENTIFIERS_MISSING)
    return Decided(SpotCheckResult.PRESENT, verified=True)


def _witnessed(said: SubmittedAnswer) -> Decided:
    """Take a witness's word in place of a face."""
    if said.witness_refused:
        return _open(ResultReason.WITNESS_UNKNOWN)
    if said.witness_id is None or not isinstance(said.reason, Reason):
        return _open(Reason.FACE_NOT_VERIFIED if said.face is not None else ResultReason.WITNESS_MISSING)
    if not enough(said.identifiers):
        return _open(ResultReason.IDENTIFIERS_MISSING)
    return Decided(SpotCheckResult.PRESENT, said.reason)


def _away(sheet: Sheet, check: Check, said: SubmittedAnswer, at: datetime) -> Decided:
    if covering(sheet, check, at) is not None:
        return Decided(SpotCheckResult.AWAY_APPROVED, ResultReason.RECORDED_LEAVE)
    if said.has_photograph:
        return Decided(SpotCheckResult.AWAY_APPROVED, ResultReason.ORDER_PHOTOGRAPHED)
    if said.choice is Choice.AWAY:
        return _open(ResultReason.NO_BASIS)
    return Decided(SpotCheckResult.ABSENT) if said.confirmed else _open(ResultReason.NOT_CONFIRMED)


def _open(why: Reason | ResultReason) -> Decided:
    return Decided(SpotCheckResult.UNANSWERED, why)
