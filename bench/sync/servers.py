"""Real servers for a measurement: Mosquitto with TLS and access rules, PostgreSQL with fsync on."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from renzheng.central.errors import BenchError
from renzheng.contracts.topics import ROOT

START_SECONDS = 30.0
FOLDERS = (Path("/usr/sbin"), Path("/usr/local/sbin"))
ACL = f"""
pattern write {ROOT}/+/%u/up/log
pattern read {ROOT}/+/%u/down/ack
user central
topic read {ROOT}/+/+/up/log
topic read {ROOT}/+/+/up/status
topic write {ROOT}/+/+/down/ack
"""


@dataclass(frozen=True, slots=True)
class Certificates:
    """The folder of a site's PEM files: ``ca.pem``, ``server.pem``, ``server.key``."""

    folder: Path


def find_program(name: str, package: str, folders: tuple[Path, ...] = FOLDERS) -> Path:
    """Find a server's program.

    Raises:
        BenchError: it is not on this machine.
    """
    found = shutil.which(name) or next((str(f / name) for f in folders if (f / name).is_file()), None)
    if found is None:
        raise BenchError(f"{name} is not on this machine.", do=f"Install it: sudo apt-get install {package}")
    return Path(found)


class Mosquitto:
    """Mosquitto without persistence, with TLS and client certificates, on a port of its own.

    Args:
        folder: a new one, for its configuration and log.
        certificates: the site's.
        acl: the text of its ACL file.
    """

    def __init__(self, folder: Path, certificates: Certificates, acl: str = ACL) -> None:
        self._program = find_program("mosquitto", "mosquitto")
        self.port, self.log_file = _free_port(), folder / "log"
        self._config = folder / "mosquitto.conf"
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir()
        (folder / "acl").write_text(acl, encoding="utf-8")
        (folder / "acl").chmod(0o600)
        pem = certificates.folder
        lines = [
            f"listener {self.port} 127.0.0.1",
            f"cafile {pem / 'ca.pem'}",
            f"certfile {pem / 'server.pem'}",
            f"keyfile {pem / 'server.key'}",
            "require_certificate true",
            "use_identity_as_username true",
            "allow_anonymous false",
            f"acl_file {folder / 'acl'}",
            "max_packet_size 262144",
            "persistence false",
            "user root",
            f"log_dest file {self.log_file}",
        ]
        self._config.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def start(self) -> None:
        """Start it and wait until it listens."""
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen([self._program, "-c", self._config], stdout=quiet, stderr=quiet)
        _wait(lambda: _listens(self.port), self._process, "mosquitto")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it; with SIGKILL as a crash would."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait()


@contextmanager
def mosquitto(folder: Path, certificates: Certificates) -> Iterator[int]:
    """Run Mosquitto without persistence, with TLS and client certificates; yields its port."""
    broker = Mosquitto(folder, certificates)
    broker.start()
    try:
        yield broker.port
    finally:
        broker.stop()


@contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """Run PostgreSQL over a fresh cluster, fsync on; yields SQLAlchemy's address.

    It refuses to run as root; then it runs as the user ``postgres`` of the distribution's package.
    """
    versions = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda f: int(f.parent.name), reverse=True
    )
    programs = {
        n: find_program(n, "postgresql", tuple(versions)) for n in ("initdb", "postgres", "pg_isready")
    }
    root = os.geteuid() == 0
    as_user = ["runuser", "-u", "postgres", "--"] if root else []
    folder.mkdir()
    if root:
        shutil.chown(folder, "postgres", "postgres")
    data, port = folder / "data", _free_port()
    made = subprocess.run(
        [
            *as_user,
            programs["initdb"],
            "-D",
            data,
            "-U",
            "renzheng",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-locale",
        ],
        capture_output=True,
        check=False,
        cwd=folder,
    )
    if made.returncode:
        raise BenchError(f"initdb failed: {made.stderr.decode()[-400:]}")
    settings = ["-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*as_user, programs["postgres"], "-D", data, "-p", str(port), *settings], stdout=log, stderr=log
        )
    ask: list[str | Path] = [programs["pg_isready"], "-q", "-h", "127.0.0.1", "-p", str(port)]
    try:
        _wait(lambda: subprocess.run(ask, check=False).returncode == 0, process, "postgres")
        yield f"postgresql+psycopg://renzheng@127.0.0.1:{port}/postgres"
    finally:
        pid = (data / "postmaster.pid").read_text(encoding="ascii").split()[0]
        subprocess.run([*as_user, "kill", "-INT", pid], check=False)
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _wait(ready: Callable[[], bool], process: "subprocess.Popen[bytes]", name: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise BenchError(f"{name} did not start.", do="Try it by hand; its log says why.")
        time.sleep(0.05)
