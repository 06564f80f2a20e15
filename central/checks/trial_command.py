"""`renzheng knowledge impact | codes | replay`: knowledge on the past, own codes, checks by the audit."""

import datetime as dt
import json
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from renzheng.common.terminal import Terminal, table
from renzheng.common.words import say
from renzheng.rules.knowledge import packfile

DAY = ["%Y-%m-%d"]


def add_to(app: typer.Typer) -> None:
    """Add the commands to those of knowledge."""
    app.command()(impact)
    app.command()(codes)
    app.command()(replay)


def impact(  # noqa: PLR0917 - each is an option
    first: Annotated[Path, typer.Argument(help="The pack so far.")],
    second: Annotated[Path, typer.Argument(help="The changed pack.")],
    tables: Annotated[Path, typer.Option(help="Folder of canonical tables.")],
    from_day: Annotated[
        dt.datetime | None,
        typer.Option("--from", formats=DAY, help="First service day; else of last quarter."),
    ] = None,
    to_day: Annotated[
        dt.datetime | None, typer.Option("--to", formats=DAY, help="Last service day; else of last quarter.")
    ] = None,
    region: Annotated[str | None, typer.Option(help="Region whose rules hold.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """Show what a change of knowledge would have flagged in a past quarter, by institution."""
    from renzheng.central.checks.impact import Past
    from renzheng.central.checks.impact import impact as impact_of

    begin, end = _last_quarter(dt.date.today())  # noqa: DTZ011 - a local day
    past = Past(tables, from_day.date() if from_day else begin, to_day.date() if to_day else end, region)
    with tempfile.TemporaryDirectory() as folder:
        found = impact_of(packfile.read_pack(first), packfile.read_pack(second), past, Path(folder))
    if as_json:
        typer.echo(json.dumps(asdict(found), ensure_ascii=False, default=str))
        return
    shown = table("institution", "findings before", "after", "yuan before", "after", numbers=4)
    for one in found.institutions:
        told = (one.findings_before, one.findings_after, one.yuan_before, one.yuan_after)
        shown.add_row(one.institution_id, *(f"{value:,}" for value in told))
    terminal = Terminal()
    terminal.print(shown)
    terminal.print(
        say(
            "{0} points differ; {1} of them are judged at checks only.", found.changed, len(found.not_audited)
        )
    )


def _last_quarter(today: dt.date) -> tuple[dt.date, dt.date]:
    this = dt.date(today.year, today.month - (today.month - 1) % 3, 1)
    last = this - dt.timedelta(days=1)
    return dt.date(last.year, last.month - 2, 1), last


def codes(
    file: Annotated[Path, typer.Argument(help="Table of codes, CSV or XLSX.")],
    pack: Annotated[Path, typer.Option("--pack", help="The knowledge pack.")],
    own: Annotated[str, typer.Option(help="Heading of the region's own codes.")] = "own_code",
    national: Annotated[str, typer.Option(help="Heading of the national codes.")] = "national_code",
) -> None:
    """Put a region's own item codes into a pack; they count once two people approve it."""
    from renzheng.central.checks.own_codes import read_own_codes

    found = read_own_codes(file, own, national)
    packfile.write_pack(replace(packfile.read_pack(pack), codes=found), pack)
    Terminal().print(
        say(
            "{0} holds {1} own codes. They count once it is approved: renzheng knowledge approve",
            pack,
            len(found),
        )
    )


def replay(
    day: Annotated[
        dt.datetime | None, typer.Option(formats=DAY, help="Whose checks; else yesterday's.")
    ] = None,
    config: Annotated[Path, typer.Option("--config", help="Central's configuration file.")] = Path(
        "central.toml"
    ),
) -> None:
    """Put a day's checks through the audit and print every point that only one of both names, as JSON."""
    from renzheng.central.checks.replay_job import replay_day, report_of
    from renzheng.central.settings import read_settings

    settings = read_settings(config)
    today = dt.datetime.now(ZoneInfo(settings.timezone)).date()
    chosen = day.date() if day else today - dt.timedelta(days=1)
    found = replay_day(settings, chosen, today)
    typer.echo(report_of(settings, chosen).read_text(encoding="utf-8"))
    if found.differences:
        raise typer.Exit(1)
