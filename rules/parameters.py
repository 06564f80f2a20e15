"""Parameters resolved by service date, national values with a region's own on top."""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from renzheng.rules.header import DatedValue, Header


@dataclass(frozen=True)
class Segment:
    """A stretch of service days, both ends included, in which no parameter of a rule changes."""

    first: dt.date
    last: dt.date
    values: Mapping[str, Decimal]


def resolve(
    header: Header, overrides: Mapping[str, Iterable[DatedValue]], day: dt.date
) -> dict[str, Decimal]:
    """Give every parameter of a rule its value on one service day.

    A region's value counts from its own date on; before that, and where it says nothing, the national one.
    Before a parameter's first date its first value holds.
    """
    values = {}
    for name, parameter in header.parameters.items():
        national = [value for value in parameter.values if value.since <= day] or [parameter.values[0]]
        regional = [value for value in overrides.get(name, ()) if value.since <= day]
        chosen = max(regional, key=lambda value: value.since) if regional else national[-1]
        values[name] = chosen.value
    return values


def segments(
    header: Header, overrides: Mapping[str, Iterable[DatedValue]], first: dt.date, last: dt.date
) -> Iterator[Segment]:
    """Cut a period into stretches in which every parameter of the rule keeps its value."""
    begin, values = first, resolve(header, overrides, first)
    day = first
    while day < last:
        day += dt.timedelta(days=1)
        now = resolve(header, overrides, day)
        if now != values:
            yield Segment(begin, day - dt.timedelta(days=1), values)
            begin, values = day, now
    yield Segment(begin, last, values)
