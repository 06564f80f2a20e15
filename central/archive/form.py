"""The form of an archive: a folder of Parquet files, and a manifest that central has signed.

``manifest.json`` names the archive and the SHA-256 of every other file; ``manifest.jws`` is the signature
over exactly its bytes, a JWS whose payload is detached (RFC 7515, appendix F). The files hold rows as the
store has them, in order of device and sequence: the signatures are the devices' own and verify years later.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import takewhile
from operator import itemgetter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa
from joserfc.jwk import OKPKey

from renzheng.central.errors import ArchiveError
from renzheng.central.store import schema
from renzheng.central.verify.archived import Signed
from renzheng.common.files import hash_file
from renzheng.contracts import keys
from renzheng.contracts.errors import InputError
from renzheng.contracts.messages import open_central_key

MANIFEST, SIGNATURE = "manifest.json", "manifest.jws"
KIND = "application/vnd.renzheng.archive.v1"
FORM = 1
MOST_MANIFEST_BYTES = 100_000
_GROUP_ROWS = 16_384
_ROWS_AT_ONCE = 2_000

WORDS = sa.Table(
    "words",
    sa.MetaData(),
    sa.Column("device_id", sa.Text, nullable=False),
    sa.Column("institution_id", sa.Text, nullable=False),
    sa.Column("purpose", sa.Text, nullable=False),
    sa.Column("word", sa.Text, nullable=False),
)
"""Who each device was, and central's signed word on what of its log lies here."""
TABLES: Mapping[str, sa.Table] = {
    "devices": WORDS,
    "keys": schema.device_keys,
    "entries": schema.log_entries,
    "batches": schema.log_batches,
    "lost": schema.lost_entries,
    "checkpoints": schema.checkpoints,
}
Row = tuple[Any, ...]


class Manifest(Signed):
    """What an archive says of itself.

    Args:
        form: version of the form of the files.
        after: the archive of an earlier year that it goes on from; None for the first.
        until: entries received before this moment (RFC 3339) lie in it, or in an earlier one.
        last_checkpoint: number of the last checkpoint in it, or in an earlier one.
        tree_size: leaves of the tree before the first checkpoint in it.
        tree_peaks: roots of that tree's full parts.
        files: SHA-256 by file name.
        central_keys: public keys (PEM) with which central signed before: notes from their time are in it.
        successions: how each of them vouched for the next.
    """

    form: int
    archive_id: str
    after: str | None
    store_id: str
    epoch: int
    year: int
    until: str
    archived_at: str
    software: str
    devices: int
    entries: int
    batches: int
    last_checkpoint: int
    tree_size: int
    tree_peaks: list[str]
    files: dict[str, str]
    central_keys: list[str]
    successions: list[str]


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive whose manifest is central's and whose files are those that it names.

    Args:
        by: every key with which central has signed until then.
    """

    folder: Path
    manifest: Manifest
    manifest_sha256: str
    by: Sequence[OKPKey]


def write_manifest(folder: Path, manifest: Manifest, key: OKPKey) -> str:
    """Write and sign the manifest; return its SHA-256."""
    content = manifest.to_json()
    header, _, signature = keys.split(keys.sign(content, key, KIND))
    (folder / MANIFEST).write_bytes(content)
    (folder / SIGNATURE).write_bytes(b"%b..%b" % (header, signature))
    return hashlib.sha256(content).hexdigest()


def open_archive(folder: Path, by: Sequence[OKPKey]) -> Archive:
    """Verify the manifest and the hash of every file.

    Args:
        folder: the archive.
        by: keys of central that are trusted; keys that follow from them by its own word are, too.

    Raises:
        ArchiveError: a file is not there, is not the one that was written, or central did not sign it.
    """
    try:
        content, signed = _read(folder / MANIFEST), _read(folder / SIGNATURE)
    except OSError as error:
        raise ArchiveError(
            f"{folder} is no archive: {error.strerror} ({Path(str(error.filename)).name}).",
            do="Give the folder that `renzheng central log archive` has made.",
        ) from None
    trusted = [*by, *_followed(content, by)]
    manifest = _open_manifest(folder, content, signed, trusted)
    _hold_files(folder, manifest)
    former = [keys.load_public_key(pem) for pem in manifest.central_keys]
    return Archive(folder, manifest, hashlib.sha256(content).hexdigest(), [*trusted, *former])


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MOST_MANIFEST_BYTES)


def _open_manifest(folder: Path, content: bytes, signed: bytes, by: Sequence[OKPKey]) -> Manifest:
    for key in by:
        with suppress(InputError, ValueError):
            header, _, signature = keys.split(signed.strip())
            keys.verify_parts(header, keys.encode(content), signature, key, KIND)
            break
    else:
        raise ArchiveError(
            f"The manifest of {folder} is not signed by central's key.",
            why="Then it was changed, or somebody else has made it.",
            do="Check that it is the archive, and central's key of that time.",
        )
    manifest = Manifest.read(content)
    if manifest.form != FORM:
        raise ArchiveError(f"The archive is of form {manifest.form}.", do="Use the version that made it.")
    return manifest


def _followed(content: bytes, by: Sequence[OKPKey]) -> Sequence[OKPKey]:
    """Follow central's changes of key from trusted ones on; each is signed by the key before it."""
    trusted = list(by)
    with suppress(InputError):
        for word in Manifest.read(content).successions:
            for key in tuple(trusted):
                with suppress(InputError):
                    trusted.append(open_central_key(word.encode(), key))
    return trusted[len(by) :]


