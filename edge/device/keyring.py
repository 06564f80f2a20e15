"""The device's signing keys over its life: which key signs which entries, and how one follows another.

Private keys are files of their own, readable by the agent's user only. Which key signs from which entry on
stands in the store, written in one transaction with the rotation entry; a crash in between leaves at worst a
key file that nothing names, which the next start sweeps away.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from sqlite_utils import Database

from renzheng.common.files import write_new, write_whole
from renzheng.contracts import keys
from renzheng.contracts import log as chain
from renzheng.contracts.events import DeviceKeyRotated, KeyRotationData, device_source
from renzheng.contracts.log import Head
from renzheng.edge.device.clock import Clock
from renzheng.edge.device.log import DeviceLog
from renzheng.edge.device.store.database import Store, damaged
from renzheng.edge.errors import StoreError

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
        return key_at(self._store, sequence)

    def sweep(self) -> int:
        """Destroy the key files that a rotation left which a crash cut short; returns how many.

        That is a file that no row names and that is younger than the key that signs now. A file that is older
        may be of a store that was lost and comes back; and where the rows do not hold, nothing is destroyed.
        """
        with self._store.writing():  # a rotation writes its file and its row within one of these
            rows = self._store.rows("SELECT * FROM device_keys ORDER BY from_sequence")
            named = {self._path(row["key_id"]) for row in rows}
            newest = self._path(rows[-1]["key_id"])
            signs_now = newest if newest.exists() else self._data_dir / FIRST
            if not signs_now.exists() or any(keys.key_id(_public(row)) != row["key_id"] for row in rows):
                return 0
            younger = signs_now.stat().st_mtime_ns
            found = set(self._data_dir.glob("device.*.key.pem")) - named
            left = [path for path in found if path.stat().st_mtime_ns > younger]
            for path in left:
                path.unlink()
        return len(left)

    def rotate(self, log: DeviceLog, *, institution_id: str, clock: Clock) -> Head:
        """Change to a new key: an entry signed by both, after which only the new one signs.

        Returns:
            The head, which is the rotation entry.
        """
        new = keys.generate_key()
        reading = clock.read()
        with self._store.writing():  # the entry's place must not be taken by another between here and append
            _write_private(self._path(keys.key_id(new)), new)
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
        write_whole(self._data_dir / PUBLIC, keys.public_pem(new).encode())
        return rotated

    def forget_old(self, safe: int) -> int:
        """Destroy private keys whose every entry is safe at central (`DeviceLog.safe`); returns how many.

        With a key gone, central could never again be given the entries that it alone may sign.
        """
        rows = self._store.rows("SELECT * FROM device_keys ORDER BY from_sequence")
        spent = [row["key_id"] for row, following in pairwise(rows) if following["from_sequence"] - 1 <= safe]
        destroyed = 0
        for key_id in spent:
            for path in (self._path(key_id), self._data_dir / FIRST):
                if path.exists() and keys.key_id(_read_private(path)) == key_id:
                    path.unlink()
                    destroyed += 1
            self._loaded.pop(key_id, None)
        return destroyed

    def _private(self, key_id: str) -> OKPKey:
        if key_id not in self._loaded:
            for path in (self._path(key_id), self._data_dir / FIRST):
                if path.exists():
                    key = _read_private(path)
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
        return _read_private(path)
    rotated = sorted(data_dir.glob("device.*.key.pem"), key=lambda found: found.stat().st_mtime)
    if rotated:
        return _read_private(rotated[-1])
    key = keys.generate_key()
    _write_private(path, key)
    write_whole(data_dir / PUBLIC, keys.public_pem(key).encode())
    return key


def new_key(data_dir: Path) -> OKPKey:
    """Make a further signing key, in a file of its own; which entries it signs, the store says."""
    key = keys.generate_key()
    _write_private(data_dir / f"device.{keys.key_id(key)}.key.pem", key)
    write_whole(data_dir / PUBLIC, keys.public_pem(key).encode())
    return key


def key_at(store: Store, sequence: int) -> OKPKey:
    """The public key that signs the entry after `sequence`; for 0 the one the log begins with.

    Raises:
        StoreError: the store names none, or what it names is no key.
    """
    row = store.row(
        "SELECT * FROM device_keys WHERE from_sequence <= ? ORDER BY from_sequence DESC LIMIT 1", sequence + 1
    )
    if row is None:
        raise damaged(f"no key is named for entry {sequence + 1}")
    return _public(row)


def _public(row: Mapping[str, Any]) -> OKPKey:
    try:
        return keys.load_public_key(row["public_pem"])
    except (ValueError, TypeError, JoseError):
        raise damaged(f"the public key from entry {row['from_sequence']} on is no key") from None


def _read_private(path: Path) -> OKPKey:
    try:
        return keys.load_private_key(path.read_bytes())
    except (ValueError, TypeError, JoseError):
        raise StoreError(
            f"The key file {path.name} holds no key.",
            why="Without it nothing that this device writes counts as evidence.",
            do="Put the key file back from where it was copied, or let the device join anew.",
        ) from None


def _write_private(path: Path, key: OKPKey) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_new(path, keys.private_pem(key))
