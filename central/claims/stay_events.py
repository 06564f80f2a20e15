"""What messages tell of a stay, in any order, and the stay and leaves that follow from all of them.

NHSA admissions, HL7 ADT messages and FHIR encounters become `StayEvent`s; `fold` replays those of one visit
in the order in which the hospital recorded them. It is pure: the same events give the same stay, in whatever
order they came.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from renzheng.central.claims.rejects import Place, Problem, Reason, Remark
from renzheng.central.claims.rows import Draft


class StayEventKind(StrEnum):
    """What happened to a stay."""

    ADMIT = "admit"
    TRANSFER = "transfer"
    DISCHARGE = "discharge"
    AMEND = "amend"
    SNAPSHOT = "snapshot"
    """The whole stay as it stands, which replaces what was known."""
    CANCEL_ADMIT = "cancel_admit"
    CANCEL_TRANSFER = "cancel_transfer"
    CANCEL_DISCHARGE = "cancel_discharge"
    LEAVE = "leave"
    RETURN = "return"
    CANCEL_LEAVE = "cancel_leave"
    SUMMARY = "summary"
    """A settlement's word on admission and discharge; it fills what nothing else tells."""


@dataclass(frozen=True, slots=True)
class StayEvent:
    """One message about one stay; empty fields are not told.

    Args:
        place: where it stood.
        kind: what happened.
        institution_id: where.
        visit_id: of which stay.
        person_id: of whom.
        at: when it happened, aware UTC.
        recorded_at: when the hospital recorded it: the order of replay.
        message_id: of the message; a second one with the same id is passed over.
        admitted_at: the admission, as any message may repeat it.
        discharged_at: likewise the discharge.
        due_back_at: the expected end of a leave.
        leave_kind: leave, examination or transfer.
        approved_by: who approved a leave.
    """

    place: Place
    kind: StayEventKind
    institution_id: str
    visit_id: str
    person_id: str
    at: datetime
    recorded_at: datetime
    message_id: str | None = None
    admitted_at: datetime | None = None
    discharged_at: datetime | None = None
    department: str | None = None
    ward: str | None = None
    bed: str | None = None
    due_back_at: datetime | None = None
    leave_kind: str | None = None
    approved_by: str | None = None


@dataclass(frozen=True, slots=True)
class VisitFact:
    """What a registration says of the lines of a visit: where they belong that do not say so themselves."""

    place: Place
    institution_id: str
    visit_id: str
    department: str | None = None
    doctor_id: str | None = None


@dataclass(frozen=True, slots=True)
class Settlement:
    """Which lines of a visit were settled together, and what the fund paid of them.

    Args:
        batch: the charging batch that it is about; None: all of the visit.
        from_at: its lines are not before; None: any.
        to_at: its lines are before; None: any.
        total: the whole amount.
        fund: what the fund paid of it.
        sent_at: when the message was sent.
        message_id: of the message, by which a reversal may name it.
    """

    place: Place
    institution_id: str
    visit_id: str
    settlement_id: str
    batch: str | None = None
    from_at: datetime | None = None
    to_at: datetime | None = None
    total: Decimal | None = None
    fund: Decimal | None = None
    sent_at: datetime | None = None
    message_id: str | None = None


@dataclass(frozen=True, slots=True)
class SettlementCancellation:
    """A settlement taken back, named by its number or by its message."""

    place: Place
    institution_id: str
    settlement_id: str | None = None
    message_id: str | None = None


@dataclass(frozen=True, slots=True)
class LineCode:
    """The traceability code of a line, told by its settlement."""

    place: Place
    institution_id: str
    line_id: str
    code: str
    settlement_id: str


