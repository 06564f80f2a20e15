"""What travels beside the log: acknowledgements and status. One frozen model a message, with its version."""

from typing import Annotated, Literal

from joserfc.jwk import OKPKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from renzheng.contracts import keys
from renzheng.contracts.errors import InputError
from renzheng.contracts.events import UtcDatetime

ACK = "application/vnd.renzheng.ack.v1"


class MessageError(InputError):
    """A message does not have the form of its contract."""


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def to_json(self) -> bytes:
        """Write the message as JSON."""
        return self.model_dump_json(exclude_none=True).encode()


class Ack(_Message):
    """Central has committed device `device_id` up to and including sequence `upto`.

    It answers every batch, taken or not: a device that reads an `upto` behind what it sent, rewinds to it.

    Args:
        head_hash: hash of entry `upto` as hex (genesis when `upto` is 0); the device holds it against its own
            chain, so a rolled-back or forked central shows at once.
        problem: why the batch that this answers was not taken, when it was not.
    """

    version: Literal[1] = 1
    device_id: Annotated[str, Field(min_length=1, max_length=64)]
    upto: Annotated[int, Field(ge=0)]
    head_hash: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    problem: Literal["gap", "altered", "fork", "malformed", "signature", "unknown_key", "revoked"] | None = (
        None
    )


class Status(_Message):
    """A device's retained word about itself; the last will says `offline`.

    Args:
        sequence: last entry written on the device.
        acknowledged: last entry of which the device knows that central has it.
        waiting_since: time of the oldest entry that is not acknowledged.
        status_seconds: how often the device says so; after three times as long without a word it is silent.
        halted: what keeps the device from sending, until somebody acts; empty when nothing does.
        certificate_until: until when the certificate holds by which the broker knows the device.
    """

    version: Literal[1] = 1
    device_id: Annotated[str, Field(min_length=1, max_length=64)]
    state: Literal["online", "offline"]
    sequence: Annotated[int, Field(ge=0)]
    acknowledged: Annotated[int, Field(ge=0)]
    waiting_since: UtcDatetime | None = None
    software: Annotated[str, Field(max_length=64)]
    at: UtcDatetime
    status_seconds: Annotated[float, Field(gt=0, le=86_400)] | None = None
    halted: Annotated[str, Field(max_length=64)] | None = None
    certificate_until: UtcDatetime | None = None


def sign_ack(ack: Ack, key: OKPKey) -> bytes:
    """Sign an acknowledgement with central's key: nobody else can make a device forget."""
    return keys.sign(ack.to_json(), key, ACK)


def open_ack(envelope: bytes, key: OKPKey) -> Ack:
    """Verify and read an acknowledgement.

    Raises:
        SignatureError: not signed by `key`.
        MessageError: signed, but of another form.
    """
    try:
        return Ack.model_validate_json(keys.open_signed(envelope, key, ACK))
    except ValidationError:
        raise _misformed("acknowledgement") from None


def parse_status(payload: bytes) -> Status:
    """Read a status message.

    Raises:
        MessageError: it has another form.
    """
    try:
        return Status.model_validate_json(payload)
    except ValidationError:
        raise _misformed("status") from None


def _misformed(kind: str) -> MessageError:
    return MessageError(
        f"A message is no {kind} of version 1.",
        why="What cannot be read is not acted on.",
        do="Check the software versions of both sides.",
    )
