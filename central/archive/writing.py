"""Makes the archive of a closed year: what came in before its end and lies under a safe checkpoint.

Every chain and signature is checked while it is written, so that central never signs an archive that does not
hold. Entries that were received before the year's end but are not safe yet go into the archive of the next.
"""

import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from joserfc.jwk import OKPKey

from renzheng.central.archive.form import FORM, TABLES, Manifest, Writer, write_manifest
from renzheng.central.backup.folders import begin_folder
from renzheng.central.errors import ArchiveError, LogFaultError
from renzheng.central.store import archived, devices, identity, schema
from renzheng.central.store.database import Database
from renzheng.central.store.identity import FormerKeys
from renzheng.central.store.times import to_us
from renzheng.central.verify import store
from renzheng.central.verify.archived import ArchiveNote, open_word, sign_word
from renzheng.central.verify.check import BadEntry, Start, StoredBatch
from renzheng.central.verify.publish import leaves_of, tree_at
from renzheng.common.files import hash_file, put, sync
from renzheng.contracts import keys
from renzheng.contracts.log import Head, genesis


@dataclass(frozen=True, slots=True)
class Signer:
    """Central's key, and those with which it signed before."""

    key: OKPKey
    former: FormerKeys = field(default_factory=FormerKeys)

    @property
    def all(self) -> list[OKPKey]:
        """Every key with which central has signed."""
        return [self.key, *self.former.public.values()]


@dataclass
class _Work:
    """An archive in the making."""

    folder: Path
    archive_id: str
    year: int
    until_us: int
    own: identity.Identity
    after: Any
    signer: Signer
    files: dict[str, Writer]
    devices: list[tuple[str, int, str, str]] = field(default_factory=list)
    last_checkpoint: int = 0


