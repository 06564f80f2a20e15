"""``renzheng bench ward``."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from renzheng.common.terminal import Terminal

app = typer.Typer(no_args_is_help=True)


@app.command()
def ward(  # noqa: PLR0917 - Typer's options
    streams: Annotated[int, typer.Option(min=1, max=128, help="How many cameras of 1280 x 720.")] = 16,
    seconds: Annotated[float, typer.Option(min=5, help="How long to measure.")] = 60.0,
    engine: Annotated[str, typer.Option(help="Face engine; see `renzheng models list`.")] = "dlib",
    workers: Annotated[int, typer.Option(min=1, max=16, help="How many frames are looked at at once.")] = 2,
    images: Annotated[Path, typer.Option(help="Portraits whose people walk by.")] = Path(".cache/portraits"),
    as_json: Annotated[bool, typer.Option("--json", help="Write the figures as JSON.")] = False,
) -> None:
    """Watch many cameras of a real RTSP server at one analysed frame a second each."""
    from renzheng.bench.ward.run import run

    told = Terminal(stderr=True)
    figures = run(streams, seconds, engine, images, told.print, workers)
    if as_json:
        print(json.dumps(figures, indent=2))
        return
    table = Table("figure", "value")
    for key, value in figures.items():
        table.add_row(key, str(value))
    Terminal().print(table)
