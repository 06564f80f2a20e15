"""Asks central's door what is to be done about persons' data, does it, and certifies it.

An order counts only if central's key signed it for this very device. What was answered is kept with its
answer: the same order again gets the same certificate and does nothing. A device without a door, or one that
is away, stays outstanding at central, by name.

The halves of persons' keys go the same way: central keeps them apart from every backup, so that a withdrawal
destroys them there too, and no backup of a device opens a face that is withdrawn.
"""

import base64
import hashlib
import logging
import random
from collections.abc import Callable, Mapping
from datetime import datetime

from joserfc.jwk import OKPKey
from pydantic import ValidationError

from renzheng.common.backoff import back_off
from renzheng.common.supervised import Worker
from renzheng.contracts.errors import RenzhengError
from renzheng.contracts.once import read_once
from renzheng.contracts.privacy import (
    PRIVACY_PATH,
    RESTORE_PATH,
    SHARES_PATH,
    Answer,
    Certificate,
    Order,
    PrivacyError,
    Release,
    RestoreAnswer,
    RestoreAsked,
    Shares,
    hash_of,
    open_holds,
    open_order,
    read_waiting,
    sign,
)
from renzheng.edge.device.bulk import Bulk, open_bulk
from renzheng.edge.device.clock import Clock
from renzheng.edge.device.forgetting import Forgetting
from renzheng.edge.device.keyring import Keyring
from renzheng.edge.device.link.uplink import read_central_key
from renzheng.edge.device.people_backup import Ask
from renzheng.edge.device.releases import Releases
from renzheng.edge.device.store.holds import CropHolds
from renzheng.edge.device.store.people import People
from renzheng.edge.errors import SettingsError
from renzheng.edge.settings import Settings

LOGGER = logging.getLogger(__name__)
_FIRST_RETRY_SECONDS = 5.0
_ALL_AGAIN_TURNS = 60
"""Every so many turns all halves are handed over once more: central may have lost its own."""


