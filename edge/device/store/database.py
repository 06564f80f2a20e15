"""Opening the device's one database file: WAL, synchronous=FULL, STRICT tables, numbered migrations."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations
from sqlite_utils.utils import sqlite3  # type: ignore[attr-defined] # pysqlite3 where it is installed

from renzheng.common.files import keep_private, make_private_file
from renzheng.edge.errors import StoreError

MIGRATIONS = Migrations("edge")
_WAL_KEPT_BYTES = 8_000_000
_GOOD_SQLITE = (3, 51, 3)
"""From 3.7.0 to 3.51.2 two connections in WAL mode can lose a commit when the WAL is reset."""

Also = Callable[[Database], None]
"""What else is written in the transaction of an entry."""


class Store:
    """One connection and the lock that guards it; a thread that must not wait for others opens its own.

    Args:
        path: the database file; made when it is missing.

    Raises:
        StoreError: the file is no database of ours, cannot be opened, or SQLite is too old to be trusted.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        if sqlite3.sqlite_version_info < _GOOD_SQLITE:
            raise StoreError(
                f"SQLite {sqlite3.sqlite_version} can lose commits (WAL reset).",
                why="The device's log must not lose what it has written.",
                do="Install pysqlite3 0.6.1 or newer.",
            )
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            make_private_file(path)
            keep_private(Path(f"{path}-wal"))
            connection = sqlite3.connect(str(path), timeout=10, isolation_level=None, check_same_thread=False)
            self._database = Database(connection, strict=True)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=FULL")
            self._database.execute("PRAGMA foreign_keys=ON")
            # What is deleted is overwritten, in the file and, by `forget_deleted`, in the WAL.
            self._database.execute("PRAGMA secure_delete=ON")
            self._database.execute(f"PRAGMA journal_size_limit={_WAL_KEPT_BYTES}")
            with self._lock:
                MIGRATIONS.apply(self._database)
        except (sqlite3.Error, OSError) as error:
            raise _unusable(path, error) from error

    @contextmanager
    def writing(self) -> Iterator[Database]:
        """Run a block as one transaction, committed and synced when it leaves, undone when it raises.

        Raises:
            StoreError: SQLite refused; nothing of the block is kept.
        """
        with self._lock:
            try:
                if self._database.conn.in_transaction:
                    yield self._database
                    return
                # IMMEDIATE takes the writer's place at once: what is read inside stays true until the commit.
                self._database.execute("BEGIN IMMEDIATE")
                try:
                    yield self._database
                except BaseException:
                    self._database.rollback()
                    raise
                self._database.commit()
            except sqlite3.Error as error:
                if self._database.conn.in_transaction:
                    self._database.rollback()
                raise _unusable(self.path, error) from error

    def rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        """Read rows.

        Raises:
            StoreError: SQLite refused.
        """
        with self._lock:
            try:
                return list(self._database.query(sql, values))
            except sqlite3.Error as error:
                raise _unusable(self.path, error) from error

    def row(self, sql: str, *values: Any) -> dict[str, Any] | None:
        """Read the first row, or None."""
        found = self.rows(sql, *values)
        return found[0] if found else None

    def forget_deleted(self) -> bool:
        """Empty the write-ahead log, in which deleted rows still stand; False when a reader keeps it.

        Raises:
            StoreError: SQLite refused.
        """
        return not self.rows("PRAGMA wal_checkpoint(TRUNCATE)")[0]["busy"]

    def check_structure(self) -> None:
        """Let SQLite check its file: every page, every index.

        Raises:
            StoreError: something in it is damaged.
        """
        try:
            said = self.rows("PRAGMA integrity_check(1)")[0]["integrity_check"]
        except UnicodeDecodeError:  # its own message quotes the damage
            said = "a value that is no text"
        if said != "ok":
            raise damaged(str(said)[:200])

    def close(self) -> None:
        """Close the connection; the file stays."""
        with self._lock:
            self._database.close()


def damaged(what: str) -> StoreError:
    """Name damage that was found in the device's file."""
    return StoreError(
        f"The device's file is damaged: {what}.",
        why="What it says was written need not be what was written.",
        do="Keep the file as it is; central has what it acknowledged. Let the device join anew.",
    )


def _unusable(path: Path, error: Exception) -> StoreError:
    return StoreError(
        f"The store {path.name} cannot be used: {error}.",
        why="An event counts only once it is written.",
        do="Check the disk's space and the rights on the data folder; sign patients in on paper meanwhile.",
        path=str(path),
    )


