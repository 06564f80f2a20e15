"""The halves of persons' keys that are kept apart from every backup, one file a person and device.

A half opens nothing alone: the device and its sealed backups have the other one and the faces. A withdrawal
overwrites and deletes the files, and with them dies every backup of that face. Files are named by a keyed
hash of the person, so that the folder tells nobody who is enrolled where. The folder is in no backup of
central; a central that lost it gets the halves again from the devices within the hour.
"""

import contextlib
import hashlib
import hmac
import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from renzheng.common.files import shred, write_new, write_whole

_KEY = ".naming.key"  # no device's name begins with a dot
_KEY_BYTES = 32


class PersonShares:
    """The folder.

    Args:
        folder: `Settings.shares_dir`; made when it is missing, with the secret by which persons are named.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        key_file = folder / _KEY
        if not key_file.exists():
            with contextlib.suppress(FileExistsError):
                write_new(key_file, secrets.token_bytes(_KEY_BYTES))
        self._key = key_file.read_bytes()

    def name(self, person_id: str) -> str:
        """Return the keyed hash of a person: the same for one person on every device."""
        return hmac.new(self._key, b"person " + person_id.encode(), hashlib.sha256).hexdigest()

    def put(self, device_id: str, shares: Mapping[str, bytes]) -> None:
        """Keep a device's halves, in place of older ones of the same people.

        Raises:
            OSError: the disk does not take them.
        """
        folder = self._of(device_id)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for person_id, share in shares.items():
            path = folder / self.name(person_id)
            try:
                same = path.read_bytes() == share
            except FileNotFoundError:
                same = False
            if not same:
                shred(path)
                write_whole(path, share)

    def find(self, device_id: str, people: Iterable[str]) -> dict[str, bytes]:
        """Return the halves that a device's backup of these people needs, those that still exist."""
        found = {}
        for person_id in people:
            try:
                found[person_id] = (self._of(device_id) / self.name(person_id)).read_bytes()
            except FileNotFoundError:
                continue
        return found

    def destroy(self, person_id: str, devices: Collection[str] | None = None) -> int:
        """Overwrite and delete a person's halves of some or all devices; return how many there were."""
        name, gone = self.name(person_id), 0
        for folder in self._folders():
            if devices is not None and folder.name not in devices:
                continue
            path = folder / name
            gone += path.exists()
            shred(path)
        return gone

    def people(self) -> int:
        """Count the people with a face on any device, each once."""
        return len({path.name for folder in self._folders() for path in folder.iterdir() if not _part(path)})

    def by_device(self) -> dict[str, int]:
        """Count the people with a face on each device."""
        return {folder.name: sum(not _part(path) for path in folder.iterdir()) for folder in self._folders()}

    def _folders(self) -> Iterator[Path]:
        yield from sorted(path for path in self._folder.iterdir() if path.is_dir())

    def _of(self, device_id: str) -> Path:
        return self._folder / device_id


def _part(path: Path) -> bool:
    return path.name.startswith(".")
