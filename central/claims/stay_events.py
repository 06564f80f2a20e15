"""What messages tell of a stay, in any order, and the stay and leaves that follow from all of them.

Both NHSA admissions and HL7 ADT messages become `StayEvent`s; `fold` replays those of one visit in the order
in which the hospital recorded them. It is pure: the same events give the same stay, in whatever order they
came.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from renzheng.central.claims.rejects import Place


class StayEventKind(StrEnum):
    """What happened to a stay."""

    ADMIT = "admit"
    TRANSFER = "transfer"
    DISCHARGE = "discharge"
    AMEND = "amend"
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
        recorded_at: when the hospital recorded it; the order of replay.
        message_id: of the message; a second one with the same id is passed over.
        admitted_at: the admission, as any message may repeat it.
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
    """What a registration or a settlement tells of all lines of a visit."""

    place: Place
    institution_id: str
    visit_id: str
    settlement_id: str | None = None
    department: str | None = None
    doctor_id: str | None = None
    from_at: datetime | None = None
    to_at: datetime | None = None
