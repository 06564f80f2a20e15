"""Telling systemd that the agent is ready and alive (sd_notify's protocol: a datagram to a socket it names).

A process that hangs is worse than one that ends: systemd starts a dead one again within two seconds. So the
word that all is well is only given while the kiosk's loop turns.
"""

import logging
import os
import socket
from collections.abc import Callable, Mapping
from typing import Protocol

LOGGER = logging.getLogger(__name__)
_LONGEST_WAIT_S = 3600.0


class Waits(Protocol):
    """What `threading.Event` offers."""

    def wait(self, timeout: float | None = None) -> bool:
        """True when the end was asked for, False after the time."""


class Supervisor:
    """Speaks to systemd; says nothing where there is none.

    Args:
        environment: NOTIFY_SOCKET and WATCHDOG_USEC are systemd's.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        limit = environment.get("WATCHDOG_USEC", "")
        self.every_s = int(limit) / 1e6 / 3 if limit.isdigit() else _LONGEST_WAIT_S

    def say(self, word: str) -> None:
        """Send one word, such as ``READY=1``."""
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to:
            try:
                to.sendto(word.encode(), address)
            except OSError as error:
                LOGGER.warning("systemd cannot be told %s: %s", word, error)

    def attend(self, ended: Waits, alive: Callable[[], bool]) -> None:
        """Say that all is well, as long as it is, until the end is asked for."""
        self.say("READY=1")
        while not ended.wait(self.every_s):
            if alive():
                self.say("WATCHDOG=1")
            else:
                LOGGER.error("the kiosk does not turn any more; systemd will start it again")
        self.say("STOPPING=1")
