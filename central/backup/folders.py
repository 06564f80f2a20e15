"""A backup as a folder: what is in it, sealed keys, and hashes by which each file is known again."""

import io
import shutil
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path, PurePosixPath
from typing import Any

import orjson

from renzheng.central.backup.stores import copy_sqlite
from renzheng.central.errors import BackupError
from renzheng.common.files import hash_file
from renzheng.contracts import sealing

MANIFEST = "manifest.json"
KEYS = ("keys", "site")
"""Folders of the data folder with private keys: sealed as one file where a passphrase is given."""
LEFT_OUT = ("broker", "backup.lock", "person-shares", "released-crops")
"""What central makes anew, a lock of earlier versions, and what must die with the one copy that there is."""
_MADE_AGAIN = shutil.ignore_patterns("history.sqlite*", "*.sqlite-wal", "*.sqlite-shm")
"""In folders: the history of checks, filled from the tables; what a database's own copy holds already."""
SEALED = "keys.sealed"
_FORM = 1


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup says of itself.

    Args:
        backend: ``sqlite`` or ``postgresql``.
        files: SHA-256 by path in the backup.
        outside: files that the configuration names and that are not in it.
    """

    store_id: str
    epoch: int
    backend: str
    taken_at: datetime
    software: str
    files: dict[str, str]
    outside: Sequence[str] = ()


def begin_folder(out: Path, name: str) -> tuple[Path, Path]:
    """Make the folder in which a backup is written, and name the one that it becomes when it is whole.

    Another backup of the same second, under way or done, keeps its own: this one's name is numbered.

    Raises:
        OSError: the folder cannot be made.
    """
    for number in count(1):
        target = out / _numbered(name, number)
        partial = out / f".{target.name}.part"
        try:
            partial.mkdir(mode=0o700)
        except FileExistsError:
            continue
        if not target.exists():  # looked at only now: nobody else makes it while the other name is ours
            return partial, target
        partial.rmdir()
    raise AssertionError("numbers do not end")


class Aside:
    """What is replaced, kept beside its place under a name that nothing has yet.

    Args:
        paths: files and folders; those that are not there are left out.
        name: what is put behind their names.

    Raises:
        BackupError: one cannot be moved; none is.
    """

    def __init__(self, paths: Sequence[Path], name: str) -> None:
        number = next(
            number
            for number in count(1)
            if not any(_beside(path, _numbered(name, number)).exists() for path in paths)
        )
        self._moved: list[tuple[Path, Path]] = []
        try:
            for path in paths:
                if path.exists():  # what lay in a folder that was moved is gone with it
                    target = _beside(path, _numbered(name, number))
                    path.rename(target)
                    self._moved.append((path, target))
        except OSError as error:
            self.put_back()
            raise BackupError(
                f"{path} cannot be put aside: {error}.",
                why="Nothing is replaced that is not kept.",
                do="Check the rights of the folder that it lies in; a mount cannot be renamed.",
            ) from error

    def of(self, place: Path) -> Path | None:
        """Return where something is kept that was moved out of its place; None when nothing was there."""
        return dict(self._moved).get(place)

    def put_back(self) -> None:
        """Put everything in its place again; what has come there since is thrown away."""
        for place, kept in reversed(self._moved):
            if place.is_dir():
                shutil.rmtree(place)
            else:
                place.unlink(missing_ok=True)
            kept.rename(place)
        self._moved.clear()


def copy_folders(data_dir: Path, backup: Path, passphrase: str | None, skip: Sequence[Path]) -> None:
    """Copy the data folder but for the store's own files; keys are sealed where there is a passphrase."""
    target = backup / "data"
    target.mkdir(mode=0o700)
    for found in sorted(data_dir.iterdir()) if data_dir.exists() else []:
        if found.name in LEFT_OUT or any(found.name.startswith(one.name) for one in skip):
            continue
        if found.name in KEYS and passphrase is not None:
            continue
        if found.is_dir():
            shutil.copytree(
                found, target / found.name, symlinks=True, ignore=_MADE_AGAIN, copy_function=_copy_file
            )
        elif found.is_file():
            shutil.copy2(found, target / found.name)
    if passphrase is not None:
        sealed = backup / SEALED
        sealed.write_bytes(sealing.seal(_packed(data_dir), passphrase))
        sealed.chmod(0o600)


