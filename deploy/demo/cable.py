"""A network cable that can be pulled out: a TCP relay on loopback between one device and the broker."""

import contextlib
import selectors
import socket
import threading
from typing import Self

CHUNK = 65_536


class Cable:
    """Relays connections to ``127.0.0.1:to_port``; `pull` cuts every connection and refuses new ones.

    Args:
        to_port: where the broker listens.
    """

    def __init__(self, to_port: int) -> None:
        self._to_port = to_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._plugged = threading.Event()
        self._plugged.set()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, name="cable", daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def pull(self) -> None:
        """Take the cable out."""
        self._plugged.clear()
        with self._lock:
            for end in self._open:
                _shut(end)

    def plug(self) -> None:
        """Put the cable back in."""
        self._plugged.set()

    def close(self) -> None:
        """End for good."""
        self.pull()
        _shut(self._listener)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if not self._plugged.is_set():
                near.close()
                continue
            threading.Thread(target=self._relay, args=(near,), name="cable", daemon=True).start()

    def _relay(self, near: socket.socket) -> None:
        try:
            far = socket.create_connection(("127.0.0.1", self._to_port), timeout=5)
        except OSError:
            near.close()
            return
        far.settimeout(None)
        with self._lock:
            self._open |= {near, far}
        try:
            _pump(near, far)
        finally:
            with self._lock:
                self._open -= {near, far}
            near.close()
            far.close()


def _pump(near: socket.socket, far: socket.socket) -> None:
    """Carry bytes both ways until one end closes."""
    with selectors.DefaultSelector() as selector, contextlib.suppress(OSError):
        selector.register(near, selectors.EVENT_READ, far)
        selector.register(far, selectors.EVENT_READ, near)
        while True:
            for key, _ in selector.select():
                source, other = key.fileobj, key.data
                assert isinstance(source, socket.socket)
                data = source.recv(CHUNK)
                if not data:
                    return
                other.sendall(data)


def _shut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
