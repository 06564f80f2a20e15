"""Copies of the store: SQLite by its online backup, PostgreSQL by its own `pg_dump` and `pg_restore`."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import psycopg
import pysqlite3.dbapi2 as sqlite3
import sqlalchemy as sa

from renzheng.central.errors import StoreError

_PAGES_AT_ONCE = 2_000
"""Between so many pages a writer gets its turn: 32 MB of the store's pages."""


def copy_store(address: str, target: Path) -> None:
    """Copy a store, as of one moment, into one file; writers go on meanwhile.

    Raises:
        StoreError: it cannot be read, or the database's own tool is missing or failed.
    """
    url = sa.make_url(address)
    if url.get_backend_name() == "sqlite":
        copy_sqlite(Path(str(url.database)), target)
    else:
        _run(url, "pg_dump", ["--format=custom", "--no-owner", f"--file={target}"])


def put_store(address: str, copy: Path) -> None:
    """Put a copy in the place of a store; a SQLite file must not be there, tables of PostgreSQL are replaced.

    Raises:
        StoreError: it cannot be written, or the database's own tool is missing or failed.
    """
    url = sa.make_url(address)
    if url.get_backend_name() == "sqlite":
        path = Path(str(url.database))
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.copyfile(copy, path)
        path.chmod(0o600)
    else:
        told = ["--clean", "--if-exists", "--no-owner", "--single-transaction", "--exit-on-error", str(copy)]
        _run(url, "pg_restore", told)


class ScratchStore:
    """A place for a store that is thrown away again: a file in `folder`, or a database on the same server."""

    def __init__(self, address: str, folder: Path, name: str) -> None:
        self._url = sa.make_url(address)
        self._name = name
        sqlite = self._url.get_backend_name() == "sqlite"
        own = sa.URL.create("sqlite", database=str(folder / f"{name}.sqlite"))
        self.address = (own if sqlite else self._url.set(database=name)).render_as_string(hide_password=False)

    def __enter__(self) -> Self:
        self._say(f'CREATE DATABASE "{self._name}"')
        return self

    def __exit__(self, *_: object) -> None:
        self._say(f'DROP DATABASE IF EXISTS "{self._name}" WITH (FORCE)')

    def _say(self, statement: str) -> None:
        if self._url.get_backend_name() == "sqlite":
            return
        plain = self._url.set(drivername="postgresql").render_as_string(hide_password=False)
        try:
            with psycopg.connect(plain, autocommit=True) as connection:
                connection.execute(statement.encode())
        except psycopg.Error as error:
            raise StoreError(
                f"The server refuses a database for the test: {error}.",
                do="Give the store's user the right CREATEDB, or test on another server.",
            ) from error


def copy_sqlite(source: Path, target: Path) -> None:
    """Copy a SQLite file as of one moment; writers go on meanwhile.

    Raises:
        StoreError: it is not there, or cannot be copied.
    """
    if not source.exists():
        raise StoreError(f"There is no store at {source}.", do="Check data_dir and database_url.")
    try:
        read, write = sqlite3.connect(str(source), timeout=30), sqlite3.connect(str(target))
        try:
            read.backup(write, pages=_PAGES_AT_ONCE)
            write.execute("PRAGMA journal_mode=DELETE")
        finally:
            read.close()
            write.close()
    except sqlite3.Error as error:
        raise StoreError(f"The store cannot be copied: {error}.", do="Check the disk's space.") from error
    target.chmod(0o600)


def _run(url: sa.URL, tool: str, told: Sequence[str]) -> None:
    """Run one of PostgreSQL's tools; the password goes through the environment, where nobody else reads."""
    newest = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{tool}"), key=_version)
    found = str(newest[-1]) if newest else shutil.which(tool)
    if found is None:
        raise StoreError(
            f"{tool} is not installed here.",
            why="A copy of PostgreSQL's store is made by its own tool.",
            do="Install PostgreSQL's client programs of the server's version.",
        )
    plain = sa.URL.create(
        "postgresql", url.username, None, url.host, url.port, url.database, dict(url.query)
    ).render_as_string(hide_password=False)
    environment = os.environ | ({"PGPASSWORD": url.password} if url.password else {})
    done = subprocess.run(
        [found, f"--dbname={plain}", *told], capture_output=True, check=False, env=environment
    )
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise StoreError(f"{tool} failed: {said[-1] if said else done.returncode}.", do="Mend what it says.")


def _version(path: Path) -> int:
    name = path.parent.parent.name
    return int(name) if name.isdigit() else 0
