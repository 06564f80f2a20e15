"""What central orders of a device about one person's data, and how the device certifies what it did.

Central signs each order for one device, which fetches it at the door; the device signs a certificate of what
it destroyed or released. Both are JWS (`keys`) and are kept, so that either side can show them later. A
device carries out nothing that is not signed by the key that signs its acknowledgements.
"""

import hashlib
from typing import Annotated, Literal, TypeVar

from cryptography.hazmat.primitives import hpke
from joserfc.jwk import OKPKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from renzheng.contracts import keys
from renzheng.contracts.errors import InputError
from renzheng.contracts.events import Text, UtcDatetime
from renzheng.contracts.once import read_once

PRIVACY_PATH = "/device/v1/privacy"
"""GET: what waits for this device (`Waiting`); POST: the answer to one order (`Answer`)."""
SHARES_PATH = "/device/v1/privacy/shares"
"""POST: the halves of persons' keys that are kept apart from backups (`Shares`)."""
RESTORE_PATH = "/device/v1/privacy/restore"
"""POST: whose references a backup holds (`RestoreAsked`); answered with the halves that still exist."""
ORDER = "application/vnd.renzheng.privacy-order.v1"
CERTIFICATE = "application/vnd.renzheng.privacy-certificate.v1"
HOLDS = "application/vnd.renzheng.privacy-holds.v1"
MOST_ANSWER_BYTES = 3_000_000
SHARE_BYTES = 32
_Base64 = Annotated[str, Field(max_length=2_800_000, pattern=r"^[A-Za-z0-9+/]*={0,2}$")]
_Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class PrivacyError(InputError):
    """An order, a certificate or a request about a person's data is not as it must be."""


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Withdraw(_Message):
    """Destroy a person's references and key, and the crops that no hold keeps.

    Args:
        withdrawn_at: references captured after it, under a consent given after it, stay.
        event_ids: events of this device whose crops show the person, the latest first; the device finds
            those that are still in its log by itself.
    """

    act: Literal["withdraw"] = "withdraw"
    withdrawal_id: Text
    person_id: Text
    withdrawn_at: UtcDatetime
    event_ids: Annotated[tuple[Text, ...], Field(max_length=1000)] = ()


class Release(_Message):
    """Hand one crop over, sealed to the bureau's key, for one doubt or finding.

    Args:
        event_id: the event whose crop it is.
        purpose: what for; it stands in the device's log.
        recipient_key: X25519, raw, base64.
        allowed_by: the second person.
        second_person: a second person has to allow it here; the device refuses what only one has asked for.
        until: afterwards the device refuses.
    """

    act: Literal["release"] = "release"
    request_id: Text
    person_id: Text
    event_id: Text
    purpose: Annotated[str, Field(min_length=1, max_length=200)]
    recipient_key: Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{43}=$")]
    asked_by: Text
    allowed_by: Text | None = None
    second_person: bool = True
    until: UtcDatetime

    @property
    def allowed(self) -> bool:
        """Whether as many people stand behind it as have to."""
        return not self.second_person or (self.allowed_by is not None and self.allowed_by != self.asked_by)


CROP_SUITE = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
"""How crops are sealed (HPKE, RFC 9180, base mode)."""


def crop_info(request_id: str, event_id: str, device_id: str) -> bytes:
    """Bind a sealed crop to its request, event and device."""
    return f"renzheng crop v1\n{request_id}\n{event_id}\n{device_id}".encode()


class Order(_Message):
    """One thing that one device is to do."""

    version: Literal[1] = 1
    order_id: Text
    device_id: Text
    issued_at: UtcDatetime
    act: Annotated[Withdraw | Release, Field(discriminator="act")]


class Holds(_Message):
    """Crops that the device keeps whatever their age, as evidence in cases that are not decided.

    Args:
        event_ids: all of them; what is no longer in it may go.
    """

    version: Literal[1] = 1
    device_id: Text
    at: UtcDatetime
    event_ids: Annotated[tuple[Text, ...], Field(max_length=20_000)] = ()


