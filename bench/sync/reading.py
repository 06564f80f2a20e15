"""A file read by a reader in a process of its own: what it took of processor and memory."""

import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from renzheng.contracts.errors import FaultError

_AROUND = (
    "import json, resource, sys\npath = sys.argv[1]\n{read}"
    "used = resource.getrusage(resource.RUSAGE_SELF)\n"
    "print(json.dumps([n, used.ru_utime + used.ru_stime, used.ru_maxrss // 1024]))\n"
)


class Read(NamedTuple):
    """How many things were read, the processor seconds, and the peak of memory in MiB."""

    found: int
    processor_seconds: float
    peak_mib: int


def measure(read: str, path: Path) -> Read:
    """Run a reader's lines of Python, which find the file in `path` and leave their count in `n`.

    Raises:
        FaultError: the reader ended with an error; its last line says which.
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _AROUND.format(read=read), str(path)],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise FaultError("".join(done.stderr.strip().splitlines()[-1:]))
    found, seconds, peak = json.loads(done.stdout)
    return Read(found, round(seconds, 1), peak)
