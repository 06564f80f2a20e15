"""uvicorn in a thread of its own; the socket is bound first, so that port 0 has an answer at once."""

import asyncio
import socket
import threading

import uvicorn
from fastapi import FastAPI

from renzheng.edge.errors import SettingsError

_LARGEST_MESSAGE_BYTES = 4_000_000


class Server:
    """Serves one application on one address.

    Args:
        app: what to serve.
        host: an address of this machine.
        port: 0 takes a free one; `port` tells which.

    Raises:
        SettingsError: the port is taken.
    """

    def __init__(self, app: FastAPI, host: str, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((host, port))
        except OSError as error:
            self._socket.close()
            raise SettingsError(
                f"The kiosk's port {port} cannot be used: {error.strerror}.",
                do="Stop what listens there, or set kiosk.port.",
            ) from None
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            ws_max_size=_LARGEST_MESSAGE_BYTES,
            timeout_graceful_shutdown=2,
        )
        self._uvicorn = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name=f"kiosk-{self.port}", daemon=True)

    def _run(self) -> None:
        asyncio.run(self._uvicorn.serve(sockets=[self._socket]))

    def start(self) -> None:
        """Serve; returns when connections are taken."""
        self._thread.start()
        while not self._uvicorn.started and self._thread.is_alive():
            self._thread.join(0.01)

    def stop(self) -> None:
        """End, giving what is under way two seconds."""
        self._uvicorn.should_exit = True
        if self._thread.is_alive():
            self._thread.join(timeout=10)
        self._socket.close()
