"""What travels beside the log: acknowledgements and status. One frozen model a message, with its version.

Version 2 of both says *which* central speaks and when, so that an old word is known for one: an
acknowledgement has a `Place`, the store that speaks, its epoch and a counter that only grows. A device that
reads version 2 says so in the header of its batches (`log.ACK_HEADER`), and sends a status of version 2 once
it has heard one.
"""

from typing import Annotated, Literal, NamedTuple, Self

from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from renzheng.contracts import keys
from renzheng.contracts.errors import InputError, RenzhengError
from renzheng.contracts.events import UtcDatetime
from renzheng.contracts.ids import topic_level
from renzheng.contracts.once import read_once

ACK = "application/vnd.renzheng.ack.v1"
ACK_2 = "application/vnd.renzheng.ack.v2"
RESUME = "application/vnd.renzheng.resume.v1"
MOVED = "application/vnd.renzheng.moved.v1"
REASSIGNED = "application/vnd.renzheng.reassigned.v1"
CENTRAL_KEY = "application/vnd.renzheng.central-key.v1"
_Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
_Name = Annotated[str, Field(min_length=1, max_length=64)]
_Sequence = Annotated[int, Field(ge=0)]
_Envelope = Annotated[str, Field(max_length=4000)]


class MessageError(InputError):
    """A message does not have the form of its contract."""


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def to_json(self) -> bytes:
        """Write the message as JSON."""
        return self.model_dump_json(exclude_none=True).encode()


class Place(NamedTuple):
    """Where an acknowledgement stands among all of one store: its epoch, and a counter within it.

    A later word of the same store has a larger epoch, or the same and a larger counter, over restarts too. An
    epoch begins when the store was restored, or found that it had been set back.
    """

    store_id: str
    epoch: int
    counter: int


class Ack(_Message):
    """Central has committed device `device_id` up to and including sequence `upto`.

    It answers every batch, taken or not: a device that reads an `upto` behind what it sent, rewinds to it.

    Args:
        head_hash: hash of entry `upto` as hex (genesis when `upto` is 0); the device holds it against its own
            chain, so a rolled-back or forked central shows at once.
        problem: why the batch that this answers was not taken, when it was not.
        store_id: with `epoch` and `counter` the word's place (version 2).
        at: when central committed what it answers (version 2).
        safe_upto: last entry that a checkpoint older than central's backup interval holds: only up to there
            may a device destroy entries and keys, as central itself could still be restored to before the
            others (version 2).
    """

    version: Literal[1, 2] = 1
    device_id: _Name
    upto: _Sequence
    head_hash: _Hash
    problem: Literal["gap", "altered", "fork", "malformed", "signature", "unknown_key", "revoked"] | None = (
        None
    )
    store_id: _Name | None = None
    epoch: Annotated[int, Field(ge=1)] | None = None
    counter: _Sequence | None = None
    at: UtcDatetime | None = None
    safe_upto: _Sequence | None = None

    @model_validator(mode="after")
    def _second_has_a_place(self) -> Self:
        added = (self.store_id, self.epoch, self.counter, self.at, self.safe_upto)
        wanted = self.version > 1
        if any((value is not None) != wanted for value in added):
            raise ValueError("version 2 has store_id, epoch, counter, at and safe_upto, version 1 has none")
        return self

    @property
    def place(self) -> Place | None:
        """Where it stands among all acknowledgements of its store; None in version 1."""
        if self.store_id is None or self.epoch is None or self.counter is None:
            return None
        return Place(self.store_id, self.epoch, self.counter)


class Status(_Message):
    """A device's retained word about itself; the last will says `offline`.

    Args:
        sequence: last entry written on the device.
        acknowledged: last entry of which the device knows that central has it.
        waiting_since: time of the oldest entry that is not acknowledged.
        status_seconds: how often the device says so; after three times as long without a word it is silent.
        halted: what keeps the device from delivering; nothing when nothing does.
        certificate_until: until when the certificate holds by which the broker knows the device.
        word: the latest acknowledgement that the device believes, as central signed it: central holds it
            against its own store, and so learns that it was set back (version 2).
        resume: a signed `Resume`, from a device that no longer has what central asks for (version 2).
    """

    version: Literal[1, 2] = 1
    device_id: _Name
    state: Literal["online", "offline"]
    sequence: _Sequence
    acknowledged: _Sequence
    waiting_since: UtcDatetime | None = None
    software: Annotated[str, Field(max_length=64)]
    at: UtcDatetime
    status_seconds: Annotated[float, Field(gt=0, le=86_400)] | None = None
    halted: Annotated[str, Field(max_length=64)] | None = None
    certificate_until: UtcDatetime | None = None
    word: _Envelope | None = None
    resume: _Envelope | None = None

    @model_validator(mode="after")
    def _first_is_short(self) -> Self:
        if self.version == 1 and (self.word or self.resume):
            raise ValueError("version 1 has neither word nor resume")
        return self


class Resume(_Message):
    """The device's log begins after `base` now; what central lacks before it, nobody has any more."""

    version: Literal[1] = 1
    device_id: _Name
    base: _Sequence
    base_hash: _Hash


class CentralKey(_Message):
    """Central signs with another key from `since` on; the old one signs this.

    Args:
        new_key: the new public key (PEM).
    """

    version: Literal[1] = 1
    new_key: Annotated[str, Field(min_length=40, max_length=2000)]
    since: UtcDatetime


