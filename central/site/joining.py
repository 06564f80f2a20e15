"""Codes for joining, and what happens when a device comes with one."""

import hmac
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from cryptography import x509
from joserfc.jwk import OKPKey

from renzheng.central.errors import RegistrationError
from renzheng.central.site.authority import Authority
from renzheng.central.store import devices, identity, refusals, schema
from renzheng.central.store.database import Database
from renzheng.central.store.devices import Device
from renzheng.central.store.times import to_us
from renzheng.contracts import keys, provisioning
from renzheng.contracts.events import Purpose
from renzheng.contracts.provisioning import JoinAnswer, JoinCode, ProvisioningError

logger = logging.getLogger(__name__)
CODES = schema.join_codes
REPLACED = "device_replaced"
"""The alarm of a device that joined again while its old log told of more than central holds."""


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where devices find the broker."""

    host: str
    port: int
    protocol: Literal["5", "3.1.1"] = "5"


def provision(
    connection: sa.Connection, device: Device, now: datetime, *, replaces: bool = False
) -> JoinCode:
    """Register a device and make the one code with which it may join; an older code of it dies.

    The store keeps the stretched key only, never the code.

    Args:
        connection: a transaction of the store.
        device: the device.
        now: from when on the code is good.
        replaces: a device of this name has joined before; its key ends when the code is used, and its log
            goes on behind what central holds.

    Raises:
        RegistrationError: the device cannot be registered, or has joined before and `replaces` was not said.
    """
    devices.register(connection, device, None, now)
    known = schema.device_keys.c.device_id == device.device_id
    if not replaces and connection.execute(sa.select(schema.device_keys.c.key_id).where(known)).first():
        raise RegistrationError(
            f"The device {device.device_id!r} has joined before.",
            why="Whoever uses a new code takes its place: the machine that has the name now is put out.",
            do="For the same place after a lost disk or a damaged log: --replaces; else choose another id.",
        )
    connection.execute(sa.delete(CODES).where(CODES.c.device_id == device.device_id))
    code = provisioning.new_code()
    while connection.execute(sa.select(CODES.c.lookup).where(CODES.c.lookup == code.lookup)).first():
        code = provisioning.new_code()
    connection.execute(
        sa.insert(CODES).values(
            lookup=code.lookup,
            device_id=device.device_id,
            stretched_key=code.key(),
            expires_at=to_us(now) + provisioning.CODE_SECONDS * 1_000_000,
            wrong_answers=0,
        )
    )
    return code


class Joining:
    """Answers devices that come with a code.

    Args:
        database: the store.
        authority: issues their certificates.
        central_key: central's public signing key (PEM).
        broker: where they find the broker.
        clock: tells whether a code is still good.
    """

    def __init__(
        self,
        database: Database,
        authority: Authority,
        central_key: str,
        broker: BrokerAddress,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._authority = authority
        self._central_key = central_key
        self._broker = broker
        self._clock = clock

    def answer(self, envelope: bytes) -> bytes:
        """Let a device in, and return the sealed answer.

        Raises:
            ProvisioningError: no such code, used, too old, or the request is not signed with it.
            SiteError: the certificate request cannot be certified.
            RegistrationError: the signing key is another device's, or was revoked.
        """
        lookup = provisioning.read_lookup(envelope)
        now = self._clock()
        key = self._key_of(lookup, now)
        try:
            request = provisioning.open_request(envelope, key)
        except ProvisioningError:
            self._count_wrong(lookup)
            raise
        with self._database.writing() as connection:
            row = connection.execute(
                sa.select(CODES.c.device_id, CODES.c.stretched_key)
                .where(CODES.c.lookup == lookup)
                .with_for_update()
            ).first()
            if row is None or not hmac.compare_digest(bytes(row.stretched_key), key):
                raise _dead()
            of_device = schema.devices.c.device_id == row.device_id
            found = connection.execute(sa.select(schema.devices).where(of_device).with_for_update()).one()
            if found.revoked_at is not None:
                raise _dead()
            if request.device_id not in (None, found.device_id):
                raise ProvisioningError(
                    f"This code is for {found.device_id}, not for {request.device_id}.",
                    do=f"Make one for it: renzheng device provision --device {request.device_id} --replaces",
                )
            signing_key = _read_key(request.signing_key)
            devices.replace_key(connection, found.device_id, signing_key, now)
            asked = request.certificate_request.encode()
            certificate = self._certify(connection, asked, found.device_id, now)
            connection.execute(sa.delete(CODES).where(CODES.c.lookup == lookup))
            _tell_of_stranded(connection, found, now)
            store_id = identity.read(connection).store_id if request.device_id else None
        logger.info("device %s joined with key %s", found.device_id, keys.key_id(signing_key))
        answer = JoinAnswer(
            nonce=request.nonce,
            device_id=found.device_id,
            institution_id=found.institution_id,
            shard=found.shard,
            purpose=Purpose(found.purpose),
            certificate=certificate.decode(),
            ca_certificate=self._authority.certificate.decode(),
            central_key=self._central_key,
            broker_host=self._broker.host,
            broker_port=self._broker.port,
            broker_protocol=self._broker.protocol,
            log_sequence=found.head_sequence or None,
            log_hash=found.head_hash if found.head_sequence else None,
            store_id=store_id,
        )
        return provisioning.seal_answer(answer, key, lookup)

    def renew(self, certificate_request: bytes, device_id: str) -> bytes:
        """Certify a further key of a device that has joined and has shown who it is (PEM).

        Raises:
            SiteError: the request cannot be certified.
        """
        with self._database.writing() as connection:
            certificate = self._certify(connection, certificate_request, device_id, self._clock())
        logger.info("device %s got its next certificate", device_id)
        return certificate

    def _certify(self, connection: sa.Connection, asked: bytes, device_id: str, now: datetime) -> bytes:
        """Certify a key and keep the serial, by which a revocation finds it."""
        certificate = self._authority.certify(asked, device_id, now)
        serial = x509.load_pem_x509_certificate(certificate).serial_number
        issued = sa.insert(schema.device_certificates)
        connection.execute(issued.values(serial=f"{serial:x}", device_id=device_id, issued_at=to_us(now)))
        return certificate

    def _key_of(self, lookup: str, now: datetime) -> bytes:
        with self._database.reading() as connection:
            row = connection.execute(sa.select(CODES).where(CODES.c.lookup == lookup)).first()
        if row is None or row.expires_at <= to_us(now) or row.wrong_answers >= provisioning.MAX_WRONG_ANSWERS:
            raise _dead()
        return bytes(row.stretched_key)

    def _count_wrong(self, lookup: str) -> None:
        with self._database.writing() as connection:
            counted = sa.update(CODES).where(CODES.c.lookup == lookup)
            connection.execute(counted.values(wrong_answers=CODES.c.wrong_answers + 1))


def _tell_of_stranded(connection: sa.Connection, device: sa.Row[Any], now: datetime) -> None:
    """Raise an alarm where the device last told of more entries than central holds: its log ends there."""
    told = schema.device_status
    query = sa.select(told.c.sequence).where(told.c.device_id == device.device_id)
    last = connection.execute(query).scalar() or 0
    if last > device.head_sequence:
        detail = (
            f"Joined again after entry {device.head_sequence}; its last status told of {last} entries. What "
            "the device still had follows, marked as carried over; nobody has the rest."
        )
        refusals.raise_alarm(connection, device.device_id, REPLACED, detail, to_us(now), sequence=last)


def _read_key(pem: str) -> OKPKey:
    try:
        return keys.load_public_key(pem)
    except ValueError:
        raise ProvisioningError("The signing key is no Ed25519 key.", do="Update the device.") from None


def _dead() -> ProvisioningError:
    return ProvisioningError(
        "That code lets nobody in.",
        why="It was never made, has been used, is older than 15 minutes, was tried wrongly too often, or its"
        " device was revoked.",
        do="Make a new one at central: renzheng device provision",
    )
