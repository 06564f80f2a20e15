"""`renzheng bench check`: how fast checks answer over the history of a region."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from renzheng.common.terminal import Terminal, table

app = typer.Typer(no_args_is_help=True)


@app.callback()
def bench() -> None:
    """Measure on this machine, with real parts."""


@app.command()
def check(
    persons: Annotated[
        int, typer.Option(min=100, help="Persons in the history; a region has 1,000,000.")
    ] = 20_000,
    lines_each: Annotated[int, typer.Option(min=1, max=360, help="Billed lines of each in a year.")] = 30,
    callers: Annotated[int, typer.Option(min=1, max=64, help="Callers at the same time.")] = 8,
    seconds: Annotated[float, typer.Option(min=0.1, max=3600, help="How long they ask.")] = 10.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """Ask for checks over HTTP (orders, charges, settlements), and the same kinds as SQL at each call."""
    from renzheng.bench.checks.run import run
    from renzheng.bench.checks.world import Size

    found = run(Size(persons, lines_each), callers, seconds, Terminal(stderr=True).print)
    if as_json:
        print(json.dumps(asdict(found), indent=1))
        return
    shown = table("measured", "value", numbers=1)
    for name, value in asdict(found).items():
        shown.add_row(name, f"{value:,.2f}" if isinstance(value, float) else f"{value:,}")
    Terminal().print(shown)
