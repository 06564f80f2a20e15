"""What the address of a list of doubts asks for, and back: a list can be linked, kept and gone back to."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlencode

from renzheng.central.cases.desk import ASKED, GROUPS, SORTS
from renzheng.central.cases.doubts import State
from renzheng.central.cases.worklists import Choice
from renzheng.central.store import viewer

NARROWING = (
    "month", "institution", "rule", "person", "case", "answers", "doctor", "shape", "certainty", *ASKED,
    "late",
)  # fmt: skip
LONGEST = 200


@dataclass(frozen=True, slots=True)
class Asked:
    """A list of doubts.

    Args:
        states: which; empty for all.
        chosen: what it is narrowed to, by names of `NARROWING`.
        group: by what it is added up; empty for a list of doubts.
        sort: by what it is ordered.
    """

    states: tuple[str, ...] = ()
    chosen: Mapping[str, str] = field(default_factory=dict)
    group: str = ""
    sort: str = "certainty"

    def choice(self, now_us: int) -> Choice:
        """Say it to the store.

        Args:
            now_us: by when what is late was due, in microseconds.
        """
        named = {name: value for name, value in self.chosen.items() if name != "late"}
        if "person" in named:
            named["person"] = viewer.meant(named["person"])
        late = now_us if self.chosen.get("late") else None
        return Choice(states=self.states, late_us=late, sort=self.sort, **named)

    def query(self) -> str:
        """Write it as an address has it."""
        pairs = [("state", state) for state in self.states]
        pairs += [(name, self.chosen[name]) for name in NARROWING if self.chosen.get(name)]
        pairs += [("group", self.group)] if self.group else []
        return urlencode([*pairs, *([("sort", self.sort)] if self.sort != SORTS[0] else [])])

    def address(self) -> str:
        """Write the address of its page."""
        return f"/doubts?{self.query()}"

    def narrowed_to(self, key: str) -> "Asked":
        """Return the list of one of its groups."""
        if self.group == "state":
            return replace(self, states=(key,), group="")
        return replace(self, chosen={**self.chosen, self.group: key}, group="")

    def without(self, name: str) -> "Asked":
        """Return the list without one of what it is narrowed to."""
        return replace(self, chosen={one: value for one, value in self.chosen.items() if one != name})

    def grouped_by(self, name: str) -> "Asked":
        """Return the list added up by something, or not."""
        return replace(self, group=name)

    def sorted_by(self, name: str) -> "Asked":
        """Return the list in another order."""
        return replace(self, sort=name)


def read(pairs: Iterable[tuple[str, str]]) -> Asked:
    """Read an address; what it does not know is left out."""
    states: list[str] = []
    chosen: dict[str, str] = {}
    group, sort = "", SORTS[0]
    for name, value in pairs:
        text = value[:LONGEST].strip()
        if name == "state" and text in set(State) and text not in states:
            states.append(text)
        elif name in NARROWING and text:
            chosen[name] = text
        elif name == "group" and text in GROUPS:
            group = text
        elif name == "sort" and text in SORTS:
            sort = text
    return Asked(tuple(states), chosen, group, sort)
