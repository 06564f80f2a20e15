"""JSON objects that name a key twice: which of the two values counts, no reader may choose."""

from typing import Any


class ContainsRepeatedKeys(dict[str, Any]):
    """An object with one in it, at whatever depth, that names a key twice."""


class RepeatedKeys(ContainsRepeatedKeys):
    """An object that names a key twice itself; it holds the last value, to be shown, not to be believed."""


def mark_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of its pairs, as `object_pairs_hook` has them."""
    found = dict(pairs)
    return found if len(found) == len(pairs) else RepeatedKeys(pairs)


def holds_twice(value: Any) -> bool:
    """Return whether an object that names a key twice is in here, at whatever depth."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, RepeatedKeys):
            return True
        if isinstance(one, dict):
            waiting += [inner for inner in one.values() if isinstance(inner, dict | list)]
        elif isinstance(one, list):
            waiting += [inner for inner in one if isinstance(inner, dict | list)]
    return False


def within(value: dict[str, Any], *around: object) -> dict[str, Any]:
    """Return an object, marked if one that it stands in is: another may have stood in its place."""
    return RepeatedKeys(value) if any(isinstance(one, RepeatedKeys) for one in around) else value
