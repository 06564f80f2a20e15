"""Ed25519 keys and the one signed envelope: JWS compact (RFC 7515, RFC 8037).

Devices sign batches with it, central signs acknowledgements with it.
"""

from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from renzheng.contracts.errors import InputError
from renzheng.contracts.ids import KeyId

ALGORITHM = "Ed25519"


class SignatureError(InputError):
    """A message is not signed as it must be."""


class _Registry(jws.JWSRegistry):
    """JWS with this contract's header members and a payload as large as one MQTT message may be."""

    max_payload_length = 200_000


_REGISTRY = _Registry(algorithms=[ALGORITHM], strict_check_header=False)


def generate_key() -> OKPKey:
    """Make a new signing key."""
    return OKPKey.import_key(Ed25519PrivateKey.generate())


def load_private_key(pem: bytes, password: bytes | None = None) -> OKPKey:
    """Read a private key (PKCS #8, PEM)."""
    return OKPKey.import_key(pem, password=password)


def load_public_key(pem: bytes | str) -> OKPKey:
    """Read a public key (SubjectPublicKeyInfo, PEM)."""
    return OKPKey.import_key(pem)


def private_pem(key: OKPKey, password: str | None = None) -> bytes:
    """Write a private key (PKCS #8, PEM), encrypted when a password is given."""
    return key.as_pem(private=True, password=password)


def public_pem(key: OKPKey) -> str:
    """Write the public half (SubjectPublicKeyInfo, PEM)."""
    return key.as_pem(private=False).decode()


def key_id(key: OKPKey) -> KeyId:
    """Name a key by its thumbprint (RFC 7638)."""
    return KeyId(key.thumbprint())


def sign(payload: bytes, key: OKPKey, kind: str, **header: str) -> bytes:
    """Wrap `payload` (at most 150,000 bytes) in a signed envelope of type `kind`."""
    protected: dict[str, Any] = {"alg": ALGORITHM, "kid": key_id(key), "typ": kind, **header}
    return jws.serialize_compact(protected, payload, key, registry=_REGISTRY).encode()


def read_header(envelope: bytes) -> dict[str, Any]:
    """Read an envelope's header *without* verifying it, to find the key by its `kid`.

    Raises:
        SignatureError: it is not a JWS in compact form.
    """
    try:
        return dict(jws.extract_compact(envelope, registry=_REGISTRY).headers())
    except (JoseError, ValueError, TypeError, AttributeError) as error:
        raise _refused(f"it is no signed envelope ({type(error).__name__})") from None


def open_signed(envelope: bytes, key: OKPKey, kind: str) -> bytes:
    """Verify an envelope and return its payload.

    Raises:
        SignatureError: malformed, of another type, or not signed by `key`.
    """
    try:
        opened = jws.deserialize_compact(envelope, key, registry=_REGISTRY)
    except (JoseError, ValueError, TypeError, AttributeError) as error:
        raise _refused(f"the signature does not hold ({type(error).__name__})") from None
    if opened.headers().get("typ") != kind:
        raise _refused(f"it is of type {str(opened.headers().get('typ'))[:40]!r}, not {kind!r}")
    return opened.payload


def _refused(what: str) -> SignatureError:
    return SignatureError(
        f"A message was refused: {what}.",
        why="Only what a known device signed counts as evidence.",
        do="Find out who sent it; the message is kept in quarantine.",
    )
