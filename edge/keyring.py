"""The device's signing keys over its life: which key signs which entries, and how one follows another.

Private keys are files of their own, readable by the agent's user only. Which key signs from which entry on
stands in the store, written in one transaction with the rotation entry; a crash in between leaves at worst a
key file that nothing names.
"""

import os
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from joserfc.jwk import OKPKey
from sqlite_utils import Database

from renzheng.contracts import keys
from renzheng.contracts import log as chain
from renzheng.contracts.events import DeviceKeyRotated, KeyRotationData, device_source
from renzheng.contracts.log import Head
from renzheng.edge.clock import Clock
from renzheng.edge.errors import StoreError
from renzheng.edge.log import DeviceLog
from renzheng.edge.store.database import Store

FIRST = "device.key.pem"
PUBLIC = "device.pub.pem"


@dataclass(frozen=True, slots=True)
class Signer:
    """The key for the entries that follow a place, and the stretch of the log that is its own.

    Args:
        key: the private key.
        since: the first entry that it may sign.
        until: the last, which changes the key; None while it is the newest.
    """

    key: OKPKey
    since: int
    until: int | None


class Keyring:
    """A device's keys.

    Args:
        store: where the order of keys stands.
        data_dir: where key files lie.

    Raises:
        StoreError: the private key that signs now is not there.
    """

    def __init__(self, store: Store, data_dir: Path) -> None:
        self._store = store
        self._data_dir = data_dir
        self._loaded: dict[str, OKPKey] = {}
        first = device_key(data_dir)
        with store.writing() as database:
            database.execute(
                "INSERT INTO device_keys SELECT 1, ?, ? WHERE NOT EXISTS (SELECT 1 FROM device_keys)",
                (keys.key_id(first), keys.public_pem(first)),
            )
        self._loaded[keys.key_id(first)] = first
        self.current()

    def signer(self, after: int) -> Signer:
        """The key that signs the entry after `after`.

        Raises:
            StoreError: its private half is gone.
        """
        rows = self._store.rows("SELECT * FROM device_keys ORDER BY from_sequence")
        past = [row for row in rows if row["from_sequence"] <= after + 1]
        later = [row["from_sequence"] for row in rows if row["from_sequence"] > after + 1]
        newest = past[-1]
        return Signer(
            self._private(newest["key_id"]), newest["from_sequence"], later[0] - 1 if later else None
        )

    def current(self) -> OKPKey:
        """The key that signs what is written now."""
        row = self._store.row("SELECT key_id FROM device_keys ORDER BY from_sequence DESC LIMIT 1")
        assert row is not None
        return self._private(row["key_id"])

    def key_at(self, sequence: int) -> OKPKey:
        """The public key that signs the entry after `sequence`; for 0 the one the log begins with."""
        row = self._store.row(
            "SELECT public_pem FROM device_keys WHERE from_sequence <= ? ORDER BY from_sequence DESC LIMIT 1",
            sequence + 1,
        )
        assert row is not None
        return keys.load_public_key(row["public_pem"])

    def rotate(self, log: DeviceLog, *, institution_id: str, clock: Clock) -> Head:
        """Change to a new key: an entry signed by both, after which only the new one signs.

        Returns:
            The head, which is the rotation entry.
        """
        new = keys.generate_key()
        _write_private(self._path(keys.key_id(new)), new)
        reading = clock.read()
        with self._store.writing():  # the entry's place must not be taken by another between here and append
            head = log.head()
            signed = chain.sign_rotation(log.device_id, head, self.current(), new)
            event = DeviceKeyRotated(
                source=device_source(log.device_id),
                time=reading.wall,
                data=KeyRotationData(
                    institution_id=institution_id,
                    clock=reading.as_event_clock(),
                    new_key=signed.new_key,
                    signed_by_old=signed.signed_by_old,
                    signed_by_new=signed.signed_by_new,
                ),
            )

            def remember(database: Database) -> None:
                database.execute(
                    "INSERT INTO device_keys VALUES (?, ?, ?)",
                    (head.sequence + 2, keys.key_id(new), keys.public_pem(new)),
                )

            rotated = log.append(event, remember)
        self._loaded[keys.key_id(new)] = new
        (self._data_dir / PUBLIC).write_text(keys.public_pem(new), encoding="ascii")
        return rotated

    def forget_old(self, acknowledged: int) -> int:
        """Destroy private keys whose every entry central has; returns how many."""
        rows = self._store.rows("SELECT * FROM device_keys ORDER BY from_sequence")
        spent = [
            row["key_id"]
            for row, following in pairwise(rows)
            if following["from_sequence"] - 1 <= acknowledged
        ]
        destroyed = 0
        for key_id in spent:
            for path in (self._path(key_id), self._data_dir / FIRST):
                if path.exists() and keys.key_id(keys.load_private_key(path.read_bytes())) == key_id:
                    path.unlink()
                    destroyed += 1
            self._loaded.pop(key_id, None)
        return destroyed

    def _private(self, key_id: str) -> OKPKey:
        if key_id not in self._loaded:
            for path in (self._path(key_id), self._data_dir / FIRST):
                if path.exists():
                    key = keys.load_private_key(path.read_bytes())
                    self._loaded[keys.key_id(key)] = key
        if key_id not in self._loaded:
            raise StoreError(
                f"The private key {key_id} is not in {self._data_dir}.",
                why="Without it nothing that this device writes counts as evidence.",
                do="Put the key file back from where it was moved, or let the device join anew.",
            )
        return self._loaded[key_id]

    def _path(self, key_id: str) -> Path:
        return self._data_dir / f"device.{key_id}.key.pem"


def device_key(data_dir: Path) -> OKPKey:
    """Read the device's signing key; make the first one at the first start, its public half beside it."""
    path = data_dir / FIRST
    if path.exists():
        return keys.load_private_key(path.read_bytes())
    rotated = sorted(data_dir.glob("device.*.key.pem"), key=lambda found: found.stat().st_mtime)
    if rotated:
        return keys.load_private_key(rotated[-1].read_bytes())
    key = keys.generate_key()
    _write_private(path, key)
    (data_dir / PUBLIC).write_text(keys.public_pem(key), encoding="ascii")
    return key


def _write_private(path: Path, key: OKPKey) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as out:
        out.write(keys.private_pem(key))
        out.flush()
        os.fsync(out.fileno())
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
