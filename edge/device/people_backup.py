"""Whom a device knows, as one sealed file: people, references, consents, witnesses and open sessions.

The log is not in it: central has it, and a log that is set back is a fork. A device that lost its disk joins
again under its name and then restores this. Faces are in the file, so it is never written in the clear.
"""

import base64
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from sqlite_utils import Database
from sqlite_utils.utils import sqlite3  # type: ignore[attr-defined] # pysqlite3 where it is installed

from renzheng.common.files import write_new
from renzheng.contracts import sealing
from renzheng.contracts.errors import InputError
from renzheng.edge.device.store.database import Store
from renzheng.edge.device.store.lock import FolderLock
from renzheng.edge.device.store.people import People, device_key
from renzheng.edge.errors import StoreError
from renzheng.edge.settings import DeviceSettings
from renzheng.models.protection import TemplateKey, seal, unseal

_FORM = 1
TABLES = (
    "patients",
    "roster",
    "person_references",
    "consents",
    "witnesses",
    "sessions",
    "credentials",
    "patient_abilities",
    "bedside_inspectors",
)
"""In the order in which rows may refer to one another; the last is an inspector's unit's only."""
_REFERENCES = "person_references"


class PeopleBackupError(InputError):
    """A file is no backup of people that this device can take."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore has done.

    Args:
        taken_at: when the backup was taken.
        people: how many people it holds.
        references: how many references were added.
        refused: people whose references were left out, as they have taken their consent back here since.
    """

    taken_at: datetime
    people: int
    references: int
    refused: int


def take(device: DeviceSettings, out: Path, passphrase: str, now: datetime) -> int:
    """Write whom this device knows into a new file; the agent may run. Returns how many people.

    Raises:
        PeopleBackupError: the file is there already, or cannot be written.
        StoreError: the store cannot be read.
    """
    store = Store(device.data_dir / "device.sqlite")
    try:
        key = device_key(device)
        people = People(store, key)
        with store.writing():  # one moment for all tables
            rows = {name: store.rows(f"SELECT * FROM {name}") for name in _here(store)}  # noqa: S608 - ours
            for row in rows.get(_REFERENCES, []):  # the file has one key for all; it is sealed as a whole
                row["template"] = seal(
                    people.unsealed(row["template"], row["person_id"]), key, row["person_id"]
                )
            older = people.older_numbers()
    finally:
        store.close()
    content = {
        "form": _FORM,
        "institution_id": device.institution_id,
        "device_id": device.device_id,
        "taken_at": now.isoformat(),
        "template_key": base64.b64encode(key.secret).decode(),
        "older_numbers": [one.hex() for one in older],
        "tables": {name: [_plain(row) for row in held] for name, held in rows.items()},
    }
    try:
        write_new(out, sealing.seal(orjson.dumps(content), passphrase))
    except OSError as error:
        raise PeopleBackupError(
            f"{out} cannot be written: {error.strerror}.", do="Name a new file."
        ) from error
    return len(rows["patients"])


def restore(device: DeviceSettings, backup: Path, passphrase: str) -> Restored:
    """Add whom a backup knows to whom this device knows; what is here already stays as it is.

    Raises:
        PeopleBackupError: it is no such backup, or another institution's.
        SealError: another passphrase, or the file was changed.
        FolderInUseError: the agent runs.
        StoreError: the store cannot be written; nothing was.
    """
    content = _read(backup, passphrase)
    if content["institution_id"] != device.institution_id:
        raise PeopleBackupError(
            f"The backup is of institution {content['institution_id']}.",
            why="Faces are kept where their consent was given.",
            do="Restore it on a device of that institution.",
        )
    with FolderLock(device.data_dir):
        store = Store(device.data_dir / "device.sqlite")
        try:
            with store.writing() as database:
                return _add(store, database, content, People(store, device_key(device)))
        except sqlite3.Error as error:
            raise StoreError(f"The people cannot be restored: {error}.") from error
        finally:
            store.close()


def _add(store: Store, database: Database, content: dict[str, Any], people: People) -> Restored:
    tables = {name: [_row(row) for row in rows] for name, rows in content["tables"].items()}
    withdrawn = {
        row["person_id"]
        for row in store.rows("SELECT person_id FROM consents GROUP BY person_id HAVING max(given) = 0")
    }
    references = [row for row in tables.get(_REFERENCES, []) if row["person_id"] not in withdrawn]
    if content["template_key"] is not None:
        old = TemplateKey(base64.b64decode(content["template_key"]))
        people.know_numbers(old, [bytes.fromhex(one) for one in content.get("older_numbers", [])])
        for row in references:
            person_id = row["person_id"]
            row["template"] = people.sealed(unseal(row["template"], old, person_id), person_id)
    left_out = {row["person_id"] for row in tables.get(_REFERENCES, [])} & withdrawn
    tables[_REFERENCES] = references
    added = 0
    for name in _here(store):
        for row in tables.get(name, []):
            columns = ", ".join(row)
            marks = ", ".join("?" for _ in row)
            done = database.execute(
                f"INSERT OR IGNORE INTO {name} ({columns}) VALUES ({marks})",  # noqa: S608 - our own names
                tuple(row.values()),
            )
            added += done.rowcount if name == _REFERENCES else 0
    taken_at = datetime.fromisoformat(content["taken_at"])
    return Restored(taken_at, len(tables.get("patients", [])), added, len(left_out))


def _read(backup: Path, passphrase: str) -> dict[str, Any]:
    try:
        content = orjson.loads(sealing.unseal(backup.read_bytes(), passphrase))
        known = content["form"] == _FORM and set(content["tables"]) <= set(TABLES)
    except OSError as error:
        raise PeopleBackupError(f"{backup} cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError):
        known = False
    if not known:
        raise PeopleBackupError(
            f"{backup} is no backup of people that this software knows.",
            do="Restore it with the software that made it.",
        )
    found: dict[str, Any] = content
    return found


def _here(store: Store) -> list[str]:
    held = {row["name"] for row in store.rows("SELECT name FROM sqlite_master WHERE type = 'table'")}
    return [name for name in TABLES if name in held]


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value
        for name, value in row.items()
    }


def _row(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: base64.b64decode(value["base64"]) if isinstance(value, dict) else value
        for name, value in row.items()
    }
