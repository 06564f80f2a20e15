"""DuckDB connections for reading: in UTC, and silent, since a progress bar would get into what is printed."""

from pathlib import Path

import duckdb


def connect(database: Path | None = None) -> duckdb.DuckDBPyConnection:
    """Open a connection of its own, in memory or on a database file."""
    connection = duckdb.connect(str(database) if database else ":memory:")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")
    return connection
