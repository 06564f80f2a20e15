"""Who is signed in on which page: tokens in memory only, gone with the agent and after a silence."""

import secrets
import threading
from dataclasses import dataclass

from renzheng.contracts.ids import WitnessId
from renzheng.edge.bedside.errors import TooManyTriesError
from renzheng.edge.bedside.store import BedsideStore
from renzheng.edge.errors import UnknownWitnessError
from renzheng.edge.kiosk.station import PinGuard
from renzheng.edge.kiosk.watcher import now_ms
from renzheng.edge.store.people import People


@dataclass(slots=True)
class _Session:
    inspector_id: WitnessId
    last_ms: int


class SignIns:
    """Inspectors and witnesses by number and PIN.

    Args:
        people: keeps the PINs' hashes.
        store: knows who may inspect.
        idle_ms: a session that was silent for this long is over.
    """

    def __init__(self, people: People, store: BedsideStore, idle_ms: int) -> None:
        self._people = people
        self._store = store
        self._idle_ms = idle_ms
        self._sessions: dict[str, _Session] = {}
        self._inspectors, self._witnesses = PinGuard(), PinGuard()
        self._lock = threading.Lock()

    def sign_in(self, number: str, pin: str) -> str:
        """Begin a session.

        Returns:
            Its token.

        Raises:
            UnknownWitnessError: number or PIN is not right, or this is no inspector.
            TooManyTriesError: too many were wrong.
        """
        inspector_id = self._check(self._inspectors, number, pin)
        token = secrets.token_urlsafe(32)
        with self._lock:
            now = now_ms()
            over = [held for held, one in self._sessions.items() if now - one.last_ms > self._idle_ms]
            for held in over:
                del self._sessions[held]
            self._sessions[token] = _Session(inspector_id, now)
        return token

    def sign_out(self, token: str) -> None:
        """End a session."""
        with self._lock:
            self._sessions.pop(token, None)

    def inspector(self, token: str | None) -> WitnessId | None:
        """Who is signed in under a token; None when nobody is, or not any more."""
        with self._lock:
            session = self._sessions.get(token or "")
            now = now_ms()
            if session is None or now - session.last_ms > self._idle_ms:
                return None
            session.last_ms = now
            return session.inspector_id

    def witness(self, number: str, pin: str, *, beside: str) -> WitnessId:
        """Check a second person's PIN.

        Raises:
            UnknownWitnessError: number or PIN is not right, or it is the inspector's own.
            TooManyTriesError: too many were wrong.
        """
        if number == beside:
            raise UnknownWitnessError(
                "The witness is the inspector.",
                why="Two people must have seen the patient.",
                do="Ask the nurse to enter number and PIN.",
            )
        return self._check(self._witnesses, number, pin, inspector=False)

    def _check(self, guard: PinGuard, number: str, pin: str, *, inspector: bool = True) -> WitnessId:
        self._let_try(guard)
        try:
            known = self._people.witness(number, pin)
            if inspector:
                self._must_inspect(known)
        except UnknownWitnessError:
            with self._lock:
                guard.count(right=False, now=now_ms())
            raise
        with self._lock:
            guard.count(right=True, now=now_ms())
        return known

    def _must_inspect(self, number: str) -> None:
        if not self._store.is_inspector(number):
            raise UnknownWitnessError("Inspector number or PIN is not right.", do="Enter both again.")

    def _let_try(self, guard: PinGuard) -> None:
        with self._lock:
            try:
                guard.check(now_ms())
            except UnknownWitnessError as error:
                raise TooManyTriesError(error.what, why=error.why, do=error.do) from None
