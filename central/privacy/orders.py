"""Orders to devices about persons' data: issued with what they follow from, answered by a signed certificate.

An order stays outstanding, with its device's name, until that device has certified it, or until a person says
why it never will (a disk that was destroyed) and what was seen instead.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
import sqlalchemy as sa
from joserfc.jwk import OKPKey

from renzheng.central.privacy.errors import RequestRefusedError
from renzheng.central.store import schema
from renzheng.central.store.times import to_us
from renzheng.contracts import keys
from renzheng.contracts.ids import new_id
from renzheng.contracts.privacy import Certificate, Order, PrivacyError, hash_of, open_certificate, sign

TABLE = schema.privacy_orders
UNDONE = TABLE.c.answered_at.is_(None) | (TABLE.c.certificate.is_(None) & (TABLE.c.act == "withdraw"))
"""Not carried out on the device's own word; one that was settled by hand is told when it does come back."""
MOST_AT_ONCE = 200
"""Orders that a device is handed at once; it comes again within a minute."""


def issue(connection: sa.Connection, acts: Mapping[str, Any], subject: tuple[str, str], now: datetime) -> int:
    """Issue one order a device; return how many.

    Args:
        connection: a writing transaction.
        acts: what each device is to do, by device.
        subject: what the orders follow from, and whose data it is.
        now: when.
    """
    rows = []
    for device_id, act in acts.items():
        order = Order(order_id=new_id(), device_id=device_id, issued_at=now, act=act)
        rows.append(
            {
                "order_id": order.order_id, "device_id": device_id, "act": act.act, "subject_id": subject[0],
                "person_id": subject[1], "issued_at": to_us(now),
                "issued_order": order.model_dump_json(exclude_none=True).encode(),
            }
        )  # fmt: skip
    if rows:
        connection.execute(sa.insert(TABLE), rows)
    return len(rows)


def waiting(connection: sa.Connection, device_id: str, key: OKPKey) -> tuple[str, ...]:
    """Sign what waits for a device, oldest first."""
    query = (
        sa.select(TABLE.c.issued_order)
        .where(TABLE.c.device_id == device_id, UNDONE)
        .order_by(TABLE.c.issued_at, TABLE.c.order_id)
        .limit(MOST_AT_ONCE)
    )
    return tuple(sign(_order(row), key) for row in connection.execute(query).scalars())


def take_certificate(
    connection: sa.Connection, device_id: str, envelope: str, now: datetime
) -> tuple[Order, Certificate]:
    """Take a device's certificate; one that was taken before changes nothing.

    Raises:
        PrivacyError: it is not signed by a key of this device, or of no order of this device.
    """
    certificate = open_certificate(envelope, _key_of(connection, device_id, envelope))
    query = sa.select(TABLE).where(TABLE.c.order_id == certificate.order_id, TABLE.c.device_id == device_id)
    row = connection.execute(query).first()
    order = _order(row.issued_order) if row else None
    fits = order is not None and certificate.device_id == device_id
    if order is None or not fits or certificate.order_sha256 != hash_of(order):
        raise PrivacyError("This certificate is of no order that was given to this device.")
    if row is not None and row.certificate is None:
        values = {"answered_at": to_us(now), "outcome": certificate.outcome, "certificate": envelope}
        connection.execute(sa.update(TABLE).where(TABLE.c.order_id == order.order_id).values(**values))
    return order, certificate


def settle(connection: sa.Connection, order_id: str, by: str, reason: str, now: datetime) -> str:
    """Settle by hand an order that its device can never answer; return whose data it is about.

    Raises:
        RequestRefusedError: it is not outstanding, or no reason is given.
    """
    reason = reason.strip()
    open_one = (TABLE.c.order_id == order_id) & TABLE.c.answered_at.is_(None)
    person_id: str | None = connection.execute(sa.select(TABLE.c.person_id).where(open_one)).scalar()
    if person_id is None or not reason:
        raise RequestRefusedError(
            "This order cannot be settled by hand.",
            why="It is answered already, or no reason is given.",
            do="Say what was seen instead of the device's certificate, such as a disk that was destroyed.",
        )
    values = {"answered_at": to_us(now), "outcome": "by_hand", "settled_by": by, "settled_reason": reason}
    connection.execute(sa.update(TABLE).where(open_one).values(**values))
    return person_id


def of_subject(connection: sa.Connection, subject_id: str) -> Sequence[Mapping[str, Any]]:
    """Read the orders that follow from one thing, outstanding ones first, with where their devices stand."""
    devices = schema.devices
    query = (
        sa.select(TABLE, devices.c.institution_id, devices.c.revoked_at, devices.c.head_received_at)
        .join(devices, devices.c.device_id == TABLE.c.device_id)
        .where(TABLE.c.subject_id == subject_id)
        .order_by(TABLE.c.answered_at.is_not(None), TABLE.c.device_id)
    )
    return [dict(row) for row in connection.execute(query).mappings()]


def oldest_unanswered(connection: sa.Connection) -> Sequence[tuple[str, int]]:
    """Name the devices of which an answer to a withdrawal is outstanding, each with since when."""
    since = sa.func.min(TABLE.c.issued_at).label("since")
    query = (
        sa.select(TABLE.c.device_id, since)
        .where(TABLE.c.answered_at.is_(None), TABLE.c.act == "withdraw")
        .group_by(TABLE.c.device_id)
    )
    return [(row.device_id, row.since) for row in connection.execute(query)]


def unanswered_people(connection: sa.Connection, device_id: str, people: Iterable[str]) -> set[str]:
    """Of some people, those about whom an order waits for a device."""
    query = sa.select(TABLE.c.person_id).where(
        TABLE.c.device_id == device_id, UNDONE, TABLE.c.act == "withdraw"
    )
    return set(connection.execute(query).scalars()) & set(people)


def _order(issued: bytes) -> Order:
    return Order.model_validate(orjson.loads(issued))


def _key_of(connection: sa.Connection, device_id: str, envelope: str) -> OKPKey:
    """Find the key that an envelope names, among those of a device that are not revoked."""
    table = schema.device_keys
    try:
        named = str(keys.read_header(envelope.encode()).get("kid", ""))
    except (keys.SignatureError, UnicodeEncodeError):
        named = ""
    query = sa.select(table.c.public_pem).where(
        table.c.key_id == named, table.c.device_id == device_id, table.c.revoked_at.is_(None)
    )
    found = connection.execute(query).scalar()
    if found is None:
        raise PrivacyError("This certificate is not signed by a key of its device.")
    return keys.load_public_key(found)
