"""What a list is asked for: period, filters, order, group, page; read from an address, written into one."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

import orjson

from renzheng.central.lists.months import Kind

LONGEST = 200
MOST_VALUES = 20
MOST_YEARS = 30
FILTERS: Mapping[Kind, tuple[str, ...]] = {
    "lines": ("verdict", "reason", "institution", "ward", "person", "doctor", "item", "rule", "device"),
    "findings": ("verdict", "severity", "institution", "ward", "person", "doctor", "rule", "device"),
}
"""What a list may be narrowed by; each may be named several times, and any of its values will do."""
SORTS: Mapping[Kind, tuple[str, ...]] = {
    "lines": (
        "verdict",
        "reason",
        "line",
        "institution",
        "ward",
        "person",
        "doctor",
        "item",
        "time",
        "amount",
        "coverage",
        "rule",
    ),
    "findings": ("severity", "verdict", "rule", "institution", "person", "day", "amount"),
}
GROUPS: Mapping[Kind, tuple[str, ...]] = {
    "lines": ("day", "month", *FILTERS["lines"]),
    "findings": ("day", "month", "verdict", "severity", "institution", "person", "rule"),
}
GROUP_SORTS = ("group", "rows", "amount", "contradicted", "insufficient")
DESCENDING_FIRST = frozenset({"amount", "rows", "contradicted", "insufficient", "time", "day"})
"""Columns of which people want the largest or newest first."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One list.

    Args:
        kind: lines or findings.
        first: earliest service day, ISO text; empty when open.
        last: latest one.
        filters: by the names of `FILTERS`, the values of which any will do.
        text: a line's, finding's or person's id.
        sort: by which column; empty is what matters first: contradicted and dear.
        descending: largest first.
        group: by which column rows are added up; empty lists them.
        cursor: value and row number after (or before) which the page begins; None is the first page.
        backwards: the page before the cursor is wanted.
    """

    kind: Kind
    first: str = ""
    last: str = ""
    filters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    text: str = ""
    sort: str = ""
    descending: bool = False
    group: str = ""
    cursor: tuple[Any, Any] | None = None
    backwards: bool = False

    def query(self) -> list[tuple[str, str]]:
        """Write it as the pairs of an address, without the page."""
        pairs = [("from", self.first), ("to", self.last)]
        pairs += [(name, value) for name, values in self.filters.items() for value in values]
        pairs += [("text", self.text), ("group", self.group), ("sort", self.sort)]
        pairs += [("order", "desc" if self.descending else "asc")] if self.sort else []
        return [(name, value) for name, value in pairs if value]

    def address(self, **more: str) -> str:
        """Write the address of its first page; `more` is added."""
        return f"/{self.kind}?{urlencode([*self.query(), *more.items()])}"

    def with_filter(self, name: str, *values: str) -> "Asked":
        """Give the list with one filter set to these values; none takes the filter away."""
        others = {key: held for key, held in self.filters.items() if key != name}
        return replace(self, filters={**others, name: values} if values else others, cursor=None)

    def without_value(self, name: str, value: str) -> "Asked":
        """Give the list with one value less."""
        return self.with_filter(name, *(one for one in self.filters.get(name, ()) if one != value))

    def sorted_by(self, name: str) -> "Asked":
        """Give the list by a column; by the same one again, the other way round."""
        if self.sort == name:
            return replace(self, descending=not self.descending, cursor=None)
        return replace(self, sort=name, descending=name in DESCENDING_FIRST, cursor=None)

    def narrowed_to(self, group: str) -> "Asked":
        """Give the list of one group's rows."""
        plain = replace(self, group="", sort="", descending=False, cursor=None)
        if self.group == "day":
            return replace(plain, first=group, last=group)
        if self.group == "month":
            first, last = month_bounds(group)
            return replace(plain, first=max(first, self.first), last=min(last, self.last or last))
        return plain.with_filter(self.group, group)


@dataclass(frozen=True, slots=True)
class Wrong:
    """A part of an address that cannot be read: the field's name and what was written there."""

    field: str
    value: str


def read(
    kind: Kind, pairs: Sequence[tuple[str, str]], newest: str | None = None
) -> tuple[Asked, Sequence[Wrong]]:
    """Read an address; what cannot be read is named, and the list is what the rest asks for.

    Args:
        kind: lines or findings.
        pairs: names and values, in order.
        newest: the day whose month is taken when no period is named.
    """
    told: dict[str, list[str]] = {}
    for name, value in pairs:
        if (stripped := value.strip()[:LONGEST]) and len(told.setdefault(name, [])) < MOST_VALUES:
            told[name].append(stripped)
    wrong: list[Wrong] = []
    first, last = _period(told, newest, wrong)

    def one_of(name: str, known: Sequence[str]) -> str:
        value = told.get(name, [""])[-1]
        if value and value not in known:
            wrong.append(Wrong(name, value))
            return ""
        return value

    group = one_of("group", GROUPS[kind])
    sort = one_of("sort", GROUP_SORTS if group else SORTS[kind])
    cursor = after = _cursor(told, "after", wrong)
    before = _cursor(told, "before", wrong)
    cursor = after or before
    filters = {name: tuple(dict.fromkeys(told[name])) for name in FILTERS[kind] if name in told}
    asked = Asked(
        kind,
        first,
        last,
        filters,
        told.get("text", [""])[-1],
        sort,
        bool(sort) and one_of("order", ("asc", "desc")) == "desc",
        group,
        cursor,
        backwards=after is None and before is not None,
    )
    return asked, wrong


def _period(told: Mapping[str, Sequence[str]], newest: str | None, wrong: list[Wrong]) -> tuple[str, str]:
    days = {}
    for name in ("from", "to"):
        for value in told.get(name, [])[-1:]:
            try:
                days[name] = date.fromisoformat(value).isoformat()
            except ValueError:
                wrong.append(Wrong(name, value))
    for value in told.get("month", [])[-1:]:
        try:
            days["from"], days["to"] = month_bounds(value)
        except ValueError:
            wrong.append(Wrong("month", value))
    if days.get("from", "") > days.get("to", "9999"):
        wrong.append(Wrong("to", days["to"]))
        days["to"] = days["from"]
    if not days and newest:
        return month_bounds(newest[:7])
    return days.get("from", ""), days.get("to", "")


def month_bounds(month: str) -> tuple[str, str]:
    """Give first and last day of a month, ISO text.

    Raises:
        ValueError: it is no month.
    """
    first = date.fromisoformat(f"{month}-01")
    following = (first + timedelta(days=32)).replace(day=1)
    return first.isoformat(), (following - timedelta(days=1)).isoformat()


def write_cursor(value: Any, row: Any) -> str:
    """Write a place in a list for an address."""
    return base64.urlsafe_b64encode(orjson.dumps([value, row])).rstrip(b"=").decode()


def _cursor(told: Mapping[str, Sequence[str]], name: str, wrong: list[Wrong]) -> tuple[Any, Any] | None:
    for text in told.get(name, [])[-1:]:
        try:
            read_back = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            value, row = read_back
            if isinstance(value, str | int | float) and isinstance(row, str | int):
                return value, row
        except (ValueError, TypeError):
            pass
        wrong.append(Wrong(name, text))
    return None
