"""The devices' signed log behind frozen evidence: read when a doubt is confirmed, checked by anybody later.

An entry is shown by the batch that carries it (the device's signature), by the batches after it up to the
head that a checkpoint names (the chain), and by that checkpoint (central's promise). Batches are kept apart
from the evidence, by their SHA-256: many doubts need the same one, and those of another institution's
devices are left out of what an institution takes away, since they tell of that one's patients.
"""

import hashlib
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import sqlalchemy as sa
from joserfc.jwk import OKPKey

from renzheng.central.store import schema
from renzheng.central.store.times import from_us
from renzheng.central.verify.checkpoint import Leaf
from renzheng.contracts import keys
from renzheng.contracts.log import Head

ENTRIES, BATCHES, KEYS = schema.log_entries, schema.log_batches, schema.device_keys
CHECKPOINTS, KEPT = schema.checkpoints, schema.frozen_batches
MOST_ENTRIES = 3_000
"""Entries from one to the head of its checkpoint beyond which the chain is not frozen: weeks of a device."""
MOST_CHECKPOINTS = 20
"""Checkpoints after an entry was received among which the first that covers it is looked for."""
Place = tuple[str, int]
"""A device, and the number of an entry of its log."""


@dataclass(slots=True)
class Gathered:
    """What shows the entries of one doubt.

    Args:
        documents: of the evidence: `batches`, `keys` and `covered`.
        envelopes: the batches themselves, by SHA-256.
    """

    documents: dict[str, list[dict[str, Any]]] = field(
        default_factory=lambda: {"batches": [], "keys": [], "covered": []}
    )
    envelopes: dict[str, bytes] = field(default_factory=dict)


def gather(connection: sa.Connection, places: Iterable[Place]) -> Gathered:
    """Gather batches, keys and checkpoints that show some entries."""
    gathered = Gathered()
    by_device: dict[str, list[int]] = {}
    for device_id, sequence in sorted(set(places)):
        by_device.setdefault(device_id, []).append(sequence)
    for device_id, sequences in by_device.items():
        _gather_device(connection, device_id, sequences, gathered)
    return gathered


def _gather_device(
    connection: sa.Connection, device_id: str, sequences: Sequence[int], gathered: Gathered
) -> None:
    institution_id = _institution_of(connection, device_id)
    shown: set[str] = set()
    upto = 0  # the head up to which the chain is shown already
    for sequence in sequences:
        leaf = _leaf_over(connection, device_id, sequence)
        if leaf is not None and leaf[0].sequence - sequence > MOST_ENTRIES:
            leaf = None
        last = leaf[0].sequence if leaf else sequence
        for row in _batches(connection, device_id, sequence, last):
            envelope = _envelope(connection, row)
            if envelope is None:
                continue
            digest = hashlib.sha256(envelope).hexdigest()
            if digest not in shown:
                shown.add(digest)
                gathered.envelopes[digest] = envelope
                gathered.documents["batches"].append(
                    {
                        "sha256": digest,
                        "device_id": device_id,
                        "institution_id": institution_id,
                        "first": row.first_sequence,
                        "last": row.last_sequence,
                        "key_id": row.key_id,
                        "received_at": from_us(row.received_at),
                    }
                )
        if leaf is not None and upto < leaf[0].sequence:
            upto = leaf[0].sequence
            gathered.documents["covered"].append(
                {"device_id": device_id, "from": sequence, "head": upto, "hash": leaf[0].hash, **leaf[1]}
            )
    used = {one["key_id"] for one in gathered.documents["batches"] if one["device_id"] == device_id}
    gathered.documents["keys"] += _keys(connection, device_id, used)


def _institution_of(connection: sa.Connection, device_id: str) -> str | None:
    table = schema.devices
    query = sa.select(table.c.institution_id).where(table.c.device_id == device_id)
    found: str | None = connection.execute(query).scalar()
    return found


def _leaf_over(
    connection: sa.Connection, device_id: str, sequence: int
) -> tuple[Head, dict[str, Any]] | None:
    """Find the first checkpoint that names a head of the device at or behind an entry."""
    received = sa.select(ENTRIES.c.received_at).where(
        ENTRIES.c.device_id == device_id, ENTRIES.c.sequence == sequence
    )
    at = connection.execute(received).scalar()
    if at is None:
        return None
    later = sa.select(CHECKPOINTS).where(CHECKPOINTS.c.taken_at >= at).order_by(CHECKPOINTS.c.checkpoint_id)
    for row in connection.execute(later.limit(MOST_CHECKPOINTS)):
        added = orjson.loads(row.heads)
        for place, (name, reached, hashed) in enumerate(added):
            if name == device_id and reached >= sequence:
                index = row.size - len(added) + place
                checkpoint = {"taken_at": from_us(row.taken_at), "size": row.size, "note": row.note}
                return Head(reached, hashed), {"index": index, "checkpoint": checkpoint}
    return None


