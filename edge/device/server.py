"""uvicorn in a thread of its own; the socket is bound first, so that port 0 has an answer at once."""

import asyncio
import socket
import time
from pathlib import Path

from fastapi import FastAPI

from renzheng.common.serving import LOCAL_PLACES, BoundedServer, Places, bounded_config
from renzheng.common.supervised import Worker
from renzheng.edge.errors import SettingsError
from renzheng.models.images import LARGEST_FRAME_BYTES

_BEAT_SECONDS = 2


class Server:
    """Serves one application on one address.

    Args:
        app: what to serve.
        host: an address of this machine.
        port: 0 takes a free one; `port` tells which.
        certificate_file: serves HTTPS with this certificate; `key_file` is its private key.
        section: which settings name host and port.
        prefix: of the two keys' names there.
        places: most connections; None is what a page of this machine alone needs.

    Raises:
        SettingsError: the port is taken, or the certificate cannot be used.
    """

    def __init__(
        self,
        app: FastAPI,
        host: str,
        port: int,
        *,
        certificate_file: Path | None = None,
        key_file: Path | None = None,
        section: str = "kiosk",
        prefix: str = "",
        places: Places | None = None,
    ) -> None:
        self._socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((host, port))
        except OSError as error:
            self._socket.close()
            raise SettingsError(
                f"The {section}'s port {port} on {host} cannot be used: {error.strerror}.",
                do=f"Stop what listens there, or set {section}.{prefix}host and {section}.{prefix}port.",
            ) from None
        self.port: int = self._socket.getsockname()[1]
        config = bounded_config(
            app,
            beat=self._beat,
            beat_seconds=_BEAT_SECONDS,
            ws_max_size=LARGEST_FRAME_BYTES,
            timeout_graceful_shutdown=2,
            ssl_certfile=certificate_file,
            ssl_keyfile=key_file,
        )
        try:
            config.load()
        except OSError as error:  # ssl.SSLError is one
            self._socket.close()
            raise SettingsError(
                f"The certificate {certificate_file} or its key cannot be used: {error.strerror or error}.",
                do=f"Set {section}.certificate_file and {section}.key_file to a matching pair (PEM).",
            ) from None
        self._uvicorn = BoundedServer(config, places or LOCAL_PLACES)
        self.worker = Worker(f"{section}-page", self._run, repeatable=False)

    def _run(self) -> None:
        asyncio.run(self._uvicorn.serve(sockets=[self._socket]))

    async def _beat(self) -> None:
        self.worker.beat()

    def start(self) -> None:
        """Serve; returns when connections are taken."""
        self.worker.start()
        while not self._uvicorn.started and self.worker.is_alive():
            time.sleep(0.01)

    def stop(self) -> None:
        """End, giving what is under way two seconds."""
        self._uvicorn.should_exit = True
        self.worker.stop(timeout_seconds=10)
        self._socket.close()
