"""A machine with more to do than it can: a process on each core that only burns time."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def busy_machine(a_core: int = 2) -> Iterator[None]:
    """Burn every core for the time of the block, `a_core` processes on each."""
    command = [sys.executable, "-S", "-c", "while True: pass"]
    burners = [subprocess.Popen(command) for _ in range(a_core * (os.cpu_count() or 1))]
    try:
        yield
    finally:
        for one in burners:
            one.kill()
            one.wait()
