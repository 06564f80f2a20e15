"""Service points as the steps read them: which lines a room answers for, which devices must have seen it.

A *place* is all service points of one institution that share a kind or what is billed: whichever of them a
treatment was in, its session serves the line, and a line is refuted only where all of them were watched.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from renzheng.central.audit.items import FIRST_DAY, LAST_DAY
from renzheng.contracts.ids import normalised_id, tidy_id
from renzheng.contracts.tables import SERVICE_CLASSES, STAFF_ROLES

_TEXTS = pa.string()
_DAYS = (("from_day", pa.int64()), ("to_day", pa.int64()))
_PLACE = (("place", _TEXTS), ("institution_id", _TEXTS))
SCHEMAS: Mapping[str, pa.Schema] = {
    "point_houses": pa.schema([*_PLACE, ("to_the_bed", pa.int64()), ("one_visit", pa.int64())]),
    "point_kinds": pa.schema([*_PLACE, ("kind", _TEXTS)]),
    "point_items": pa.schema(
        [
            *_PLACE,
            ("point_id", _TEXTS),
            ("item_code", _TEXTS),
            ("item_class", _TEXTS),
            *_DAYS,
            ("minutes", pa.int64()),
            *((f"{role}_needed", pa.int64()) for role in STAFF_ROLES),
        ]
    ),
    "point_machines": pa.schema([*_PLACE, ("machine_id", _TEXTS), ("least_us", pa.int64())]),
    "point_watchers": pa.schema(
        [*_PLACE, ("element", _TEXTS), ("device_id", _TEXTS), ("kind", _TEXTS), *_DAYS]
    ),
}
"""The tables that are made of service points, by name.

`point_watchers` has a row for each device that could have seen what one element of a place saw; an element is
what must have been watching for silence to mean absence: the devices at a door together, the log of the
machines, or (`runs_unnamed`) that no machine without a device at its door ran for nobody. Its device is empty
where nothing can watch it.
"""
NO_ONE = ""
MINUTE_US = 60_000_000


@dataclass(frozen=True)
class ServicePoint:
    """One row of `service_points`, its lists read; minutes 0 for a visit without an end."""

    point_id: str
    institution_id: str
    kind: str
    to_the_bed: bool
    codes: frozenset[str]
    classes: frozenset[str]
    devices: tuple[str, ...]
    machines: tuple[str, ...]
    log_source: str
    minutes: int
    staff: frozenset[str]
    from_day: int
    to_day: int


def read_point(row: Mapping[str, Any]) -> ServicePoint:
    """Read one row; days are numbers, ids are spelled as everywhere."""
    return ServicePoint(
        row["point_id"],
        row["institution_id"],
        row["kind"],
        not (row["room"] or "").strip(),
        frozenset(map(normalised_id, _parted(row["item_codes"]))),
        frozenset(_parted(row["item_classes"])) & set(SERVICE_CLASSES),
        tuple(sorted({tidy_id(one) for one in _parted(row["device_ids"])})),
        tuple(sorted({tidy_id(one) for one in _parted(row["machine_ids"])})),
        tidy_id(row["log_source"] or ""),
        max(0, row["minimum_minutes"] or 0),
        frozenset(_parted(row["staff_needed"])) & set(STAFF_ROLES),
        FIRST_DAY if row["valid_from"] is None else row["valid_from"],
        LAST_DAY if row["valid_to"] is None else row["valid_to"],
    )


def point_tables(points: Iterable[ServicePoint], classes: Mapping[str, Iterable[str]]) -> dict[str, pa.Table]:
    """Lay service points out as the tables of SCHEMAS.

    Args:
        points: all of them.
        classes: the classes that the catalogue gives each item code, on any day in any region.
    """
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in SCHEMAS}
    by_house: dict[str, list[ServicePoint]] = defaultdict(list)
    for point in sorted(points, key=lambda one: one.point_id):
        by_house[point.institution_id].append(point)
    for _, mine in sorted(by_house.items()):
        for place, there in sorted(_places(mine, classes).items()):
            _lay_out(place, there, rows)
    return {name: pa.Table.from_pylist(found, schema=SCHEMAS[name]) for name, found in rows.items()}


def _parted(text: str | None) -> Iterator[str]:
    """Yield the parts of a list in one cell; a full-width semicolon parts as well."""
    parts = (part.strip() for part in (text or "").replace("\uff1b", ";").split(";"))
    return (part for part in parts if part)


def _places(
    points: Sequence[ServicePoint], classes: Mapping[str, Iterable[str]]
) -> dict[str, list[ServicePoint]]:
    """Put the points of one institution together that share a kind or something billed."""
    claimed = set().union(*(point.classes for point in points))
    first: dict[str, str] = {point.kind: point.kind for point in points}

    def end(kind: str) -> str:
        while first[kind] != kind:
            kind = first[kind]
        return kind

    holders: dict[tuple[str, str], list[str]] = defaultdict(list)
    for point in points:
        known = {("code", code) for code in point.codes} | {("class", one) for one in point.classes}
        known |= {
            ("class", one) for code in point.codes for one in claimed.intersection(classes.get(code, ()))
        }
        for key in known:
            holders[key].append(point.kind)
    for kinds in holders.values():
        for one, other in itertools.pairwise(kinds):
            low, high = sorted((end(one), end(other)))
            first[high] = low
    found: dict[str, list[ServicePoint]] = defaultdict(list)
    for point in points:
        found[f"{point.institution_id} {end(point.kind)}"].append(point)
    return found


def _lay_out(place: str, points: Sequence[ServicePoint], rows: dict[str, list[dict[str, Any]]]) -> None:
    house = {"place": place, "institution_id": points[0].institution_id}
    rows["point_houses"].append(
        {
            **house,
            "to_the_bed": int(any(point.to_the_bed for point in points)),
            "one_visit": int(any(point.minutes == 0 for point in points)),
        }
    )
    rows["point_kinds"] += [{**house, "kind": kind} for kind in sorted({point.kind for point in points})]
    least: dict[str, int] = {}
    for point in points:
        days = {"from_day": point.from_day, "to_day": point.to_day}
        needed = {f"{role}_needed": int(role in point.staff) for role in STAFF_ROLES}
        billed: list[tuple[str | None, str | None]] = [(code, None) for code in sorted(point.codes)]
        billed += [(None, one) for one in sorted(point.classes)]
        rows["point_items"] += [
            {
                **house,
                **days,
                **needed,
                "point_id": point.point_id,
                "item_code": code,
                "item_class": kind,
                "minutes": point.minutes,
            }
            for code, kind in billed
        ]
        for machine in point.machines:
            least[machine] = min(point.minutes, least.get(machine, point.minutes))
        rows["point_watchers"] += [
            {**house, **days, "element": f"{point.point_id} {what}", "device_id": device, "kind": point.kind}
            for what, device in _watchers(point)
        ]
    rows["point_machines"] += [
        {**house, "machine_id": machine, "least_us": minutes * MINUTE_US // 2}
        for machine, minutes in sorted(least.items())
    ]


def _watchers(point: ServicePoint) -> Iterator[tuple[str, str]]:
    """Yield what must have watched a point, with each device that could have."""
    for device in point.devices:
        yield "door", device
    if point.log_source:
        yield "log", point.log_source
    if not point.devices and point.log_source:
        yield "runs_unnamed", NO_ONE
    if not point.devices and not point.log_source:
        yield "nothing", NO_ONE
