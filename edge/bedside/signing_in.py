"""Who is signed in on which page: tokens in memory only, gone with the agent and after a silence."""

import secrets
import threading
from dataclasses import dataclass

from renzheng.contracts.ids import WitnessId
from renzheng.edge.bedside.errors import TooManyTriesError
from renzheng.edge.bedside.store import BedsideStore
from renzheng.edge.device.pins import PinChecker, TriedTooOftenError
from renzheng.edge.errors import UnknownWitnessError
from renzheng.edge.look.watcher import now_ms


@dataclass(slots=True)
class _Session:
    inspector_id: WitnessId
    last_ms: int


class SignIns:
    """Inspectors and witnesses by number and PIN.

    Args:
        pins: checks number and PIN.
        store: knows who may inspect.
        idle_ms: a session that was silent for this long is over.
    """

    def __init__(self, pins: PinChecker, store: BedsideStore, idle_ms: int) -> None:
        self._pins = pins
        self._store = store
        self._idle_ms = idle_ms
        self._sessions: dict[str, _Session] = {}
        self._lock = threading.Lock()

    def sign_in(self, number: str, pin: str, *, caller: str, tablet: str | None) -> tuple[str, str | None]:
        """Begin a session.

        Args:
            number: the inspector's.
            pin: as it was entered.
            caller: the address that asks.
            tablet: the token of the tablet's own lane, if it has one.

        Returns:
            The session's token, and a token for the tablet when it had none for this inspector.

        Raises:
            UnknownWitnessError: number or PIN is not right, or this is no inspector.
            TooManyTriesError: too many were wrong.
        """
        lane = self._pins.lane_of(tablet, number)
        inspector_id = self._check(number, pin, caller=lane or caller, known=lane is not None, inspector=True)
        token = secrets.token_urlsafe(32)
        with self._lock:
            now = now_ms()
            over = [held for held, one in self._sessions.items() if now - one.last_ms > self._idle_ms]
            for held in over:
                del self._sessions[held]
            self._sessions[token] = _Session(inspector_id, now)
        return token, None if lane else self._pins.new_lane(inspector_id)

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
        return self._check(number, pin, caller=f"beside {beside}", known=True, inspector=False)

    def _check(self, number: str, pin: str, *, caller: str, known: bool, inspector: bool) -> WitnessId:
        also = self._must_inspect if inspector else _anybody
        try:
            return self._pins.check(number, pin, caller=caller, known=known, also=also)
        except TriedTooOftenError as error:
            raise TooManyTriesError(error.what, why=error.why, do=error.do) from None

    def _must_inspect(self, number: str) -> None:
        if not self._store.is_inspector(number):
            raise UnknownWitnessError("Inspector number or PIN is not right.", do="Enter both again.")


def _anybody(_number: str) -> None:
    """Everybody whose PIN is right may be a witness."""
