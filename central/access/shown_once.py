"""Makes what is shown once (codes, tokens, sessions), and the hash under which the store knows it.

Each has 118 random bits or more, so that one round of SHA-256 is enough to keep it from being guessed back.
"""

import hashlib
import secrets

TOKEN_PREFIX = "rz_"  # noqa: S105 - a mark by which scanners of leaked secrets know one
_CODE_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""None that is taken for another when read aloud or copied by hand: 4.95 bits each."""
_CODE_LENGTH = 32


def new_code(length: int = _CODE_LENGTH) -> str:
    """Make a one-time code: letters and digits in groups of four."""
    letters = "".join(secrets.choice(_CODE_LETTERS) for _ in range(length))
    return "-".join(letters[place : place + 4] for place in range(0, length, 4))


def new_token() -> str:
    """Make a bearer token."""
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


def new_session() -> str:
    """Make what a browser shows to be known again."""
    return secrets.token_urlsafe(32)


def hashed(secret: str) -> str:
    """Return the SHA-256 of a secret, in hexadecimal."""
    return hashlib.sha256(secret.encode()).hexdigest()
