"""Whom a device knows, as one sealed file: people, references, consents, witnesses and open sessions.

The log is not in it: central has it, and a log that is set back is a fork. A device that lost its disk joins
again under its name and then restores this.

References are in it as they are in the database: each under its person's key, one half of which is in this
file and the other at central (`device/privacy.py`). So the file alone opens no face, and a withdrawal, which
destroys central's half, reaches every copy of it. A restore asks central's door first: without its answer no
reference comes back, and those of who has withdrawn never do.
"""

import base64
from collections.abc import Callable
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
from renzheng.contracts.privacy import RestoreAnswer, RestoreAsked
from renzheng.edge.device.store.database import Store
from renzheng.edge.device.store.lock import FolderLock
from renzheng.edge.device.store.people import People, device_key
from renzheng.edge.device.store.person_keys import key_of
from renzheng.edge.errors import StoreError
from renzheng.edge.settings import DeviceSettings
from renzheng.models.errors import TemplateDamagedError
from renzheng.models.protection import TemplateKey, unseal

_FORM = 2
_FORM_WITH_ONE_KEY = 1
"""Files of earlier versions, in which one key opens every reference: read, no longer written."""
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
        refused: people whose references were left out, as they have taken their consent back since.
        unopened: people whose references were left out, as central has no half of their key or was not asked.
    """

    taken_at: datetime
    people: int
    references: int
    refused: int
    unopened: int = 0


Ask = Callable[[RestoreAsked], RestoreAnswer]
"""Asks central what may come back."""


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


def restore(device: DeviceSettings, backup: Path, passphrase: str, ask: Ask | None = None) -> Restored:
    """Add whom a backup knows to whom this device knows; what is here already stays as it is.

    Args:
        device: this device.
        backup: the file.
        passphrase: under which it is sealed.
        ask: central's door; without it no reference comes back, as nobody knows who has withdrawn since.

    Raises:
        PeopleBackupError: it is no such backup, or another institution's.
        SealError: another passphrase, or the file was changed.
        FolderInUseError: the agent runs.
        StoreError: the store cannot be written; nothing was.
        BulkUnreachableError: the door does not answer; nothing was written.
        BulkRefusedError: it answers something else.
    """
    content = _read(backup, passphrase)
    if content["institution_id"] != device.institution_id:
        raise PeopleBackupError(
            f"The backup is of institution {content['institution_id']}.",
            why="Faces are kept where their consent was given.",
            do="Restore it on a device of that institution.",
        )
    people_in = tuple(sorted({row["person_id"] for row in content["tables"].get(_REFERENCES, [])}))
    told = ask(RestoreAsked(device_id=content["device_id"], people=people_in)) if ask else None
    with FolderLock(device.data_dir):
        store = Store(device.data_dir / "device.sqlite")
        try:
            with store.writing() as database:
                return _add(store, database, content, People(store, device_key(device)), told)
        except sqlite3.Error as error:
            raise StoreError(f"The people cannot be restored: {error}.") from error
        finally:
            store.close()


def _add(
    store: Store, database: Database, content: dict[str, Any], people: People, told: RestoreAnswer | None
) -> Restored:
    tables = {name: [_row(row) for row in rows] for name, rows in content["tables"].items()}
    rows = store.rows("SELECT person_id FROM consents GROUP BY person_id HAVING max(given) = 0")
    withdrawn = {row["person_id"] for row in rows} | _barred(content["form"], told)
    held, references = tables.get(_REFERENCES, []), []
    if content["template_key"] is not None:
        old = TemplateKey(base64.b64decode(content["template_key"]))
        people.know_numbers(old, [bytes.fromhex(one) for one in content.get("older_numbers", [])])
        for row in held:
            person_id = row["person_id"]
            key = _key_of(content["form"], person_id, old, told)
            if person_id in withdrawn or key is None:
                continue
            try:
                template = unseal(row["template"], key, person_id)
            except TemplateDamagedError:  # central's half is of a later key: the person was enrolled anew
                continue
            row["template"] = people.sealed(template, person_id)
            references.append(row)
    left_out = {row["person_id"] for row in held} - {row["person_id"] for row in references}
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
    for person_id in withdrawn:
        database.execute("UPDATE consents SET given = 0 WHERE person_id = ?", (person_id,))
    taken_at = datetime.fromisoformat(content["taken_at"])
    refused = len(left_out & withdrawn)
    return Restored(taken_at, len(tables.get("patients", [])), added, refused, len(left_out) - refused)


def _barred(form: int, told: RestoreAnswer | None) -> set[str]:
    """Whose references never come back; of who has consented anew since, central has a half again."""
    if told is None:
        return set()
    return {one for one in told.withdrawn if form == _FORM_WITH_ONE_KEY or one not in told.shares}


def _key_of(form: int, person_id: str, old: TemplateKey, told: RestoreAnswer | None) -> TemplateKey | None:
    """Find what opens a person's references; None where central was not asked, or has no half of the key."""
    if told is None:
        return None
    if form == _FORM_WITH_ONE_KEY:
        return old
    half = told.shares.get(person_id)
    return None if half is None else key_of(base64.b64decode(half), old)


def _read(backup: Path, passphrase: str) -> dict[str, Any]:
    try:
        content = orjson.loads(sealing.unseal(backup.read_bytes(), passphrase))
        known = content["form"] in (_FORM, _FORM_WITH_ONE_KEY) and set(content["tables"]) <= set(TABLES)
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
