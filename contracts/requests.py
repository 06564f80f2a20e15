"""Signed calls from a device to central's door over HTTPS: rosters, rounds, released evidence.

A call carries ``Authorization: Renzheng <JWS>``: method, target, the body's hash, a moment and a nonce,
signed with the key that signs the device's log, so that one identity serves both ways in. The door knows the
device by the key's id; TLS shows the device that it speaks with its own site.
"""

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Annotated, Literal

import orjson
from joserfc.jwk import OKPKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from renzheng.contracts import keys
from renzheng.contracts.errors import InputError
from renzheng.contracts.events import UtcDatetime
from renzheng.contracts.once import read_once

KIND = "application/vnd.renzheng.request.v1+json"
SCHEME = "Renzheng"
FRESH = timedelta(minutes=5)
"""How far the moment in a call may lie from the door's clock."""

INPATIENTS_PATH = "/device/v1/inpatients"
ROUNDS_PATH = "/device/v1/rounds"
OPENINGS_PATH = "/device/v1/openings"
CERTIFICATE_PATH = "/device/v1/certificate"
"""A device hands in a certificate request (PKCS #10, PEM) and gets its next certificate (PEM)."""
DATE_HEADER = "Renzheng-Date"
"""The door's clock (RFC 3339) in every answer: a device whose clock is off signs again by this one."""


class RequestError(InputError):
    """A call to the door is not signed as it must be."""


class SignedRequest(BaseModel):
    """What a call says of itself.

    Args:
        method: the HTTP method, in capitals.
        target: path and query, as sent.
        body_sha256: of the body, in hexadecimal; of the empty string when there is none.
        at: when the caller signed it, by its own clock.
        nonce: random text; the door takes each only once within `FRESH`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    method: Literal["GET", "POST", "PUT"]
    target: Annotated[str, Field(pattern=r"^/[\x21-\x7e]{0,1000}$")]
    body_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    at: UtcDatetime
    nonce: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{16,64}$")]


def sign_request(
    key: OKPKey, method: Literal["GET", "POST", "PUT"], target: str, body: bytes, now: datetime
) -> str:
    """Make the `Authorization` header of a call."""
    said = SignedRequest(
        method=method,
        target=target,
        body_sha256=hashlib.sha256(body).hexdigest(),
        at=now,
        nonce=secrets.token_urlsafe(18),
    )
    return f"{SCHEME} {keys.sign(orjson.dumps(said.model_dump(mode='json')), key, KIND).decode()}"


def signer(header: str | None) -> str:
    """Read the id of the key that a header claims to be signed with, *without* verifying it.

    Raises:
        RequestError: there is no such header, or it is none of this scheme.
    """
    scheme, _, envelope = (header or "").partition(" ")
    if scheme != SCHEME or not envelope:
        raise RequestError("The call is not signed.", do="Call the door through the device's agent.")
    try:
        return str(keys.read_header(envelope.encode()).get("kid", ""))
    except (keys.SignatureError, UnicodeEncodeError):
        raise RequestError("The call's signature cannot be read.") from None


def open_request(  # noqa: PLR0917 - each is compared with what was signed
    header: str, key: OKPKey, method: str, target: str, body: bytes, now: datetime
) -> SignedRequest:
    """Verify a call against the key of the device that it names.

    Raises:
        RequestError: not signed by `key`, signed for another call, or stale.
    """
    try:
        payload = keys.open_signed(header.partition(" ")[2].encode(), key, KIND)
        said = read_once(SignedRequest, payload)
    except (keys.SignatureError, ValidationError, UnicodeEncodeError):
        raise RequestError("The call's signature does not hold.") from None
    asked = (said.method, said.target, said.body_sha256)
    if asked != (method, target, hashlib.sha256(body).hexdigest()):
        raise RequestError("The signature belongs to another call.")
    if abs(said.at - now) > FRESH:
        raise RequestError(
            f"The call was signed {abs(said.at - now)} away from this clock.",
            why="An old call could be a recorded one.",
            do=f"Sign again by the clock in {DATE_HEADER}.",
        )
    return said
