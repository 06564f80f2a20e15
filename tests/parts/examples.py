"""How many examples Hypothesis draws for a property."""

import os

LONG = os.environ.get("FAULTS") == "long"
FEWEST = 10


def examples(number: int) -> int:
    """All of them at length, drawn anew; a fifth in the ordinary tests, which draw the same each time."""
    return number if LONG else max(FEWEST, number // 5)
