"""Verifies archives without any store: what central signed, what the devices signed, what was published.

Archives that follow one another are joined: each device's log goes on where the one before ends, and the tree
of heads grows on from one to the next.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

from joserfc.jwk import OKPKey

from renzheng.central.archive.form import Archive, Reader, open_archive
from renzheng.central.errors import ArchiveError, StoreError
from renzheng.central.verify.archived import ArchiveNote, open_word
from renzheng.central.verify.check import BadEntry, Fault, LogCheck, LogVerified, Lost, Start, StoredBatch
from renzheng.central.verify.checkpoint import Checkpoint, CheckpointError, Tree
from renzheng.central.verify.publish import OF_CENTRAL, hold_note, leaves_of, read_kept_note
from renzheng.central.verify.store import named_damage, read_keys, read_lost, stored_batch
from renzheng.contracts.errors import InputError
from renzheng.contracts.log import genesis
from renzheng.contracts.messages import open_ack

Leaves = dict[str, dict[int, str]]
Roots = dict[int, bytes]


@dataclass(slots=True)
class Checked:
    """What was found in archives.

    Args:
        results: of each device in each archive, in order.
        ends: by device, where the last archive that holds some of it ends.
        checkpoints: notes that hold.
        beyond: by device, the last entry that a published leaf names and none of the archives holds.
    """

    archives: list[Archive] = field(default_factory=list)
    results: list[LogVerified | BadEntry] = field(default_factory=list)
    ends: dict[str, Start] = field(default_factory=dict)
    checkpoints: int = 0
    beyond: dict[str, int] = field(default_factory=dict)

    @property
    def bad(self) -> list[BadEntry]:
        """What does not hold."""
        return [one for one in self.results if isinstance(one, BadEntry)]


def check_archives(
    folders: Sequence[Path],
    by: Sequence[OKPKey],
    progress: Callable[[int], None] = lambda _: None,
    *,
    note: str | None = None,
) -> Checked:
    """Check archives, in the order of their years.

    Args:
        folders: the archives.
        by: keys of central that are trusted.
        progress: is told of entries walked.
        note: a checkpoint that an outsider kept.

    Raises:
        ArchiveError: one is not what central signed, two do not follow one another, or the note is of a time
            that they do not hold.
        CheckpointError: a published note does not follow from the heads under it, or the tree does not grow
            out of the kept one.
    """
    checked = Checked(sorted((open_archive(one, by) for one in folders), key=lambda one: one.manifest.year))
    _must_follow(checked.archives)
    leaves: Leaves = {}
    from_first = checked.archives[0].manifest.after is None
    tree: Tree | None = None
    kept = read_kept_note(note, checked.archives[-1].by) if note else None
    roots: Roots = {kept.size: b""} if kept else {}
    with _readable():
        for archive in checked.archives:
            count, tree = _check_checkpoints(archive, tree, leaves, roots)
            checked.checkpoints += count
    if kept:
        _hold_kept(kept, roots)
    with _readable():
        for archive in checked.archives:
            checked.results += _check_devices(archive, checked.ends, leaves, progress, from_first=from_first)
    checked.beyond = {
        name: max(left) for name, left in sorted(leaves.items()) if left and name not in OF_CENTRAL
    }
    return checked


class EntriesOf:
    """Reads the entries of one device after another out of archives, in the store's order of devices."""

    def __init__(self, archives: Sequence[Archive]) -> None:
        self._readers = []
        for archive in archives:
            words = (open_word(row.word, archive.by) for row in Reader(archive, "devices").all())
            bases = {word.device_id: word.base for word in words}
            self._readers.append((bases, Reader(archive, "entries")))

    def __call__(self, device_id: str) -> tuple[int, Iterator[Sequence[SimpleNamespace]]]:
        """Return after which entry of a device they begin, and the entries, some thousands at once."""
        held = [(bases, reader) for bases, reader in self._readers if device_id in bases]
        base = held[0][0][device_id] if held else 0
        return base, (part for _, reader in held for part in _pages(reader, device_id))


