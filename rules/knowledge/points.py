"""A knowledge point: one row of what the bureau knows about an item, with its dates, source and power."""

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Self

Value = str | int | tuple[str, ...] | None
"""What a limit says, by kind (see docs/checks.md); None where its words could not be read."""


class Kind(StrEnum):
    """What a point limits."""

    SEX = "sex"
    AGE = "age"
    INSURANCE = "insurance"
    VISIT = "visit"
    LEVEL = "level"
    DIAGNOSIS = "diagnosis"
    PAIR = "pair"
    FREQUENCY = "frequency"
    PERIOD = "period"
    COMPANION = "companion"
    PRESENCE = "presence"
    UNREAD = "unread"
    """Nothing says what the row limits; its words are kept."""


class Power(StrEnum):
    """What an advice may do: nothing (seen by the bureau), warn, or block."""

    WATCH = "watch"
    WARN = "warn"
    BLOCK = "block"


@dataclass(frozen=True, slots=True)
class Limit:
    """What a row's words say.

    Args:
        kind: what is limited.
        value: by kind; None where the words could not be read.
        unit: of the value; empty where the kind has none.
        problem: why it could not be read, as a code; empty where it could.
    """

    kind: Kind
    value: Value
    unit: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Point:
    """One row of knowledge.

    Args:
        id: permanent; the same limit of the same items has the same id in every edition.
        kind: what it limits.
        items: national item codes; of a pair first the item that includes the others.
        name: of the items, as the file writes it.
        value: by kind: `M` or `F`; a range such as `[0,18)`; kinds of insurance or visit; the lowest level;
            ICD prefixes; a number of hours, days or visits (pair) or the most that may be billed.
        unit: of the value.
        within_days: of a period, the days over which it counts; None: one visit.
        words: the limit as the file words it.
        basis: the law or catalogue that it rests on.
        source: file, sheet and row.
        batch: the publication that it belongs to.
        valid_from: first service day; None: always.
        valid_to: last service day; None: still in force. A point that was withdrawn stays.
        region: where it holds; empty: everywhere.
        stage: from when on it can be checked: before, during or after.
        power: what its advice may do once it is approved.
        power_from: first day of that power; before it the point is watched only.
        problem: why its limit could not be read, as a code; such a point is always watched only.
    """

    id: str
    kind: Kind
    items: tuple[str, ...]
    name: str
    value: Value
    unit: str = ""
    within_days: int | None = None
    words: str = ""
    basis: str = ""
    source: str = ""
    batch: str = ""
    valid_from: dt.date | None = None
    valid_to: dt.date | None = None
    region: str = ""
    stage: str = "before"
    power: Power = Power.WATCH
    power_from: dt.date | None = None
    problem: str = ""

    @property
    def version(self) -> str:
        """Twelve hex digits for what the point says: equal while items, limit and region are."""
        said = [self.kind, self.items, self.value, self.unit, self.within_days, self.region]
        return hashlib.sha256(json.dumps(said, ensure_ascii=False).encode()).hexdigest()[:12]

    def power_on(self, day: dt.date) -> Power:
        """Return what its advice may do on a day."""
        if self.problem or (self.power_from is not None and day < self.power_from):
            return Power.WATCH
        return self.power

    def holds_on(self, day: dt.date) -> bool:
        """Return whether it is in force on a service day."""
        return (self.valid_from or dt.date.min) <= day <= (self.valid_to or dt.date.max)

    def withdrawn(self, last_day: dt.date) -> Self:
        """Return it as it is after its last day of service."""
        return replace(self, valid_to=last_day)


def as_row(point: Point) -> dict[str, Any]:
    """Return a point as JSON keeps it."""
    return {
        "id": point.id,
        "kind": point.kind.value,
        "items": list(point.items),
        "name": point.name,
        "value": list(point.value) if isinstance(point.value, tuple) else point.value,
        "unit": point.unit,
        "within_days": point.within_days,
        "words": point.words,
        "basis": point.basis,
        "source": point.source,
        "batch": point.batch,
        "valid_from": _iso(point.valid_from),
        "valid_to": _iso(point.valid_to),
        "region": point.region,
        "stage": point.stage,
        "power": point.power.value,
        "power_from": _iso(point.power_from),
        "problem": point.problem,
    }


def from_row(row: Mapping[str, Any]) -> Point:
    """Read what `as_row` has written.

    Raises:
        KeyError, TypeError, ValueError: it is not such a row.
    """
    value = row["value"]
    return Point(
        id=str(row["id"]),
        kind=Kind(row["kind"]),
        items=tuple(map(str, row["items"])),
        name=str(row["name"]),
        value=tuple(map(str, value)) if isinstance(value, list) else value,
        unit=str(row["unit"]),
        within_days=row["within_days"],
        words=str(row["words"]),
        basis=str(row["basis"]),
        source=str(row["source"]),
        batch=str(row["batch"]),
        valid_from=_day(row["valid_from"]),
        valid_to=_day(row["valid_to"]),
        region=str(row["region"]),
        stage=str(row["stage"]),
        power=Power(row["power"]),
        power_from=_day(row["power_from"]),
        problem=str(row["problem"]),
    )


def _iso(day: dt.date | None) -> str | None:
    return day.isoformat() if day else None


def _day(text: str | None) -> dt.date | None:
    return dt.date.fromisoformat(text) if text else None
