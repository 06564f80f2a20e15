"""Prunes entries that lie in an archive, after both were held against each other row by row.

Of each device one short transaction lets its log begin after the archived entries and keeps the beginnings
of their hashes, so that a second history is still told; only then the rows go, some thousands at once, so
that no device waits. A kill in between leaves rows that nobody reads: the same command again takes them away.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from joserfc.jwk import OKPKey

from renzheng.central.archive.checking import Checked, check_archives
from renzheng.central.archive.form import Archive, Reader
from renzheng.central.errors import ArchiveError
from renzheng.central.store import archived, devices, identity, locks, log, schema
from renzheng.central.store.database import Database
from renzheng.central.store.hashes import same_hash
from renzheng.central.store.times import to_us
from renzheng.central.verify import store
from renzheng.central.verify.archived import ArchiveNote, open_word
from renzheng.central.verify.check import BadEntry, Fault

ENTRIES, BATCHES = schema.log_entries, schema.log_batches
_AT_ONCE = 5_000
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Pruned:
    """What went: of how many devices, and how many entries."""

    year: int
    devices: int
    entries: int


def prune(  # noqa: PLR0917 - what, after which archive, by whose word, when
    database: Database,
    folder: Path,
    by: Sequence[OKPKey],
    last_year: int,
    now: datetime,
    progress: Progress = lambda _: None,
) -> Pruned:
    """Delete from the store the entries and batches that an archive holds.

    Args:
        database: the store.
        folder: the archive.
        by: every key with which central has signed.
        last_year: archives of later years are not pruned after.
        now: the moment.
        progress: is told of entries verified, compared and deleted.

    Raises:
        ArchiveError: the archive does not hold, is of another store, or differs from it; or it is too young.
    """
    with locks.alone(database, "backup") as held:
        if held is None:
            raise ArchiveError(
                "A backup is under way.",
                why="It would begin again at each deletion.",
                do="Prune once it is done.",
            )
        checked = check_archives([folder], by, progress)
        if checked.bad:
            one = checked.bad[0]
            raise _refused(f"its log of {one.device_id} does not hold at entry {one.sequence}: {one.detail}")
        (archive,) = checked.archives
        words = [open_word(row.word, archive.by) for row in Reader(archive, "devices").all()]
        _must_be_ours(database, archive, words, last_year)
        _hold_rows(database, archive, words, progress)
        deleted = [_prune_device(database, word, to_us(now), progress) for word in words]
        _vacuum(database)
    return Pruned(archive.manifest.year, sum(1 for one in deleted if one), sum(deleted))


def hold_joined(database: Database, checked: Checked) -> list[BadEntry]:
    """Hold a store against archives: each device's log goes on where the last of them ends."""
    bad: list[BadEntry] = []
    with store.named_damage(), database.reading() as connection:
        own = identity.read(connection).store_id
        if any(one.manifest.store_id != own for one in checked.archives):
            raise ArchiveError("An archive is of another store.", do="Give this store's own archives.")
        pruned = archived.pruned_devices(connection)
        for name, upto in pruned.items():
            end = checked.ends[name].head.sequence if name in checked.ends else 0
            if end < upto:
                detail = f"They are in an archive, and none was given that holds {end + 1} to {upto}."
                bad.append(BadEntry(name, end + 1, Fault.MISSING, detail))
        for name, start in checked.ends.items():
            end = start.head.sequence
            held = log.hashes(connection, name, end, end).get(end)
            if held is None and name not in pruned:
                detail = "They lie in an archive; the store was set back: renzheng central log take-back."
                bad.append(BadEntry(name, end, Fault.MISSING, detail))
            elif held is None or not same_hash(held, start.head.hash):
                detail = "The store does not hold the entry with which the archives end."
                bad.append(BadEntry(name, end, Fault.FORKED, detail))
    return bad


def _must_be_ours(database: Database, archive: Archive, words: Sequence[ArchiveNote], last_year: int) -> None:
    """Refuse an archive that is not this store's next to be pruned."""
    told = archive.manifest
    if told.year > last_year:
        raise _refused(f"entries of {told.year} stay; those of {last_year} and before may go ([archive])")
    with database.writing() as connection:
        if identity.read(connection).store_id != told.store_id:
            raise _refused("it is of another store")
        known = archived.of_id(connection, told.archive_id)
        if known is None:
            _adopt(connection, archive, words)
        elif known.manifest_sha256 != archive.manifest_sha256:
            raise _refused("its manifest is not the one that was recorded")


def _adopt(connection: sa.Connection, archive: Archive, words: Sequence[ArchiveNote]) -> None:
    """Record an archive of this store that it does not know, as after a crash or a restore."""
    told, latest = archive.manifest, archived.latest(connection)
    if (latest.archive_id if latest else None) != told.after:
        raise _refused("the store does not know it, and it does not go on from the latest that it knows")
    recorded = {
        "archive_id": told.archive_id,
        "year": told.year,
        "manifest_sha256": archive.manifest_sha256,
        "last_checkpoint": told.last_checkpoint,
        "archived_at": to_us(datetime.fromisoformat(told.archived_at)),
    }
    signed = {row.device_id: row.word for row in Reader(archive, "devices").all()}
    rows = [(word.device_id, word.upto, word.upto_hash, signed[word.device_id]) for word in words]
    archived.record(connection, recorded, rows)


def _hold_rows(
    database: Database, archive: Archive, words: Sequence[ArchiveNote], progress: Progress
) -> None:
    """Hold every row of the archive against the store's; what was pruned already is passed over."""
    files = {name: Reader(archive, name) for name in ("keys", "entries", "batches", "lost")}
    for word in words:
        with store.named_damage(), database.reading() as connection:
            if _is_pruned(connection, word):
                _skip(files, word.device_id)
                continue
            _must_be_prunable(connection, word)
            _hold_device(connection, files, word, progress)


