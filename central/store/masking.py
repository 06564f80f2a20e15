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
_BETWEEN = "~"
_CITIZEN_NUMBER = re.compile(r"(?<![0-9])[1-9][0-9]{16}[0-9Xx](?![0-9])")
HANDLE_LENGTH = 200
"""More than the handle of the longest id that occurs has."""


def ending(person_id: str) -> str:
    """Return the end of a person's number, never more than half of it."""
    shown = min(_SHOWN, len(person_id) // 2)
    return f"…{person_id[len(person_id) - shown :]}"


class Masks:
    """Makes handles and reads them.

    Args:
        secret: of this central; what is derived from it is used for nothing else.
    """

    def __init__(self, secret: bytes) -> None:
        derived = HKDF(SHA256(), 64, None, b"renzheng person handles v1").derive(secret)
        self._cipher = AESSIV(derived)

    def handle(self, person_id: str) -> str:
        """Return the handle of a person: the same every time."""
        sealed = self._cipher.encrypt(person_id.encode(), None)
        return f"{ending(person_id)}{_BETWEEN}{base64.urlsafe_b64encode(sealed).decode().rstrip('=')}"

    def person(self, handle: str) -> str | None:
        """Return whom a handle stands for; None when it is none of this central's."""
        _, between, token = handle.rpartition(_BETWEEN)
        try:
            sealed = base64.urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
            found = self._cipher.decrypt(sealed, None).decode() if between else None
        except (ValueError, binascii.Error, InvalidTag, UnicodeError):
            return None
        return found

    def cover(self, text: str, *people: str) -> str:
        """Cover, in words or JSON, these people's numbers and whatever looks like a citizen number."""
        for person in sorted({one for one in people if one}, key=len, reverse=True):
            text = re.sub(rf"(?<!\w){re.escape(person)}(?!\w)", lambda found: ending(found[0]), text)
        return _CITIZEN_NUMBER.sub(lambda found: ending(found[0]), text)


def label(shown: str) -> str:
    """Return what a page writes of a number or a handle: of a handle only the end."""
    return shown.split(_BETWEEN, 1)[0] if shown.startswith("…") else shown
