"""Consents taken back: whoever hears of one, every device in use is told, and answers for itself.

Other numbers of the same person count where the hospital that has told of them keeps its devices: a merge
message of one hospital destroys nothing at another.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa

from renzheng.central.access import spelling
from renzheng.central.privacy import crops, orders
from renzheng.central.store import schema
from renzheng.central.store.times import from_us, to_us
from renzheng.contracts.ids import new_id
from renzheng.contracts.privacy import Withdraw

TABLE, ORDERS, CONSENTS = schema.withdrawals, schema.privacy_orders, schema.consents
AGAIN_AFTER = timedelta(hours=1)
"""A device hands all halves over once an hour."""
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


def asked_here(
    connection: sa.Connection, person_id: str, origin: Origin, asked_by: str, now: datetime
) -> Withdrawal:
    """Make the withdrawal that somebody asks for at central, of the person as the devices spell the id.

    Raises:
        PersonIdError: no person is named, or several may be meant.
    """
    return Withdrawal(new_id(), spelling.find(connection, person_id), now, origin, asked_by)


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
    crops.withdraw(connection, withdrawal.person_id, now)
    devices = schema.devices
    in_use = sa.select(devices.c.device_id).where(devices.c.revoked_at.is_(None))
    _order(connection, withdrawal, withdrawal.person_id, in_use, now)
    for other, institution_id in spelling.aliases(connection, withdrawal.person_id):
        there = in_use.where(devices.c.institution_id == institution_id)
        _order(connection, withdrawal, other, there, now)
    return True


def _order(
    connection: sa.Connection,
    withdrawal: Withdrawal,
    person_id: str,
    devices: sa.Select[Any],
    now: datetime,
) -> None:
    """Order some devices to forget a person, under one of the person's ids."""
    acts = {
        device_id: Withdraw(
            withdrawal_id=withdrawal.withdrawal_id,
            person_id=person_id,
            withdrawn_at=withdrawal.withdrawn_at,
            event_ids=_events(connection, device_id, person_id),
        )
        for device_id in connection.execute(devices.order_by(schema.devices.c.device_id)).scalars().all()
    }
    orders.issue(connection, acts, (withdrawal.withdrawal_id, person_id), now)


def order_again(connection: sa.Connection, device_id: str, people: Sequence[str], now: datetime) -> set[str]:
    """Order a device anew to forget people whose faces it has although it certified their destruction.

    So it is after a copy of its data folder from before the withdrawal was put back. A later consent is known
    by the device itself, which then destroys only what is older; an order is issued once in `AGAIN_AFTER`.

    Args:
        connection: a writing transaction.
        device_id: which has handed over halves of keys.
        people: whose.
        now: when.

    Returns:
        Those of them whose halves are not to be kept.
    """
    later = sa.func.coalesce(CONSENTS.c.said_at, 0) > TABLE.c.withdrawn_at
    consented = (
        sa.select(CONSENTS.c.person_id)
        .where(CONSENTS.c.device_id == device_id, CONSENTS.c.person_id == ORDERS.c.person_id)
        .where(CONSENTS.c.given == 1, later)
    )
    query = (
        sa.select(TABLE, ORDERS.c.person_id.label("told_of"), sa.func.max(ORDERS.c.issued_at).label("issued"))
        .join(ORDERS, ORDERS.c.subject_id == TABLE.c.withdrawal_id)
        .where(ORDERS.c.device_id == device_id, ORDERS.c.certificate.is_not(None), ~consented.exists())
        .group_by(*TABLE.c, ORDERS.c.person_id)
    )
    found = set()
    for row in connection.execute(query).mappings().all():
        if row["told_of"] in people:
            found.add(row["told_of"])
            if row["issued"] <= to_us(now - AGAIN_AFTER):
                own = sa.select(schema.devices.c.device_id).where(schema.devices.c.device_id == device_id)
                _order(connection, of_row(row), row["told_of"], own, now)
    return found


def ever(connection: sa.Connection, people: Iterable[str]) -> set[str]:
    """Of some people, those about whom devices were ever told of a withdrawal."""
    told = sa.select(ORDERS.c.person_id).where(ORDERS.c.act == "withdraw").distinct()
    return set(connection.execute(told).scalars()) & set(people)


def other_ids(connection: sa.Connection, withdrawal_id: str, person_id: str) -> Mapping[str, set[str]]:
    """Return the other ids under which a withdrawal was ordered, each with the devices that were told."""
    query = sa.select(ORDERS.c.person_id, ORDERS.c.device_id).where(
        ORDERS.c.subject_id == withdrawal_id, ORDERS.c.person_id != person_id
    )
    found: dict[str, set[str]] = {}
    for row in connection.execute(query):
        found.setdefault(row.person_id, set()).add(row.device_id)
    return found


def of_row(row: Mapping[str, Any] | sa.RowMapping) -> Withdrawal:
    """Read a withdrawal from its row."""
    return Withdrawal(
        row["withdrawal_id"], row["person_id"], from_us(row["withdrawn_at"]), row["origin"],
        row["asked_by"], row["institution_id"],
    )  # fmt: skip


def outstanding(connection: sa.Connection) -> Sequence[Withdrawal]:
    """Read the withdrawals that some device has not certified yet."""
    waits = sa.select(ORDERS.c.subject_id).where(ORDERS.c.answered_at.is_(None))
    query = sa.select(TABLE).where(TABLE.c.withdrawal_id.in_(waits)).order_by(TABLE.c.withdrawal_id)
    return [of_row(row) for row in connection.execute(query).mappings()]


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
        waits = sorted({one.device_id for one in own if one.answered_at is None})
        told_to = len({one.device_id for one in own})
        found.append({**row, "told": told_to, "outstanding": waits})
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
