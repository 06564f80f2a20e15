"""DuckDB connections for reading: in UTC, silent, and without anything that DuckDB would fetch by itself."""

from collections.abc import Sequence
from pathlib import Path

import duckdb

ALWAYS = (
    "TimeZone = 'UTC'",
    # a progress bar would get into what is printed
    "enable_progress_bar = false",
    # no extension is fetched or loaded because a query names something unknown
    "autoinstall_known_extensions = false",
    "autoload_known_extensions = false",
    "allow_community_extensions = false",
    "allow_persistent_secrets = false",
    # an unknown table is an error, never a variable of this program
    "python_enable_replacements = false",
)


def connect(database: Path | None = None) -> duckdb.DuckDBPyConnection:
    """Open a connection of its own, in memory or on a database file."""
    connection = duckdb.connect(str(database) if database else ":memory:")
    for setting in ALWAYS:
        connection.execute(f"SET {setting}")
    return connection


def confine(connection: duckdb.DuckDBPyConnection, folders: Sequence[Path]) -> None:
    """Shut a connection in: it reaches these folders and what links in them point to, and stays so.

    DuckDB lets neither of it be taken back as long as the database is open.
    """
    places = list(dict.fromkeys([*folders, *(folder.resolve() for folder in folders)]))
    linked = [
        path.resolve()
        for folder in folders
        if folder.is_dir()
        for path in folder.rglob("*")
        if path.is_symlink() and path.exists()
    ]
    places += [target for target in linked if target.is_dir()]
    files = [target for target in linked if target.is_file()]
    connection.execute(f"SET allowed_directories = [{_listed(places)}]")
    connection.execute(f"SET allowed_paths = [{_listed(files)}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _listed(paths: Sequence[Path]) -> str:
    return ", ".join("'" + str(path).replace("'", "''") + "'" for path in paths)
