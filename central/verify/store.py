"""Reads a store's logs and checks them, device after device."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from joserfc.jwk import OKPKey

from renzheng.central.errors import StoreError
from renzheng.central.store import identity, schema
from renzheng.central.store.database import Database
from renzheng.central.verify.archived import pruned_start
from renzheng.central.verify.check import BadEntry, LogCheck, LogVerified, Lost, Start, StoredBatch, StoredKey
from renzheng.contracts import keys
from renzheng.contracts.log import Head
from renzheng.contracts.messages import Ack

ENTRIES_AT_ONCE = 2_000
BATCHES_AT_ONCE = 1_000


@contextmanager
def named_damage() -> Iterator[None]:
    """Give a database's own word on a damaged file the form of this product's errors."""
    try:
        yield
    except sa.exc.DatabaseError as error:
        raise StoreError(
            f"The store cannot be read: {error.orig}.",
            why="Its file is damaged, or the server has failed.",
            do="Keep the file as it is, restore the last good backup; the devices send what it lacks.",
        ) from error
    except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError) as error:
        raise StoreError(
            f"The store cannot be read: a value in it is none that was written ({type(error).__name__}).",
            why="Its file is damaged, or somebody has changed it.",
            do="Keep the file as it is, restore the last good backup; the devices send what it lacks.",
        ) from error


def chosen_devices(database: Database, device_id: str | None) -> Sequence[sa.Row[Any, Any, Any]]:
    """Read what one device is, or all in order: id, institution, purpose."""
    table = schema.devices
    query = sa.select(table.c.device_id, table.c.institution_id, table.c.purpose).order_by(table.c.device_id)
    if device_id is not None:
        query = query.where(table.c.device_id == device_id)
    with database.reading() as connection:
        return connection.execute(query).all()


def check_store(
    database: Database,
    device_id: str | None = None,
    progress: Callable[[int], None] = lambda _: None,
    by: Sequence[OKPKey] = (),
) -> Iterator[LogVerified | BadEntry]:
    """Check what a store holds of one device, or of all in order.

    Args:
        database: the store.
        device_id: only this device's log.
        progress: is told of entries walked.
        by: every key with which central has signed; where entries were pruned, its word says so.

    Raises:
        StoreError: the store's file is damaged.
    """
    with named_damage():
        for device in chosen_devices(database, device_id):
            yield check_device(database, device.device_id, progress, by)


def check_device(
    database: Database, device_id: str, progress: Callable[[int], None], by: Sequence[OKPKey] = ()
) -> LogVerified | BadEntry:
    """Check one device's log, all of it as of one moment."""
    with database.reading() as connection:
        start = pruned_start(connection, device_id, by)
        if isinstance(start, BadEntry):
            return start
        devices = schema.devices
        head = connection.execute(
            sa.select(devices.c.head_sequence, devices.c.head_hash).where(devices.c.device_id == device_id)
        ).one()
        check = begin_check(connection, device_id, Head(*head), start)
        for part in entries(connection, device_id, start.head.sequence if start else 0):
            fault = check.take((row.sequence, row.hash, row.line) for row in part)
            progress(len(part))
            if fault:
                return fault
        return check.end()


def begin_check(
    connection: sa.Connection, device_id: str, ends: Head, start: Start | None, upto: int | None = None
) -> LogCheck:
    """Begin the check of a piece of a device's log that ends with `ends`."""
    after = start.head.sequence if start else 0
    lost = [one for one in _lost(connection, device_id) if upto is None or one.first <= upto]
    known = read_keys(key_rows(connection, device_id))
    found = (stored_batch(row) for part in batches(connection, device_id, after, upto) for row in part)
    return LogCheck(device_id, ends, known, found, lost, start)


def entries(
    connection: sa.Connection, device_id: str, after: int, upto: int | None = None
) -> Iterator[Sequence[sa.Row[Any]]]:
    """Read a device's entries after one, in order, some thousands at once; columns as in the table."""
    table = schema.log_entries
    query = sa.select(table).where(table.c.device_id == device_id, table.c.sequence > after)
    if upto is not None:
        query = query.where(table.c.sequence <= upto)
    streamed = connection.execution_options(yield_per=ENTRIES_AT_ONCE).execute(
        query.order_by(table.c.sequence)
    )
    try:
        yield from streamed.partitions()
    finally:
        streamed.close()


def batches(
    connection: sa.Connection, device_id: str, after: int, upto: int | None = None
) -> Iterator[Sequence[sa.Row[Any]]]:
    """Read a device's batches that begin after an entry, in order, some hundreds at once."""
    table, place = schema.log_batches, (after, 2**62)
    while True:
        behind = (table.c.first_sequence > place[0]) | (
            (table.c.first_sequence == place[0]) & (table.c.last_sequence > place[1])
        )
        query = sa.select(table).where(table.c.device_id == device_id, behind)
        if upto is not None:
            query = query.where(table.c.first_sequence <= upto)
        order = (table.c.first_sequence, table.c.last_sequence)
        part = connection.execute(query.order_by(*order).limit(BATCHES_AT_ONCE)).all()
        if not part:
            return
        yield part
        place = (part[-1].first_sequence, part[-1].last_sequence)


def stored_batch(row: Any) -> StoredBatch:
    """Take a row of batches, of the store or of an archive, as the check has it."""
    return StoredBatch(
        row.first_sequence,
        row.last_sequence,
        row.key_id,
        bytes(row.header),
        bytes(row.signature),
        row.received_at,
    )


def read_lost(rows: Iterable[Any]) -> list[Lost]:
    """Read what is known to be lost; its word was verified when it was kept, and says what central had."""
    found = []
    for row in rows:
        word = Ack.model_validate_json(keys.decode(keys.split(row.word.encode())[1]))
        last = Head(row.last_sequence, row.last_hash)
        found.append(Lost(row.first_sequence, last, Head(word.upto, word.head_hash)))
    return found


def _lost(connection: sa.Connection, device_id: str) -> list[Lost]:
    return read_lost(identity.lost_of(connection, device_id))


def key_rows(connection: sa.Connection, device_id: str) -> Sequence[sa.Row[Any]]:
    """Read a device's keys, in the order of what they sign."""
    table = schema.device_keys
    query = sa.select(table).where(table.c.device_id == device_id)
    return connection.execute(query.order_by(table.c.from_sequence, table.c.key_id)).all()


def read_keys(rows: Iterable[Any]) -> dict[str, StoredKey]:
    """Take rows of keys, of the store or of an archive, as the check has them."""
    return {
        row.key_id: StoredKey(
            keys.load_public_key(row.public_pem),
            row.revoked_at,
            row.from_sequence,
            row.until_sequence,
            row.rotated_from is not None,
        )
        for row in rows
    }
