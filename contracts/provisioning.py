"""How a device joins a site: a one-time code, read aloud or typed, authenticates both sides to each other.

A code is ``LLLL-SSSSS-SSSSS`` in Crockford's base 32: four characters name it (`lookup`), ten are secret
(50 bits). Request and answer are JWS in compact form, signed HS256 with a key stretched from the secret by
scrypt. So whoever sits between device and central can neither put an own key in nor an own CA out, over any
transport, and learns nothing that is secret: private keys never leave the device. A code dies with its first
use, after 15 minutes, or after `MAX_WRONG_ANSWERS` wrong ones; guessing it from an overheard request takes
2^49 scrypts.
"""

import hashlib
import re
import secrets
from typing import Annotated, Any, Literal, TypeVar

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from renzheng.contracts.errors import InputError
from renzheng.contracts.events import Purpose
from renzheng.contracts.once import read_once

REQUEST = "application/vnd.renzheng.join-request.v1"
ANSWER = "application/vnd.renzheng.join-answer.v1"
CODE_SECONDS = 15 * 60
MAX_WRONG_ANSWERS = 5
JOIN_PATH = "/join"

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LOOKUP_LENGTH, _SECRET_LENGTH = 4, 10
_READ_AS = str.maketrans("OILU", "011V")
_SCRYPT = {"n": 2**14, "r": 8, "p": 1, "dklen": 32}
_REGISTRY = jws.JWSRegistry(algorithms=["HS256"], strict_check_header=False)

Pem = Annotated[str, Field(min_length=40, max_length=8000)]


class ProvisioningError(InputError):
    """A device cannot join as asked."""


class JoinCode:
    """A one-time code; its secret shows in no log and no repr.

    Args:
        text: as typed: case, spaces and hyphens do not matter, O reads as 0, I and L as 1.

    Raises:
        ProvisioningError: it is no code.
    """

    def __init__(self, text: str) -> None:
        plain = re.sub(r"[\s-]", "", text).upper().translate(_READ_AS)
        if len(plain) != _LOOKUP_LENGTH + _SECRET_LENGTH or not set(plain) <= set(_ALPHABET):
            raise ProvisioningError(
                "That is no code for joining.",
                do="Type the fourteen letters and digits that `renzheng device provision` shows at central.",
            )
        self.lookup = plain[:_LOOKUP_LENGTH]
        self._secret = plain[_LOOKUP_LENGTH:]

    @property
    def text(self) -> str:
        """The whole code, to be shown once to the person who carries it to the device."""
        half = _SECRET_LENGTH // 2
        return f"{self.lookup}-{self._secret[:half]}-{self._secret[half:]}"

    def key(self) -> bytes:
        """Stretch the secret into the key of both messages (32 bytes; takes some 40 ms and 16 MB)."""
        return hashlib.scrypt(self._secret.encode(), salt=f"renzheng join {self.lookup}".encode(), **_SCRYPT)

    def __repr__(self) -> str:
        return f"JoinCode({self.lookup}-…)"


def new_code() -> JoinCode:
    """Make a code at random."""
    return JoinCode("".join(secrets.choice(_ALPHABET) for _ in range(_LOOKUP_LENGTH + _SECRET_LENGTH)))


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class JoinRequest(_Message):
    """What the device asks with.

    Args:
        certificate_request: PKCS #10 (PEM) for the TLS key, made on the device; its subject does not matter.
        signing_key: the public key (PEM) that will sign the device's log.
        nonce: random text, repeated in the answer, so that an old answer fits no new request.
        device_id: who the device is, where it joins again; a code for another device then does nothing.
    """

    version: Literal[1] = 1
    certificate_request: Pem
    signing_key: Pem
    nonce: Annotated[str, Field(min_length=16, max_length=64)]
    software: Annotated[str, Field(max_length=64)]
    device_id: Annotated[str, Field(min_length=1, max_length=64)] | None = None