class Certificate(_Message):
    """What a device did about an order.

    Args:
        order_sha256: of the order's payload, so that no certificate fits another order.
        outcome: `destroyed`; `nothing_held`: there was nothing of this person here; `released`; `not_held`:
            the crop is not here (any more); `refused`, with `reason`.
        references: how many were destroyed.
        crops: how many were deleted.
        held: how many stay for now, as evidence in a case that is not decided.
        key: the person's key was destroyed.
        wal_emptied: nothing of it is left in the write-ahead log.
        sealed_sha256: of the sealed crop that comes with it.
    """

    version: Literal[1] = 1
    order_id: Text
    device_id: Text
    order_sha256: _Hash
    at: UtcDatetime
    outcome: Literal["destroyed", "nothing_held", "released", "not_held", "refused"]
    references: Annotated[int, Field(ge=0)] = 0
    crops: Annotated[int, Field(ge=0)] = 0
    held: Annotated[int, Field(ge=0)] = 0
    key: bool = False
    wal_emptied: bool = True
    reason: Text | None = None
    sealed_sha256: _Hash | None = None


class Waiting(_Message):
    """What waits for a device: its orders, and its holds, each signed by central."""

    orders: tuple[str, ...] = ()
    holds: str | None = None


class Answer(_Message):
    """A device's answer to one order.

    Args:
        sealed: a released crop, sealed to the bureau's key, base64.
    """

    certificate: Annotated[str, Field(max_length=20_000)]
    sealed: _Base64 | None = None


class Shares(_Message):
    """Halves of persons' keys, by person: without them a backup of the device opens no reference.

    Args:
        shares: 32 bytes each, base64. The other half never leaves the device and its sealed backups.
    """

    shares: Annotated[dict[Text, _Base64], Field(max_length=20_000)]


class RestoreAsked(_Message):
    """Whose references a backup holds.

    Args:
        device_id: the device that it was taken of.
        people: their ids.
    """

    device_id: Text
    people: Annotated[tuple[Text, ...], Field(max_length=20_000)]


class RestoreAnswer(_Message):
    """What may come back.

    Args:
        shares: by person, those that still exist.
        withdrawn: who has withdrawn the consent, and when.
    """

    shares: dict[Text, _Base64]
    withdrawn: dict[Text, UtcDatetime]


_M = TypeVar("_M", Order, Certificate, Holds)


def sign(message: Order | Certificate | Holds, key: OKPKey) -> str:
    """Sign an order or holds with central's key, or a certificate with the device's."""
    kind = {Order: ORDER, Certificate: CERTIFICATE, Holds: HOLDS}[type(message)]
    return keys.sign(message.model_dump_json(exclude_none=True).encode(), key, kind).decode()


def open_order(envelope: str, key: OKPKey) -> Order:
    """Verify and read an order. Raises as `_open`."""
    return _open(Order, ORDER, envelope, key)


def open_holds(envelope: str, key: OKPKey) -> Holds:
    """Verify and read holds. Raises as `_open`."""
    return _open(Holds, HOLDS, envelope, key)


def open_certificate(envelope: str, key: OKPKey) -> Certificate:
    """Verify and read a certificate. Raises as `_open`."""
    return _open(Certificate, CERTIFICATE, envelope, key)


def _open(model: type[_M], kind: str, envelope: str, key: OKPKey) -> _M:
    """Verify and read a signed message.

    Raises:
        PrivacyError: it is not signed by `key`, or has another form.
    """
    try:
        return read_once(model, keys.open_signed(envelope.encode(), key, kind))
    except (keys.SignatureError, ValidationError, UnicodeEncodeError):
        raise PrivacyError(
            "A message about a person's data does not hold.",
            why="It is not signed by the other side, or of a version that is not known here.",
            do="Check the software versions of both sides; the order stays outstanding.",
        ) from None


def hash_of(order: Order) -> str:
    """Return the hash by which a certificate names its order."""
    return hashlib.sha256(order.model_dump_json(exclude_none=True).encode()).hexdigest()


def read_waiting(content: bytes) -> Waiting:
    """Read what the door answers.

    Raises:
        PrivacyError: it has another form.
    """
    try:
        return read_once(Waiting, content)
    except ValidationError:
        raise PrivacyError("The door's answer about persons' data cannot be read.") from None
