"""The knowledge tables that come with the product, as points: watched only, as nobody has approved them."""

import datetime as dt
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from renzheng.rules.knowledge.points import Kind, Point
from renzheng.rules.reading import as_text, read_csv

_HERE = Path(__file__).parent
_Row = Mapping[str, str]


@cache
def builtin_points() -> tuple[Point, ...]:
    """Read the tables beside this file that are about single items."""
    return tuple(
        point
        for name in ("item_limits", "pairs", "frequencies", "periods")
        for row in read_csv(as_text((_HERE / f"{name}.csv").read_bytes()))
        for point in _points(name, row)
    )


def _points(name: str, row: _Row) -> Iterator[Point]:
    if name == "pairs":
        hours = row["within"] == "hours"
        value, unit = (int(row["hours"]) if hours else 1), row["within"]
        yield _point(Kind.PAIR, row, (row["main_code"], row["sub_code"]), value, unit)
    elif name == "frequencies":
        yield _point(Kind.FREQUENCY, row, (row["item_code"],), int(row["most"]), row["period"])
    elif name == "periods":
        yield _point(Kind.PERIOD, row, (row["item_code"],), int(row["most"]), "day", int(row["days"]))
    else:
        if row["sex_limit"]:
            yield _point(Kind.SEX, row, (row["item_code"],), row["sex_limit"], "")
        if row["min_age_years"] or row["max_age_years"]:
            below = str(int(row["max_age_years"]) + 1) if row["max_age_years"] else ""
            span = f"[{row['min_age_years'] or 0},{below})"
            yield _point(Kind.AGE, row, (row["item_code"],), span, "year")


def _point(  # noqa: PLR0917 - a row taken apart
    kind: Kind, row: _Row, items: tuple[str, ...], value: str | int, unit: str, within_days: int | None = None
) -> Point:
    return Point(
        id="-".join(("product", kind.value, *items)),
        kind=kind,
        items=items,
        name="",
        value=value,
        unit=unit,
        within_days=within_days,
        words=row["reference"],
        basis=row["reference"],
        source="product",
        region=row.get("region_code", ""),
        valid_from=dt.date.fromisoformat(row["valid_from"]) if row["valid_from"] else None,
        valid_to=dt.date.fromisoformat(row["valid_to"]) if row["valid_to"] else None,
    )
