"""Moves an MQTT client's bytes, in one thread; any number of other threads may publish meanwhile.

The library's own loop asks `select`, which knows no descriptor above 1,023: with as many idle connections to
the console nothing could be stored any more. This one asks `poll`.
"""

import contextlib
import select
import socket
from typing import Any

import paho.mqtt.client as mqtt

_READS = select.POLLIN | select.POLLPRI | select.POLLHUP | select.POLLERR | select.POLLNVAL


class Pump:
    """The bytes of one client.

    Args:
        client: packets of other threads are only queued by it; this thread is woken and writes them.
    """

    def __init__(self, client: mqtt.Client) -> None:
        self._client = client
        self._woken, self._wakes = socket.socketpair()
        self._woken.settimeout(0)
        self._wakes.settimeout(0)
        client.on_socket_register_write = self._wake

    def move(self, seconds: float) -> bool:
        """Wait for something to do, at most so long, and do it; False when there is no connection."""
        client, sock = self._client, self._client.socket()
        if sock is None:
            return False
        unread = sock.pending() if hasattr(sock, "pending") else 0  # what TLS has decrypted already
        waiting = select.poll()
        waiting.register(self._woken, select.POLLIN)
        waiting.register(sock, select.POLLIN | (select.POLLOUT if client.want_write() else 0))
        found = dict(waiting.poll(0 if unread else seconds * 1000))
        if self._woken.fileno() in found:
            self._woken.recv(4096)
        going = mqtt.MQTT_ERR_SUCCESS
        if unread or found.get(sock.fileno(), 0) & _READS:
            going = client.loop_read()
        if going == mqtt.MQTT_ERR_SUCCESS and client.want_write():
            going = client.loop_write()
        if going == mqtt.MQTT_ERR_SUCCESS and client.socket() is not None:
            going = client.loop_misc()
        return going == mqtt.MQTT_ERR_SUCCESS and client.socket() is not None

    def close(self) -> None:
        """Let go of what woke it."""
        self._woken.close()
        self._wakes.close()

    def _wake(self, *_: Any) -> None:
        with contextlib.suppress(OSError):  # it has been woken often enough, or is closed
            self._wakes.send(b"w")
