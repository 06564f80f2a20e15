"""The device's own log: an event, its place in the chain and its place in the outbox are one row.

An entry waits for central while its sequence lies above `acknowledged`, so that writing the entry *is*
queuing it: one row, one transaction, synced before `append` returns.
"""

import logging
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from joserfc.jwk import OKPKey

from renzheng.contracts import log as chain
from renzheng.contracts.events import Event
from renzheng.contracts.ids import EventId
from renzheng.contracts.log import Head
from renzheng.edge.device.store.database import Also, Store
from renzheng.edge.errors import EventTooLargeError, StoreError

LOGGER = logging.getLogger(__name__)


class DeviceLog:
    """Append to, read and check one device's log.

    Args:
        store: the device's database.
        device_id: whose log it is; a file that holds another device's is refused.

    Raises:
        StoreError: the file holds another device's log.
    """

    def __init__(self, store: Store, device_id: str) -> None:
        self.store = store
        self.device_id = device_id
        self._listeners: list[Callable[[], None]] = []
        self.appended = 0
        self.append_seconds = 0.0
        genesis = chain.genesis(device_id)
        with store.writing() as database:
            database.execute(
                "INSERT OR IGNORE INTO log_state (one, device_id, base_sequence, base_hash, acknowledged)"
                " VALUES (1, ?, ?, ?, 0)",
                (device_id, genesis.sequence, genesis.hash),
            )
        if self._state()["device_id"] != device_id:
            raise StoreError(
                f"This data folder holds the log of {self._state()['device_id']}, not of {device_id}.",
                why="A log belongs to one device for its whole life.",
                do="Set device_id back, or give the new device a data folder of its own.",
            )

    def on_append(self, listener: Callable[[], None]) -> None:
        """Call `listener` after each commit; it must return at once."""
        self._listeners.append(listener)

    def append(self, event: Event, also: Also | None = None) -> Head:
        """Write one event durably; `also` writes what must stand or fall with it.

        Returns:
            The new head, already synced to disk.

        Raises:
            EventTooLargeError: no batch could hold it.
            StoreError: nothing was written.
        """
        event_json = event.to_json()
        began = time.perf_counter()
        with self.store.writing() as database:
            entry = chain.append(self.head(), event_json)
            if len(entry.line) > chain.MAX_BATCH_BYTES:
                raise EventTooLargeError(
                    f"An event of {len(event_json)} bytes is larger than a batch of {chain.MAX_BATCH_BYTES}.",
                    why="It could never be sent, and everything after it would wait behind it.",
                    do="Put what is large into the evidence store and its id into the event.",
                )
            database.execute("INSERT INTO entries VALUES (?, ?, ?)", (entry.sequence, entry.line, event.id))
            database.execute(
                "UPDATE log_state SET head_sequence = ?, head_hash = ?", (entry.sequence, entry.hash)
            )
            if also is not None:
                also(database)
        self.appended += 1
        self.append_seconds += time.perf_counter() - began
        LOGGER.info("entry %d %s %s", entry.sequence, event.type, event.id)
        for listener in self._listeners:
            listener()
        return Head(entry.sequence, entry.hash)

    def head(self) -> Head:
        """The end of the chain.

        Its hash is the one kept when the entry was written: an entry that was altered on the disk since
        then is not followed by one that vouches for it, and shows here and at central.
        """
        last = self.store.row("SELECT sequence, line FROM entries ORDER BY sequence DESC LIMIT 1")
        if last is None:
            return self.base()
        kept = self._kept_head()
        return kept if kept.sequence == last["sequence"] else _head(last["sequence"], last["line"])

    def base(self) -> Head:
        """The entry before the first that is kept; genesis until something is pruned."""
        state = self._state()
        return Head(state["base_sequence"], state["base_hash"])

    def head_at(self, sequence: int) -> Head | None:
        """The head as it was at `sequence`; None where this device has no such entry (any more)."""
        base = self.base()
        if sequence == base.sequence:
            return base
        row = self.store.row("SELECT sequence, line FROM entries WHERE sequence = ?", sequence)
        return None if row is None else _head(row["sequence"], row["line"])

    def lines(self, after: int, limit: int) -> list[bytes]:
        """Read the entries that follow `after`, in order."""
        rows = self.store.rows(
            "SELECT line FROM entries WHERE sequence > ? ORDER BY sequence LIMIT ?", after, limit
        )
        return [row["line"] for row in rows]

    def events_about(self, person_id: str) -> Iterator[EventId]:
        """Walk the kept entries for the events whose subject a person is."""
        reached = self.base().sequence
        while lines := self.lines(reached, 1000):
            for entry in map(chain.read_entry, lines):
                reached = entry.sequence
                if entry.event.get("subject") == person_id:
                    yield EventId(entry.event["id"])
        for row in self.store.rows("SELECT line FROM closed_entries"):
            event = _event_of(row["line"])
            if event.get("subject") == person_id and isinstance(event.get("id"), str):
                yield EventId(event["id"])

    def acknowledged(self) -> int:
        """The last entry of which this device knows that central has it.

        The number counts only with the hash of its entry: one that was altered on the disk must neither
        keep entries back nor let them be pruned. Without it the device asks central anew, from its base.
        """
        state = self._state()
        base = self.base()
        if state["acknowledged"] == base.sequence:
            return base.sequence
        reached = self.head_at(state["acknowledged"])
        if reached is None or reached.hash != state["acknowledged_hash"]:
            return base.sequence
        return reached.sequence

    def acknowledge(self, upto: int, *, word: str | None = None, safe: int | None = None) -> None:
        """Keep central's word; the caller has held its head hash against `head_at`.

        Args:
            upto: the last entry that central has.
            word: the acknowledgement as central signed it, where it has a place.
            safe: last entry that this device may let go of.
        """
        reached = self.head_at(upto)
        if reached is None:
            LOGGER.error("an acknowledgement of %d is beyond this log and was not kept", upto)
            return
        with self.store.writing() as database:
            database.execute(
                "UPDATE log_state SET acknowledged = ?, acknowledged_hash = ?,"
                " word = coalesce(?, word), safe = coalesce(?, safe)",
                (upto, reached.hash, word, safe),
            )

    def word(self) -> str | None:
        """The latest acknowledgement with a place that was kept, as central signed it."""
        return self._state()["word"] or None

    def safe(self) -> int:
        """The last entry that this device may let go of: central would have it even after a restore."""
        return int(min(self._state()["safe"], self.acknowledged()))

    def waiting_since(self) -> datetime | None:
        """When the oldest entry that central does not have was written; None when it has all."""
        lines = self.lines(self.acknowledged(), 1)
        return datetime.fromisoformat(chain.read_entry(lines[0]).event["time"]) if lines else None

    def prune(self, older_than: datetime, *, most: int = 5_000, unsafe: bool = False) -> int:
        """Let go of entries that are safe at central and older than a moment; the chain's base moves on.

        Args:
            older_than: entries written from this moment on stay.
            most: how many at one time, so that a sign-in never waits long for the store.
            unsafe: also what central has acknowledged, but would lack if it were restored; only for a disk
                that has no room for the next sign-in.

        Returns:
            How many were let go; the last entry always stays.
        """
        base = self.base()
        last = min(self.acknowledged() if unsafe else self.safe(), self.head().sequence - 1)
        new_base = base
        for line in self.lines(base.sequence, most):
            entry = chain.read_entry(line)
            if entry.sequence > last or datetime.fromisoformat(entry.event["time"]) >= older_than:
                break
            new_base = Head(entry.sequence, entry.hash)
        if new_base.sequence > base.sequence:
            with self.store.writing() as database:
                database.execute("DELETE FROM entries WHERE sequence <= ?", (new_base.sequence,))
                database.execute(
                    "UPDATE log_state SET base_sequence = ?, base_hash = ?",
                    (new_base.sequence, new_base.hash),
                )
        self._prune_closed(older_than)
        return new_base.sequence - base.sequence

    def _prune_closed(self, older_than: datetime) -> None:
        """Let go of closed logs whose last entry is old, once what was carried over of them is safe."""
        with self.store.writing() as database:
            for row in self.store.rows("SELECT DISTINCT head_sequence, carried_upto FROM closed_entries"):
                last = self.store.row(
                    "SELECT line FROM closed_entries WHERE head_sequence = ? ORDER BY sequence DESC LIMIT 1",
                    row["head_sequence"],
                )
                written = _event_of(last["line"] if last else b"").get("time", "")
                old = written and datetime.fromisoformat(written) < older_than
                if old and row["carried_upto"] <= self.safe():
                    database.execute(
                        "DELETE FROM closed_entries WHERE head_sequence = ?", (row["head_sequence"],)
                    )

    def verify(self, first_key: OKPKey | None = None) -> Head:
        """Walk the whole file from its base.

        Args:
            first_key: the public key that the log begins with; with it every change of key is checked too.

        Raises:
            BrokenChainError: at the first entry that is missing, altered or no entry.
            LogError: a change of key does not hold.
            SignatureError: a change of key is not signed by both keys.
        """
        head, key = self.base(), first_key
        while lines := self.lines(head.sequence, 1000):
            for entry, reached in chain.follow(head, lines):
                head = reached
                if key is not None and chain.is_rotation(entry):
                    key = chain.open_rotation(self.device_id, entry, key)
        kept = self._kept_head()
        if kept.sequence > head.sequence:
            raise chain.BrokenChainError(
                "gap", head.sequence + 1, f"The log ends at {head.sequence}; {kept.sequence} was written."
            )
        if kept.sequence == head.sequence and kept.hash != head.hash:
            raise chain.BrokenChainError(
                "altered", head.sequence, f"Entry {head.sequence}, the last, is not as it was written."
            )
        return head

    def kept_head_hash(self) -> str | None:
        """The hash of the last entry as its append noted it; None where it was not noted."""
        return self._kept_head().hash or None

    def begin_after(self, head: Head) -> None:
        """Let a log that has no entry yet begin behind what central holds of a device of this name.

        Raises:
            StoreError: it has entries.
        """
        with self.store.writing() as database:
            if self.store.row("SELECT 1 FROM entries") is not None:
                raise StoreError(
                    f"The log of {self.device_id} has entries already.",
                    why="They would be lost.",
                    do="Let the device join with --again, which carries over what central lacks.",
                )
            here = (head.sequence, head.hash)
            database.execute(
                "UPDATE log_state SET base_sequence = ?, base_hash = ?, acknowledged = ?,"
                " acknowledged_hash = ?, head_sequence = ?, head_hash = ?",
                (*here, *here, *here),
            )

    def _kept_head(self) -> Head:
        """The head as the last append noted it; sequence 0 in a file from before it was noted."""
        state = self._state()
        return Head(state["head_sequence"], state["head_hash"])

    def _state(self) -> dict[str, Any]:
        state = self.store.row("SELECT * FROM log_state")
        assert state is not None
        return state


def _event_of(line: bytes) -> dict[str, Any]:
    """Read the event of a closed log's entry; nothing where the entry is damaged."""
    try:
        return chain.read_entry(line).event
    except chain.BrokenChainError:
        return {}


def _head(sequence: int, line: bytes) -> Head:
    return Head(sequence, chain.Entry(sequence, "", line, {}).hash)
