"""The core of the log check: entries and batches in order, the first thing that does not hold out.

Values in, values out. What central holds of a device is good when its entries run from 1 without a hole (but
for what is known to be lost since central was restored), each carries the hash of the one before, every entry
lies in a batch whose signature verifies over the stored lines by a key of that device that was not revoked
when the batch came, and the last entry is the acknowledged head.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from joserfc.jwk import OKPKey

from renzheng.contracts import keys, log
from renzheng.contracts.keys import SignatureError
from renzheng.contracts.log import Head


class Fault(StrEnum):
    """How a stored log can be wrong."""

    MISSING = "missing"
    REORDERED = "reordered"
    ALTERED = "altered"
    FORKED = "forked"
    UNSIGNED = "unsigned"
    REVOKED_KEY = "revoked_key"
    FOREIGN_KEY = "foreign_key"
    TRUNCATED = "truncated"
    UNREADABLE = "unreadable"
    PROJECTION = "projection"
    ARCHIVE = "archive"


@dataclass(frozen=True, slots=True)
class BadEntry:
    """The first entry that does not hold, and why."""

    device_id: str
    sequence: int
    fault: Fault
    detail: str


@dataclass(frozen=True, slots=True)
class LogVerified:
    """A log that holds, with its length; the first `archived` entries lie in archives and were not walked."""

    device_id: str
    entries: int
    archived: int = 0


StoredEntry = tuple[int, str, bytes]
"""An entry as the store has it: sequence number, hash (hex), exact line."""


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """What the store keeps of a batch: its span, and the envelope's header and signature."""

    first: int
    last: int
    key_id: str
    header: bytes
    signature: bytes
    received_us: int


@dataclass(frozen=True, slots=True)
class Lost:
    """Entries `first` to `last.sequence` that nobody has any more; the log goes on after `last`.

    Args:
        had: the head that central once acknowledged, in its own signed word, at `last` or behind it.
    """

    first: int
    last: Head
    had: Head


@dataclass(frozen=True, slots=True)
class StoredKey:
    """One of the device's keys.

    Args:
        revoked_us: None while it counts.
        from_sequence: first entry that it may sign.
        until_sequence: last entry that it may sign; None has no end.
        rotated: it came by a rotation entry, which then must stand in the log; else a person registered it.
    """

    public: OKPKey
    revoked_us: int | None
    from_sequence: int = 1
    until_sequence: int | None = None
    rotated: bool = False


@dataclass(frozen=True, slots=True)
class Start:
    """Where a piece of a log begins, or the one before it ended: after which entry, and the keys known there.

    Args:
        head: the last entry before the piece.
        proven: keys that the log itself has brought until there, and from which entry on each signs.
    """

    head: Head
    proven: Mapping[str, int]


