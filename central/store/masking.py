"""How a person's number is shown to whoever need not know it: its end, and a handle that can be sent back.

A handle stands for one person at one central, so that lists still group, link and filter by person; only
central can turn it into the number (AES-SIV, RFC 5297, under a key derived from central's signing key).
"""

import base64
import binascii
import re

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_SHOWN = 4
_HIDDEN = 4
"""So much of a number is hidden at least; of one too short for that, nothing is shown."""
_PADDED = 64
"""Bytes: handles of ids below that are of one length, and so do not tell theirs."""
_BETWEEN = "~"
_CITIZEN_NUMBER = re.compile(r"(?<![0-9])[1-9][0-9]{16}[0-9Xx](?![0-9])")


def ending(person_id: str) -> str:
    """Return the end of a person's number, always as much; nothing of one that is too short."""
    return f"…{person_id[-_SHOWN:]}" if len(person_id) >= _SHOWN + _HIDDEN else "…"


class Masks:
    """Makes handles and reads them.

    Args:
        secret: of this central; what is derived from it is used for nothing else.
    """

    def __init__(self, secret: bytes) -> None:
        derived = HKDF(SHA256(), 96, None, b"renzheng person handles v2").derive(secret)
        self._cipher = AESSIV(derived[:64])
        self.salt = derived[64:].hex()
        """For an order of persons that says nothing of their numbers, and is the same every time."""

    def handle(self, person_id: str) -> str:
        """Return the handle of a person: the same every time, and of the same length for all."""
        plain = person_id.encode() + b"\x80"  # padded as ISO/IEC 7816-4 has it
        sealed = self._cipher.encrypt(plain + bytes(-len(plain) % _PADDED), None)
        return f"{ending(person_id)}{_BETWEEN}{base64.urlsafe_b64encode(sealed).decode().rstrip('=')}"

    def person(self, handle: str) -> str | None:
        """Return whom a handle stands for; None when it is none of this central's."""
        _, between, token = handle.rpartition(_BETWEEN)
        try:
            sealed = base64.urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
            found = self._cipher.decrypt(sealed, None).rstrip(b"\0")[:-1].decode() if between else None
        except (ValueError, binascii.Error, InvalidTag, UnicodeError):
            return None
        return found

    def cover(self, text: str, *people: str) -> str:
        """Cover, in words or JSON, these people's numbers and whatever looks like a citizen number."""
        for person in sorted({one for one in people if one}, key=len, reverse=True):
            text = re.sub(rf"(?<!\w){re.escape(person)}(?!\w)", lambda found: ending(found[0]), text)
        return _CITIZEN_NUMBER.sub(lambda found: ending(found[0]), text)


def label(shown: str) -> str:
    """Return what a page writes of a number, or of a handle: its end, or without one so much as `apart`."""
    end, between, _ = shown.partition(_BETWEEN)
    if not shown.startswith("…") or not between:
        return shown
    return apart(shown) if end == "…" else end


def apart(handle: str) -> str:
    """Return so much of a handle that two people stay two."""
    end, between, token = handle.partition(_BETWEEN)
    return f"{end}{between}{token[:5]}"
