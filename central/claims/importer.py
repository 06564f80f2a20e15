"""`import_claims`: files of one format into the canonical tables of a folder, and what was not taken."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import tzinfo
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import duckdb

from renzheng.central.claims.canonical_parquet import ParquetSource
from renzheng.central.claims.mapped import MappedSource
from renzheng.central.claims.nhsa import NhsaSource
from renzheng.central.claims.rejects import Remark
from renzheng.central.claims.rows import Draft, ZoneOf, finish
from renzheng.central.claims.settle import (
    Settled,
    begin_remarks,
    check_output,
    literal,
    settle_table,
    write_remarks,
)
from renzheng.central.claims.source import InputFile, Item, Options, Source
from renzheng.central.claims.staging import Staging, database
from renzheng.contracts.errors import InputError, UsageError
from renzheng.contracts.tables import INPUT_TABLES


class Format(StrEnum):
    """The formats that can be imported."""

    NHSA = "nhsa"
    CSV = "csv"
    PARQUET = "parquet"


_SOURCES: Mapping[Format, Callable[[Options], Source]] = {
    Format.NHSA: NhsaSource,
    Format.CSV: MappedSource,
    Format.PARQUET: ParquetSource,
}


class NothingReadError(InputError):
    """Not one row could be taken."""


@dataclass(frozen=True, slots=True)
class TableSummary:
    """What became of the rows of one table.

    Args:
        read: rows meant for it.
        added: rows that it gained.
        unchanged: rows that were there already, word for word.
        rejected: rows not taken.
        warnings: rows taken with a remark.
        reasons: remarks by reason, most frequent first.
    """

    read: int
    added: int
    unchanged: int
    rejected: int
    warnings: int
    reasons: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """What an import did."""

    format: str
    files: int
    out: str
    tables: Mapping[str, TableSummary]
    seconds: float

    @property
    def taken(self) -> int:
        """Rows that are in the tables because of this import, or were already."""
        return sum(table.added + table.unchanged for table in self.tables.values())

    def to_json(self) -> dict[str, Any]:
        """Give it as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an import is, in bytes of its input."""

    done: int
    total: int
    file: str


def import_claims(
    path: Path,
    out: Path,
    *,
    file_format: Format | str,
    options: Options | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
) -> ImportSummary:
    """Import a file, or every file in a folder, into the canonical tables of `out`.

    Rows that cannot be taken are listed in ``out/rejected/NAME.csv`` (file, line, field, reason, explanations
    and value), rows taken with a remark in ``out/warnings/NAME.csv``. Importing the same file again changes
    nothing. The tables appear at the end, each in one rename; memory does not grow with the input.

    Args:
        path: a file, or a folder whose files are all of the format.
        out: the folder of the tables; made where it is not there.
        file_format: one of `Format`.
        options: what the user says about the input.
        progress: called now and then.

    Raises:
        InputError: no file, an encoding that is not read, missing columns (all named at once), a broken
            mapping file, or, once the list of rejects is written, `NothingReadError`: no row could be taken.
        UsageError: an unknown time zone, or an option that the format does not take.
    """
    started = time.perf_counter()
    options = options or Options()
    source = _SOURCES[Format(file_format)](options)
    files = _files(path)
    check_output(out, source.tables)
    source.check(files)
    with Staging.beside(out) as staging:
        _read(source, files, staging, _zones(out, options), progress)
        tables = _settle(source, files, staging, out)
    summary = ImportSummary(
        Format(file_format).value, len(files), str(out), tables, round(time.perf_counter() - started, 3)
    )
    if not summary.taken:
        raise NothingReadError(
            f"Not one row of {path} could be taken.",
            why=_commonest(tables),
            do=f"See {out / 'rejected'} for file, line, field and reason of each row." if tables else "",
            summary=summary,
        )
    return summary


def _files(path: Path) -> list[InputFile]:
    if path.is_dir():
        found = [
            InputFile(file, file.relative_to(path).as_posix())
            for file in sorted(path.rglob("*"))
            if file.is_file() and not any(part.startswith(".") for part in file.relative_to(path).parts)
        ]
    else:
        found = [InputFile(path, path.name)] if path.is_file() else []
    if not found:
        raise InputError(
            f"{path} is no file, and no folder with files in it.", do="Check the path.", path=str(path)
        )
    return found


def _zones(out: Path, options: Options) -> ZoneOf:
    """Give each institution's zone from ``out/institutions`` where that is there, else the user's."""
    usual = _zone(options.zone)
    own = _own_zones(out)

    @cache
    def zone_of(institution_id: str) -> tzinfo:
        return _zone(own[institution_id]) if own.get(institution_id) else usual

    return zone_of


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise UsageError(f"{name!r} is no time zone.", do="Use an IANA name such as Asia/Shanghai.") from None


def _own_zones(out: Path) -> dict[str, str]:
    for suffix, reader in (
        ("parquet", "read_parquet({})"),
        ("csv", "read_csv({}, header = true, all_varchar = true)"),
    ):
        path = out / f"institutions.{suffix}"
        if path.exists():
            with duckdb.connect() as connection:
                rows = connection.execute(
                    f"SELECT institution_id, timezone FROM {reader.format(literal(path))}"  # noqa: S608 - quoted path
                ).fetchall()
            return dict(rows)
    return {}


def _read(
    source: Source,
    files: Sequence[InputFile],
    staging: Staging,
    zone_of: ZoneOf,
    progress: Callable[[Progress], None],
) -> None:
    total = sum(file.path.stat().st_size for file in files)
    done = 0
    for file in files:

        def advance(read_bytes: int, name: str = file.name) -> None:
            nonlocal done
            done += read_bytes
            progress(Progress(done, total, name))

        for item in source.read(file, advance):
            _stage(item, staging, zone_of)


def _stage(item: Item, staging: Staging, zone_of: ZoneOf) -> None:
    if isinstance(item, Draft):
        staging.take(finish(item, zone_of))
    elif isinstance(item, Remark):
        staging.count(item.table)
        staging.remark(item.table, item.place, item.problem)


def _settle(
    source: Source, files: Sequence[InputFile], staging: Staging, out: Path
) -> dict[str, TableSummary]:
    staged = staging.close()
    settled: dict[str, Settled] = {}
    with database(staging.folder) as connection:
        begin_remarks(connection, staged["remarks"])
        for name, path in staged.items():
            if name in INPUT_TABLES:
                settled[name] = settle_table(connection, INPUT_TABLES[name], path, out, source.sources)
        write_remarks(connection, out, [file.name for file in files], staging.folder)
        return {
            name: _summarise(connection, name, read, settled.get(name, Settled(0, 0)))
            for name, read in sorted(staging.read.items())
        }


def _summarise(connection: duckdb.DuckDBPyConnection, name: str, read: int, settled: Settled) -> TableSummary:
    counts = connection.execute(
        "SELECT reason, count(*) FROM remarks WHERE target = ? GROUP BY reason ORDER BY 2 DESC, 1", [name]
    ).fetchall()
    rows = connection.execute(
        "SELECT warning, count(DISTINCT (file, line)) FROM remarks WHERE target = ? GROUP BY warning", [name]
    ).fetchall()
    by_kind = dict(rows)
    return TableSummary(
        read=read,
        added=settled.added,
        unchanged=settled.unchanged,
        rejected=read - settled.added - settled.unchanged,
        warnings=by_kind.get(True, 0),
        reasons=dict(counts),
    )


def _commonest(tables: Mapping[str, TableSummary]) -> str:
    reasons = [
        f"{name}: {count} x {reason}"
        for name, table in tables.items()
        for reason, count in table.reasons.items()
    ]
    return "; ".join(reasons[:5]) if reasons else "There are no rows in it."
