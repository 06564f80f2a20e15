"""Which public values may decide a draw: from a source that is named before, and with at least 64 bits.

Three digits of a lottery are a thousand samples: whoever froze the frame could have tried them all at home. A
value of 64 bits cannot be tried out, whoever promised what.
"""

import math
import re

from renzheng.central.errors import DrawError

LEAST_BITS = 64
_LEAST_DIFFERENT = 5
SOURCES = {"drand": re.compile("[0-9a-f]{64}"), "nist-beacon": re.compile("[0-9A-F]{128}")}
"""Beacons, and how they write a value: drand's `randomness` and NIST's `outputValue`, in hexadecimal."""
DIGITS = ("lottery", "index", "other")
"""Sources that are read as decimal digits: several draws of a lottery, closing figures in a row."""


def source_of(description: str) -> str:
    """Return the source that a description names before its colon.

    Raises:
        DrawError: it names none of `SOURCES` and `DIGITS`.
    """
    name, colon, rest = description.replace("：", ":").partition(":")
    if not colon or not rest.strip() or name.strip().lower() not in (*SOURCES, *DIGITS):
        raise DrawError(
            f"The public value names no source: {description[:60]!r}.",
            why="Everybody must know beforehand where the value will be read.",
            do=f"Begin with one of {', '.join((*SOURCES, *DIGITS))} and a colon: drand: round 4711000.",
        )
    return name.strip().lower()


def check_value(description: str, value: str) -> None:
    """See that a value is what its source gives, with bits enough that nobody could have tried them all.

    Raises:
        DrawError: it has another form, or too few bits.
    """
    source = source_of(description)
    if source in SOURCES:
        if not SOURCES[source].fullmatch(value) or len(set(value)) < _LEAST_DIFFERENT:
            raise DrawError(
                f"That is no value of {source}: it is written {SOURCES[source].pattern}.",
                do="Copy it whole from the source.",
            )
        return
    digits = [one for one in value if one.isascii() and one.isdigit()]
    bits = len(digits) * math.log2(10)
    if bits < LEAST_BITS or len(set(digits)) < _LEAST_DIFFERENT:
        raise DrawError(
            f"The public value has {bits:.0f} bits; a draw needs {LEAST_BITS} (twenty digits).",
            why="Whoever froze the frame could have tried every shorter value beforehand.",
            do="Name a beacon, or several draws one after the other.",
        )
