"""Takes a backup of central, restores one into a new epoch, and tries one out without touching anything."""

import shutil
import socket
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import sqlalchemy as sa

from renzheng.central.backup import folders, stores
from renzheng.central.backup.folders import Manifest
from renzheng.central.errors import BackupError, StoreError
from renzheng.central.settings import Settings
from renzheng.central.site.succession import read_former, verifying_keys
from renzheng.central.store import audits, identity, locks, schema
from renzheng.central.store.database import Database
from renzheng.central.store.times import to_us
from renzheng.central.verify.check import BadEntry
from renzheng.central.verify.publish import check_checkpoints
from renzheng.central.verify.store import check_store
from renzheng.common.files import put, sync_all
from renzheng.contracts import keys
from renzheng.contracts.errors import RenzhengError

_COPY = {"sqlite": "store.sqlite", "postgresql": "store.dump"}


@dataclass(frozen=True, slots=True)
class TriedBackup:
    """What a backup holds that was tried out."""

    manifest: Manifest
    devices: int
    entries: int
    checkpoints: int


def take(settings: Settings, config: Path, out: Path, passphrase: str | None, now: datetime) -> Path:
    """Back up store, keys, lake, tables, runs and checkpoints into a new folder of `out`; central may run.

    Returns:
        The folder. It is there as a whole or not at all.

    Raises:
        StoreError: the store cannot be copied.
        BackupError: the folder cannot be written.
    """
    database = Database(settings.database)
    try:
        with locks.shared(database, "backup"):
            return _take(database, settings, config, out, passphrase, now=now)
    finally:
        database.close()


def _take(
    database: Database, settings: Settings, config: Path, out: Path, passphrase: str | None, *, now: datetime
) -> Path:
    try:
        out.mkdir(parents=True, exist_ok=True)
        partial, target = folders.begin_folder(out, f"renzheng-{now:%Y%m%dT%H%M%SZ}")
    except OSError as error:
        raise _unwritten(out, error) from error
    try:
        # The store first: what the folders hold besides belongs to what came later, and is made again.
        stores.copy_store(settings.database, partial / _COPY[database.backend])
        folders.copy_folders(settings.data_dir, partial, passphrase, [settings.data_dir / "central.sqlite"])
        if config.exists():
            shutil.copyfile(config, partial / "central.toml")
        if settings.data_dir not in settings.tables_dir.parents and settings.tables_dir.exists():
            shutil.copytree(settings.tables_dir, partial / "tables")
        with database.reading() as connection:
            own = identity.read(connection)
        manifest = Manifest(
            own.store_id,
            own.epoch,
            database.backend,
            now,
            version("renzheng"),
            folders.hash_files(partial),
            [str(one) for one in _outside(settings)],
        )
        folders.write_manifest(partial, manifest)
        sync_all(partial)
        put(partial, target)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise _unwritten(out, error) from error
    except RenzhengError:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    with database.writing() as connection:
        told = {"taken_at": to_us(now), "path": str(target), "bytes": size}
        connection.execute(sa.insert(schema.backups).values(told))
    return target


def restore(settings: Settings, backup: Path, passphrase: str | None, now: datetime) -> TriedBackup:
    """Put a backup in the place of what is there, which is kept beside, and begin a new epoch.

    Devices then send again what the backup lacks. Central must not run.

    Raises:
        BackupError: it is no whole backup, of another kind of store, or central runs.
        SealError: its keys are sealed under another passphrase.
        StoreError: the store cannot be written.
    """
    manifest = folders.read_manifest(backup)
    backend = sa.make_url(settings.database).get_backend_name()
    if manifest.backend != backend:
        raise BackupError(
            f"The backup is of {manifest.backend}, the configuration names {backend}.",
            do="Set database_url to a store of that kind.",
        )
    must_not_run(settings)
    tried = try_out(settings, backup, passphrase)
    epoch = max(manifest.epoch, _epoch_here(settings))
    aside = folders.Aside([settings.data_dir, *_store_files(settings)], f"before-{now:%Y%m%dT%H%M%SZ}")
    try:
        folders.put_folders(backup, settings.data_dir, passphrase)
        replaced = aside.of(settings.data_dir)
        if replaced is not None:
            _keep_newer_key(replaced / "keys", settings.key_file)
            _keep_in_place(replaced, settings.shares_dir)
        stores.put_store(settings.database, backup / _COPY[backend])
    except (OSError, RenzhengError) as error:
        aside.put_back()
        if isinstance(error, RenzhengError):
            raise
        raise BackupError(
            f"The backup cannot be put in place: {error}.",
            why="What was there before is in its place again.",
            do="Check the space and the rights of the data folder, then try again.",
        ) from error
    if (backup / "tables").exists():
        shutil.copytree(backup / "tables", settings.tables_dir, dirs_exist_ok=True)
    database = Database(settings.database)
    database.migrate()
    with database.writing() as connection:
        identity.begin_epoch(connection, epoch, "restored", to_us(now))
        audits.rehome(connection, settings.runs_dir)  # the backup may be of another machine
    database.close()
    return tried


