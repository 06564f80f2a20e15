"""A device's log: a chain of entries, sent in signed batches.

An *entry* is one line of JSON, ``{"sequence":n,"previous":"<hex>","event":{...}}``. Its hash is SHA-256 over
the line's exact bytes, so nothing depends on how JSON is written. `previous` is the hash of the entry before;
the first entry's is `genesis(device_id)`, so a chain cannot be replayed under another device's name.

A *batch* is a JWS whose payload is up to `MAX_BATCH_ENTRIES` entries, one a line, and whose header names the
device. One signature thus stands for many events (28 to 49 times the throughput of signing each).

A *rotation* is an entry like any other, of type ``device.key_rotated``: it carries the new public key and the
statement "this device, this sequence, after this entry, this key" signed by both keys. The batch that ends
with it is the last one that the old key signs; every later entry is signed by the new one.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from renzheng.contracts import keys
from renzheng.contracts.errors import InputError
from renzheng.contracts.once import loads_once

BATCH = "application/vnd.renzheng.batch.v1"
ROTATION = "application/vnd.renzheng.rotation.v1"
ROTATION_TYPE = "renzheng.v1.device.key_rotated"
MAX_BATCH_ENTRIES = 100
MAX_BATCH_BYTES = 120_000
HASH_HEX_LENGTH = 64
ACK_HEADER = "ack"
"""Member of a batch's header that names the newest version of acknowledgements its sender reads."""


class LogError(InputError):
    """A log or a batch is not what a device of this contract writes."""


class BrokenChainError(LogError):
    """An entry does not follow from the one before it.

    Attributes `problem` (``gap``, ``altered``, ``malformed``) and `sequence` say what and where.
    """

    def __init__(self, problem: str, sequence: int, what: str) -> None:
        super().__init__(
            what,
            why="A chain that does not hold shows a lost, reordered or altered entry.",
            do="Keep the message and the device's own file; compare them with `renzheng device log verify`.",
            problem=problem,
            sequence=sequence,
        )
        self.problem = problem
        self.sequence = sequence


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a chain: the last sequence number (0 when empty) and the hash of that entry, as hex."""

    sequence: int
    hash: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: its place, the hash it follows, its exact line, and the event as parsed JSON."""

    sequence: int
    previous: str
    line: bytes
    event: dict[str, Any]

    @property
    def hash(self) -> str:
        """SHA-256 of the line, as hex."""
        return hashlib.sha256(self.line).hexdigest()


def genesis(device_id: str) -> Head:
    """The head of a log without entries."""
    return Head(0, hashlib.sha256(b"renzheng log v1 " + device_id.encode()).hexdigest())


def append(head: Head, event_json: bytes) -> Entry:
    """Make the entry that follows `head`; `event_json` is an event's own JSON bytes, kept as they are."""
    sequence = head.sequence + 1
    line = b'{"sequence":%d,"previous":"%s","event":%s}' % (sequence, head.hash.encode(), event_json)
    return Entry(sequence, head.hash, line, orjson.loads(event_json))


def read_entry(line: bytes) -> Entry:
    """Read one line.

    Raises:
        BrokenChainError: it is not an entry (problem ``malformed``).
    """
    try:
        value = loads_once(line)
    except ValueError:
        value = None
    if isinstance(value, dict) and value.keys() == {"sequence", "previous", "event"}:
        sequence, previous, event = value["sequence"], value["previous"], value["event"]
        right = type(sequence) is int and isinstance(previous, str) and isinstance(event, dict)
        if right and sequence >= 1 and len(previous) == HASH_HEX_LENGTH:
            return Entry(sequence, previous, line, event)
    raise BrokenChainError("malformed", 0, "A line of the log is not an entry.")


