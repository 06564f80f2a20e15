"""Parameters resolved by service date, national values with a region's own on top."""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from renzheng.rules.header import Choice, DatedValue, Header, Off, Parameter

NO_CHOICE = Choice()


@dataclass(frozen=True)
class Segment:
    """A stretch of service days, both ends included, in which nothing about a rule changes.

    Args:
        first: its first day.
        last: its last day.
        values: the parameters.
        level: the rule's level, the region's where it sets one.
        off: why the region does not run the rule on these days; None where it does.
    """

    first: dt.date
    last: dt.date
    values: Mapping[str, Decimal]
    level: str
    off: Off | None = None


def resolve(
    header: Header, overrides: Mapping[str, Iterable[DatedValue]], day: dt.date
) -> dict[str, Decimal]:
    """Give every parameter of a rule its value on one service day.

    A region's value counts from its own date on; before that, and where it says nothing, the national one.
    Before a parameter's first date its first value holds.
    """
    return {
        name: value_on(parameter, overrides.get(name, ()), day).value
        for name, parameter in header.parameters.items()
    }


def value_on(parameter: Parameter, overrides: Iterable[DatedValue], day: dt.date) -> DatedValue:
    """Return the value of one parameter that holds on a day, with its date and reference."""
    regional = [value for value in overrides if value.since <= day]
    if regional:
        return max(regional, key=lambda value: value.since)
    national = [value for value in parameter.values if value.since <= day] or [parameter.values[0]]
    return national[-1]


def segments(
    header: Header,
    overrides: Mapping[str, Iterable[DatedValue]],
    first: dt.date,
    last: dt.date,
    choice: Choice = NO_CHOICE,
) -> Iterator[Segment]:
    """Cut a period into stretches in which parameters, level and switch of the rule stay as they are."""

    def on(day: dt.date, until: dt.date) -> Segment:
        off = next((one for one in choice.switched_off if one.holds(day)), None)
        return Segment(day, until, resolve(header, overrides, day), _level(header, choice, day), off)

    current = on(first, first)
    day = first
    while day < last:
        day += dt.timedelta(days=1)
        now = on(day, day)
        if (now.values, now.level, now.off) == (current.values, current.level, current.off):
            current = replace(current, last=day)
        else:
            yield current
            current = now
    yield current


def _level(header: Header, choice: Choice, day: dt.date) -> str:
    begun = [one for one in choice.level if one.since <= day]
    return max(begun, key=lambda one: one.since).value if begun else header.level
