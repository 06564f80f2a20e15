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


@app.command()
def values(
    messages: Annotated[int, typer.Option(min=1, help="How many, of eight claim lines.")] = 60_000,
) -> None:
    """Measure what reading a large JSON array costs, beside ijson on the same file; figures as JSON."""
    from renzheng.bench.sync.json_values import run

    print(json.dumps(run(messages, Terminal(stderr=True).print), indent=2))
