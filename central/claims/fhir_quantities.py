"""A quantity with its unit (UCUM, or words): how many of what an item's price is for.

240 minutes are not 240 sessions: a duration counts only where the item is billed by the hour, and then in
hours. Days count as they are, for a bed is billed by the day; what is no duration counts as it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from renzheng.central.claims.fhir_nodes import node, text

_UCUM_HOURS: Mapping[str, Decimal] = {
    "s": Decimal(1) / 3600,
    "min": Decimal(1) / 60,
    "h": Decimal(1),
}
_OTHER_UCUM = frozenset({"wk", "mo", "mo_s", "mo_j", "a", "a_j", "ms", "us"})
_WORDS: Mapping[str, str] = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds", "秒"), "s"),
    **dict.fromkeys(("min", "mins", "minute", "minutes", "分", "分钟"), "min"),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours", "时", "小时", "钟头"), "h"),
    **dict.fromkeys(("wk", "week", "weeks", "周", "星期"), "wk"),
    **dict.fromkeys(("mo", "month", "months", "月", "个月"), "mo"),
}


@dataclass(frozen=True, slots=True)
class Counted:
    """How many; the value as it stands where it is no number, for the row's own check."""

    quantity: Any


@dataclass(frozen=True, slots=True)
class NotHeld:
    """A duration of an item that is not billed by the hour; `told` is what stood there."""

    told: str


def read_quantity(raw: Any, *, is_hourly: bool) -> Counted | NotHeld:
    """Read a Quantity; without a value it is one."""
    quantity = node(raw)
    value = quantity.get("value", 1)
    unit = _unit(quantity)
    if unit in _UCUM_HOURS and is_hourly:
        return Counted(_hours(value, unit))
    if unit in _UCUM_HOURS or unit in _OTHER_UCUM:
        return NotHeld(f"{value} {unit}")
    return Counted(value)


def _unit(quantity: Mapping[str, Any]) -> str:
    """Return the unit: its code, else its words."""
    told = text(quantity.get("code"))
    if told in _UCUM_HOURS or told in _OTHER_UCUM:
        return told
    return _WORDS.get(
        (told or text(quantity.get("unit"))).lower(), _WORDS.get(text(quantity.get("unit")).lower(), "")
    )


def _hours(value: Any, unit: str) -> Any:
    try:
        return (Decimal(str(value)) * _UCUM_HOURS[unit]).quantize(Decimal("0.0001"))
    except InvalidOperation:
        return value
