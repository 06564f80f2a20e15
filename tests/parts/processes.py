"""What the real parts share: where programs lie, free ports, waiting, and how a program is ended."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path


class PartMissingError(Exception):
    """A real part is not on this machine; the message gives the command that mends it."""


def find_program(name: str, package: str, folders: Sequence[Path] = ()) -> Path:
    """Find a program on PATH or in `folders`.

    Raises:
        PartMissingError: it is nowhere.
    """
    found = shutil.which(name) or next((str(f / name) for f in folders if (f / name).is_file()), None)
    if found is None:
        raise PartMissingError(
            f"{name} is not on this machine. Install it with: sudo apt-get install {package}"
        )
    return Path(found)


def free_port() -> int:
    """Return a TCP port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(ready: Callable[[], bool], *, within_seconds: float, what: str) -> None:
    """Poll `ready` until it is true.

    Raises:
        TimeoutError: it did not become true in time.
    """
    deadline = time.monotonic() + within_seconds
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {within_seconds:g} s")
        time.sleep(0.02)


def listens(port: int) -> bool:
    """Say whether something accepts connections on the loopback port."""
    with contextlib.closing(socket.socket()) as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def end(process: subprocess.Popen[bytes], how: signal.Signals = signal.SIGTERM) -> None:
    """End one program that the tests started, and wait for it; SIGKILL after a minute of patience."""
    if process.poll() is None:
        process.send_signal(how)
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(60)


def is_root() -> bool:
    """Say whether the tests run as root, which some servers refuse."""
    return os.geteuid() == 0
