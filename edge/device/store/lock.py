"""One agent a data folder: a lock that the operating system lets go of when its holder ends."""

import os
from pathlib import Path
from typing import Self

from renzheng.common.files import take_lock, warn_of_open_folder
from renzheng.edge.errors import FolderInUseError

NAME = "agent.lock"


class FolderLock:
    """Holds a data folder for one agent, or for a command that must not run beside one.

    Two agents of one folder would end each other's session at the broker for ever, and each would tell of
    coverage that the other has.

    Args:
        data_dir: the device's data folder.
    """

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / NAME
        self._handle: int | None = None

    def take(self) -> None:
        """Take the folder, until `release` or the end of the process.

        Raises:
            FolderInUseError: an agent holds it.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        warn_of_open_folder(self._path.parent)
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        if not take_lock(handle):
            holder = os.pread(handle, 20, 0).decode(errors="replace").strip()
            os.close(handle)
            raise FolderInUseError(
                f"An agent runs on {self._path.parent} already (process {holder or 'unknown'}).",
                why="Two agents of one folder throw each other off the broker.",
                do="Stop that one first: systemctl stop renzheng-edge",
            )
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        self._handle = handle

    def release(self) -> None:
        """Let go of the folder; nothing when it is not held."""
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)

    def __enter__(self) -> Self:
        """Take the folder for a block."""
        self.take()
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of it."""
        self.release()
