"""The journal of what hospitals report of stays; stays and leaves follow from all of it.

Every event goes into the journal `stay_events`; the stay and the leaves of its visit are then made anew from
all events of that visit, by the importers' own replay (`claims.stay_events.fold`). So messages may come late,
twice or out of order, and a cancellation undoes what it cancels. A leave is *recorded* when central received
the message, whatever time the message claims.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from renzheng.central.adt import renaming
from renzheng.central.adt.messages import masked
from renzheng.central.adt.outcomes import Ending, Outcome
from renzheng.central.claims.rejects import Reason, RowPlace
from renzheng.central.claims.stay_events import Folded, Rename, StayEvent, StayEventKind, fold
from renzheng.central.store import schema
from renzheng.central.store.times import from_us, to_us
from renzheng.contracts.ids import is_bureau

EVENTS, STAYS, LEAVES, MESSAGES = schema.stay_events, schema.stays, schema.leaves, schema.stay_messages
KEPT_FOR = timedelta(days=30)
"""How long a message that was not taken is kept as it came, names and all, so that it can be mended."""
LONGEST_TEXT = 200
"""As in the contract of rosters."""
_TIMES = ("at", "recorded_at", "admitted_at", "discharged_at", "due_back_at")
_TEXTS = ("message_id", "department", "ward", "bed", "leave_kind", "approved_by")
_NAMED = {
    Reason.DUPLICATE: Outcome.REPEATED,
    Reason.NO_ADMISSION: Outcome.NO_ADMISSION,
    Reason.OUT_OF_SEQUENCE: Outcome.OUT_OF_SEQUENCE,
    Reason.NOTHING_TO_CANCEL: Outcome.NOTHING_TO_CANCEL,
}


@dataclass(frozen=True, slots=True)
class ReportedEvent:
    """One event as it was told.

    Args:
        source: mllp, file or form.
        surname: of the patient, as it may be shown at a bedside.
        masked_number: the end of the person's number.
    """

    event: StayEvent
    source: str
    surname: str = ""
    masked_number: str = ""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where something came from, for the record of outcomes; `payload` is kept when it is not taken."""

    source: str
    trigger: str = ""
    message_id: str = ""
    payload: bytes = b""


def take(connection: sa.Connection, told: ReportedEvent, now: datetime) -> Ending:
    """Take one event; the stay and the leaves of its visit follow at once.

    Args:
        connection: a writing transaction.
        told: the event.
        now: when central received it.
    """
    fault = _fault(connection, told.event)
    if fault is not None:
        return fault
    event = renaming.present(connection, told.event)
    told = replace(told, event=event, masked_number=masked(event.person_id) if told.masked_number else "")
    if event.message_id is not None and _is_known(connection, event):
        return Ending(Outcome.REPEATED)
    number = _keep(connection, told, now)
    folded, wrong = _make_stay(connection, event.institution_id, event.visit_id)
    return _ending(connection, number, told, folded, wrong, now)


def rename(connection: sa.Connection, told: Rename, now: datetime) -> Ending:
    """Take a number of a person or of a visit that gave way to another; stays follow it at once.

    Args:
        connection: a writing transaction.
        told: the two numbers.
        now: when central received it.
    """
    fault = _unknown(connection, told.institution_id)
    if fault is not None:
        return fault
    if max(len(told.before), len(told.now)) > LONGEST_TEXT:
        return Ending(Outcome.REJECTED, f"{told.of}: {Reason.TOO_LONG.value}")
    visits = renaming.keep(connection, told, to_us(now))
    if visits is None:
        return Ending(Outcome.REPEATED)
    for visit_id in visits:
        _make_stay(connection, told.institution_id, visit_id)
    return Ending(Outcome.TAKEN)


def _make_stay(connection: sa.Connection, institution_id: str, visit_id: str) -> tuple[Folded, bool]:
    """Make the stay and the leaves of a visit anew; also returns whether one of them runs backwards."""
    rows = _events(connection, institution_id, visit_id)
    folded = fold([_event(row) for row in rows])
    wrong = _write(connection, (institution_id, visit_id), folded, {row["event_number"]: row for row in rows})
    return folded, wrong


