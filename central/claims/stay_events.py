"""What messages tell of a stay, in any order, and the stay and leaves that follow from all of them.

NHSA admissions, HL7 ADT messages and FHIR encounters become `StayEvent`s; `fold` replays those of one visit
in the order in which the hospital recorded them. It is pure: the same events give the same stay, in whatever
order they came.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from itertools import groupby

from renzheng.central.claims.rejects import Problem, Reason, RowPlace, RowProblem
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
    REGISTER = "register"
    """Present but not admitted (emergency, pre-admission): alone no stay, but what follows may admit."""
    UPDATE = "update"
    """Current place and corrected times, in its turn among the other messages."""
    MOVE = "move"
    """The visit belongs to another person than was told before."""
    CANCEL_RETURN = "cancel_return"
    DEPART = "depart"
    """On the way within the institution (tracking): an absence of kind examination until the arrival."""
    ARRIVE = "arrive"
    CANCEL_DEPART = "cancel_depart"
    CANCEL_ARRIVE = "cancel_arrive"
    PART = "part"
    """A part of a stay, told apart from it: the stay lasted at least from then on."""
    VOID = "void"
    """What was told of the stay was an error; nothing needs to have been told."""


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
        message_id: of the message; a second one with the same id and the same content is passed over.
        admitted_at: the admission, as any message may repeat it.
        discharged_at: likewise the discharge.
        due_back_at: the expected end of a leave.
        leave_kind: leave, examination or transfer.
        approved_by: who approved a leave.
    """

    place: RowPlace
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

    place: RowPlace
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

    place: RowPlace
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

    place: RowPlace
    institution_id: str
    settlement_id: str | None = None
    message_id: str | None = None


@dataclass(frozen=True, slots=True)
class LineCode:
    """The traceability code of a line, told by its settlement."""

    place: RowPlace
    institution_id: str
    line_id: str
    code: str
    settlement_id: str


@dataclass(frozen=True, slots=True)
class Rename:
    """One number of a person or of a visit that gave way to another: a merge, a change of number.

    Args:
        of: person or visit.
        institution_id: where it was told; a visit's number is that institution's own.
        before: the number that is used no more.
        now: the number that holds.
        at: when it was told.
    """

    place: RowPlace
    of: str
    institution_id: str
    before: str
    now: str
    at: datetime


@dataclass(frozen=True, slots=True)
class LineCancellation:
    """A fee upload taken back before it was settled: one line, one batch, or all of a visit.

    Args:
        line_id: the line; None: all that `batch` names.
        batch: the charging batch; None with no `line_id`: every line of the visit that is not settled yet.
        sent_at: when the message was sent.
    """

    place: RowPlace
    institution_id: str
    visit_id: str
    line_id: str | None = None
    batch: str | None = None
    sent_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class LineUpload:
    """How a line came: in which charging batch, which a cancellation or a settlement may name, and when."""

    place: RowPlace
    institution_id: str
    line_id: str
    batch: str | None = None
    sent_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Folded:
    """What follows from the events of one visit.

    Args:
        ended_by: the event from which on the end of the stay was what it is now.
    """

    drafts: tuple[Draft, ...]
    remarks: tuple[RowProblem, ...]
    ended_by: StayEvent | None = None


_Location = tuple[str | None, str | None, str | None]
_ANYWHERE = RowPlace("", 0)


@dataclass(frozen=True, slots=True)
class _Stretch:
    """An earlier stretch of a visit that has ended; the visit was admitted again."""

    admitted: StayEvent
    admitted_at: datetime
    discharged_at: datetime
    location: _Location
    ended_by: StayEvent | None


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
    registered_at: datetime | None = None
    part_from: datetime | None = None
    ended_by: StayEvent | None = None
    earlier: list[_Stretch] = field(default_factory=list)

    @property
    def end(self) -> datetime | None:
        """The discharge, as a message or a settlement tells it."""
        return self.discharged_at or self.told_discharge


