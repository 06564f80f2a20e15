"""Which passkeys an inspector's unit knows, and the codes with which new ones are set up.

They are entered on the unit itself, as PINs are, and are in no backup of its people: a passkey that was taken
away must not come back with an older file.
"""

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from renzheng.edge.bedside.errors import PasskeyRefusedError
from renzheng.edge.device.store.database import Store

CODE_MS = 30 * 60_000
"""How long a code holds, in time that the machine runs."""
MOST = 8
"""Passkeys of one inspector on one unit: one a tablet."""
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CODE_LETTERS = 16


@dataclass(frozen=True, slots=True)
class Passkey:
    """A passkey as it is kept.

    Args:
        credential_id: by which its tablet knows it (base64url).
        inspector_id: whose.
        rp_id: the host name of the page for which it was made.
        public_key: as COSE.
        sign_count: how often it was used, as its tablet counts; 0 where it does not.
        lists_secret: opens the lists that the page keeps, handed out with a sign-in.
    """

    credential_id: str
    inspector_id: str
    rp_id: str
    public_key: bytes
    sign_count: int
    lists_secret: str


class PasskeyStore:
    """Passkeys, over the unit's store.

    Args:
        store: the unit's database, with the tables of `BedsideStore`.
        running_ms: how long the machine has run (`RunningTime`); no clock that is set prolongs a code.
    """

    def __init__(self, store: Store, running_ms: Callable[[], int]) -> None:
        self._store = store
        self._running_ms = running_ms

    def give_code(self, inspector_id: str) -> str:
        """Make a code with which this number sets up one passkey; one before it ends."""
        code = "".join(secrets.choice(_ALPHABET) for _ in range(_CODE_LETTERS))
        with self._store.writing() as database:
            database.execute(
                "INSERT OR REPLACE INTO bedside_passkey_codes VALUES (?, ?, ?)",
                (inspector_id, _hashed(inspector_id, code), self._running_ms() + CODE_MS),
            )
        return "-".join(code[n : n + 4] for n in range(0, _CODE_LETTERS, 4))

    def has_code(self, inspector_id: str, code: str) -> bool:
        """Whether a code holds for a number; capitals, hyphens and letters that look alike do not matter."""
        row = self._store.row("SELECT * FROM bedside_passkey_codes WHERE inspector_id = ?", inspector_id)
        wanted = _hashed(inspector_id, _plain(code))
        known = row is not None and secrets.compare_digest(row["code_hash"], wanted)
        return known and row is not None and self._running_ms() < row["until_ms"]

    def add(self, passkey: Passkey, code: str, at: datetime) -> None:
        """Keep a new passkey; its code is used up with it, and the oldest of too many goes.

        Raises:
            PasskeyRefusedError: the code was used meanwhile, or the passkey is known already.
        """
        with self._store.writing() as database:
            if not self.has_code(passkey.inspector_id, code) or self.find(passkey.credential_id):
                raise refused()
            own = (passkey.inspector_id,)
            database.execute("DELETE FROM bedside_passkey_codes WHERE inspector_id = ?", own)
            values = (
                passkey.credential_id, passkey.inspector_id, passkey.rp_id, passkey.public_key,
                passkey.sign_count, passkey.lists_secret, at.isoformat(),
            )  # fmt: skip
            database.execute("INSERT INTO bedside_passkeys VALUES (?, ?, ?, ?, ?, ?, ?)", values)
            database.execute(
                "DELETE FROM bedside_passkeys WHERE inspector_id = ? AND credential_id NOT IN (SELECT"
                " credential_id FROM bedside_passkeys WHERE inspector_id = ? ORDER BY rowid DESC LIMIT ?)",
                (*own, *own, MOST),
            )

    def find(self, credential_id: str) -> Passkey | None:
        """Find a passkey; None where there is none, or no longer."""
        row = self._store.row("SELECT * FROM bedside_passkeys WHERE credential_id = ?", credential_id)
        if row is None:
            return None
        return Passkey(**{name: row[name] for name in Passkey.__slots__})

    def count(self, inspector_id: str) -> int:
        """How many passkeys a number has here."""
        query = "SELECT COUNT(*) AS n FROM bedside_passkeys WHERE inspector_id = ?"
        return int((self._store.row(query, inspector_id) or {"n": 0})["n"])

    def used(self, credential_id: str, sign_count: int) -> bool:
        """Count a use; False where the count went back, as that of a copy does."""
        with self._store.writing() as database:
            known = self.find(credential_id)
            if known is None or not (known.sign_count < sign_count or sign_count == known.sign_count == 0):
                return False
            database.execute(
                "UPDATE bedside_passkeys SET sign_count = ? WHERE credential_id = ?",
                (sign_count, credential_id),
            )
        return True

    def remove(self, inspector_id: str) -> int:
        """Take a number's passkeys and its code away; whoever is signed in by one is so no more."""
        count = self.count(inspector_id)
        with self._store.writing() as database:
            for table in ("bedside_passkeys", "bedside_passkey_codes"):
                database.execute(f"DELETE FROM {table} WHERE inspector_id = ?", (inspector_id,))  # noqa: S608
        return count


def refused() -> PasskeyRefusedError:
    """Return the one refusal that there is, so that nobody learns which part was wrong."""
    return PasskeyRefusedError(
        "The passkey or its code does not hold here.",
        why="Whoever answers checks must be known.",
        do="Try again; a new code is given by whoever looks after this unit (renzheng edge inspector).",
    )


def _plain(code: str) -> str:
    kept = code.upper().replace("-", "").replace(" ", "")
    return kept.translate(str.maketrans("OILU", "011V"))


def _hashed(inspector_id: str, code: str) -> str:
    return hashlib.sha256(f"renzheng bedside passkey code v1\n{inspector_id}\n{code}".encode()).hexdigest()