def note(
    connection: sa.Connection, origin: Origin, ending: Ending, now: datetime, event: StayEvent | None = None
) -> None:
    """Write down what became of a message, row or form; what was not taken is kept as it came."""
    connection.execute(
        sa.insert(MESSAGES).values(
            received_at=to_us(now),
            source=origin.source,
            institution_id=event.institution_id if event else None,
            visit_id=event.visit_id if event else None,
            message_id=origin.message_id or None,
            trigger=origin.trigger,
            outcome=ending.outcome.value,
            detail=ending.detail,
            payload=None if ending.outcome.kept or not origin.payload else origin.payload,
        )
    )


def forget(connection: sa.Connection, now: datetime) -> int:
    """Clear what messages held that were not taken, once `KEPT_FOR` is over; return of how many."""
    old = MESSAGES.c.payload.is_not(None) & (MESSAGES.c.received_at < to_us(now - KEPT_FOR))
    return connection.execute(sa.update(MESSAGES).where(old).values(payload=None)).rowcount


def _fault(connection: sa.Connection, event: StayEvent) -> Ending | None:
    """Say why an event cannot be taken at all; otherwise hold its institution, so that visits queue."""
    unknown = _unknown(connection, event.institution_id)
    if unknown is not None:
        return unknown
    for name in ("visit_id", "person_id", "ward", "department", "bed", "approved_by"):
        text = getattr(event, name)
        if text and (len(text) > LONGEST_TEXT or "\0" in text):
            return Ending(Outcome.REJECTED, f"{name}: {Reason.TOO_LONG.value}")
    return None


def _unknown(connection: sa.Connection, institution_id: str) -> Ending | None:
    """Say that an institution is not registered; otherwise hold it."""
    table = schema.institutions
    query = sa.select(table.c.institution_id).where(table.c.institution_id == institution_id)
    known = connection.execute(query.with_for_update()).first()
    if known is None or is_bureau(institution_id):
        return Ending(Outcome.UNKNOWN_INSTITUTION, "no institution of that code is registered")
    return None


def _is_known(connection: sa.Connection, event: StayEvent) -> bool:
    """Whether this message came before: the same id with the same content."""
    content = _content(event)
    query = sa.select(EVENTS.c.event_number).where(
        *(EVENTS.c[name].is_not_distinct_from(value) for name, value in content.items())
    )
    return connection.execute(query).first() is not None


def _content(event: StayEvent) -> dict[str, Any]:
    """Return what an event says, as the journal's columns."""
    moments = {name: getattr(event, name) for name in _TIMES}
    return {
        "institution_id": event.institution_id,
        "visit_id": event.visit_id,
        "person_id": event.person_id,
        "kind": event.kind.value,
        **{name: None if moment is None else to_us(moment) for name, moment in moments.items()},
        **{name: getattr(event, name) for name in _TEXTS},
    }


def _keep(connection: sa.Connection, told: ReportedEvent, now: datetime) -> int:
    values = {
        **_content(told.event),
        "source": told.source,
        "received_at": to_us(now),
        "surname": told.surname,
        "masked_number": told.masked_number,
    }
    done = connection.execute(sa.insert(EVENTS).values(values))
    (number,) = done.inserted_primary_key or (0,)
    return int(number)


def _events(connection: sa.Connection, institution_id: str, visit_id: str) -> Sequence[Mapping[str, Any]]:
    query = sa.select(EVENTS).where(EVENTS.c.institution_id == institution_id, EVENTS.c.visit_id == visit_id)
    return [dict(row) for row in connection.execute(query.order_by(EVENTS.c.event_number)).mappings()]


def _event(row: Mapping[str, Any]) -> StayEvent:
    """Make a row of the journal an event again; its place is its number there."""
    values: dict[str, Any] = {name: None if row[name] is None else from_us(row[name]) for name in _TIMES}
    values |= {name: row[name] for name in ("institution_id", "visit_id", "person_id", *_TEXTS)}
    place = RowPlace("journal", row["event_number"])
    return StayEvent(place=place, kind=StayEventKind(row["kind"]), **values)


