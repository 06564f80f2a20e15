"""`import_claims`: files of one format into the canonical tables of a folder, and what was not taken."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import tzinfo
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import duckdb
import pyarrow.parquet as pq

from renzheng.central.claims import cancelling, settlements, visits, withdrawn
from renzheng.central.claims.canonical_parquet import ParquetSource
from renzheng.central.claims.dicom import DicomSource
from renzheng.central.claims.fhir import FhirSource
from renzheng.central.claims.files import is_there, literal
from renzheng.central.claims.formats import Format
from renzheng.central.claims.hl7_adt import Hl7Source
from renzheng.central.claims.mapped import MappedSource
from renzheng.central.claims.nhsa import NhsaSource
from renzheng.central.claims.platform import PlatformSource
from renzheng.central.claims.rejects import RowProblem
from renzheng.central.claims.rows import Draft, ZoneOf, finish, refused
from renzheng.central.claims.settle import (
    HISTORY,
    JOURNAL,
    REPLACED,
    Billed,
    SettledTable,
    begin_rejects,
    begin_remarks,
    billed,
    check_output,
    rejected_by_institution,
    replace_stays,
    see_facts,
    settle_table,
    write_rejects,
    write_remarks,
)
from renzheng.central.claims.source import Counted, Ignored, InputFile, Item, Options, Source
from renzheng.central.claims.staging import Staging, database
from renzheng.central.claims.stay_events import (
    LineCancellation,
    LineCode,
    LineUpload,
    Rename,
    Settlement,
    SettlementCancellation,
    StayEvent,
    VisitFact,
)
from renzheng.central.claims.synthea import SyntheaSource
from renzheng.central.claims.withdrawn import ClaimName, ClaimWithdrawal, LineWithdrawal
from renzheng.common.files import hash_file
from renzheng.contracts.errors import InputError, UsageError
from renzheng.contracts.ids import normalised_id, tidy_id
from renzheng.contracts.tables import INPUT_TABLES

_SOURCES: Mapping[Format, Callable[[Options], Source]] = {
    Format.NHSA: NhsaSource,
    Format.HL7: Hl7Source,
    Format.FHIR: FhirSource,
    Format.SYNTHEA: SyntheaSource,
    Format.CSV: MappedSource,
    Format.PARQUET: ParquetSource,
    Format.PLATFORM: PlatformSource,
    Format.DICOM: DicomSource,
}


def open_source(file_format: Format, options: Options) -> Source:
    """Give the reader of a format.

    Raises:
        MappingError: the mapping file that the options name cannot be used.
    """
    return _SOURCES[file_format](options)


_OPTIONAL = ("mapping", "institution", "transaction", "encoding")
_OPTIONS: Mapping[Format, Collection[str]] = {
    Format.NHSA: _OPTIONAL,
    Format.HL7: ("mapping", "institution", "encoding"),
    Format.FHIR: ("mapping", "institution", "encoding"),
    Format.SYNTHEA: ("institution", "encoding"),
    Format.CSV: ("mapping", "encoding"),
    Format.PARQUET: (),
    Format.PLATFORM: ("mapping", "encoding"),
    Format.DICOM: ("mapping", "institution"),
}
"""Which options each format takes."""


class NothingReadError(InputError):
    """Not one row could be taken."""


_MESSAGES = (
    *(visits.EVENTS, visits.RENAMES, visits.FACTS, cancelling.CANCELLATIONS, withdrawn.NAME, withdrawn.LINES),
    *(settlements.SETTLEMENTS, settlements.CANCELLATIONS, settlements.CODES),
)
"""What is no row of a table, but is taken all the same."""


@dataclass(frozen=True, slots=True)
class TableSummary:
    """What became of the rows of one table.

    Args:
        read: rows meant for it; 0 for stays and leaves that follow from messages.
        added: rows that it gained.
        unchanged: rows that were there already, word for word.
        rejected: rows not taken.
        replaced: rows that took the place of an earlier file's.
        warnings: rows taken with a remark.
        reasons: remarks by reason, most frequent first.
    """

    read: int
    added: int
    unchanged: int
    rejected: int
    warnings: int
    reasons: Mapping[str, int]
    replaced: int = 0


@dataclass(frozen=True, slots=True)
class Rejected:
    """Rows of one institution ("" where it could not be read) that were not taken, and their yuan."""

    institution_id: str
    rows: int
    amount: Decimal


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """What an import did.

    Args:
        tables: by name; beside the canonical ones `stay_events` and `visit_facts`, of which only `read` is
            counted.
        ignored: messages and resources of kinds for which no table has a place.
        counted: what was used otherwise than as a row: withdrawn lines, refunded settlements.
        rejected: what each institution sent that was not taken, largest amount first.
        billed: claim lines in all, and refused.
    """

    format: str
    files: int
    out: str
    tables: Mapping[str, TableSummary]
    ignored: Mapping[str, int]
    seconds: float
    counted: Mapping[str, int] = field(default_factory=dict)
    rejected: Sequence[Rejected] = ()
    billed: Billed = field(default_factory=Billed)

    @property
    def refused_share(self) -> Decimal:
        """The refused share of the billed yuan, or of the rows where their amount cannot be read."""
        billed = self.billed
        yuan = billed.refused_yuan / billed.yuan if billed.yuan else Decimal(0)
        return max(yuan, Decimal(billed.unreadable) / billed.rows if billed.rows else Decimal(0))

    @property
    def taken(self) -> int:
        """Rows that are in the tables because of this import, or were already, and messages kept."""
        kept = (self.tables[name].read for name in _MESSAGES if name in self.tables)
        return sum(kept) + sum(
            table.added + table.unchanged + table.replaced for table in self.tables.values()
        )

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values; amounts are text with two places."""
        return {
            **asdict(self),
            "billed": {
                "rows": self.billed.rows,
                "amount": f"{self.billed.yuan:.2f}",
                "refused_amount": f"{self.billed.refused_yuan:.2f}",
                "refused_unreadable": self.billed.unreadable,
            },
            "rejected": [
                {
                    "institution_id": one.institution_id or None,
                    "rows": one.rows,
                    "amount": f"{one.amount:.2f}",
                }
                for one in self.rejected
            ],
        }


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
    and value) and kept as evidence in ``out/rejects.parquet``, rows taken with a remark in
    ``out/warnings/NAME.csv``. Importing the same file again changes nothing. The tables appear at the end,
    each in one rename; memory does not grow with the input.

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
    _check_options(Format(file_format), options)
    source = _SOURCES[Format(file_format)](options)
    files = _files(path)
    check_output(out, source.tables)
    files = source.check(files)
    zone_of = _zones(out, options)
    with Staging.beside(out) as staging:
        if isinstance(source, PlatformSource):
            source.scratch = staging.folder
        if isinstance(source, FhirSource):
            source.know_hourly(_hourly_items(out))
        _read(source, files, staging, zone_of, progress)
        settled = _settle(source, files, staging, out, zone_of, {**_own_zones(out), "": options.zone})
        tables = settled.tables
        summary = ImportSummary(
            format=Format(file_format).value,
            files=len({file.path for file in files}),
            out=str(out),
            tables=tables,
            ignored=dict(sorted(staging.ignored.items())),
            seconds=round(time.perf_counter() - started, 3),
            counted={kind: rows for kind, rows in sorted(staging.counted.items()) if rows},
            rejected=settled.rejected,
            billed=settled.billed,
        )
    if not summary.taken:
        raise NothingReadError(
            f"Not one row of {path} could be taken.",
            why=_commonest(tables, summary.ignored),
            do=f"See {out / 'rejected'} for file, line, field and reason of each row." if tables else "",
            summary=summary,
        )
    return summary


