"""What was billed for whom, by person: one SQLite file that the imported tables fill, asked at each check.

Lines lie together by person and time (a table without row ids), so that a check reads one short run of pages.
"""

import threading
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import pysqlite3.dbapi2 as sqlite3

from renzheng.common.files import make_private_file, put
from renzheng.rules.knowledge.facts import Line

SCHEMA = (
    """CREATE TABLE lines (
      person_id TEXT NOT NULL,
      at_us INTEGER NOT NULL,
      institution_id TEXT NOT NULL,
      line_id TEXT NOT NULL,
      visit_id TEXT NOT NULL,
      item_code TEXT NOT NULL,
      quantity_e4 INTEGER NOT NULL,
      amount_fen INTEGER NOT NULL,
      PRIMARY KEY (person_id, at_us, institution_id, line_id)
    ) STRICT, WITHOUT ROWID""",
    "CREATE TABLE persons (person_id TEXT PRIMARY KEY, sex TEXT, birth_day INTEGER) STRICT, WITHOUT ROWID",
    """CREATE TABLE institutions (institution_id TEXT PRIMARY KEY, timezone TEXT, level TEXT, region TEXT)
    STRICT, WITHOUT ROWID""",
    "CREATE TABLE filled (signature TEXT NOT NULL) STRICT",
)
_LINES = "INSERT OR REPLACE INTO lines VALUES (?,?,?,?,?,?,?,?)"
_PERSONS = "INSERT OR REPLACE INTO persons VALUES (?,?,?)"
_INSTITUTIONS = "INSERT OR REPLACE INTO institutions VALUES (?,?,?,?)"


@dataclass(frozen=True, slots=True)
class Known:
    """What the store knows of a person; `sex` and `birth_day` are None where it does not."""

    sex: str | None
    birth_day: int | None


@dataclass(frozen=True, slots=True)
class Place:
    """What the store knows of an institution; empty or None where it does not."""

    timezone: str
    level: int | None
    region: str


@dataclass(frozen=True, slots=True)
class Contents:
    """What a history is filled with: rows as its tables have them."""

    lines: Iterable[tuple[str, int, str, str, str, str, int, int]]
    persons: Iterable[tuple[str, str | None, int | None]] = ()
    institutions: Iterable[tuple[str, str | None, str | None, str | None]] = ()


class History:
    """Reads a history; another one is put in its place while it is read.

    Args:
        path: the file; where there is none, nothing is known.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()

    def _connection(self) -> sqlite3.Connection | None:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        inode = (found.st_ino, found.st_mtime_ns)
        if getattr(self._local, "inode", None) != inode:
            self._local.connection = sqlite3.connect(f"file:{self.path}?mode=ro&immutable=1", uri=True)
            self._local.inode = inode
        connection: sqlite3.Connection = self._local.connection
        return connection

    def signature(self) -> str:
        """Return of which tables it was made; empty where there is none."""
        connection = self._connection()
        row = connection.execute("SELECT signature FROM filled").fetchone() if connection else None
        return str(row[0]) if row else ""

    def person(self, person_id: str) -> Known | None:
        """Return what is known of a person; None where nothing is."""
        connection = self._connection()
        if connection is None:
            return None
        row = connection.execute(
            "SELECT sex, birth_day FROM persons WHERE person_id = ?", (person_id,)
        ).fetchone()
        if row is not None:
            return Known(*row)
        billed = connection.execute(
            "SELECT 1 FROM lines WHERE person_id = ? LIMIT 1", (person_id,)
        ).fetchone()
        return Known(None, None) if billed else None

    def place(self, institution_id: str) -> Place:
        """Return what is known of an institution."""
        connection = self._connection()
        row = (
            connection.execute(
                "SELECT timezone, level, region FROM institutions WHERE institution_id = ?", (institution_id,)
            ).fetchone()
            if connection
            else None
        )
        timezone, level, region = row or ("", "", "")
        return Place(timezone or "", level_of(level), region or "")

    def lines(self, person_id: str, since_us: int, codes: Collection[str]) -> list[Line]:
        """Return a person's lines of these items from a wall-clock time on, oldest first."""
        connection = self._connection()
        if connection is None or not codes:
            return []
        rows = connection.execute(
            "SELECT line_id, item_code, quantity_e4, amount_fen, at_us, institution_id, visit_id FROM lines "
            "WHERE person_id = ? AND at_us >= ?",
            (person_id, since_us),
        )
        return [Line(*row) for row in rows if row[1] in codes]


def level_of(text: str | None) -> int | None:
    """Read an institution's level: 1 to 3, or the platform's codes, of which the first digit is the level."""
    first = (text or "").strip()[:1]
    return int(first) if first in {"1", "2", "3"} else None


def write_history(path: Path, contents: Contents, signature: str) -> None:
    """Write a history whole, and put it in the place of the one before.

    Args:
        path: the file.
        contents: its rows; lines sorted by person are written fastest.
        signature: of what it was made.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    made = path.with_name(f".{path.name}.new")
    made.unlink(missing_ok=True)
    make_private_file(made)
    connection = sqlite3.connect(made)
    try:
        for pragma in ("journal_mode=OFF", "synchronous=OFF", "page_size=8192", "cache_size=-131072"):
            connection.execute(f"PRAGMA {pragma}")
        for statement in SCHEMA:
            connection.execute(statement)
        connection.executemany(_LINES, contents.lines)
        connection.executemany(_PERSONS, contents.persons)
        connection.executemany(_INSTITUTIONS, contents.institutions)
        connection.execute("INSERT INTO filled VALUES (?)", (signature,))
        connection.commit()
    finally:
        connection.close()
    put(made, path)
