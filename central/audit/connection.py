"""DuckDB connections for reading: in UTC, and silent, since a progress bar would get into what is printed."""

import duckdb


def connect() -> duckdb.DuckDBPyConnection:
    """Open a connection of its own, in memory."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")
    return connection
