"""The order to write nothing and only send, and the answer that it was heard.

Who ends a party, or counts what it wrote, must know that it is not just about to write one more: on a busy
machine any time may lie between its look at the order and what it does then.
"""

import uuid
from pathlib import Path


def order(notes: Path) -> None:
    """Order the party with these notes to be quiet."""
    (notes / "quiet").write_text(uuid.uuid4().hex, encoding="utf-8")


def lift(notes: Path) -> None:
    """Let it write again."""
    (notes / "quiet").unlink(missing_ok=True)


def is_heard(notes: Path) -> bool:
    """Say whether the party has seen the order that holds now: it writes nothing from here on."""
    ordered, heard = _read(notes / "quiet"), _read(notes / "heard")
    return bool(ordered) and ordered == heard


def holds(notes: Path) -> bool:
    """Say, as the party, whether to be quiet, and note that it was heard."""
    ordered = _read(notes / "quiet")
    if ordered and ordered != _read(notes / "heard"):
        (notes / "heard").write_text(ordered, encoding="utf-8")
    return ordered is not None


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