def _copy_file(source: str, target: str) -> None:
    """Copy one file; of a database what it holds at one moment, since answers come in meanwhile."""
    if source.endswith(".sqlite"):
        copy_sqlite(Path(source), Path(target))
    else:
        shutil.copy2(source, target)


def put_folders(backup: Path, data_dir: Path, passphrase: str | None) -> None:
    """Put the folders of a backup into an empty data folder.

    Raises:
        SealError: the keys are sealed under another passphrase.
        BackupError: they are sealed and no passphrase was given.
    """
    sealed = backup / SEALED
    keys = None
    if sealed.exists():
        if passphrase is None:
            raise BackupError(
                "The keys in this backup are sealed.",
                do="Give --passphrase-file, with what it was made with.",
            )
        keys = sealing.unseal(sealed.read_bytes(), passphrase)
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    shutil.copytree(backup / "data", data_dir, symlinks=True, dirs_exist_ok=True)
    if keys is not None:
        with tarfile.open(fileobj=io.BytesIO(keys)) as packed:
            _unpack(packed, data_dir)
    for name in KEYS:
        for path in (data_dir / name).rglob("*"):
            path.chmod(0o700 if path.is_dir() else 0o600)


def _unpack(packed: tarfile.TarFile, data_dir: Path) -> None:
    """Write the files of an archive below a folder, and nothing else (Debian 12's Python has no filters)."""
    whole = data_dir.resolve()
    for member in packed:
        target = (whole / member.name).resolve()
        content = packed.extractfile(member) if member.isfile() else None
        if not target.is_relative_to(whole) or (content is None and not member.isdir()):
            raise BackupError(f"The sealed keys hold {member.name}, which is no file below the data folder.")
        if content is None:
            target.mkdir(parents=True, exist_ok=True, mode=0o700)
        else:
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            target.write_bytes(content.read())


def write_manifest(backup: Path, manifest: Manifest) -> None:
    """Write the manifest, last of all: a backup without one was cut short."""
    value = {name: getattr(manifest, name) for name in Manifest.__slots__} | {"form": _FORM}
    (backup / MANIFEST).write_bytes(orjson.dumps(value, option=orjson.OPT_INDENT_2) + b"\n")


def read_manifest(backup: Path) -> Manifest:
    """Read a backup's manifest and hold every file against it.

    Raises:
        BackupError: it is no backup, was cut short, or a file is missing, added or changed.
    """
    try:
        value: dict[str, Any] = orjson.loads((backup / MANIFEST).read_bytes())
        form = value.pop("form")
        manifest = Manifest(**{**value, "taken_at": datetime.fromisoformat(value["taken_at"])})
    except (OSError, ValueError, KeyError, TypeError):
        raise BackupError(
            f"{backup} is no whole backup.",
            why="It has no manifest that can be read: it was cut short, or is something else.",
            do="Give a folder that `renzheng central backup` has made.",
        ) from None
    if form != _FORM:
        raise BackupError(
            f"{backup} is a backup of form {form}.", do="Restore it with the software that made it."
        )
    found, told = hash_files(backup), manifest.files
    wrong = sorted(name for name in found.keys() | told.keys() if found.get(name) != told.get(name))
    if wrong:
        raise BackupError(
            f"{len(wrong)} files of the backup are not as they were written, first {wrong[0]}.",
            why="The disk that it lay on has failed, or somebody has changed it.",
            do="Take the backup before it.",
        )
    return manifest


def hash_files(backup: Path) -> dict[str, str]:
    """Hash every file of a backup but its manifest."""
    found = {}
    for path in sorted(backup.rglob("*")):
        name = str(PurePosixPath(path.relative_to(backup)))
        if path.is_file() and not path.is_symlink() and name != MANIFEST:
            found[name] = hash_file(path)
    return found


def _beside(path: Path, name: str) -> Path:
    return path.with_name(f"{path.name}.{name}")


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name}-{number}"


def _packed(data_dir: Path) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as out:
        for name in KEYS:
            if (data_dir / name).exists():
                out.add(data_dir / name, name)
    return packed.getvalue()