def _write(
    connection: sa.Connection,
    visit: tuple[str, str],
    folded: Folded,
    journal: Mapping[int, Mapping[str, Any]],
) -> bool:
    """Put the stay and the leaves that follow in the place of the former; say whether one runs backwards.

    Of a visit that was admitted again after its end the last stretch is the stay.
    """
    of_visit = dict(zip(("institution_id", "visit_id"), visit, strict=True))
    for table in (STAYS, LEAVES):
        here = (table.c.institution_id == visit[0]) & (table.c.visit_id == visit[1])
        connection.execute(sa.delete(table).where(here))
    backwards = False
    stays = [draft for draft in folded.drafts if draft.table == "stays"]
    current = [draft for draft in folded.drafts if draft not in stays[:-1]]
    for number, draft in enumerate(current):
        values = dict(draft.values)
        if draft.table == "stays":
            if _ends_before(values, "admitted_at", "discharged_at"):
                backwards = True
                continue
            ended_by = folded.ended_by
            values["discharge_recorded_at"] = ended_by and _known_at(journal[ended_by.place.line])
            connection.execute(sa.insert(STAYS).values(_stay_row(values, journal)))
        else:
            if _ends_before(values, "left_at", "returned_at"):
                backwards = True
                continue
            if _ends_before(values, "left_at", "due_back_at"):
                values["due_back_at"] = None
            received_at = _known_at(journal[draft.place.line])
            row = {**of_visit, "number": number, "recorded_at": received_at, **_leave_row(values)}
            connection.execute(sa.insert(LEAVES).values(row))
    return backwards


def _known_at(row: Mapping[str, Any]) -> int:
    """Return when central knew that an event is of its visit: a merge may have said so later."""
    return max(int(row["received_at"]), int(row["joined_at"] or 0))


def _ends_before(values: Mapping[str, Any], start: str, end: str) -> bool:
    return values[end] is not None and values[end] < values[start]


def _stay_row(values: Mapping[str, Any], journal: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    named = [row for row in journal.values() if row["surname"]]
    numbered = [row for row in journal.values() if row["masked_number"]]
    return {
        **values,
        "admitted_at": to_us(values["admitted_at"]),
        "discharged_at": None if values["discharged_at"] is None else to_us(values["discharged_at"]),
        "surname": named[-1]["surname"] if named else "",
        "masked_number": numbered[-1]["masked_number"] if numbered else "",
    }


def _leave_row(values: Mapping[str, Any]) -> dict[str, Any]:
    moments = {name: values[name] for name in ("left_at", "due_back_at", "returned_at")}
    return {
        "person_id": values["person_id"],
        "kind": values["kind"],
        "approved_by": values["approved_by"],
        "said_at": to_us(values["recorded_at"]),
        **{name: None if moment is None else to_us(moment) for name, moment in moments.items()},
    }


def _ending(  # noqa: PLR0917 - each is a witness of what happened
    connection: sa.Connection, number: int, told: ReportedEvent, folded: Folded, wrong: bool, now: datetime
) -> Ending:
    for remark in folded.remarks:
        of_this = remark.place.line == number or remark.problem.reason is Reason.NO_ADMISSION
        if of_this and remark.problem.reason in _NAMED:
            return Ending(_NAMED[remark.problem.reason], told.event.kind.value)
    if wrong:
        return Ending(Outcome.END_BEFORE_START, told.event.kind.value)
    if told.event.kind is StayEventKind.LEAVE and _was_drawn(connection, told.event, now):
        return Ending(Outcome.LEAVE_AFTER_DRAW, "a check of this stay was drawn before")
    if _bed_is_taken(connection, told.event):
        return Ending(Outcome.BED_TAKEN, "two open stays name the same bed")
    return Ending(Outcome.TAKEN)


def _was_drawn(connection: sa.Connection, event: StayEvent, now: datetime) -> bool:
    """Say whether an opened round had drawn this stay before the leave came; sealed rounds tell nothing."""
    checks = schema.round_checks
    query = sa.select(checks.c.check_id).where(
        checks.c.institution_id == event.institution_id,
        checks.c.visit_id == event.visit_id,
        checks.c.drawn_at < to_us(now),
        checks.c.closes_at >= to_us(event.at),
    )
    return connection.execute(query).first() is not None


def _bed_is_taken(connection: sa.Connection, event: StayEvent) -> bool:
    """Say whether another open stay stands on the bed on which this event leaves its own."""
    own = connection.execute(
        sa.select(STAYS).where(
            STAYS.c.institution_id == event.institution_id, STAYS.c.visit_id == event.visit_id
        )
    ).first()
    if own is None or own.bed is None or own.discharged_at is not None:
        return False
    query = sa.select(STAYS.c.visit_id).where(
        STAYS.c.institution_id == event.institution_id,
        STAYS.c.visit_id != event.visit_id,
        STAYS.c.bed == own.bed,
        STAYS.c.ward.is_not_distinct_from(own.ward),
        STAYS.c.discharged_at.is_(None),
    )
    return connection.execute(query).first() is not None
