"""Combinations of several lists: each with each is shown by rotation, all of them in `long`."""

from itertools import product

import pytest


def rotated(*lists, turns=None):
    """Return every combination; those in which the last list does not have its turn are `long`.

    With `turns`, one combination in so many is ordinary: each value of each list is among them.
    """
    turns = turns or len(lists[-1])
    return [
        pytest.param(*(value for _, value in one), marks=() if _has_turn(one, turns) else pytest.mark.long)
        for one in product(*(list(enumerate(values)) for values in lists))
    ]


def _has_turn(numbered, turns):
    return sum(number for number, _ in numbered) % turns == 0