@MIGRATIONS(name="0001_first")
def _first(database: Database) -> None:
    statements = """
        CREATE TABLE entries (
            sequence INTEGER PRIMARY KEY,
            line BLOB NOT NULL,
            event_id TEXT NOT NULL UNIQUE
        ) STRICT;
        CREATE TABLE log_state (
            one INTEGER PRIMARY KEY CHECK (one = 1),
            device_id TEXT NOT NULL,
            base_sequence INTEGER NOT NULL,
            base_hash TEXT NOT NULL,
            acknowledged INTEGER NOT NULL
        ) STRICT;
        CREATE TABLE patients (
            person_id TEXT PRIMARY KEY,
            surname TEXT NOT NULL,
            masked_number TEXT NOT NULL,
            card_hash TEXT UNIQUE
        ) STRICT;
        CREATE TABLE roster (
            day TEXT NOT NULL,
            person_id TEXT NOT NULL REFERENCES patients,
            PRIMARY KEY (day, person_id)
        ) STRICT;
        CREATE TABLE person_references (
            reference_id TEXT PRIMARY KEY,
            person_id TEXT NOT NULL REFERENCES patients,
            model_id TEXT NOT NULL,
            template BLOB NOT NULL,
            source TEXT NOT NULL,
            captured_at TEXT NOT NULL
        ) STRICT;
        CREATE INDEX person_references_by_person ON person_references (person_id, model_id);
        CREATE TABLE consents (
            person_id TEXT NOT NULL,
            notice TEXT NOT NULL,
            notice_version TEXT NOT NULL,
            given INTEGER NOT NULL,
            recorded_at TEXT NOT NULL,
            PRIMARY KEY (person_id, notice, notice_version)
        ) STRICT;
        CREATE TABLE witnesses (
            witness_id TEXT PRIMARY KEY,
            salt BLOB NOT NULL,
            pin_hash BLOB NOT NULL
        ) STRICT;
        CREATE TABLE sessions (
            session_id TEXT PRIMARY KEY,
            person_id TEXT NOT NULL,
            signed_in_at TEXT NOT NULL,
            signed_out_at TEXT,
            given_up INTEGER NOT NULL DEFAULT 0
        ) STRICT;
        CREATE INDEX sessions_open ON sessions (person_id) WHERE signed_out_at IS NULL;
        CREATE TABLE heartbeat (
            one INTEGER PRIMARY KEY CHECK (one = 1),
            since TEXT NOT NULL,
            last_beat TEXT NOT NULL,
            state TEXT NOT NULL,
            cause TEXT,
            stopped INTEGER NOT NULL
        ) STRICT;
        CREATE TABLE alarms (
            alarm_id INTEGER PRIMARY KEY,
            kind TEXT NOT NULL,
            sequence INTEGER,
            raised_at TEXT NOT NULL
        ) STRICT;
    """
    for statement in statements.split(";"):
        if statement.strip():
            database.execute(statement)


@MIGRATIONS(name="0002_keys")
def _keys(database: Database) -> None:
    database.execute(
        "CREATE TABLE device_keys (from_sequence INTEGER PRIMARY KEY, key_id TEXT NOT NULL UNIQUE,"
        " public_pem TEXT NOT NULL) STRICT"
    )


@MIGRATIONS(name="0003_acknowledged_hash")
def _acknowledged_hash(database: Database) -> None:
    database.execute("ALTER TABLE log_state ADD COLUMN acknowledged_hash TEXT NOT NULL DEFAULT ''")


@MIGRATIONS(name="0004_head_hash")
def _head_hash(database: Database) -> None:
    database.execute("ALTER TABLE log_state ADD COLUMN head_sequence INTEGER NOT NULL DEFAULT 0")
    database.execute("ALTER TABLE log_state ADD COLUMN head_hash TEXT NOT NULL DEFAULT ''")


@MIGRATIONS(name="0005_inpatients")
def _inpatients(database: Database) -> None:
    database.execute(
        "CREATE TABLE inpatient_roster (one INTEGER PRIMARY KEY CHECK (one = 1), day TEXT NOT NULL,"
        " made_at TEXT NOT NULL, kept_at TEXT NOT NULL, content BLOB NOT NULL) STRICT"
    )
    database.execute(
        "CREATE TABLE ward_presences (person_id TEXT PRIMARY KEY, seen_at TEXT NOT NULL, direction TEXT,"
        " crossed_at TEXT) STRICT"
    )