def follow(head: Head, lines: Iterable[bytes]) -> Iterator[tuple[Entry, Head]]:
    """Walk `lines` from `head`, yielding each entry with the head it makes.

    Raises:
        BrokenChainError: at the first line that is malformed, out of sequence or does not carry the hash
            of the line before it.
    """
    for line in lines:
        entry = read_entry(line)
        if entry.sequence != head.sequence + 1:
            raise BrokenChainError(
                "gap", entry.sequence, f"Entry {entry.sequence} stands where {head.sequence + 1} belongs."
            )
        if entry.previous != head.hash:
            raise BrokenChainError(
                "altered",
                entry.sequence,
                f"Entry {entry.sequence} does not carry the hash of {head.sequence}.",
            )
        head = Head(entry.sequence, hashlib.sha256(line).hexdigest())
        yield entry, head


_BEGINS = re.compile(rb'\{"sequence":([1-9][0-9]{0,17}),"previous":"([0-9a-f]{64})","event":\{')


def head_before(line: bytes) -> Head:
    """Return the head that an entry says it follows; what follows the beginning of its line is for `walk`.

    Raises:
        BrokenChainError: as `read_entry`, where the line does not begin as `append` writes it.
    """
    begins = _BEGINS.match(line)
    if begins is not None:
        return Head(int(begins[1]) - 1, begins[2].decode())
    entry = read_entry(line)
    return Head(entry.sequence - 1, entry.previous)


class Link(NamedTuple):
    """One entry on the way along a chain: its place, its hash as hex, its exact line, its event's JSON."""

    sequence: int
    hash: str
    line: bytes
    event_json: bytes


def walk(head: Head, lines: Iterable[bytes]) -> Iterator[Link]:
    """Walk `lines` from `head` like `follow`, without reading the events: five times as fast.

    A line that begins as `append` writes it is taken apart by position; whether the event in it is JSON shows
    when it is read. Any other line is read in full.

    Raises:
        BrokenChainError: as `follow`.
    """
    sequence, previous = head.sequence, head.hash
    for line in lines:
        sequence += 1
        expected = b'{"sequence":%d,"previous":"%b","event":{' % (sequence, previous.encode())
        if line.startswith(expected) and line.endswith(b"}}"):
            event_json = line[len(expected) - 1 : -1]
        else:
            ((entry, _),) = follow(Head(sequence - 1, previous), [line])
            event_json = orjson.dumps(entry.event)
        previous = hashlib.sha256(line).hexdigest()
        yield Link(sequence, previous, line, event_json)


@dataclass(frozen=True, slots=True)
class Batch:
    """A verified batch: who signed it, with which key, and its lines, not yet followed along the chain.

    `header` and `signature` are the envelope's first and last part, as they stand between the dots.
    """

    device_id: str
    key_id: str
    lines: Sequence[bytes]
    header: bytes
    signature: bytes


def cut_batch(lines: Iterable[bytes], most_bytes: int = MAX_BATCH_BYTES) -> list[bytes]:
    """Take from `lines` as many as fit one batch of `most_bytes`; always at least one if there is one."""
    taken: list[bytes] = []
    size = 0
    for line in lines:
        size += len(line) + 1
        if taken and (len(taken) == MAX_BATCH_ENTRIES or size > most_bytes):
            break
        taken.append(line)
    return taken


def sign_batch(device_id: str, lines: Sequence[bytes], key: OKPKey, *, ack_version: int = 1) -> bytes:
    """Sign entries as one batch; `ack_version` is the newest version of acknowledgements that is understood.

    Raises:
        LogError: no lines, more than `MAX_BATCH_ENTRIES`, or a line that holds a newline.
    """
    if not 1 <= len(lines) <= MAX_BATCH_ENTRIES or any(b"\n" in line for line in lines):
        raise LogError(f"A batch has 1 to {MAX_BATCH_ENTRIES} lines, each without a newline.")
    understood = {ACK_HEADER: str(ack_version)} if ack_version > 1 else {}
    return keys.sign(b"\n".join(lines), key, BATCH, dev=device_id, **understood)


@dataclass(frozen=True, slots=True)
class BatchHeader:
    """What a batch says of itself *before* anything is verified."""

    device_id: str
    key_id: str
    ack_version: int = 1


