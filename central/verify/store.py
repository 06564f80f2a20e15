"""Reads a store's logs and checks them, device after device."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from renzheng.central.errors import StoreError
from renzheng.central.store import identity, schema
from renzheng.central.store.database import Database
from renzheng.central.verify.check import BadEntry, Good, LogCheck, Lost, StoredBatch, StoredKey
from renzheng.contracts import keys
from renzheng.contracts.log import Head
from renzheng.contracts.messages import Ack

ENTRIES_AT_ONCE = 2_000


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
    database: Database, device_id: str | None = None, progress: Callable[[int], None] = lambda _: None
) -> Iterator[Good | BadEntry]:
    """Check what a store holds of one device, or of all in order; `progress` is told of entries walked.

    Raises:
        StoreError: the store's file is damaged.
    """
    with named_damage():
        for device in chosen_devices(database, device_id):
            yield check_device(database, device.device_id, progress)


def check_device(database: Database, device_id: str, progress: Callable[[int], None]) -> Good | BadEntry:
    """Check one device's log, all of it as of one moment."""
    with database.reading() as connection:
        return _check(connection, device_id, progress)


def _check(connection: sa.Connection, device_id: str, progress: Callable[[int], None]) -> Good | BadEntry:
    devices, entries = schema.devices, schema.log_entries
    head = connection.execute(
        sa.select(devices.c.head_sequence, devices.c.head_hash).where(devices.c.device_id == device_id)
    ).one()
    lost = _lost(connection, device_id)
    known, batches = _keys(connection, device_id), _batches(connection, device_id)
    check = LogCheck(device_id, Head(*head), known, batches, lost)
    query = (
        sa.select(entries.c.sequence, entries.c.hash, entries.c.line)
        .where(entries.c.device_id == device_id)
        .order_by(entries.c.sequence)
    )
    streamed = connection.execution_options(yield_per=ENTRIES_AT_ONCE).execute(query)
    for part in streamed.partitions():
        fault = check.take(part)
        progress(len(part))
        if fault:
            streamed.close()
            return fault
    return check.end()


def _lost(connection: sa.Connection, device_id: str) -> list[Lost]:
    """Read what is known to be lost; its word was verified when it was kept, and says what central had."""
    found = []
    for row in identity.lost_of(connection, device_id):
        word = Ack.model_validate_json(keys.decode(keys.split(row.word.encode())[1]))
        last = Head(row.last_sequence, row.last_hash)
        found.append(Lost(row.first_sequence, last, Head(word.upto, word.head_hash)))
    return found


def _keys(connection: sa.Connection, device_id: str) -> dict[str, StoredKey]:
    table = schema.device_keys
    query = sa.select(table).where(table.c.device_id == device_id)
    return {
        row.key_id: StoredKey(
            keys.load_public_key(row.public_pem),
            row.revoked_at,
            row.from_sequence,
            row.until_sequence,
            row.rotated_from is not None,
        )
        for row in connection.execute(query)
    }


def _batches(connection: sa.Connection, device_id: str) -> list[StoredBatch]:
    table = schema.log_batches
    query = sa.select(table).where(table.c.device_id == device_id)
    return [
        StoredBatch(
            row.first_sequence,
            row.last_sequence,
            row.key_id,
            bytes(row.header),
            bytes(row.signature),
            row.received_at,
        )
        for row in connection.execute(query.order_by(table.c.first_sequence, table.c.last_sequence))
    ]
