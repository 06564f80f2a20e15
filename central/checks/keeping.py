"""What was asked, advised and answered, in one SQLite file; an answer is synced before it is acknowledged."""

import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, Self

import orjson
import pysqlite3.dbapi2 as sqlite3

from renzheng.central.checks.reminders import Advised
from renzheng.common.files import make_private_file

SCHEMA = """
CREATE TABLE IF NOT EXISTS checks (
  check_id TEXT PRIMARY KEY, at_us INTEGER NOT NULL, institution_id TEXT NOT NULL, account_id TEXT NOT NULL,
  stage TEXT NOT NULL, code TEXT NOT NULL, asked BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS checks_at ON checks (at_us);
CREATE TABLE IF NOT EXISTS advices (
  advice_id TEXT PRIMARY KEY, check_id TEXT NOT NULL, point TEXT NOT NULL, version TEXT NOT NULL,
  shown INTEGER NOT NULL, told BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS advices_of_check ON advices (check_id);
CREATE TABLE IF NOT EXISTS advised (key TEXT PRIMARY KEY, at_us INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS answers (
  advice_id TEXT NOT NULL, at_us INTEGER NOT NULL, account_id TEXT NOT NULL,
  action TEXT NOT NULL, reason TEXT NOT NULL,
  PRIMARY KEY (advice_id, at_us, action)
) STRICT;
"""


_ADVISED = """
SELECT
  c.at_us, c.institution_id, coalesce(json_extract(CAST(a.told AS TEXT), '$.department'), ''),
  a.point, a.version, coalesce(json_extract(CAST(a.told AS TEXT), '$.kind'), ''),
  l.action, l.reason, l.at_us
FROM checks c
JOIN advices a ON a.check_id = c.check_id AND a.shown
LEFT JOIN answers l ON l.advice_id = a.advice_id
  AND l.at_us = (SELECT max(at_us) FROM answers WHERE advice_id = a.advice_id)
WHERE c.at_us >= ? AND c.at_us < ?
"""


@dataclass(frozen=True, slots=True)
class Check:
    """One check as it is kept.

    Args:
        check_id: its id.
        at_us: when, in microseconds since 1970.
        institution_id: of whom it is.
        account_id: who asked.
        stage: before or during.
        code: how it went.
        asked: the request, as JSON.
        advices: each as it was told, and whether it was shown.
        keys: of the shown ones, by which they are not shown again.
    """

    check_id: str
    at_us: int
    institution_id: str
    account_id: str
    stage: str
    code: str
    asked: bytes
    advices: Sequence[tuple[Mapping[str, Any], bool]]
    keys: Collection[str]

    def unseen(self) -> Self:
        """Return it as it is kept where nobody saw what it advises."""
        return replace(self, advices=[(one, False) for one, _ in self.advices], keys=())


@dataclass(frozen=True, slots=True)
class Answer:
    """What somebody did about an advice: `followed` or `overridden`, with a reason or without."""

    advice_id: str
    action: str
    reason: str


@dataclass(frozen=True, slots=True)
class Kept:
    """A check as it was kept: what was asked (JSON), and id and version of each point that was advised."""

    check_id: str
    institution_id: str
    stage: str
    asked: bytes
    advised: frozenset[tuple[str, str]]


class Keeping(Protocol):
    """What a check asks of whoever keeps it."""

    def advised(self, keys: Collection[str], since_us: int) -> set[str]:
        """Return those of these keys that were shown since then."""

    def keep(self, check: Check) -> None:
        """Keep a check."""


