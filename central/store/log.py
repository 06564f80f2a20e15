"""The devices' logs in the store."""

from collections.abc import Mapping

import sqlalchemy as sa

from renzheng.central.store import archived, schema
from renzheng.contracts.log import Head

_MOVE = sa.text(
    "UPDATE devices SET head_sequence = :sequence, head_hash = :hash, head_received_at = :now "
    "WHERE device_id = :device_id"
)


def hashes(connection: sa.Connection, device_id: str, first: int, last: int) -> Mapping[int, str]:
    """Read the hashes of stored entries `first` to `last`, both included; of pruned ones their beginnings."""
    table = schema.log_entries
    query = sa.select(table.c.sequence, table.c.hash).where(
        table.c.device_id == device_id, table.c.sequence.between(first, last)
    )
    found = {row.sequence: row.hash for row in connection.execute(query)}
    if len(found) <= last - first:
        found = {**archived.hashes(connection, device_id, range(first, last + 1)), **found}
    return found


def move_heads(connection: sa.Connection, heads: Mapping[str, Head], received_us: int) -> None:
    """Write the new ends of some devices' chains."""
    if heads:
        values = [
            {"device_id": name, "sequence": head.sequence, "hash": head.hash, "now": received_us}
            for name, head in heads.items()
        ]
        connection.execute(_MOVE, values)
