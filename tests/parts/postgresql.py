"""A real PostgreSQL of the tests' own: fresh cluster, free loopback port, trust for local users.

    with PostgreSql() as server:
        create_engine(server.url)           # postgresql+psycopg://...
        url = server.new_database()         # an empty database of one's own, in milliseconds

The server refuses to run as root; then it is run as the user ``postgres`` of Debian's package.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg
from parts.processes import end, find_program, free_port, is_root, wait_until

USER = "renzheng"


def program_folders() -> list[Path]:
    """Debian keeps the servers out of PATH; newest version first."""
    versions = Path("/usr/lib/postgresql").glob("*/bin")
    return sorted(versions, key=lambda folder: int(folder.parent.name), reverse=True)


MEMORY, ROOM_BYTES = Path("/dev/shm"), 8_000_000_000


def in_memory() -> Path | None:
    """Where a cluster lies that need not be durable: a database there is copied in a fifth of the time."""
    roomy = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM_BYTES
    return MEMORY if roomy and os.access(MEMORY, os.W_OK) else None


class PostgreSql:
    """One server process over a temporary cluster, removed at the end.

    Args:
        durable: fsync on, as in production; off is quicker and enough where no power is cut.
    """

    def __init__(self, *, durable: bool = False) -> None:
        folders = program_folders()
        self._initdb = find_program("initdb", "postgresql", folders)
        self._postgres = find_program("postgres", "postgresql", folders)
        self._as_user = ["runuser", "-u", "postgres", "--"] if is_root() else []
        self.durable = durable
        self.port = free_port()
        self.host = "127.0.0.1"
        self._process: subprocess.Popen[bytes] | None = None
        where = None if durable else in_memory()
        self.folder = Path(tempfile.mkdtemp(prefix="renzheng-postgresql-", dir=where))
        if is_root():
            shutil.chown(self.folder, "postgres", "postgres")
        self._log = self.folder / "log"

    @property
    def url(self) -> str:
        """SQLAlchemy's address of the server's first database."""
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        """SQLAlchemy's address of one database."""
        return f"postgresql+psycopg://{USER}@{self.host}:{self.port}/{database}"

    def new_database(self, template: str = "template1") -> str:
        """Make a database, empty or a copy of `template`; return its address."""
        name = f"t_{uuid.uuid4().hex}"
        with self._connected() as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url_of(name)

    def start(self) -> None:
        """Make the cluster at the first call; start the server and wait until it answers."""
        data = self.folder / "data"
        if not data.exists():
            self._run(
                [self._initdb, "-D", data, "-U", USER, "-A", "trust", "-E", "UTF8", "--no-locale", "-N"]
            )
        options = {
            "listen_addresses": self.host,
            "unix_socket_directories": str(self.folder),
            "fsync": "on" if self.durable else "off",
            "logging_collector": "off",
        }
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        # A signal to runuser would not do what the server's own does, so `_signal` reads the pid file.
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._as_user, self._postgres, "-D", data, "-p", str(self.port), *settings],
                stdout=log,
                stderr=log,
            )
        wait_until(self._answers, within_seconds=60, what=f"postgres on port {self.port}")

    def _answers(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise RuntimeError(f"postgres ended: {self._log.read_text(errors='replace')[-2000:]}")
        try:
            self._connected().close()
        except psycopg.OperationalError:
            return False
        return True

    def _connected(self) -> psycopg.Connection:
        return psycopg.connect(self.url.replace("+psycopg", ""), autocommit=True, connect_timeout=60)

    def stop(self) -> None:
        """Stop it in good order (fast shutdown); `start` brings it back with its data."""
        self._signal(signal.SIGINT)

    def kill(self) -> None:
        """Stop it at once without a checkpoint (immediate shutdown), as a crash would."""
        self._signal(signal.SIGQUIT)

    def restart(self) -> None:
        """Stop and start."""
        self.stop()
        self.start()

    def _signal(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        pid_file = self.folder / "data" / "postmaster.pid"
        if self._process.poll() is None and pid_file.exists():
            pid = pid_file.read_text().split()[0]
            subprocess.run([*self._as_user, "kill", f"-{int(how)}", pid], check=False)
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:
                end(self._process, signal.SIGKILL)
        self._process = None

    def _run(self, command: list[str | Path]) -> None:
        done = subprocess.run([*self._as_user, *command], capture_output=True, check=False, cwd=self.folder)
        if done.returncode != 0:
            raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stderr.decode()[-2000:]}")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()  # its data are of no more use: nothing is to be written out
        shutil.rmtree(self.folder, ignore_errors=True)
