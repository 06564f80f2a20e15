"""`renzheng knowledge`: take in the libraries, look at them, compare them, put them in force."""

import datetime as dt
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from renzheng.central.checks import trial_command
from renzheng.central.shell import open_store
from renzheng.common.terminal import Terminal, table
from renzheng.common.words import say
from renzheng.rules.knowledge import packfile
from renzheng.rules.knowledge.comparing import Difference, differences
from renzheng.rules.knowledge.points import Point, Power, as_row
from renzheng.rules.knowledge.reading import FileRead

app = typer.Typer(no_args_is_help=True)
trial_command.add_to(app)
Config = Annotated[Path, typer.Option("--config", help="Central's configuration file.")]
CONFIG = Path("central.toml")
PackOption = Annotated[Path, typer.Option("--pack", help="The knowledge pack.")]
DAY = ["%Y-%m-%d"]
_SHOWN = 200


@app.callback()
def overview() -> None:
    """Look after knowledge: what may be billed for whom, how often and beside what."""


@app.command(name="import")
def take_in(  # noqa: PLR0917 - each is an option
    files: Annotated[list[Path], typer.Argument(help="Workbooks (XLSX) of the public libraries.")],
    out: Annotated[Path, typer.Option(help="The pack to write; one that is there gets a new edition.")],
    batch: Annotated[str | None, typer.Option(help="The batch; else the file's name gives it.")] = None,
    first_day: Annotated[
        dt.datetime | None,
        typer.Option("--from", formats=DAY, help="First service day; else always, and today for changes."),
    ] = None,
    region: Annotated[str, typer.Option(help="Region in which it holds; empty: everywhere.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Read workbooks into a pack: each row becomes a point, and what cannot be read is only watched."""
    from renzheng.central.checks.workbooks import read_workbook

    day = first_day.date() if first_day else None
    read = [read_workbook(one, batch=batch, valid_from=day, region=region) for one in files]
    pack = packfile.read_pack(out) if out.exists() else packfile.KnowledgePack()
    for found in read:
        pack = packfile.merged(pack, found.points, day or dt.date.today())  # noqa: DTZ011 - a local day
        pack = packfile.with_notes(pack, found.notes)
    packfile.write_pack(pack, out)
    if as_json:
        typer.echo(json.dumps([_summary(one) for one in read], ensure_ascii=False))
        return
    terminal = Terminal()
    shown = table("file", "batch", "kind", "points", "not read")
    for found in read:
        for kind, (points, unread) in found.counts().items():
            shown.add_row(found.name, found.points[0].batch, kind.value, f"{points:,}", f"{unread:,}")
    terminal.print(shown)
    for found in read:
        for place, text in found.notes:
            terminal.print(say("{0}: note at {1}: {2}", found.name, place, text))
        for sheet in found.headless:
            terminal.print(say("{0}: sheet {1} has no headings that are known", found.name, sheet))
    terminal.print(
        say(
            "{0} holds {1} points. They are watched only until two people approve them: "
            "renzheng knowledge approve",
            out, f"{len(pack.points):,}",
        )
    )  # fmt: skip


def _summary(found: FileRead) -> dict[str, Any]:
    return {
        "file": found.name,
        "batch": found.points[0].batch,
        "points": len(found.points),
        "kinds": {kind.value: {"points": n, "not_read": m} for kind, (n, m) in found.counts().items()},
        "notes": [{"place": place, "text": text} for place, text in found.notes],
        "sheets_without_headings": list(found.headless),
    }


@app.command(name="list")
def list_points(
    pack: PackOption,
    as_json: Annotated[bool, typer.Option("--json", help="Every point as JSON.")] = False,
    on: Annotated[
        dt.datetime | None, typer.Option(formats=DAY, help="The power that each has on this day; else today.")
    ] = None,
) -> None:
    """List points, withdrawn ones too."""
    day = on.date() if on else dt.date.today()  # noqa: DTZ011 - a local day
    read = packfile.read_pack(pack)
    rows = [{**as_row(one), "power": one.power_on(day).value} for one in read.points]
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False))
        return
    shown = table("id", "kind", "name", "value", "unit", "power", "valid")
    for row in rows[:_SHOWN]:
        valid = f"{row['valid_from'] or ''}–{row['valid_to'] or ''}"
        value = row["words"] if row["problem"] else str(row["value"])
        shown.add_row(row["id"], row["kind"], row["name"], value, row["unit"], row["power"], valid)
    terminal = Terminal()
    terminal.print(shown)
    if len(rows) > _SHOWN:
        terminal.print(say("… and {0} more (--json)", f"{len(rows) - _SHOWN:,}"))


@app.command()
def diff(
    first: Annotated[Path, typer.Argument(help="A pack.")],
    second: Annotated[Path, typer.Argument(help="Another pack.")],
    on: Annotated[
        dt.datetime | None,
        typer.Option(formats=DAY, help="Compare what is in force on this day; else today."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the differences as JSON.")] = False,
) -> None:
    """Show what was added, withdrawn, changed or given another power from one pack to another."""
    day = on.date() if on else dt.date.today()  # noqa: DTZ011 - a local day
    found = list(differences(packfile.read_pack(first), packfile.read_pack(second), day))
    if as_json:
        rows = [
            {"change": one.change, "id": one.id, "before": _row(one.before), "after": _row(one.after)}
            for one in found
        ]
        typer.echo(json.dumps(rows, ensure_ascii=False))
        return
    terminal = Terminal()
    shown = table("change", "id", "before", "after")
    for one in found[:_SHOWN]:
        shown.add_row(one.change, one.id, _said(one, one.before), _said(one, one.after))
    terminal.print(shown)
    if len(found) > _SHOWN:
        terminal.print(say("… and {0} more (--json)", f"{len(found) - _SHOWN:,}"))


def _row(point: Point | None) -> dict[str, Any] | None:
    return as_row(point) if point else None


def _said(difference: Difference, point: Point | None) -> str:
    if point is None:
        return "-"
    if difference.change == "power":
        return f"{point.power} {point.power_from or ''}"
    return point.words if point.problem else f"{point.value} {point.unit}"


@app.command()
def approve(  # noqa: PLR0917 - each is an option
    pack: PackOption,
    author: Annotated[str, typer.Option(help="Account of who has written it (rule_author).")],
    approver: Annotated[str, typer.Option(help="Account of who agrees (rule_approver), another person.")],
    power: Annotated[Power, typer.Option(help="What its advices may do.")],
    first_day: Annotated[
        dt.datetime | None, typer.Option("--from", formats=DAY, help="From which day on; else at once.")
    ] = None,
    config: Config = CONFIG,
) -> None:
    """Put a pack in force by two people's agreement, and sign it; what could not be read stays watched."""
    from renzheng.central.checks.approving import Approval, approved
    from renzheng.contracts import keys
    from renzheng.contracts.events import utc_now

    settings, database = open_store(config)
    key = keys.load_private_key(settings.key_file.read_bytes())
    read = packfile.read_pack(pack)
    agreed = Approval(author, approver, power, first_day.date() if first_day else None)
    with database.writing() as connection:
        changed = approved(connection, read, agreed, utc_now())
        packfile.write_pack(changed, pack, key)
    held = sum(one.power is power and not one.problem for one in changed.points)
    watched = sum(bool(one.problem) for one in changed.points)
    Terminal().print(
        say("{0}: {1} points {2}; {3} could not be read and stay watched.", pack, f"{held:,}", power, watched)
    )


@app.command()
def export(
    pack: PackOption,
    out: Annotated[Path, typer.Option(help="The file to write.")],
    config: Config = CONFIG,
) -> None:
    """Write a pack in force as one signed file for hospitals and devices."""
    from renzheng.central.site.succession import verifying_keys
    from renzheng.contracts import keys

    settings, _ = open_store(config)
    read = packfile.read_pack(pack)
    read.signer(verifying_keys(settings.key_file))
    packfile.write_pack(read, out, keys.load_private_key(settings.key_file.read_bytes()))
    Terminal().print(say("{0} holds {1} points, signed.", out, f"{len(read.points):,}"))
