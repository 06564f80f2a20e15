"""Starts the RTSP server of a measurement or a test, in a process of its own."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from renzheng.contracts.errors import FaultError

FRAMES_PER_SECOND = 15
"""Of the clips that are played."""

SYSTEM_PYTHON = Path("/usr/bin/python3")
PACKAGES = (
    "python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good"
    " gstreamer1.0-plugins-bad"
)
_TYPELIBS = "/usr/lib/*/girepository-1.0/GstRtspServer-1.0.typelib"


class ServerMissingError(FaultError):
    """GStreamer's RTSP server is not on this machine."""


def server_is_here() -> bool:
    """Whether the Debian packages of the server are installed."""
    found = any(Path("/").glob(_TYPELIBS.removeprefix("/")))
    return found and Path("/usr/lib/python3/dist-packages/gi").exists() and SYSTEM_PYTHON.exists()


class RtspServer:
    """Plays clips on a free loopback port.

    Args:
        mounts: clip by path, such as ``/door``.
        user: asks for it, with `password`; None asks for nothing.
        password: of the user.
        digest: asks by Digest rather than Basic.
        port: 0 takes a free one.

    Raises:
        ServerMissingError: the packages are missing, or the server did not start.
    """

    def __init__(
        self,
        mounts: Mapping[str, Path],
        *,
        user: str | None = None,
        password: str | None = None,
        digest: bool = True,
        port: int = 0,
    ) -> None:
        if not server_is_here():
            raise ServerMissingError(
                "GStreamer's RTSP server is not on this machine.",
                why="Ward cameras are measured against a real one.",
                do=f"Install it: apt-get install --no-install-recommends {PACKAGES}",
            )
        told = {
            "mounts": {mount: str(path.resolve()) for mount, path in mounts.items()},
            "frames_per_second": FRAMES_PER_SECOND,
            "user": user,
            "password": password,
            "digest": digest,
            "port": port,
        }
        script = Path(__file__).with_name("rtsp_server.py")
        self.process = subprocess.Popen(
            [SYSTEM_PYTHON, "-I", script, json.dumps(told)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self.process.stdout is not None
        said = self.process.stdout.readline().strip()
        if not said.isdigit():
            self.close()
            raise ServerMissingError("GStreamer's RTSP server did not start.", do=f"Check: {PACKAGES}")
        self.port = int(said)

    def url(self, mount: str) -> str:
        """The address of a clip."""
        return f"rtsp://127.0.0.1:{self.port}{mount}"

    def close(self) -> None:
        """End the server."""
        self.process.kill()
        self.process.wait(10)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
