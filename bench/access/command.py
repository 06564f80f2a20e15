"""`renzheng bench access`: what the access log and signing in cost."""

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
def access(
    entries: Annotated[int, typer.Option(min=1_000, help="Entries of the access log.")] = 100_000,
    times: Annotated[int, typer.Option(min=1, max=1000, help="How often each thing is done.")] = 30,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """Time a full access log's verification, a page with and without its entry, and four sign-ins at once."""
    from renzheng.bench.access.run import run

    found = run(entries, times)
    if as_json:
        print(json.dumps(asdict(found), indent=1))
        return
    shown = table("measured", "value", numbers=1)
    for name, value in asdict(found).items():
        shown.add_row(name, f"{value:,.2f}")
    Terminal().print(shown)