def _check_options(file_format: Format, options: Options) -> None:
    """See that no option is given that the format would silently pass over."""
    taken = _OPTIONS[file_format]
    unused = [name for name in _OPTIONAL if name not in taken and getattr(options, name) is not None]
    if unused:
        raise UsageError(
            f"--format {file_format.value} takes no {', '.join(f'--{name}' for name in unused)}.",
            do="Leave it out, or name the format that it is meant for.",
        )


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
    rows = _columns_of(out, "institutions", "institution_id", "timezone")
    return {normalised_id(code): zone for code, zone in rows if code and zone}


def _hourly_items(out: Path) -> list[str]:
    """Return the codes that the catalogue of `out` bills by the hour."""
    return [code for code, unit in _columns_of(out, "item_catalogue", "item_code", "unit") if unit == "hour"]


def _columns_of(out: Path, name: str, *wanted: str) -> list[tuple[str, ...]]:
    """Return some columns of a small table that lies in `out`; nothing where it or one of them is missing."""
    path, as_csv = out / f"{name}.parquet", out / f"{name}.csv"
    if path.exists():
        file = pq.ParquetFile(path)
        if not set(wanted) <= set(file.schema_arrow.names):
            return []
        table = file.read(columns=list(wanted))
        return list(zip(*(table[column].to_pylist() for column in wanted), strict=True))
    if not as_csv.exists():
        return []
    source = f"read_csv({literal(as_csv)}, header = true, all_varchar = true)"
    with duckdb.connect() as connection:
        columns = {row[0] for row in connection.execute(f"DESCRIBE FROM {source}").fetchall()}
        if not set(wanted) <= columns:
            return []
        query = f"SELECT {', '.join(wanted)} FROM {source}"  # noqa: S608 - quoted path
        return connection.execute(query).fetchall()


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

        for item in source.read(file, zone_of, advance):
            _stage(item, staging, zone_of)
    rest = getattr(source, "rest", None)
    if rest is not None:
        for item in rest(zone_of):
            _stage(item, staging, zone_of)


