"""Takes checkpoints of a store, publishes them as files, and holds the store against those taken before.

A checkpoint reads the heads of the devices and the tree's peaks, never an older leaf, so that the
ten-thousandth night takes no longer than the first. It also settles what is *safe*: what a checkpoint holds
that is older than the backup interval (and than the latest backup, where backups are recorded here) every
later backup holds too, and devices may let go of their own.
"""

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa
from joserfc.jwk import OKPKey

from renzheng.central.access import access_log
from renzheng.central.store import archived, identity, schema
from renzheng.central.store.database import Database
from renzheng.central.store.hashes import same_hash
from renzheng.central.store.times import to_us
from renzheng.central.verify.checkpoint import (
    Checkpoint,
    CheckpointError,
    Leaf,
    Tree,
    path_to,
    read_note,
    root_of,
    sign_note,
)
from renzheng.central.verify.store import named_damage
from renzheng.common.files import write_whole
from renzheng.contracts.log import Head

TABLE = schema.checkpoints
_AT_ONCE = 500
DRAW = "draw/commitments"
"""Names the chain of commitments among the heads, as no device can be named; it binds central too."""
OF_CENTRAL = frozenset({DRAW, access_log.LEAF})
"""Leaves of a checkpoint that are no device's."""


def take_checkpoint(  # noqa: PLR0917 - where, as whom, when
    database: Database,
    origin: str,
    key: OKPKey,
    folder: Path,
    now: datetime,
    backup_interval: timedelta = timedelta(days=1),
) -> tuple[Checkpoint, Path]:
    """Add the heads that have moved to the tree, sign its root, and publish note and leaves in `folder`.

    Returns:
        The checkpoint and the file of its note; ``heads-<size>.jsonl`` beside it holds the added leaves.

    Raises:
        CheckpointError: what the store keeps of its tree does not fit together.
    """
    with database.writing() as connection:
        tree = tree_at(connection)
        added = _moved(connection)
        for leaf in added:
            tree.add(leaf.hash())
        checkpoint = Checkpoint(origin, tree.size, tree.root())
        note = sign_note(checkpoint, key)
        connection.execute(
            sa.insert(TABLE).values(
                taken_at=to_us(now),
                size=checkpoint.size,
                root=base64.b64encode(checkpoint.root).decode(),
                note=note,
                heads=orjson.dumps([_row(leaf) for leaf in added]).decode(),
                peaks=orjson.dumps([peak.hex() for peak in tree.peaks]).decode(),
            )
        )
        _keep_heads(connection, added)
        settle_what_is_safe(connection, now, backup_interval)
    path = folder / f"checkpoint-{checkpoint.size}.note"
    heads = b"".join(orjson.dumps(_row(leaf)) + b"\n" for leaf in added)
    write_whole(folder / f"heads-{checkpoint.size}.jsonl", heads)
    for place in (path, folder / "latest.note"):
        write_whole(place, note.encode())
    return checkpoint, path


def settle_what_is_safe(connection: sa.Connection, now: datetime, backup_interval: timedelta) -> int:
    """Move `safe_sequence` on over checkpoints that have grown old enough; return how many have."""
    latest = connection.execute(sa.select(sa.func.max(schema.backups.c.taken_at))).scalar()
    before = to_us(now - backup_interval) if latest is None else min(to_us(now - backup_interval), latest)
    old = (TABLE.c.safe == 0) & (TABLE.c.taken_at <= before)
    query = sa.select(TABLE.c.checkpoint_id, TABLE.c.heads).where(old).order_by(TABLE.c.checkpoint_id)
    found = connection.execute(query).all()
    safe = {name: sequence for row in found for name, sequence, _ in orjson.loads(row.heads)}
    if safe:
        connection.execute(
            sa.text("UPDATE checkpoint_heads SET safe_sequence = :safe WHERE device_id = :name"),
            [{"name": name, "safe": sequence} for name, sequence in safe.items()],
        )
    if found:
        up_to = TABLE.c.checkpoint_id <= found[-1].checkpoint_id
        connection.execute(sa.update(TABLE).where(up_to, TABLE.c.safe == 0).values(safe=1))
    return len(found)