def _pages(reader: Reader, device_id: str) -> Iterator[Sequence[SimpleNamespace]]:
    while (before := reader.next_device()) not in (device_id, None):
        for _ in reader.of(str(before)):
            pass
    for part in reader.of(device_id):
        yield list(reader.named(part))


def _must_follow(archives: Sequence[Archive]) -> None:
    for one, next_one in pairwise(archives):
        if next_one.manifest.after != one.manifest.archive_id:
            raise ArchiveError(
                f"The archive of {next_one.manifest.year} does not go on from that of {one.manifest.year}.",
                why="One between them is missing, or they are of two stores, or one was made anew.",
                do="Give every archive of the store from the first year to the last.",
            )


def _hold_kept(kept: Checkpoint, roots: Roots) -> None:
    """Hold a kept note against the tree as it was at its size."""
    if not roots[kept.size]:
        raise ArchiveError(
            f"The kept note, of {kept.size} heads, is of another time than the archives.",
            do="Give the archives of its time, or hold it against the store.",
        )
    if roots[kept.size] != kept.root:
        raise CheckpointError(
            f"What the archives hold does not grow out of the checkpoint of size {kept.size}.",
            why="Something under that promise was changed or dropped before it was archived.",
            do="Keep the note: it is signed evidence.",
        )


def _check_checkpoints(
    archive: Archive, before: Tree | None, leaves: Leaves, roots: Roots
) -> tuple[int, Tree]:
    """Let the tree grow over the archive's leaves, hold each note against it, and note roots asked for."""
    manifest, count = archive.manifest, 0
    tree = Tree(manifest.tree_size, [bytes.fromhex(peak) for peak in manifest.tree_peaks])
    if before is not None and (before.size, before.peaks) != (tree.size, tree.peaks):
        raise CheckpointError(
            f"The checkpoints of {manifest.year} do not grow out of those of the archive before.",
            why="Something under central's promises was changed or dropped.",
            do="Keep both archives, and compare with the notes that outsiders keep.",
        )
    for row in Reader(archive, "checkpoints").all():
        for leaf in leaves_of(row):
            tree.add(leaf.hash())
            if tree.size in roots:
                roots[tree.size] = tree.root()
            leaves.setdefault(leaf.device_id, {})[leaf.head.sequence] = leaf.head.hash
        hold_note(row, tree, archive.by)
        count += 1
    return count, tree


class _Device:
    """One device in an archive: its rows in every file."""

    def __init__(self, archive: Archive, files: Mapping[str, Reader], name: str, word: ArchiveNote) -> None:
        self._files, self.name, self.word = files, name, word
        own_keys = read_keys(row for part in self._of("keys") for row in part)
        self.lost = _own_lost([row for part in self._of("lost") for row in part], name, archive.by)
        self.check = LogCheck(name, word.ends.head, own_keys, self._batches(), self.lost, word.begins)

    def entries(self) -> Iterator[list[tuple[int, str, bytes]]]:
        """Read the entries, some thousands at once."""
        reader = self._files["entries"]
        for part in reader.of(self.name):
            yield list(reader.first_of(part, "sequence", "hash", "line"))

    def skip(self) -> None:
        """Read over what is left of the device."""
        for name in ("keys", "lost", "entries", "batches"):
            for _ in self._files[name].of(self.name):
                pass

    def _of(self, name: str) -> Iterator[Iterator[SimpleNamespace]]:
        reader = self._files[name]
        return (reader.named(part) for part in reader.of(self.name))

    def _batches(self) -> Iterator[StoredBatch]:
        return (stored_batch(row) for part in self._of("batches") for row in part)