def _batches(connection: sa.Connection, device_id: str, first: int, last: int) -> Iterable[Any]:
    """Read the batches that carry some entries, without those that bring nothing new."""
    query = sa.select(BATCHES).where(
        BATCHES.c.device_id == device_id, BATCHES.c.last_sequence >= first, BATCHES.c.first_sequence <= last
    )
    reached = first - 1
    for row in connection.execute(query.order_by(BATCHES.c.first_sequence, BATCHES.c.last_sequence)).all():
        if row.last_sequence > reached:
            yield row
            reached = row.last_sequence


def _envelope(connection: sa.Connection, batch: Any) -> bytes | None:
    """Put a batch together again as the device signed it; None when a line of it is gone."""
    query = sa.select(ENTRIES.c.line).where(
        ENTRIES.c.device_id == batch.device_id,
        ENTRIES.c.sequence.between(batch.first_sequence, batch.last_sequence),
    )
    lines = connection.execute(query.order_by(ENTRIES.c.sequence)).scalars().all()
    if len(lines) != batch.last_sequence - batch.first_sequence + 1:
        return None
    payload = keys.encode(b"\n".join(bytes(line) for line in lines))
    return b".".join((bytes(batch.header), payload, bytes(batch.signature)))


def _keys(connection: sa.Connection, device_id: str, used: set[str]) -> list[dict[str, Any]]:
    query = sa.select(KEYS).where(KEYS.c.device_id == device_id, KEYS.c.key_id.in_(sorted(used)))
    return [
        {
            "device_id": device_id,
            "key_id": row.key_id,
            "public_pem": row.public_pem,
            "valid_from": from_us(row.valid_from),
            "revoked_at": from_us(row.revoked_at) if row.revoked_at else None,
            "from_sequence": row.from_sequence,
            "until_sequence": row.until_sequence,
        }
        for row in connection.execute(query.order_by(KEYS.c.key_id))
    ]


def keep(connection: sa.Connection, gathered: Gathered) -> None:
    """Keep the batches of a doubt, each once."""
    if not gathered.envelopes:
        return
    digests = sorted(gathered.envelopes)
    known = set(connection.execute(sa.select(KEPT.c.sha256).where(KEPT.c.sha256.in_(digests))).scalars())
    new = [
        {"sha256": digest, "envelope": zlib.compress(gathered.envelopes[digest])}
        for digest in digests
        if digest not in known
    ]
    if new:
        connection.execute(sa.insert(KEPT), new)


def kept(connection: sa.Connection, evidence: Iterable[Any], reader: str | None) -> dict[str, bytes]:
    """Read the batches that frozen evidence names.

    Args:
        connection: the store.
        evidence: opened, of the case's doubts.
        reader: the institution that takes them away, which gets those of its own devices; None for all.
    """
    digests = sorted(
        {
            one["sha256"]
            for frozen in evidence
            for one in frozen.get("batches", ())
            if reader is None or one["institution_id"] == reader
        }
    )
    found: dict[str, bytes] = {}
    for first in range(0, len(digests), 400):
        query = sa.select(KEPT).where(KEPT.c.sha256.in_(digests[first : first + 400]))
        found |= {row.sha256: zlib.decompress(row.envelope) for row in connection.execute(query)}
    return found


def persons_in(envelopes: Iterable[bytes]) -> set[str]:
    """Name the persons of whom batches tell."""
    found = set()
    for envelope in envelopes:
        for line in keys.decode(keys.split(envelope)[1]).split(b"\n"):
            person = orjson.loads(line)["event"].get("subject")
            if isinstance(person, str):
                found.add(person)
    return found


def leaf_of(covered: Mapping[str, Any]) -> Leaf:
    """Return the leaf of the checkpoints' tree that covers an entry."""
    return Leaf(covered["device_id"], Head(covered["head"], covered["hash"]))


def key_of(frozen: Mapping[str, Any]) -> OKPKey:
    """Return the public key of a device as it was frozen."""
    return keys.load_public_key(frozen["public_pem"])