def fold(events: Iterable[StayEvent]) -> Folded:
    """Replay the events of one visit.

    Amendments are replayed last, for they need not carry a time of their own. A bed move keeps
    the current bed; a cancellation undoes the last event of its kind, or one recorded in the same moment; one
    that undoes nothing is a warning.
    A message counts once: the same id with other content is another message. An admission after a discharge
    begins a second stretch. Without an admission, neither as a message nor told by another, there is no stay,
    and one remark says so, unless nothing told of more than a registration or of ways within the house.
    """
    ordered = sorted(events, key=_turn)
    stay, remarks = _replayed(ordered)
    leaves = [_leave(stay, *leave) for leave in stay.leaves]
    if stay.cancelled or not ordered:
        return Folded((), tuple(remarks))
    admitted_at = stay.admitted_at or stay.told_admission or stay.part_from
    if admitted_at is None and all(event.kind in _NO_STAY_ALONE for event in ordered):
        return Folded(tuple(leaves), tuple(remarks))
    if admitted_at is None:
        remarks.append(_remark(ordered[0], Reason.NO_ADMISSION, ordered[0].visit_id))
        return Folded(tuple(leaves), tuple(remarks))
    earlier = [_earlier_draft(stay, stretch) for stretch in stay.earlier]
    ended_by = stay.ended_by if stay.end else None
    return Folded((*earlier, _draft(stay, ordered, admitted_at), *leaves), tuple(remarks), ended_by)


def _replayed(ordered: Sequence[StayEvent]) -> tuple[_Stay, list[RowProblem]]:
    """Replay events in their order; what undoes nothing is tried again after all of the same moment."""
    stay, remarks = _Stay(), list[RowProblem]()
    seen: set[StayEvent] = set()
    for _, together in groupby(ordered, key=lambda event: _turn(event)[:2]):
        waiting: list[StayEvent] = []
        for event in together:
            content = replace(event, place=_ANYWHERE)
            if event.message_id is not None and content in seen:
                remarks.append(_remark(event, Reason.DUPLICATE, event.message_id))
                continue
            seen.add(content)
            reason = _replay(stay, event)
            if reason is not None and event.kind in _UNDOES:
                waiting.append(event)
            elif reason is not None:
                remarks.append(_remark(event, reason, event.kind.value))
            if event.kind not in {StayEventKind.REGISTER, StayEventKind.PART}:
                stay.told_admission = event.admitted_at or stay.told_admission
        for event in waiting:
            reason = _replay(stay, event)
            if reason is not None:
                remarks.append(_remark(event, reason, event.kind.value))
    return stay, remarks


def _replay(stay: _Stay, event: StayEvent) -> Reason | None:
    end = stay.end
    reason = _REPLAY[event.kind](stay, event)
    stay.ended_by = event if stay.end != end else stay.ended_by
    return reason


def _turn(event: StayEvent) -> tuple[bool, datetime, bool, datetime]:
    """Give an event's place in the replay; what begins the stay comes first of those recorded at once."""
    begins = event.kind in {StayEventKind.SNAPSHOT, StayEventKind.ADMIT}
    return event.kind is StayEventKind.AMEND, event.recorded_at, not begins, event.at


def _remark(event: StayEvent, reason: Reason, value: str) -> RowProblem:
    return RowProblem("stays", event.place, Problem("", reason, value))


def _draft(stay: _Stay, ordered: list[StayEvent], admitted_at: datetime) -> Draft:
    first = stay.admitted or ordered[0]
    return _stay_draft(stay, first, (admitted_at, stay.end, _told_at(stay.ended_by)), stay.location)


def _earlier_draft(stay: _Stay, stretch: _Stretch) -> Draft:
    times = (stretch.admitted_at, stretch.discharged_at, _told_at(stretch.ended_by))
    return _stay_draft(stay, stretch.admitted, times, stretch.location)


def _told_at(ended_by: StayEvent | None) -> datetime | None:
    """Return when the end was told; None where only the stay's own time stands for it."""
    if ended_by is None or ended_by.recorded_at == ended_by.admitted_at:
        return None
    return ended_by.recorded_at


def _stay_draft(
    stay: _Stay,
    first: StayEvent,
    times: tuple[datetime, datetime | None, datetime | None],
    location: _Location,
) -> Draft:
    department, ward, bed = location
    values = {
        "visit_id": first.visit_id,
        "institution_id": first.institution_id,
        "person_id": stay.person_id or first.person_id,
        "admitted_at": times[0],
        "discharged_at": times[1],
        "discharge_recorded_at": times[2] if times[1] else None,
        "department": department,
        "ward": ward,
        "bed": bed,
    }
    return Draft("stays", first.place, values)


