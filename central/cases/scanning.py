"""The site's own scanner for files that are handed in: a command, whose exit status decides."""

import os
import subprocess
import tempfile
from collections.abc import Sequence

from renzheng.central.cases.errors import BodyError

FOUND = 1
"""Exit status by which scanners such as `clamdscan` say that they have found something."""


def must_pass(content: bytes, command: Sequence[str], seconds: float) -> None:
    """Let the scanner look at a file; without a command every file passes.

    Args:
        content: the file.
        command: program and arguments; the path of the file comes last. 0 lets it pass, 1 refuses it.
        seconds: after which the scanner is ended, and the file not taken.

    Raises:
        BodyError: the scanner refuses the file, or could not look at it.
    """
    if not command:
        return
    with tempfile.NamedTemporaryFile(prefix="attachment-") as file:  # readable for this account alone
        file.write(content)
        file.flush()
        status = _status([*command, file.name], seconds)
    if status == FOUND:
        raise BodyError(
            "The scanner of this site refuses the file.",
            why="It found something in it that could harm whoever opens it.",
            do="Make the document anew on a clean machine, or ask the bureau's technicians.",
        )
    if status != 0:
        raise BodyError(
            "The file could not be scanned, and was not taken.",
            why="What nobody has looked at is not handed on to others.",
            do="Try again later; if it stays so, tell the bureau's technicians that the scanner fails.",
        )


def _status(command: Sequence[str], seconds: float) -> int | None:
    """Run the scanner; None when it does not start or does not end in time."""
    quiet = subprocess.DEVNULL
    try:
        done = subprocess.run(
            command, stdin=quiet, stdout=quiet, stderr=quiet, timeout=seconds, check=False,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.returncode
