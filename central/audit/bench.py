"""`renzheng bench audit`: a nation's night on this machine, beside SQLite and pandas."""

# ruff: noqa: S608 - paths are quoted

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from renzheng.central.audit.bench_lake import write_lake
from renzheng.central.audit.connection import connect
from renzheng.central.audit.sources import quoted
from renzheng.contracts.errors import FaultError

app = typer.Typer(no_args_is_help=False)

RIVALS = ("pandas", "sqlite")
PERIOD = ("--from", "2026-03-02", "--to", "2026-03-08")


@dataclass(frozen=True)
class Timing:
    """One measured run: wall and processor seconds, and the greatest memory of the process."""

    who: str
    lines: int
    seconds: float
    cpu_seconds: float
    peak_gb: float


@app.command(name="audit")
def audit(
    sizes: Annotated[
        str, typer.Option(help="Claim lines for the audit, separated by commas.")
    ] = "2000000,20000000",
    rival_sizes: Annotated[
        str, typer.Option(help="Claim lines to try SQLite and pandas with, growing.")
    ] = "200000,2000000,5000000",
    rival_seconds: Annotated[int, typer.Option(help="A rival stops growing after a run this long.")] = 120,
    threads: Annotated[int | None, typer.Option(min=1, help="DuckDB's threads.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write the figures as JSON.")] = False,
) -> None:
    """Time the audit of whole lakes, and the same verdicts by SQLite and pandas at sizes they can finish."""
    told = Console(stderr=True)
    timings = measure(_numbers(sizes), _numbers(rival_sizes), rival_seconds, threads, told.print)
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in timings], indent=2))
        return
    table = Table("who", "claim lines", "wall s", "cpu s", "peak GB", "lines a second")
    for one in timings:
        figures = (f"{one.seconds:.1f}", f"{one.cpu_seconds:.1f}", f"{one.peak_gb:.2f}")
        table.add_row(one.who, f"{one.lines:,}", *figures, f"{one.lines / one.seconds:,.0f}")
    Console().print(table)


def measure(
    sizes: Sequence[int],
    rival_sizes: Sequence[int],
    rival_seconds: int,
    threads: int | None,
    tell: Callable[[str], None],
) -> list[Timing]:
    """Make the lakes, run everybody on them, and check that all say the same.

    Raises:
        FaultError: a run failed, or a rival's verdicts differ.
    """
    timings: list[Timing] = []
    tired: set[str] = set()
    with tempfile.TemporaryDirectory(prefix="renzheng-bench-") as folder:
        for lines in sorted({*sizes, *rival_sizes}):
            lake, out = Path(folder) / f"lake-{lines}", Path(folder) / f"out-{lines}"
            tell(f"writing a lake of {lines:,} claim lines ...")
            write_lake(lake, lines)
            tell(f"the audit, {lines:,} lines ...")
            timings.append(_audit(lake, out, lines, threads))
            for rival in RIVALS if lines in rival_sizes else ():
                if rival in tired:
                    continue
                tell(f"{rival}, {lines:,} lines ...")
                timing = _rival(rival, lake, out, lines)
                timings.append(timing)
                if timing.seconds > rival_seconds:
                    tired.add(rival)
    return timings


def _audit(lake: Path, out: Path, lines: int, threads: int | None) -> Timing:
    command = [str(Path(sys.executable).with_name("renzheng")), "audit", "run", "--tables", str(lake)]
    limit = [] if threads is None else ["--threads", str(threads)]
    return _timed("renzheng (DuckDB)", lines, [*command, *PERIOD, "--out", str(out), *limit])


def _rival(rival: str, lake: Path, out: Path, lines: int) -> Timing:
    answer = out / f"{rival}.parquet"
    module = "renzheng.central.audit.bench_rivals"
    timing = _timed(rival, lines, [sys.executable, "-m", module, rival, str(lake), str(answer)])
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


def _timed(who: str, lines: int, command: list[str]) -> Timing:
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - began
    if process.returncode:
        raise FaultError(f"{who} failed on {lines:,} lines: {said.decode(errors='replace')[-500:]}")
    return Timing(who, lines, seconds, used.ru_utime + used.ru_stime, _peak_gb(used))


def _peak_gb(used: resource.struct_rusage) -> float:
    """Convert the peak memory, which Linux gives in KiB."""
    return used.ru_maxrss * 1024 / 1e9


def _numbers(text: str) -> list[int]:
    return [int(one) for one in text.split(",") if one.strip()]