def try_out(
    settings: Settings, backup: Path, passphrase: str | None, progress: Callable[[int], None] = lambda _: None
) -> TriedBackup:
    """Restore a backup where nobody sees it, check every entry, signature and checkpoint, and throw it away.

    Raises:
        BackupError: it is no whole backup, or what it holds does not hold.
        SealError: its keys are sealed under another passphrase.
        StoreError: the server does not give a database for the test.
    """
    manifest = folders.read_manifest(backup)
    with tempfile.TemporaryDirectory(prefix="renzheng-") as name:
        folder = Path(name)
        folders.put_folders(backup, folder / "data", passphrase)
        by = verifying_keys(folder / "data" / "keys" / "central.pem")
        with stores.ScratchStore(settings.database, folder, f"{folder.name}".replace("_", "-")) as scratch:
            stores.put_store(scratch.address, backup / _COPY[manifest.backend])
            database = Database(scratch.address)
            try:
                database.migrate()
                database.check_structure()
                found = list(check_store(database, None, progress, by))
                checkpoints = check_checkpoints(database, *by)
            finally:
                database.close()
    bad = [one for one in found if isinstance(one, BadEntry)]
    if bad:
        raise BackupError(
            f"The backup's log of {bad[0].device_id} does not hold: "
            f"entry {bad[0].sequence}, {bad[0].fault.value}.",
            why="The store was damaged before it was copied.",
            do="Take the backup before it; the devices send what it lacks.",
        )
    entries = sum(one.entries for one in found if not isinstance(one, BadEntry))
    return TriedBackup(manifest, len(found), entries, checkpoints)


def _keep_newer_key(replaced: Path, key_file: Path) -> None:
    """Keep the key that signs now, where the backup's has changed to it: devices have followed to it."""
    try:
        backed_up = keys.key_id(keys.load_private_key(key_file.read_bytes()))
        former = read_former(replaced / key_file.name).public
    except (OSError, ValueError, RenzhengError):
        return  # what is replaced cannot be read
    if backed_up in former:
        shutil.rmtree(key_file.parent)
        shutil.copytree(replaced, key_file.parent)


def _keep_in_place(replaced: Path, folder: Path) -> None:
    """Bring back what is in no backup and is not to lie in two places."""
    kept = replaced / folder.name
    if kept.exists():
        shutil.rmtree(folder, ignore_errors=True)
        put(kept, folder)


def _unwritten(out: Path, error: OSError) -> BackupError:
    return BackupError(f"The backup cannot be written to {out}: {error}.", do="Check its space and rights.")


def _store_files(settings: Settings) -> list[Path]:
    """Name SQLite's files; PostgreSQL's tables are replaced in one transaction and not kept."""
    url = sa.make_url(settings.database)
    if url.get_backend_name() != "sqlite":
        return []
    store = Path(str(url.database))
    return [store, *(store.with_name(store.name + ending) for ending in ("-wal", "-shm"))]


def _epoch_here(settings: Settings) -> int:
    """Read the epoch of what is about to be replaced, where it can still be read."""
    if settings.database.startswith("sqlite") and not (settings.data_dir / "central.sqlite").exists():
        return 0
    database = Database(settings.database)
    try:
        with database.reading() as connection:
            return identity.read(connection).epoch
    except (sa.exc.SQLAlchemyError, StoreError):
        return 0  # the devices hold central's own later words, and it finds out by them
    finally:
        database.close()


def must_not_run(settings: Settings) -> None:
    """Make sure that no central writes into the store.

    Raises:
        BackupError: one answers.
    """
    with socket.socket() as probe:
        probe.settimeout(1)
        host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104 - compared
        if settings.port and probe.connect_ex((host, settings.port)) == 0:
            raise BackupError(
                f"Something answers on the console's port {settings.port}: central still runs.",
                why="It would go on writing into the store that is replaced.",
                do="Stop it first: systemctl stop renzheng-central",
            )


def _outside(settings: Settings) -> list[Path]:
    """Files that the configuration names outside of the data folder."""
    named = [
        settings.access_token_file,
        settings.broker.ca_file,
        settings.broker.certificate_file,
        settings.broker.key_file,
        settings.broker.password_file,
        settings.adt.certificate_file,
        settings.adt.key_file,
        settings.adt.client_ca_file,
        settings.adt.mapping_file,
        settings.audit.rules_dir,
        settings.audit.rules_key_file,
    ]
    return [path for path in named if path is not None and settings.data_dir not in path.parents]
