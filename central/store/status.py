"""What devices last said of themselves."""

import sqlalchemy as sa

from renzheng.central.store import schema
from renzheng.central.store.times import to_us
from renzheng.contracts.messages import Status

LARGEST = 2**53
"""No log gets this long; beyond it some backend or page would round."""


def put(connection: sa.Connection, status: Status, received_us: int) -> None:
    """Keep a device's latest word."""
    table = schema.device_status
    values = {
        "state": status.state,
        "sequence": status.sequence,
        "acknowledged": status.acknowledged,
        "waiting_since": to_us(status.waiting_since) if status.waiting_since else None,
        "software": status.software.replace("\0", ""),
        "said_at": to_us(status.at),
        "received_at": received_us,
        "halted": status.halted.replace("\0", "") if status.halted else None,
    }
    same = table.c.device_id == status.device_id
    if connection.execute(sa.update(table).where(same).values(values)).rowcount == 0:
        connection.execute(sa.insert(table).values(device_id=status.device_id, **values))
