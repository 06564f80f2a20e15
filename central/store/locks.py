"""Locks in the store: of all centrals over one store, one alone holds it, or several share it.

A lock falls with its holder.

PostgreSQL keeps it for a session of its own, an advisory lock: a process that dies, or a machine that is cut
off (the server asks after a minute of silence), frees it. SQLite has no sessions: there it is a lock of the
operating system on a file beside the store's, which falls with the process.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import sqlalchemy as sa

from renzheng.central.store.database import Database
from renzheng.common.files import take_lock

CLASS = 0x727A
"""The first of the two numbers of our advisory locks, so that nobody else's in that database is meant."""
NUMBERS = {"night": 1, "backup": 2, "access": 3, "cases": 4}
"""`backup`: shared by backups under way; a pruning holds it alone. `access`: the end of the access log.
`cases`: steps on cases, one after the other, since a line may stand in several.
"""
_ALIVE = {
    "tcp_keepalives_idle": "60",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    "lock_timeout": "0",
    "idle_session_timeout": "0",  # a night may be silent for hours; PostgreSQL 14 and later
}
_SET = sa.text(
    "SELECT set_config(name, :value, false) FROM pg_settings WHERE name = :name AND context <> 'internal'"
)
_TAKE = sa.text("SELECT pg_try_advisory_lock(:class, :number)")
_SHARE = sa.text("SELECT pg_advisory_lock_shared(:class, :number)")


class HeldLock:
    """A lock while it is held.

    Args:
        database: the store.
        session: PostgreSQL's session that holds it; None with SQLite.
    """

    def __init__(self, database: Database, session: sa.Connection | None) -> None:
        self._database = database
        self._session = session

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Open a transaction that is committed only while the lock is held.

        On PostgreSQL it is the lock's own session that commits: where that ended, another central may hold
        the lock by now, and nothing is written.
        """
        if self._session is None:
            with self._database.writing() as connection:
                yield connection
            return
        with self._session.begin():
            yield self._session


@contextmanager
def alone(database: Database, name: str) -> Iterator[HeldLock | None]:
    """Hold a lock of the store for a block; None where another process, or another thread, holds it."""
    if database.backend == "postgresql":
        with _session(database) as session:
            with session.begin():
                taken = session.execute(_TAKE, {"class": CLASS, "number": NUMBERS[name]}).scalar_one()
            yield HeldLock(database, session) if taken else None
    elif (path := _path(database, name)) is None:
        yield HeldLock(database, None)
    else:
        with _open(path) as file:
            yield HeldLock(database, None) if take_lock(file) else None


@contextmanager
def shared(database: Database, name: str) -> Iterator[None]:
    """Hold a lock of the store for a block together with others; one who holds it alone is waited for."""
    if database.backend == "postgresql":
        with _session(database) as session:
            session.execute(_SHARE, {"class": CLASS, "number": NUMBERS[name]})
            session.commit()
            yield
    elif (path := _path(database, name)) is None:
        yield
    else:
        with _open(path) as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            yield


@contextmanager
def _session(database: Database) -> Iterator[sa.Connection]:
    """Open a session of its own that lasts as long as its lock, however long that is waited for and held."""
    with database.engine.connect() as session:
        try:
            with session.begin():
                session.execute(_SET, [{"name": name, "value": value} for name, value in _ALIVE.items()])
            yield session
        finally:
            session.invalidate()  # ends the session, and with it the lock


def _path(database: Database, name: str) -> Path | None:
    """Return the file whose lock stands for the store's; None for one in memory, which is nobody else's."""
    store = database.engine.url.database
    return Path(f"{store}.{name}-lock") if store else None


def _open(path: Path) -> IO[bytes]:
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b")
