"""Files that hold keys or references, sealed under a passphrase: scrypt and AES-256-GCM.

    renzheng sealed v1, newline, <salt, 16 bytes> <nonce, 12 bytes> <ciphertext and tag>

The first line is authenticated with it.
"""

import hashlib
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from renzheng.contracts.errors import InputError

_HEADER = b"renzheng sealed v1\n"
_SALT, _NONCE = 16, 12
_SCRYPT = {"n": 2**15, "r": 8, "p": 1, "maxmem": 64 * 2**20, "dklen": 32}
SHORTEST_PASSPHRASE = 12


class SealError(InputError):
    """A sealed file cannot be made or opened so."""


def read_passphrase(path: Path) -> str:
    """Read a passphrase from a file of one line.

    Raises:
        SealError: it cannot be read, or is shorter than `SHORTEST_PASSPHRASE` characters.
    """
    try:
        passphrase = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SealError(f"The passphrase's file {path} cannot be read: {error}.") from None
    if len(passphrase) < SHORTEST_PASSPHRASE:
        raise SealError(
            f"A passphrase has at least {SHORTEST_PASSPHRASE} characters.",
            why="Whoever finds the file may try as long as they like.",
            do="Make one of several random words, and keep it apart from the backup.",
        )
    return passphrase


def seal(content: bytes, passphrase: str) -> bytes:
    """Seal `content`."""
    salt, nonce = secrets.token_bytes(_SALT), secrets.token_bytes(_NONCE)
    return _HEADER + salt + nonce + AESGCM(_stretch(passphrase, salt)).encrypt(nonce, content, _HEADER)


def unseal(sealed: bytes, passphrase: str) -> bytes:
    """Open what `seal` made.

    Raises:
        SealError: another passphrase, or it was changed.
    """
    start = len(_HEADER)
    salt, nonce = sealed[start : start + _SALT], sealed[start + _SALT : start + _SALT + _NONCE]
    if sealed.startswith(_HEADER) and len(nonce) == _NONCE:
        try:
            cipher = AESGCM(_stretch(passphrase, salt))
            return cipher.decrypt(nonce, sealed[start + _SALT + _NONCE :], _HEADER)
        except InvalidTag:
            pass
    raise SealError(
        "The sealed file does not open.",
        why="The passphrase is another one, or the file was changed.",
        do="Give the passphrase with which it was made.",
    )


def _stretch(passphrase: str, salt: bytes) -> bytes:
    return hashlib.scrypt(passphrase.encode(), salt=salt, **_SCRYPT)