def _stage(item: Item, staging: Staging, zone_of: ZoneOf) -> None:
    if isinstance(item, Draft):
        staging.count(item.table)
        staging.take(finish(item, zone_of))
    elif isinstance(item, RowProblem):
        staging.read[item.table] += not item.problem.reason.is_warning  # a remark is no row of its own
        if item.problem.reason.is_warning:
            staging.remark(item.table, item.place, item.problem)
        else:
            staging.refuse(refused(item, zone_of))
    elif isinstance(item, LineUpload):
        cancelling.stage(staging, item)
    elif isinstance(item, Settlement | SettlementCancellation | LineCode):
        settlements.stage(staging, item)
    elif isinstance(item, ClaimWithdrawal | ClaimName | LineWithdrawal):
        withdrawn.stage(staging, item)
    elif isinstance(item, LineCancellation):
        staging.count(cancelling.CANCELLATIONS)
        line_id = None if item.line_id is None else tidy_id(item.line_id)
        cancelling.stage(staging, replace(_normalised(item), line_id=line_id))
    elif isinstance(item, Ignored):
        staging.ignored[item.kind] += 1
    elif isinstance(item, Counted):
        staging.counted[item.kind] += item.rows
    else:
        _stage_of_visit(item, staging)


def _stage_of_visit(item: StayEvent | Rename | VisitFact, staging: Staging) -> None:
    if isinstance(item, StayEvent):
        staging.count(visits.EVENTS)
        visits.stage(staging, replace(_normalised(item), person_id=normalised_id(item.person_id)))
    elif isinstance(item, Rename):
        staging.count(visits.RENAMES)
        visits.stage_rename(staging, item)
    else:
        staging.count(visits.FACTS)
        doctor_id = None if item.doctor_id is None else normalised_id(item.doctor_id)
        visits.stage(staging, replace(_normalised(item), doctor_id=doctor_id))


Named = TypeVar("Named", LineCancellation, StayEvent, VisitFact)


def _normalised(item: Named) -> Named:
    """Return it with the one spelling of its institution and visit."""
    return replace(
        item, institution_id=normalised_id(item.institution_id), visit_id=normalised_id(item.visit_id)
    )


@dataclass(frozen=True, slots=True)
class _Outcome:
    tables: dict[str, TableSummary]
    rejected: tuple[Rejected, ...]
    billed: Billed