class Keeper:
    """Keeps checks and answers.

    Args:
        path: the file; it is made where there is none.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()

    @cached_property
    def _connection(self) -> sqlite3.Connection:
        """Open the file when it is first used, with the lock held."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        make_private_file(self._path)
        opened = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None, timeout=5)
        opened.execute("PRAGMA journal_mode=WAL")
        opened.executescript(SCHEMA)
        return opened

    def advised(self, keys: Collection[str], since_us: int) -> set[str]:
        """Return those of these keys that were shown since then."""
        if not keys:
            return set()
        places = ",".join("?" * len(keys))
        with self._lock:
            rows = self._connection.execute(
                f"SELECT key FROM advised WHERE key IN ({places}) AND at_us >= ?",  # noqa: S608 - places only
                (*keys, since_us),
            ).fetchall()
        return {key for (key,) in rows}

    def keep(self, check: Check) -> None:
        """Keep a check; a power cut may lose the last ones, which nobody has answered."""
        self.keep_all([check])

    def keep_all(self, checks: Sequence[Check]) -> None:
        """Keep several checks in one transaction (see `keep`)."""
        if not checks:
            return
        rows = [
            (
                one.check_id, one.at_us, one.institution_id, one.account_id, one.stage, one.code,
                one.asked,
            )
            for one in checks
        ]  # fmt: skip
        told = [
            (one["id"], check.check_id, one["point"], one["version"], int(shown), orjson.dumps(one))
            for check in checks
            for one, shown in check.advices
        ]
        keys = [(key, check.at_us) for check in checks for key in check.keys]
        with self._lock:
            self._begin("NORMAL")
            with self._connection:
                self._connection.executemany("INSERT INTO checks VALUES (?,?,?,?,?,?,?)", rows)
                self._connection.executemany("INSERT INTO advices VALUES (?,?,?,?,?,?)", told)
                self._connection.executemany("INSERT OR REPLACE INTO advised VALUES (?,?)", keys)

    def institution_of(self, check_id: str) -> str | None:
        """Return of which institution a check is; None where there is no such check."""
        with self._lock:
            row = self._connection.execute(
                "SELECT institution_id FROM checks WHERE check_id = ?", (check_id,)
            ).fetchone()
        return str(row[0]) if row else None

    def check_of(self, advice_id: str) -> str | None:
        """Return the check of an advice; None where there is no such advice."""
        with self._lock:
            row = self._connection.execute(
                "SELECT check_id FROM advices WHERE advice_id = ?", (advice_id,)
            ).fetchone()
        return str(row[0]) if row else None

    def institutions_of(self, advice_ids: Collection[str]) -> Mapping[str, str]:
        """Return of which institution these advices are; those that are not known are left out."""
        wanted = orjson.dumps(list(advice_ids)).decode()
        with self._lock:
            rows = self._connection.execute(
                "SELECT advice_id, institution_id FROM advices JOIN checks USING (check_id)"
                " WHERE advice_id IN (SELECT value FROM json_each(?))",
                (wanted,),
            ).fetchall()
        return dict(rows)

    def answer(self, answers: Sequence[Answer], account_id: str, at_us: int) -> None:
        """Keep what was done about advices; returns once it is on the disk.

        What only repeats the last answer to an advice is not kept again.
        """
        with self._lock:
            self._begin("FULL")
            with self._connection:
                for one in answers:
                    last_us, *last = self._last(one.advice_id)
                    if last != [one.action, one.reason]:
                        row = (one.advice_id, max(at_us, last_us + 1), account_id, one.action, one.reason)
                        self._connection.execute("INSERT INTO answers VALUES (?,?,?,?,?)", row)

    def _last(self, advice_id: str) -> tuple[int, str, str]:
        found: tuple[int, str, str] | None = self._connection.execute(
            "SELECT at_us, action, reason FROM answers WHERE advice_id = ? ORDER BY at_us DESC LIMIT 1",
            (advice_id,),
        ).fetchone()
        return found or (-1, "", "")

    def answers(self, advice_id: str) -> list[tuple[str, str]]:
        """Return action and reason of every answer to an advice, oldest first."""
        with self._lock:
            rows: list[tuple[str, str]] = self._connection.execute(
                "SELECT action, reason FROM answers WHERE advice_id = ? ORDER BY at_us", (advice_id,)
            ).fetchall()
        return rows

    def of_person(self, person_id: str, limit: int) -> list[dict[str, Any]]:
        """Read what was asked and advised about a person (id in its one spelling), the latest first.

        Returns:
            Each with `at` (microseconds), `institution_id`, `asked`, and its `advices` as they were told.
        """
        with self._lock:
            rows = self._connection.execute(
                "SELECT check_id, at_us, institution_id, asked FROM checks"
                " WHERE upper(json_extract(CAST(asked AS TEXT), '$.patient.person_id')) = ?"
                " ORDER BY at_us DESC LIMIT ?",
                (person_id, limit),
            ).fetchall()
            told = {
                row[0]: self._connection.execute(
                    "SELECT told FROM advices WHERE check_id = ? ORDER BY rowid", (row[0],)
                ).fetchall()
                for row in rows
            }
        return [
            {
                "at": at_us, "institution_id": institution_id, "asked": orjson.loads(asked),
                "advices": [orjson.loads(one) for (one,) in told[check_id]],
            }
            for check_id, at_us, institution_id, asked in rows
        ]  # fmt: skip

    def advised_between(self, first_us: int, end_us: int) -> list[tuple[int, Advised]]:
        """Return the advices that were shown from one time to another, each with its time and last answer."""
        with self._lock:
            rows = self._connection.execute(_ADVISED, (first_us, end_us)).fetchall()
        return [(at_us, _advised(at_us, *told)) for at_us, *told in rows]

    def kept_between(self, first_us: int, end_us: int, most: int) -> list[Kept]:
        """Return the checks that were made from one time to another; of more than `most`, evenly some."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT check_id, institution_id, stage, asked FROM checks"
                " WHERE at_us >= ? AND at_us < ? AND code = 'ok' ORDER BY at_us",
                (first_us, end_us),
            ).fetchall()
            rows = rows[:: -(-len(rows) // most) or 1]
            advised = [
                self._connection.execute(
                    "SELECT point, version FROM advices WHERE check_id = ?", (row[0],)
                ).fetchall()
                for row in rows
            ]
        return [
            Kept(name, institution, stage, asked, frozenset(points))
            for (name, institution, stage, asked), points in zip(rows, advised, strict=True)
        ]

    def asked_between(self, first_us: int, end_us: int) -> Mapping[str, int]:
        """Count the checks of each institution from one time to another."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT institution_id, count(*) FROM checks WHERE at_us >= ? AND at_us < ? GROUP BY 1",
                (first_us, end_us),
            ).fetchall()
        return dict(rows)

    def forget(self, before_us: int) -> int:
        """Delete what was asked, advised and answered before a time; return how many checks that were."""
        with self._lock:
            self._begin("FULL")
            with self._connection:
                self._connection.execute(
                    "DELETE FROM answers WHERE advice_id IN (SELECT advice_id FROM advices"
                    " JOIN checks USING (check_id) WHERE checks.at_us < ?)",
                    (before_us,),
                )
                self._connection.execute(
                    "DELETE FROM advices WHERE check_id IN (SELECT check_id FROM checks WHERE at_us < ?)",
                    (before_us,),
                )
                self._connection.execute("DELETE FROM advised WHERE at_us < ?", (before_us,))
                gone = self._connection.execute("DELETE FROM checks WHERE at_us < ?", (before_us,))
                return int(gone.rowcount)

    def _begin(self, synchronous: str) -> None:
        self._connection.execute(f"PRAGMA synchronous={synchronous}")
        self._connection.execute("BEGIN IMMEDIATE")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()


def _advised(at_us: int, *told: Any) -> Advised:
    institution, department, point, version, kind, action, reason, answered_us = told
    seconds = None if answered_us is None else (answered_us - at_us) / 1e6
    return Advised(institution, department, point, version, kind, action or "", reason or "", seconds)


class Grouped:
    """Holds checks until they are kept together.

    Args:
        keeper: that will keep them.
        keys: of advices that are about to be shown, by these checks or by others made at the same time.
    """

    def __init__(self, keeper: Keeper, keys: set[str]) -> None:
        self._keeper, self._keys = keeper, keys
        self.checks: list[Check] = []

    def advised(self, keys: Collection[str], since_us: int) -> set[str]:
        """Return those of these keys that were shown since then, or are about to be."""
        return self._keeper.advised(keys, since_us) | self._keys.intersection(keys)

    def keep(self, check: Check) -> None:
        """Hold a check."""
        self.checks.append(check)
        self._keys.update(check.keys)