def check_checkpoints(database: Database, *by: OKPKey) -> int:
    """Hold what the store has now against every checkpoint it has published; return how many agree.

    Raises:
        CheckpointError: a note is not ours, its root does not follow from the leaves, or an entry that a leaf
            names is gone or another.
    """
    count, tree = 0, Tree()
    leaves: list[Leaf] = []
    with named_damage(), database.reading() as connection:
        for row in connection.execute(sa.select(TABLE).order_by(TABLE.c.checkpoint_id)):
            for leaf in leaves_of(row):
                tree.add(leaf.hash())
                leaves.append(leaf)
            hold_note(row, tree, by)
            count += 1
        _hold_against_log(connection, leaves)
    return count


def hold_note(row: Any, tree: Tree, by: Sequence[OKPKey]) -> None:
    """Hold a row of checkpoints against the tree of all leaves until then.

    Raises:
        CheckpointError: it is not signed by any of these keys, or its root does not follow from the leaves.
    """
    checkpoint = read_kept_note(row.note, by)
    peaks = None if row.peaks is None else [bytes.fromhex(one) for one in orjson.loads(row.peaks)]
    same = checkpoint.size == tree.size and checkpoint.root == tree.root()
    if not same or peaks not in (None, tree.peaks):
        raise CheckpointError(
            f"Checkpoint {row.checkpoint_id} does not follow from the heads under it.",
            why="The store's record of its own promises was changed.",
            do="Compare with the notes that outsiders keep; restore the backup before the change.",
        )


def leaves_of(row: Any) -> Iterator[Leaf]:
    """Read the leaves that a row of checkpoints adds."""
    return map(_leaf, orjson.loads(row.heads))


def check_kept_note(database: Database, note: str, *by: OKPKey) -> Checkpoint:
    """Hold a note that an outsider kept against the store's own tree.

    Raises:
        CheckpointError: central's tree today does not grow out of that note.
    """
    checkpoint = read_kept_note(note, by)
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


def read_kept_note(note: str, by: Sequence[OKPKey]) -> Checkpoint:
    """Read a note by whichever of central's keys signed it; where none did, the last says so."""
    for key in by[:-1]:
        with suppress(CheckpointError):
            return read_note(note, key)
    return read_note(note, by[-1])


def _hold_against_log(connection: sa.Connection, leaves: Sequence[Leaf]) -> None:
    """Hold leaves against the entries they name, some hundreds at once; what is lost is named elsewhere."""
    by_name: dict[str, dict[int, str]] = {}
    for leaf in leaves:
        by_name.setdefault(leaf.device_id, {})[leaf.head.sequence] = leaf.head.hash
    for name, wanted in by_name.items():
        lost = [(row.first_sequence, row.last_sequence) for row in identity.lost_of(connection, name)]
        sequences = sorted(wanted)
        for start in range(0, len(sequences), _AT_ONCE):
            asked = sequences[start : start + _AT_ONCE]
            held = _hashes(connection, name, asked)
            for sequence in asked:
                gone = any(first <= sequence <= last for first, last in lost)
                same = sequence in held and same_hash(held[sequence], wanted[sequence])
                if not same and not gone:
                    raise CheckpointError(
                        f"Entry {sequence} of {name} is not the one that a checkpoint names.",
                        why="Central signed that it held another entry there.",
                        do="Run: renzheng central log verify; restore the backup before the change.",
                        device_id=name,
                        sequence=sequence,
                    )


def check_leaf(connection: sa.Connection, name: str) -> int:
    """Hold one name's latest leaf against what the store has; return its sequence, 0 when it has none.

    Raises:
        CheckpointError: the entry that it names is gone or another.
    """
    table = schema.checkpoint_heads
    query = sa.select(table.c.sequence, table.c.hash).where(table.c.device_id == name)
    row = connection.execute(query).first()
    if row is None:
        return 0
    _hold_against_log(connection, [Leaf(name, Head(row.sequence, row.hash))])
    return int(row.sequence)


