"""Find the input tables in a folder that only Spark reaches, and read them as the canonical types."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from renzheng.central.audit.hadoop_files import Entry, HadoopFiles
from renzheng.central.audit.sources import (
    Problem,
    Source,
    find_sources,
    missing_columns,
    mistyped,
    read_rejects,
    unusable,
)
from renzheng.central.audit.spark_session import SPARK_FAULTS, first_line
from renzheng.contracts.tables import INPUT_TABLES, REJECTS, Column, ColumnType, Table

_WHOLE = ("tinyint", "smallint", "int", "bigint")
_NUMBERS = (*_WHOLE, "float", "double", "decimal")
_ACCEPTED: Mapping[ColumnType, Sequence[str]] = {
    ColumnType.TEXT: ("string", "varchar", "char"),
    ColumnType.INTEGER: _WHOLE,
    ColumnType.DOUBLE: _NUMBERS,
    ColumnType.BOOLEAN: ("boolean",),
    ColumnType.DATE: ("date",),
    ColumnType.TIMESTAMP: ("timestamp", "timestamp_ntz"),
    ColumnType.QUANTITY: _NUMBERS,
    ColumnType.AMOUNT: _NUMBERS,
}
"""Spark's types that hold a canonical type without guessing; a naive timestamp is UTC, as every time is."""


class LakeTables:
    """The tables of a lake: Parquet is read where it is; CSV, for small tables, is fetched to this machine.

    Args:
        spark: the audit's session.
        files: its file systems.
        folder: address of the folder with the tables.
        here: a folder of this machine for what is fetched.
    """

    def __init__(self, spark: SparkSession, files: HadoopFiles, folder: str, here: Path) -> None:
        self._spark = spark
        self._folder = folder
        self._here = here
        here.mkdir(exist_ok=True)
        self.entries = files.files(folder)
        known = (*INPUT_TABLES, REJECTS.name)
        self._forms: dict[str, list[Entry]] = {}
        for entry in self.entries:
            form = entry.address.split(f"{_bare(folder)}/", 1)[-1].split("/", 1)[0]
            if form.removesuffix(".parquet").removesuffix(".csv") in known:
                self._forms.setdefault(form, []).append(entry)
        for name in known:
            if f"{name}.csv" in self._forms:
                files.download(self._forms[f"{name}.csv"][0].address, here / f"{name}.csv")

    def sources(self) -> dict[str, Source]:
        """Look for every input table.

        Raises:
            TablesUnusableError: with every missing or mistyped column of every table.
        """
        sources = find_sources(self._here)
        problems: list[Problem] = []
        for table in INPUT_TABLES.values():
            source, found = self._found(table, sources[table.name])
            sources[table.name] = source
            problems.extend(found)
        if problems:
            raise unusable(self._folder, problems)
        return sources

    def rejects(self) -> list[dict[str, Any]]:
        """Read what importers did not take, as leniently as `read_rejects` does."""
        frame = self._frame(REJECTS.name)
        if frame is None:
            return read_rejects(self._here)
        present = set(frame.columns)
        selected = (
            f"TRY_CAST(CAST(`{column.name}` AS STRING) AS {column.type.value}) AS `{column.name}`"
            if column.name in present
            else f"CAST(NULL AS {column.type.value}) AS `{column.name}`"
            for column in REJECTS.columns
        )
        rows: list[dict[str, Any]] = frame.selectExpr(*selected).toArrow().to_pylist()
        return rows

    def _found(self, table: Table, fetched: Source) -> tuple[Source, list[Problem]]:
        forms = [form for form in self._forms_of(table.name) if form in self._forms]
        if len(forms) > 1:
            told = f"there are several: {', '.join(forms)}"
            return fetched, [Problem(table.name, "", None, told, "Keep the one that is meant")]
        try:
            frame = self._frame(table.name)
            if frame is None:
                return fetched, []
            return self._parquet(table, frame)
        except SPARK_FAULTS as error:
            told = f"cannot be read: {first_line(error)}"
            return fetched, [Problem(table.name, "", None, told, "Write the files anew")]

    def _parquet(self, table: Table, frame: DataFrame) -> tuple[Source, list[Problem]]:
        files, base = self._files_of(table.name)
        kinds = {one.name: one.dataType.simpleString() for one in frame.schema.fields}
        problems = list(missing_columns(table, kinds, None))
        problems += [
            mistyped(table, column, None, kinds[column.name])
            for column in table.columns
            if column.name in kinds and not _holds(frame, column, kinds[column.name])
        ]
        expressions = tuple(_read_as(column, kinds.get(column.name)) for column in table.columns)
        return Source(table, None, parquet=files, base=base, expressions=expressions), problems

    def _frame(self, name: str) -> DataFrame | None:
        files, base = self._files_of(name)
        if not files:
            return None
        reader = self._spark.read.option("mergeSchema", "true")
        return (reader if base is None else reader.option("basePath", base)).parquet(*files)

    def _files_of(self, name: str) -> tuple[tuple[str, ...], str | None]:
        """List the Parquet files of a table, and the folder that they hang from."""
        for form in self._forms_of(name)[:2]:
            entries = [one for one in self._forms.get(form, ()) if one.name.endswith(".parquet")]
            if entries:
                alone = len(entries) == 1 and entries[0].address.endswith(f"{_bare(self._folder)}/{form}")
                base = None if alone else f"{self._folder}/{form}"
                return tuple(one.address for one in entries), base
        return (), None

    @staticmethod
    def _forms_of(name: str) -> tuple[str, str, str]:
        return f"{name}.parquet", name, f"{name}.csv"


def _bare(address: str) -> str:
    """Return the path of an address, without scheme and host."""
    rest = address.split("://", 1)[-1]
    return "/" + rest.split("/", 1)[-1].strip("/")


def _holds(frame: DataFrame, column: Column, kind: str) -> bool:
    """Tell whether a type holds the canonical one; a column without any value always does."""
    if kind.split("(", maxsplit=1)[0] in _ACCEPTED[column.type]:
        return True
    return frame.where(f"`{column.name}` IS NOT NULL").limit(1).count() == 0


def _read_as(column: Column, kind: str | None) -> str:
    wanted = column.type.value
    if kind is None:
        return f"CAST(NULL AS {wanted}) AS {column.name}"
    return column.name if kind == wanted.lower() else f"CAST({column.name} AS {wanted}) AS {column.name}"
