"""One-time codes of an authenticator app (TOTP, RFC 6238) and recovery codes, as a second factor.

A code is good once: of the 30-second steps that are taken, none at or before the last one counts again. Wrong
codes are counted in the store, and from the sixth in a row on a pause is kept that doubles up to fifteen
minutes, so that whoever has the password needs years for the code.
"""

import contextlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

import pyotp
import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from renzheng.central.access.errors import AccountError
from renzheng.central.access.shown_once import hashed, new_code
from renzheng.central.store import schema
from renzheng.central.store.times import from_us, to_us
from renzheng.common.files import write_new

TOTP, RECOVERY = schema.account_totp, schema.account_recovery_codes
ISSUER = "renzheng"
STEP_SECONDS = 30
STEPS_OFF = 1
"""A phone's clock may be one step fast or slow."""
RECOVERY_CODES = 10
RECOVERY_LETTERS = 24
"""119 bits each, so that one round of SHA-256 keeps them (ASVS 5.0, 6.5.2 asks for 112)."""
FREE_FAILURES = 5
FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(minutes=15)
_NONCE_BYTES = 12


class Shown(StrEnum):
    """What became of a code that somebody showed."""

    RIGHT = "right"
    WRONG = "wrong"
    PAUSE = "pause"


class Sealer:
    """Seals what has to be read back, under a key of 32 bytes in a file; made when it is first needed.

    Args:
        path: the file, mode 600.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def _cipher(self) -> AESGCM:
        if not self._path.exists():
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with contextlib.suppress(FileExistsError):  # another process was first
                write_new(self._path, AESGCM.generate_key(256))
        return AESGCM(self._path.read_bytes())

    def seal(self, account_id: str, secret: str) -> bytes:
        """Seal an account's secret."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher().encrypt(nonce, secret.encode(), account_id.encode())

    def open(self, account_id: str, sealed: bytes) -> str:
        """Open what was sealed.

        Raises:
            AccountError: the key is another, or the store was changed.
        """
        try:
            plain = self._cipher().decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], account_id.encode())
        except InvalidTag as error:
            raise AccountError(
                f"The one-time codes of {account_id} cannot be read.",
                why="They were sealed under another key than keys/second_factor.key.",
                do="Remove them: renzheng central account factors NAME --remove; then set them up again.",
            ) from error
        return plain.decode()


def begin(connection: sa.Connection, account_id: str, sealer: Sealer, now: datetime) -> str:
    """Give the secret for an authenticator app, in base32; it counts once a code of it was shown.

    Raises:
        AccountError: one-time codes are set up already.
    """
    same = TOTP.c.account_id == account_id
    row = connection.execute(sa.select(TOTP).where(same)).first()
    if row is not None and row.confirmed_at is not None:
        raise AccountError(f"{account_id} has one-time codes already.", do="Remove them first.")
    if row is not None:
        return sealer.open(account_id, row.sealed)
    secret = pyotp.random_base32()
    values = {"account_id": account_id, "sealed": sealer.seal(account_id, secret), "made_at": to_us(now)}
    connection.execute(sa.insert(TOTP).values(**values, last_step=0, failures=0, failed_at=0))
    return secret


def address_of(account_id: str, secret: str) -> str:
    """Return the `otpauth:` address that authenticator apps read from a QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=account_id, issuer_name=ISSUER)


def show(
    connection: sa.Connection,
    account_id: str,
    code: str,
    sealer: Sealer,
    now: datetime,
    *,
    first: bool = False,
) -> Shown:
    """Take a code; `first` is the one that sets them up.

    Call it in a transaction that is committed whatever comes back: a wrong code is counted in it.
    """
    own = sa.select(TOTP).where(TOTP.c.account_id == account_id).with_for_update()
    row = connection.execute(own).first()
    if row is None or (row.confirmed_at is None) != first:
        return Shown.WRONG
    if row.failures >= FREE_FAILURES and now < from_us(row.failed_at) + _pause(row.failures):
        return Shown.PAUSE
    step = _step_of(sealer.open(account_id, row.sealed), code, now)
    if step is None or step <= row.last_step:
        values = {"failures": row.failures + 1, "failed_at": to_us(now)}
        connection.execute(sa.update(TOTP).where(TOTP.c.account_id == account_id).values(values))
        return Shown.WRONG
    values = {"last_step": step, "failures": 0, "confirmed_at": row.confirmed_at or to_us(now)}
    connection.execute(sa.update(TOTP).where(TOTP.c.account_id == account_id).values(values))
    return Shown.RIGHT


def _pause(failures: int) -> timedelta:
    doubled: int = 2 ** min(failures - FREE_FAILURES, 10)
    return min(FIRST_PAUSE * doubled, LONGEST_PAUSE)


def _step_of(secret: str, code: str, now: datetime) -> int | None:
    """Return the step that a code is of; every step that is taken is compared, whatever fits."""
    totp = pyotp.TOTP(secret)
    shown = "".join(code.split()).encode()
    present = int(now.timestamp()) // STEP_SECONDS
    found = None
    for step in range(present - STEPS_OFF, present + STEPS_OFF + 1):
        if hmac.compare_digest(totp.generate_otp(step).encode(), shown):
            found = step
    return found


def give_recovery_codes(connection: sa.Connection, account_id: str, now: datetime) -> Sequence[str]:
    """Make recovery codes, each good once; those of before are void."""
    connection.execute(sa.delete(RECOVERY).where(RECOVERY.c.account_id == account_id))
    codes = [new_code(RECOVERY_LETTERS) for _ in range(RECOVERY_CODES)]
    rows = [{"code_hash": hashed(code), "account_id": account_id, "made_at": to_us(now)} for code in codes]
    connection.execute(sa.insert(RECOVERY), rows)
    return codes


def use_recovery_code(connection: sa.Connection, account_id: str, code: str) -> bool:
    """Take a recovery code, which is used up."""
    same = (RECOVERY.c.code_hash == hashed(code.strip().lower())) & (RECOVERY.c.account_id == account_id)
    return connection.execute(sa.delete(RECOVERY).where(same)).rowcount > 0


def remove(connection: sa.Connection, account_id: str) -> None:
    """Take an account's one-time codes and recovery codes away."""
    for table in (TOTP, RECOVERY):
        connection.execute(sa.delete(table).where(table.c.account_id == account_id))
