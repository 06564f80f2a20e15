"""The roster of inpatients that the devices of one institution fetch."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from renzheng.central.store import schema
from renzheng.central.store.times import day_bounds_us, from_us
from renzheng.contracts.rosters import Away, Inpatient, InpatientRoster

STAYS, LEAVES = schema.stays, schema.leaves
UNNAMED_WARD = "—"
"""Stands for the ward of a stay whose messages name none."""
Visit = tuple[str, str]
"""Institution and visit."""


def institution_zone(connection: sa.Connection, institution_id: str, usual: str) -> ZoneInfo:
    """Give the time zone of an institution's local days."""
    table = schema.institutions
    query = sa.select(table.c.timezone).where(table.c.institution_id == institution_id)
    return ZoneInfo(connection.execute(query).scalar() or usual)


def inpatients(
    connection: sa.Connection, institution_id: str, day: date, now: datetime, zone: ZoneInfo
) -> InpatientRoster:
    """List everybody with a stay at the institution on a local day that has not ended by now."""
    start, end = day_bounds_us(day, day, zone)
    open_on_day = (
        (STAYS.c.institution_id == institution_id)
        & (STAYS.c.admitted_at < end)
        & (STAYS.c.discharged_at.is_(None) | (STAYS.c.discharged_at > start))
    )
    rows = connection.execute(sa.select(STAYS).where(open_on_day).order_by(STAYS.c.ward, STAYS.c.visit_id))
    away = leaves_of(connection, institution_id)
    patients = tuple(
        Inpatient(
            visit_id=row.visit_id,
            person_id=row.person_id,
            surname=row.surname,
            masked_number=row.masked_number,
            ward=row.ward or UNNAMED_WARD,
            bed=(row.bed or "")[:40],
            admitted_at=from_us(row.admitted_at),
            away=tuple(away.get((institution_id, row.visit_id), ())),
        )
        for row in rows
        if row.discharged_at is None or from_us(row.discharged_at) > now
    )
    return InpatientRoster(institution_id=institution_id, day=day, made_at=now, patients=patients)


def leaves_of(connection: sa.Connection, institution_id: str | None = None) -> Mapping[Visit, Sequence[Away]]:
    """Read the recorded absences of one institution, or of all, by visit."""
    query = sa.select(LEAVES).order_by(LEAVES.c.institution_id, LEAVES.c.visit_id, LEAVES.c.number)
    if institution_id is not None:
        query = query.where(LEAVES.c.institution_id == institution_id)
    found: dict[Visit, list[Away]] = {}
    for row in connection.execute(query):
        away = Away(
            kind=row.kind,
            left_at=from_us(row.left_at),
            due_back_at=None if row.due_back_at is None else from_us(row.due_back_at),
            returned_at=None if row.returned_at is None else from_us(row.returned_at),
            recorded_at=from_us(row.recorded_at),
        )
        found.setdefault((row.institution_id, row.visit_id), []).append(away)
    return found
