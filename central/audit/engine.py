"""What an audit needs of an engine; DuckDB and Spark each give it."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from renzheng.central.audit.computing import Computation
from renzheng.central.audit.sources import Source


class Engine(Protocol):
    """Runs the named steps, all written once in the closed dialect."""

    name: str
    at_once: int
    """How many rules it runs beside each other."""

    def source(self, source: Source, name: str) -> None:
        """Make one input table readable under `name`, with its canonical types and `unreadable_`."""

    def table(self, name: str, sql: str) -> None:
        """Run one step and keep its rows under `name`."""

    def view(self, name: str, sql: str) -> None:
        """Give a query a name; it runs where it is used."""

    def settle(self, name: str, sql: str, rows: int) -> None:
        """Give a query on input tables a name; where it has few rows, they may be kept at once."""

    def compute(self, name: str, origin: str, computation: Computation) -> None:
        """Run one step that is no SQL on the rows of another, and keep its rows under `name`."""

    def drop(self, name: str) -> None:
        """Forget a table that no later step reads."""

    def add(self, name: str, table: pa.Table) -> None:
        """Take in a table that was computed elsewhere."""

    def rows(self, sql: str) -> pa.Table:
        """Run a query and fetch all of its rows."""

    def batches(self, sql: str) -> Iterator[pa.RecordBatch]:
        """Run a query and fetch its rows piece by piece."""

    def write(self, sql: str, path: Path) -> None:
        """Write a query's rows to Parquet, one file or a folder of them, in the query's order."""

    def limited(self, seconds: float) -> AbstractContextManager[None]:
        """Interrupt what runs inside after so many seconds; it then raises an OutOfTimeError."""

    def is_kept(self, step: str) -> bool:
        """Tell whether an earlier process has done this step and what it made is still here."""

    def keep(self, step: str) -> None:
        """Note that a step is done, so that it need not be done again after a kill."""

    def number_of(self, keys: Sequence[str], salt: int = 0) -> str:
        """Write the expression for one whole number that stands for several texts: 63 bits of their hash.

        The number differs from engine to engine, but never within a run; another salt gives other numbers.
        """

    def unplain(self, name: str, columns: Mapping[str, str]) -> Collection[str]:
        """Name the columns in which some text has a character outside of a set.

        Args:
            name: the table.
            columns: by name of a column of texts, the set, as ranges of ASCII such as `!-~`.
        """

    def has_doubles(self, name: str, keys: Sequence[str], salt: int = 0) -> bool:
        """Return whether two rows of a table have the same number by `number_of`."""

    def micros(self, column: str) -> str:
        """Write the expression for a timestamp as microseconds since 1970 in UTC."""

    def day(self, column: str) -> str:
        """Write the expression for a date as days since 1970-01-01."""