@MIGRATIONS(name="0005_credentials")
def _credentials(database: Database) -> None:
    database.execute(
        "CREATE TABLE credentials (credential_hash TEXT PRIMARY KEY,"
        " person_id TEXT NOT NULL REFERENCES patients) STRICT"
    )
    database.execute("CREATE INDEX credentials_by_person ON credentials (person_id)")


@MIGRATIONS(name="0006_abilities")
def _abilities(database: Database) -> None:
    database.execute(
        "CREATE TABLE patient_abilities (person_id TEXT PRIMARY KEY REFERENCES patients,"
        " abilities TEXT NOT NULL) STRICT"
    )


@MIGRATIONS(name="0007_central_word")
def _central_word(database: Database) -> None:
    database.execute("ALTER TABLE log_state ADD COLUMN safe INTEGER NOT NULL DEFAULT 0")
    database.execute("ALTER TABLE log_state ADD COLUMN word TEXT NOT NULL DEFAULT ''")


@MIGRATIONS(name="0008_closed_entries")
def _closed_entries(database: Database) -> None:
    database.execute(
        "CREATE TABLE closed_entries (head_sequence INTEGER NOT NULL, sequence INTEGER NOT NULL,"
        " line BLOB NOT NULL, carried_upto INTEGER NOT NULL, PRIMARY KEY (head_sequence, sequence)) STRICT"
    )


@MIGRATIONS(name="0009_pins")
def _pins(database: Database) -> None:
    database.execute(
        "CREATE TABLE pin_tries (number TEXT NOT NULL, caller TEXT NOT NULL, failures INTEGER NOT NULL,"
        " until_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL, PRIMARY KEY (number, caller)) STRICT"
    )
    database.execute(
        "CREATE TABLE pin_lanes (lane TEXT PRIMARY KEY, number TEXT NOT NULL, since_ms INTEGER NOT NULL)"
        " STRICT"
    )
    database.execute("CREATE TABLE older_number_keys (sealed BLOB NOT NULL) STRICT")


@MIGRATIONS(name="0010_expected_at")
def _expected_at(database: Database) -> None:
    database.execute("ALTER TABLE roster ADD COLUMN expected_at TEXT")  # local time, HH:MM
    database.execute("CREATE INDEX sessions_by_time ON sessions (signed_in_at)")


@MIGRATIONS(name="0011_privacy")
def _privacy(database: Database) -> None:
    database.execute(
        "CREATE TABLE privacy_answers (order_id TEXT PRIMARY KEY, answered_at TEXT NOT NULL,"
        " answer BLOB NOT NULL) STRICT"
    )
    database.execute("CREATE TABLE held_crops (event_id TEXT PRIMARY KEY) STRICT")
    database.execute("CREATE TABLE due_crops (event_id TEXT PRIMARY KEY) STRICT")


@MIGRATIONS(name="0012_running_time")
def _running_time(database: Database) -> None:
    """Pauses after wrong PINs count in running time: those that are under way begin once more."""
    database.execute(
        "CREATE TABLE running_time (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), boot_id TEXT NOT NULL,"
        " boot_ms INTEGER NOT NULL, counted_ms INTEGER NOT NULL) STRICT"
    )
    database.execute("UPDATE pin_tries SET until_ms = max(0, until_ms - last_ms), last_ms = 0")


@MIGRATIONS(name="0013_kinds_of_credentials")
def _kinds_of_credentials(database: Database) -> None:
    database.execute("ALTER TABLE credentials ADD COLUMN kind TEXT NOT NULL DEFAULT 'e_credential'")


@MIGRATIONS(name="0014_machine_runs")
def _machine_runs(database: Database) -> None:
    database.execute(
        "CREATE TABLE machine_checkpoint (only_row INTEGER PRIMARY KEY CHECK (only_row = 1),"
        " offset INTEGER NOT NULL, head_length INTEGER NOT NULL, head_hash TEXT NOT NULL,"
        " seen_ns INTEGER NOT NULL) STRICT"
    )
    database.execute("CREATE TABLE machine_runs (key TEXT PRIMARY KEY, signed_at TEXT NOT NULL) STRICT")
    database.execute(
        "CREATE TABLE machine_refusals (file TEXT NOT NULL, offset INTEGER NOT NULL, reason TEXT NOT NULL,"
        " at TEXT NOT NULL) STRICT"
    )