def _settle(  # noqa: PLR0917 - what an import is made of
    source: Source,
    files: Sequence[InputFile],
    staging: Staging,
    out: Path,
    zone_of: ZoneOf,
    zones: Mapping[str, str],
) -> _Outcome:
    settled: dict[str, SettledTable] = {}
    lines: Path | None = None
    fills: Collection[str] = getattr(source, "fills", ())
    with database(staging.folder) as connection:
        begin_remarks(connection)
        _settle_visits(connection, staging, out, zone_of)
        refused_rows = staging.close("rejected")
        assert refused_rows is not None
        begin_rejects(connection, out, refused_rows, _prints(files), zones)
        cancelling.prepare(connection, staging, out / JOURNAL)
        settlements.prepare(connection, staging, out / JOURNAL)
        for name in source.tables:
            path = staging.close(name)
            if name == "claim_lines":
                gone = withdrawn.drop(connection, staging, path, out, (out / JOURNAL, out / HISTORY))
                staging.counted["lines of claims that are billed no more"] += gone
            if path is None and _is_affected(connection, name, out):
                path = staging.empty(INPUT_TABLES[name])
            if path is not None:
                lines = path if name == "claim_lines" else lines
                if name == "stays" and getattr(source, "replaces_stays", False):
                    given_way = replace_stays(connection, path, out)
                    staging.counted["stays already told by messages"] += given_way
                settled[name] = settle_table(
                    connection, INPUT_TABLES[name], path, out, sources=source.sources, fills=name in fills
                )
        remarks = staging.close("remarks")
        connection.execute(f"INSERT INTO remarks FROM read_parquet({literal(str(remarks))})")
        write_remarks(connection, out, [file.name for file in files], staging.folder)
        write_rejects(connection, out)
        said = _said(connection)
        tables = {
            name: _summarise(said.get(name, _Said()), name, staging, settled.get(name, SettledTable()))
            for name in sorted(staging.read.keys() | settled.keys() | staging.refused.keys())
        }
        rejected = tuple(Rejected(*row) for row in rejected_by_institution(connection))
        return _Outcome(tables, rejected, billed(connection, lines))


def _prints(files: Sequence[InputFile]) -> dict[str, str]:
    """Return the SHA-256 of each file, by name: a file that comes again is known, whatever it is called."""
    prints: dict[Path, str] = {}
    for file in files:
        if file.path not in prints:
            prints[file.path] = hash_file(file.path)
    return {file.name: f"{prints[file.path]} {file.sheet or ''}".strip() for file in files}


def _settle_visits(
    connection: duckdb.DuckDBPyConnection, staging: Staging, out: Path, zone_of: ZoneOf
) -> None:
    events, facts = staging.close(visits.EVENTS), staging.close(visits.FACTS)
    visits.settle_stays(connection, events, staging, out, zone_of)
    kept = out / JOURNAL / f"{visits.FACTS}.parquet"
    if facts is not None:
        kept = visits.add_to_journal(connection, visits.FACTS, facts, out)
    if kept.exists():
        see_facts(connection, kept)


def _is_affected(connection: duckdb.DuckDBPyConnection, name: str, out: Path) -> bool:
    """Whether a table without new rows changes: a stay or a line is gone, a settlement came late."""
    if name == "claim_lines" and (cancelling.any_came(connection) or settlements.any_came(connection)):
        return True
    made = "touched" if name in REPLACED else "facts" if name == "claim_lines" else None
    return made is not None and is_there(connection, made) and (out / f"{name}.parquet").exists()


@dataclass(slots=True)
class _Said:
    """What the remarks say of one table: how often each reason, how many rows were taken with a warning."""

    warnings: int = 0
    reasons: dict[str, int] = field(default_factory=dict)


def _said(connection: duckdb.DuckDBPyConnection) -> dict[str, _Said]:
    """Return what the remarks say of each table, the commonest reason first."""
    said: dict[str, _Said] = {}
    for name, warnings in connection.execute(
        "SELECT target, count(DISTINCT (file, line)) FILTER (warning) FROM remarks GROUP BY target"
    ).fetchall():
        said[name] = _Said(warnings)
    for name, reason, times in connection.execute(
        "SELECT target, reason, count(*) FROM remarks GROUP BY ALL ORDER BY 3 DESC, 2"
    ).fetchall():
        said[name].reasons[reason] = times
    return said


def _summarise(said: _Said, name: str, staging: Staging, settled: SettledTable) -> TableSummary:
    return TableSummary(
        read=staging.read[name],
        added=settled.added,
        unchanged=settled.unchanged,
        rejected=staging.refused[name] + settled.refused,
        replaced=settled.replaced,
        warnings=said.warnings,
        reasons=said.reasons,
    )


def _commonest(tables: Mapping[str, TableSummary], ignored: Mapping[str, int]) -> str:
    reasons = [
        f"{name}: {count} x {reason}"
        for name, table in tables.items()
        for reason, count in table.reasons.items()
    ]
    unused = [f"not used: {count} x {kind}" for kind, count in ignored.items()]
    return "; ".join([*reasons[:5], *unused[:5]]) or "There are no rows in it."
