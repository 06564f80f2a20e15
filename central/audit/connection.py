"""DuckDB connections for reading: in UTC, and silent, or their progress bar would get into the output."""

import duckdb


def connect() -> duckdb.DuckDBPyConnection:
    """Open a connection of its own, in memory."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")
    return connection
