"""What the devices' logs say of notices and consents, drawn into tables a little at a time.

A cursor a device says how far its log was read; a store that was set back reads on from where it stands then,
and so hears again of every withdrawal that a device has carried out.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from renzheng.central.privacy import withdrawals
from renzheng.central.privacy.withdrawals import Withdrawal
from renzheng.central.store import schema
from renzheng.central.store.database import Database
from renzheng.central.store.times import from_us, to_us
from renzheng.contracts.errors import RenzhengError
from renzheng.contracts.events import (
    ConsentRecorded,
    ConsentWithdrawn,
    DeviceEntryCarried,
    NoticeSeen,
    parse_event,
)
from renzheng.contracts.log import read_entry

CONSENTS, CURSORS, ENTRIES = schema.consents, schema.privacy_cursors, schema.log_entries
AT_ONCE = 5_000
"""Entries of one device that are read in one transaction."""
_OF_INTEREST = (b"renzheng.v1.consent.", b"renzheng.v1.notice.", b"renzheng.v1.device.entry_carried")
Said = ConsentRecorded | ConsentWithdrawn | NoticeSeen


def learn(database: Database, now: datetime) -> int:
    """Read on in every log; return how many entries were read. Call again until it is 0."""
    with database.reading() as connection:
        devices = schema.devices
        cursors = {row.device_id: row.sequence for row in connection.execute(sa.select(CURSORS))}
        heads = connection.execute(sa.select(devices.c.device_id, devices.c.head_sequence)).all()
    read = 0
    for device_id, head in heads:
        if head > cursors.get(device_id, 0):
            with database.writing() as connection:
                read += _read_on(connection, device_id, now)
    return read


def _read_on(connection: sa.Connection, device_id: str, now: datetime) -> int:
    own = CURSORS.c.device_id == device_id
    reached: int | None = connection.execute(sa.select(CURSORS.c.sequence).where(own)).scalar()
    rows = connection.execute(
        sa.select(ENTRIES.c.sequence, ENTRIES.c.line, ENTRIES.c.received_at)
        .where(ENTRIES.c.device_id == device_id, ENTRIES.c.sequence > (reached or 0))
        .where(ENTRIES.c.flaw.is_(None))
        .order_by(ENTRIES.c.sequence)
        .limit(AT_ONCE)
    ).all()
    for row in rows:
        line = bytes(row.line)
        said = _said(line) if any(part in line for part in _OF_INTEREST) else None
        if said is not None:
            _take(connection, device_id, said, from_us(row.received_at), now)
    if len(rows) < AT_ONCE:  # behind the last flaw too
        head = sa.select(schema.devices.c.head_sequence).where(schema.devices.c.device_id == device_id)
        upto = max(int(connection.execute(head).scalar_one()), rows[-1].sequence if rows else 0)
    else:
        upto = rows[-1].sequence
    if reached is None:
        connection.execute(sa.insert(CURSORS).values(device_id=device_id, sequence=upto))
    else:
        connection.execute(sa.update(CURSORS).where(own).values(sequence=upto))
    return len(rows)


def _said(line: bytes) -> Said | None:
    try:
        event = parse_event(dict(read_entry(line).event))
        if isinstance(event, DeviceEntryCarried):
            event = parse_event(dict(read_entry(event.data.line.encode()).event))
    except RenzhengError:
        return None
    return event if isinstance(event, Said) else None


def _take(
    connection: sa.Connection, device_id: str, said: Said, received_at: datetime, now: datetime
) -> None:
    at = said.time if said.data.clock.trusted else received_at
    at = min(at, received_at)  # a clock that is ahead must not outlive a later consent
    place = {
        "person_id": said.subject, "device_id": device_id, "notice": said.data.notice,
        "notice_version": said.data.notice_version,
    }  # fmt: skip
    values: dict[str, Any] = {"institution_id": said.data.institution_id}
    if isinstance(said, NoticeSeen):
        values |= {"seen_at": to_us(at), "text_sha256": said.data.text_sha256}
    elif isinstance(said, ConsentRecorded):
        values |= {"said_at": to_us(at), "given": int(said.data.given), "guardian": said.data.guardian}
    else:
        values |= {"withdrawn_at": to_us(at), "given": 0}
        withdrawals.begin(connection, _withdrawal(device_id, said, at), now)
    _put(connection, place, values)


def _withdrawal(device_id: str, said: ConsentWithdrawn, at: datetime) -> Withdrawal:
    """Return the withdrawal that an event tells of: its own, or the one by which it was ordered."""
    data = said.data
    withdrawn_at = (data.withdrawn_at or at).astimezone(UTC)
    return Withdrawal(
        data.withdrawal_id or said.id, said.subject, withdrawn_at, "device", device_id, data.institution_id
    )


def _put(connection: sa.Connection, place: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    where = sa.and_(*(CONSENTS.c[name] == value for name, value in place.items()))
    if connection.execute(sa.update(CONSENTS).where(where).values(**values)).rowcount == 0:
        connection.execute(sa.insert(CONSENTS).values(**place, **values))
