"""Which catalogue row holds for an item code on which day in which region: disjoint stretches of days."""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

FIRST_DAY, LAST_DAY = -1_000_000, 1_000_000
"""Days before and after every service day."""
EVERYWHERE = ""
"""The region of a national row."""

SCHEMA = pa.schema(
    [
        ("item_code", pa.string()),
        ("region_code", pa.string()),
        ("from_day", pa.int64()),
        ("to_day", pa.int64()),
        ("item_class", pa.string()),
        ("unit", pa.string()),
    ]
)


@dataclass(frozen=True)
class Item:
    """One row of the catalogue; the region is EVERYWHERE where the row names none, a missing date None."""

    item_code: str
    region_code: str
    item_class: str
    unit: str
    valid_from: int | None
    valid_to: int | None


@dataclass(frozen=True)
class ItemStretch:
    """What an item is in one region from one day to another, both included."""

    item_code: str
    region_code: str
    from_day: int
    to_day: int
    item_class: str
    unit: str


def wider_regions(region: str) -> tuple[str, ...]:
    """Name a region and what it belongs to, nearest first: county, city, province, everywhere.

    Source: GB/T 2260, six digits: two for the province, two for the city, two for the county.
    """
    wider = [region]
    if len(region) == 6 and region.isdigit():  # noqa: PLR2004 - GB/T 2260
        wider += [region[:4] + "00", region[:2] + "0000"]
    return tuple(dict.fromkeys([*wider, EVERYWHERE]))


def stretches(items: Iterable[Item], regions: Iterable[str]) -> Iterator[ItemStretch]:
    """Lay out the catalogue as disjoint stretches, for everywhere and for each region that differs.

    On each day the row of the nearest region holds, and of several the one that began last.
    """
    by_code: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        by_code[item.item_code].append(item)
    wanted = sorted(set(regions) - {EVERYWHERE})
    for code in sorted(by_code):
        mine = by_code[code]
        yield from _merged(_pieces(code, EVERYWHERE, [item for item in mine if not item.region_code]))
        named = {item.region_code for item in mine if item.region_code}
        for region in wanted if named else ():
            near = wider_regions(region)
            if named.intersection(near):
                mentioned = [item for item in mine if item.region_code in near]
                yield from _merged(_pieces(code, region, mentioned))


def _pieces(code: str, region: str, items: Sequence[Item]) -> Iterator[ItemStretch]:
    """Cut time wherever a row begins or ends, and choose in each piece."""
    near = wider_regions(region)
    edges = sorted({*map(_begin, items), *(_end(item) + 1 for item in items)})
    for begin, after in itertools.pairwise(edges):
        holding = [item for item in items if _begin(item) <= begin <= _end(item)]
        if holding:
            best = min(
                holding,
                key=lambda item: (near.index(item.region_code), -_begin(item), item.item_class, item.unit),
            )
            yield ItemStretch(code, region, begin, after - 1, best.item_class, best.unit)


def _merged(pieces: Iterable[ItemStretch]) -> Iterator[ItemStretch]:
    """Join neighbours that say the same."""
    last: ItemStretch | None = None
    for piece in pieces:
        same = last and (piece.item_class, piece.unit) == (last.item_class, last.unit)
        if last and same and piece.from_day == last.to_day + 1:
            last = replace(last, to_day=piece.to_day)
            continue
        if last:
            yield last
        last = piece
    if last:
        yield last


def _begin(item: Item) -> int:
    return FIRST_DAY if item.valid_from is None else item.valid_from


def _end(item: Item) -> int:
    return LAST_DAY if item.valid_to is None else item.valid_to
