"""DuckDB's engine with Spark beside it, which reads the query of every step and gives the rows of some."""

import re
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from renzheng.central.audit.duckdb_engine import DuckDBEngine
from renzheng.central.audit.spark_engine import SparkEngine
from renzheng.central.audit.steps import STEPS

Rows = list[dict[str, Any]]


class BesideDuckDB(DuckDBEngine):
    """Does each step in DuckDB; what a step reads lies in Spark with the rows that it has in DuckDB.

    Args:
        scratch: a folder for DuckDB.
        reads: the folder with the input tables.
        spark: an engine without tables.
        run: steps and rules whose rows Spark computes.
    """

    def __init__(self, scratch: Path, reads: Path, spark: SparkEngine, run: Container[str]) -> None:
        super().__init__(scratch, memory_limit="1GB", threads=1, reads=[reads])
        self._spark, self._ran, self._laid = spark, run, set[str]()
        self.read: set[str] = set()
        """Steps and rules that Spark has read."""
        self.found: dict[str, tuple[Rows, Rows]] = {}
        """By step or rule that Spark runs: the rows in DuckDB and in Spark, each in one order."""

    def table(self, name: str, sql: str) -> None:
        """Run one step; Spark reads it."""
        super().table(name, sql)
        self._beside_step(name, sql)

    def view(self, name: str, sql: str) -> None:
        """Give a query a name; Spark reads it."""
        super().view(name, sql)
        self._beside_step(name, sql)

    def _beside_step(self, name: str, sql: str) -> None:
        if name in STEPS:  # loading has each engine's own expressions
            self.beside(name, sql)

    def beside(self, name: str, sql: str) -> None:
        """Have Spark read the query of a step or rule, and run it if asked to."""
        for read in sorted(set(re.findall(r"\w+", sql)) & self._there() - self._laid - {name}):
            self._spark.add(read, in_one_piece(self.rows(f"SELECT * FROM {read}")))
            self._laid.add(read)
        self.read.add(name)
        if name not in self._ran:
            self._spark.view(f"read_{name.replace('-', '_')}", sql)
            return
        mine, theirs = self.found.setdefault(name, ([], []))
        mine += in_order(self.rows(sql))
        theirs += in_order(self._spark.rows(sql))

    def _there(self) -> set[str]:
        names = self.rows("SELECT table_name FROM information_schema.tables")
        return set(names["table_name"].to_pylist())


def in_one_piece(table: pa.Table) -> pa.Table:
    """The same rows; of a table without rows one empty piece, as PySpark wants it."""
    columns = [pa.array(column.to_pylist(), column.type) for column in table.columns]
    return pa.Table.from_arrays(columns, schema=table.schema)


def in_order(table: pa.Table) -> Rows:
    """The rows in an order that does not depend on the engine."""
    return sorted(map(dict, _plain(table)), key=repr)


def _plain(table: pa.Table) -> Iterator[Iterator[tuple[str, Any]]]:
    for row in table.to_pylist():
        yield ((name, round(value, 9) if isinstance(value, float) else value) for name, value in row.items())
