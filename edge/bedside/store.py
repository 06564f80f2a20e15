"""What the inspector's unit keeps: sealed sheets, the codes of opened ones, answers, and who may inspect."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from renzheng.contracts.events import SpotCheckResult
from renzheng.contracts.ids import EventId
from renzheng.contracts.rounds import RoundError, SealedSheet, Sheet, unseal
from renzheng.edge.bedside.rounds import sheet_id
from renzheng.edge.device.evidence import Evidence
from renzheng.edge.device.store.database import Also, Store

LOGGER = logging.getLogger(__name__)
MIGRATIONS = Migrations("edge_bedside")


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An answer as it was recorded: `number` counts the answers of this device."""

    number: int
    answer_id: str
    check_id: str
    event_id: EventId
    choice: str
    result: SpotCheckResult
    reason: str | None
    at: datetime


class BedsideStore:
    """Sheets and answers, over the device's store.

    Args:
        store: the device's database.
        data_dir: the codes of opened sheets lie below it, each in an encrypted file bound to its sheet, so
            that the database alone does not tell who was drawn.
    """

    def __init__(self, store: Store, data_dir: Path) -> None:
        self.store = store
        self._codes = Evidence(data_dir / "bedside")
        self._open: dict[str, Sheet] = {}
        with store.writing() as database:
            MIGRATIONS.apply(database)

    def put_sealed(self, sealed: SealedSheet) -> str:
        """Keep a sealed sheet; a newer copy of one that is not open yet takes its place.

        Returns:
            Its sheet id.
        """
        name = sheet_id(sealed.round_id, sealed.institution_id)
        if self.is_open(name):
            return name
        with self.store.writing() as database:
            database.execute(
                "INSERT INTO bedside_sheets VALUES (?, ?, ?, ?, ?) ON CONFLICT (sheet_id) DO UPDATE SET"
                " due_at = excluded.due_at, closes_at = excluded.closes_at, sealed = excluded.sealed",
                (
                    name,
                    sealed.round_id,
                    sealed.due_at.isoformat(),
                    sealed.closes_at.isoformat(),
                    sealed.model_dump_json(),
                ),
            )
        return name

    def sheets(self) -> list[tuple[str, SealedSheet]]:
        """Every sheet that lies here, sealed as it came, the next due first."""
        rows = self.store.rows("SELECT sheet_id, sealed FROM bedside_sheets ORDER BY due_at, sheet_id")
        return [(row["sheet_id"], SealedSheet.model_validate_json(row["sealed"])) for row in rows]

    def sealed(self, name: str) -> SealedSheet | None:
        """One sheet as it came; None when it is not here."""
        row = self.store.row("SELECT sealed FROM bedside_sheets WHERE sheet_id = ?", name)
        return None if row is None else SealedSheet.model_validate_json(row["sealed"])

    def open(self, name: str, code: str) -> Sheet:
        """Open a sheet and keep its code, so that it is open after a restart too.

        Raises:
            RoundError: the sheet is not here, or the code is not its own.
        """
        sealed = self.sealed(name)
        if sealed is None:
            raise RoundError("This round is not on this device.", do="Fetch the rounds again.")
        sheet = unseal(sealed, code)
        self._codes.put(EventId(name), code.encode())
        self._open[name] = sheet
        return sheet

    def is_open(self, name: str) -> bool:
        """Whether its code is known here."""
        return self.opened(name) is not None

    def opened(self, name: str) -> Sheet | None:
        """Read an open sheet; None while it is sealed."""
        if name not in self._open:
            code, sealed = self._codes.get(EventId(name)), self.sealed(name)
            if code is None or sealed is None:
                return None
            try:
                self._open[name] = unseal(sealed, code.decode())
            except RoundError:
                LOGGER.warning("the code kept for sheet %s does not open it", name)
                return None
        return self._open[name]

    def answer(self, answer_id: str) -> StoredAnswer | None:
        """Find an answer by the id that the page gave it."""
        row = self.store.row("SELECT * FROM bedside_answers WHERE answer_id = ?", answer_id)
        return None if row is None else _kept(row)

    def answers(self, name: str) -> Sequence[StoredAnswer]:
        """All answers to a sheet, in the order in which they were recorded; of each check the last counts."""
        rows = self.store.rows("SELECT * FROM bedside_answers WHERE sheet_id = ? ORDER BY number", name)
        return [_kept(row) for row in rows]

    def last_answer(self, name: str, check_id: str) -> StoredAnswer | None:
        """The answer that counts for a check; None when there is none."""
        row = self.store.row(
            "SELECT * FROM bedside_answers WHERE sheet_id = ? AND check_id = ? ORDER BY number DESC LIMIT 1",
            name,
            check_id,
        )
        return None if row is None else _kept(row)

    @staticmethod
    def putting(name: str, kept: StoredAnswer) -> Also:
        """Prepare an answer; `DeviceLog.append` writes it with its event. Its `number` is given then."""

        def write(database: Database) -> None:
            database.execute(
                "INSERT INTO bedside_answers (answer_id, sheet_id, check_id, event_id, choice, result,"
                " reason, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    kept.answer_id,
                    name,
                    kept.check_id,
                    kept.event_id,
                    kept.choice,
                    kept.result.value,
                    kept.reason,
                    kept.at.isoformat(),
                ),
            )

        return write

    def put_inspector(self, inspector_id: str) -> None:
        """Let a witness, whose PIN is already kept, sign in as an inspector."""
        with self.store.writing() as database:
            database.execute("INSERT OR IGNORE INTO bedside_inspectors VALUES (?)", (inspector_id,))

    def remove_inspector(self, inspector_id: str) -> bool:
        """Let a number sign in no more; its passkeys go too. Returns whether it could."""
        with self.store.writing() as database:
            known = self.is_inspector(inspector_id)
            for table in ("bedside_inspectors", "bedside_passkeys", "bedside_passkey_codes"):
                database.execute(f"DELETE FROM {table} WHERE inspector_id = ?", (inspector_id,))  # noqa: S608
        return known

    def is_inspector(self, inspector_id: str) -> bool:
        """Whether this number may sign in."""
        return (
            self.store.row("SELECT 1 AS one FROM bedside_inspectors WHERE inspector_id = ?", inspector_id)
            is not None
        )

    def forget_closed(self, now: datetime, kept_for: timedelta) -> int:
        """Let go of sheets, codes and answers of rounds that closed long ago; the log keeps the events."""
        gone = [name for name, sealed in self.sheets() if now - sealed.closes_at > kept_for]
        for name in gone:
            self._codes.delete(EventId(name))
            self._open.pop(name, None)
            with self.store.writing() as database:
                database.execute("DELETE FROM bedside_answers WHERE sheet_id = ?", (name,))
                database.execute("DELETE FROM bedside_sheets WHERE sheet_id = ?", (name,))
        return len(gone)


