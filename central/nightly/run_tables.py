"""Reads the tables of a run's folder, whatever form they have, as canonical Arrow tables."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from renzheng.central.audit.sources import find_sources
from renzheng.central.store.times import from_us
from renzheng.contracts import tables as canonical


@contextmanager
def opened(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a DuckDB in which every canonical table of `folder` is a view; a missing one is empty."""
    with _views(folder, _listing(folder)).cursor() as connection:
        yield connection


def rows(database: duckdb.DuckDBPyConnection, sql: str, *values: Any) -> list[dict[str, Any]]:
    """Read rows of the views.

    Args:
        database: from `opened`.
        sql: a query with `?` for each value; one after `IN` is a list of them. Written out like that, the
            reader of Parquet leaves out the files and groups of rows that cannot hold any, which it does not
            for `list_contains`.
        values: in their order.
    """
    texts, given = sql.split("?"), list[Any]()
    whole = texts[0]
    for value, text in zip(values, texts[1:], strict=True):
        if isinstance(value, list | tuple) and whole.rstrip().endswith(" IN"):
            whole += f"({', '.join('?' * len(value)) or 'NULL'}){text}"
            given += value
        else:
            whole += f"?{text}"
            given.append(value)
    zoned = _ZONED.get(whole)
    if zoned is None:
        relation = database.sql(whole, params=given)
        pairs = zip(relation.columns, relation.types, strict=True)
        zoned = _ZONED[whole] = [name for name, kind in pairs if str(kind) == "TIMESTAMP WITH TIME ZONE"]
    # a relation is planned twice, once to know its columns, and planning is what takes the time here
    replaced = ", ".join(f"epoch_us({name}) AS {name}" for name in zoned)
    made = database.execute(f"SELECT * REPLACE ({replaced}) FROM ({whole})" if zoned else whole, given)  # noqa: S608 - our own names
    names = [column[0] for column in made.description or ()]
    found = [dict(zip(names, row, strict=True)) for row in made.fetchall()]
    for row in found:
        row.update((name, from_us(row[name])) for name in zoned if row[name] is not None)
    return found


_ZONED: dict[str, list[str]] = {}
"""The columns with moments of each query that was read: as many as there are queries in the code, and as many
lengths of lists in them."""


@lru_cache(maxsize=8)
def _views(folder: Path, _listing: tuple[tuple[str, int], ...]) -> duckdb.DuckDBPyConnection:
    """Make the views once for a folder's state: that takes longer than to read one line's evidence."""
    connection = duckdb.connect()
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    connection.execute("SET GLOBAL parquet_metadata_cache = true")  # no file of a run changes
    for name, select in find_selects(folder).items():
        connection.execute(f"CREATE VIEW {name} AS {select}")
    return connection


def _listing(folder: Path) -> tuple[tuple[str, int], ...]:
    return tuple(sorted((path.name, path.stat().st_mtime_ns) for path in folder.iterdir()))


def read(folder: Path, name: str, where: str = "true", parameters: Sequence[Any] = ()) -> pa.Table:
    """Read rows of one table; `where` is SQL over its columns with `?` for the parameters."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        select = find_selects(folder)[name]
        query = f"SELECT * FROM ({select}) WHERE {where}"  # noqa: S608 - our own names
        found = connection.sql(query, params=list(parameters))
        return found.to_arrow_table().cast(canonical.arrow_schema(canonical.INPUT_TABLES[name]))


def find_selects(folder: Path) -> dict[str, str]:
    """Write, for each canonical table of `folder`, the query that reads it; looked up once a folder state.

    Raises:
        TablesUnusableError: columns are missing or mistyped; every problem is named.
    """
    return _find_selects(folder, _listing(folder))


@lru_cache(maxsize=64)
def _find_selects(folder: Path, _listing: tuple[tuple[str, int], ...]) -> dict[str, str]:
    selects = {}
    for name, source in find_sources(folder).items():
        columns = ", ".join(column.name for column in canonical.INPUT_TABLES[name].columns)
        if source.select is None:
            nulls = _nulls(canonical.INPUT_TABLES[name])
            selects[name] = f"SELECT {nulls} WHERE false"
        else:
            selects[name] = f"SELECT {columns} FROM ({source.select})"  # noqa: S608 - names of the contract
    return selects


def _nulls(table: canonical.Table) -> str:
    zoned = "TIMESTAMP WITH TIME ZONE"
    kinds = {canonical.ColumnType.TEXT: "VARCHAR", canonical.ColumnType.TIMESTAMP: zoned}
    return ", ".join(
        f"NULL::{kinds.get(column.type, column.type.value)} AS {column.name}" for column in table.columns
    )
