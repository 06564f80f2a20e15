"""What the address of a list of doubts asks for, and back: a list can be linked, kept and gone back to."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from renzheng.central.cases.desk import ASKED, GROUPS, SORTS
from renzheng.central.cases.doubts import State
from renzheng.central.cases.worklists import Choice
from renzheng.central.store import viewer
from renzheng.central.store.times import to_us

NARROWING = (
    "month", "institution", "rule", "person", "case", "answers", "doctor", "shape", "certainty", *ASKED,
    "late", "changed",
)  # fmt: skip
LONGEST = 200
YESTERDAY = "yesterday"
FIRST_YEAR, LAST_YEAR = 2000, 2200


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

    def choice(self, now: datetime, zone: ZoneInfo) -> Choice:
        """Say it to the store.

        Args:
            now: by when what is late was due.
            zone: in which days begin.
        """
        named = {name: value for name, value in self.chosen.items() if name not in {"late", "changed"}}
        if "person" in named:
            named["person"] = viewer.meant(named["person"])
        late = to_us(now) if self.chosen.get("late") else None
        asked = self.chosen.get("changed")
        changed = to_us(day_begins(asked, now, zone)) if asked else None
        return Choice(states=self.states, late_us=late, changed_us=changed, sort=self.sort, **named)

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


def day_begins(day: str, now: datetime, zone: ZoneInfo) -> datetime:
    """Return when a day began.

    Args:
        day: as ISO 8601 has it, or `yesterday`.
        now: when it is.
        zone: in which days begin.
    """
    yesterday = now.astimezone(zone).date() - timedelta(days=1)
    return datetime.combine(yesterday if day == YESTERDAY else date.fromisoformat(day), time(), zone)


def _is_a_day(text: str) -> bool:
    try:
        return text == YESTERDAY or FIRST_YEAR <= date.fromisoformat(text).year < LAST_YEAR
    except ValueError:
        return False


def read(pairs: Iterable[tuple[str, str]]) -> Asked:
    """Read an address; what it does not know is left out."""
    states: list[str] = []
    chosen: dict[str, str] = {}
    group, sort = "", SORTS[0]
    for name, value in pairs:
        text = value[:LONGEST].strip()
        if name == "state" and text in set(State) and text not in states:
            states.append(text)
        elif name == "changed" and not _is_a_day(text):
            continue
        elif name in NARROWING and text:
            chosen[name] = text
        elif name == "group" and text in GROUPS:
            group = text
        elif name == "sort" and text in SORTS:
            sort = text
    return Asked(tuple(states), chosen, group, sort)