def _hashes(connection: sa.Connection, name: str, sequences: Sequence[int]) -> Mapping[int, str]:
    if name == access_log.LEAF:
        return access_log.hashes(connection, sequences)
    entries, rounds = schema.log_entries, schema.rounds
    query = sa.select(entries.c.sequence, entries.c.hash).where(
        entries.c.device_id == name, entries.c.sequence.in_(sequences)
    )
    if name == DRAW:
        query = sa.select(rounds.c.number, rounds.c.commitment_sha256).where(rounds.c.number.in_(sequences))
    found = {row[0]: row[1] for row in connection.execute(query)}
    pruned = [sequence for sequence in sequences if sequence not in found]
    if pruned:
        found = {**archived.hashes(connection, name, pruned), **found}
    return found


def tree_at(connection: sa.Connection, upto: int = 2**62) -> Tree:
    """Read the tree as the latest checkpoint left it, or the latest up to the one with this number.

    One from before peaks were kept is walked once.
    """
    query = sa.select(TABLE.c.size, TABLE.c.peaks).where(TABLE.c.checkpoint_id <= upto)
    row = connection.execute(query.order_by(TABLE.c.checkpoint_id.desc()).limit(1)).first()
    if row is None:
        return Tree()
    if row.peaks is not None:
        return Tree(row.size, [bytes.fromhex(one) for one in orjson.loads(row.peaks)])
    tree = Tree()
    for leaf in islice(_leaves(connection), row.size):
        tree.add(leaf.hash())
    return tree


def _keep_heads(connection: sa.Connection, added: Sequence[Leaf]) -> None:
    """Keep the latest leaf of each name."""
    table = schema.checkpoint_heads
    for leaf in added:
        same = sa.update(table).where(table.c.device_id == leaf.device_id)
        values = {"sequence": leaf.head.sequence, "hash": leaf.head.hash}
        if connection.execute(same.values(values)).rowcount == 0:
            connection.execute(sa.insert(table).values(device_id=leaf.device_id, safe_sequence=0, **values))


def audit_paths(
    connection: sa.Connection, places: Iterable[tuple[int, int]]
) -> dict[tuple[int, int], list[bytes]]:
    """Return the audit paths of leaves by the size of a checkpoint and the leaf's index in its tree."""
    wanted = sorted(set(places))
    if not wanted:
        return {}
    hashes = [leaf.hash() for leaf in islice(_leaves(connection), wanted[-1][0])]
    return {
        (size, index): path_to(hashes[:size], index) for size, index in wanted if index < size <= len(hashes)
    }


def _leaves(connection: sa.Connection) -> Iterator[Leaf]:
    query = sa.select(TABLE.c.heads).order_by(TABLE.c.checkpoint_id)
    for heads in connection.execute(query).scalars():
        yield from (_leaf(value) for value in orjson.loads(heads))


def _moved(connection: sa.Connection) -> list[Leaf]:
    """Read the heads that are not the latest leaves of their names."""
    devices, sealed = schema.devices, schema.checkpoint_heads
    latest_leaves = sa.select(sealed.c.device_id, sealed.c.sequence, sealed.c.hash)
    known = {row[0]: Head(row[1], row[2]) for row in connection.execute(latest_leaves)}
    query = sa.select(devices.c.device_id, devices.c.head_sequence, devices.c.head_hash)
    rows = connection.execute(query.order_by(devices.c.device_id))
    found = [Leaf(row[0], Head(row[1], row[2])) for row in rows]
    rounds = schema.rounds
    latest = sa.select(rounds.c.number, rounds.c.commitment_sha256).order_by(rounds.c.number.desc()).limit(1)
    found += [Leaf(DRAW, Head(row[0], row[1])) for row in connection.execute(latest)]
    found.append(Leaf(access_log.LEAF, access_log.head(connection)))
    return [leaf for leaf in found if leaf.head.sequence and known.get(leaf.device_id) != leaf.head]


def _row(leaf: Leaf) -> list[str | int]:
    return [leaf.device_id, leaf.head.sequence, leaf.head.hash]


def _leaf(value: tuple[str, int, str]) -> Leaf:
    return Leaf(value[0], Head(value[1], value[2]))