def _check_devices(
    archive: Archive,
    ends: dict[str, Start],
    leaves: Leaves,
    progress: Callable[[int], None],
    *,
    from_first: bool,
) -> Iterator[LogVerified | BadEntry]:
    """Check every device of an archive, and that nothing in it is of another."""
    files = {name: Reader(archive, name) for name in ("keys", "entries", "batches", "lost")}
    count = 0
    for row in Reader(archive, "devices").all():
        count += 1
        try:
            word = open_word(row.word, archive.by)
            device = _Device(archive, files, row.device_id, word)
        except InputError as error:
            yield BadEntry(row.device_id, 0, Fault.ARCHIVE, error.what)
            continue
        before = ends.get(row.device_id)
        if before is None and (from_first or not word.base):
            before = Start(genesis(row.device_id), {})
        found = _misplaced(archive, word, row.device_id, before) or _check_device(
            device, leaves.get(row.device_id, {}), progress
        )
        device.skip()
        ends[row.device_id] = word.ends
        yield found
    for name, reader in files.items():
        stranger = reader.next_device()
        if stranger is not None:
            yield BadEntry(stranger, 0, Fault.ARCHIVE, f"{name}.parquet holds rows that no word speaks of.")
    told = archive.manifest
    if (count, files["entries"].read, files["batches"].read) != (told.devices, told.entries, told.batches):
        yield BadEntry("-", 0, Fault.ARCHIVE, "The files do not hold as many rows as the manifest says.")


def _misplaced(archive: Archive, word: ArchiveNote, device_id: str, before: Start | None) -> BadEntry | None:
    """Say what is wrong with the place of a device's piece."""
    told, first = archive.manifest, word.base + 1
    if (word.device_id, word.archive_id, word.store_id) != (device_id, told.archive_id, told.store_id):
        return BadEntry(device_id, first, Fault.ARCHIVE, "Central's word on the entries is another's.")
    if before is not None and word.begins != before:
        detail = f"The piece goes on from entry {word.base}; what lies before ends at {before.head.sequence}."
        return BadEntry(device_id, before.head.sequence + 1, Fault.MISSING, detail)
    return None


def _check_device(
    device: _Device, leaves: dict[int, str], progress: Callable[[int], None]
) -> LogVerified | BadEntry:
    """Walk one device's entries; each that a published leaf names must be the one it names."""
    for part in device.entries():
        fault = device.check.take(part) or _other_leaf(device.name, part, leaves)
        progress(len(part))
        if fault:
            return fault
    found = device.check.end()
    if isinstance(found, BadEntry):
        return found
    if device.check.reached() != device.word.ends:
        return BadEntry(device.name, found.entries, Fault.ARCHIVE, "Central signed other keys than these.")
    return _gone_leaf(device, leaves) or found


def _other_leaf(name: str, part: Sequence[tuple[int, str, bytes]], leaves: dict[int, str]) -> BadEntry | None:
    for sequence, digest, _ in part:
        if leaves.pop(sequence, digest) != digest:
            return BadEntry(name, sequence, Fault.FORKED, "A published checkpoint names another entry here.")
    return None


def _gone_leaf(device: _Device, leaves: dict[int, str]) -> BadEntry | None:
    """Name an entry that a leaf speaks of and that is not here, though it is not known as lost."""
    for sequence in sorted(leaves):
        if device.word.base < sequence <= device.word.upto:
            del leaves[sequence]
            if not any(one.first <= sequence <= one.last.sequence for one in device.lost):
                return BadEntry(device.name, sequence, Fault.MISSING, "A published checkpoint names it.")
    return None


def _own_lost(rows: Sequence[SimpleNamespace], device_id: str, by: Sequence[OKPKey]) -> list[Lost]:
    """Read what is known to be lost: central's own acknowledgement of it must be central's.

    Raises:
        ArchiveError: it is not.
    """
    for row in rows:
        if not any(_acknowledged(row.word, device_id, key) for key in by):
            raise ArchiveError(
                f"Central has never acknowledged the entries up to {row.last_sequence} that are called lost.",
                why="They may have been dropped.",
                do="Keep the archive, and ask central.",
            )
    return read_lost(rows)


def _acknowledged(word: str, device_id: str, key: OKPKey) -> bool:
    try:
        return open_ack(word.encode(), key).device_id == device_id
    except InputError:
        return False


@contextmanager
def _readable() -> Iterator[None]:
    """Give a value that is none that was written the form of this product's errors."""
    try:
        with named_damage():
            yield
    except StoreError as error:
        raise ArchiveError(
            "The archive holds a value that central never wrote.",
            why="Its files are those that central signed: central's store held it.",
            do="Keep the archive and the store, and ask for help.",
        ) from error