def _hold_files(folder: Path, manifest: Manifest) -> None:
    wanted = {f"{name}.parquet" for name in TABLES}
    if manifest.files.keys() != wanted:
        raise ArchiveError("The manifest does not name the files of an archive.", do="Keep it, ask central.")
    for name in sorted(wanted):
        try:
            found = hash_file(folder / name)
        except OSError as error:
            raise ArchiveError(
                f"{name} of the archive {folder} cannot be read: {error.strerror}.",
                do="Take another copy of the archive.",
            ) from None
        if found != manifest.files[name]:
            raise ArchiveError(
                f"{name} of the archive {folder} is not the file that central signed.",
                why="The disk that it lay on has failed, or somebody has changed it.",
                do="Take another copy of the archive.",
                file=name,
            )


def shape_of(table: sa.Table) -> pa.Schema:
    """Derive the columns of a file from the table of which it holds rows."""
    types = {sa.Text: pa.string(), sa.LargeBinary: pa.binary()}
    return pa.schema(
        [
            pa.field(column.name, types.get(type(column.type), pa.int64()), nullable=bool(column.nullable))
            for column in table.columns
        ]
    )


class Writer:
    """Writes one file of an archive, some thousands of rows at once."""

    def __init__(self, folder: Path, name: str) -> None:
        self._shape = shape_of(TABLES[name])
        self._file = pq.ParquetWriter(folder / f"{name}.parquet", self._shape, compression="zstd")
        self._rows: list[Row] = []
        self.count = 0

    def add(self, rows: Iterable[Sequence[Any]]) -> None:
        """Add rows, values in the order of the table's columns."""
        self._rows += [tuple(row) for row in rows]
        if len(self._rows) >= _GROUP_ROWS:
            self._write()

    def close(self) -> None:
        """Write what is left, and the file's end."""
        self._write()
        self._file.close()

    def _write(self) -> None:
        if self._rows:
            columns = zip(*self._rows, strict=True)
            typed = zip(columns, self._shape, strict=True)
            arrays = [pa.array(values, field.type) for values, field in typed]
            self._file.write_table(pa.Table.from_arrays(arrays, schema=self._shape))
        self.count += len(self._rows)
        self._rows = []


class Reader:
    """Reads one file of an archive in order, device after device, some thousands of rows at once."""

    def __init__(self, archive: Archive, name: str) -> None:
        self._name, self._table = name, TABLES[name]
        columns = self._table.columns.keys()
        self._whose = columns.index("device_id") if "device_id" in columns else 0
        self.read = 0
        try:
            self._file = pq.ParquetFile(archive.folder / f"{name}.parquet", pre_buffer=False)
            fitting = self._file.schema_arrow.equals(shape_of(self._table))
        except (pa.ArrowException, OSError) as error:
            raise self._unreadable(type(error).__name__) from None
        if not fitting:
            raise self._unreadable("it has other columns")
        self._parts = self._tell(self._file.iter_batches(batch_size=_ROWS_AT_ONCE))
        self._ahead: list[Row] = []

    def of(self, device_id: str) -> Iterator[list[Row]]:
        """Read the rows of the device that is next, if it is this one."""
        while self.next_device() == device_id:
            count = len(self._ahead)
            if self._ahead[-1][self._whose] != device_id:
                count = sum(1 for _ in takewhile(lambda row: row[self._whose] == device_id, self._ahead))
            part, self._ahead = self._ahead[:count], self._ahead[count:]
            self.read += count
            yield part

    def next_device(self) -> str | None:
        """Return whose the next row is; None at the end."""
        if not self._ahead:
            self._ahead = next(self._parts, [])
        return self._ahead[0][self._whose] if self._ahead else None

    def all(self) -> Iterator[SimpleNamespace]:
        """Read every row, columns by name."""
        for part in self._parts:
            yield from self.named(part)

    def named(self, rows: Iterable[Row]) -> Iterator[SimpleNamespace]:
        """Give the columns of rows their names."""
        names = self._table.columns.keys()
        return (SimpleNamespace(**dict(zip(names, row, strict=True))) for row in rows)

    def first_of(self, rows: Iterable[Row], *columns: str) -> Iterator[Row]:
        """Take some columns of rows."""
        take = itemgetter(*(self._table.columns.keys().index(column) for column in columns))
        return (take(row) for row in rows)

    def _tell(self, batches: Iterator[pa.RecordBatch]) -> Iterator[list[Row]]:
        try:
            for batch in batches:
                yield list(zip(*(column.to_pylist() for column in batch.columns), strict=True))
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise self._unreadable(type(error).__name__) from None

    def _unreadable(self, why: str) -> ArchiveError:
        return ArchiveError(
            f"{self._name}.parquet of the archive cannot be read: {why}.",
            do="Take another copy of the archive.",
        )
