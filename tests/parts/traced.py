"""What a program reaches for, by strace: sockets it connects or sends to, files it makes or writes."""

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from parts.processes import find_program

CALLS = (
    "getsockname,connect,sendto,sendmsg,sendmmsg,open,openat,creat,mkdir,mkdirat,rename,renameat,renameat2,link,linkat,"
    "symlink,symlinkat"
)
_ADDRESS = re.compile(
    r'sin6?_port=htons\((\d+)\).*?(?:inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)")'
)
_PATHS = re.compile(r'"((?:[^"\\]|\\.)*)"')
_WRITES = re.compile(r"O_WRONLY|O_RDWR|O_CREAT")


@dataclass
class Reached:
    """What the traces of all its processes and threads show.

    Attributes:
        addresses: `host:port` of every socket that was connected or sent to, even in vain, without those of
            the program's own (paho wakes its thread through a pair of loopback sockets).
        written: every path that was opened for writing, made, or renamed to, even in vain.
        traces: how many threads and processes were seen.
    """

    addresses: set[str] = field(default_factory=set)
    written: set[str] = field(default_factory=set)
    traces: int = 0


class Traced:
    """Programs under strace, in a home of their own that begins empty; their traces lie in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.home.mkdir(parents=True)
        self._strace = find_program("strace", "strace")
        self._count = 0

    def words(self, words: list[str]) -> list[str]:
        """The command that runs `words` under strace."""
        self._count += 1
        out = self.folder / f"trace{self._count}"
        return [
            str(self._strace), "-ff", "--seccomp-bpf", "-qq", "-s", "300", "-e", f"trace={CALLS}",
            "-e", "signal=none", "-o", str(out), *words,
        ]  # fmt: skip

    def environment(self, machine: Mapping[str, str]) -> dict[str, str]:
        """The machine's environment with the home of the traced programs, and no word on telemetry in it."""
        silent = {name: value for name, value in machine.items() if "TELEMETRY" not in name}
        return silent | {"HOME": str(self.home), "XDG_CACHE_HOME": str(self.home / ".cache")}

    def run(self, words: list[str], *, cwd: Path, **more: object) -> None:
        """Run a command to its end."""
        subprocess.run(
            self.words(words),
            cwd=cwd,
            env=self.environment(os.environ),
            check=True,
            capture_output=True,
            timeout=120,
            **more,  # type: ignore[call-overload]
        )

    def reached(self) -> Reached:
        """Read every trace."""
        found, own = Reached(), set()
        for path in sorted(self.folder.glob("trace*")):
            found.traces += 1
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                _read(line, found, own)
        found.addresses -= own
        return found


def _read(line: str, found: Reached, own: set[str]) -> None:
    call = line.split("(", 1)[0]
    if call == "getsockname":
        own.update(f"{four or six}:{port}" for port, four, six in _ADDRESS.findall(line))
        return
    if call in ("connect", "sendto", "sendmsg", "sendmmsg"):
        for port, four, six in _ADDRESS.findall(line):
            found.addresses.add(f"{four or six}:{port}")
        return
    paths = _PATHS.findall(line)
    if not paths or (call in ("open", "openat") and not _WRITES.search(line)):
        return
    found.written.add(paths[-1])
