"""Who is signed in on which page of an agent: tokens in memory, gone with the agent and after a silence."""

import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from renzheng.edge.look.watcher import now_ms

Who = TypeVar("Who")


@dataclass(slots=True)
class _Session(Generic[Who]):
    who: Who
    last_ms: int


class PageSessions(Generic[Who]):
    """Sessions of people whom their agent has recognised; safe to use from several threads.

    Args:
        idle_ms: a session that was silent for this long is over.
        may_go_on: asked at each call; who may not is signed out at once.
    """

    def __init__(self, idle_ms: int, may_go_on: Callable[[Who], bool] = lambda _who: True) -> None:
        self._idle_ms = idle_ms
        self._may_go_on = may_go_on
        self._sessions: dict[str, _Session[Who]] = {}
        self._lock = threading.Lock()

    def begin(self, who: Who) -> str:
        """Begin a session; returns its token."""
        token = secrets.token_urlsafe(32)
        with self._lock:
            now = now_ms()
            over = [held for held, one in self._sessions.items() if now - one.last_ms > self._idle_ms]
            for held in over:
                del self._sessions[held]
            self._sessions[token] = _Session(who, now)
        return token

    def end(self, token: str) -> None:
        """End a session."""
        with self._lock:
            self._sessions.pop(token, None)

    def who(self, token: str | None) -> Who | None:
        """Who is signed in under a token; None when nobody is, or not any more."""
        with self._lock:
            session = self._sessions.get(token or "")
            now = now_ms()
            if session is None or now - session.last_ms > self._idle_ms:
                return None
            if not self._may_go_on(session.who):
                del self._sessions[token or ""]
                return None
            session.last_ms = now
            return session.who
