"""Puts back into a restored store what an archive holds and the store lacks.

A backup that is older than an archive does not hold all that lies in it, and devices have let go of it long
since. The archive has the devices' own batches: each is taken again as it was sent, by the same checks, with
the moment at which it was received then. Done before devices speak to the restored store: what nobody has is
kept as lost otherwise.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace

from joserfc.jwk import OKPKey

from renzheng.central.archive.checking import check_archives
from renzheng.central.archive.form import Reader
from renzheng.central.errors import ArchiveError
from renzheng.central.ingest.service import Ingest, Message
from renzheng.central.store import devices, identity
from renzheng.central.store.database import Database
from renzheng.central.store.device_state import DeviceState
from renzheng.central.store.identity import LostEntries
from renzheng.central.store.times import from_us
from renzheng.central.verify.archived import ArchiveNote, open_word
from renzheng.contracts import keys
from renzheng.contracts.ids import DeviceId, Shard
from renzheng.contracts.log import Head
from renzheng.contracts.topics import Channel, Topic


@dataclass(frozen=True, slots=True)
class TakenBack:
    """What came back: of how many devices, and how many entries."""

    year: int
    devices: int
    entries: int


def take_back(
    database: Database,
    folder: Path,
    key: OKPKey,
    by: Sequence[OKPKey],
    progress: Callable[[int], None] = lambda _: None,
) -> TakenBack:
    """Take from an archive what a store lacks; what it has already is passed over.

    Args:
        database: the store, with no consumer on it.
        folder: the archive; those of earlier years come first.
        key: central's signing key.
        by: every key with which central has signed.
        progress: is told of entries verified.

    Raises:
        ArchiveError: the archive does not hold or is of another store, or a device's log goes on otherwise.
    """
    checked = check_archives([folder], by, progress)
    if checked.bad:
        one = checked.bad[0]
        raise _refused(f"its log of {one.device_id} does not hold at entry {one.sequence}: {one.detail}")
    (archive,) = checked.archives
    with database.reading() as connection:
        if identity.read(connection).store_id != archive.manifest.store_id:
            raise _refused("it is of another store")
    words = [open_word(row.word, archive.by) for row in Reader(archive, "devices").all()]
    lost = list(Reader(archive, "lost").all())
    states = _must_fit(database, words, lost)
    files = {name: Reader(archive, name) for name in ("keys", "entries", "batches")}
    counts = []
    for word in words:
        kept = _Kept.of(files, lost, word.device_id)
        _take_back(database, key, kept, states[word.device_id], word)
        counts.append(max(word.upto - states[word.device_id].head.sequence, 0))
    return TakenBack(archive.manifest.year, sum(1 for one in counts if one), sum(counts))


@dataclass(frozen=True, slots=True)
class _Kept:
    """What an archive holds of one device: keys, lines by sequence, batches, what was lost then."""

    keys: Sequence[SimpleNamespace]
    lines: Mapping[int, bytes]
    batches: Sequence[SimpleNamespace]
    lost: Sequence[SimpleNamespace]

    @classmethod
    def of(cls, files: Mapping[str, Reader], lost: Sequence[SimpleNamespace], name: str) -> "_Kept":
        """Read the rows of the device that is next in every file."""
        rows = {
            file: [row for part in reader.of(name) for row in reader.named(part)]
            for file, reader in files.items()
        }
        lines = {row.sequence: row.line for row in rows["entries"]}
        return cls(rows["keys"], lines, rows["batches"], [row for row in lost if row.device_id == name])

    def envelope(self, batch: SimpleNamespace) -> bytes:
        """Put a batch together as its device sent it."""
        span = range(batch.first_sequence, batch.last_sequence + 1)
        payload = keys.encode(b"\n".join(self.lines[sequence] for sequence in span))
        return b"%b.%b.%b" % (batch.header, payload, batch.signature)


def _must_fit(
    database: Database, words: Sequence[ArchiveNote], lost: Sequence[SimpleNamespace]
) -> Mapping[str, DeviceState]:
    """Refuse, before anything is written, what cannot be brought to an end."""
    then = {(row.device_id, row.first_sequence) for row in lost}
    with database.reading() as connection:
        states = devices.states(connection, [word.device_id for word in words], lock=False)
        for word in words:
            name, state = word.device_id, states.get(word.device_id)
            if state is None:
                raise _refused(f"the device {name} is not registered here; register it first")
            if state.head.sequence < word.base:
                raise _refused(f"of {name}, entries up to {word.base} come first, from an earlier archive")
            for row in identity.lost_of(connection, name):
                if row.first_sequence <= word.upto and (name, row.first_sequence) not in then:
                    raise _refused(
                        f"of {name}, entries {row.first_sequence} to {row.last_sequence} count as lost "
                        "already; restore the backup again, and take archives back before central starts"
                    )
    return states


def _take_back(database: Database, key: OKPKey, kept: _Kept, state: DeviceState, word: ArchiveNote) -> None:
    """Take a device's batches beyond the store's head again, each as of the moment of then."""
    name, head = word.device_id, state.head.sequence
    if head >= word.upto:
        return
    _bring_keys(database, kept, state)
    topic = str(Topic(Shard(state.shard), DeviceId(name), Channel.LOG))
    gaps = {row.first_sequence: row for row in kept.lost}
    for batch in kept.batches:
        if batch.last_sequence <= head:
            continue
        if head + 1 in gaps:
            head = _lose_again(database, name, gaps[head + 1])
        ingest = Ingest(database, key, partial(from_us, batch.received_at))
        ingest.take([Message(topic, kept.envelope(batch))])
        head = max(head, batch.last_sequence)
    if head + 1 in gaps:
        _lose_again(database, name, gaps[head + 1])
    with database.reading() as connection:
        reached = devices.states(connection, [name], lock=False)[name].head
    if reached != word.ends.head:
        raise _refused(
            f"the log of {name} goes on otherwise after entry {reached.sequence} here; "
            "what was not taken lies in quarantine"
        )


def _bring_keys(database: Database, kept: _Kept, state: DeviceState) -> None:
    """Enter keys that came by joining again; a change of key lies in the log itself."""
    with database.writing() as connection:
        for row in kept.keys:
            if row.rotated_from is None and row.key_id not in state.keys:
                public = keys.load_public_key(row.public_pem)
                since = from_us(row.valid_from)
                devices.add_key(connection, state.device_id, public, since, from_sequence=row.from_sequence)


def _lose_again(database: Database, name: str, row: SimpleNamespace) -> int:
    """Let the log go on behind what was lost at that time; return where."""
    with database.writing() as connection:
        held = devices.states(connection, [name], lock=True)[name].head
        goes_on = Head(row.last_sequence, row.last_hash)
        identity.keep_lost(connection, LostEntries(name, held, goes_on, row.word), row.epoch, row.found_at)
    return int(row.last_sequence)


def _refused(why: str) -> ArchiveError:
    return ArchiveError(
        f"Nothing is taken back from this archive: {why}.",
        why="A log is put together only where every piece follows from the one before.",
        do="See docs/central.md on a restore that is older than an archive.",
    )
