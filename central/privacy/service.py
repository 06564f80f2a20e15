"""What devices ask about persons' data at the door, and the thread that reads on in the log."""

import base64
import binascii
import hashlib
import logging
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from joserfc.jwk import OKPKey
from pydantic import BaseModel, ValidationError
from sqlalchemy.exc import SQLAlchemyError

from renzheng.central.checks.keeping import Keeper
from renzheng.central.privacy import crops, holds, learning, orders, retention, withdrawals
from renzheng.central.privacy.crops import CropStore
from renzheng.central.privacy.journal import WithdrawalJournal
from renzheng.central.privacy.shares import PersonShares
from renzheng.central.settings import Settings
from renzheng.central.store import schema
from renzheng.central.store.database import Database
from renzheng.central.store.times import from_us
from renzheng.common.supervised import Worker
from renzheng.contracts.errors import RenzhengError
from renzheng.contracts.once import read_once
from renzheng.contracts.privacy import (
    SHARE_BYTES,
    Answer,
    Certificate,
    PrivacyError,
    Release,
    RestoreAnswer,
    RestoreAsked,
    Shares,
    Waiting,
)

logger = logging.getLogger(__name__)
EVERY_SECONDS = 15.0
MOST_READS = 40
"""Reads of each log in one turn: 200,000 entries, when a log is read for the first time."""
_M = TypeVar("_M", bound=BaseModel)


