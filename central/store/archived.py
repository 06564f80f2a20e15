"""What the store knows of archives of closed years, and of entries that were pruned after them."""

from bisect import bisect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from renzheng.central.store import bulk, schema
from renzheng.central.store.hashes import SHORT_HASH

ARCHIVES, ENTRIES, HASHES = schema.archives, schema.archived_entries, schema.archived_hashes
HASH_BYTES = SHORT_HASH // 2
HASHES_A_ROW = 512


def latest(connection: sa.Connection) -> sa.Row[Any] | None:
    """Read the archive of the latest year; None when there is none."""
    return connection.execute(sa.select(ARCHIVES).order_by(ARCHIVES.c.year.desc()).limit(1)).first()


def of_id(connection: sa.Connection, archive_id: str) -> sa.Row[Any] | None:
    """Read one archive."""
    return connection.execute(sa.select(ARCHIVES).where(ARCHIVES.c.archive_id == archive_id)).first()


def rows_of(connection: sa.Connection, device_id: str, *, pruned: bool = False) -> Sequence[sa.Row[Any]]:
    """Read what each archive holds of a device, in order; with `pruned` only what is no longer here."""
    query = sa.select(ENTRIES).where(ENTRIES.c.device_id == device_id).order_by(ENTRIES.c.upto_sequence)
    if pruned:
        query = query.where(ENTRIES.c.pruned_at.is_not(None))
    return connection.execute(query).all()


def upto(connection: sa.Connection, device_id: str, *, pruned: bool = False) -> int:
    """Return the last entry of a device that lies in an archive; with `pruned`, that is no longer here."""
    query = sa.select(sa.func.max(ENTRIES.c.upto_sequence)).where(ENTRIES.c.device_id == device_id)
    if pruned:
        query = query.where(ENTRIES.c.pruned_at.is_not(None))
    return connection.execute(query).scalar() or 0


def pruned_devices(connection: sa.Connection) -> Mapping[str, int]:
    """Return by device the last entry that is no longer here."""
    ended = sa.select(ENTRIES.c.device_id, sa.func.max(ENTRIES.c.upto_sequence))
    found = connection.execute(ended.where(ENTRIES.c.pruned_at.is_not(None)).group_by(ENTRIES.c.device_id))
    return {row[0]: row[1] for row in found}


def is_pruned(connection: sa.Connection, archive_id: str) -> bool:
    """Tell whether entries were pruned after an archive."""
    of_it = (ENTRIES.c.archive_id == archive_id) & ENTRIES.c.pruned_at.is_not(None)
    return connection.execute(sa.select(ENTRIES.c.device_id).where(of_it).limit(1)).first() is not None


def record(
    connection: sa.Connection, archive: Mapping[str, Any], devices: Sequence[tuple[str, int, str, str]]
) -> None:
    """Record an archive that is whole, and what it holds: device, last sequence, its hash, central's word."""
    connection.execute(sa.insert(ARCHIVES).values(archive))
    rows = [(name, last, digest, archive["archive_id"], word, None) for name, last, digest, word in devices]
    bulk.append_rows(connection, ENTRIES, rows)


def forget(connection: sa.Connection, archive_id: str) -> None:
    """Forget an archive of which nothing was pruned, so that its year can be archived again."""
    connection.execute(sa.delete(ENTRIES).where(ENTRIES.c.archive_id == archive_id))
    connection.execute(sa.delete(ARCHIVES).where(ARCHIVES.c.archive_id == archive_id))


def mark_pruned(connection: sa.Connection, device_id: str, upto_sequence: int, now_us: int) -> None:
    """Let a device's log begin after an entry: from now on those before it count as archived."""
    row = (ENTRIES.c.device_id == device_id) & (ENTRIES.c.upto_sequence == upto_sequence)
    connection.execute(sa.update(ENTRIES).where(row).values(pruned_at=now_us))


def keep_hashes(connection: sa.Connection, device_id: str, entries: Iterable[tuple[int, str]]) -> None:
    """Keep the beginnings of hashes of entries (sequence, hash), in order, that are about to be pruned."""
    bulk.append_rows(connection, HASHES, [(device_id, first, short) for first, short in _runs(entries)])


def hashes(connection: sa.Connection, device_id: str, sequences: Sequence[int]) -> Mapping[int, str]:
    """Read the beginnings (hex) of the hashes of pruned entries.

    Args:
        connection: a transaction of the store.
        device_id: whose.
        sequences: which, in order; those that were not pruned are left out.
    """
    near = HASHES.c.first_sequence.between(sequences[0] - HASHES_A_ROW + 1, sequences[-1])
    query = sa.select(HASHES.c.first_sequence, HASHES.c.hashes).where(HASHES.c.device_id == device_id, near)
    rows = connection.execute(query.order_by(HASHES.c.first_sequence)).all()
    firsts = [row.first_sequence for row in rows]
    found: dict[int, str] = {}
    for sequence in sequences if rows else ():
        row = rows[bisect(firsts, sequence) - 1]
        at = (sequence - row.first_sequence) * HASH_BYTES
        if 0 <= at < len(row.hashes):
            found[sequence] = bytes(row.hashes[at : at + HASH_BYTES]).hex()
    return found


def _runs(entries: Iterable[tuple[int, str]]) -> Iterator[tuple[int, bytes]]:
    """Put hashes of entries that follow one another together, at most `HASHES_A_ROW`."""
    begun, short = 0, bytearray()
    for sequence, digest in entries:
        held = len(short) // HASH_BYTES
        if short and (sequence != begun + held or held == HASHES_A_ROW):
            yield begun, bytes(short)
            short = bytearray()
        if not short:
            begun = sequence
        short += bytes.fromhex(digest[:SHORT_HASH])
    if short:
        yield begun, bytes(short)