def read_batch_header(envelope: bytes) -> BatchHeader:
    """Read which device and key a batch claims, to look the key up.

    Raises:
        SignatureError: it is no envelope.
        LogError: the header does not name device and key.
    """
    return _batch_header(keys.read_header(envelope))


def _batch_header(header: Mapping[str, Any]) -> BatchHeader:
    device_id, kid = header.get("dev"), header.get("kid")
    if not isinstance(device_id, str) or not isinstance(kid, str):
        raise LogError("A batch does not name its device and key.", do="Check the sender's software version.")
    return BatchHeader(device_id, kid, 2 if header.get(ACK_HEADER) == "2" else 1)


def open_batch(envelope: bytes, key: OKPKey) -> Batch:
    """Verify a batch's signature and take it apart; the chain is the caller's to `follow`.

    Raises:
        SignatureError: not signed by `key`, or not a batch.
        LogError: too many lines.
    """
    header, payload, signature = keys.split(envelope)
    said = _batch_header(keys.verify_parts(header, payload, signature, key, BATCH))
    lines = keys.decode(payload).split(b"\n")
    if len(lines) > MAX_BATCH_ENTRIES:
        raise LogError(f"A batch holds {len(lines)} entries; {MAX_BATCH_ENTRIES} is the most.")
    return Batch(said.device_id, said.key_id, lines, header, signature)


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a rotation entry carries: the new public key (PEM) and the statement, signed by both keys."""

    new_key: str
    signed_by_old: str
    signed_by_new: str


def sign_rotation(device_id: str, head: Head, old: OKPKey, new: OKPKey) -> Rotation:
    """Sign a change of key that will be the entry after `head`; the event carries the result."""
    pem = keys.public_pem(new)
    statement = _rotation_statement(device_id, head.sequence + 1, head.hash, pem)
    signed = (keys.sign(statement, key, ROTATION).decode() for key in (old, new))
    return Rotation(pem, *signed)


def claimed_first(envelope: bytes) -> int:
    """Read the sequence that a batch's first entry claims, *before* anything is verified; 0 for none."""
    try:
        payload = keys.decode(keys.split(envelope)[1])
        return read_entry(payload.split(b"\n", 1)[0]).sequence
    except InputError:
        return 0


def is_rotation(entry: Entry) -> bool:
    """Tell whether an entry changes the device's key."""
    return entry.event.get("type") == ROTATION_TYPE


def open_rotation(device_id: str, entry: Entry, old: OKPKey) -> OKPKey:
    """Verify a rotation entry and return the key that signs from the next entry on.

    Args:
        device_id: whose log it stands in.
        entry: an entry for which `is_rotation` holds.
        old: the key that is valid up to and including this entry.

    Raises:
        SignatureError: one of the two signatures does not hold.
        LogError: the entry carries no key, or a statement about another place, device or key.
    """
    data = entry.event.get("data")
    values = [data.get(name) if isinstance(data, dict) else None for name in Rotation.__slots__]
    if not all(isinstance(value, str) for value in values):
        raise LogError(f"Entry {entry.sequence} changes the key without naming one.")
    rotation = Rotation(*(str(value) for value in values))
    try:
        new = keys.load_public_key(rotation.new_key)
    except (ValueError, TypeError, JoseError):
        raise LogError(f"Entry {entry.sequence} carries no readable key.") from None
    wanted = _rotation_statement(device_id, entry.sequence, entry.previous, rotation.new_key)
    for signed, key in ((rotation.signed_by_old, old), (rotation.signed_by_new, new)):
        if keys.open_signed(signed.encode(), key, ROTATION) != wanted:
            raise LogError(
                f"The change of key in entry {entry.sequence} was signed for another place.",
                why="A signed change of key must not be used again elsewhere.",
                do="Treat the device as compromised until it is looked at.",
            )
    return new


def _rotation_statement(device_id: str, sequence: int, previous: str, new_key: str) -> bytes:
    statement = {"device_id": device_id, "sequence": sequence, "previous": previous, "new_key": new_key}
    return orjson.dumps(statement, option=orjson.OPT_SORT_KEYS)
