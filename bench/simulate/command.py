"""``renzheng simulate county | lake``: synthetic tables with the truth beside them."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from renzheng.bench.simulate.county import CountySummary, simulate_county
from renzheng.bench.simulate.lake import LakeSummary, simulate_lake
from renzheng.bench.simulate.rooms import simulate_rooms
from renzheng.common.terminal import Terminal, table
from renzheng.common.words import say

app = typer.Typer(no_args_is_help=True, help="Synthetic tables with the truth beside them.")


@app.callback()
def simulate() -> None:
    """Synthetic tables with the truth beside them."""


@app.command()
def county(  # noqa: PLR0917 - the parameters are the command line
    out: Annotated[Path, typer.Option(help="Folder for the tables and truth.parquet.")],
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 1,
    days: Annotated[int, typer.Option(help="Local days from 2026-03-02, a Monday.")] = 30,
    people: Annotated[int, typer.Option(help="Insured persons.")] = 3000,
    evasions: Annotated[
        bool,
        typer.Option(help="Add ten institutions that evade the audit, by one trick each."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Simulate a county: real-life noise, planted fraud, and the truth of each line."""
    with _progress() as report:
        summary = simulate_county(seed, days, out, people=people, evasions=evasions, report=report)
    _tell(summary, f"{summary.first_day} … {summary.last_day}", as_json=as_json)


@app.command()
def rooms(
    out: Annotated[Path, typer.Option(help="Folder for the tables and truth.parquet.")],
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 1,
    days: Annotated[int, typer.Option(help="Local days from 2026-03-02, a Monday.")] = 30,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Simulate treatment rooms of eleven makes, each watched and billed in its own way."""
    summary = simulate_rooms(seed, days, out)
    _tell(summary, f"{summary.first_day} … {summary.last_day}", as_json=as_json)


@app.command()
def lake(
    lines: Annotated[int, typer.Option(help="About how many claim lines.")],
    out: Annotated[Path, typer.Option(help="A new folder for the tables and truth.parquet.")],
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Write a nation's night straight to partitioned Parquet, with the truth beside it."""
    with _progress() as report:
        summary = simulate_lake(lines, out, seed=seed, report=report)
    _tell(summary, say("{0} region(s)", summary.regions), as_json=as_json)


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """Show a bar on the error output; what is yielded moves it."""
    with Progress(console=Terminal(stderr=True), transient=True) as bar:
        task = bar.add_task(say("simulating"), total=None)

        def report(stage: str, done: int, total: int) -> None:
            bar.update(task, description=stage, completed=done, total=total)

        yield report


def _tell(summary: CountySummary | LakeSummary, title: str, *, as_json: bool) -> None:
    """Print what was written, as tables or as JSON."""
    if as_json:
        json.dump(asdict(summary), sys.stdout, ensure_ascii=False, indent=2, default=str)
        sys.stdout.write("\n")
        return
    _print(title, {say("table"): summary.rows, say("truth/allows"): summary.truths})


def _print(title: str, parts: Mapping[str, Mapping[str, int]]) -> None:
    console = Terminal()
    for heading, counts in parts.items():
        shown = table(heading, "rows", title=title, numbers=1)
        for name, number in counts.items():
            shown.add_row(name, f"{number:,}")
        console.print(shown)
