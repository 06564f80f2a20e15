"""Small things that every step of settling does with DuckDB and with finished files."""

import os
from pathlib import Path

import duckdb


def literal(value: str | Path) -> str:
    """Quote a text as an SQL literal; DuckDB takes no parameters in COPY."""
    return "'" + str(value).replace("'", "''") + "'"


def count(database: duckdb.DuckDBPyConnection, query: str) -> int:
    """Run a query that counts."""
    row = database.execute(query).fetchone()
    assert row is not None
    return int(row[0])


def replace(source: Path, target: Path) -> None:
    """Put a finished file in its place, on disk before it is seen."""
    with source.open("rb") as written:
        os.fsync(written.fileno())
    source.replace(target)