def _kept(row: dict[str, str]) -> StoredAnswer:
    return StoredAnswer(
        int(row["number"]),
        row["answer_id"],
        row["check_id"],
        EventId(row["event_id"]),
        row["choice"],
        SpotCheckResult(row["result"]),
        row["reason"],
        datetime.fromisoformat(row["at"]),
    )


@MIGRATIONS(name="0001_first")
def _first(database: Database) -> None:
    statements = """
        CREATE TABLE bedside_sheets (
            sheet_id TEXT PRIMARY KEY,
            round_id TEXT NOT NULL,
            due_at TEXT NOT NULL,
            closes_at TEXT NOT NULL,
            sealed TEXT NOT NULL
        ) STRICT;
        CREATE TABLE bedside_answers (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            answer_id TEXT NOT NULL UNIQUE,
            sheet_id TEXT NOT NULL,
            check_id TEXT NOT NULL,
            event_id TEXT NOT NULL,
            choice TEXT NOT NULL,
            result TEXT NOT NULL,
            reason TEXT,
            at TEXT NOT NULL
        ) STRICT;
        CREATE INDEX bedside_answers_by_check ON bedside_answers (sheet_id, check_id);
        CREATE TABLE bedside_inspectors (
            inspector_id TEXT PRIMARY KEY
        ) STRICT;
    """
    for statement in statements.split(";"):
        if statement.strip():
            database.execute(statement)


@MIGRATIONS(name="0002_passkeys")
def _passkeys(database: Database) -> None:
    statements = """
        CREATE TABLE bedside_passkeys (
            credential_id TEXT PRIMARY KEY,
            inspector_id TEXT NOT NULL,
            rp_id TEXT NOT NULL,
            public_key BLOB NOT NULL,
            sign_count INTEGER NOT NULL,
            lists_secret TEXT NOT NULL,
            made_at TEXT NOT NULL
        ) STRICT;
        CREATE TABLE bedside_passkey_codes (
            inspector_id TEXT PRIMARY KEY,
            code_hash TEXT NOT NULL,
            until_ms INTEGER NOT NULL
        ) STRICT;
    """
    for statement in statements.split(";"):
        if statement.strip():
            database.execute(statement)
