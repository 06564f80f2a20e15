"""The devices' logs in the store."""

from collections.abc import Mapping

import sqlalchemy as sa

from renzheng.central.store import schema
from renzheng.contracts.log import Head


def hashes(connection: sa.Connection, device_id: str, first: int, last: int) -> Mapping[int, str]:
    """Read the hashes of stored entries `first` to `last`, both included."""
    table = schema.log_entries
    query = sa.select(table.c.sequence, table.c.hash).where(
        table.c.device_id == device_id, table.c.sequence.between(first, last)
    )
    return {row.sequence: row.hash for row in connection.execute(query)}


def move_head(connection: sa.Connection, device_id: str, head: Head, received_us: int) -> None:
    """Write the new end of a device's chain."""
    table = schema.devices
    connection.execute(
        sa.update(table)
        .where(table.c.device_id == device_id)
        .values(head_sequence=head.sequence, head_hash=head.hash, head_received_at=received_us)
    )
