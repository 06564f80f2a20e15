"""Runs a piece of work in a process of its own and ends it with SIGKILL when it reports a certain step.

The process is forked from one that has the modules of audit and agent loaded and has done nothing yet, so
that a test with many kills does not pay for many starts of Python.
"""

import multiprocessing
import os
import signal
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

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
"""The same as a script, for a test that drives the process by itself."""
TESTS = Path(__file__).parent.parent
LOADED = [
    "renzheng.central.audit.run",
    "renzheng.central.nightly.night",
    "renzheng.edge.kiosk.main",
    "renzheng.edge.bedside.main",
]
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(LOADED)


class Apart:
    """A piece of work in a process of its own, which runs until it is killed.

    Args:
        work: a script; `tell(anything)` in it is heard here, and what is `given` is there by its name.
    """

    def __init__(self, work: str, **given: Any) -> None:
        self._hears, says = _FORKS.Pipe(duplex=False)
        self._process = _FORKS.Process(target=_work_apart, args=(work, says, given))
        self._process.start()
        says.close()

    def hear(self) -> Any:
        """Wait for what it tells next; EOFError once it has ended and everything was heard."""
        return self._hears.recv()

    def all_heard(self) -> list[Any]:
        """Whatever is left to be heard of one that was killed."""
        left = []
        while True:
            try:
                left.append(self._hears.recv())
            except EOFError:
                return left

    @property
    def lives(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.is_alive()

    def strike(self) -> None:
        """SIGKILL, without waiting for the end."""
        self._process.kill()

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        self._process.kill()
        self._process.join()


def _work_apart(work: str, says: Connection, given: dict[str, Any]) -> None:
    _with_tests()
    exec(work, {"tell": says.send, **given})


def steps_until(stop: str | None, work: str) -> list[str]:
    """Run `work`, which reports its steps to `tell`; kill it at `stop`, or let it end. Return the steps."""
    hears, says = _FORKS.Pipe(duplex=False)
    process = _FORKS.Process(target=_work, args=(work, stop, says))
    process.start()
    says.close()
    steps = list(_heard(hears))
    if stop is not None and steps and steps[-1] == stop:
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert process.exitcode == (-signal.SIGKILL if stop else 0), steps
    return steps


def _heard(hears: Connection):
    with hears:
        while True:
            try:
                step = hears.recv()
            except EOFError:
                return
            if step is None:  # it waits for the kill
                return
            yield step


def _with_tests() -> None:
    if str(TESTS) not in sys.path:
        sys.path.insert(0, str(TESTS))


def _work(work: str, stop: str | None, says: Connection) -> None:
    _with_tests()

    def tell(step, done=0, total=0):
        says.send(step)
        if step == stop:
            says.send(None)
            signal.pause()  # the kill comes meanwhile

    exec(work, {"tell": tell, "Path": Path})
