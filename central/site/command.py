"""`renzheng device provision | revoke`: central's side of bringing a device in and putting it out."""

from pathlib import Path
from typing import Annotated

import typer

from renzheng.common.terminal import Terminal
from renzheng.common.words import say
from renzheng.contracts.events import Purpose, utc_now

app = typer.Typer(no_args_is_help=True)

Config = Annotated[Path, typer.Option("--config", help="Central's configuration file.")]
CONFIG = Path("central.toml")


@app.callback()
def overview() -> None:
    """Bring devices in and put them out."""


@app.command()
def provision(  # noqa: PLR0917 - each is an option
    device: Annotated[str, typer.Option(help="The device's id, its name for its whole life.")],
    institution: Annotated[str, typer.Option(help="Where it stands; registered before.")],
    config: Config = CONFIG,
    purpose: Annotated[Purpose, typer.Option(help="What people are there for.")] = Purpose.DIALYSIS,
    shard: Annotated[
        str | None, typer.Option(help="Of a device that is registered: its own; else 0.")
    ] = None,
    label: Annotated[str, typer.Option(help="What people call it.")] = "",
    replaces: Annotated[
        bool,
        typer.Option(
            "--replaces",
            help="A device of this name has joined before: after a lost disk, a damaged or forked log.",
        ),
    ] = False,
) -> None:
    """Register a device and show the code with which it may join, once, within 15 minutes."""
    from renzheng.central.settings import read_settings
    from renzheng.central.site import joining
    from renzheng.central.store import devices
    from renzheng.central.store.database import Database
    from renzheng.central.store.devices import Device

    settings = read_settings(config)
    database = Database(settings.database)
    database.migrate()
    with database.writing() as connection:
        told = shard or devices.shard_of(connection, device) or "0"
        registered = Device(device, institution, told, purpose, label)
        code = joining.provision(connection, registered, utc_now(), replaces=replaces)
    database.close()
    console = Terminal()
    console.print(code.text, style="bold")
    console.print(say("The code lets this one device in, once, for 15 minutes. At the device:"))
    console.print("    renzheng device join")
    if replaces:
        console.print(say("or, where its data folder is still there: renzheng device join --again"))


@app.command()
def revoke(device: Annotated[str, typer.Option()], config: Config = CONFIG) -> None:
    """Put a device out at once: its next message is refused, whatever it signs it with."""
    from renzheng.central.settings import read_settings
    from renzheng.central.site.revocation import keep_lists
    from renzheng.central.store import devices
    from renzheng.central.store.database import Database

    settings = read_settings(config)
    database = Database(settings.database)
    database.migrate()
    with database.writing() as connection:
        devices.revoke(connection, device, utc_now())
    keep_lists(database, settings.site_dir, settings.lists_dir, utc_now())
    database.close()
    Terminal().print(say("revoked {0}", device))
