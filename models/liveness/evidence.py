"""What one signal says, as a weight of evidence."""

from dataclasses import dataclass
from enum import StrEnum


class Family(StrEnum):
    """What a sign of life is about; two of different families are independent."""

    SHAPE = "shape"
    EXPRESSION = "expression"
    LIGHT = "light"


@dataclass(frozen=True, slots=True)
class SignalResult:
    """One signal's word.

    Args:
        signal: its name.
        weight: natural logarithm of how much likelier what was measured is with a living face than with an
            attack; above 0 speaks for a living face, below against, 0 is no word at all.
        value: the measured number behind it, in the signal's own unit.
        shows_depth: it saw a body, not a picture; nothing is bona fide without one such word.
        family: which sign of life it saw; nothing is bona fide without two.
    """

    signal: str
    weight: float
    value: float = 0.0
    shows_depth: bool = False
    family: Family | None = None

    def as_code(self) -> str:
        """Name and weight, for the record: `periodic:-2.1`."""
        return f"{self.signal}:{self.weight:+.1f}"