def _leave(stay: _Stay, event: StayEvent, returned_at: datetime | None) -> Draft:
    usual = "examination" if event.kind is StayEventKind.DEPART else "leave"
    values = {
        "visit_id": event.visit_id,
        "institution_id": event.institution_id,
        "person_id": stay.person_id or event.person_id,
        "kind": event.leave_kind or usual,
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


def _register(stay: _Stay, event: StayEvent) -> Reason | None:
    if stay.admitted is None:
        stay.registered_at = event.admitted_at or event.at
        _place(stay, event)
    return None


def _admit(stay: _Stay, event: StayEvent) -> Reason | None:
    if stay.admitted is not None and not stay.cancelled and not _begin_again(stay, event):
        return None if stay.admitted_at == event.at else Reason.OUT_OF_SEQUENCE
    # a time of admission that only repeats the registration's is that of the registration
    at = event.recorded_at if event.at == stay.registered_at else event.at
    stay.admitted, stay.admitted_at, stay.cancelled = event, at, False
    _place(stay, event)
    return None


def _begin_again(stay: _Stay, event: StayEvent) -> bool:
    """Set a stretch that has ended aside, if this event comes after its end."""
    if stay.admitted is None or stay.admitted_at is None or stay.discharged_at is None:
        return False
    if event.at < stay.discharged_at:
        return False
    ended = (stay.discharged_at, stay.location, stay.ended_by)
    _end_open_leave(stay, stay.discharged_at)
    stay.earlier.append(_Stretch(stay.admitted, stay.admitted_at, *ended))
    stay.discharged_at, stay.before = None, []
    return True


def _admit_if_registered(stay: _Stay, event: StayEvent) -> None:
    """Admit a registered person whom a message of an inpatient names: no message told of the change."""
    if stay.admitted is None and stay.registered_at is not None:
        told = event.admitted_at
        stay.admitted = event
        stay.admitted_at = told if told is not None and told != stay.registered_at else event.at


def _snapshot(stay: _Stay, event: StayEvent) -> Reason | None:
    stay.admitted, stay.admitted_at, stay.discharged_at = event, event.admitted_at, event.discharged_at
    stay.location, stay.leaves, stay.cancelled = (None, None, None), [], False
    _place(stay, event)
    return None


def _transfer(stay: _Stay, event: StayEvent) -> Reason | None:
    _admit_if_registered(stay, event)
    _arrive(stay, event)
    before = stay.location
    _place(stay, event)
    if stay.location != before:  # a move that was told twice is one move
        stay.before.append(before)
    return None


def _discharge(stay: _Stay, event: StayEvent) -> Reason | None:
    _admit_if_registered(stay, event)
    _arrive(stay, event)
    stay.discharged_at = event.at
    _place(stay, event)
    return None


def _update(stay: _Stay, event: StayEvent) -> Reason | None:
    _admit_if_registered(stay, event)
    if event.admitted_at is not None and event.admitted_at != stay.registered_at and stay.admitted:
        stay.admitted_at = event.admitted_at
    stay.discharged_at = event.discharged_at or stay.discharged_at
    _place(stay, event)
    return None


def _part(stay: _Stay, event: StayEvent) -> Reason | None:
    stay.part_from = min(stay.part_from or event.at, event.at)
    if stay.location == (None, None, None):
        _place(stay, event)
    return None


def _void(stay: _Stay, event: StayEvent) -> Reason | None:
    del event
    stay.cancelled, stay.leaves = True, []
    return None


def _move(stay: _Stay, event: StayEvent) -> Reason | None:
    stay.person_id = event.person_id
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
    if stay.earlier:
        last = stay.earlier.pop()
        stay.admitted, stay.admitted_at = last.admitted, last.admitted_at
        stay.discharged_at, stay.location = last.discharged_at, last.location
        return None
    stay.cancelled, stay.leaves = True, []
    return None


def _cancel_transfer(stay: _Stay, event: StayEvent) -> Reason | None:
    if not stay.before:
        return Reason.NOTHING_TO_CANCEL
    stay.location = stay.before.pop()
    _place(stay, event)  # it names the place before the move
    return None


def _cancel_discharge(stay: _Stay, event: StayEvent) -> Reason | None:
    del event
    if stay.discharged_at is None:
        return Reason.NOTHING_TO_CANCEL
    stay.discharged_at = None
    return None


def _last(stay: _Stay, *, tracked: bool, is_open: bool = True) -> int | None:
    """Find the last leave, or way within the house (`tracked`), that is open, or has ended."""
    for number in reversed(range(len(stay.leaves))):
        event, returned_at = stay.leaves[number]
        if (event.kind is StayEventKind.DEPART) == tracked:
            return number if (returned_at is None) == is_open else None
    return None


def _close(stay: _Stay, number: int, at: datetime | None) -> None:
    stay.leaves[number] = (stay.leaves[number][0], at)


def _go_on_leave(stay: _Stay, event: StayEvent) -> Reason | None:
    _end_open_leave(stay, event.at)
    stay.leaves.append((event, None))
    return None


def _end_open_leave(stay: _Stay, at: datetime) -> None:
    """End a leave of which no return is told where the next one begins, or the visit is admitted again.

    Else it would explain every later absence. It ends at its expected end where that is earlier.
    """
    number = _last(stay, tracked=False)
    if number is None:
        return
    left = stay.leaves[number][0]
    if left.at <= at and (left.due_back_at is None or at < left.due_back_at):
        _close(stay, number, at)


def _return(stay: _Stay, event: StayEvent) -> Reason | None:
    number = _last(stay, tracked=False)
    if number is None:
        return Reason.OUT_OF_SEQUENCE
    _close(stay, number, event.at)
    return None


def _cancel_return(stay: _Stay, event: StayEvent) -> Reason | None:
    del event
    return _reopen(stay, tracked=False)


def _cancel_leave(stay: _Stay, event: StayEvent) -> Reason | None:
    del event
    return _drop(stay, tracked=False)


def _depart(stay: _Stay, event: StayEvent) -> Reason | None:
    if _last(stay, tracked=True) is None:  # on the way from one place to the next it is one absence
        stay.leaves.append((event, None))
    return None


def _arrive(stay: _Stay, event: StayEvent) -> Reason | None:
    number = _last(stay, tracked=True)
    if number is not None and event.at >= stay.leaves[number][0].at:
        _close(stay, number, event.at)
    return None


def _cancel_depart(stay: _Stay, event: StayEvent) -> Reason | None:
    del event
    return _drop(stay, tracked=True)


def _cancel_arrive(stay: _Stay, event: StayEvent) -> Reason | None:
    del event
    return _reopen(stay, tracked=True)


def _drop(stay: _Stay, *, tracked: bool) -> Reason | None:
    number = _last(stay, tracked=tracked)
    if number is None:
        return Reason.NOTHING_TO_CANCEL
    undone = stay.leaves.pop(number)[0]
    before = _last(stay, tracked=tracked, is_open=False)
    if not tracked and before is not None and stay.leaves[before][1] == undone.at:
        _close(stay, before, None)  # it had ended because this one began
    return None


def _reopen(stay: _Stay, *, tracked: bool) -> Reason | None:
    number = _last(stay, tracked=tracked, is_open=False)
    if number is None:
        return Reason.NOTHING_TO_CANCEL
    _close(stay, number, None)
    return None


_UNDOES = frozenset(
    {
        StayEventKind.CANCEL_ADMIT,
        StayEventKind.CANCEL_TRANSFER,
        StayEventKind.CANCEL_DISCHARGE,
        StayEventKind.CANCEL_LEAVE,
        StayEventKind.CANCEL_RETURN,
        StayEventKind.CANCEL_DEPART,
        StayEventKind.CANCEL_ARRIVE,
        StayEventKind.RETURN,
    }
)
"""Kinds that need another before them."""

_NO_STAY_ALONE = frozenset(
    {
        StayEventKind.REGISTER,
        StayEventKind.MOVE,
        StayEventKind.DEPART,
        StayEventKind.ARRIVE,
        StayEventKind.CANCEL_DEPART,
        StayEventKind.CANCEL_ARRIVE,
        StayEventKind.VOID,
    }
)
"""Kinds that do not tell that anybody was admitted."""

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
    StayEventKind.REGISTER: _register,
    StayEventKind.UPDATE: _update,
    StayEventKind.MOVE: _move,
    StayEventKind.CANCEL_RETURN: _cancel_return,
    StayEventKind.DEPART: _depart,
    StayEventKind.ARRIVE: _arrive,
    StayEventKind.CANCEL_DEPART: _cancel_depart,
    StayEventKind.CANCEL_ARRIVE: _cancel_arrive,
    StayEventKind.PART: _part,
    StayEventKind.VOID: _void,
}