class LogCheck:
    """Walks one device's log, piece by piece, and stops at the first fault.

    Args:
        device_id: whose log it is.
        acknowledged: the head that central has answered the device with.
        known_keys: the device's keys, by id.
        batches: its batches in order of their first entry.
        lost: what is known to be lost of it, in order.
        start: where the walk begins, when what lies before was archived.
    """

    def __init__(  # noqa: PLR0917 - whose, what must hold, where it begins
        self,
        device_id: str,
        acknowledged: Head,
        known_keys: Mapping[str, StoredKey],
        batches: Iterable[StoredBatch],
        lost: Iterable[Lost] = (),
        start: Start | None = None,
    ) -> None:
        self._device_id = device_id
        self._acknowledged = acknowledged
        self._keys = known_keys
        self._batches = iter(batches)
        self._batch = next(self._batches, None)
        lost = list(lost)
        self._lost = {one.first: one.last for one in lost}
        self._had = {one.had.sequence: one.had.hash for one in lost if one.had != one.last}
        start = start or Start(log.genesis(device_id), {})
        self._head, self._archived = start.head, start.head.sequence
        self._lines: list[bytes] = []  # from entry `_lines_from` on, as long as a batch still needs them
        self._lines_from = start.head.sequence + 1
        self._signed_upto = start.head.sequence
        self._proven = dict(start.proven)  # keys for which the log itself vouches, from which entry on

    def take(self, entries: Iterable[StoredEntry]) -> BadEntry | None:
        """Walk on over the next entries; None while all hold."""
        sequence, previous = self._head.sequence, self._head.hash
        for number, digest, line in entries:
            if number != sequence + 1 and sequence + 1 in self._lost:
                self._head = Head(sequence, previous)
                fault = self._pass_lost()
                if fault:
                    return fault
                sequence, previous = self._head.sequence, self._head.hash
            begins = b'{"sequence":%d,"previous":"%b","event":{' % (sequence + 1, previous.encode())
            holds = number == sequence + 1 and line.startswith(begins)
            if not (holds and hashlib.sha256(line).hexdigest() == digest):
                self._head = Head(sequence, previous)
                fault = self._step(number, digest, line)
                if fault:
                    return fault
            if number in self._had and self._had[number] != digest:
                detail = "Central once acknowledged another entry here, before it was set back."
                return self._bad(number, Fault.FORKED, detail)
            sequence, previous = number, digest
            self._lines.append(line)
        self._head = Head(sequence, previous)
        return self._verify_whole_batches()

    def end(self) -> BadEntry | LogVerified:
        """Say how it ended, after the last entry."""
        unsigned = self._verify_whole_batches() or self._unsigned()
        if unsigned:
            return unsigned
        if self._head.sequence + 1 in self._lost:
            self._pass_lost()
        if self._head.sequence < self._acknowledged.sequence:
            return self._bad(
                self._head.sequence + 1,
                Fault.TRUNCATED,
                f"The log ends at {self._head.sequence}; {self._acknowledged.sequence} was acknowledged.",
            )
        if self._head != self._acknowledged:
            return self._bad(self._head.sequence, Fault.FORKED, "The last entry is not the acknowledged one.")
        return LogVerified(self._device_id, self._head.sequence, self._archived)

    def reached(self) -> Start:
        """Return where the walk is: a later piece begins there."""
        return Start(self._head, dict(self._proven))

    def _pass_lost(self) -> BadEntry | None:
        """Go on behind entries that nobody has any more; all before them must be signed."""
        unsigned = self._verify_whole_batches() or self._unsigned()
        if unsigned:
            return unsigned
        self._head = self._lost.pop(self._head.sequence + 1)
        self._signed_upto = self._head.sequence
        self._lines, self._lines_from = [], self._head.sequence + 1
        return None

    def _step(self, number: int, digest: str, line: bytes) -> BadEntry | None:
        """Look closely at an entry that is not written as `log.append` writes it, and name what is wrong."""
        expected = self._head.sequence + 1
        if number != expected:
            return self._bad(expected, Fault.MISSING, f"After {expected - 1} comes {number}.")
        try:
            entry = log.read_entry(line)
        except log.BrokenChainError:
            return self._bad(expected, Fault.UNREADABLE, "The stored line is not an entry.")
        if entry.sequence != number:
            detail = f"The line stored as {number} says that it is {entry.sequence}."
            return self._bad(expected, Fault.REORDERED, detail)
        if hashlib.sha256(line).hexdigest() != digest:
            return self._bad(expected, Fault.ALTERED, "The line does not have the hash stored beside it.")
        if entry.previous != self._head.hash:
            return self._bad(expected, Fault.FORKED, "The entry follows another history than the one before.")
        return None

    def _verify_whole_batches(self) -> BadEntry | None:
        """Verify every batch whose last line has been walked over, and let its lines go."""
        while self._batch is not None and self._batch.last <= self._head.sequence:
            batch = self._batch
            if batch.first > self._signed_upto + 1:
                return self._unsigned()
            fault = self._verify(batch)
            if fault:
                return fault
            self._signed_upto = max(self._signed_upto, batch.last)
            self._batch = next(self._batches, None)
        still_needed = self._batch.first if self._batch else self._head.sequence + 1
        del self._lines[: max(still_needed - self._lines_from, 0)]
        self._lines_from = max(still_needed, self._lines_from)
        return None

    def _verify(self, batch: StoredBatch) -> BadEntry | None:
        key = self._keys.get(batch.key_id)
        fault = self._may_sign(batch, key)
        if fault or key is None:
            return fault
        lines = self._lines[batch.first - self._lines_from : batch.last + 1 - self._lines_from]
        payload = keys.encode(b"\n".join(lines))
        try:
            header = keys.verify_parts(batch.header, payload, batch.signature, key.public, log.BATCH)
        except SignatureError:
            detail = f"The signature over {batch.first} to {batch.last} does not hold."
            return self._bad(batch.first, Fault.UNSIGNED, detail)
        if header.get("dev") != self._device_id:
            return self._bad(batch.first, Fault.FOREIGN_KEY, "The batch names another device.")
        return self._follow_rotation(batch.last, lines[-1], key)

    def _may_sign(self, batch: StoredBatch, key: StoredKey | None) -> BadEntry | None:
        """Say why a key may not sign a batch; None when it may."""
        fault, detail = Fault.FOREIGN_KEY, ""
        if key is None:
            detail = "The batch is signed by no key of the device."
        elif key.rotated and batch.key_id not in self._proven:
            detail = "No entry of the log brought that key."
        elif batch.first < max(key.from_sequence, self._proven.get(batch.key_id, 1)):
            detail = "The key may not sign so early an entry."
        elif key.revoked_us is not None and batch.received_us >= key.revoked_us:
            fault, detail = Fault.REVOKED_KEY, "The batch came after its key was revoked."
        elif key.until_sequence is not None and batch.last > key.until_sequence:
            fault, detail = Fault.REVOKED_KEY, "The key was rotated away before that entry."
        return self._bad(batch.first, fault, detail) if detail else None

    def _follow_rotation(self, sequence: int, line: bytes, key: StoredKey) -> BadEntry | None:
        """Take note of the key that the last entry of a batch brings, if it brings one."""
        if log.ROTATION_TYPE.encode() not in line:
            return None
        entry = log.read_entry(line)
        if not log.is_rotation(entry):
            return None
        try:
            new = log.open_rotation(self._device_id, entry, key.public)
        except (SignatureError, log.LogError) as error:
            return self._bad(sequence, Fault.FOREIGN_KEY, error.what)
        self._proven[keys.key_id(new)] = sequence + 1
        return None

    def _unsigned(self) -> BadEntry | None:
        if self._signed_upto >= self._head.sequence:
            return None
        return self._bad(self._signed_upto + 1, Fault.UNSIGNED, "No batch carries the entry.")

    def _bad(self, sequence: int, fault: Fault, detail: str) -> BadEntry:
        return BadEntry(self._device_id, sequence, fault, detail)
