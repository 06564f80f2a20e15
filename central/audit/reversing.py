"""Follow reversals of reversals to the line that was billed first."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Rooted:
    """A reversal, the line that was billed first, and the steps between; no root in a circle."""

    line: int
    root: int | None
    depth: int


def follow(targets: Mapping[int, int]) -> Iterator[Rooted]:
    """Follow every reversal in `targets` (reversal to what it takes back), however long the chain.

    A chain that comes back to itself has no beginning: its reversals and what leads into it have no root.
    """
    known: dict[int, Rooted] = {}
    for line in targets:
        path: list[int] = []
        on_path: set[int] = set()
        at = line
        while at in targets and at not in known and at not in on_path:
            path.append(at)
            on_path.add(at)
            at = targets[at]
        end = Rooted(at, None, 0) if at in on_path else known.get(at, Rooted(at, at, 0))
        for depth, one in enumerate(reversed(path), start=1):
            known[one] = Rooted(one, end.root, end.depth + depth)
    yield from known.values()


def targets_of(rows: Iterable[Mapping[str, int]]) -> dict[int, int]:
    """Turn rows of line and target into a mapping."""
    return {row["line"]: row["target"] for row in rows}
