"""`renzheng bench audit`: a nation's night on this machine, beside SQLite and pandas."""

# ruff: noqa: S608 - paths are quoted

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated

import typer

from renzheng.bench.audit.lake import write_lake
from renzheng.central.audit.connection import connect
from renzheng.central.audit.readback import read_summary
from renzheng.central.audit.sources import quoted
from renzheng.common.terminal import Terminal, table
from renzheng.contracts.errors import FaultError

app = typer.Typer(no_args_is_help=False)

RIVALS = ("pandas", "sqlite")
LOOK_SECONDS = 0.05
PERIOD = ("--from", "2026-03-02", "--to", "2026-03-08")


@dataclass(frozen=True)
class Timing:
    """One measured run.

    Args:
        who: the audit, or a rival.
        lines: claim lines of the lake.
        finished: whether it came to an end within the limits; the audit has none.
        stopped_by: `time` or `memory`, of a rival that did not finish.
        seconds: wall time, to the end or until it was stopped.
        cpu_seconds: processor time of the process.
        peak_gb: the most memory that it held, in GB of 10^9 bytes.
        step_seconds: by step, of the audit.
    """

    who: str
    lines: int
    finished: bool
    stopped_by: str | None
    seconds: float
    cpu_seconds: float
    peak_gb: float
    step_seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Limit:
    """What one run of a rival may take before it is stopped, and reported as not finished at that size."""

    seconds: float
    gigabytes: float


@app.command(name="audit")
def audit(  # noqa: PLR0917 - each is an option
    sizes: Annotated[
        str, typer.Option(help="Claim lines for the audit, separated by commas.")
    ] = "2000000,20000000",
    rival_sizes: Annotated[
        str, typer.Option(help="Claim lines to try SQLite and pandas with, growing until one gives up.")
    ] = "200000,2000000,5000000,20000000",
    rival_seconds: Annotated[
        int, typer.Option(min=1, help="A rival's run is stopped after so many seconds.")
    ] = 180,
    rival_gigabytes: Annotated[
        float, typer.Option(min=0.1, help="A rival's run is stopped beyond so much memory (GB).")
    ] = 8.0,
    threads: Annotated[int | None, typer.Option(min=1, help="DuckDB's threads.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write the figures as JSON.")] = False,
) -> None:
    """Time the audit of whole lakes, and the same verdicts by SQLite and pandas at sizes they can finish.

    In full it takes about ten minutes on two idle cores, and 6 GB of disk. A rival that is stopped by a
    limit is reported as not finished at that size, and tried with no larger one.
    """
    told, began = Terminal(stderr=True), time.perf_counter()

    def tell(what: str) -> None:
        told.print(f"[{time.perf_counter() - began:5.0f} s] {what}")

    limit = Limit(rival_seconds, rival_gigabytes)
    timings = measure(_numbers(sizes), _numbers(rival_sizes), limit, threads, tell)
    if as_json:
        limits = asdict(limit)
        typer.echo(json.dumps({"limits_of_rivals": limits, "runs": [asdict(t) for t in timings]}, indent=2))
        return
    shown = table("who", "claim lines", "wall s", "cpu s", "peak GB", "lines a second", numbers=5)
    for one in timings:
        speed = f"{one.lines / one.seconds:,.0f}" if one.finished else f"not finished ({one.stopped_by})"
        figures = (f"{one.seconds:.1f}", f"{one.cpu_seconds:.1f}", f"{one.peak_gb:.2f}")
        shown.add_row(one.who, f"{one.lines:,}", *figures, speed)
    Terminal().print(shown)


