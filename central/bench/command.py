"""`renzheng bench`: measure on this machine."""

import json
from typing import Annotated

import typer
from rich.console import Console

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
    from renzheng.central.bench.sync import run

    told = Console(stderr=True)
    figures = run(events, lambda text: told.print(text, highlight=False))
    if as_json:
        print(json.dumps(figures, indent=2))
