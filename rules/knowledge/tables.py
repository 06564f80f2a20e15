"""Knowledge points as rows of the audit's knowledge tables, so that its rules find by them, and name them."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from renzheng.rules.knowledge.kinds import bounds
from renzheng.rules.knowledge.points import Kind, Point
from renzheng.rules.known import FIRST_DAY, LAST_DAY
from renzheng.rules.pack import Pack

Row = Mapping[str, str]
FREQUENCIES = frozenset({"hour", "day", "week", "month", "visit"})
CONDITIONS = frozenset({Kind.VISIT, Kind.LEVEL, Kind.DIAGNOSIS, Kind.COMPANION})
"""Kinds that ask what stands around an item: its visit, institution, diagnoses or other items."""
WINDOWS = ("visit", "day", "hours", "hour")
"""Windows of pairs that the audit knows, the widest first."""


def with_points(pack: Pack, points: Iterable[Point]) -> Pack:
    """Return a pack whose knowledge tables hold these points too.

    What the pack's own tables say of the same items gives way to a point. Of several points that say the same
    with another number on the same days, the strictest counts. Kinds and units that no rule of the audit
    reads (`rows_of`) are left out.

    Args:
        pack: as it holds in its region.
        points: those that are in force.
    """
    chosen: dict[tuple[str, ...], tuple[str, Row]] = {}
    for point in sorted(points, key=lambda one: (_strictness(one), one.id)):
        for name, row in rows_of(point):
            chosen.setdefault((name, *_about(name, row), row["valid_from"], row["valid_to"]), (name, row))
    if not chosen:
        return pack
    covered = {(name, *_about(name, row)) for name, row in chosen.values()}
    knowledge = {
        name: tuple(left for row in rows for left in _left(name, row, covered))
        for name, rows in pack.knowledge.items()
    }
    added: dict[str, list[Row]] = defaultdict(list)
    for name, row in chosen.values():
        added[name].append(row)
    for name, rows in added.items():
        knowledge[name] = (*knowledge.get(name, ()), *rows)
    return replace(pack, knowledge=knowledge)


def rows_of(point: Point) -> Iterator[tuple[str, Row]]:
    """Yield a point as rows, each with the name of its table; nothing where no rule of the audit reads it."""
    if point.problem:
        return
    about = {
        "reference": point.basis or point.words,
        "point": point.id,
        "point_version": point.version,
        "valid_from": (point.valid_from or FIRST_DAY).isoformat(),
        "valid_to": (point.valid_to or LAST_DAY).isoformat(),
    }
    for said in _said(point):
        yield said[0], {**said[1], **about}


def _said(point: Point) -> Iterator[tuple[str, Row]]:
    value = str(point.value)
    if point.kind is Kind.PAIR and point.unit in WINDOWS:
        hours = value if point.unit == "hours" else ""
        for sub in point.items[1:]:
            yield (
                "pairs",
                {"main_code": point.items[0], "sub_code": sub, "within": point.unit, "hours": hours},
            )
    for code in point.items:
        if point.kind is Kind.SEX:
            yield "item_limits", {"item_code": code, "sex_limit": value}
        elif point.kind is Kind.AGE and point.unit == "year":
            low, below = bounds(value)
            most = "" if below is None else str(below - 1)
            yield "item_limits", {"item_code": code, "min_age_years": str(low or ""), "max_age_years": most}
        elif point.kind is Kind.FREQUENCY and point.unit in FREQUENCIES:
            yield "frequencies", {"item_code": code, "most": value, "period": point.unit}
        elif point.kind in CONDITIONS:
            yield from (("conditions", {"item_code": code, **said}) for said in _conditions(point))
        elif point.kind is Kind.PERIOD and point.unit == "day" and point.within_days:
            yield "periods", {"item_code": code, "most": value, "days": str(point.within_days)}


def _conditions(point: Point) -> Iterator[Row]:
    """Yield what one of a point's conditions allows, a row each."""
    if point.kind is Kind.LEVEL:
        yield {"kind": "level", "allowed": "", "lowest": str(point.value)}
    elif isinstance(point.value, tuple):
        for value in point.value:
            allowed = re.sub(r"[^0-9A-Z]", "", value.upper()) if point.kind is Kind.DIAGNOSIS else value
            yield {"kind": point.kind.value, "allowed": allowed, "lowest": ""}


def _about(name: str, row: Row) -> tuple[str, ...]:
    if name == "conditions":
        return row["item_code"], row["kind"], row.get("point", ""), row["allowed"]
    if name == "item_limits":
        return row["item_code"], "sex" if row.get("sex_limit") else "age"
    columns = {"pairs": ("main_code", "sub_code"), "frequencies": ("item_code", "period")}
    return tuple(row[column] for column in columns.get(name, ("item_code",)))


def _left(name: str, row: Row, covered: set[tuple[str, ...]]) -> Iterator[Row]:
    """Yield what is left of a row of the pack once points have taken its place."""
    if name == "item_limits":
        code = row["item_code"]
        kept = dict(row)
        if (name, code, "sex") in covered:
            kept["sex_limit"] = ""
        if (name, code, "age") in covered:
            kept["min_age_years"] = kept["max_age_years"] = ""
        yield kept
    elif name == "conditions":
        if not any(one[:3] == (name, row["item_code"], row["kind"]) for one in covered):
            yield row
    elif name not in _TABLES or (name, *_about(name, row)) not in covered:
        yield row


_TABLES: Sequence[str] = ("pairs", "frequencies", "periods")


def _strictness(point: Point) -> int:
    if point.kind is Kind.PAIR:
        return WINDOWS.index(point.unit) if point.unit in WINDOWS else len(WINDOWS)
    return point.value if isinstance(point.value, int) else 0
