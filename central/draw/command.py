"""`renzheng central draw`: rounds of spot checks, from the commitment to the published file."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from renzheng.common.terminal import Terminal, table
from renzheng.common.words import say
from renzheng.contracts.events import Purpose, utc_now

if TYPE_CHECKING:
    from renzheng.central.draw.frame import Wanted
    from renzheng.central.draw.rounds import Rounds, Secret
    from renzheng.central.settings import Settings
    from renzheng.central.store.database import Database

app = typer.Typer(no_args_is_help=True, help="Rounds of spot checks, committed to before they are drawn.")
Config = Annotated[Path, typer.Option("--config", help="Central's configuration file.")]
CONFIG = Path("central.toml")
MOMENT = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]


@app.callback()
def overview() -> None:
    """Rounds of spot checks: commit, seal, publish; times are local to the site."""


@app.command()
def commit(  # noqa: PLR0917 - each is an option
    officer: Annotated[list[str], typer.Option(help="An officer's name; given twice.")],
    public_value: Annotated[
        str,
        typer.Option(
            help="SOURCE: which value, where to read it; drand, nist-beacon, lottery, index, other."
        ),
    ],
    known_at: Annotated[datetime, typer.Option(formats=MOMENT, help="When that value can be known.")],
    due_at: Annotated[datetime, typer.Option(formats=MOMENT, help="From when the checks may be opened.")],
    device: Annotated[
        list[str],
        typer.Option(help="The device that carries the checks; INSTITUTION=DEVICE for one place."),
    ],
    wards: Annotated[int, typer.Option(min=1, max=500, help="How many wards are drawn.")] = 2,
    per_ward: Annotated[int, typer.Option(min=1, max=500, help="How many people in each.")] = 5,
    minutes: Annotated[int, typer.Option(min=5, max=7 * 1440, help="How long answers count.")] = 240,
    institution: Annotated[list[str] | None, typer.Option(help="Only these institutions.")] = None,
    purpose: Annotated[list[Purpose] | None, typer.Option(help="inpatient, dialysis, or both.")] = None,
    devices: Annotated[
        int, typer.Option(min=1, max=10_000, help="How many devices may hold the lists; published.")
    ] = 1,
    config: Config = CONFIG,
) -> None:
    """Freeze who can be drawn and promise the seed; both officers type a new secret at the prompt."""
    from renzheng.central.draw.rounds import Plan

    settings, database, rounds = _open(config)
    wanted = replace(_wanted(database, institution, purpose), devices=devices)
    due = _aware(settings, due_at)
    plan = Plan(
        wanted=wanted,
        assigned=_assigned(device, wanted.institutions),
        wards=wards,
        per_ward=per_ward,
        public_value=public_value,
        known_at=_aware(settings, known_at),
        due_at=due,
        closes_at=due + timedelta(minutes=minutes),
    )
    made = rounds.commit(plan, _ask(officer, new=True), utc_now())
    _note(database, "draw_committed", f"{made.round_id} {made.candidates} candidates")
    note = _checkpoint(settings, database)
    database.close()
    console = Terminal()
    console.print(say("round       {0}", made.round_id))
    console.print(say("candidates  {0}", made.candidates))
    console.print(say("commitment  {0}", made.sha256))
    console.print(say("published   {0}", made.file))
    console.print(say("checkpoint  {0}", note))
    console.print(say("Give both files to somebody outside before the public value is known."))


@app.command()
def seal(
    round_id: Annotated[str, typer.Argument(help="The round.")],
    officer: Annotated[list[str], typer.Option(help="The officers, in the order of the commitment.")],
    public_value: Annotated[str, typer.Option(help="The value, as the commitment says.")],
    config: Config = CONFIG,
) -> None:
    """Draw with the public value and seal; nothing is shown of who was drawn."""
    _, database, rounds = _open(config)
    sheets = rounds.seal(round_id, public_value, _ask(officer, new=False), utc_now())
    _note(database, "draw_sealed", f"{round_id} {sheets} sheets")
    database.close()
    Terminal().print(say("drawn and sealed; {0} sheet(s) lie ready for the devices", sheets))


@app.command()
def publish(config: Config = CONFIG) -> None:
    """Open what is due and publish what has closed; a running central does so by itself."""
    settings, database, rounds = _open(config)
    for path in (*rounds.settle(utc_now()), *rounds.publish_again()):
        _note(database, "draw_published", path.name)
        Terminal().print(say("published  {0}", path))
    Terminal().print(say("checkpoint {0}", _checkpoint(settings, database)))
    database.close()


@app.command()
def code(round_id: Annotated[str, typer.Argument(help="The round.")], config: Config = CONFIG) -> None:
    """Show the code of a round that is due, to be read out where there is no network."""
    from renzheng.central.draw.delivery import opening_code
    from renzheng.central.errors import DrawError
    from renzheng.contracts import keys

    settings, database, _ = _open(config)
    key = keys.load_private_key(settings.key_file.read_bytes())
    with database.reading() as connection:
        found = opening_code(connection, round_id, utc_now(), key)
    if found is not None:
        _note(database, "draw_code", round_id)
    database.close()
    if found is None:
        raise DrawError(
            f"There is no code to give for {round_id!r}.",
            why="A code is known to nobody before the round is due, and of no use once it has closed.",
            do="See: renzheng central draw list",
        )
    Terminal().print(found)


@app.command("list")
def list_rounds(config: Config = CONFIG) -> None:
    """List the rounds."""
    from zoneinfo import ZoneInfo

    from renzheng.central.draw.reading import read_rounds
    from renzheng.central.store.times import from_us

    settings, database, rounds = _open(config)
    rounds.settle(utc_now())
    zone = ZoneInfo(settings.timezone)
    shown = table("number", "round", "state", "due", "closes", "checks", "answered")
    with database.reading() as connection:
        for row in read_rounds(connection):
            moments = (
                f"{from_us(row[name]).astimezone(zone):%m-%d %H:%M}" for name in ("due_at", "closes_at")
            )
            counts = (str(row["checks"] or "—"), str(row["answered"] or "—"))
            shown.add_row(str(row["number"]), row["round_id"], row["state"], *moments, *counts)
    database.close()
    Terminal().print(shown)


def _open(config: Path) -> "tuple[Settings, Database, Rounds]":
    from renzheng.central.draw.rounds import Rounds
    from renzheng.central.settings import read_settings
    from renzheng.central.store.database import Database
    from renzheng.contracts import keys

    settings = read_settings(config)
    database = Database(settings.database)
    database.migrate()
    key = keys.load_private_key(settings.key_file.read_bytes())
    return settings, database, Rounds(database, key, settings.checkpoints_dir)


def _note(database: "Database", act: str, what: str) -> None:
    """Write an act of the draw into the access log; it names nobody: who is drawn is known to nobody yet."""
    from renzheng.central.access import access_log
    from renzheng.central.access.access_log import Access
    from renzheng.central.shell import SHELL

    with database.writing() as connection:
        told = Access(SHELL, (), "-", act, what, "spot_checks", "changed")
        access_log.append(connection, told, utc_now())


def _checkpoint(settings: "Settings", database: "Database") -> Path:
    """Bind the commitment into the tree of heads, whose notes outsiders keep."""
    from renzheng.central.verify.publish import take_checkpoint
    from renzheng.contracts import keys

    key = keys.load_private_key(settings.key_file.read_bytes())
    return take_checkpoint(database, settings.log_origin, key, settings.checkpoints_dir, utc_now())[1]


def _wanted(
    database: "Database",
    institutions: list[str] | None,
    purposes: list[Purpose] | None,
) -> "Wanted":
    from renzheng.central.draw.frame import Wanted
    from renzheng.central.draw.reading import read_institutions

    with database.reading() as connection:
        known = read_institutions(connection)
    unknown = sorted(set(institutions or ()) - set(known))
    if unknown:
        raise typer.BadParameter(f"not registered: {', '.join(unknown)}")
    return Wanted(institutions or known, purposes or [Purpose.INPATIENT])


def _assigned(devices: list[str], institutions: "object") -> dict[str, str]:
    """Read DEVICE, which stands for every institution, and INSTITUTION=DEVICE, which stands for one."""
    usual = [one for one in devices if "=" not in one]
    own = dict(one.split("=", 1) for one in devices if "=" in one)
    if len(usual) > 1:
        raise typer.BadParameter("one --device for all, further ones as INSTITUTION=DEVICE")
    assert isinstance(institutions, list)
    return {name: own.get(name) or usual[0] for name in institutions if name in own or usual}


def _aware(settings: "Settings", moment: datetime) -> datetime:
    from zoneinfo import ZoneInfo

    return moment.replace(tzinfo=ZoneInfo(settings.timezone))


def _ask(officers: list[str], *, new: bool) -> "tuple[Secret, Secret]":
    """Ask both officers for their secrets; nothing of them is shown, kept or logged."""
    from renzheng.central.draw.rounds import Secret

    if len(officers) != 2:  # noqa: PLR2004 - so that nobody can do it alone
        raise typer.BadParameter("a round takes exactly two officers: --officer A --officer B")
    first, second = (
        Secret(name, typer.prompt(f"{name}", hide_input=True, confirmation_prompt=new)) for name in officers
    )
    return first, second
