"""``renzheng bench readers``: what taking pictures from many cameras costs, ours beside PyAV."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any

from renzheng.bench.ward import scenes
from renzheng.bench.ward.run import ask, use_of
from renzheng.bench.ward.server import RtspServer
from renzheng.contracts.errors import UsageError
from renzheng.edge.ward.rtsp import Codec

CLIP_SECONDS = 10.0
_SETTLE_SECONDS = 6.0


class Reader(StrEnum):
    """What reads the cameras."""

    OWN = "own"
    PYAV = "pyav"
    PYAV_TOGETHER = "pyav-together"


def run(
    reader: Reader, codecs: tuple[Codec, ...], streams: int, seconds: float, tell: Callable[[str], None]
) -> dict[str, Any]:
    """Measure one reader.

    Args:
        reader: which.
        codecs: of the cameras, in turn.
        streams: how many cameras of 1280 x 720, 15 frames and one key frame a second.
        seconds: how long.
        tell: called with what is being done.

    Raises:
        ServerMissingError: the RTSP server is not on this machine.
        UsageError: PyAV is not installed.
    """
    with tempfile.TemporaryDirectory(prefix="renzheng-readers-") as name:
        folder = Path(name)
        tell("composing clips ...")
        clips = [
            scenes.encode(scenes.frames([], CLIP_SECONDS, seed=number), folder / f"clip-{number}", codec)
            for number, codec in enumerate(codecs)
        ]
        mounts = {f"/camera-{number}": clips[number % len(clips)] for number in range(streams)}
        with RtspServer(mounts, user="viewer", password="not-a-secret") as server:  # noqa: S106 - of the bench
            tell(f"{reader}: {streams} streams for {seconds:g} s ...")
            return _measure(reader, [server.url(mount) for mount in mounts], seconds)


def _measure(reader: Reader, urls: list[str], seconds: float) -> dict[str, Any]:
    asked = {"reader": reader.value, "urls": urls, "user": "viewer", "password": "not-a-secret"}
    command = [sys.executable, "-m", "renzheng.bench.ward.reader_worker"]
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "RENZHENG_LOG_LEVEL": "ERROR"}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | one_thread, text=True
    ) as worker:
        assert worker.stdin is not None
        worker.stdin.write(json.dumps(asked) + "\n")
        opened = ask(worker)
        if "missing" in opened:
            raise UsageError(
                f"The package {opened['missing']} is not installed.",
                why="It is a rival in this measurement and no part of the product.",
                do=f"Install it with: pip install {opened['missing']}",
            )
        time.sleep(_SETTLE_SECONDS)
        before, used = ask(worker), use_of(worker.pid)
        time.sleep(seconds)
        after, now_used = ask(worker), use_of(worker.pid)
        worker.stdin.close()
        worker.wait(60)
    pictures, cpu_s = after["pictures"] - before["pictures"], now_used.cpu_s - used.cpu_s
    passed = after["at_s"] - before["at_s"]
    return {
        "reader": reader.value,
        "streams": len(urls),
        "opened": opened["opened"],
        "open_seconds_median": opened["median_s"],
        "open_seconds_all": opened["all_s"],
        "open_cpu_seconds": opened["cpu_s"],
        "seconds": round(passed, 1),
        "pictures_per_stream_second": round(pictures / passed / len(urls), 3),
        "cpu_ms_per_picture": round(1000 * cpu_s / max(pictures, 1), 2),
        "memory_mb": round(now_used.memory_mb),
        "processes": now_used.processes,
    }
