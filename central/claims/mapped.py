"""Any CSV, XLSX or JSON by a mapping file, and canonical tables, which are the case without one.

A mapping file is TOML::

    table = "claim_lines"            # the canonical table
    timezone = "Asia/Shanghai"       # of times without an offset; left out: as given on the command line
    delimiter = ";"                  # left out: the one that the header has most of
    encoding = "gb18030"             # left out: detected

    [columns]                        # canonical column = where it comes from
    line_id = { columns = ["HOSP", "VISIT", "SEQ"] }       # joined with colons
    institution_id = "HOSP"                                # a column
    service_time = { column = "FEE_TIME", format = "%d/%m/%Y %H:%M" }
    visit_type = { column = "KIND", values = { "1" = "outpatient", "2" = "inpatient" } }
    department = { constant = "dialysis" }

A file of JSON objects, one a line or an array of them, is read likewise: a column is a key, `run.begin` a key
within a key. A canonical column that is not named under `[columns]` is empty; one that may not be empty must
be named.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel, ConfigDict, Field, model_validator

from renzheng.central.claims.delimited import BadLine, HeaderError, Record, Table, open_table
from renzheng.central.claims.json_stream import is_json
from renzheng.central.claims.json_table import open_objects
from renzheng.central.claims.mapping_file import read_toml, validated
from renzheng.central.claims.nhsa_lines import join_id
from renzheng.central.claims.rejects import Problem, Reason, RowProblem, shown
from renzheng.central.claims.rows import Draft, LocalTime, ZoneOf
from renzheng.central.claims.source import Advance, Ignored, InputFile, Item, Missing, Options
from renzheng.central.claims.typing_habits import RowNormaliser
from renzheng.central.claims.values import ValueProblem
from renzheng.central.claims.workbook import is_workbook, sheets
from renzheng.contracts.tables import INPUT_TABLES, ColumnType


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Origin(_Strict):
    """Where a canonical column comes from: one column, several joined, or a constant."""

    column: str | None = None
    columns: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    constant: str | None = None
    format: str | None = None
    values: Mapping[str, str] | None = None

    @model_validator(mode="after")
    def _one(self) -> "Origin":
        if (self.column is not None) + bool(self.columns) + (self.constant is not None) != 1:
            raise ValueError("name exactly one of column, columns and constant")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The file's columns that it needs."""
        return (self.column,) if self.column is not None else self.columns


class MappingFile(_Strict):
    """A mapping file, read."""

    table: str
    timezone: str | None = None
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    encoding: str | None = None
    columns: Mapping[str, str | Origin]

    @model_validator(mode="after")
    def _known(self) -> "MappingFile":
        table = INPUT_TABLES.get(self.table)
        if table is None:
            raise ValueError(f"{self.table!r} is none of the tables {', '.join(INPUT_TABLES)}")
        unknown = [name for name in self.columns if name not in table.by_name]
        if unknown:
            raise ValueError(f"{self.table} has no column {', '.join(unknown)}")
        unnamed = [
            column.name
            for column in table.columns
            if not (column.nullable or column.may_be_absent or column.name in self.columns)
        ]
        if unnamed:
            raise ValueError(f"{self.table} cannot do without {', '.join(unnamed)}")
        if self.timezone is not None and self.timezone not in available_timezones():
            raise ValueError(f"{self.timezone!r} is no time zone")
        return self

    def origin(self, column: str) -> Origin:
        """Where a canonical column comes from."""
        origin = self.columns[column]
        return Origin(column=origin) if isinstance(origin, str) else origin


def read_mapping(path: Path) -> MappingFile:
    """Read a mapping file.

    Raises:
        MappingError: it is not there, not TOML, or says something that is not known.
    """
    return validated(MappingFile, read_toml(path), path)


def table_of(columns: Sequence[str]) -> tuple[str, list[str]]:
    """Find the canonical table that a file holds by its columns, and which of its columns are lacking.

    The table is the one that lacks least of its obligatory columns, relative to their number; columns that
    may be empty decide a tie.
    """
    present = set(columns)

    def share(name: str) -> tuple[float, int]:
        needed = [column.name for column in INPUT_TABLES[name].columns if not column.nullable]
        return sum(one in present for one in needed) / len(needed), len(
            present & set(INPUT_TABLES[name].by_name)
        )

    table = max(INPUT_TABLES, key=share)
    return table, [
        column.name
        for column in INPUT_TABLES[table].columns
        if column.name not in present and not column.nullable and not column.may_be_absent
    ]


@dataclass(frozen=True, slots=True)
class _Plan:
    table: str
    origins: Mapping[str, Origin]
    sources: Mapping[str, str]
    zone: tzinfo | LocalTime


