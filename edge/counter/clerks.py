"""Which clerk is signed in on which page: tokens in memory, gone with the agent and after a silence."""

import secrets
import threading

from renzheng.contracts.ids import WitnessId
from renzheng.edge.counter.errors import NotSignedInError
from renzheng.edge.device.pins import PinChecker
from renzheng.edge.errors import UnknownWitnessError
from renzheng.edge.look.watcher import now_ms


class Clerks:
    """Clerks and witnesses by number and PIN, as `renzheng edge witness` enters them.

    Args:
        pins: checks number and PIN.
        idle_ms: a sign-in that was silent for this long is over.
    """

    def __init__(self, pins: PinChecker, idle_ms: int) -> None:
        self._pins = pins
        self._idle_ms = idle_ms
        self._signed_in: dict[str, tuple[WitnessId, int]] = {}
        self._lock = threading.Lock()

    def sign_in(self, number: str, pin: str) -> str:
        """Begin; returns the session's token.

        Raises:
            UnknownWitnessError: number or PIN is not right, or too many were wrong.
        """
        clerk = self._pins.check(number, pin, caller="counter", known=True)
        token = secrets.token_urlsafe(32)
        with self._lock:
            now = now_ms()
            self._signed_in = {
                held: one for held, one in self._signed_in.items() if now - one[1] <= self._idle_ms
            }
            self._signed_in[token] = (clerk, now)
        return token

    def sign_out(self, token: str) -> None:
        """End a sign-in."""
        with self._lock:
            self._signed_in.pop(token, None)

    def clerk(self, token: str | None) -> WitnessId:
        """Who is signed in.

        Raises:
            NotSignedInError: nobody, or not any more.
        """
        with self._lock:
            found = self._signed_in.get(token or "")
            now = now_ms()
            if found is None or now - found[1] > self._idle_ms:
                self._signed_in.pop(token or "", None)
                raise NotSignedInError(
                    "No clerk is signed in on this page.", do="Sign in with number and PIN."
                )
            self._signed_in[token or ""] = (found[0], now)
            return found[0]

    def witness(self, number: str, pin: str, beside: WitnessId) -> WitnessId:
        """Check a second person's PIN.

        Raises:
            UnknownWitnessError: number or PIN is not right, or it is the clerk's own.
        """
        if number == beside:
            raise UnknownWitnessError(
                "The witness is the clerk.",
                why="Two people must have seen the buyer.",
                do="Ask a colleague to enter number and PIN.",
            )
        return self._pins.check(number, pin, caller=f"beside {beside}", known=True)
