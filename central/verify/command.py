"""`renzheng central log`: check what central holds, and bind central to it."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from renzheng.contracts.events import utc_now

app = typer.Typer(no_args_is_help=True)
Config = Annotated[Path, typer.Option("--config", help="Central's configuration file.")]
CONFIG = Path("central.toml")


@app.callback()
def overview() -> None:
    """Check the devices' logs that central holds, and publish checkpoints over them."""


@app.command()
def verify(
    config: Config = CONFIG,
    device: Annotated[str | None, typer.Option(help="Only this device's log.")] = None,
    note: Annotated[Path | None, typer.Option(help="A checkpoint that an outsider kept.")] = None,
    thorough: Annotated[
        bool,
        typer.Option("--thorough", help="Also the file's own structure, and the rows that the audit reads."),
    ] = False,
) -> None:
    """Check every entry, signature and checkpoint; the first bad entry of each device is named."""
    from renzheng.central.errors import LogFaultError
    from renzheng.central.settings import read_settings
    from renzheng.central.site.succession import verifying_keys
    from renzheng.central.store import reading
    from renzheng.central.store.database import Database
    from renzheng.central.verify import publish
    from renzheng.central.verify.check import BadEntry
    from renzheng.central.verify.projections import check_projections
    from renzheng.central.verify.store import check_store, named_damage

    settings = read_settings(config)
    by = verifying_keys(settings.key_file)
    database = Database(settings.database)
    database.migrate()
    if thorough:
        database.check_structure()
    with named_damage(), database.reading() as connection:
        total = sum(row["head_sequence"] for row in reading.devices(connection, device or ""))
    columns = (TextColumn("entries"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console()
    with Progress(*columns, console=Console(stderr=True)) as bars:
        task = bars.add_task("", total=total)
        found = list(check_store(database, device, lambda n: bars.advance(task, n)))
        if thorough:
            task = bars.add_task("", total=total)
            drawn = check_projections(database, device, lambda n: bars.advance(task, n))
            found += [one for one in drawn if isinstance(one, BadEntry)]
    bad = [one for one in found if isinstance(one, BadEntry)]
    for one in found:
        if isinstance(one, BadEntry):
            console.print(
                f"{one.device_id}  entry {one.sequence}: {one.fault.value}. {one.detail}", highlight=False
            )
        else:
            console.print(f"{one.device_id}  {one.entries} entries hold", highlight=False)
    console.print(f"{publish.check_checkpoints(database, *by)} checkpoints hold", highlight=False)
    if note:
        kept = publish.check_kept_note(database, note.read_text(encoding="utf-8"), *by)
        console.print(f"the kept note of size {kept.size} holds", highlight=False)
    database.close()
    if bad:
        raise LogFaultError(
            f"{len(bad)} checks do not hold.",
            why="What central holds of them was changed, or never verified.",
            do="Keep the store as it is, compare with the device's own file, restore the last good backup.",
        )


@app.command()
def checkpoint(
    config: Config = CONFIG,
    out: Annotated[
        Path | None, typer.Option(help="Folder; `checkpoints` under the data folder else.")
    ] = None,
) -> None:
    """Sign the heads of all devices, and publish the note where outsiders can keep it."""
    from renzheng.central.settings import read_settings
    from renzheng.central.store.database import Database
    from renzheng.central.verify.checkpoint import verifier_key
    from renzheng.central.verify.publish import take_checkpoint
    from renzheng.contracts import keys

    settings = read_settings(config)
    key = keys.load_private_key(settings.key_file.read_bytes())
    database = Database(settings.database)
    database.migrate()
    folder = out or settings.checkpoints_dir
    taken, path = take_checkpoint(
        database, settings.log_origin, key, folder, utc_now(), settings.backup.interval
    )
    database.close()
    console = Console()
    console.print(f"{path}  {taken.size} heads", highlight=False)
    console.print(f"verifier key  {verifier_key(settings.log_origin, key)}", highlight=False, soft_wrap=True)
