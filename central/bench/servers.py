"""Real servers for a measurement: Mosquitto with TLS and access rules, PostgreSQL with fsync on."""

import os
import shutil
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


@contextmanager
def mosquitto(folder: Path, certificates: Certificates) -> Iterator[int]:
    """Run Mosquitto without persistence, with TLS and client certificates; yields its port."""
    program = find_program("mosquitto", "mosquitto")
    folder.mkdir()
    port, pem = _free_port(), certificates.folder
    acl = folder / "acl"
    acl.write_text(ACL, encoding="utf-8")
    acl.chmod(0o600)
    config = folder / "mosquitto.conf"
    lines = [
        f"listener {port} 127.0.0.1",
        f"cafile {pem / 'ca.pem'}",
        f"certfile {pem / 'server.pem'}",
        f"keyfile {pem / 'server.key'}",
        "require_certificate true",
        "use_identity_as_username true",
        "allow_anonymous false",
        f"acl_file {acl}",
        "max_packet_size 262144",
        "persistence false",
        "user root",
        f"log_dest file {folder / 'log'}",
    ]
    config.write_text("\n".join(lines) + "\n", encoding="utf-8")
    process = subprocess.Popen([program, "-c", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait(lambda: _listens(port), process, "mosquitto")
        yield port
    finally:
        process.terminate()
        process.wait()


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
