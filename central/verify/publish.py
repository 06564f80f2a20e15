"""Takes checkpoints of a store, publishes them as files, and holds the store against those taken before."""

import base64
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

import orjson
import sqlalchemy as sa
from joserfc.jwk import OKPKey

from renzheng.central.store import schema
from renzheng.central.store.database import Database
from renzheng.central.store.times import to_us
from renzheng.central.verify.checkpoint import (
    Checkpoint,
    CheckpointError,
    Leaf,
    read_note,
    root_of,
    sign_note,
)
from renzheng.central.verify.store import named_damage
from renzheng.contracts.log import Head

TABLE = schema.checkpoints
DRAW = "draw/commitments"
"""Names the chain of commitments among the heads, as no device can be named; it binds central too."""


def take_checkpoint(
    database: Database, origin: str, key: OKPKey, folder: Path, now: datetime
) -> tuple[Checkpoint, Path]:
    """Add the heads that have moved to the tree, sign its root, and publish note and leaves in `folder`.

    Returns:
        The checkpoint and the file of its note; ``heads-<size>.jsonl`` beside it holds the added leaves.
    """
    with database.writing() as connection:
        leaves = list(_leaves(connection))
        added = _moved(connection, {leaf.device_id: leaf.head for leaf in leaves})
        every = [*leaves, *added]
        checkpoint = Checkpoint(origin, len(every), root_of([leaf.hash() for leaf in every]))
        note = sign_note(checkpoint, key)
        connection.execute(
            sa.insert(TABLE).values(
                taken_at=to_us(now),
                size=checkpoint.size,
                root=base64.b64encode(checkpoint.root).decode(),
                note=note,
                heads=orjson.dumps([_row(leaf) for leaf in added]).decode(),
            )
        )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"checkpoint-{checkpoint.size}.note"
    (folder / f"heads-{checkpoint.size}.jsonl").write_bytes(
        b"".join(orjson.dumps(_row(leaf)) + b"\n" for leaf in added)
    )
    path.write_text(note, encoding="utf-8")
    (folder / "latest.note").write_text(note, encoding="utf-8")
    return checkpoint, path


def check_checkpoints(database: Database, key: OKPKey) -> int:
    """Hold what the store has now against every checkpoint it has published; return how many agree.

    Raises:
        CheckpointError: a note is not ours, its root does not follow from the leaves, or an entry that a leaf
            names is gone or another.
    """
    with named_damage(), database.reading() as connection:
        notes = connection.execute(sa.select(TABLE).order_by(TABLE.c.checkpoint_id)).all()
        leaves: list[Leaf] = []
        for row in notes:
            leaves += [_leaf(value) for value in orjson.loads(row.heads)]
            checkpoint = read_note(row.note, key)
            if checkpoint.size != len(leaves) or checkpoint.root != root_of([one.hash() for one in leaves]):
                raise CheckpointError(
                    f"Checkpoint {row.checkpoint_id} does not follow from the heads under it.",
                    why="The store's record of its own promises was changed.",
                    do="Compare with the notes that outsiders keep; restore the backup before the change.",
                )
        _hold_against_log(connection, leaves)
    return len(notes)


def check_kept_note(database: Database, note: str, key: OKPKey) -> Checkpoint:
    """Hold a note that an outsider kept against the store's own tree.

    Raises:
        CheckpointError: central's tree today does not grow out of that note.
    """
    checkpoint = read_note(note, key)
    with named_damage(), database.reading() as connection:
        leaves = list(_leaves(connection))
        if checkpoint.root != root_of([leaf.hash() for leaf in leaves[: checkpoint.size]]):
            raise CheckpointError(
                f"What central holds does not grow out of the checkpoint of size {checkpoint.size}.",
                why="Something under that promise was changed or dropped since.",
                do="Keep the note: it is signed evidence. Restore the backup before the change.",
            )
        _hold_against_log(connection, leaves)
    return checkpoint


def _hold_against_log(connection: sa.Connection, leaves: list[Leaf]) -> None:
    entries, rounds = schema.log_entries, schema.rounds
    for leaf in leaves:
        query = sa.select(entries.c.hash).where(
            entries.c.device_id == leaf.device_id, entries.c.sequence == leaf.head.sequence
        )
        if leaf.device_id == DRAW:
            query = sa.select(rounds.c.commitment_sha256).where(rounds.c.number == leaf.head.sequence)
        held = connection.execute(query).scalar()
        if held != leaf.head.hash:
            raise CheckpointError(
                f"Entry {leaf.head.sequence} of {leaf.device_id} is not the one that a checkpoint names.",
                why="Central signed that it held another entry there.",
                do="Run: renzheng central log verify; restore the backup before the change.",
                device_id=leaf.device_id,
                sequence=leaf.head.sequence,
            )


def _leaves(connection: sa.Connection) -> Iterator[Leaf]:
    query = sa.select(TABLE.c.heads).order_by(TABLE.c.checkpoint_id)
    for heads in connection.execute(query).scalars():
        yield from (_leaf(value) for value in orjson.loads(heads))


def _moved(connection: sa.Connection, known: Mapping[str, Head]) -> list[Leaf]:
    devices = schema.devices
    query = sa.select(devices.c.device_id, devices.c.head_sequence, devices.c.head_hash)
    rows = connection.execute(query.order_by(devices.c.device_id))
    found = [Leaf(row[0], Head(row[1], row[2])) for row in rows]
    rounds = schema.rounds
    latest = sa.select(rounds.c.number, rounds.c.commitment_sha256).order_by(rounds.c.number.desc()).limit(1)
    found += [Leaf(DRAW, Head(row[0], row[1])) for row in connection.execute(latest)]
    return [leaf for leaf in found if leaf.head.sequence and known.get(leaf.device_id) != leaf.head]


def _row(leaf: Leaf) -> list[str | int]:
    return [leaf.device_id, leaf.head.sequence, leaf.head.hash]


def _leaf(value: tuple[str, int, str]) -> Leaf:
    return Leaf(value[0], Head(value[1], value[2]))
