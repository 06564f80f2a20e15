"""A region's history and knowledge of the size that is asked for: synthetic, and the same each time."""

# ruff: noqa: S608 - SQL is put together from our own numbers

import datetime as dt
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from joserfc.jwk import OKPKey

from renzheng.central.checks.history import Contents, write_history
from renzheng.rules.knowledge.facts import DAY_US, EPOCH
from renzheng.rules.knowledge.packfile import KnowledgePack, write_pack
from renzheng.rules.knowledge.points import Kind, Point, Power

INSTITUTIONS = 60
LIMITED, PLAIN = 11_000, 20_000
PAIRS, MAINS, COUNTED = 900, 157, 110
DAYS = 360
_ROWS = 50_000
_AGES = ("[0,18)", "[0,29)", "[6,)", "[18,65)")


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is: persons, and billed lines of each."""

    persons: int
    lines_each: int


def institution(number: int) -> str:
    """Return the id of an institution."""
    return f"H{number % INSTITUTIONS:03}"


def person(number: int) -> str:
    """Return the id of a person."""
    return f"P{number:08}"


def points() -> list[Point]:
    """Return as many points as the national libraries of 2025 have of each kind, about items of our own."""
    chance = random.Random(18)  # noqa: S311 - the same each time
    found = [_limit(number) for number in range(LIMITED)]
    for number in range(PAIRS):
        unit, value = chance.choice((("day", 1), ("visit", 1), ("hours", 6)))
        items = (f"M{number % MAINS:05}", f"S{number:05}")
        found.append(_point(Kind.PAIR, items, value, unit))
    for number in range(COUNTED):
        code = f"F{number:05}"
        if number % 3:
            found.append(_point(Kind.FREQUENCY, (code,), 1 + number % 3, "day"))
        else:
            found.append(_point(Kind.PERIOD, (code,), 14, "day", within_days=90))
    return found


def _limit(number: int) -> Point:
    items = (f"X{number:05}",)
    if number % 2:
        return _point(Kind.SEX, items, "MF"[number % 4 // 2], "")
    return _point(Kind.AGE, items, _AGES[number // 2 % len(_AGES)], "year")


def _point(kind: Kind, items: tuple[str, ...], value: str | int, unit: str, **more: Any) -> Point:
    name = "-".join((kind.value, *items))
    return Point(name, kind, items, "", value, unit, words="bench", power=Power.WARN, **more)


def code(chance: random.Random) -> str:
    """Return an item: mostly one of a kind that some point is about."""
    letter, most = chance.choices((("X", LIMITED), ("M", MAINS), ("S", PAIRS), ("F", COUNTED), ("N", PLAIN)),
                                  weights=(30, 10, 15, 15, 30))[0]  # fmt: skip
    return f"{letter}{chance.randrange(most):05}"


def lay_knowledge(folder: Path, key: OKPKey) -> None:
    """Write the points as a signed pack."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_pack(KnowledgePack(tuple(points())), folder / "bench.knowledge", key)


def lay_history(path: Path, size: Size, today: dt.date) -> None:
    """Write the history of a year before a day."""
    with duckdb.connect() as engine:
        values = {
            "each": size.lines_each,
            "first": (today - EPOCH).days - DAYS,
            "step": DAYS // size.lines_each or 1,
            "institutions": INSTITUTIONS,
        }
        lines = engine.cursor().execute(
            _LINES.format(lines=size.persons * size.lines_each, **_WEIGHTS), values
        )
        persons = engine.cursor().execute(_PERSONS.format(persons=size.persons))
        places = [(institution(number), "Asia/Shanghai", "2", "") for number in range(INSTITUTIONS)]
        write_history(path, Contents(_rows(lines), _rows(persons), places), "bench")


_WEIGHTS = {"limited": LIMITED, "mains": MAINS, "pairs": PAIRS, "counted": COUNTED, "plain": PLAIN}
_LINES = f"""
SELECT 'P' || lpad((i // $each)::VARCHAR, 8, '0'),
       ($first + (i % $each) * $step + hash(i) % $step)::BIGINT * {DAY_US}
           + (8 + hash(i + 1) % 10)::BIGINT * 3600000000,
       'H' || lpad((hash(i // $each) % $institutions)::VARCHAR, 3, '0'),
       'L' || i::VARCHAR,
       'V' || (i // 6)::VARCHAR,
       CASE WHEN hash(i + 2) % 100 < 30 THEN 'X' || lpad((hash(i + 3) % {{limited}})::VARCHAR, 5, '0')
            WHEN hash(i + 2) % 100 < 40 THEN 'M' || lpad((hash(i + 3) % {{mains}})::VARCHAR, 5, '0')
            WHEN hash(i + 2) % 100 < 55 THEN 'S' || lpad((hash(i + 3) % {{pairs}})::VARCHAR, 5, '0')
            WHEN hash(i + 2) % 100 < 70 THEN 'F' || lpad((hash(i + 3) % {{counted}})::VARCHAR, 5, '0')
            ELSE 'N' || lpad((hash(i + 3) % {{plain}})::VARCHAR, 5, '0') END,
       10000,
       (1000 + hash(i + 4) % 90000)::BIGINT
FROM range({{lines}}) t(i)
"""
_PERSONS = """
SELECT 'P' || lpad(i::VARCHAR, 8, '0'), CASE WHEN hash(i) % 2 = 0 THEN 'M' ELSE 'F' END,
       (hash(i + 1) % 33000)::BIGINT - 14000
FROM range({persons}) t(i)
"""


def _rows(found: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    while rows := found.fetchmany(_ROWS):
        yield from rows