class Privacy:
    """What a device does about persons' data at central's word.

    Args:
        bulk: the door.
        device_id: who this is.
        key: signs certificates; the key that signs the log.
        central_key: whose orders count now; None while central's key is not known, and then none does.
        forgetting: carries withdrawals out.
        releases: hands crops over.
        people: whose halves of keys are handed over.
        wall: the device's clock.
        every_seconds: between two looks.
    """

    def __init__(
        self,
        bulk: Bulk,
        device_id: str,
        *,
        key: Callable[[], OKPKey],
        central_key: Callable[[], OKPKey | None],
        forgetting: Forgetting,
        releases: Releases,
        people: People,
        wall: Callable[[], datetime],
        every_seconds: float,
    ) -> None:
        self._bulk = bulk
        self._device_id = device_id
        self._key = key
        self._central_key = central_key
        self._forgetting = forgetting
        self._releases = releases
        self._people = people
        self._store = people.store
        self._holds = CropHolds(people.store)
        self._wall = wall
        self._every_seconds = every_seconds
        self._handed: bytes | None = None
        self._turns = 0
        self.failures = 0
        self.worker = Worker("privacy", self._turn)

    def look(self) -> int:
        """Fetch what waits, do it, and certify it; how many orders were answered.

        Raises:
            BulkUnreachableError: central does not answer; what was done is certified the next time.
            BulkRefusedError: it answers something else.
            PrivacyError: its answer cannot be read.
        """
        central = self._central_key()
        if central is None:
            return 0
        waiting = read_waiting(self._bulk.get(PRIVACY_PATH).body)
        if waiting.holds is not None:
            holds = open_holds(waiting.holds, central)
            if holds.device_id == self._device_id:
                self._holds.put(holds.event_ids)
        answered = 0
        for envelope in waiting.orders:
            try:
                order = open_order(envelope, central)
            except PrivacyError as error:
                LOGGER.warning("an order about a person's data was not carried out: %s", error)
                continue
            if order.device_id == self._device_id:
                answer = self.answer(order)
                self._bulk.post(PRIVACY_PATH, answer)
                self._handed_in(order, answer)
                answered += 1
        self._hand_over_shares()
        return answered

    def answer(self, order: Order) -> bytes:
        """Carry an order out, once, and return the answer to it."""
        kept = self._store.row("SELECT answer FROM privacy_answers WHERE order_id = ?", order.order_id)
        if kept is not None:
            return bytes(kept["answer"])
        if isinstance(order.act, Release):
            return self._keep(order, *self._releases.carry_out(order, order.act))
        done = self._forgetting.carry_out(order.act)
        now = self._wall()
        certificate = Certificate(
            order_id=order.order_id,
            device_id=self._device_id,
            order_sha256=hash_of(order),
            at=now,
            outcome="destroyed" if done.anything else "nothing_held",
            references=done.references,
            crops=done.crops,
            held=done.held,
            key=done.key,
            wal_emptied=done.wal_emptied or self._store.forget_deleted(),
        )
        return self._keep(order, certificate, None)

    def _keep(self, order: Order, certificate: Certificate, sealed: bytes | None) -> bytes:
        """Keep the answer: until central has it whole, later without the crop."""
        signed = sign(certificate, self._key())
        crop = None if sealed is None else base64.b64encode(sealed).decode()
        answer = Answer(certificate=signed, sealed=crop).model_dump_json(exclude_none=True).encode()
        values = (order.order_id, certificate.at.isoformat(), answer)
        with self._store.writing() as database:
            database.execute("INSERT INTO privacy_answers VALUES (?, ?, ?)", values)
        LOGGER.info("order %s: %s", order.order_id, certificate.outcome)
        return answer

    def _handed_in(self, order: Order, answer: bytes) -> None:
        """Let go of a sealed crop that central has now."""
        whole = Answer.model_validate_json(answer)
        if whole.sealed is not None:
            short = Answer(certificate=whole.certificate).model_dump_json(exclude_none=True).encode()
            with self._store.writing() as database:
                database.execute(
                    "UPDATE privacy_answers SET answer = ? WHERE order_id = ?", (short, order.order_id)
                )
            self._store.forget_deleted()

    def _hand_over_shares(self) -> None:
        shares = self._people.shares()
        digest = _digest(shares)
        self._turns += 1
        if digest == self._handed and self._turns % _ALL_AGAIN_TURNS:
            return
        if shares:
            told = Shares(shares={who: base64.b64encode(half).decode() for who, half in shares.items()})
            self._bulk.post(SHARES_PATH, told.model_dump_json().encode())
        self._handed = digest

    def _turn(self) -> float:
        try:
            self.look()
        except RenzhengError as error:
            self.failures += 1
            LOGGER.warning("central was not asked about persons' data (%d): %s", self.failures, error)
            return back_off(self.failures, _FIRST_RETRY_SECONDS, self._every_seconds)
        self.failures = 0
        return self._every_seconds * random.uniform(0.8, 1.0)  # noqa: S311 - only spreads the devices


def _digest(shares: Mapping[str, bytes]) -> bytes:
    digest = hashlib.sha256()
    for person, half in sorted(shares.items()):
        digest.update(person.encode() + b"\0" + half)
    return digest.digest()


def open_privacy(
    settings: Settings, keyring: Keyring, acts: tuple[Forgetting, Releases], people: People, clock: Clock
) -> Privacy | None:
    """Make what the settings describe; None when they name no door, or one that cannot be asked."""

    def wall() -> datetime:
        return clock.read().wall

    try:
        bulk = open_bulk(settings, key=keyring.current, wall=wall)
    except SettingsError as error:  # a kiosk signs people in all the same
        LOGGER.warning("withdrawals asked elsewhere will not be heard of here: %s", error)
        return None
    if bulk is None:
        return None
    return Privacy(
        bulk,
        settings.device.device_id,
        key=keyring.current,
        central_key=lambda: read_central_key(settings),
        forgetting=acts[0],
        releases=acts[1],
        people=people,
        wall=wall,
        every_seconds=settings.bulk.privacy_seconds,
    )


def ask_what_may_come_back(settings: Settings, keyring: Keyring, now: datetime) -> Ask | None:
    """Make what asks central, before a restore; None when the settings name no door.

    Raises:
        SettingsError: the door's address or CA cannot be used.
    """
    bulk = open_bulk(settings, key=keyring.current, wall=lambda: now)
    if bulk is None:
        return None

    def ask(asked: RestoreAsked) -> RestoreAnswer:
        body = bulk.post(RESTORE_PATH, asked.model_dump_json().encode()).body
        try:
            return read_once(RestoreAnswer, body)
        except ValidationError:
            raise PrivacyError("The door's answer about persons' data cannot be read.") from None

    return ask
