"""What is known about items by service day and region: one answer a day, the region's before the nation's."""

import datetime as dt
import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

Row = Mapping[str, str]

KEYS: Mapping[str, tuple[str, ...]] = {
    "caps": ("item_class", "period"),
    "item_limits": ("item_code",),
    "pairs": ("main_code", "sub_code"),
    "frequencies": ("item_code", "period"),
    "periods": ("item_code", "days"),
}
"""Columns that say what a row is about; of other tables every row speaks for itself."""
FIRST_DAY, LAST_DAY = dt.date(1900, 1, 1), dt.date(9998, 12, 31)


def problems(rows: Sequence[Row]) -> Iterator[str]:
    """Name what is wrong with the rows of a knowledge table, by the line of its file."""
    for number, row in enumerate(rows, start=2):
        if not row.get("reference"):
            yield f"line {number}: needs a reference"
        try:
            first, last = _span(row)
        except ValueError:
            yield f"line {number}: valid_from and valid_to are days such as 2026-01-31, or empty"
            continue
        if last < first:
            yield f"line {number}: valid_to is before valid_from"


def resolved(name: str, rows: Sequence[Row], region: str | None, own: Sequence[Row] = ()) -> tuple[Row, ...]:
    """Lay a table out for one region: rows with `valid_from` and `valid_to` of which one holds on a day.

    Args:
        name: the table.
        rows: of the national pack; one with `region_code` counts in that region only.
        region: the region, or None.
        own: rows of the region's own pack.
    """
    national = [row for row in rows if not row.get("region_code")]
    regional = [row for row in rows if row.get("region_code") and row["region_code"] == region]
    regional += [row for row in own if row.get("region_code", "") in {"", region}]
    if name not in KEYS:
        return tuple(_dated(row, *_span(row)) for row in (*national, *regional))
    about: dict[tuple[str, ...], list[tuple[bool, Row]]] = defaultdict(list)
    for mine, part in ((False, national), (True, regional)):
        for row in part:
            about[tuple(row.get(column, "") for column in KEYS[name])].append((mine, row))
    return tuple(row for found in about.values() for row in _by_day(found))


def _by_day(found: Sequence[tuple[bool, Row]]) -> Iterator[Row]:
    """Cut time where any row begins or ends, and yield who holds in each stretch."""
    spans = [(mine, *_span(row), row) for mine, row in found]
    cuts = sorted({day for _, first, last, _ in spans for day in (first, last + dt.timedelta(days=1))})
    for begin, end in itertools.pairwise(cuts):
        holding = [(mine, first, row) for mine, first, last, row in spans if first <= begin <= last]
        if holding:
            _, _, row = max(holding, key=lambda one: one[:2])
            yield _dated(row, begin, end - dt.timedelta(days=1))


def _span(row: Row) -> tuple[dt.date, dt.date]:
    first, last = row.get("valid_from"), row.get("valid_to")
    return (
        dt.date.fromisoformat(first) if first else FIRST_DAY,
        dt.date.fromisoformat(last) if last else LAST_DAY,
    )


def _dated(row: Row, first: dt.date, last: dt.date) -> Row:
    return {**row, "valid_from": first.isoformat(), "valid_to": last.isoformat()}
