"""From a decided answer to the events that are written of it; pure."""

from dataclasses import dataclass

from renzheng.contracts import events
from renzheng.contracts.events import (
    AttendanceData,
    Outcome,
    Position,
    Presence,
    Purpose,
    SpotCheckAnswered,
    SpotCheckData,
    device_source,
)
from renzheng.contracts.ids import EventId
from renzheng.contracts.rounds import Check, Sheet
from renzheng.edge.bedside import answering
from renzheng.edge.bedside.answering import AnswerTime, Decided, SubmittedAnswer
from renzheng.edge.bedside.calls import AnswerCall, PagePosition, moment
from renzheng.edge.bedside.signing_in import SignedInInspector
from renzheng.edge.bedside.store import StoredAnswer
from renzheng.edge.device.clock import ClockReading
from renzheng.edge.look.attendance import comparison_fields


@dataclass(frozen=True, slots=True)
class AnswerRecord:
    """An answer with everything that is known of it.

    Args:
        sheet: of which round.
        check: of which patient.
        call: as the page handed it in.
        said: checked by the device.
        moment: when it was given.
        decided: what it comes to.
        before: the answer that it corrects.
        reading: the device's clock.
        inspector: who gave it.
    """

    sheet: Sheet
    check: Check
    call: AnswerCall
    said: SubmittedAnswer
    moment: AnswerTime
    decided: Decided
    before: StoredAnswer | None
    reading: ClockReading
    inspector: SignedInInspector

    @property
    def clock(self) -> events.Clock:
        """The device's clock, trusted as far as the page's and the round's hour allow."""
        trusted = self.moment.trusted and self.moment.at >= self.sheet.due_at - answering.CLOCK_SLACK
        return self.reading.as_event_clock().model_copy(update={"trusted": trusted})

    @property
    def reason(self) -> str | None:
        """Why the result is not simply what was said."""
        return None if self.decided.reason is None else str(self.decided.reason)

    @property
    def identifiers(self) -> tuple[str, ...]:
        """What named the patient."""
        return tuple(identifier.value for identifier in self.said.identifiers)


def answered_event(given: AnswerRecord, device_id: str, engine: str) -> SpotCheckAnswered:
    """Return the event of an answer.

    Args:
        given: the answer.
        device_id: whose log it goes into.
        engine: name and model of the face engine.
    """
    sheet, check, said, placed = given.sheet, given.check, given.said, given.moment
    return SpotCheckAnswered(
        source=device_source(device_id),
        time=placed.at,
        subject=check.person_id,
        data=SpotCheckData(
            institution_id=sheet.institution_id,
            clock=given.clock,
            check_id=check.check_id,
            round_id=sheet.round_id,
            visit_id=check.visit_id,
            drawn_at=sheet.drawn_at,
            due_at=sheet.due_at,
            result=given.decided.result,
            inspector_id=given.inspector.inspector_id,
            signed_in_by=given.inspector.factor,
            answer_id=given.call.answer_id,
            corrects=None if given.before is None else given.before.event_id,
            answer=given.call.choice.value,
            purpose=check.purpose,
            reason=given.reason,
            witness_id=said.witness_id,
            identifiers=given.identifiers or None,
            **comparison_fields(None if said.face is None else said.face.compared, engine),
            pad=None if said.face is None else said.face.pad,
            patient_word=given.call.patient_word,
            position=_position(given.call.position),
            page_time=placed.page_time,
            page_offset_ms=placed.offset_ms,
            received_at=placed.received_at,
        ),
    )


def presence_event(answered: SpotCheckAnswered, given: AnswerRecord, engine: str) -> Presence | None:
    """Return the presence in the middle of a session that the audit asks for, beside the answer itself.

    None where no face was compared and found, or nobody is on dialysis.
    """
    face = given.said.face
    if not given.decided.verified or given.check.purpose is not Purpose.DIALYSIS or face is None:
        return None
    return Presence(
        source=answered.source,
        time=answered.time,
        subject=answered.subject,
        data=AttendanceData(
            institution_id=answered.data.institution_id,
            clock=answered.data.clock,
            purpose=Purpose.DIALYSIS,
            outcome=Outcome.MATCH,
            pad=face.pad,
            **comparison_fields(face.compared, engine),
            identifiers=given.identifiers,
            attempts=1,
        ),
    )


def kept_of(given: AnswerRecord, event_id: EventId) -> StoredAnswer:
    """Return what the device's own store keeps of an answer."""
    return StoredAnswer(
        0,
        given.call.answer_id,
        given.check.check_id,
        event_id,
        given.call.choice.value,
        given.decided.result,
        given.reason,
        given.moment.at,
    )


def _position(position: PagePosition | None) -> Position | None:
    if position is None:
        return None
    return Position(
        latitude=position.latitude,
        longitude=position.longitude,
        accuracy_m=position.accuracy_m,
        taken_at=moment(position.taken_ms),
    )
