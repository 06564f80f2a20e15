"""Who this store is: its id for life, its epoch, and its run, of which every acknowledgement tells.

A store that was restored is not the store that gave the later words: it begins a new epoch, so that devices
tell its words from older ones. A run begins with each start of a consumer; within it acknowledgements are
counted in memory, so that no commit waits for a counter.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from joserfc.jwk import OKPKey

from renzheng.central.store import log, schema
from renzheng.central.store.hashes import same_hash
from renzheng.contracts.log import Head
from renzheng.contracts.messages import Ack, Place

TABLE = schema.central_identity
WORDS_A_RUN = 2**32
"""Acknowledgements that one run may count; above it the next run's numbers begin."""


@dataclass(frozen=True, slots=True)
class FormerKeys:
    """Keys with which central signed before.

    Args:
        public: each by its name.
        successions: how each vouched for the next, oldest first, as signed (`messages.sign_central_key`).
        moved: where the broker is to be found, as signed (`messages.sign_moved`), for as long as it is told.
    """

    public: dict[str, OKPKey] = field(default_factory=dict)
    successions: Sequence[bytes] = ()
    moved: bytes | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """A store's id, its epoch and the number of the run that speaks."""

    store_id: str
    epoch: int
    run: int

    def place(self, count: int) -> Place:
        """Place the `count`-th word of this run."""
        return Place(self.store_id, self.epoch, self.run * WORDS_A_RUN + count)


def set_back(connection: sa.Connection, latest: Place, word: Ack, head: Head) -> bool:
    """Say whether a word of this store tells of what the store does not hold: then it was set back.

    Args:
        connection: a transaction of the store.
        latest: the place of the latest word that was given here.
        word: an acknowledgement with a place, its signature verified.
        head: the head that the store holds of the word's device.
    """
    place = word.place
    if place is None or place.store_id != latest.store_id:
        return False
    hash_here = log.hashes(connection, word.device_id, word.upto, word.upto).get(word.upto)
    other = hash_here is not None and not same_hash(hash_here, word.head_hash)
    lost = word.upto > head.sequence or (word.upto > 0 and other)
    if lost and place.epoch >= latest.epoch:
        return True
    run, own_run = place.counter // WORDS_A_RUN, latest.counter // WORDS_A_RUN
    if (place.epoch, run) > (latest.epoch, own_run):  # another consumer of the store, or a forgotten run
        here = read(connection)
        return (place.epoch, run) > (here.epoch, here.run)
    return place[1:] > latest[1:]


def read(connection: sa.Connection) -> Identity:
    """Read who this store is."""
    row = connection.execute(sa.select(TABLE.c.store_id, TABLE.c.epoch, TABLE.c.run)).one()
    return Identity(row.store_id, row.epoch, row.run)


def begin_run(connection: sa.Connection) -> Identity:
    """Begin a run: whoever gives words from now on counts above every earlier run."""
    connection.execute(sa.update(TABLE).values(run=TABLE.c.run + 1))
    return read(connection)


def begin_epoch(connection: sa.Connection, above: int, reason: str, now_us: int) -> Identity:
    """Begin an epoch after `above` and after the store's own, with a run of its own.

    Where another consumer of the store has done so meanwhile, its epoch is taken.
    """
    connection.execute(sa.update(TABLE).values(run=TABLE.c.run + 1))  # takes the row before it is read
    found = read(connection)
    if found.epoch > above:
        return found
    epoch = above + 1
    connection.execute(sa.update(TABLE).values(epoch=epoch))
    connection.execute(sa.insert(schema.epochs).values(epoch=epoch, began_at=now_us, reason=reason))
    return read(connection)


@dataclass(frozen=True, slots=True)
class LostEntries:
    """Entries of a device that nobody has any more.

    Args:
        held: the last entry before them that the store holds.
        goes_on: the last of them, after which the device's log goes on.
        word: this store's own acknowledgement of them, from before it was set back.
    """

    device_id: str
    held: Head
    goes_on: Head
    word: str


def keep_lost(connection: sa.Connection, lost: LostEntries, epoch: int, now_us: int) -> None:
    """Keep as evidence what nobody has any more, and let the device's log go on behind it."""
    connection.execute(
        sa.insert(schema.lost_entries).values(
            device_id=lost.device_id,
            first_sequence=lost.held.sequence + 1,
            last_sequence=lost.goes_on.sequence,
            last_hash=lost.goes_on.hash,
            epoch=epoch,
            found_at=now_us,
            word=lost.word,
        )
    )
    moved = sa.update(schema.devices).where(schema.devices.c.device_id == lost.device_id)
    connection.execute(moved.values(head_sequence=lost.goes_on.sequence, head_hash=lost.goes_on.hash))


def lost_of(connection: sa.Connection, device_id: str) -> list[sa.Row[Any]]:
    """Read what is known to be lost of a device's log, in order."""
    table = schema.lost_entries
    query = sa.select(table).where(table.c.device_id == device_id).order_by(table.c.first_sequence)
    return list(connection.execute(query))
