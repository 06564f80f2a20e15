"""`renzheng bench`: measure on this machine."""

import json
from typing import Annotated

import typer

from renzheng.common.terminal import Terminal

app = typer.Typer(no_args_is_help=True)


@app.callback()
def overview() -> None:
    """Measure on this machine, with real parts."""


@app.command()
def sync(
    events: Annotated[int, typer.Option(min=400, help="How many events, over four devices.")] = 100_000,
    as_json: Annotated[bool, typer.Option("--json", help="Write the figures as JSON.")] = False,
) -> None:
    """Measure events a second from device to acknowledged commit: real Mosquitto, TLS, both databases."""
    from renzheng.bench.sync.sync import run

    told = Terminal(stderr=True)
    figures = run(events, told.print)
    if as_json:
        print(json.dumps(figures, indent=2))


@app.command()
def xlsx(
    rows: Annotated[int, typer.Option(min=1, max=1_048_575, help="How many rows, of 82 columns.")] = 100_000,
    as_json: Annotated[bool, typer.Option("--json", help="Write the figures as JSON.")] = False,
) -> None:
    """Measure what reading a sheet costs, beside calamine and openpyxl on the same file."""
    from renzheng.bench.sync.xlsx import run

    progress = Terminal(stderr=True)
    figures = run(rows, progress.print)
    if as_json:
        print(json.dumps(figures, indent=2))
    else:
        for one in figures:
            print(
                f"{one['reader']:>14}: {one['rows']:,} rows, {one['processor_seconds']:,} s of processor, "
                f"{one['peak_mib']:,} MiB"
            )
