"""NHSA registrations (2201), outpatient visits (2203), stays (2401-2405) as visit facts and stay events."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from renzheng.central.claims.nhsa_fields import Fields
from renzheng.central.claims.rejects import RowPlace
from renzheng.central.claims.source import Item
from renzheng.central.claims.stay_events import StayEvent, StayEventKind, VisitFact
from renzheng.central.claims.values import read_time

STAY_KINDS: Mapping[str, StayEventKind] = {
    "2401": StayEventKind.ADMIT,
    "2402": StayEventKind.DISCHARGE,
    "2403": StayEventKind.AMEND,
    "2404": StayEventKind.CANCEL_ADMIT,
    "2405": StayEventKind.CANCEL_DISCHARGE,
}
_CANCELS = frozenset({StayEventKind.CANCEL_ADMIT, StayEventKind.CANCEL_DISCHARGE})
_NO_TIME = read_time("1900-01-01T00:00:00Z", None)
_Where = tuple[str | None, str | None, str | None]


def read_registration(read: Fields, place: RowPlace) -> Iterator[Item]:
    """Read one 2201 or 2203: who was seen by whom."""
    visit_id = read.code("mdtrt_id")
    read.person()
    fact = VisitFact(
        place,
        read.institution_id,
        visit_id,
        department=read.text("dept_name", "dept_code", "diag_dept"),
        doctor_id=read.text("atddr_no", "dise_dor_no", "diag_dr_code"),
    )
    if read.problems:
        yield from read.remarks("registrations", place)
    elif fact.department or fact.doctor_id:
        yield fact


def read_stay(transaction: str, read: Fields, place: RowPlace) -> Iterator[Item]:
    """Read one 2401 to 2405."""
    kind = STAY_KINDS[transaction]
    visit_id, person_id = read.code("mdtrt_id"), read.person()
    items = (
        _cancellation(kind, read, place, visit_id, person_id)
        if kind in _CANCELS
        else _events(kind, read, place, visit_id, person_id)
    )
    if read.problems:
        yield from read.remarks("stays", place)
    else:
        yield from items


def _events(
    kind: StayEventKind, read: Fields, place: RowPlace, visit_id: str, person_id: str
) -> list[StayEvent]:
    """Return what 2401, 2402 or 2403 say; a row that has both times tells of admission and discharge."""
    admitted_at = read.time("begntime", needed=kind is StayEventKind.ADMIT)
    discharged_at = read.time("endtime", needed=kind is StayEventKind.DISCHARGE)
    recorded_at = read.sent_at()
    admission = (
        read.text("adm_dept_name", "adm_dept_codg"),
        read.text("wardarea_name", "wardarea_codg"),
        read.text("adm_bed"),
    )
    discharge = (read.text("dscg_dept_name", "dscg_dept_codg"), None, read.text("dscg_bed"))

    def event(kind: StayEventKind, at: datetime, where: _Where) -> StayEvent:
        return StayEvent(
            place,
            kind,
            read.institution_id,
            visit_id,
            person_id,
            at,
            recorded_at or at,
            admitted_at=admitted_at,
            discharged_at=discharged_at if kind is StayEventKind.AMEND else None,
            department=where[0],
            ward=where[1],
            bed=where[2],
        )

    if kind is StayEventKind.AMEND:
        last = (discharge[0] or admission[0], admission[1], discharge[2] or admission[2])
        return [event(kind, recorded_at or admitted_at or discharged_at or _NO_TIME, last)]
    events = []
    if kind is StayEventKind.ADMIT and admitted_at is not None:
        events.append(event(StayEventKind.ADMIT, admitted_at, admission))
    if discharged_at is not None:
        events.append(event(StayEventKind.DISCHARGE, discharged_at, discharge))
    return events


def _cancellation(
    kind: StayEventKind, read: Fields, place: RowPlace, visit_id: str, person_id: str
) -> list[StayEvent]:
    """Return what 2404 or 2405 say: of whom and of which visit; when, only the envelope says."""
    recorded_at = read.time("inf_time", needed=True)
    if recorded_at is None:
        return []
    return [StayEvent(place, kind, read.institution_id, visit_id, person_id, recorded_at, recorded_at)]
