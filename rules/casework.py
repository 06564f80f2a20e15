"""The numbers of case work, by date: national ones in `casework.yaml`, a region's own in its file."""

import datetime as dt
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import cache
from pathlib import Path

from pydantic import TypeAdapter

from renzheng.rules.header import DatedValue, Parameter
from renzheng.rules.parameters import value_on
from renzheng.rules.reading import as_text, read_yaml

NATIONAL = Path(__file__).parent / "casework.yaml"
MOST_DAYS = 3_660
"""Of a time limit: ten years."""


@cache
def national() -> Mapping[str, Parameter]:
    """Read the national numbers."""
    return TypeAdapter(dict[str, Parameter]).validate_python(read_yaml(as_text(NATIONAL.read_bytes())))


def resolve(overrides: Mapping[str, tuple[DatedValue, ...]], day: dt.date) -> dict[str, Decimal]:
    """Give every number its value on a day."""
    return {
        name: value_on(parameter, overrides.get(name, ()), day).value
        for name, parameter in national().items()
    }


def problems_of(overrides: Mapping[str, tuple[DatedValue, ...]]) -> Iterator[str]:
    """Name what a region sets and cannot: unknown numbers, days that are no whole number, shares above 1."""
    known = national()
    for name, values in overrides.items():
        if name not in known:
            yield f"there is no number {name} of case work; there are {', '.join(sorted(known))}"
            continue
        unit = known[name].unit
        for one in values:
            fits = one.value >= 0
            if unit.endswith("days"):
                fits = one.value % 1 == 0 and 1 <= one.value <= MOST_DAYS
            if unit == "share":
                fits = 0 <= one.value <= 1
            if not fits:
                yield f"cases.{name} cannot be {one.value} {unit}"
