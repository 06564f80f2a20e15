"""`renzheng bench pages`: how fast the console answers over millions of verdicts."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from renzheng.common.terminal import Terminal, table

app = typer.Typer(no_args_is_help=True)


@app.callback()
def bench() -> None:
    """Measure on this machine, with real parts."""


@app.command()
def pages(
    lines: Annotated[int, typer.Option(min=10_000, help="Verdicts in the store.")] = 2_000_000,
    times: Annotated[int, typer.Option(min=1, max=1000, help="How often each page is asked for.")] = 20,
    database_url: Annotated[str | None, typer.Option(help="An empty PostgreSQL; SQLite without it.")] = None,
    folder: Annotated[
        Path | None,
        typer.Option(help="Where the store is left; one already filled is asked as it is."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """Fill a store with verdicts of a year and time the console's lists and pages."""
    from renzheng.bench.pages.run import run
    from renzheng.bench.pages.timing import HEADS

    timings = run(lines, times, Terminal(stderr=True).print, database_url, folder)
    if as_json:
        print(json.dumps([asdict(one) for one in timings], indent=1))
        return
    shown = table("page", *HEADS, numbers=len(HEADS))
    for one in timings:
        shown.add_row(one.page, *(f"{n:,.1f}" for n in list(asdict(one).values())[1:]))
    Terminal().print(shown)
