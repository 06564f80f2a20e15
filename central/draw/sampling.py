"""The sample of a round: a pure function of seed, frame and size, over integers only.

`docs/draw-specification.md` says the same in words; a second implementation under `tests/` was written from
there. Wards are drawn first, then people within each, both with probability proportional to weight.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

DOMAIN = "renzheng draw v1"
_WORDS = 1 << 256


@dataclass(frozen=True, slots=True)
class Candidate:
    """Somebody who can be drawn; `ref` stands for a visit without naming it."""

    ref: str
    weight: int


@dataclass(frozen=True, slots=True)
class Unit:
    """A ward of one institution, or its running dialysis sessions; drawn as a whole first."""

    institution_id: str
    ward: str
    purpose: str
    candidates: tuple[Candidate, ...]

    @property
    def weight(self) -> int:
        """The sum over its candidates."""
        return sum(candidate.weight for candidate in self.candidates)


@dataclass(frozen=True, slots=True)
class Drawn:
    """One candidate of the sample.

    Args:
        unit: place of its unit in the frame.
        chance: probability with which it was to be drawn.
    """

    unit: int
    ref: str
    chance: Fraction


class Stream:
    """Integers below a bound, drawn from the seed: word i is HMAC-SHA-256(seed, label and i)."""

    def __init__(self, seed: bytes, label: str) -> None:
        self._seed = seed
        self._label = label
        self._count = 0

    def below(self, bound: int) -> int:
        """Draw an integer from 0 to `bound` - 1, each exactly as likely."""
        limit = _WORDS - _WORDS % bound  # words past the last whole multiple would favour small results
        while True:
            message = f"{DOMAIN}\n{self._label}\n{self._count}".encode()
            self._count += 1
            word = int.from_bytes(hmac.digest(self._seed, message, hashlib.sha256))
            if word < limit:
                return word % bound


def draw(seed: bytes, units: Sequence[Unit], wards: int, per_ward: int) -> list[Drawn]:
    """Draw `wards` units, and `per_ward` candidates in each; fewer where there are not so many."""
    weights = [unit.weight for unit in units]
    of_units = chances(weights, wards)
    sample = []
    for place in choose(weights, wards, Stream(seed, "units")):
        inner = [candidate.weight for candidate in units[place].candidates]
        within = chances(inner, per_ward)
        for index in choose(inner, per_ward, Stream(seed, f"unit {place}")):
            ref = units[place].candidates[index].ref
            sample.append(Drawn(place, ref, of_units[place] * within[index]))
    return sample


def choose(weights: Sequence[int], size: int, stream: Stream) -> list[int]:
    """Choose `size` places with probability proportional to weight: systematic sampling over a shuffled list.

    Returns:
        The places, in order.
    """
    order = _shuffled(len(weights), stream)
    chosen, left = _certain(weights, size)
    rest = [place for place in order if place not in chosen]
    total = sum(weights[place] for place in rest)
    if left == 0 or not rest:
        return sorted(chosen)
    point, reached = stream.below(total), 0
    for place in rest:
        reached += left * weights[place]
        if point < reached:
            chosen.add(place)
            point += total
    return sorted(chosen)


def chances(weights: Sequence[int], size: int) -> list[Fraction]:
    """Give the exact probability with which `choose` takes each place: n·w/W, or 1 where that is more."""
    certain, left = _certain(weights, size)
    total = sum(weight for place, weight in enumerate(weights) if place not in certain)
    return [
        Fraction(1) if place in certain else Fraction(left * weight, total)
        for place, weight in enumerate(weights)
    ]


def _certain(weights: Sequence[int], size: int) -> tuple[set[int], int]:
    """Find whose share of the size is a whole one or more, again without them until nobody's is.

    Returns:
        Their places, and how many are left to draw among the others.
    """
    certain: set[int] = set()
    while len(certain) < min(size, len(weights)):
        left = size - len(certain)
        rest = [place for place in range(len(weights)) if place not in certain]
        total = sum(weights[place] for place in rest)
        more = {place for place in rest if left * weights[place] >= total}
        if not more:
            return certain, left
        certain |= more
    return certain, 0


def _shuffled(count: int, stream: Stream) -> list[int]:
    """Shuffle 0 to `count` - 1 (Fisher-Yates, from the end)."""
    order = list(range(count))
    for last in range(count - 1, 0, -1):
        other = stream.below(last + 1)
        order[last], order[other] = order[other], order[last]
    return order