def measure(
    sizes: Sequence[int],
    rival_sizes: Sequence[int],
    limit: Limit,
    threads: int | None,
    tell: Callable[[str], None],
) -> list[Timing]:
    """Make the lakes, run everybody on them, and check that all say the same.

    Raises:
        FaultError: a run failed, or a rival's verdicts differ.
    """
    timings: list[Timing] = []
    given_up: set[str] = set()
    for lines in sorted({*sizes, *rival_sizes}):
        with tempfile.TemporaryDirectory(prefix="renzheng-bench-") as folder:
            lake, out = Path(folder) / "lake", Path(folder) / "out"
            tell(f"writing a lake of {lines:,} claim lines")
            write_lake(lake, lines)
            tell(f"the audit, {lines:,} lines")
            timings.append(_audit(lake, out, lines, threads))
            tell(f"  {timings[-1].seconds:.1f} s, {timings[-1].peak_gb:.2f} GB")
            for rival in RIVALS if lines in rival_sizes else ():
                if rival in given_up:
                    continue
                tell(f"{rival}, {lines:,} lines")
                timing = _rival(rival, lake, out, lines, limit)
                timings.append(timing)
                ended = "" if timing.finished else f", stopped by {timing.stopped_by}"
                tell(f"  {timing.seconds:.1f} s, {timing.peak_gb:.2f} GB{ended}")
                if not timing.finished:
                    given_up.add(rival)
    return timings


def _audit(lake: Path, out: Path, lines: int, threads: int | None) -> Timing:
    command = [str(Path(sys.executable).with_name("renzheng")), "audit", "run", "--tables", str(lake)]
    own = [] if threads is None else ["--threads", str(threads)]
    timing = timed("renzheng (DuckDB)", lines, [*command, *PERIOD, "--out", str(out), *own])
    return replace(timing, step_seconds=read_summary(out)["seconds"])


def _rival(rival: str, lake: Path, out: Path, lines: int, limit: Limit) -> Timing:
    answer = out / f"{rival}.parquet"
    module = "renzheng.bench.audit.rivals"
    timing = timed(rival, lines, [sys.executable, "-m", module, rival, str(lake), str(answer)], limit)
    if not timing.finished:
        return timing
    theirs, ours = quoted(answer), quoted(out / "line_verdicts.parquet")
    with connect() as connection:
        different = connection.execute(
            f"SELECT count(*) FROM read_parquet('{theirs}') t "
            f"FULL JOIN read_parquet('{ours}') o USING (line_id) "
            "WHERE t.reason IS DISTINCT FROM o.reason"
        ).fetchall()[0][0]
    if different:
        raise FaultError(f"{rival} gives {different:,} lines another reason than the audit.")
    return timing


def timed(who: str, lines: int, command: list[str], limit: Limit | None = None) -> Timing:
    """Run a process to its end, or until it breaks a limit; its memory is looked at all the while."""
    began = time.perf_counter()
    stopped_by = None
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        while True:
            ended, status, used = os.wait4(process.pid, os.WNOHANG)
            if ended:
                break
            if limit is not None and stopped_by is None:
                stopped_by = _broken(limit, time.perf_counter() - began, process.pid)
                if stopped_by is not None:
                    process.kill()
            time.sleep(LOOK_SECONDS)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode and stopped_by is None:
            errors.seek(0)
            said = errors.read().decode(errors="replace")[-500:]
            raise FaultError(f"{who} failed on {lines:,} lines: {said}")
    cpu_seconds = used.ru_utime + used.ru_stime
    return Timing(who, lines, stopped_by is None, stopped_by, seconds, cpu_seconds, _peak_gb(used))


def _broken(limit: Limit, seconds: float, pid: int) -> str | None:
    """Name the limit that a process has broken."""
    if seconds > limit.seconds:
        return "time"
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError):  # it has just ended
        return None
    return "memory" if pages * os.sysconf("SC_PAGE_SIZE") > limit.gigabytes * 1e9 else None


def _peak_gb(used: resource.struct_rusage) -> float:
    """Convert the peak memory, which Linux gives in KiB."""
    return used.ru_maxrss * 1024 / 1e9


def _numbers(text: str) -> list[int]:
    return [int(one) for one in text.split(",") if one.strip()]
