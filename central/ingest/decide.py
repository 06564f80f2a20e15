"""The core of the ingest: what a device sent, set against what central holds of it.

Values in, values out. A batch ends in one of three ways: `Commit` these entries, all are `AlreadyStored`, or
`Refused` with a named problem. Nothing here reads a clock, a database or a network.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from joserfc.jwk import OKPKey

from renzheng.central.store.device_state import DeviceKey, DeviceState
from renzheng.central.store.hashes import same_hash
from renzheng.contracts import log
from renzheng.contracts.keys import SignatureError, key_id
from renzheng.contracts.log import Head, Link

_ROTATION = log.ROTATION_TYPE.encode()


class Problem(StrEnum):
    """Why a message was not taken; each is an alarm of its own."""

    UNKNOWN_DEVICE = "unknown_device"
    WRONG_DEVICE = "wrong_device"
    UNKNOWN_KEY = "unknown_key"
    REVOKED = "revoked"
    SIGNATURE = "signature"
    MALFORMED = "malformed"
    ALTERED = "altered"
    GAP = "gap"
    FORK = "fork"


@dataclass(frozen=True, slots=True)
class OpenedBatch:
    """A batch whose signature and inner chain hold; not yet set against the device's head.

    `before` is the hash that the first entry says it follows.

    `header` and `signature` are the envelope's first and last part: with the entries' lines they are all
    that is needed to verify the signature again, years later.
    """

    key_id: str
    before: str
    entries: tuple[Link, ...]
    header: bytes
    signature: bytes
    ack_version: int = 1

    @property
    def first(self) -> int:
        """Sequence number of the first entry."""
        return self.entries[0].sequence

    @property
    def last(self) -> int:
        """Sequence number of the last entry."""
        return self.entries[-1].sequence


@dataclass(frozen=True, slots=True)
class Refused:
    """The batch was not taken; `sequence` is where it does not hold, when that is known."""

    problem: Problem
    detail: str
    sequence: int | None = None


@dataclass(frozen=True, slots=True)
class AlreadyStored:
    """Every entry of the batch is in the store as it was sent; a resend, harmless."""


@dataclass(frozen=True, slots=True)
class Commit:
    """These entries follow the head without a hole; the last of them is the new head."""

    entries: tuple[Link, ...]
    head: Head


def open_message(device: DeviceState | None, envelope: bytes) -> OpenedBatch | Refused:
    """Verify a message that came on a device's topic.

    Args:
        device: what central holds of the device that the topic names; None when it holds nothing.
        envelope: the message's bytes, as they came.
    """
    if device is None:
        return Refused(Problem.UNKNOWN_DEVICE, "The device is not registered.")
    try:
        header = log.read_batch_header(envelope)
    except SignatureError as error:
        return Refused(Problem.SIGNATURE, error.what)
    except log.LogError as error:
        return Refused(Problem.MALFORMED, error.what)
    key = _find_key(device, header, envelope)
    return key if isinstance(key, Refused) else _open(envelope, header, key)


def _find_key(device: DeviceState, header: log.BatchHeader, envelope: bytes) -> OKPKey | Refused:
    """Find the key that a batch names.

    A batch that lies beyond what is here may be signed by a key that an entry in between brings, as after a
    change of key that this store lost when it was set back: that is a gap, and nobody's forgery.
    """
    if header.device_id != device.device_id:
        return Refused(Problem.WRONG_DEVICE, f"The batch names the device {header.device_id[:64]!r}.")
    key = device.keys.get(header.key_id)
    if key is None and log.claimed_first(envelope) > device.head.sequence + 1:
        detail = f"The device has no key {header.key_id[:64]!r} yet; an entry that is missing may bring it."
        return Refused(Problem.GAP, detail, log.claimed_first(envelope))
    if key is None:
        return Refused(Problem.UNKNOWN_KEY, f"The device has no key {header.key_id[:64]!r}.")
    if device.revoked or key.revoked:
        return Refused(Problem.REVOKED, "The device or its key was revoked.")
    return key.public


def _open(envelope: bytes, said: log.BatchHeader, public: OKPKey) -> OpenedBatch | Refused:
    try:
        batch = log.open_batch(envelope, public)
        before = log.head_before(batch.lines[0])
        entries = tuple(log.walk(before, batch.lines))
    except SignatureError as error:
        return Refused(Problem.SIGNATURE, error.what)
    except log.BrokenChainError as error:
        problem = Problem.MALFORMED if error.problem == "malformed" else Problem.ALTERED
        return Refused(problem, error.what, error.sequence or None)
    except log.LogError as error:
        return Refused(Problem.MALFORMED, error.what)
    parts = (batch.header, batch.signature)
    return OpenedBatch(said.key_id, before.hash, entries, *parts, said.ack_version)


def place(head: Head, opened: OpenedBatch, stored: Mapping[int, str]) -> Commit | AlreadyStored | Refused:
    """Set an opened batch against the device's head.

    Args:
        head: the end of the chain that central holds.
        opened: the batch.
        stored: hashes of the stored entries whose sequence numbers the batch repeats (at least those); of
            pruned ones their beginnings.
    """
    if opened.first > head.sequence + 1:
        return Refused(
            Problem.GAP, f"Entry {head.sequence + 1} is missing before {opened.first}.", opened.first
        )
    for link in opened.entries[: max(head.sequence - opened.first + 1, 0)]:
        held = stored.get(link.sequence)
        if held is not None and not same_hash(held, link.hash):
            return _fork(link.sequence)
    fresh = opened.entries[max(head.sequence - opened.first + 1, 0) :]
    if not fresh:
        return AlreadyStored()
    known = len(opened.entries) - len(fresh)
    if (opened.entries[known - 1].hash if known else opened.before) != head.hash:
        return _fork(head.sequence)
    return Commit(fresh, Head(fresh[-1].sequence, fresh[-1].hash))


def follow_rotation(device: DeviceState, opened: OpenedBatch, upto: int) -> DeviceState | Refused:
    """Take a batch's change of key, if it has one, into the device's state.

    Args:
        device: the state before the batch.
        opened: the batch, whose key is among the device's.
        upto: last entry whose rotation is known already.

    Returns:
        The state with the new key, the same state when no key changes, or why the batch cannot stand.
    """
    links = [link for link in opened.entries if link.sequence > upto and _ROTATION in link.line]
    rotations = [link for link in links if log.is_rotation(log.read_entry(link.line))]
    if not rotations:
        return device
    link = rotations[0]
    if link.sequence != opened.last:
        detail = f"Entry {link.sequence} changes the key, yet the old one signs on."
        return Refused(Problem.REVOKED, detail, link.sequence)
    old = device.keys[opened.key_id]
    try:
        new = log.open_rotation(device.device_id, log.read_entry(link.line), old.public)
    except (SignatureError, log.LogError) as error:
        return Refused(Problem.SIGNATURE, error.what, link.sequence)
    ended = replace(old, until_sequence=link.sequence)
    begun = DeviceKey(new, revoked=False, from_sequence=link.sequence + 1)
    return replace(device, keys={**device.keys, opened.key_id: ended, key_id(new): begun})


def _fork(sequence: int) -> Refused:
    detail = f"Entry {sequence} is not the one that was acknowledged: the device has two histories."
    return Refused(Problem.FORK, detail, sequence)


def sha256_hex(payload: bytes) -> str:
    """Name a refused message by its content."""
    return hashlib.sha256(payload).hexdigest()
