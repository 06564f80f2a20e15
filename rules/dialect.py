"""The closed dialect: the SQL that DuckDB and Spark are known to understand alike, and that only reads.

What is not on the list is refused, for two reasons: a difference between engines would be silent, and a rule
is data that strangers may have written. A rule therefore names tables only, never a file, a function that
reads one, or a setting. Times come as whole numbers, so nothing here knows dates, time zones or intervals.

What an engine runs is not the text of a rule but what `bound` makes of it: written again from the syntax tree
that was checked, with every name quoted, so that no comment, quotation or parameter can mean one thing here
and another there.

The parser takes longer to load and to run than a small audit. What it says of the rules that come with the
product is therefore shipped beside them (`readings.json`, by `renzheng rules docs`), and used for a text that
is one of theirs to the letter, as read by this `syntax.py` and version of the parser. All else is parsed.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from decimal import Decimal
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

from renzheng.rules.query import Reading

HERE = Path(__file__).parent
READINGS = HERE / "readings.json"


@lru_cache(maxsize=1024)
def _reading(sql: str) -> Reading:
    """Parse and judge one query; the same text is not read again in this process."""
    shipped = _shipped().get(_hash(sql))
    return parsed(sql) if shipped is None else shipped


def parsed(sql: str) -> Reading:
    """Parse and judge one query, whatever is known of it."""
    from renzheng.rules import syntax  # noqa: PLC0415 - the parser takes a while to load

    return syntax.read(sql)


def write_readings(queries: Iterable[str]) -> str:
    """Write down what the parser says of queries, for `readings.json`."""
    known = {
        _hash(sql): {
            "tables": one.tables,
            "hiding": one.hiding,
            "placeholders": sorted(one.placeholders or ()),
            "parts": one.parts,
        }
        for sql in queries
        if not (one := parsed(sql)).problems
    }
    return json.dumps({"reader": _reader(), "readings": known}, indent=1, sort_keys=True) + "\n"


@lru_cache(maxsize=1)
def _shipped() -> Mapping[str, Reading]:
    """Return the readings that came with the product, if they are this reader's."""
    if not READINGS.is_file():
        return {}
    told = json.loads(READINGS.read_text(encoding="utf-8"))
    if told["reader"] != _reader():
        return {}
    return {
        text: Reading(
            (),
            tuple(one["tables"]),
            tuple(one["hiding"]),
            frozenset(one["placeholders"]),
            tuple(one["parts"]),
        )
        for text, one in told["readings"].items()
    }


def _reader() -> str:
    """Name what reads a query: the version of the parser, and the code that judges what it says."""
    return (
        f"sqlglot {version('sqlglot')}, syntax.py {_hash((HERE / 'syntax.py').read_text(encoding='utf-8'))}"
    )


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def offences(sql: str, tables: Collection[str] | None = None) -> Iterator[str]:
    """Name everything in a query that is outside of the dialect.

    Args:
        sql: the query.
        tables: every table it may read besides its own common table expressions; None: any plain name.
    """
    reading = _reading(sql)
    found = list(reading.problems)
    if tables is not None:
        found += [
            f"there is no table {name[:60]!r}: `renzheng rules tables` lists what a rule may read"
            for name in reading.tables
            if name not in tables
        ]
        found += [
            f"WITH {name} hides the table of that name: choose another name"
            for name in reading.hiding
            if name in tables
        ]
    yield from dict.fromkeys(found)


def placeholders(sql: str) -> set[str]:
    """Return the names written as `$name` in a query.

    Raises:
        ValueError: it does not parse.
    """
    reading = _reading(sql)
    if reading.placeholders is None:
        raise ValueError("; ".join(reading.problems))
    return set(reading.placeholders)


def bound(sql: str, values: Mapping[str, int | Decimal] | None = None) -> str:
    """Write a query again from its syntax tree, with numbers in the place of `$name` where they are given.

    Raises:
        ValueError: it is outside of the dialect.
        KeyError: a `$name` has no value.
    """
    reading = _reading(sql)
    if reading.problems:
        raise ValueError("; ".join(reading.problems))
    texts = [
        part if index % 2 == 0 else (f"${part}" if values is None else _operand(values[part]))
        for index, part in enumerate(reading.parts)
    ]
    return "".join(texts)


def _operand(value: int | Decimal) -> str:
    """Write a number so that no sign before it can make a comment of it."""
    text = number(value)
    return f"({text})" if text.startswith("-") else text


def number(value: int | Decimal) -> str:
    """Write a number as SQL; whole ones are 64 bits wide, for they are multiplied into microseconds."""
    exact = Decimal(value)
    if exact == exact.to_integral_value():
        return f"CAST({int(exact)} AS BIGINT)"
    return format(exact, "f")


@lru_cache(maxsize=1024)
def to_spark(sql: str) -> str:
    """Translate a query of the dialect to Spark SQL."""
    from renzheng.rules import syntax  # noqa: PLC0415 - the parser takes a while to load

    return syntax.to_spark(sql)
