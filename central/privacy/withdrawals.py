"""Consents taken back: whoever hears of one, every device in use is told, and answers for itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa

from renzheng.central.privacy import orders
from renzheng.central.privacy.errors import RequestRefusedError
from renzheng.central.store import schema
from renzheng.central.store.times import to_us
from renzheng.contracts.ids import is_citizen_number, new_id, normalised_id, tidy_id
from renzheng.contracts.privacy import Withdraw

TABLE, ORDERS = schema.withdrawals, schema.privacy_orders
Origin = Literal["console", "shell", "device"]
MOST_EVENTS = 1000


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """One withdrawal.

    Args:
        withdrawal_id: of one asked at a device, its event's id, so that a log is read twice without harm.
        withdrawn_at: references captured after it, under a consent given after it, stay.
        asked_by: the account, or the device.
    """

    withdrawal_id: str
    person_id: str
    withdrawn_at: datetime
    origin: Origin
    asked_by: str
    institution_id: str | None = None


def asked_here(person_id: str, origin: Origin, asked_by: str, now: datetime) -> Withdrawal:
    """Make the withdrawal that somebody asks for at central.

    Raises:
        RequestRefusedError: no person is named.
    """
    capitals = normalised_id(person_id)
    person = capitals if is_citizen_number(capitals) else tidy_id(person_id)
    if not person:
        raise RequestRefusedError("No person is named.", do="Give the person's id, as in the claims.")
    return Withdrawal(new_id(), person, now, origin, asked_by)


def begin(connection: sa.Connection, withdrawal: Withdrawal, now: datetime) -> bool:
    """Keep a withdrawal and issue its orders, in one transaction; False when it is known already."""
    known = sa.select(TABLE.c.withdrawal_id).where(TABLE.c.withdrawal_id == withdrawal.withdrawal_id)
    if connection.execute(known).first():
        return False
    values = {
        "withdrawal_id": withdrawal.withdrawal_id, "person_id": withdrawal.person_id,
        "withdrawn_at": to_us(withdrawal.withdrawn_at), "learned_at": to_us(now),
        "origin": withdrawal.origin, "asked_by": withdrawal.asked_by,
        "institution_id": withdrawal.institution_id,
    }  # fmt: skip
    connection.execute(sa.insert(TABLE).values(values))
    devices = schema.devices
    in_use = (
        sa.select(devices.c.device_id).where(devices.c.revoked_at.is_(None)).order_by(devices.c.device_id)
    )
    acts = {
        device_id: Withdraw(
            withdrawal_id=withdrawal.withdrawal_id,
            person_id=withdrawal.person_id,
            withdrawn_at=withdrawal.withdrawn_at,
            event_ids=_events(connection, device_id, withdrawal.person_id),
        )
        for device_id in connection.execute(in_use).scalars().all()
    }
    orders.issue(connection, acts, (withdrawal.withdrawal_id, withdrawal.person_id), now)
    return True


def _events(connection: sa.Connection, device_id: str, person_id: str) -> tuple[str, ...]:
    """Name the events of a device whose crops may show a person, the latest first."""
    table = schema.attendance
    query = (
        sa.select(table.c.event_id)
        .where(table.c.device_id == device_id, table.c.person_id == person_id)
        .order_by(table.c.sequence.desc())
        .limit(MOST_EVENTS)
    )
    return tuple(connection.execute(query).scalars())


def listed(connection: sa.Connection, limit: int, offset: int = 0) -> tuple[int, Sequence[Mapping[str, Any]]]:
    """Read withdrawals, the latest first, with how many devices were told and which are outstanding."""
    total = connection.execute(sa.select(sa.func.count()).select_from(TABLE)).scalar_one()
    query = sa.select(TABLE).order_by(TABLE.c.withdrawn_at.desc(), TABLE.c.withdrawal_id)
    rows = connection.execute(query.limit(limit).offset(offset)).mappings().all()
    told = connection.execute(
        sa.select(ORDERS.c.subject_id, ORDERS.c.device_id, ORDERS.c.answered_at)
        .where(ORDERS.c.subject_id.in_([row["withdrawal_id"] for row in rows]))
        .order_by(ORDERS.c.device_id)
    ).all()
    found = []
    for row in rows:
        own = [one for one in told if one.subject_id == row["withdrawal_id"]]
        outstanding = [one.device_id for one in own if one.answered_at is None]
        found.append({**row, "told": len(own), "outstanding": outstanding})
    return int(total), found


def find(connection: sa.Connection, withdrawal_id: str) -> Mapping[str, Any] | None:
    """Read one withdrawal."""
    query = sa.select(TABLE).where(TABLE.c.withdrawal_id == withdrawal_id)
    row = connection.execute(query).mappings().first()
    return None if row is None else dict(row)


def latest_of(connection: sa.Connection, people: Sequence[str]) -> dict[str, int]:
    """Return when each of some people has last withdrawn, in microseconds."""
    query = (
        sa.select(TABLE.c.person_id, sa.func.max(TABLE.c.withdrawn_at).label("at"))
        .where(TABLE.c.person_id.in_(people))
        .group_by(TABLE.c.person_id)
    )
    return {row.person_id: row.at for row in connection.execute(query)}