def archive(  # noqa: PLR0917 - of what, as whom, where, when
    database: Database,
    signer: Signer,
    out: Path,
    year: int,
    zone: ZoneInfo,
    now: datetime,
    *,
    again: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> tuple[Path, Manifest]:
    """Write what was received until the end of a year, and is in no earlier archive, into a folder of `out`.

    Args:
        database: the store.
        signer: as whom.
        out: where archives are kept.
        year: the last year that it holds; years before it that were not archived are in it, too.
        zone: whose years.
        now: the moment.
        again: make the archive of that year anew, as long as nothing was pruned after it or a later one;
            later ones are then made anew, too.
        progress: is told of entries written.

    Returns:
        The folder, which is there as a whole or not at all, and its manifest.

    Raises:
        ArchiveError: the year is not over, or was archived; or the folder cannot be written.
        LogFaultError: what central holds does not hold; nothing is archived.
    """
    until = datetime(year + 1, 1, 1, tzinfo=zone)
    if until > now:
        raise ArchiveError(f"The year {year} is not over.", do="Archive closed years only.")
    after = _make_room(database, year, to_us(until), again=again)
    try:
        out.mkdir(parents=True, exist_ok=True, mode=0o700)
        partial, target = begin_folder(out, f"renzheng-archive-{year}")
    except OSError as error:
        raise _unwritten(out, error) from error
    try:
        with database.reading() as connection:
            own = identity.read(connection)
        with ExitStack() as opened:
            files = {name: _open(opened, partial, name) for name in TABLES}
            work = _Work(partial, str(uuid.uuid4()), year, to_us(until), own, after, signer, files)
            for device in store.chosen_devices(database, None):
                with store.named_damage(), database.reading() as connection:
                    _archive_device(connection, work, device, progress)
            with store.named_damage(), database.reading() as connection:
                tree = tree_at(connection, after.last_checkpoint if after else 0)
                _archive_checkpoints(connection, work)
        manifest = _manifest(work, tree.size, [peak.hex() for peak in tree.peaks], until, now)
        sha256 = write_manifest(partial, manifest, signer.key)
        _keep(partial, target)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise _unwritten(out, error) from error
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    recorded = {
        "archive_id": work.archive_id,
        "year": year,
        "manifest_sha256": sha256,
        "last_checkpoint": work.last_checkpoint,
        "archived_at": to_us(now),
    }
    try:
        with database.writing() as connection:
            archived.record(connection, recorded, work.devices)
    except sa.exc.IntegrityError:
        shutil.rmtree(target)
        raise ArchiveError(f"Another run has archived {year} meanwhile.", do="Use its archive.") from None
    return target, manifest


def _make_room(database: Database, year: int, until_us: int, *, again: bool) -> Any:
    """Return the archive that this one goes on from; forget those that are made anew."""
    with database.writing() as connection:
        _must_wait_for_no_round(connection, until_us)
        latest = archived.latest(connection)
        while again and latest is not None and latest.year >= year:
            if archived.is_pruned(connection, latest.archive_id):
                raise ArchiveError(
                    f"The archive of {latest.year} cannot be made anew: its entries were pruned.",
                    why="They lie in that archive alone.",
                    do="Keep its folder, and a copy of it elsewhere.",
                )
            archived.forget(connection, latest.archive_id)
            latest = archived.latest(connection)
        if latest is not None and latest.year >= year:
            raise ArchiveError(
                f"The year {latest.year} was archived already.",
                why="The next archive goes on where that one ends.",
                do="Archive a later year; --again makes this one anew, and later ones then too.",
            )
        return latest


def _must_wait_for_no_round(connection: sa.Connection, until_us: int) -> None:
    """Refuse while answers wait for their round to open: only then it is known whether they are foreign."""
    rounds = schema.rounds
    waiting = (rounds.c.state == "drawn") & (rounds.c.drawn_at < until_us)
    found = connection.execute(sa.select(rounds.c.round_id).where(waiting).limit(1)).scalar()
    if found is not None:
        raise ArchiveError(
            f"The round {found} was drawn in that time and has not opened.",
            why="Whether its answers count is written beside their entries when it opens.",
            do="Archive once the checks of the round are due.",
        )


def _open(opened: ExitStack, folder: Path, name: str) -> Writer:
    writer = Writer(folder, name)
    opened.callback(writer.close)
    return writer


def _archive_device(
    connection: sa.Connection, work: _Work, device: Any, progress: Callable[[int], None]
) -> None:
    """Check and write what a year holds of one device; nothing is written of one without entries."""
    name, begins = device.device_id, _begins(connection, device.device_id, work.signer)
    base = begins.head.sequence
    safe = devices.safe_sequence(connection, name)
    received = (store.stored_batch(row) for part in store.batches(connection, name, base) for row in part)
    cut = clean_cut(received, base, work.until_us, safe)
    if cut == base:
        return
    ends = Head(cut, _hash(connection, name, cut))
    check = store.begin_check(connection, name, ends, begins, cut)
    for part in store.entries(connection, name, base, cut):
        fault = check.take((row.sequence, row.hash, bytes(row.line)) for row in part)
        if fault:
            raise _fault(fault)
        work.files["entries"].add(part)
        progress(len(part))
    ended = check.end()
    if isinstance(ended, BadEntry):
        raise _fault(ended)
    for batch in store.batches(connection, name, base, cut):
        work.files["batches"].add(batch)
    work.files["keys"].add(row for row in store.key_rows(connection, name) if row.from_sequence <= cut)
    lost = identity.lost_of(connection, name)
    work.files["lost"].add(row for row in lost if row.first_sequence <= cut)
    word = sign_word(_word(work, name, begins, check.reached()), work.signer.key)
    work.files["devices"].add([(name, device.institution_id, device.purpose, word)])
    work.devices.append((name, ends.sequence, ends.hash, word))


def clean_cut(batches: Iterable[StoredBatch], base: int, until_us: int, safe: int) -> int:
    """Return the last entry that an archive may end with: no batch goes over it.

    Args:
        batches: those of a device behind `base`, in order of their first entry.
        base: where the archive before ends; returned when there is nothing to archive.
        until_us: batches received from then on are left.
        safe: last entry under a safe checkpoint.
    """
    reached = cut = base
    for batch in batches:
        if batch.first > reached:
            cut = reached
        if batch.received_us >= until_us or batch.last > safe:
            return cut
        reached = max(reached, batch.last)
    return reached


def _begins(connection: sa.Connection, device_id: str, signer: Signer) -> Start:
    rows = archived.rows_of(connection, device_id)
    if not rows:
        return Start(genesis(device_id), {})
    word = open_word(rows[-1].word, signer.all)
    if (word.device_id, word.upto, word.upto_hash) != (device_id, rows[-1].upto_sequence, rows[-1].upto_hash):
        raise ArchiveError(
            f"The store's word on the archive of {device_id} is another's.",
            why="The store was changed.",
            do="Run: renzheng central log verify",
        )
    return word.ends


def _hash(connection: sa.Connection, device_id: str, sequence: int) -> str:
    table = schema.log_entries
    place = (table.c.device_id == device_id) & (table.c.sequence == sequence)
    return connection.execute(sa.select(table.c.hash).where(place)).scalar() or ""


def _word(work: _Work, device_id: str, begins: Start, ends: Start) -> ArchiveNote:
    return ArchiveNote(
        store_id=work.own.store_id,
        archive_id=work.archive_id,
        year=work.year,
        device_id=device_id,
        base=begins.head.sequence,
        base_hash=begins.head.hash,
        base_keys=dict(begins.proven),
        upto=ends.head.sequence,
        upto_hash=ends.head.hash,
        upto_keys=dict(ends.proven),
    )


def _archive_checkpoints(connection: sa.Connection, work: _Work) -> None:
    """Write the safe checkpoints since the archive before, until each device's last entry is under one."""
    open_ends = {name: last for name, last, _, _ in work.devices}
    work.last_checkpoint = work.after.last_checkpoint if work.after else 0
    for row in _checkpoints(connection, work.last_checkpoint):
        if row.taken_at >= work.until_us and not open_ends:
            return
        work.files["checkpoints"].add([row])
        work.last_checkpoint = row.checkpoint_id
        for leaf in leaves_of(row):
            if leaf.head.sequence >= open_ends.get(leaf.device_id, leaf.head.sequence + 1):
                del open_ends[leaf.device_id]


def _checkpoints(connection: sa.Connection, after: int) -> Iterator[Any]:
    """Read safe checkpoints in order, one at a time: each may hold the heads of all devices."""
    table = schema.checkpoints
    while True:
        later = sa.select(table).where(table.c.checkpoint_id > after, table.c.safe == 1)
        row = connection.execute(later.order_by(table.c.checkpoint_id).limit(1)).first()
        if row is None:
            return
        yield row
        after = row.checkpoint_id


def _manifest(work: _Work, tree_size: int, peaks: list[str], until: datetime, now: datetime) -> Manifest:
    former = work.signer.former
    return Manifest(
        form=FORM,
        archive_id=work.archive_id,
        after=work.after.archive_id if work.after else None,
        store_id=work.own.store_id,
        epoch=work.own.epoch,
        year=work.year,
        until=until.isoformat(),
        archived_at=now.isoformat(timespec="seconds"),
        software=version("renzheng"),
        devices=len(work.devices),
        entries=work.files["entries"].count,
        batches=work.files["batches"].count,
        last_checkpoint=work.last_checkpoint,
        tree_size=tree_size,
        tree_peaks=peaks,
        files={f"{name}.parquet": hash_file(work.folder / f"{name}.parquet") for name in TABLES},
        central_keys=[keys.public_pem(one) for one in former.public.values()],
        successions=[word.decode() for word in former.successions],
    )


def _keep(partial: Path, target: Path) -> None:
    """Bring every file onto the disk, for its owner alone, then give the folder its name."""
    for path in sorted(partial.iterdir()):
        path.chmod(0o600)
        sync(path)
    put(partial, target)


def _fault(bad: BadEntry) -> LogFaultError:
    return LogFaultError(
        f"The log of {bad.device_id} does not hold: entry {bad.sequence}, {bad.fault.value}. {bad.detail}",
        why="Central signs no archive of what does not verify; nothing was archived.",
        do="Run: renzheng central log verify; keep the store as it is, restore the last good backup.",
        device_id=bad.device_id,
        sequence=bad.sequence,
    )


def _unwritten(out: Path, error: OSError) -> ArchiveError:
    return ArchiveError(f"The archive cannot be written to {out}: {error}.", do="Check its space and rights.")
