"""Institutions, devices and their keys in the store."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

import sqlalchemy as sa
from joserfc.jwk import OKPKey

from renzheng.central.errors import RegistrationError
from renzheng.central.store import schema
from renzheng.central.store.device_state import DeviceKey, DeviceState
from renzheng.central.store.times import to_us
from renzheng.contracts import keys
from renzheng.contracts.events import Purpose
from renzheng.contracts.ids import is_reserved, topic_level
from renzheng.contracts.log import Head, genesis


@dataclass(frozen=True, slots=True)
class Institution:
    """A designated institution."""

    institution_id: str
    name: str
    region_code: str
    timezone: str = "Asia/Shanghai"
    dialysis_machines: int | None = None
    beds: int | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """A device to register; `label` is what people call it."""

    device_id: str
    institution_id: str
    shard: str
    purpose: Purpose
    label: str = ""


@lru_cache(maxsize=4096)
def _public_key(pem: str) -> OKPKey:
    return keys.load_public_key(pem)


def put_institution(connection: sa.Connection, institution: Institution) -> None:
    """Register an institution, or bring its data up to date."""
    table = schema.institutions
    values = {name: getattr(institution, name) for name in Institution.__slots__}
    key = table.c.institution_id == institution.institution_id
    if connection.execute(sa.update(table).where(key).values(values)).rowcount == 0:
        connection.execute(sa.insert(table).values(values))


def register(connection: sa.Connection, device: Device, public_key: OKPKey | None, now: datetime) -> None:
    """Register a device of a known institution with its first key.

    Registering it again with the same key and place changes nothing.

    Raises:
        RegistrationError: the institution is unknown, or the device id or key is taken or reserved.
    """
    topic_level(device.device_id, "device id")
    topic_level(device.shard, "shard")
    institutions, devices = schema.institutions, schema.devices
    at = institutions.c.institution_id == device.institution_id
    if connection.execute(sa.select(institutions.c.institution_id).where(at)).first() is None:
        raise RegistrationError(
            f"There is no institution {device.institution_id!r}.",
            do="Register it first: renzheng central register-institution",
        )
    found = connection.execute(sa.select(devices).where(devices.c.device_id == device.device_id)).first()
    if found is None:
        if is_reserved(device.device_id):
            raise RegistrationError(
                f"The name {device.device_id!r} is the site's own.",
                why="The broker lets its holder read and write as central or the bureau does.",
                do="Choose another id; central, central-*, bureau*, site, server and ca are reserved.",
            )
        head = genesis(device.device_id)
        connection.execute(
            sa.insert(devices).values(
                device_id=device.device_id,
                institution_id=device.institution_id,
                shard=device.shard,
                purpose=device.purpose.value,
                label=device.label or device.device_id,
                registered_at=to_us(now),
                head_sequence=head.sequence,
                head_hash=head.hash,
            )
        )
    elif found.revoked_at is not None:
        raise RegistrationError(
            f"The device {device.device_id!r} was revoked.",
            why="What it signed until then stays evidence under that name.",
            do="Give the machine a new device id.",
        )
    elif (found.institution_id, found.shard) != (device.institution_id, device.shard):
        raise RegistrationError(
            f"The device {device.device_id!r} stands at {found.institution_id!r}, shard {found.shard!r}.",
            why="A device id names one device for its whole life.",
            do="Choose another id, or revoke that device first.",
        )
    if public_key is not None:
        add_key(connection, device.device_id, public_key, now)


def add_key(
    connection: sa.Connection, device_id: str, public_key: OKPKey, now: datetime, *, from_sequence: int = 1
) -> None:
    """Give a device a further public key.

    Raises:
        RegistrationError: another device has that key, or it was revoked.
    """
    table, key_id = schema.device_keys, keys.key_id(public_key)
    found = connection.execute(sa.select(table).where(table.c.key_id == key_id)).first()
    if found is None:
        pem = keys.public_pem(public_key)
        connection.execute(
            sa.insert(table).values(
                key_id=key_id,
                device_id=device_id,
                public_pem=pem,
                valid_from=to_us(now),
                from_sequence=from_sequence,
            )
        )
    elif found.device_id != device_id or found.revoked_at is not None:
        raise RegistrationError(
            f"The key {key_id} cannot become a key of {device_id!r}.",
            why="A key belongs to one device, and once revoked it stays so.",
            do="Make a new key on the device.",
        )


def replace_key(connection: sa.Connection, device_id: str, public_key: OKPKey, now: datetime) -> None:
    """Make this the device's one key from now on; others of it are revoked.

    Raises:
        RegistrationError: another device has that key, or it was revoked.
    """
    table = schema.device_keys
    head = schema.devices.c.head_sequence
    reached = connection.execute(sa.select(head).where(schema.devices.c.device_id == device_id)).scalar_one()
    known = connection.execute(sa.select(table.c.key_id).where(table.c.device_id == device_id)).first()
    add_key(connection, device_id, public_key, now, from_sequence=reached + 1 if known else 1)
    others = (
        (table.c.device_id == device_id)
        & (table.c.key_id != keys.key_id(public_key))
        & table.c.revoked_at.is_(None)
    )
    connection.execute(sa.update(table).where(others).values(revoked_at=to_us(now)))


def change_key(connection: sa.Connection, device: DeviceState, old_key_id: str, now_us: int) -> None:
    """Write the change of key that a rotation entry brought: `device` holds both keys."""
    table, old = schema.device_keys, device.keys[old_key_id]
    ended = sa.update(table).where(table.c.key_id == old_key_id)
    connection.execute(ended.values(until_sequence=old.until_sequence))
    begins = (old.until_sequence or 0) + 1
    (new_id,) = [name for name, key in device.keys.items() if key.from_sequence == begins]
    connection.execute(
        sa.insert(table).values(
            key_id=new_id,
            device_id=device.device_id,
            public_pem=keys.public_pem(device.keys[new_id].public),
            valid_from=now_us,
            from_sequence=begins,
            rotated_from=old_key_id,
        )
    )


def revoke(connection: sa.Connection, device_id: str, now: datetime) -> None:
    """Revoke a device, its keys and its code for joining; the next message of it is refused.

    Raises:
        RegistrationError: there is no such device.
    """
    table, keys_table, codes = schema.devices, schema.device_keys, schema.join_codes
    # first the code, as a device that joins takes it first, too: neither waits for the other
    connection.execute(sa.delete(codes).where(codes.c.device_id == device_id))
    stated = sa.update(table).where(table.c.device_id == device_id)
    if connection.execute(stated.values(revoked_at=to_us(now))).rowcount == 0:
        raise RegistrationError(f"There is no device {device_id!r}.", do="See: renzheng central devices")
    held = (keys_table.c.device_id == device_id) & keys_table.c.revoked_at.is_(None)
    connection.execute(sa.update(keys_table).where(held).values(revoked_at=to_us(now)))


def reassign(connection: sa.Connection, device_id: str, shard: str, now: datetime) -> bool:
    """Let a device belong to another shard from now on; False when it belongs there already.

    Raises:
        RegistrationError: there is no such device, or it was revoked.
    """
    topic_level(shard, "shard")
    table = schema.devices
    found = connection.execute(sa.select(table).where(table.c.device_id == device_id)).first()
    if found is None or found.revoked_at is not None:
        why = "is not registered" if found is None else "was revoked"
        raise RegistrationError(
            f"The device {device_id!r} {why}.", do="See who is there: renzheng central devices"
        )
    if found.shard == shard:
        return False
    at = max(to_us(now), (found.reassigned_at or 0) + 1)  # a later word, whatever the clock says
    change = sa.update(table).where(table.c.device_id == device_id)
    connection.execute(change.values(shard=shard, reassigned_at=at))
    return True


def shard_of(connection: sa.Connection, device_id: str) -> str | None:
    """Read to which shard a device belongs; None for one that is not registered."""
    table = schema.devices
    query = sa.select(table.c.shard).where(table.c.device_id == device_id)
    return connection.execute(query).scalar_one_or_none()


def safe_sequence(connection: sa.Connection, device_id: str) -> int:
    """Return the last entry of a device under a checkpoint older than the backup interval; 0 is none."""
    table = schema.checkpoint_heads
    query = sa.select(table.c.safe_sequence).where(table.c.device_id == device_id)
    return connection.execute(query).scalar() or 0


_NAMED: sa.BindParameter[str] = sa.bindparam("device_ids", expanding=True)
_KEYS_OF = sa.select(schema.device_keys).where(schema.device_keys.c.device_id.in_(_NAMED))
_CHOSEN = (
    sa.select(schema.devices, schema.checkpoint_heads.c.safe_sequence)
    .outerjoin(schema.checkpoint_heads, schema.checkpoint_heads.c.device_id == schema.devices.c.device_id)
    .where(schema.devices.c.device_id.in_(_NAMED))
    .order_by(schema.devices.c.device_id)
)
_LOCKED = _CHOSEN.with_for_update(of=schema.devices)
"""Made once: making them costs more than what they ask for, at each group of messages."""


def states(
    connection: sa.Connection, device_ids: Collection[str], *, lock: bool
) -> Mapping[str, DeviceState]:
    """Read what the ingest must know of some devices; with `lock` nobody else moves their heads meanwhile."""
    of_device: dict[str, dict[str, DeviceKey]] = {}
    named = {"device_ids": list(device_ids)}
    for row in connection.execute(_KEYS_OF, named):
        key = DeviceKey(
            _public_key(row.public_pem), row.revoked_at is not None, row.from_sequence, row.until_sequence
        )
        of_device.setdefault(row.device_id, {})[row.key_id] = key
    return {
        row.device_id: DeviceState(
            row.device_id,
            row.institution_id,
            row.revoked_at is not None,
            of_device.get(row.device_id, {}),
            Head(row.head_sequence, row.head_hash),
            row.purpose,
            row.safe_sequence or 0,
            row.shard,
            row.reassigned_at,
        )
        for row in connection.execute(_LOCKED if lock else _CHOSEN, named)
    }
