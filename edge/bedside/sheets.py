"""What is brought to a unit by hand: sealed sheets as files."""

from pathlib import Path

from pydantic import ValidationError

from renzheng.contracts.once import read_once
from renzheng.contracts.rounds import RoundError, SealedSheet


def read_sheet(path: Path) -> SealedSheet:
    """Read a sealed sheet from a file.

    Raises:
        RoundError: it is none.
    """
    try:
        return read_once(SealedSheet, path.read_bytes())
    except (OSError, ValidationError):
        raise RoundError(
            f"{path} is no sealed sheet.", do="Give a file that `renzheng central draw` wrote."
        ) from None