@dataclass(frozen=True, slots=True)
class LineCancellation:
    """A fee upload taken back before it was settled: one line, one batch, or all of a visit.

    Args:
        line_id: the line; None: all that `batch` names.
        batch: the charging batch; None with no `line_id`: every line of the visit that is not settled yet.
        sent_at: when the message was sent.
    """

    place: Place
    institution_id: str
    visit_id: str
    line_id: str | None = None
    batch: str | None = None
    sent_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class LineUpload:
    """How a line came: in which charging batch, which a cancellation or a settlement may name, and when."""

    place: Place
    institution_id: str
    line_id: str
    batch: str | None = None
    sent_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Folded:
    """What follows from the events of one visit."""

    drafts: tuple[Draft, ...]
    remarks: tuple[Remark, ...]


_Location = tuple[str | None, str | None, str | None]


@dataclass(slots=True)
class _Stay:
    """A stay being replayed."""

    admitted: StayEvent | None = None
    admitted_at: datetime | None = None
    discharged_at: datetime | None = None
    cancelled: bool = False
    person_id: str | None = None
    location: _Location = (None, None, None)
    before: list[_Location] = field(default_factory=list)
    leaves: list[tuple[StayEvent, datetime | None]] = field(default_factory=list)
    told_admission: datetime | None = None
    told_discharge: datetime | None = None


def fold(events: Iterable[StayEvent]) -> Folded:
    """Replay the events of one visit.

    Amendments are replayed last, for they need not carry a time of their own. A bed move keeps
    the current bed; a cancellation undoes the last event of its kind; one that undoes nothing is a warning.
    Without an admission, neither as a message nor told by another, there is no stay, and one remark says so.
    """
    stay = _Stay()
    remarks: list[Remark] = []
    seen: set[str] = set()
    ordered = sorted(events, key=_turn)
    for event in ordered:
        if event.message_id is not None and event.message_id in seen:
            remarks.append(_remark(event, Reason.DUPLICATE, event.message_id))
            continue
        if event.message_id is not None:
            seen.add(event.message_id)
        reason = _REPLAY[event.kind](stay, event)
        if reason is not None:
            remarks.append(_remark(event, reason, event.kind.value))
        stay.told_admission = event.admitted_at or stay.told_admission
    leaves = [_leave(*leave) for leave in stay.leaves]
    if stay.cancelled or not ordered:
        return Folded((), tuple(remarks))
    admitted_at = stay.admitted_at or stay.told_admission
    if admitted_at is None:
        remarks.append(_remark(ordered[0], Reason.NO_ADMISSION, ordered[0].visit_id))
        return Folded(tuple(leaves), tuple(remarks))
    return Folded((_draft(stay, ordered, admitted_at), *leaves), tuple(remarks))


def _turn(event: StayEvent) -> tuple[bool, datetime, bool, datetime]:
    """Give an event's place in the replay; what begins the stay comes first of those recorded at once."""
    begins = event.kind in {StayEventKind.SNAPSHOT, StayEventKind.ADMIT}
    return event.kind is StayEventKind.AMEND, event.recorded_at, not begins, event.at


def _remark(event: StayEvent, reason: Reason, value: str) -> Remark:
    return Remark("stays", event.place, Problem("", reason, value))


def _draft(stay: _Stay, ordered: list[StayEvent], admitted_at: datetime) -> Draft:
    first = stay.admitted or ordered[0]
    department, ward, bed = stay.location
    values = {
        "visit_id": first.visit_id,
        "institution_id": first.institution_id,
        "person_id": stay.person_id or first.person_id,
        "admitted_at": admitted_at,
        "discharged_at": stay.discharged_at or stay.told_discharge,
        "department": department,
        "ward": ward,
        "bed": bed,
    }
    return Draft("stays", first.place, values)


def _leave(event: StayEvent, returned_at: datetime | None) -> Draft:
    values = {
        "visit_id": event.visit_id,
        "institution_id": event.institution_id,
        "person_id": event.person_id,
        "kind": event.leave_kind or "leave",
        "left_at": event.at,
        "due_back_at": event.due_back_at,
        "returned_at": returned_at,
        "approved_by": event.approved_by,
        "recorded_at": event.recorded_at,
    }
    return Draft("leaves", event.place, values)


