"""Reads the amounts that are sent with steps: yuan as text, fen inside."""

import re

from renzheng.central.cases.errors import BodyError

_YUAN = re.compile(r"(\d{1,13})(?:\.(\d{1,2}))?")


def fen(text: object) -> int:
    """Read yuan, ``123``, ``123.4`` or ``123.45``, as fen.

    Raises:
        BodyError: it is no such text; a number with a binary fraction is none either.
    """
    found = _YUAN.fullmatch(text) if isinstance(text, str) and text.isascii() else None
    if found is None:
        raise BodyError(
            f"{str(text)[:40]!r} is no amount.",
            why="Amounts are yuan as text with at most two decimal places, so that no fen is rounded away.",
            do='Send it as "123.45".',
        )
    return int(found[1]) * 100 + int((found[2] or "0").ljust(2, "0"))
