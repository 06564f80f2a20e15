"""`renzheng central backup | restore`."""

from pathlib import Path
from typing import Annotated

import typer

from renzheng.common.terminal import Terminal
from renzheng.common.words import say
from renzheng.contracts.events import utc_now

Config = Annotated[Path, typer.Option("--config", help="The configuration file.")]
Passphrase = Annotated[
    Path | None,
    typer.Option("--passphrase-file", help="A file with the passphrase under which the keys are sealed."),
]
CONFIG = Path("central.toml")


def backup(
    out: Annotated[Path, typer.Argument(help="A folder for backups, on another disk or machine.")],
    config: Config = CONFIG,
    passphrase_file: Passphrase = None,
) -> None:
    """Back up store, keys, lake and checkpoints into a new folder; central may run meanwhile."""
    from renzheng.central.backup.backups import take
    from renzheng.central.backup.folders import read_manifest
    from renzheng.central.settings import read_settings
    from renzheng.contracts.sealing import read_passphrase

    passphrase = read_passphrase(passphrase_file) if passphrase_file else None
    taken = take(read_settings(config), config, out, passphrase, utc_now())
    console = Terminal()
    console.print(say("backup {0}", taken))
    for path in read_manifest(taken).outside:
        console.print(say("not in it: {0}", path))
    if passphrase is None:
        console.print(say("It holds central's private keys in the clear: --passphrase-file seals them."))


def restore(
    folder: Annotated[Path, typer.Argument(help="A folder that `renzheng central backup` has made.")],
    config: Config = CONFIG,
    passphrase_file: Passphrase = None,
    test: Annotated[bool, typer.Option("--test", help="Only try it out; nothing is touched.")] = False,
) -> None:
    """Put a backup in the place of what is there, in a new epoch: devices send what it lacks."""
    from renzheng.central.backup import backups
    from renzheng.central.settings import read_settings
    from renzheng.contracts.sealing import read_passphrase

    passphrase = read_passphrase(passphrase_file) if passphrase_file else None
    settings = read_settings(config if config.exists() else folder / "central.toml")
    if test:
        tried = backups.try_out(settings, folder, passphrase)
    else:
        if not config.exists():
            config.write_bytes((folder / "central.toml").read_bytes())
            settings = read_settings(config)
        tried = backups.restore(settings, folder, passphrase, utc_now())
    console = Terminal()
    console.print(
        say(
            "backup of {0} UTC: {1} devices, {2} entries and {3} checkpoints hold",
            f"{tried.manifest.taken_at:%Y-%m-%d %H:%M}",
            tried.devices,
            tried.entries,
            tried.checkpoints,
        ),
    )
    if not test:
        console.print(say("restored, in a new epoch; start central: devices send again what it lacks"))