def _hold_device(
    connection: sa.Connection, files: dict[str, Reader], word: ArchiveNote, progress: Progress
) -> None:
    name, span = word.device_id, (word.base, word.upto)
    entries = (row for part in store.entries(connection, name, *span) for row in part)
    batches = (row for part in store.batches(connection, name, *span) for row in part)
    _hold_same(name, "entries", files, entries, progress)
    _hold_same(name, "batches", files, batches)
    own = {row.key_id: row for row in store.key_rows(connection, name)}
    for part in files["keys"].of(name):
        for key in files["keys"].named(part):
            here = own.get(key.key_id)
            if here is None or _of_key(here) != _of_key(key):
                raise _refused(f"a key of {name} is another in the store")
    lost = {row.first_sequence: tuple(row) for row in identity.lost_of(connection, name)}
    for part in files["lost"].of(name):
        if any(lost.get(row[1]) != row for row in part):
            raise _refused(f"what is lost of {name} is another in the store")


def _hold_same(
    name: str,
    file: str,
    files: dict[str, Reader],
    stored: Iterator[Any],
    progress: Progress = lambda _: None,
) -> None:
    kept = (row for part in files[file].of(name) for row in part)
    for number, (here, there) in enumerate(zip_longest(stored, kept), 1):
        if here is None or there is None or _plain(here) != there:
            place = (there or here)[1]
            raise _refused(f"a row of {file} of {name}, at entry {place}, is another in the store")
        if number % _AT_ONCE == 0:
            progress(_AT_ONCE)


def _plain(row: Any) -> tuple[Any, ...]:
    return tuple(bytes(value) if isinstance(value, memoryview) else value for value in row)


def _of_key(row: Any) -> tuple[Any, ...]:
    """Return what of a key cannot change: it may have been revoked, or rotated away, since."""
    return (row.device_id, row.public_pem, row.valid_from, row.from_sequence, row.rotated_from)


def _skip(files: dict[str, Reader], device_id: str) -> None:
    for reader in files.values():
        for _ in reader.of(device_id):
            pass


def _is_pruned(connection: sa.Connection, word: ArchiveNote) -> bool:
    return archived.upto(connection, word.device_id, pruned=True) >= word.upto


def _must_be_prunable(connection: sa.Connection, word: ArchiveNote) -> None:
    """Refuse a device whose archived entries are not safe, or do not go on from what was pruned before."""
    name = word.device_id
    if devices.safe_sequence(connection, name) < word.upto:
        raise _refused(f"entry {word.upto} of {name} is under no checkpoint older than the backup interval")
    if archived.upto(connection, name, pruned=True) != word.base:
        raise _refused(f"of {name}, entries up to {word.base} must be pruned first")
    rows = {row.upto_sequence: row for row in archived.rows_of(connection, name)}
    if word.upto not in rows or rows[word.upto].archive_id != word.archive_id:
        raise _refused(f"the store knows another archive of entry {word.upto} of {name}")
    over = (BATCHES.c.device_id == name) & (BATCHES.c.first_sequence <= word.upto)
    over &= BATCHES.c.last_sequence > word.upto
    if connection.execute(sa.select(BATCHES.c.first_sequence).where(over).limit(1)).first() is not None:
        raise _refused(
            f"a later batch of {name} goes over entry {word.upto}; make the archive anew (--again)"
        )


def _prune_device(database: Database, word: ArchiveNote, now_us: int, progress: Progress) -> int:
    """Let a device's log begin after the archive, then delete what lies before; return how many entries."""
    name = word.device_id
    with database.writing() as connection:
        devices.states(connection, [name], lock=True)  # nobody appends meanwhile
        if not _is_pruned(connection, word):
            _must_be_prunable(connection, word)
            archived.keep_hashes(connection, name, _hashes(connection, word))
            archived.mark_pruned(connection, name, word.upto, now_us)
    deleted = 0
    for after in range(word.base, word.upto, _AT_ONCE):
        deleted += _delete(database, name, after, min(after + _AT_ONCE, word.upto), word.upto)
        progress(min(_AT_ONCE, word.upto - after))
    return deleted


def _hashes(connection: sa.Connection, word: ArchiveNote) -> list[tuple[int, str]]:
    """Read the hashes that are about to go, of one device and year."""
    span = ENTRIES.c.sequence.between(word.base + 1, word.upto)
    query = sa.select(ENTRIES.c.sequence, ENTRIES.c.hash).where(ENTRIES.c.device_id == word.device_id, span)
    return [(row[0], row[1]) for row in connection.execute(query.order_by(ENTRIES.c.sequence))]


def _delete(database: Database, device_id: str, after: int, last: int, upto: int) -> int:
    entries = (ENTRIES.c.device_id == device_id) & ENTRIES.c.sequence.between(after + 1, last)
    batches = (BATCHES.c.device_id == device_id) & BATCHES.c.first_sequence.between(after + 1, last)
    with database.writing() as connection:
        connection.execute(sa.delete(BATCHES).where(batches, BATCHES.c.last_sequence <= upto))
        return connection.execute(sa.delete(ENTRIES).where(entries)).rowcount


def _vacuum(database: Database) -> None:
    """Give PostgreSQL the room for new rows at once; SQLite uses freed pages by itself."""
    if database.backend == "postgresql":
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(f"VACUUM (ANALYZE) {ENTRIES.name}, {BATCHES.name}")


def _refused(why: str) -> ArchiveError:
    return ArchiveError(
        f"Nothing is pruned after this archive: {why}.",
        why="What is deleted lies in the archive alone from then on.",
        do="See docs/central.md on archives; if the store differs: renzheng central log verify",
    )
