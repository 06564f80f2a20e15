"""Opens the store: engine, pragmas, transactions, migrations.

SQLite runs through `pysqlite3`, whose SQLite has no WAL-reset race (3.7.0 to 3.51.2 can lose a commit when
two connections use WAL). Every writing transaction begins IMMEDIATE, so that writers queue and do not fail.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pysqlite3.dbapi2
import sqlalchemy as sa
from sqlalchemy import event

from renzheng.central.errors import StoreError
from renzheng.central.store.faults import StoreRefusesError, describe, is_of_store
from renzheng.common.files import keep_private, make_private_file

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_SECONDS = 30.0
"""How long a SQLite writer waits for another one before it gives up."""
CONNECT_SECONDS = 10
LINE_SECONDS = 30
LOCK_SECONDS = 30
_PROBE_AGAIN = sa.text("UPDATE last_times SET at = :now WHERE name = 'probe'")
_PROBE = sa.text("INSERT INTO last_times (name, at) VALUES ('probe', :now)")
WAL_KEPT_BYTES = 64_000_000
"""A WAL that a long reader has let grow is cut to this once it is checkpointed, so that it fills no disk."""
PAGE_BYTES = 16384
"""An entry takes most of a kilobyte: with SQLite's own 4096 half an insert's time goes into splitting."""


class Database:
    """One store; `reading` and `writing` are the only ways in.

    Args:
        url: SQLAlchemy address, SQLite or PostgreSQL.
        connections: most connections at once. The ingest has a `Database` of its own, so that readers of
            pages, however many, never keep it from storing. 0: each transaction opens one and closes it, for
            commands, which have few.
    """

    def __init__(self, url: str, *, connections: int = 24) -> None:
        address = sa.make_url(url)
        pool: dict[str, Any] = {"pool_size": min(connections, 8), "max_overflow": max(connections - 8, 0)}
        if not connections:
            pool = {"poolclass": sa.NullPool}
        self.backend = address.get_backend_name()
        if self.backend == "sqlite":
            self.engine = _sqlite_engine(address, pool)
        elif self.backend == "postgresql":
            self.engine = sa.create_engine(
                address.set(drivername="postgresql+psycopg"),
                pool_pre_ping=True,
                hide_parameters=True,  # a statement in a log must not name people
                connect_args=_patience(address),
                **pool,
            )
        else:
            raise StoreError(f"{self.backend} is no backend of the store.", do="Use SQLite or PostgreSQL.")

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Open a transaction that only reads; everything in it is of one moment."""
        level = {"isolation_level": "REPEATABLE READ"} if self.backend == "postgresql" else {}
        with self.engine.connect().execution_options(writes=False, **level) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Open a transaction that writes; it is committed, durably, when the block ends without an error.

        A connection on which the store refused is used no more: an old one stays read-only after a failover.
        """
        with self.engine.connect().execution_options(writes=True) as connection:
            try:
                with connection.begin():
                    yield connection
            except Exception as error:
                if is_of_store(error):
                    connection.invalidate()
                raise

    def probe(self, now_us: int) -> None:
        """Write something small, durably.

        Raises:
            StoreRefusesError: the store takes nothing.
        """
        try:
            with self.writing() as connection:
                if connection.execute(_PROBE_AGAIN, {"now": now_us}).rowcount == 0:
                    connection.execute(_PROBE, {"now": now_us})
        except Exception as error:
            raise StoreRefusesError(
                f"The store refuses to write: {describe(error)}.",
                why="Devices keep their events until it takes them; nothing is lost.",
                do="Check the database server, the disk's space and the rights on the data folder.",
                probed=False,
            ) from error

    def migrate(self) -> None:
        """Bring the store to this version.

        Raises:
            StoreError: it cannot be opened, or was written by a newer version.
        """
        try:
            with self.reading() as connection:
                if _versions(connection) == [_newest()]:
                    return  # the way of every start but the first: no lock to write, and no Alembic
            from renzheng.central.store.migrations.running import upgrade  # noqa: PLC0415 - see there

            with self.engine.connect().execution_options(writes=True) as connection, connection.begin():
                upgrade(connection)
        except sa.exc.DatabaseError as error:
            raise StoreError(
                f"The store cannot be opened: {error.orig}.",
                do="Check database_url and that the server runs.",
            ) from error
        except UnicodeDecodeError as error:
            raise _damaged("a text in it is none") from error

    def check_structure(self) -> None:
        """Let SQLite check its file: every page, every index.

        Raises:
            StoreError: something in it is damaged.
        """
        if self.backend != "sqlite":
            return  # PostgreSQL checks its pages by checksums as it reads them, where those are on
        try:
            with self.reading() as connection:
                said = connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar()
        except sa.exc.DatabaseError as error:
            said = str(error.orig)
        except UnicodeDecodeError:  # SQLite's own message quotes the damage
            said = "a text in it is none"
        if said != "ok":
            raise _damaged(str(said)[:200])

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def _patience(address: sa.URL) -> dict[str, Any]:
    """Limit how long a lock or a dead line is waited for: what fails is tried again, a hang is not."""
    told = {
        "connect_timeout": CONNECT_SECONDS,
        "tcp_user_timeout": LINE_SECONDS * 1000,
        "options": f"-c lock_timeout={LOCK_SECONDS}s",
    }
    return {name: value for name, value in told.items() if name not in address.query}


def _damaged(what: str) -> StoreError:
    return StoreError(
        f"The store's file is damaged: {what}.",
        why="A row or an index may say what was never written.",
        do="Keep the file, restore the last good backup; the devices send what it lacks.",
    )


def _versions(connection: sa.Connection) -> list[str]:
    """Read which version the store says it is of; a new one says nothing."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return []
    return list(connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalars())


def _newest() -> str:
    """Give this software's version of the store: the files of the migrations begin with it."""
    return max(path.name.split("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*_*.py"))


def _sqlite_engine(address: sa.URL, pool: dict[str, Any]) -> sa.Engine:
    if address.database:
        path = Path(address.database)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        make_private_file(path)
        keep_private(Path(f"{path}-wal"))
    engine = sa.create_engine(
        address.set(drivername="sqlite+pysqlite"),
        module=pysqlite3.dbapi2,
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
        hide_parameters=True,  # a statement in a log must not name people
        **pool,
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # `begin` below says how a transaction begins, not the driver
        cursor = connection.cursor()
        for pragma in (
            f"page_size={PAGE_BYTES}",  # before anything else, and only of a file that is still empty
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "secure_delete=ON",
            "cache_size=-65536",
            "wal_autocheckpoint=1000",
            f"journal_size_limit={WAL_KEPT_BYTES}",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        writes = connection.get_execution_options().get("writes", True)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
