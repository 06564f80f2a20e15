"""DuckDB as the engine of the audit: one scratch database, spilling to disk when memory runs short."""

# ruff: noqa: S608 - SQL is put together from the names in contracts.tables, paths are quoted

import os
import re
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import duckdb
import numpy as np
import pyarrow as pa

from renzheng.central.audit.computing import Computation
from renzheng.central.audit.connection import confine, connect
from renzheng.central.audit.errors import EngineError, OutOfRoomError
from renzheng.central.audit.limits import limited
from renzheng.central.audit.sources import Source, no_rows, quoted

COMPRESSION = "zstd, COMPRESSION_LEVEL 1"
"""A tenth more bytes than at the usual level 3, and a quarter less processor time to write the verdicts."""
SPILLS = 2
"""A rule may write so many times the memory limit to the disk."""
BATCH_ROWS = 100_000
FEW_ROWS = 50_000
"""An input table of so many rows is read once; a larger one by column, wherever a step needs it."""


class DuckDBEngine:
    """Runs steps in a scratch database of its own, which is gone afterwards.

    Args:
        scratch: an existing folder for the database and what spills.
        memory_limit: such as `5GB`; see `usual_memory` when None.
        threads: worker threads; all cores when None.
        reads: folders with the input tables; nothing beside them and `scratch` can be reached.
        lasting: keep the database in `scratch`, so that another process can go on after a kill. Each step is
            a transaction, so a step is there whole or not at all.
    """

    name = "duckdb"
    at_once = 1

    def __init__(
        self,
        scratch: Path,
        *,
        memory_limit: str | None,
        threads: int | None = None,
        reads: Sequence[Path] = (),
        lasting: bool = False,
    ) -> None:
        self._lasting = lasting
        self._connection = connect(scratch / "steps.duckdb" if lasting else None)
        self._run(f"SET memory_limit = '{memory_limit or usual_memory()}'")
        shown = self._run("SELECT current_setting('memory_limit')").fetchall()
        self._most_spilled = SPILLS * _bytes(str(shown[0][0]))
        self._run(f"SET temp_directory = '{quoted(scratch / 'spill')}'")
        # what runs away must leave room on the disk for others
        self._room = shutil.disk_usage(scratch).free // 2
        self._run(f"SET max_temp_directory_size = '{self._room} bytes'")
        self._run("SET allowed_configs = ['max_temp_directory_size']")  # a rule's own is lower, see `limited`
        self._run("SET preserve_insertion_order = false")
        if threads is not None:
            self._run(f"SET threads = {int(threads)}")
        confine(self._connection, [scratch, *reads])
        if lasting:
            self._run("CREATE TABLE IF NOT EXISTS kept_steps (step VARCHAR)")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def source(self, source: Source, name: str) -> None:
        """Make one input table readable under `name`; a missing one is a view without rows."""
        self.settle(name, source.select or no_rows(source.table), source.rows)

    def is_kept(self, step: str) -> bool:
        """Tell whether an earlier process has done this step and what it made is still here."""
        if not self._lasting:
            return False
        return bool(self._connection.execute("FROM kept_steps WHERE step = ?", [step]).fetchall())

    def keep(self, step: str) -> None:
        """Note that a step is done, so that it need not be done again after a kill."""
        if self._lasting:
            self._connection.execute("INSERT INTO kept_steps VALUES (?)", [step])

    def number_of(self, keys: Sequence[str], salt: int = 0) -> str:
        """Write the expression for one whole number that stands for several texts."""
        return f"CAST(hash({', '.join(keys)}, {salt}) >> 1 AS BIGINT)"

    def unplain(self, name: str, columns: Mapping[str, str]) -> Collection[str]:
        """Name the columns in which some text has a character outside of a set of ASCII ranges.

        By the bytes of a whole batch at once, several times faster than a regular expression for each text.
        """
        outside = {column: tuple(_outside(plain)) for column, plain in columns.items()}
        found: set[str] = set()
        for batch in self.batches(f"SELECT {', '.join(columns)} FROM {name}", BATCH_ROWS):
            for column in outside.keys() - found:
                letters = _bytes_of(batch.column(column))
                if any(bool(np.any(letters - first <= last - first)) for first, last in outside[column]):
                    found.add(column)
        return found

    def has_doubles(self, name: str, keys: Sequence[str], salt: int = 0) -> bool:
        """Return whether two rows of a table have the same number.

        By sorting the numbers, several times faster than counting different texts. Two
        keys with one number look like a double; the loader then compares the keys themselves.
        """
        found = self.rows(f"SELECT {self.number_of(keys, salt)} AS number FROM {name}")
        numbers = np.sort(found["number"].to_numpy())
        return bool(np.any(numbers[1:] == numbers[:-1]))

    def micros(self, column: str) -> str:
        """Write the expression for a timestamp as microseconds since 1970 in UTC."""
        return f"epoch_us({column})"

    def day(self, column: str) -> str:
        """Write the expression for a date as days since 1970-01-01."""
        return f"CAST({column} - DATE '1970-01-01' AS BIGINT)"

    def table(self, name: str, sql: str) -> None:
        """Run one step and keep its rows under `name`."""
        self._run(f"CREATE OR REPLACE TABLE {name} AS {sql}")

    def view(self, name: str, sql: str) -> None:
        """Give a query a name; it runs where it is used."""
        self._run(f"CREATE OR REPLACE VIEW {name} AS {sql}")

    def settle(self, name: str, sql: str, rows: int) -> None:
        """Give a query on input tables a name; few rows are kept: a view is planned wherever it is used."""
        if rows > FEW_ROWS:
            self.view(name, sql)
        else:
            self.table(name, sql)

    def compute(self, name: str, origin: str, computation: Computation) -> None:
        """Run one step that is no SQL on the rows of another, and keep its rows under `name`."""
        self.add(name, computation.run(self.rows(f"SELECT * FROM {origin}")))

    def drop(self, name: str) -> None:
        """Forget a table that no later step reads."""
        self._run(f"DROP TABLE IF EXISTS {name}")

    def add(self, name: str, table: pa.Table) -> None:
        """Take in a table that was computed elsewhere."""
        self._connection.register("arrow_in", table)
        self._run(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM arrow_in")
        self._connection.unregister("arrow_in")

    def rows(self, sql: str) -> pa.Table:
        """Run a query and fetch all of its rows."""
        try:
            return self._query(sql).to_arrow_table()
        except duckdb.Error as error:
            raise _failed(sql, error) from error

    def batches(self, sql: str, size: int = 2_000) -> Iterator[pa.RecordBatch]:
        """Run a query and fetch its rows piece by piece."""
        try:
            yield from self._query(sql).to_arrow_reader(size)
        except duckdb.Error as error:
            raise _failed(sql, error) from error

    def write(self, sql: str, path: Path) -> None:
        """Write a query's rows to one Parquet file, in the order that the query gives."""
        self._run(
            f"COPY ({sql}) TO '{quoted(path)}' "
            f"(FORMAT parquet, COMPRESSION {COMPRESSION}, ROW_GROUP_SIZE 122880, PRESERVE_ORDER true)"
        )

    @contextmanager
    def limited(self, seconds: float) -> Iterator[None]:
        """Interrupt what runs inside after so many seconds; it fails when it spills too much."""
        with self._spilling_little(), limited(seconds, self._connection.interrupt):
            yield

    @contextmanager
    def _spilling_little(self) -> Iterator[None]:
        """Allow `SPILLS` times the memory limit on the disk, besides what lies there already."""
        lying = self._connection.execute("SELECT coalesce(sum(size), 0) FROM duckdb_temporary_files()")
        used = int(lying.fetchall()[0][0])
        self._run(f"SET max_temp_directory_size = '{min(self._room, used + self._most_spilled)} bytes'")
        try:
            yield
        finally:
            self._run(f"SET max_temp_directory_size = '{self._room} bytes'")

    def names(self, prefix: str = "") -> list[str]:
        """List the tables and views that there are, those whose names begin so."""
        found = self._run("SELECT table_name FROM information_schema.tables").fetchall()
        return sorted(str(row[0]) for row in found if str(row[0]).startswith(prefix))

    def describe(self, sql: str) -> list[tuple[str, str]]:
        """Name the columns of a query and their DuckDB types."""
        return [(str(row[0]), str(row[1])) for row in self._run(f"DESCRIBE {sql}").fetchall()]

    def _query(self, sql: str) -> duckdb.DuckDBPyRelation:
        """Begin one query that only reads: whatever the text is, nothing else is run."""
        statements = self._connection.extract_statements(sql)
        if [one.type for one in statements] != [duckdb.StatementType.SELECT]:
            raise EngineError("What was to be read is not one SELECT.", sql=sql)
        return self._connection.sql(statements[0])  # a text would be parsed again

    def _run(self, sql: str) -> duckdb.DuckDBPyConnection:
        try:
            return self._connection.execute(sql)
        except duckdb.Error as error:
            raise _failed(sql, error) from error


def usual_memory() -> str:
    """Allow 6 GB, for a nation's night must fit into 8; less on a small machine."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return f"{min(6_000, machine * 7 // 10 // 1_000_000)}MB"


def _outside(plain: str) -> Iterator[tuple[np.uint8, np.uint8]]:
    """Yield the ranges of bytes around ascending ranges of ASCII such as `!-~`."""
    first = 0
    for begin, end in re.findall("(.)-(.)", plain):
        yield np.uint8(first), np.uint8(ord(begin) - 1)
        first = ord(end) + 1
    yield np.uint8(first), np.uint8(255)


def _bytes_of(texts: pa.Array) -> np.ndarray:
    """Return the bytes of all texts of a column, one after the other."""
    if texts.type != pa.string():
        texts = texts.cast(pa.string())  # imports pyarrow.compute
    _, places, letters = texts.buffers()
    if letters is None or not len(texts):
        return np.zeros(0, np.uint8)
    ends = np.frombuffer(places, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    return np.frombuffer(letters, np.uint8)[ends[0] : ends[-1]]


_UNITS = {"bytes": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


def _bytes(shown: str) -> int:
    """Read a size as DuckDB shows it, such as `286.1 MiB`."""
    number, _, unit = shown.partition(" ")
    return int(float(number) * _UNITS[unit])


def _failed(sql: str, error: duckdb.Error) -> EngineError:
    if isinstance(error, duckdb.OutOfMemoryException):
        return OutOfRoomError(
            f"It needs more memory than it may have: {str(error).splitlines()[0]}",
            why="The audit stopped; nothing was put in place of an earlier result.",
            do="Allow more by --memory-limit, or give the folder of the output more room.",
            sql=sql,
        )
    return EngineError(
        f"DuckDB could not run a step: {error}",
        why="The audit stopped; nothing was put in place of an earlier result.",
        do="Check free disk space and memory; `renzheng audit explain` prints every step.",
        sql=sql,
    )