class PrivacyService:
    """Persons' data between central and its devices.

    Args:
        database: the store.
        settings: where the halves of persons' keys lie.
        key: central's signing key.
        clock: when it is.
    """

    def __init__(
        self, database: Database, settings: Settings, key: OKPKey, clock: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._settings = settings
        self._zone = ZoneInfo(settings.timezone)
        self._key = key
        self._clock = clock
        self.shares = PersonShares(settings.shares_dir)
        self._journal = WithdrawalJournal(settings.shares_dir)
        self.crops = CropStore(settings)
        self.worker = Worker(
            "privacy",
            self.settle,
            every_seconds=EVERY_SECONDS,
            expected=(RenzhengError, OSError, SQLAlchemyError),
        )

    def waiting(self, device_id: str) -> Waiting:
        """Return what waits for a device."""
        with self._database.reading() as connection:
            return Waiting(
                orders=orders.waiting(connection, device_id, self._key),
                holds=holds.told(connection, device_id, self._key, self._clock()),
            )

    def take_answer(self, device_id: str, body: bytes) -> None:
        """Take a device's answer to an order.

        Raises:
            PrivacyError: it cannot be read, or does not hold.
        """
        answer = _read(Answer, body)
        with self._database.writing() as connection:
            order, certificate = orders.take_certificate(
                connection, device_id, answer.certificate, self._clock()
            )
            if isinstance(order.act, Release):
                self._take_crop(connection, order.act, certificate, answer.sealed)
        logger.info("device %s answered order %s: %s", device_id, order.order_id, certificate.outcome)

    def _take_crop(
        self, connection: sa.Connection, act: Release, certificate: Certificate, sealed: str | None
    ) -> None:
        """Keep a released crop; one that was taken before, or is not the certified one, changes nothing."""
        row = crops.find(connection, act.request_id)
        if row is None or row["answered_at"] is not None:
            return
        if certificate.outcome == "released":
            content = base64.b64decode(sealed or "")
            if hashlib.sha256(content).hexdigest() != certificate.sealed_sha256:
                raise PrivacyError("The crop is not the one that the certificate names.")
            self.crops.put(act.request_id, content)
        crops.take(connection, act.request_id, certificate.outcome, self._clock())

    def take_shares(self, device_id: str, body: bytes) -> None:
        """Keep halves of keys, but for people about whom an order waits for this device.

        Raises:
            PrivacyError: they cannot be read.
        """
        told = _read(Shares, body).shares
        try:
            halves = {who: base64.b64decode(half, validate=True) for who, half in told.items()}
        except binascii.Error:
            halves = {"": b""}
        if any(len(half) != SHARE_BYTES for half in halves.values()):
            raise PrivacyError("A half of a person's key has 32 bytes.")
        with self._database.reading() as connection:
            barred = orders.unanswered_people(connection, device_id, halves)
            known = withdrawals.ever(connection, halves)
        if known - barred:
            with self._database.writing() as connection:
                barred |= withdrawals.order_again(connection, device_id, sorted(known), self._clock())
        for who in barred:
            self.shares.destroy(who, {device_id})
        self.shares.put(device_id, {who: half for who, half in halves.items() if who not in barred})

    def answer_restore(self, institution_id: str, body: bytes) -> RestoreAnswer:
        """Say whose references may come back from a backup of a device of the same institution.

        Raises:
            PrivacyError: the question cannot be read, or the device is another institution's.
        """
        asked = _read(RestoreAsked, body)
        devices = schema.devices
        query = sa.select(devices.c.institution_id).where(devices.c.device_id == asked.device_id)
        with self._database.reading() as connection:
            if connection.execute(query).scalar() != institution_id:
                raise PrivacyError("The backup is of no device of this institution.")
            withdrawn = withdrawals.latest_of(connection, asked.people)
            barred = orders.unanswered_people(connection, asked.device_id, asked.people)
        shares = self.shares.find(asked.device_id, [one for one in asked.people if one not in barred])
        return RestoreAnswer(
            shares={who: base64.b64encode(half).decode() for who, half in shares.items()},
            withdrawn={who: from_us(at) for who, at in withdrawn.items()},
        )

    def settle(self) -> None:
        """Read on in the log, and destroy the halves of keys of whoever has withdrawn."""
        for _ in range(MOST_READS):
            if not learning.learn(self._database, self._clock()):
                break
        self._destroy_shares()
        self._delete_expired()
        self._learn_what_was_lost()
        self._delete_due()

    def _learn_what_was_lost(self) -> None:
        """Begin again what a store that was set back has lost, and keep what is outstanding now beside it."""
        kept = self._journal.read()
        with self._database.reading() as connection:
            lost = [one for one in kept if withdrawals.find(connection, one.withdrawal_id) is None]
        for one in lost:
            with self._database.writing() as connection:
                withdrawals.begin(connection, one, self._clock())
        with self._database.reading() as connection:
            self._journal.write(withdrawals.outstanding(connection))

    def _delete_expired(self) -> None:
        """Delete the crops that nobody has looked at in time."""
        now = self._clock()
        with self._database.reading() as connection:
            late = crops.expired(connection, self._settings, now)
        if late:
            with self._database.writing() as connection:
                crops.note_deleted(connection, late, now)
        for request_id in late:
            self.crops.delete(request_id)

    def _delete_due(self) -> None:
        """Delete once a local day what is kept no longer; a store that was restored does so at once."""
        now = self._clock()
        with self._database.reading() as connection:
            last = retention.last_deletion(connection)
        if last is None or last.astimezone(self._zone).date() < now.astimezone(self._zone).date():
            with self._database.writing() as connection:
                said = retention.delete_due(
                    connection, self._settings, self._key, now, {"checks": self._forget_checks}
                )
            logger.info("nightly deletion: %s", {one["item"]: one["deleted"] for one in said["items"]})

    def _forget_checks(self, before_us: int) -> int:
        path = self._settings.checks_dir / "checks.sqlite"
        if not path.exists():
            return 0
        kept = Keeper(path)
        try:
            return kept.forget(before_us)
        finally:
            kept.close()

    def _destroy_shares(self) -> None:
        table = schema.withdrawals
        query = sa.select(table.c.withdrawal_id, table.c.person_id).where(table.c.shares_destroyed.is_(None))
        with self._database.reading() as connection:
            due = connection.execute(query).all()
        for withdrawal_id, person_id in due:
            with self._database.reading() as connection:
                others = withdrawals.other_ids(connection, withdrawal_id, person_id)
            gone = self.shares.destroy(person_id)
            gone += sum(self.shares.destroy(other, devices) for other, devices in others.items())
            with self._database.writing() as connection:
                own = table.c.withdrawal_id == withdrawal_id
                connection.execute(sa.update(table).where(own).values(shares_destroyed=gone))


def _read(model: type[_M], body: bytes) -> _M:
    try:
        return read_once(model, body)
    except ValidationError:
        raise PrivacyError("What the device sent about persons' data cannot be read.") from None
