"""Which numbers are one person: every alias followed to the number that the person has now."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

ALWAYS = -(2**62)
"""The time of an alias without one: before every other."""


@dataclass(frozen=True)
class Alias:
    """A number that is used no more, and the number that the same person has instead."""

    person_id: str
    alias_of: str
    since_us: int | None


@dataclass(frozen=True)
class Aliases:
    """Every number that is replaced, with what it is replaced by; and the numbers that go in a circle."""

    roots: Mapping[str, str]
    circles: tuple[tuple[str, ...], ...]


def resolve_aliases(rows: Iterable[Alias]) -> Aliases:
    """Follow every alias to its end, whatever the order of the rows.

    Of two rows about one number the later holds, and of two of one time that with the smaller `alias_of`.
    The numbers of a circle are one person, who goes by the smallest of them.
    """
    following: dict[str, str] = {}
    ordered = sorted(rows, key=lambda row: (-_since(row), row.alias_of))
    for row in ordered:
        if row.person_id != row.alias_of:
            following.setdefault(row.person_id, row.alias_of)
    roots: dict[str, str] = {}
    circles: list[tuple[str, ...]] = []
    for number in sorted(following):
        _follow(number, following, roots, circles)
    return Aliases({number: root for number, root in roots.items() if number != root}, tuple(circles))


def _follow(
    number: str, following: Mapping[str, str], roots: dict[str, str], circles: list[tuple[str, ...]]
) -> None:
    """Find the root of one number and of all on the way to it."""
    path: list[str] = []
    place: dict[str, int] = {}
    while number in following and number not in roots and number not in place:
        place[number] = len(path)
        path.append(number)
        number = following[number]
    if number in place:
        circle = tuple(sorted(path[place[number] :]))
        circles.append(circle)
        root = circle[0]
    else:
        root = roots.get(number, number)
    roots.update(dict.fromkeys(path, root))


def _since(row: Alias) -> int:
    return ALWAYS if row.since_us is None else row.since_us