def _place(stay: _Stay, event: StayEvent) -> None:
    """Move to where the event says; what it does not say stays."""
    told = (event.department, event.ward, event.bed)
    department, ward, bed = (new or old for new, old in zip(told, stay.location, strict=True))
    stay.location = (department, ward, bed)
    stay.person_id = event.person_id


def _admit(stay: _Stay, event: StayEvent) -> Reason | None:
    if stay.admitted is not None and not stay.cancelled:
        return None if stay.admitted_at == event.at else Reason.OUT_OF_SEQUENCE
    stay.admitted, stay.admitted_at, stay.cancelled = event, event.at, False
    _place(stay, event)
    return None


def _snapshot(stay: _Stay, event: StayEvent) -> Reason | None:
    stay.admitted, stay.admitted_at, stay.discharged_at = event, event.admitted_at, event.discharged_at
    stay.location, stay.leaves, stay.cancelled = (None, None, None), [], False
    _place(stay, event)
    return None


def _transfer(stay: _Stay, event: StayEvent) -> Reason | None:
    stay.before.append(stay.location)
    _place(stay, event)
    return None


def _discharge(stay: _Stay, event: StayEvent) -> Reason | None:
    stay.discharged_at = event.at
    _place(stay, event)
    return None


def _amend(stay: _Stay, event: StayEvent) -> Reason | None:
    stay.admitted_at = event.admitted_at or stay.admitted_at
    stay.discharged_at = event.discharged_at or stay.discharged_at
    _place(stay, event)
    return None


def _summary(stay: _Stay, event: StayEvent) -> Reason | None:
    stay.told_discharge = event.discharged_at or stay.told_discharge
    return None


def _cancel_admit(stay: _Stay, event: StayEvent) -> Reason | None:
    del event
    if stay.admitted is None or stay.cancelled:
        return Reason.NOTHING_TO_CANCEL
    stay.cancelled, stay.leaves = True, []
    return None


def _cancel_transfer(stay: _Stay, event: StayEvent) -> Reason | None:
    del event
    if not stay.before:
        return Reason.NOTHING_TO_CANCEL
    stay.location = stay.before.pop()
    return None


def _cancel_discharge(stay: _Stay, event: StayEvent) -> Reason | None:
    del event
    if stay.discharged_at is None:
        return Reason.NOTHING_TO_CANCEL
    stay.discharged_at = None
    return None


def _go_on_leave(stay: _Stay, event: StayEvent) -> Reason | None:
    stay.leaves.append((event, None))
    return None


def _return(stay: _Stay, event: StayEvent) -> Reason | None:
    if not stay.leaves or stay.leaves[-1][1] is not None:
        return Reason.OUT_OF_SEQUENCE
    stay.leaves[-1] = (stay.leaves[-1][0], event.at)
    return None


def _cancel_leave(stay: _Stay, event: StayEvent) -> Reason | None:
    del event
    if not stay.leaves or stay.leaves[-1][1] is not None:
        return Reason.NOTHING_TO_CANCEL
    stay.leaves.pop()
    return None


_REPLAY: Mapping[StayEventKind, Callable[[_Stay, StayEvent], Reason | None]] = {
    StayEventKind.ADMIT: _admit,
    StayEventKind.TRANSFER: _transfer,
    StayEventKind.DISCHARGE: _discharge,
    StayEventKind.AMEND: _amend,
    StayEventKind.SNAPSHOT: _snapshot,
    StayEventKind.CANCEL_ADMIT: _cancel_admit,
    StayEventKind.CANCEL_TRANSFER: _cancel_transfer,
    StayEventKind.CANCEL_DISCHARGE: _cancel_discharge,
    StayEventKind.LEAVE: _go_on_leave,
    StayEventKind.RETURN: _return,
    StayEventKind.CANCEL_LEAVE: _cancel_leave,
    StayEventKind.SUMMARY: _summary,
}
