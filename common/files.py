"""Files of the service: its own account's alone whatever the umask, locked, hashed, whole or not at all."""

import errno
import fcntl
import hashlib
import logging
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

LOGGER = logging.getLogger(__name__)
PRIVATE_UMASK = 0o077
_OTHERS = 0o077
_OWNER = 0o600
_NO_SYNC_OF_FOLDERS = (errno.EBADF, errno.EINVAL)


def be_private() -> None:
    """Let everything that this process makes from now on be its own account's alone."""
    os.umask(PRIVATE_UMASK)


def make_private_file(path: Path) -> None:
    """Make an empty file that only its owner reads, or take others' rights from the one that is there.

    SQLite gives its WAL the rights of the database, so this is enough for both.

    Raises:
        OSError: it cannot be made.
    """
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        keep_private(path)


def keep_private(path: Path) -> None:
    """Take the rights of others from a file or folder of ours that has them, and say so in the log."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return
    mode = stat.S_IMODE(found.st_mode)
    if not mode & _OTHERS:
        return
    if found.st_uid != os.geteuid():
        LOGGER.warning(
            "%s can be read by others (mode %o) and is another account's; chown %d '%s'; chmod go= '%s'",
            path,
            mode,
            os.geteuid(),
            path,
            path,
        )
        return
    path.chmod(mode & ~_OTHERS)
    LOGGER.warning("%s could be read by others (mode %o); now its owner alone may", path, mode)


def warn_of_open_folder(folder: Path) -> None:
    """Name a data folder of ours that others may enter, and what to do; it is not closed unasked.

    A service calls it at its start: the folder may have been made by hand, or before this version.
    """
    try:
        mode = stat.S_IMODE(folder.stat().st_mode)
    except FileNotFoundError:
        return
    if mode & _OTHERS:
        LOGGER.warning(
            "%s can be entered by others (mode %o), and people's data lie in it; close it: chmod -R go= '%s'",
            folder,
            mode,
            folder,
        )


def take_lock(file: IO[Any] | int) -> bool:
    """Take the operating system's lock on an open file; False where another process or handle has it.

    It falls with the file's closing, or with the process.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Bring a file, or a folder's list of names, onto the disk.

    Some network shares sync no folders; a database passes over that too (PostgreSQL's `fsync_fname`).

    Raises:
        OSError: the disk does not take it.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_SYNC_OF_FOLDERS or not path.is_dir():
            raise
    finally:
        os.close(handle)


def sync_all(folder: Path) -> None:
    """Bring a folder onto the disk with everything in it."""
    for path in folder.rglob("*"):
        sync(path)
    sync(folder)


def write_whole(path: Path, content: bytes, *, mode: int = _OWNER, synced: bool = True) -> None:
    """Write a file whole or not at all, in place of one that is there; missing folders are made.

    A reader sees the old file or the new one; a power cut leaves one of the two.

    Args:
        path: the file.
        content: its bytes.
        mode: who may read and write it, from its first moment under this name, whatever the umask.
        synced: whether it is on the disk when this returns; else a power cut may leave none, or an empty one.

    Raises:
        OSError: it cannot be written; what was there before is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _written_beside(path, content, mode, synced=synced) as fresh:
        fresh.replace(path)
    if synced:
        sync(path.parent)


def write_new(path: Path, content: bytes) -> None:
    """Write a file for its owner alone, whole or not at all; one that is there is never replaced.

    Raises:
        FileExistsError: there is one.
        OSError: it cannot be written; there is none.
    """
    if path.exists():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    with _written_beside(path, content, _OWNER, synced=True) as fresh:
        try:
            os.link(fresh, path)
        except FileExistsError:
            raise
        except OSError:  # a stick's file system has no second names; there nobody else is writing
            fresh.replace(path)
    sync(path.parent)


def put(made: Path, path: Path, *, synced: bool = True) -> None:
    """Give a finished file or folder its name, in one step, in place of a file that is there.

    Args:
        made: what was made, in the same file system. Of a folder the files must be on the disk (`sync_all`).
        path: its name from now on.
        synced: whether it is on the disk before it is seen, and under its name when this returns.

    Raises:
        OSError: it cannot be put there.
    """
    if synced:
        sync(made)
    made.replace(path)
    if synced:
        sync(path.parent)


def shred(path: Path) -> None:
    """Overwrite a small file with zeros, then delete it, both on the disk; a missing one is no fault."""
    try:
        with path.open("r+b") as file:
            file.write(bytes(path.stat().st_size))
            file.flush()
            os.fsync(file.fileno())
    except FileNotFoundError:
        return
    path.unlink(missing_ok=True)
    sync(path.parent)


@contextmanager
def _written_beside(path: Path, content: bytes, mode: int, *, synced: bool) -> Iterator[Path]:
    """Write the content under a name of its own in the same folder; what is left of it at the end goes."""
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            if mode != _OWNER:  # a stick's file system has no rights that could be set
                os.fchmod(handle, mode)
            if synced:
                os.fsync(handle)
        yield fresh
    finally:
        fresh.unlink(missing_ok=True)
