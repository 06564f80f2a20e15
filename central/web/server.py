"""Runs the web application in a thread of its own, so that tests and the demo can hold it in one process."""

import socket
import time
from pathlib import Path

from fastapi import FastAPI

from renzheng.central.errors import SettingsError
from renzheng.common.serving import BoundedServer, Places, bounded_config
from renzheng.common.supervised import Worker

POLL_SECONDS = 0.01
STOP_SECONDS = 2
END_SECONDS = 12.0
BEAT_SECONDS = 2


class WebServer:
    """Serves an application on an address; port 0 takes a free one, `tls` is certificate and key (PEM)."""

    def __init__(
        self,
        app: FastAPI,
        host: str,
        port: int,
        tls: tuple[Path, Path] | None = None,
        *,
        name: str = "console",
        places: Places | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._scheme = "https" if tls else "http"
        config = bounded_config(
            app,
            beat=self._beat,
            beat_seconds=BEAT_SECONDS,
            lifespan="off",
            timeout_graceful_shutdown=STOP_SECONDS,  # a browser keeps its connection open for ever
            ssl_certfile=tls[0] if tls else None,
            ssl_keyfile=tls[1] if tls else None,
        )
        self._server = BoundedServer(config, places or Places())
        self._listener: socket.socket | None = None
        self.worker = Worker(name, self._serve, repeatable=False)

    @property
    def url(self) -> str:
        """Where a browser on this machine finds it."""
        host = "127.0.0.1" if self._host in ("0.0.0.0", "::") else self._host  # noqa: S104 - compared, not bound
        return f"{self._scheme}://{f'[{host}]' if ':' in host else host}:{self._port}"

    def start(self) -> None:
        """Bind and serve; returns when requests are answered.

        Raises:
            SettingsError: the address cannot be bound, or the server ended before it answered.
        """
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((self._host, self._port))
        except OSError as error:
            listener.close()
            raise SettingsError(
                f"Central cannot listen on {self._host}:{self._port}: {error.strerror}.",
                do="Choose another host or port in the configuration.",
            ) from error
        self._port = listener.getsockname()[1]
        self._listener = listener
        self.worker.start()
        while not self._server.started and self.worker.is_alive():
            time.sleep(POLL_SECONDS)  # a busy machine takes its time; callers wait meanwhile
        if not self._server.started:
            listener.close()
            raise SettingsError(
                f"Central's web server on {self._host}:{self._port} ended before it answered anything.",
                do="Read the last lines of the log: the cause stands there.",
            )

    def stop(self) -> None:
        """Finish what is being answered and end."""
        self._server.should_exit = True
        self.worker.stop(timeout_seconds=END_SECONDS)

    def _serve(self) -> None:
        assert self._listener is not None
        self._server.run([self._listener])

    async def _beat(self) -> None:
        self.worker.beat()
