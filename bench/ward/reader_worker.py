"""The reading process of `renzheng bench readers`: takes pictures and throws them away."""

import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from renzheng.bench.ward.run import use_of
from renzheng.edge.settings.ward import CameraSettings
from renzheng.edge.ward.camera import Camera
from renzheng.edge.ward.rtsp import Credentials

_OPEN_SECONDS = 120.0


class Source(Protocol):
    """What reads one camera or several."""

    def pictures(self) -> list[int]:
        """How many pictures came so far, by camera."""

    def stop(self) -> None:
        """Let go of the cameras."""


class Own:
    """The ward's own reader, one thread and one decoder a camera."""

    def __init__(self, urls: Sequence[str], credentials: Credentials) -> None:
        self._cameras = [
            Camera(
                CameraSettings(id=f"camera-{number}", url=url, ward="1", place="corridor"),
                credentials,
                on_picture=lambda: None,
            )
            for number, url in enumerate(urls)
        ]
        for camera in self._cameras:
            camera.start()

    def pictures(self) -> list[int]:
        """See `Source`."""
        return [camera.counts.pictures for camera in self._cameras]

    def stop(self) -> None:
        """See `Source`."""
        for camera in self._cameras:
            camera.stop()


class PyAv:
    """Processes with PyAV that open the cameras themselves and hand pictures over in a pipe.

    Args:
        urls: of the cameras.
        credentials: of all of them; they go in by the pipe, so that none stands in a command line.
        together: all cameras in one process, one thread each; otherwise a process each.
    """

    def __init__(self, urls: Sequence[str], credentials: Credentials, *, together: bool) -> None:
        self._counts = [0] * len(urls)
        groups = [list(range(len(urls)))] if together else [[number] for number in range(len(urls))]
        script = Path(__file__).with_name("pyav_reader.py")
        self._processes = []
        for group in groups:
            process = subprocess.Popen(
                [sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
            )
            assert process.stdin is not None
            told = {
                "urls": {str(number): urls[number] for number in group},
                "user": credentials.user,
                "password": credentials.password,
            }
            process.stdin.write(json.dumps(told).encode() + b"\n")
            threading.Thread(target=self._take, args=(process,), daemon=True).start()
            self._processes.append(process)

    def _take(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdout is not None
        with os.fdopen(os.dup(process.stdout.fileno()), "rb", buffering=0) as pipe:
            while header := pipe.read(12):
                number, rows, columns = (int.from_bytes(header[at : at + 4]) for at in (0, 4, 8))
                space = memoryview(bytearray(rows * columns))
                while space:
                    space = space[pipe.readinto(space) or len(space) :]
                self._counts[number] += 1

    def pictures(self) -> list[int]:
        """See `Source`."""
        return list(self._counts)

    def stop(self) -> None:
        """See `Source`."""
        for process in self._processes:
            process.kill()
            process.wait()


def open_all(source: Source, count: int, began: float) -> dict[str, Any]:
    """Wait until each camera has given a picture; how long it took."""
    first = [0.0] * count
    while time.monotonic() - began < _OPEN_SECONDS and not all(first):
        for number, pictures in enumerate(source.pictures()):
            if pictures and not first[number]:
                first[number] = time.monotonic() - began
        time.sleep(0.02)
    came = [one for one in first if one]
    return {
        "opened": len(came),
        "median_s": round(statistics.median(came), 2) if came else None,
        "all_s": round(max(came), 2) if len(came) == count else None,
        "cpu_s": round(use_of(os.getpid()).cpu_s, 2),
    }


def main() -> None:
    """Do what the module says."""
    asked = json.loads(sys.stdin.readline())
    credentials = Credentials(asked["user"], asked["password"])
    if asked["reader"] != "own" and find_spec("av") is None:
        _answer({"missing": "av"})
        return
    began = time.monotonic()
    if asked["reader"] == "own":
        source: Source = Own(asked["urls"], credentials)
    else:
        source = PyAv(asked["urls"], credentials, together=asked["reader"] == "pyav-together")
    opened = open_all(source, len(asked["urls"]), began)
    sys.stdin.readline()
    _answer(opened)
    for _line in sys.stdin:
        _answer({"at_s": time.monotonic(), "pictures": sum(source.pictures())})
    source.stop()


def _answer(values: dict[str, Any]) -> None:
    print(json.dumps(values), flush=True)  # noqa: T201 - to the process that started us


if __name__ == "__main__":
    main()