class JoinAnswer(_Message):
    """What central answers: who the device is from now on, and whom it may believe.

    Args:
        certificate: the device's client certificate (PEM); its common name is `device_id`.
        ca_certificate: the site's CA (PEM), by which broker and central are known.
        central_key: central's public signing key (PEM), by which acknowledgements are known.
        broker_host: name or address of the broker, as in the broker's certificate.
        broker_protocol: the MQTT version that it speaks.
        log_sequence: last entry that central holds of this device; its log goes on behind it. None for a
            device that is new.
        log_hash: that entry's hash (hex).
        store_id: whose words count from now on, for a device that joins again: what it has heard of the same
            store stays the latest that it believes, so that nobody can tell it older ones.
    """

    version: Literal[1] = 1
    nonce: str
    device_id: str
    institution_id: str
    shard: str
    purpose: Purpose
    certificate: Pem
    ca_certificate: Pem
    central_key: Pem
    broker_host: str
    broker_port: Annotated[int, Field(ge=1, le=65535)]
    broker_protocol: Literal["5", "3.1.1"] = "5"
    log_sequence: Annotated[int, Field(ge=1)] | None = None
    log_hash: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    store_id: Annotated[str, Field(min_length=1, max_length=64)] | None = None


_M = TypeVar("_M", JoinRequest, JoinAnswer)


def seal_request(request: JoinRequest, code: JoinCode) -> bytes:
    """Sign a request with the code."""
    return _seal(request, code.key(), REQUEST, code.lookup)


def seal_answer(answer: JoinAnswer, key: bytes, lookup: str) -> bytes:
    """Sign an answer with the key of the code that the request came with."""
    return _seal(answer, key, ANSWER, lookup)


def read_lookup(envelope: bytes) -> str:
    """Read which code a request claims, *before* anything is verified.

    Raises:
        ProvisioningError: it is no request.
    """
    try:
        lookup = jws.extract_compact(envelope, registry=_REGISTRY).headers().get("kid")
    except (JoseError, ValueError, TypeError, AttributeError):
        lookup = None
    if not isinstance(lookup, str) or len(lookup) != _LOOKUP_LENGTH or not set(lookup) <= set(_ALPHABET):
        raise _refused()
    return lookup


def open_request(envelope: bytes, key: bytes) -> JoinRequest:
    """Verify and read a request.

    Raises:
        ProvisioningError: not signed with this code, or of another form.
    """
    return _open(envelope, key, REQUEST, JoinRequest)


def open_answer(envelope: bytes, code: JoinCode, request: JoinRequest) -> JoinAnswer:
    """Verify and read the answer to `request`.

    Raises:
        ProvisioningError: not signed with this code, of another form, or an answer to something else.
    """
    answer = _open(envelope, code.key(), ANSWER, JoinAnswer)
    if not secrets.compare_digest(answer.nonce.encode(), request.nonce.encode()):
        raise _refused()
    return answer


def _seal(message: BaseModel, key: bytes, kind: str, lookup: str) -> bytes:
    header: dict[str, Any] = {"alg": "HS256", "typ": kind, "kid": lookup}
    body = message.model_dump_json(exclude_none=True).encode()
    return jws.serialize_compact(header, body, OctKey.import_key(key), registry=_REGISTRY).encode()


def _open(envelope: bytes, key: bytes, kind: str, model: type[_M]) -> _M:
    try:
        opened = jws.deserialize_compact(envelope, OctKey.import_key(key), registry=_REGISTRY)
        if opened.headers().get("typ") == kind:
            return read_once(model, opened.payload)
    except (JoseError, ValidationError, ValueError, TypeError, AttributeError):
        pass
    raise _refused()


def _refused() -> ProvisioningError:
    return ProvisioningError(
        "The two sides do not know each other by this code.",
        why="The code was mistyped, has been used, is older than 15 minutes, or someone stands between them.",
        do="Make a new one at central: renzheng device provision",
    )
