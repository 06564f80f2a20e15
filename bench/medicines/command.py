"""`renzheng bench medicines`: the findings about boxes of medicines over a week of sales."""

import json
import sys
import tempfile
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from renzheng.bench.audit.command import PERIOD, Timing, timed
from renzheng.bench.medicines.lake import write_medicines
from renzheng.central.audit.readback import read_findings
from renzheng.common.terminal import Terminal, table
from renzheng.contracts.errors import FaultError

app = typer.Typer(no_args_is_help=True)


@app.callback()
def bench() -> None:
    """Measure on this machine, with real parts."""


@app.command()
def medicines(
    sales: Annotated[int, typer.Option(min=1_000, help="Sales of medicines.")] = 10_000_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """Audit a week of sales and purchases, box by box; it must find the boxes sold twice and no other."""
    found = measure(sales)
    if as_json:
        print(json.dumps(asdict(found), indent=1))
        return
    shown = table("sales", "wall s", "cpu s", "peak GB", numbers=4)
    shown.add_row(f"{sales:,}", f"{found.seconds:.1f}", f"{found.cpu_seconds:.1f}", f"{found.peak_gb:.2f}")
    Terminal().print(shown)


def measure(sales: int) -> Timing:
    """Write the lake, audit it in a process of its own, and hold the findings against what was planted.

    Raises:
        FaultError: the audit failed, or found other boxes than those sold twice.
    """
    with tempfile.TemporaryDirectory(prefix="renzheng-bench-") as folder:
        lake, out = Path(folder) / "lake", Path(folder) / "out"
        twice = write_medicines(lake, sales)
        renzheng = str(Path(sys.executable).with_name("renzheng"))
        command = [renzheng, "audit", "run", "--tables", str(lake), *PERIOD, "--out", str(out)]
        timing = timed("renzheng (DuckDB)", sales, command)
        rules = Counter(one.rule_id for one in read_findings(out))
        about = {name: n for name, n in rules.items() if name.startswith(("medicine", "traceability"))}
        if about != {"traceability-twice": twice}:
            raise FaultError(f"{twice} boxes were sold twice; the audit found {about}.")
    return timing
