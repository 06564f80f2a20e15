"""The command line in the test's own process: the same `main`, without the seconds that a process takes."""

import contextlib
import io
import logging
import os
import sys
from unittest.mock import patch

from renzheng.deploy.command import main


def run(*words: object, status: int = 0, typed: str = "") -> str:
    """Run `renzheng` with `words` and what is `typed` on its input; return what it said on both outputs."""
    said = io.StringIO()
    argv = ["renzheng", *map(str, words)]
    with (
        _as_before(),
        patch.object(sys, "argv", argv),
        patch.object(sys, "stdin", io.StringIO(typed)),
        patch("getpass.getpass", _typed_unseen),  # it would ask at a developer's terminal
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(said),
    ):
        try:
            main()
            ended = 0
        except SystemExit as end:
            ended = end.code if isinstance(end.code, int) else int(end.code is not None)
    assert ended == status, said.getvalue()
    return said.getvalue()


def _typed_unseen(_prompt=""):
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line.rstrip("\n")


@contextlib.contextmanager
def _as_before():
    """Put back what a command sets for its whole process: the mask of new files, and the log."""
    mask, root = os.umask(0o077), logging.getLogger()
    os.umask(mask)
    level, handlers = root.level, root.handlers[:]
    try:
        yield
    finally:
        os.umask(mask)
        root.setLevel(level)
        root.handlers[:] = handlers
