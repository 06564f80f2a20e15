"""Passwords: what is taken as one, argon2id over it, and only so many reckoned at a time.

Each reckoning takes 19 MiB, two passes and one lane: the first choice of OWASP's Password Storage Cheat Sheet
for argon2id. A crowd that signs in, or guesses, waits for its turn and does not fill the memory.
"""

import re
import threading
import unicodedata
from itertools import pairwise

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from zxcvbn import zxcvbn
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from renzheng.central.access.errors import PasswordError

SHORTEST = 12
LONGEST = 200
FEWEST_CHARACTERS = 6
FEWEST_GUESSES = 1e8
"""Below, zxcvbn calls a password guessable by one who is slowed down."""
MOST_ESTIMATED = 72
"""Characters that the estimate takes; it costs the more the longer they are."""
AT_ONCE = 2
"""Reckonings at the same time: as many as the smallest machine has cores."""
SOON_TRIED = frozenset(
    {
        "password",
        "passwort",
        "passw0rd",
        "p@ssword",
        "p@ssw0rd",
        "qwertyuiop",
        "asdfghjkl",
        "qwerty",
        "letmein",
    }
    | {
        "iloveyou",
        "welcome",
        "admin",
        "administrator",
        "renzheng",
        "changeme",
        "secret",
        "abcdef",
        "abcdefgh",
    }
    | {"woaini", "mima", "yibao", "yiyuan", "zhongguo", "qwertyuiopasdfghjkl", "qazwsx", "qazwsxedc", "root"}
)
"""Words that, with digits and signs around them, are tried first."""
COMMON = SOON_TRIED.union(FREQUENCY_LISTS["passwords"])
"""The 30,000 commonest passwords, from zxcvbn; refused with digits and signs around them too."""
_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_places = threading.BoundedSemaphore(AT_ONCE)
_NOBODY = "$argon2id$v=19$m=19456,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$" + "A" * 43


def must_be_good(password: str, account_id: str) -> None:
    """Check a password that somebody has chosen.

    Raises:
        PasswordError: it is too short or too long, or is soon guessed.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise PasswordError(
            f"A password has {SHORTEST} to {LONGEST} characters.",
            do="Take four or five words that do not belong together.",
        )
    plain = unicodedata.normalize("NFKC", password).casefold()
    core = re.sub(r"[\W\d_]+", "", plain)
    words = re.sub(r"(.+?)\1+", r"\1", core)
    own = re.sub(r"[\W\d_]+", "", account_id.casefold())
    steps = {ord(after) - ord(before) for before, after in pairwise(plain)}
    parts = {core, words, plain}
    soon = not core or own in parts or not COMMON.isdisjoint(parts)
    soon = soon or _guesses(plain, account_id) < FEWEST_GUESSES
    if soon or len(set(plain)) < FEWEST_CHARACTERS or len(steps) <= 2:  # noqa: PLR2004 - a row, or one that begins again
        raise PasswordError(
            "This password is soon guessed.",
            why="It is a row of keys, common words with digits, or has few different characters.",
            do="Take four or five words that do not belong together.",
        )


def _guesses(plain: str, account_id: str) -> float:
    """Estimate after how many guesses a password is found, with 30,000 common passwords and words of English.

    Source: D. L. Wheeler, zxcvbn, USENIX Security 2016; the lists come with the library (MIT).
    """
    own = [account_id.casefold(), *SOON_TRIED]
    return float(zxcvbn(plain[:MOST_ESTIMATED], user_inputs=own)["guesses"])


def hash_password(password: str) -> str:
    """Return argon2id of a password, in the PHC's form."""
    with _places:
        return _hasher.hash(unicodedata.normalize("NFKC", password))


def is_password(kept: str | None, shown: str) -> bool:
    """Say whether this is the password; takes as long where there is none."""
    with _places:
        try:
            return _hasher.verify(kept or _NOBODY, unicodedata.normalize("NFKC", shown[:LONGEST])) and bool(
                kept
            )
        except (VerificationError, InvalidHashError):
            return False
