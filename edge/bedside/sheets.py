"""What is brought to a unit by hand: sealed sheets as files, and inspectors' PINs."""

from pathlib import Path

from pydantic import ValidationError

from renzheng.contracts.errors import InputError
from renzheng.contracts.rounds import RoundError, SealedSheet

SHORTEST_PIN = 6


class PinError(InputError):
    """A PIN is too easily guessed."""


def read_sheet(path: Path) -> SealedSheet:
    """Read a sealed sheet from a file.

    Raises:
        RoundError: it is none.
    """
    try:
        return SealedSheet.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        raise RoundError(
            f"{path} is no sealed sheet.", do="Give a file that `renzheng central draw` wrote."
        ) from None


def check_pin(pin: str) -> str:
    """Give an inspector's PIN back if it can stand between a lost tablet and its lists.

    Raises:
        PinError: it is shorter than `SHORTEST_PIN`, or one character repeated.
    """
    if len(pin) < SHORTEST_PIN or len(set(pin)) == 1:
        raise PinError(
            f"An inspector's PIN has at least {SHORTEST_PIN} characters, not all the same.",
            why="It also locks the lists that a page keeps for work without network.",
            do="Choose a longer one; letters may be among it.",
        )
    return pin
