"""Closes a device's log and lets it go on behind what central holds, as a device does that joins again.

The one way out where two histories cannot be brought together: the device was set back to an older copy, its
file is damaged, central was made anew. What central may lack of the closed log is carried over, entry by
entry as it was written, marked as such; the closed log itself stays in the file for as long as entries do.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from joserfc.jwk import OKPKey
from sqlite_utils import Database

from renzheng.contracts import events, keys
from renzheng.contracts import log as chain
from renzheng.contracts.errors import RenzhengError
from renzheng.contracts.log import Head
from renzheng.edge.device.clock import ClockReading
from renzheng.edge.device.link.acknowledgements import place_of
from renzheng.edge.device.log import DeviceLog
from renzheng.edge.device.store import entered
from renzheng.edge.errors import EventTooLargeError

_CARRIED_TYPE = "renzheng.v1.device.entry_carried"


@dataclass(frozen=True, slots=True)
class Closed:
    """What was closed: its last entry, how many were carried over, how many could not be."""

    head: Head
    carried: int
    unreadable: int


@dataclass(frozen=True, slots=True)
class NewIdentity:
    """Who the device is from now on.

    Args:
        key: the key that signs from there on.
        institution_id: where the device stands.
        store_id: central's store. What was heard of the same store stays the latest word that counts, so that
            nobody can repeat older ones; another store's says nothing any more.
    """

    key: OKPKey
    institution_id: str
    store_id: str | None


def close_log(log: DeviceLog, at_central: Head, here: NewIdentity, reading: ClockReading) -> Closed:
    """Close the log that is written here and go on after `at_central`, all in one transaction.

    What was entered on the device alone is forgotten: it may have come back with an older copy (`entered`).

    Args:
        log: the device's log.
        at_central: the head that central holds of this device.
        here: who the device is from now on.
        reading: now.
    """
    with log.store.writing() as database:
        entered.forget(database)
        head = log.head()
        lines = list(_after(log, _last_common(log, at_central)))
        carried, unreadable = _sound(lines, log.kept_head_hash())
        _keep(database, head)
        heard = place_of(log.word())
        _go_on(database, at_central, here, keeps_word=heard is not None and heard.store_id == here.store_id)
        clock = reading.as_event_clock()
        source = events.device_source(log.device_id)
        told = events.LogClosedData(
            institution_id=here.institution_id,
            clock=clock,
            closed_sequence=head.sequence,
            closed_hash=head.hash,
            carried=len(carried),
        )
        log.append(events.DeviceLogClosed(source=source, time=reading.wall, data=told))
        for sequence, line in carried:
            data = events.EntryCarriedData(
                institution_id=here.institution_id, clock=clock, sequence=sequence, line=line
            )
            try:
                log.append(events.DeviceEntryCarried(source=source, time=reading.wall, data=data))
            except EventTooLargeError:
                unreadable += 1
        database.execute(
            "UPDATE closed_entries SET carried_upto = ? WHERE carried_upto = 0", (log.head().sequence,)
        )
    return Closed(head, len(carried), unreadable)


def _last_common(log: DeviceLog, at_central: Head) -> int:
    """Find the last entry of which it is sure that central has it.

    Where central's head is none of ours, the histories parted somewhere before: central knows what it holds
    already by the events' ids.
    """
    own = log.head_at(at_central.sequence)
    if own is not None and own.hash == at_central.hash:
        return at_central.sequence
    return max(log.base().sequence, min(log.acknowledged(), at_central.sequence))


def _after(log: DeviceLog, sequence: int) -> Iterator[bytes]:
    rows = log.store.rows("SELECT line FROM entries WHERE sequence > ? ORDER BY sequence", sequence)
    yield from (row["line"] for row in rows)


def _sound(lines: Sequence[bytes], last_hash: str | None) -> tuple[list[tuple[int, str]], int]:
    """Take out the entries that stand as they were written; one carried over before stays as it was.

    What follows an entry carries its hash, and the last one's is noted apart: one that was altered on the
    disk is not carried on as if the device had written it.
    """
    found, unreadable = [], 0
    followed_by = [*map(_previous, lines[1:]), last_hash][: len(lines)]  # none where central has every entry
    for line, following in zip(lines, followed_by, strict=True):
        try:
            entry = chain.read_entry(line)
            if following not in (None, entry.hash):
                unreadable += 1
            elif entry.event.get("type") == _CARRIED_TYPE:
                data = entry.event["data"]
                found.append((int(data["sequence"]), str(data["line"])))
            else:
                found.append((entry.sequence, line.decode()))
        except (RenzhengError, UnicodeDecodeError, LookupError, TypeError, ValueError):
            unreadable += 1
    return found, unreadable


def _previous(line: bytes) -> str | None:
    """Read which hash an entry follows; None where it cannot be read, and so vouches for nothing."""
    try:
        return chain.read_entry(line).previous
    except RenzhengError:
        return None


def _keep(database: Database, head: Head) -> None:
    database.execute(
        "INSERT OR IGNORE INTO closed_entries SELECT ?, sequence, line, 0 FROM entries", (head.sequence,)
    )
    database.execute("DELETE FROM entries")


def _go_on(database: Database, at_central: Head, here: NewIdentity, *, keeps_word: bool) -> None:
    place = (at_central.sequence, at_central.hash)
    database.execute(
        "UPDATE log_state SET base_sequence = ?, base_hash = ?, acknowledged = ?, acknowledged_hash = ?,"
        " head_sequence = ?, head_hash = ?, word = CASE WHEN ? THEN word ELSE '' END, safe = 0",
        (*place, *place, *place, keeps_word),
    )
    database.execute("DELETE FROM device_keys")
    database.execute(
        "INSERT INTO device_keys VALUES (?, ?, ?)",
        (at_central.sequence + 1, keys.key_id(here.key), keys.public_pem(here.key)),
    )
