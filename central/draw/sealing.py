"""How the secrets of a round are kept until it is due.

The system's share of the seed lies under a key of both officers: neither of them, and nobody at central's
machine, learns the seed alone before the draw. From the draw until the round is due, the opening code lies
under a key of central's own, so that it can be handed out at the hour without anybody present.
"""

import hashlib
import secrets
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc.jwk import OKPKey

from renzheng.central.errors import DrawError

SHARE_BYTES = 32
SHORTEST_SECRET = 12
_NONCE_BYTES = 12
_SCRYPT = {"n": 2**15, "r": 8, "p": 1, "maxmem": 2**26, "dklen": 2 * SHARE_BYTES}


@dataclass(frozen=True, slots=True)
class Officer:
    """What one officer's secret stands for in one round: a share of the seed, and half of a key."""

    name: str
    share: bytes
    key_half: bytes

    def __repr__(self) -> str:
        return f"Officer({self.name!r}, …)"


def make_officer(name: str, secret: str, round_id: str) -> Officer:
    """Stretch an officer's secret (scrypt; some 80 ms and 32 MB).

    The share is published afterwards, so a secret that is used for anything else could be guessed from it.

    Raises:
        DrawError: the secret is too short to withstand guessing.
    """
    if len(secret) < SHORTEST_SECRET:
        raise DrawError(
            f"A secret has at least {SHORTEST_SECRET} characters.",
            why="It keeps the sample from everybody until the round is due.",
            do="Take four or five words that nobody would guess, new ones for each round.",
        )
    salt = f"renzheng draw officer {round_id} {name}".encode()
    stretched = hashlib.scrypt(secret.encode(), salt=salt, **_SCRYPT)
    return Officer(name, stretched[:SHARE_BYTES], stretched[SHARE_BYTES:])


def seal_share(share: bytes, officers: tuple[Officer, Officer], round_id: str) -> bytes:
    """Encrypt the system's share under a key of both officers."""
    return _seal(share, _joint_key(officers, round_id), round_id)


def open_share(sealed: bytes, officers: tuple[Officer, Officer], round_id: str) -> bytes:
    """Decrypt the system's share.

    Raises:
        DrawError: one of the two secrets is not the one of the commitment.
    """
    try:
        return _open(sealed, _joint_key(officers, round_id), round_id)
    except InvalidTag:
        raise DrawError(
            "The two secrets do not open this round.",
            why="One of them is not the one typed when the round was committed to, or they were swapped.",
            do="Type them again, in the commitment's order. Without both the round cannot be drawn.",
        ) from None


def wrap_code(code: str, round_id: str, key: OKPKey) -> bytes:
    """Encrypt an opening code under a key of central's own."""
    return _seal(code.encode(), _own_key(key), round_id)


def unwrap_code(wrapped: bytes, round_id: str, key: OKPKey) -> str:
    """Decrypt an opening code.

    Raises:
        DrawError: it was not wrapped by this central.
    """
    try:
        return _open(wrapped, _own_key(key), round_id).decode()
    except InvalidTag:
        raise DrawError(
            f"The opening code of round {round_id} cannot be read with central's key.",
            why="The key was changed since the draw, or the store was.",
            do="Restore the key; without it the round cannot be opened.",
        ) from None


def _joint_key(officers: tuple[Officer, Officer], round_id: str) -> bytes:
    first, second = officers
    material = first.key_half + second.key_half
    return HKDF(SHA256(), 32, None, f"renzheng draw share {round_id}".encode()).derive(material)


def _own_key(key: OKPKey) -> bytes:
    private = key.get_op_key("sign")
    assert isinstance(private, Ed25519PrivateKey)
    return HKDF(SHA256(), 32, None, b"renzheng draw opening code").derive(private.private_bytes_raw())


def _seal(content: bytes, key: bytes, round_id: str) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, content, round_id.encode())


def _open(sealed: bytes, key: bytes, round_id: str) -> bytes:
    return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], round_id.encode())


def seal_round(content: bytes, code: str, round_id: str) -> bytes:
    """Encrypt a drawn round under its opening code, until it is due."""
    return _seal(content, _code_key(code, round_id), round_id)


def open_round(sealed: bytes, code: str, round_id: str) -> bytes:
    """Decrypt a drawn round.

    Raises:
        DrawError: the code is not this round's, or what was sealed was altered.
    """
    try:
        return _open(sealed, _code_key(code, round_id), round_id)
    except InvalidTag:
        raise DrawError(
            f"What was sealed of round {round_id} does not open.",
            why="It was altered since the draw.",
            do="Keep the store as it is; compare with a backup from after the draw.",
        ) from None


def _code_key(code: str, round_id: str) -> bytes:
    """A code has 100 random bits: there is nothing to stretch."""
    return HKDF(SHA256(), 32, None, f"renzheng draw round {round_id}".encode()).derive(code.encode())
