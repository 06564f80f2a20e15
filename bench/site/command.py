"""`renzheng bench kiosk`: how fast a kiosk decides on this machine."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

from renzheng.common.terminal import Terminal, plain_column

app = typer.Typer(no_args_is_help=True)


@app.callback()
def bench() -> None:
    """Measure on this machine, with real parts."""


@app.command()
def kiosk(
    images: Annotated[Path, typer.Option(help="Folder of portraits.")] = Path(".cache/portraits"),
    looks: Annotated[int, typer.Option(min=1, max=1000, help="How many looks.")] = 40,
    engine: Annotated[str, typer.Option(help="Engine to measure.")] = "dlib",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """Time from a usable face to the decision, liveness included, and frames handled a second."""
    from renzheng.bench.site.kiosk import run

    console = Terminal(stderr=True)
    columns = (plain_column("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=as_json and not console.is_terminal) as progress:
        task = progress.add_task("looks", total=looks)
        result = run(images, looks, lambda done: progress.update(task, completed=done), engine_name=engine)
    if as_json:
        print(json.dumps(result, indent=1))
    else:
        for key, value in result.items():
            Terminal().print(f"{key.replace('_', ' ')}: {value}")


@app.command()
def fleet(
    devices: Annotated[int, typer.Option(min=1, max=5000, help="How many connect at once.")] = 1000,
    registered: Annotated[int, typer.Option(min=1, help="How many the store knows.")] = 5000,
    slow_entries: Annotated[int, typer.Option(min=1, help="A backlog behind a line of 32 kbit/s.")] = 400,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """Connect a fleet at once, kill the broker under it, and drain a backlog over a slow line."""
    from renzheng.bench.site.fleet import run

    told = Terminal(stderr=True)
    figures = run(devices, registered, slow_entries, told.print)
    if as_json:
        print(json.dumps(figures, indent=2))


@app.command()
def codes(
    frames: Annotated[int, typer.Option(min=1, help="How many of each kind.")] = 60,
) -> None:
    """Count the QR codes that are read of drawn frames, beside OpenCV's reader; as JSON."""
    from renzheng.bench.site.codes import run

    print(json.dumps(run(frames), indent=1))
