"""What every format is to the importer: something that checks its files first and then yields items."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from renzheng.central.claims.rejects import RowProblem
from renzheng.central.claims.rows import Draft, ZoneOf
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
from renzheng.central.claims.withdrawn import ClaimName, ClaimWithdrawal, LineWithdrawal
from renzheng.contracts.errors import InputError


@dataclass(frozen=True, slots=True)
class Ignored:
    """Something well-formed for which no table of the audit has a place; it is counted by `kind`."""

    kind: str


@dataclass(frozen=True, slots=True)
class Counted:
    """Something that was used in another way than as a row of a table; it is counted by `kind`."""

    kind: str
    rows: int = 1


Told = Settlement | SettlementCancellation | LineCode | ClaimWithdrawal | ClaimName | LineWithdrawal
Item = (
    Draft
    | RowProblem
    | StayEvent
    | Rename
    | VisitFact
    | LineCancellation
    | LineUpload
    | Told
    | Ignored
    | Counted
)
Advance = Callable[[int], None]


class ColumnsError(InputError):
    """Columns that an import cannot do without are missing; all of them are named."""


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file to read.

    Args:
        path: where it is.
        name: how remarks call it (its path within the folder that was given).
        sheet: of a workbook, the sheet to read; None: the first that is not empty.
    """

    path: Path
    name: str
    sheet: str | None = None


class Source(Protocol):
    """One format.

    A source may have two more attributes: `fills`, the tables in which a blank of a later row keeps what an
    earlier import said, and `replaces_stays`, when its stays replace those of an earlier import of the visit;
    and a method `rest(zone_of)`, which yields what can be said only when every file has been read.
    """

    tables: Sequence[str]
    """The canonical tables it can add to."""

    sources: Mapping[str, str]
    """Canonical column to the field's name in this format, for remarks about repeated rows."""

    def check(self, files: Sequence[InputFile]) -> list[InputFile]:
        """Look at every file's beginning; raise once, naming everything that is missing anywhere.

        Returns:
            The files in the order in which they are to be read.
        """
        ...

    def read(self, file: InputFile, zone_of: ZoneOf, advance: Advance) -> Iterator[Item]:
        """Read one file; `zone_of` gives the zone of local times, `advance` is told of bytes done."""
        ...


@dataclass(frozen=True, slots=True)
class Options:
    """What the user says about the input.

    Args:
        mapping: a mapping file (TOML).
        institution: code of the institution for rows that do not name theirs.
        transaction: NHSA transaction number for files that do not name theirs.
        encoding: utf-8 or gb18030 where it is known; detected otherwise.
        zone: name of the zone of local times, for institutions that have none of their own.
    """

    mapping: Path | None = None
    institution: str | None = None
    transaction: str | None = None
    encoding: str | None = None
    zone: str = "Asia/Shanghai"


@dataclass(slots=True)
class Missing:
    """Gathers missing columns over files, to be raised together."""

    by_file: dict[str, list[str]] = field(default_factory=dict)

    def add(self, file: str, columns: Sequence[str]) -> None:
        """Note what a file lacks."""
        if columns:
            self.by_file[file] = list(columns)

    def raise_if_any(self, do: str) -> None:
        """Raise when anything is missing.

        Raises:
            ColumnsError: naming every file with every column that it lacks.
        """
        if self.by_file:
            raise ColumnsError(
                "; ".join(
                    f"{file} has no column {', '.join(columns)}" for file, columns in self.by_file.items()
                )
                + ".",
                why="Without them no row can be read; nothing was imported.",
                do=do,
                missing=self.by_file,
            )
