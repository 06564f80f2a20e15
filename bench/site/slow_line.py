"""A slow line between a device and its broker: bytes pass at so many a second, each way, and are counted."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

CHUNK_BYTES = 256
BUFFER_BYTES = 4096
"""What the line itself holds; more would hide how slow it is from whoever sends."""


class SlowLine:
    """Takes connections on a port of its own and passes them on.

    Args:
        port: of the broker, on loopback.
        bits_a_second: each way.
    """

    def __init__(self, port: int, bits_a_second: int) -> None:
        self._target, self._bytes_a_second = port, bits_a_second / 8
        self.carried = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        self._open: list[socket.socket] = [self._listener]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it takes connections."""
        return int(self._listener.getsockname()[1])

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
                self._open += [near, far]
                for source, sink, up in ((near, far, True), (far, near, False)):
                    threading.Thread(target=self._pass_on, args=(source, sink, up), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, up: bool) -> None:
        free_at = time.monotonic()
        with contextlib.suppress(OSError):
            while chunk := source.recv(CHUNK_BYTES):
                free_at = max(time.monotonic(), free_at) + len(chunk) / self._bytes_a_second
                time.sleep(max(free_at - time.monotonic(), 0.0))
                sink.sendall(chunk)
                self.carried += len(chunk) if up else 0
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of everything."""
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._thread.join(5)


@contextmanager
def slow_line(port: int, bits_a_second: int) -> Iterator[SlowLine]:
    """Put a slow line before a port for a block."""
    line = SlowLine(port, bits_a_second)
    try:
        yield line
    finally:
        line.close()
