"""How our web servers take connections: bounded, so that no number of callers stops the rest of the process.

A listener holds at most so many sockets, and so many of one address. When they are taken, a newcomer gets the
place of whoever has waited longest without having asked for anything: idle connections, unfinished TLS
handshakes and bodies that trickle in are given up first, an answer under way never. So a thousand silent
connections cost a thousand accepts, and the next real request is answered.
"""

import asyncio
import logging
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

logger = logging.getLogger(__name__)
BACKLOG = 1_024
HANDSHAKE_SECONDS = 5.0
HEAD_SECONDS = 10.0
"""How long a connection may take to ask for something, idle seconds between two requests included."""
MOST_HEAD_BYTES = 32_768
_AGAIN_SECONDS = 0.1
_TELL_EVERY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Places:
    """How many connections a listener holds.

    Args:
        all: of all callers.
        of_one: of one address; a clinic's devices may stand behind one.
    """

    all: int = 192
    of_one: int = 96


LOCAL_PLACES = Places(64, 64)
"""For pages that only this machine calls."""


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with an end to waiting for a request's head and to its size."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes = 0
        self._in_head = True
        self._upgraded = False
        self._patience: asyncio.TimerHandle | None = None

    @property
    def waits(self) -> bool:
        """Whether the caller has not yet said all of what it asks for."""
        if self._upgraded:
            return False
        cycle = self.cycle
        return cycle is None or cycle.response_complete or cycle.more_body

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """End all waiting."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; a head that does not end is cut off."""
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > MOST_HEAD_BYTES:
            self.transport.abort()

    def on_headers_complete(self) -> None:
        """The head is there: what follows is the application's to limit."""
        self._in_head = False
        self._stop_waiting()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request, unless one is here already."""
        super().on_response_complete()
        if self.cycle.response_complete and not self.transport.is_closing():
            self._await_head()

    def handle_websocket_upgrade(self) -> None:
        """Leave the connection to a WebSocket."""
        self._upgraded = True
        super().handle_websocket_upgrade()

    def _await_head(self) -> None:
        self._stop_waiting()
        self._in_head, self._head_bytes = True, 0
        self._patience = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None


@dataclass(eq=False, slots=True)
class _Connection:
    """One accepted socket; `protocol` once its handshake is over."""

    socket: socket.socket
    address: str
    protocol: HttpProtocol
    transport: asyncio.Transport | None = None
    opening: "asyncio.Task[None] | None" = None

    @property
    def gone(self) -> bool:
        return self.socket.fileno() < 0

    @property
    def waits(self) -> bool:
        return self.transport is None or self.transport.is_closing() or self.protocol.waits

    def give_up(self) -> None:
        if self.opening is not None:
            self.opening.cancel()
        if self.transport is not None:
            self.transport.abort()


@dataclass(slots=True)
class _Held:
    """The connections of one listener, oldest first."""

    places: Places
    connections: list[_Connection] = field(default_factory=list)

    def make_room(self, address: str) -> bool:
        """Make a place for one more of this address; False when all its places are at work."""
        self.connections = [one for one in self.connections if not one.gone]
        mine = [one for one in self.connections if one.address == address]
        if len(mine) >= self.places.of_one:
            return self._give_up_oldest(mine)
        if len(self.connections) >= self.places.all:
            return self._give_up_oldest(self.connections)
        return True

    def _give_up_oldest(self, among: list[_Connection]) -> bool:
        for one in among:
            if one.waits:
                one.give_up()
                self.connections.remove(one)
                return True
        return False


class BoundedServer(uvicorn.Server):
    """uvicorn, which accepts within `places`; it serves sockets that are handed to it.

    Args:
        config: uvicorn's; make it by `bounded_config`.
        places: most connections.
    """

    def __init__(self, config: uvicorn.Config, places: Places) -> None:
        super().__init__(config)
        self._places = places
        self._accepting: list[asyncio.Task[None]] = []
        self._told = 0.0

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen on the sockets."""
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            raise SystemExit(3)
        self.servers = []
        for listener in sockets or ():
            listener.setblocking(False)  # noqa: FBT003
            listener.listen(BACKLOG)
            self._accepting.append(asyncio.create_task(self._accept(listener)))
        self.started = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more connections, then finish as uvicorn does."""
        for task in self._accepting:
            task.cancel()
        await asyncio.gather(*self._accepting, return_exceptions=True)
        await super().shutdown(sockets)

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        held = _Held(self._places)
        while True:
            try:
                accepted, peer = await loop.sock_accept(listener)
            except OSError as error:  # out of descriptors, or the caller has gone again
                self._tell("a connection could not be taken: %s", error.strerror or error)
                await asyncio.sleep(_AGAIN_SECONDS)
                continue
            if not held.make_room(str(peer[0])):
                self._tell("a connection from %s was refused: all its places are at work", peer[0])
                accepted.close()
                continue
            connection = _Connection(accepted, str(peer[0]), self._make_protocol())
            held.connections.append(connection)
            connection.opening = loop.create_task(self._open(connection))

    async def _open(self, connection: _Connection) -> None:
        """Shake hands where that is asked for; whatever ends it, the socket is closed."""
        loop = asyncio.get_running_loop()
        tls = self.config.ssl
        try:
            transport, _ = await loop.connect_accepted_socket(
                lambda: connection.protocol,
                connection.socket,
                ssl=tls,
                ssl_handshake_timeout=HANDSHAKE_SECONDS if tls else None,
                ssl_shutdown_timeout=HANDSHAKE_SECONDS if tls else None,
            )
        except (
            OSError,
            asyncio.CancelledError,
        ):  # TLS errors and a handshake that took too long are OSErrors
            connection.socket.close()
        else:
            connection.transport = transport
        finally:
            connection.opening = None

    def _make_protocol(self) -> HttpProtocol:
        return HttpProtocol(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)

    def _tell(self, message: str, *values: object) -> None:
        """Log, but not for each of a flood."""
        if time.monotonic() - self._told >= _TELL_EVERY_SECONDS or not self._told:
            self._told = time.monotonic()
            logger.warning(message, *values)


class Asgi(Protocol):
    """An application that uvicorn serves."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""


def bounded_config(app: Asgi, *, beat: Callable[[], Any], beat_seconds: int, **more: Any) -> uvicorn.Config:
    """Make uvicorn's configuration for a `BoundedServer`; `more` is what differs between our servers.

    No header of a request is believed about where it comes from.
    """
    return uvicorn.Config(
        app,
        http=HttpProtocol,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        callback_notify=beat,
        timeout_notify=beat_seconds,
        **more,
    )
