"""``renzheng bench ward``."""

import json
from pathlib import Path
from typing import Annotated

import typer

from renzheng.bench.ward.readers import Reader
from renzheng.common.terminal import Terminal, table
from renzheng.edge.ward.rtsp import Codec

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
    shown = table("figure", "value")
    for key, value in figures.items():
        shown.add_row(key, str(value))
    Terminal().print(shown)


@app.command()
def readers(
    reader: Annotated[Reader, typer.Option(help="Ours; PyAV with a process a camera, or with one for all.")],
    codec: Annotated[
        list[Codec] | None, typer.Option(help="Of the cameras, in turn; may be given again.")
    ] = None,
    streams: Annotated[int, typer.Option(min=1, max=128, help="How many cameras of 1280 x 720.")] = 32,
    seconds: Annotated[float, typer.Option(min=5, help="How long to measure.")] = 60.0,
) -> None:
    """Take pictures from many cameras of a real RTSP server and look at none; figures as JSON."""
    from renzheng.bench.ward.readers import run

    codecs = tuple(codec or (Codec.H264, Codec.H264, Codec.H265))
    print(json.dumps(run(reader, codecs, streams, seconds, Terminal(stderr=True).print), indent=2))
