"""Runs a piece of work in a process of its own and ends it with SIGKILL when it reports a certain step."""

import os
import signal
import subprocess
import sys
from pathlib import Path

WAIT = """
import sys
from pathlib import Path

sys.path[:0] = {path!r}

def tell(step, done=0, total=0):
    print(step, flush=True)
    if step == {stop!r}:
        sys.stdin.read()  # the kill comes meanwhile

{work}
"""
TESTS = Path(__file__).parent.parent


def steps_until(stop: str | None, work: str) -> list[str]:
    """Run `work`, which reports its steps to `tell`; kill it at `stop`, or let it end. Return the steps."""
    script = WAIT.format(path=[str(TESTS)], stop=stop, work=work)
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        steps = []
        for line in process.stdout:
            steps.append(line.strip())
            if steps[-1] == stop:
                os.kill(process.pid, signal.SIGKILL)
                break
    assert process.returncode == (-signal.SIGKILL if stop else 0), steps
    return steps