class MappedSource:
    """CSV and XLSX by a mapping file; without one, those whose columns are those of a canonical table."""

    tables: Sequence[str] = tuple(INPUT_TABLES)
    sources: Mapping[str, str] = {}

    def __init__(self, options: Options) -> None:
        self._options = options
        self._mapping = read_mapping(options.mapping) if options.mapping else None
        self._plan = _plan(self._mapping) if self._mapping else None
        self._beside: dict[str, int] = {}
        self._known = frozenset(
            {name for origin in self._plan.origins.values() for name in origin.names}
            if self._plan
            else {name for table in INPUT_TABLES.values() for name in table.by_name}
        )
        if self._plan:
            self.tables = (self._plan.table,)
            self.sources = self._plan.sources

    def check(self, files: Sequence[InputFile]) -> list[InputFile]:
        """Name every column that any file lacks."""
        missing = Missing()
        kept: list[InputFile] = []
        for file in files:
            one_by_one = {sheet: self._lacking(sheet) for sheet in sheets_of(file)}
            fitting = [sheet for sheet, lacking in one_by_one.items() if not lacking]
            kept += fitting
            self._beside[file.name] = 0 if not fitting else len(one_by_one) - len(fitting)
            if not fitting:
                sheet, lacking = min(one_by_one.items(), key=lambda found: len(found[1]))
                missing.add(sheet.name, lacking)
        missing.raise_if_any("Export the missing columns, or say with --mapping where they come from.")
        return kept

    def _lacking(self, file: InputFile) -> list[str]:
        """Name the columns that a file, or a sheet, lacks."""
        try:
            columns = self._open(file, lambda _: None).columns
        except HeaderError:
            if file.sheet is None:
                raise
            return ["(header)"]
        if self._plan:
            needed = dict.fromkeys(name for origin in self._plan.origins.values() for name in origin.names)
            return [name for name in needed if name not in columns]
        table, lacking = table_of(columns)
        return [f"{name} (of {table})" for name in lacking]

    def read(self, file: InputFile, zone_of: ZoneOf, advance: Advance) -> Iterator[Item]:
        """Read one file."""
        del zone_of  # rows are typed later
        opened = self._open(file, advance)
        table = self._plan.table if self._plan else table_of(opened.columns)[0]
        for _ in range(self._beside.pop(file.name.partition("#")[0], 0)):
            yield Ignored("sheet without the columns that are needed")
        # a sheet's times have no offset, nor can they: they are those of the institution
        zone = LocalTime.INSTITUTION if opened.separator == "" else LocalTime.REFUSED
        for row, problems in RowNormaliser(opened, self._kinds(table)).rows():
            if isinstance(row, BadLine):
                yield RowProblem(table, row.place, row.problem, self._constants())
            elif self._plan is None:
                yield Draft(table, row.place, row.fields, problems=problems, zone=zone)
            else:
                yield _draft(self._plan, row, problems)

    def _constants(self) -> dict[str, object]:
        """Return what is known even of a line that cannot be read."""
        origins = self._plan.origins if self._plan else {}
        return {name: one.constant for name, one in origins.items() if one.constant is not None}

    def _kinds(self, table: str) -> dict[str, ColumnType]:
        """Return the file's columns that hold something typed, with the type."""
        by_name = INPUT_TABLES[table].by_name
        if self._plan is None:
            return {name: column.type for name, column in by_name.items()}
        return {
            origin.column: by_name[name].type
            for name, origin in self._plan.origins.items()
            if origin.column is not None and origin.format is None and origin.values is None
        }

    def _open(self, file: InputFile, advance: Advance) -> Table:
        mapping = self._mapping
        if not is_workbook(file.path) and is_json(file.path):
            encoding = (mapping.encoding if mapping else None) or self._options.encoding
            return open_objects(file.path, file.name, self._known, encoding=encoding, advance=advance)
        return open_table(
            file.path,
            encoding=(mapping.encoding if mapping else None) or self._options.encoding,
            delimiter=mapping.delimiter if mapping else None,
            advance=advance,
            name=file.name,
            known=self._known,
            sheet=file.sheet,
        )


def sheets_of(file: InputFile) -> list[InputFile]:
    """Return a workbook's visible sheets as files of their own, ``NAME#SHEET``; any other file as it is.

    A workbook with one sheet keeps its name.
    """
    if not is_workbook(file.path):
        return [file]
    found = sheets(file.path)
    if len(found) <= 1:
        return [file]
    return [InputFile(file.path, f"{file.name}#{sheet.name}", sheet.name) for sheet in found]


def _plan(mapping: MappingFile) -> _Plan:
    origins = {name: mapping.origin(name) for name in mapping.columns}
    return _Plan(
        mapping.table,
        origins,
        {name: "+".join(origin.names) or name for name, origin in origins.items()},
        LocalTime.INSTITUTION if mapping.timezone is None else ZoneInfo(mapping.timezone),
    )


def _draft(plan: _Plan, record: Record, found: tuple[Problem, ...] = ()) -> Draft:
    values: dict[str, object] = {}
    problems = list(found)
    for name, origin in plan.origins.items():
        try:
            values[name] = _value(origin, record.fields)
        except ValueProblem as problem:
            values[name] = None
            given = " ".join(record.fields[one] for one in origin.names)
            problems.append(Problem(plan.sources[name], problem.reason, shown(given)))
    return Draft(plan.table, record.place, values, plan.sources, tuple(problems), plan.zone)


def _value(origin: Origin, fields: Mapping[str, str]) -> object:
    if origin.constant is not None:
        return origin.constant
    parts = [fields[name].strip() for name in origin.names]
    if origin.columns:
        if not all(parts):
            raise ValueProblem(Reason.MISSING)
        return join_id(*parts)
    text = parts[0]
    if text and origin.values is not None:
        if text not in origin.values:
            raise ValueProblem(Reason.UNKNOWN_VALUE)
        text = origin.values[text]
    if text and origin.format is not None:
        try:
            return datetime.strptime(text, origin.format)  # noqa: DTZ007 - the mapping's zone is set afterwards
        except ValueError:
            raise ValueProblem(Reason.BAD_TIME) from None
    return text
