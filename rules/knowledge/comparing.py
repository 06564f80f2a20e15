"""What changed from one pack to another."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from renzheng.rules.knowledge.packfile import KnowledgePack
from renzheng.rules.knowledge.points import Point

Change = Literal["added", "withdrawn", "changed", "power"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One point that is not the same in both packs; None where a pack has it not in force."""

    change: Change
    before: Point | None
    after: Point | None

    @property
    def id(self) -> str:
        """The point's id."""
        one = self.after or self.before
        assert one is not None
        return one.id


def differences(first: KnowledgePack, second: KnowledgePack, day: dt.date) -> Iterator[Difference]:
    """Compare what is in force on a day, in the order of ids."""
    before = {one.id: one for one in first.in_force(day)}
    after = {one.id: one for one in second.in_force(day)}
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old is None:
            yield Difference("added", None, new)
        elif new is None:
            yield Difference("withdrawn", old, None)
        elif old.version != new.version:
            yield Difference("changed", old, new)
        elif (old.power_on(day), old.problem) != (new.power_on(day), new.problem):
            yield Difference("power", old, new)
