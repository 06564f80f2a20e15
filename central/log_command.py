"""`renzheng central log`: check what central holds, bind central to it, and archive closed years."""

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

from renzheng.common.terminal import Terminal, plain_column
from renzheng.common.words import say
from renzheng.contracts.events import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from joserfc.jwk import OKPKey

    from renzheng.central.archive.checking import Checked
    from renzheng.central.store.database import Database
    from renzheng.central.verify.check import BadEntry, LogVerified

app = typer.Typer(no_args_is_help=True)
Config = Annotated[Path, typer.Option("--config", help="Central's configuration file.")]
CONFIG = Path("central.toml")


@contextmanager
def _counting(what: str = "entries", total: int | None = None) -> "Iterator[Callable[[int], None]]":
    """Show a bar for a block; what it gives is told of entries that were walked."""
    columns = (plain_column(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Terminal(stderr=True)) as bars:
        task = bars.add_task("", total=total)
        yield lambda walked: bars.advance(task, walked)


@app.callback()
def overview() -> None:
    """Check the devices' logs that central holds, publish checkpoints over them, archive closed years."""


@app.command()
def verify(  # noqa: PLR0917 - each is an option
    config: Config = CONFIG,
    device: Annotated[str | None, typer.Option(help="Only this device's log.")] = None,
    note: Annotated[Path | None, typer.Option(help="A checkpoint that an outsider kept.")] = None,
    thorough: Annotated[
        bool,
        typer.Option("--thorough", help="Also the file's own structure, and the rows that the audit reads."),
    ] = False,
    archive: Annotated[
        list[Path] | None, typer.Option(help="An archive of closed years; may be given again.")
    ] = None,
    key: Annotated[
        list[Path] | None,
        typer.Option(
            help="Central's public key (PEM): then only the archives are verified, without a store."
        ),
    ] = None,
) -> None:
    """Check every entry, signature and checkpoint; the first bad entry of each device is named."""
    from renzheng.central.errors import ArchiveError
    from renzheng.central.settings import read_settings
    from renzheng.central.site.succession import verifying_keys
    from renzheng.central.store.database import Database

    if key:
        if not archive:
            raise ArchiveError("With --key only archives are verified.", do="Give them with --archive.")
        _conclude(_show_archives(archive, [_public(path) for path in key], note).bad)
        return
    settings = read_settings(config)
    by = verifying_keys(settings.key_file)
    database = Database(settings.database)
    database.migrate()
    if thorough:
        database.check_structure()
    checked = _show_archives(archive, by) if archive else None
    bad = _show_joined(database, checked) if checked else []
    earlier = checked if checked and not bad else None
    bad += _show_store(database, device, by, thorough=thorough, earlier=earlier)
    _show_checkpoints(database, note, by)
    database.close()
    _conclude(bad)


def _public(path: Path) -> "OKPKey":
    from renzheng.central.errors import ArchiveError
    from renzheng.contracts import keys

    try:
        return keys.load_public_key(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ArchiveError(f"{path} holds no public key: {type(error).__name__}.") from error


def _show_store(
    database: "Database",
    device: str | None,
    by: "Sequence[OKPKey]",
    *,
    thorough: bool,
    earlier: "Checked | None",
) -> "list[BadEntry]":
    """Check the store's logs, and tell how each is."""
    from renzheng.central.archive.checking import EntriesOf
    from renzheng.central.store import archived, reading
    from renzheng.central.verify.check import BadEntry
    from renzheng.central.verify.projections import check_projections
    from renzheng.central.verify.store import check_store, named_damage

    with named_damage(), database.reading() as connection:
        pruned = archived.pruned_devices(connection)
        rows = reading.devices(connection, device or "")
        total = sum(row["head_sequence"] - pruned.get(row["device_id"], 0) for row in rows)
    with _counting(total=total) as progress:
        found = list(check_store(database, device, progress, by))
    if thorough:
        kept = EntriesOf(earlier.archives) if earlier else None
        with _counting(total=total) as progress:
            drawn = check_projections(database, device, progress, kept)
            found += [one for one in drawn if isinstance(one, BadEntry)]
    return _show(found)


def _show(found: "Sequence[LogVerified | BadEntry]") -> "list[BadEntry]":
    """Tell how each log is; return what does not hold."""
    from renzheng.central.verify.check import BadEntry

    console = Terminal()
    for one in found:
        if isinstance(one, BadEntry):
            said = f"{one.device_id}  entry {one.sequence}: {one.fault.value}. {one.detail}"
        else:
            before = f", after {one.archived} in archives" if one.archived else ""
            said = f"{one.device_id}  {one.entries - one.archived} entries hold{before}"
        console.print(said)
    return [one for one in found if isinstance(one, BadEntry)]


def _show_checkpoints(database: "Database", note: Path | None, by: "Sequence[OKPKey]") -> None:
    from renzheng.central.verify import publish

    console = Terminal()
    console.print(say("{0} checkpoints hold", publish.check_checkpoints(database, *by)))
    if note:
        kept = publish.check_kept_note(database, note.read_text(encoding="utf-8"), *by)
        console.print(say("the kept note of size {0} holds", kept.size))


def _show_archives(folders: "Sequence[Path]", by: "Sequence[OKPKey]", note: Path | None = None) -> "Checked":
    """Verify archives by themselves, and tell what they hold."""
    from renzheng.central.archive.checking import check_archives

    kept = note.read_text(encoding="utf-8") if note else None
    with _counting("archived entries") as progress:
        checked = check_archives(folders, by, progress, note=kept)
    console = Terminal()
    if kept:
        console.print(say("the kept note holds"))
    for one in checked.archives:
        told = one.manifest
        until = f"received before {told.until}, store {told.store_id}, epoch {told.epoch}"
        console.print(
            say(
                "archive of {0}  {1} entries of {2} devices, {3}",
                told.year,
                told.entries,
                told.devices,
                until,
            )
        )
    _show(checked.results)
    console.print(say("{0} archived checkpoints hold", checked.checkpoints))
    for name, last in checked.beyond.items():
        console.print(
            say("{0}  a checkpoint names entry {1}, which lies in no archive that was given", name, last)
        )
    return checked


def _show_joined(database: "Database", checked: "Checked") -> "list[BadEntry]":
    """Tell where the store does not go on as archives end; return what does not hold of both."""
    from renzheng.central.archive.pruning import hold_joined

    return checked.bad + _show(hold_joined(database, checked))


def _conclude(bad: "Sequence[BadEntry]") -> None:
    """End with an error where something does not hold."""
    from renzheng.central.errors import LogFaultError

    if bad:
        raise LogFaultError(
            f"{len(bad)} checks do not hold.",
            why="What central holds of them was changed, or never verified.",
            do="Keep the store as it is, compare with the device's own file, restore the last good backup.",
        )


@app.command()
def archive(
    year: Annotated[int, typer.Option(min=2000, max=9998, help="The last closed year that goes into it.")],
    out: Annotated[Path, typer.Option(help="Where archives are kept, on another disk or machine.")],
    config: Config = CONFIG,
    again: Annotated[
        bool,
        typer.Option("--again", help="Make it anew while nothing of it is pruned; later ones then, too."),
    ] = False,
) -> None:
    """Write what came in until a year's end, with every signature, into a folder that verifies by itself."""
    from zoneinfo import ZoneInfo

    from renzheng.central.archive import writing
    from renzheng.central.settings import read_settings
    from renzheng.central.site.succession import read_former
    from renzheng.central.store.database import Database
    from renzheng.contracts import keys

    settings = read_settings(config)
    signing = keys.load_private_key(settings.key_file.read_bytes())
    signer = writing.Signer(signing, read_former(settings.key_file))
    database = Database(settings.database)
    database.migrate()
    zone = ZoneInfo(settings.timezone)
    with _counting() as progress:
        folder, manifest = writing.archive(
            database, signer, out, year, zone, utc_now(), again=again, progress=progress
        )
    database.close()
    console = Terminal()
    held = f"{manifest.entries} entries of {manifest.devices} devices"
    console.print(f"archive {folder}  {held}")
    console.print(say("Keep a copy elsewhere, with central's public key (keys/central.public.pem)."))


@app.command("take-back")
def take_back(
    archive: Annotated[Path, typer.Option(help="An archive that is younger than the backup.")],
    config: Config = CONFIG,
) -> None:
    """Put back into a restored store what an archive holds and it lacks; before central starts."""
    from renzheng.central.archive import returning
    from renzheng.central.backup.backups import must_not_run
    from renzheng.central.settings import read_settings
    from renzheng.central.site.succession import verifying_keys
    from renzheng.central.store.database import Database
    from renzheng.contracts import keys

    settings = read_settings(config)
    must_not_run(settings)
    key, by = keys.load_private_key(settings.key_file.read_bytes()), verifying_keys(settings.key_file)
    database = Database(settings.database)
    database.migrate()
    with _counting() as progress:
        taken = returning.take_back(database, archive, key, by, progress)
    database.close()
    Terminal().print(say("took back {0} entries of {1} devices", taken.entries, taken.devices))


@app.command()
def prune(
    archive: Annotated[Path, typer.Option(help="The archive in which the entries lie.")],
    config: Config = CONFIG,
) -> None:
    """Delete from the store what an archive holds, once both were held against each other row by row."""
    from zoneinfo import ZoneInfo

    from renzheng.central.archive import pruning
    from renzheng.central.settings import read_settings
    from renzheng.central.site.succession import verifying_keys
    from renzheng.central.store.database import Database

    settings, now = read_settings(config), utc_now()
    last_year = now.astimezone(ZoneInfo(settings.timezone)).year - 1 - settings.archive.keep_years
    database = Database(settings.database)
    database.migrate()
    by = verifying_keys(settings.key_file)
    with _counting() as progress:
        pruned = pruning.prune(database, archive, by, last_year, now, progress)
    database.close()
    console = Terminal()
    console.print(say("pruned {0} entries of {1} devices", pruned.entries, pruned.devices))
    console.print(say("They lie in {0} alone: keep two copies.", archive))


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
    console = Terminal()
    console.print(f"{path}  {taken.size} heads")
    console.print(say("verifier key  {0}", verifier_key(settings.log_origin, key)))
