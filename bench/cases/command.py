"""`renzheng bench cases`: lists of doubts, and issuing a large case, over a county's month."""

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
def cases(
    lines: Annotated[
        int, typer.Option(min=5_000, help="Audited lines; one of 25 becomes a doubt.")
    ] = 260_000,
    institutions: Annotated[int, typer.Option(min=1, help="Of so many institutions, with a case each.")] = 10,
    times: Annotated[int, typer.Option(min=1, max=1000, help="How often each list is asked for.")] = 7,
    database_url: Annotated[str | None, typer.Option(help="An empty PostgreSQL; SQLite without it.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """Draft a county's month, time its lists, and confirm and issue the largest case."""
    from renzheng.bench.cases.run import run
    from renzheng.bench.pages.timing import HEADS

    found = run(lines, institutions, times, Terminal(stderr=True).print, database_url)
    if as_json:
        print(json.dumps(asdict(found), indent=1))
        return
    shown = table("list", *HEADS, numbers=len(HEADS))
    for one in found.lists:
        shown.add_row(one.page, *(f"{n:,.1f}" for n in list(asdict(one).values())[1:]))
    Terminal().print(shown)
    shown = table("measured", "value", numbers=1)
    for name, value in asdict(found).items():
        if name != "lists":
            shown.add_row(name, f"{value:,.2f}")
    Terminal().print(shown)
