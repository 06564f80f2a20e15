"""Small things that every step of settling does with DuckDB and with finished files."""

# ruff: noqa: S608 - the names are our own, the values are parameters

from collections.abc import Sequence
from pathlib import Path

import duckdb

_ROWS = 500


def literal(value: str | Path) -> str:
    """Quote a text as an SQL literal; DuckDB takes no parameters in COPY."""
    return "'" + str(value).replace("'", "''") + "'"


def insert(database: duckdb.DuckDBPyConnection, table: str, rows: Sequence[tuple[str, ...]]) -> None:
    """Insert rows of texts, if any, many in one statement."""
    for begin in range(0, len(rows), _ROWS):
        some = rows[begin : begin + _ROWS]
        marks = ", ".join(f"({', '.join('?' * len(row))})" for row in some)
        database.execute(f"INSERT INTO {table} VALUES {marks}", [value for row in some for value in row])


def count(database: duckdb.DuckDBPyConnection, query: str) -> int:
    """Run a query that counts."""
    row = database.execute(query).fetchone()
    assert row is not None
    return int(row[0])


def is_there(database: duckdb.DuckDBPyConnection, name: str) -> bool:
    """Return whether a table that not every import makes has been made."""
    return database.execute("SELECT 1 FROM made WHERE name = ?", [name]).fetchone() is not None


def note_made(database: duckdb.DuckDBPyConnection, name: str) -> None:
    """Note that a table was made; DuckDB's own catalogue takes 15 ms for the first question asked of it."""
    database.execute("INSERT INTO made VALUES (?)", [name])