class Moved(_Message):
    """The broker is to be found elsewhere from `since` on, and the door perhaps; central's key signs this.

    Args:
        host: name or address, as in the broker's certificate by the CA that devices know.
        door: address of the door (``https://central.example:8443``); None where it has not moved.
    """

    version: Literal[1] = 1
    host: Annotated[str, Field(min_length=1, max_length=253)]
    port: Annotated[int, Field(ge=1, le=65535)]
    door: Annotated[str, Field(pattern=r"^https://[A-Za-z0-9._:\[\]-]{1,260}$")] | None = None
    since: UtcDatetime


class Reassigned(_Message):
    """The device belongs to another shard from `since` on; central's key signs this.

    Args:
        shard: the level of its topics from then on.
    """

    version: Literal[1] = 1
    device_id: _Name
    shard: _Name
    since: UtcDatetime

    @field_validator("shard")
    @classmethod
    def _shard_is_a_topic_level(cls, shard: str) -> str:
        try:
            return topic_level(shard, "shard")
        except InputError as error:
            raise ValueError(str(error)) from None


def sign_ack(ack: Ack, key: OKPKey) -> bytes:
    """Sign an acknowledgement with central's key: nobody else can make a device forget."""
    return keys.sign(ack.to_json(), key, ACK if ack.version == 1 else ACK_2)


def open_ack(envelope: bytes, key: OKPKey) -> Ack:
    """Verify and read an acknowledgement.

    Raises:
        SignatureError: not signed by `key`.
        MessageError: signed, but of another form.
    """
    kind = ACK_2 if keys.read_header(envelope).get("typ") == ACK_2 else ACK
    try:
        ack = read_once(Ack, keys.open_signed(envelope, key, kind))
    except ValidationError:
        raise _misformed("acknowledgement") from None
    if (ack.version == 1) != (kind == ACK):
        raise _misformed("acknowledgement")
    return ack


def sign_resume(resume: Resume, key: OKPKey) -> str:
    """Sign with the key that signs the entry after `base`."""
    return keys.sign(resume.to_json(), key, RESUME).decode()


def open_resume(envelope: bytes, key: OKPKey) -> Resume:
    """Verify and read where a device's log goes on.

    Raises:
        SignatureError: not signed by `key`.
        MessageError: signed, but of another form.
    """
    try:
        return read_once(Resume, keys.open_signed(envelope, key, RESUME))
    except ValidationError:
        raise _misformed("word on where a log goes on") from None


def sign_central_key(changed: CentralKey, old: OKPKey) -> bytes:
    """Let central's old key vouch for its new one."""
    return keys.sign(changed.to_json(), old, CENTRAL_KEY)


def open_central_key(envelope: bytes, old: OKPKey) -> OKPKey:
    """Verify a change of central's key, and return the new one.

    Raises:
        SignatureError: not signed by `old`.
        MessageError: signed, but of another form, or it holds no key.
    """
    try:
        changed = read_once(CentralKey, keys.open_signed(envelope, old, CENTRAL_KEY))
        return keys.load_public_key(changed.new_key)
    except (ValueError, TypeError, JoseError):
        raise _misformed("change of central's key") from None


def sign_moved(moved: Moved, key: OKPKey) -> bytes:
    """Let central say where its broker is to be found."""
    return keys.sign(moved.to_json(), key, MOVED)


def open_moved(envelope: bytes, key: OKPKey) -> Moved:
    """Verify and read where the broker is to be found.

    Raises:
        SignatureError: not signed by `key`.
        MessageError: signed, but of another form.
    """
    try:
        return Moved.model_validate_json(keys.open_signed(envelope, key, MOVED))
    except ValidationError:
        raise _misformed("word on where central is") from None


def read_kept_moved(envelope: bytes | None) -> Moved | None:
    """Read a kept word on where central is, which was verified when it came; None if it cannot be read."""
    try:
        return None if envelope is None else Moved.model_validate_json(keys.decode(keys.split(envelope)[1]))
    except (RenzhengError, ValueError):
        return None


def sign_reassigned(reassigned: Reassigned, key: OKPKey) -> bytes:
    """Let central say to which shard a device belongs."""
    return keys.sign(reassigned.to_json(), key, REASSIGNED)


def open_reassigned(envelope: bytes, key: OKPKey) -> Reassigned:
    """Verify and read to which shard a device belongs.

    Raises:
        SignatureError: not signed by `key`.
        MessageError: signed, but of another form.
    """
    try:
        return read_once(Reassigned, keys.open_signed(envelope, key, REASSIGNED))
    except ValidationError:
        raise _misformed("word on a device's shard") from None


def is_reassigned(envelope: bytes) -> bool:
    """Whether an envelope claims to name a device's shard; that proves nothing yet."""
    return keys.read_header(envelope).get("typ") == REASSIGNED


def is_moved(envelope: bytes) -> bool:
    """Whether an envelope claims to say where the broker is; that proves nothing yet."""
    return keys.read_header(envelope).get("typ") == MOVED


def parse_status(payload: bytes) -> Status:
    """Read a status message.

    Raises:
        MessageError: it has another form.
    """
    try:
        return read_once(Status, payload)
    except ValidationError:
        raise _misformed("status") from None


def _misformed(kind: str) -> MessageError:
    return MessageError(
        f"A message is no {kind} of a version that is known here.",
        why="What cannot be read is not acted on.",
        do="Check the software versions of both sides.",
    )
