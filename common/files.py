"""Files of the service: its own account's alone whatever the umask, locked, hashed, brought onto the disk."""

import fcntl
import hashlib
import logging
import os
import stat
from pathlib import Path
from typing import IO, Any

LOGGER = logging.getLogger(__name__)
PRIVATE_UMASK = 0o077
_OTHERS = 0o077


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
    """Bring a file, or a folder's list of names, onto the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
