"""What a browser is in the middle of: a sign-in that lacks its second factor, a challenge to a passkey.

It is held in memory, bounded, and known by a secret that only the browser or its session has; a challenge is
taken out when it is answered, so that it is answered once. A restart ends them: people begin again.
"""

import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from renzheng.central.access.shown_once import hashed

LASTS = timedelta(minutes=5)
MOST = 8_192
MOST_OF_ADDRESS = 1_024
"""Beyond it the oldest of the same address goes: a flood from one place ends nobody else's sign-in."""
MOST_FAILURES = 5
CHALLENGE_BYTES = 32


@dataclass(frozen=True, slots=True)
class Ceremony:
    """One of them.

    Args:
        address: from where.
        account_id: whose password was right; empty where none was asked for.
        target: where to go on.
        way: by what the account is known so far.
        challenge: what a passkey is to sign; None once it was answered.
        failures: wrong codes so far.
        notes: what else belongs to it.
        began: when the password was right.
    """

    address: str
    account_id: str = ""
    target: str = "/"
    way: str = ""
    challenge: bytes | None = None
    failures: int = 0
    notes: tuple[str, ...] = field(default=())
    began: datetime | None = None


def new_challenge() -> bytes:
    """Make a challenge."""
    return secrets.token_bytes(CHALLENGE_BYTES)


class Ceremonies:
    """Those under way, by a secret."""

    def __init__(self) -> None:
        self._held: OrderedDict[str, tuple[datetime, Ceremony]] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, secret: str, ceremony: Ceremony, now: datetime) -> None:
        """Begin one; another of the same secret ends."""
        with self._lock:
            self._held.pop(hashed(secret), None)
            self._make_room(ceremony.address, now)
            self._held[hashed(secret)] = (now + LASTS, ceremony)

    def _make_room(self, address: str, now: datetime) -> None:
        while self._held and next(iter(self._held.values()))[0] <= now:
            self._held.popitem(last=False)
        of_address = [key for key, (_, one) in self._held.items() if one.address == address]
        if len(of_address) >= MOST_OF_ADDRESS:
            del self._held[of_address[0]]
        elif len(self._held) >= MOST:
            self._held.popitem(last=False)

    def _find(self, secret: str, now: datetime) -> Ceremony | None:
        until, found = self._held.get(hashed(secret), (now, None))
        return found if now < until else None

    def _change(self, secret: str, found: Ceremony) -> None:
        """Put a changed one in its place; its time goes on."""
        until, _ = self._held[hashed(secret)]
        self._held[hashed(secret)] = (until, found)

    def find(self, secret: str, now: datetime) -> Ceremony | None:
        """Return the one of a secret, if it goes on."""
        with self._lock:
            return self._find(secret, now)

    def take(self, secret: str, now: datetime) -> Ceremony | None:
        """Return the one of a secret and end it."""
        with self._lock:
            found = self._find(secret, now)
            self._held.pop(hashed(secret), None)
            return found

    def take_challenge(self, secret: str, now: datetime) -> bytes | None:
        """Return the challenge of one, which nobody can answer again."""
        with self._lock:
            found = self._find(secret, now)
            if found is None:
                return None
            self._change(secret, replace(found, challenge=None))
            return found.challenge

    def ask(self, secret: str, challenge: bytes, now: datetime) -> None:
        """Put a new challenge in place of the one before."""
        with self._lock:
            found = self._find(secret, now)
            if found is not None:
                self._change(secret, replace(found, challenge=challenge))

    def fail(self, secret: str, now: datetime) -> bool:
        """Count a wrong answer; False when there were so many that it has ended."""
        with self._lock:
            found = self._find(secret, now)
            if found is None or found.failures + 1 >= MOST_FAILURES:
                self._held.pop(hashed(secret), None)
                return False
            self._change(secret, replace(found, failures=found.failures + 1))
            return True
