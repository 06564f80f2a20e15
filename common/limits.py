"""What a web application reads of a request, and for how long: the one middleware of all our applications.

A body is read before the application sees it, up to what its route may take and no byte further, so that no
handler, form or model can be handed more. A declared length beyond that is refused before anything is read.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from renzheng.contracts.once import has_key_twice

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Advising = Callable[[str], Mapping[str, Any]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

SMALL_BODY_BYTES = 16_384
"""Enough for every form and JSON call that carries no picture."""
MOST_BYTES_AT_ONCE = 48_000_000
"""Bodies that one application holds at the same time; a call beyond them is told to come again."""
STREAM_SECONDS = 900.0
"""How long a body may take that is read as it comes: 256 MB over 2.5 Mbit/s take 820 s."""
BODY_SECONDS = 30.0
"""How long a body may take to arrive: 3 MB over 1 Mbit/s take 24 s."""
SEND_SECONDS = 60.0
"""How long a caller may leave an answer unread before it is taken back."""
LINGER_BYTES = 1_000_000
LINGER_SECONDS = 2.0
_TOO_LARGE = 413


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """Most bytes of a request's body.

    Args:
        default: for every route that is not named.
        routes: by the beginning of the path; the longest beginning that fits counts.
        advising: by the beginning of the path, where care waits for an advice: what a request that is refused
            is answered (200), given the code of the refusal; None where nothing waits below such a beginning.
        streamed: paths whose route reads the body as it comes: it is counted, and not held. Beyond its limit,
            or after `STREAM_SECONDS`, reading it raises `BodyRefusedError`.
    """

    default: int = SMALL_BODY_BYTES
    routes: Mapping[str, int] = field(default_factory=dict)
    advising: Mapping[str, "Advising | None"] = field(default_factory=dict)
    streamed: frozenset[str] = frozenset()

    def of(self, path: str) -> int:
        """Return the most bytes that a body sent to this path may have."""
        fitting = [begin for begin in self.routes if path.startswith(begin)]
        return self.routes[max(fitting, key=len)] if fitting else self.default

    def advising_at(self, path: str) -> "Advising | None":
        """Return what answers a refused request at a path where care waits for it; None elsewhere."""
        fitting = [begin for begin in self.advising if path.startswith(begin)]
        return self.advising[max(fitting, key=len)] if fitting else None


class BodyRefusedError(Exception):
    """A body that is read as it comes is too large or too slow.

    Args:
        status: what the request is answered.
    """

    def __init__(self, status: int) -> None:
        super().__init__(_WORDS[status][1])
        self.status = status


class RequestLimits:
    """The middleware; it belongs outside every other.

    Args:
        app: what answers a request whose body is admitted.
        limits: most bytes by route.
        at_once: most bytes of bodies held at the same time.
        body_seconds: longest time for a body to arrive.
        send_seconds: longest time for a part of an answer to be taken.
    """

    def __init__(
        self,
        app: Application,
        limits: BodyLimits,
        *,
        at_once: int = MOST_BYTES_AT_ONCE,
        body_seconds: float = BODY_SECONDS,
        send_seconds: float = SEND_SECONDS,
    ) -> None:
        self._app = app
        self._limits = limits
        self._at_once = at_once
        self._body_seconds = body_seconds
        self._send_seconds = send_seconds
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body, then hand the request on; refuse what is too large, too slow or too much."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = self._limits.of(scope["path"])
        advising = self._limits.advising_at(scope["path"])
        if scope["path"] in self._limits.streamed:
            await self._app(scope, counted(most, STREAM_SECONDS, receive), self._sending(send))
            return
        if _declared(scope) > most:
            await _refuse(_TOO_LARGE, receive, send, advising)
            return
        body = bytearray()
        try:
            refused = await self._read(body, most, receive)
            whole = bytes(body)
            if refused is None and _is_json(scope) and has_key_twice(whole):
                refused = 400
            if refused is None:
                await self._app(scope, replayed(whole, receive), self._sending(send))
            elif refused:
                await _refuse(refused, receive, send, advising)
        finally:
            self._held -= len(body)

    async def _read(self, body: bytearray, most: int, receive: Receive) -> int | None:
        """Fill `body`; return the status of a refusal, 0 when the caller has gone, None when it is whole."""
        try:
            async with asyncio.timeout(self._body_seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return 0
                    part = message.get("body", b"")
                    if len(body) + len(part) > most:
                        return _TOO_LARGE
                    if self._held + len(part) > self._at_once:
                        return 503
                    body += part
                    self._held += len(part)
                    if not message.get("more_body", False):
                        return None
        except TimeoutError:
            return 408

    def _sending(self, send: Send) -> Send:
        async def within_time(message: Message) -> None:
            async with asyncio.timeout(self._send_seconds):
                await send(message)

        return within_time


def _declared(scope: Scope) -> int:
    """Return the length that the request declares; 0 when it declares none that can be read."""
    lengths = [value for name, value in scope["headers"] if name == b"content-length"]
    return max((int(value) for value in lengths if value.isdigit()), default=0)


def _is_json(scope: Scope) -> bool:
    kinds = [value for name, value in scope["headers"] if name == b"content-type"]
    return not kinds or any(b"json" in value.lower() for value in kinds)


def replayed(body: bytes, receive: Receive) -> Receive:
    """Give the body once, and then what the server says (that the caller has gone)."""
    parts = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return parts.pop() if parts else await receive()

    return again


def counted(most: int, seconds: float, receive: Receive) -> Receive:
    """Pass a body on as it comes.

    Raises:
        BodyRefusedError: it has more bytes than `most`, or takes longer than `seconds`.
    """
    left, ends, whole = most, time.monotonic() + seconds, False

    async def next_part() -> Message:
        nonlocal left, whole
        if whole:
            return await receive()
        try:
            async with asyncio.timeout(max(ends - time.monotonic(), 0)):
                message = await receive()
        except TimeoutError:
            raise BodyRefusedError(408) from None
        left -= len(message.get("body", b""))
        if left < 0:
            raise BodyRefusedError(_TOO_LARGE)
        whole = not message.get("more_body", False)
        return message

    return next_part


_WORDS = {
    400: ("malformed", "A key stands twice in the request."),
    408: ("too_slow", "The request took too long to arrive."),
    _TOO_LARGE: ("too_large", "The request is larger than this address takes."),
    503: ("busy", "Too much is being received at this moment."),
}


async def _refuse(status: int, receive: Receive, send: Send, advising: Advising | None) -> None:
    """Answer, then let a caller finish a little of what it is sending: a reset would take the answer back."""
    word, what = _WORDS[status]
    told = advising(word) if advising else {"problem": word, "error": {"what": what}}
    content = json.dumps(told).encode()
    length = (b"content-length", str(len(content)).encode())
    headers = [(b"content-type", b"application/json"), length, (b"connection", b"close")]
    start = {"type": "http.response.start", "status": 200 if advising else status, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": content, "more_body": True})
    if status == _TOO_LARGE:
        await _linger(receive)
    await send({"type": "http.response.body", "body": b""})


async def _linger(receive: Receive) -> None:
    left = LINGER_BYTES
    try:
        async with asyncio.timeout(LINGER_SECONDS):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                if message["type"] != "http.request" or not message.get("more_body", False):
                    return
    except TimeoutError:
        return
