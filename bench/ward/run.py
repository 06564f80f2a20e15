"""`renzheng bench ward`: a real RTSP server, a real agent, composed clips; cost, and what is on time."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from renzheng.bench.ward import scenes
from renzheng.bench.ward.server import RtspServer
from renzheng.contracts.errors import FaultError, InputError
from renzheng.edge.ward.rtsp import Codec
from renzheng.models.engine import FaceEngine, open_engine
from renzheng.models.images import decode

CLIP_SECONDS = 10.0
_SUFFIXES = (".jpg", ".jpeg", ".png")
_TICKS = os.sysconf("SC_CLK_TCK")
_SETTLE_SECONDS = 6.0
_START_SECONDS = 180.0


class BenchImagesError(InputError):
    """There are not enough photographs to make people of."""


@dataclass(frozen=True)
class Use:
    """What a process and its children have used: processor seconds, and memory that is theirs in MB."""

    cpu_s: float
    memory_mb: float
    processes: int


def run(  # noqa: PLR0917 - the command's options
    streams: int,
    seconds: float,
    engine_name: str,
    images: Path,
    tell: Callable[[str], None],
    workers: int = 2,
) -> dict[str, Any]:
    """Measure; the keys are stable and explained in docs/ward.md.

    Raises:
        BenchImagesError: fewer than two faces in `images`.
        ServerMissingError: the RTSP server is not on this machine.
        FaultError: the agent did not start.
    """
    with tempfile.TemporaryDirectory(prefix="renzheng-ward-") as name:
        folder = Path(name)
        tell("composing clips ...")
        engine = open_engine(engine_name, threads=1)
        people = _people(images, folder / "people", engine)
        clips = compose(people, folder, engine)
        mounts = {f"/camera-{number}": clips[number % len(clips)] for number in range(streams)}
        with RtspServer(mounts) as server:
            config = _write_settings(folder, server, list(mounts), engine_name, workers)
            tell(f"{streams} streams for {seconds:g} s ...")
            return {
                "streams": streams,
                "engine": engine_name,
                "workers": workers,
                **_measure(config, folder / "people", server, streams, seconds),
            }


def compose(people: Sequence[Path], folder: Path, engine: FaceEngine) -> list[Path]:
    """Encode two clips in H.264 and one in H.265, in which somebody walks at every moment."""
    heads = [
        head for path in people if (head := scenes.cut_head(decode(path.read_bytes()), engine)) is not None
    ]
    clips = []
    for number, codec in enumerate((Codec.H264, Codec.H264, Codec.H265)):
        walks = [
            scenes.Walk(
                heads[(number * 2 + turn) % len(heads)],
                turn * CLIP_SECONDS / 2,
                CLIP_SECONDS / 2,
                (200 + 140 * number, 170, 80),
                (560 + 120 * turn, 400, 210),
            )
            for turn in range(2)
        ]
        pictures = scenes.frames(walks, CLIP_SECONDS, seed=number)
        clips.append(scenes.encode(pictures, folder / f"clip-{number}", codec))
    return clips


def _people(images: Path, folder: Path, engine: FaceEngine) -> list[Path]:
    folder.mkdir()
    found = sorted(path for path in images.rglob("*") if path.suffix.lower() in _SUFFIXES)
    for path in found:
        if engine.subject(decode(path.read_bytes())) is not None:
            shutil.copy(path, folder / f"{len(list(folder.iterdir())):02d}{path.suffix}")
        if len(list(folder.iterdir())) == 6:  # noqa: PLR2004 - as many as walk
            break
    people = sorted(folder.iterdir())
    if len(people) < 2:  # noqa: PLR2004 - two to be told apart
        raise BenchImagesError(
            f"{images} holds {len(people)} photograph(s) with a face; two are needed.",
            do="Name a folder of portraits with --images; `make setup` fetches some.",
        )
    return people


def _write_settings(
    folder: Path, server: RtspServer, mounts: Sequence[str], engine: str, workers: int
) -> Path:
    lines = [
        "[device]",
        'device_id = "ward-bench"\ninstitution_id = "bench"\npurpose = "inpatient"\ndata_dir = "data"',
        f"[face]\nengine = {orjson.dumps(engine).decode()}",
        "[ward]",
        f"workers = {workers}\nhealth_port = 0",
        "consent_needed = false\nexpected_false_matches = 0.01",
    ]
    for mount in mounts:
        lines += [
            "[[ward.cameras]]",
            f'id = "{mount.strip("/")}"\nurl = "{server.url(mount)}"\nward = "1"\nplace = "corridor"',
        ]
    path = folder / "edge.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _measure(config: Path, people: Path, server: RtspServer, streams: int, seconds: float) -> dict[str, Any]:
    command = [sys.executable, "-m", "renzheng.bench.ward.worker", str(config), str(people)]
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "RENZHENG_LOG_LEVEL": "WARNING"}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | one_thread, text=True
    ) as agent:
        assert agent.stdout is not None
        if not agent.stdout.readline():
            raise FaultError("The measured agent did not start.", do="Run: renzheng edge ward run")
        deadline = time.monotonic() + _START_SECONDS
        while ask(agent)["cameras_up"] < streams and time.monotonic() < deadline:
            time.sleep(0.5)
        time.sleep(_SETTLE_SECONDS)
        before, used, served = ask(agent), use_of(agent.pid), use_of(server.process.pid)
        time.sleep(seconds)
        after, now_used, now_served = ask(agent), use_of(agent.pid), use_of(server.process.pid)
        assert agent.stdin is not None
        agent.stdin.close()
        agent.wait(60)
    return _figures(before, after, used, now_used, streams) | {
        "memory_mb_before": round(used.memory_mb),
        "server_cores": round((now_served.cpu_s - served.cpu_s) / (after["at_s"] - before["at_s"]), 2),
    }


def _figures(
    before: dict[str, Any], after: dict[str, Any], used: Use, now_used: Use, streams: int
) -> dict[str, Any]:
    passed = after["at_s"] - before["at_s"]
    counted = {key: after[key] - before[key] for key in before}
    frames = max(counted["analysed"], 1)
    cpu_s = now_used.cpu_s - used.cpu_s
    analysis_ms = 1000 * counted["analysis_cpu_s"] / frames
    taking_ms = 1000 * (cpu_s - counted["analysis_cpu_s"]) / max(counted["pictures"], 1)
    return {
        "seconds": round(passed, 1),
        "cameras_up": after["cameras_up"],
        "pictures": counted["pictures"],
        "analysed": counted["analysed"],
        "analysed_per_stream_second": round(counted["analysed"] / passed / streams, 3),
        "on_time_share": round(counted["on_time"] / max(counted["pictures"], frames), 4),
        "with_motion_share": round(min(1.0, counted["with_motion"] / frames), 3),
        "faces": counted["faces"],
        "presences": after["presences"],
        "cores": round(cpu_s / passed, 3),
        "cpu_ms_per_frame": round(taking_ms + analysis_ms, 1),
        "taking_cpu_ms_per_frame": round(taking_ms, 1),
        "analysis_cpu_ms_per_frame": round(analysis_ms, 1),
        "streams_on_two_cores": int(2000 / (taking_ms + analysis_ms)),
        "memory_mb": round(now_used.memory_mb),
        "processes": now_used.processes,
    }


def ask(worker: "subprocess.Popen[str]") -> dict[str, Any]:
    """Ask a process of a measurement for its counts: a line in, a JSON object out.

    Raises:
        FaultError: it has ended.
    """
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write("\n")
    worker.stdin.flush()
    line = worker.stdout.readline()
    if not line:
        raise FaultError("The reading process ended.", do="Run it with RENZHENG_LOG_LEVEL=INFO.")
    answer: dict[str, Any] = json.loads(line)
    return answer


def use_of(pid: int) -> Use:
    """Read what a process and its living children have used (Linux)."""
    pids = [pid, *_children(pid)]
    cpu = memory = 0.0
    for one in pids:
        try:
            values = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            rollup = Path(f"/proc/{one}/smaps_rollup").read_text()
        except OSError:
            continue
        cpu += (int(values[11]) + int(values[12])) / _TICKS
        memory += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) / 1000
    return Use(cpu, memory, len(pids))


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            found += [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue
    return found
