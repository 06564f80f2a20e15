"""What devices last said of themselves."""

import sqlalchemy as sa

from renzheng.central.store import schema
from renzheng.central.store.times import to_us
from renzheng.contracts.messages import Status

LARGEST = 2**53
"""No log gets this long; beyond it some backend or page would round."""


def put(
    connection: sa.Connection,
    status: Status,
    received_us: int,
    *,
    retained: bool = False,
    shard: str | None = None,
) -> None:
    """Keep a device's latest word.

    Args:
        connection: a transaction that writes.
        status: the word.
        received_us: when it came.
        retained: the broker had kept it and hands it out again. It then counts from the moment that the
            device itself names, or a broker's restart would make a dead device look alive.
        shard: over which it came.
    """
    table = schema.device_status
    if retained:
        received_us = min(received_us, to_us(status.at))
        newer = sa.select(table.c.device_id).where(
            table.c.device_id == status.device_id, table.c.received_at >= received_us
        )
        if connection.execute(newer).first() is not None:
            same = table.c.device_id == status.device_id
            connection.execute(sa.update(table).where(same).values(state=status.state))
            return
    values = {
        "state": status.state,
        "sequence": status.sequence,
        "acknowledged": status.acknowledged,
        "waiting_since": to_us(status.waiting_since) if status.waiting_since else None,
        "software": status.software.replace("\0", ""),
        "said_at": to_us(status.at),
        "received_at": received_us,
        "status_seconds": status.status_seconds,
        "halted": status.halted.replace("\0", "") if status.halted else None,
        "certificate_until": to_us(status.certificate_until) if status.certificate_until else None,
        "shard": shard,
    }
    same = table.c.device_id == status.device_id
    if connection.execute(sa.update(table).where(same).values(values)).rowcount == 0:
        connection.execute(sa.insert(table).values(device_id=status.device_id, **values))
