"""JSON objects as the rows of a table: a mapping file's column is a key, `run.begin` a key within a key."""

from collections.abc import Callable, Collection, Iterator, Sequence
from decimal import Decimal
from itertools import chain, islice
from pathlib import Path
from typing import Any

from renzheng.central.claims.delimited import BadLine, HeaderError, Record, Table
from renzheng.central.claims.json_stream import read_values
from renzheng.central.claims.rejects import Problem, Reason, RowPlace
from renzheng.central.claims.repeated_keys import holds_twice

_SEEN_FIRST = 200
"""So many objects are looked at for the columns that the file has."""


def open_objects(
    path: Path,
    name: str,
    wanted: Collection[str],
    *,
    encoding: str | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> Table:
    """Open a file of JSON objects: one a line, or an array of them.

    Args:
        path: the file.
        name: how places call it.
        wanted: the keys that are looked for; others are passed over.
        encoding: its encoding where the user knows it.
        advance: told of the bytes read, now and then.

    Raises:
        HeaderError: it holds no object.
    """
    values = read_values(path, encoding=encoding, advance=advance)
    first = list(islice(values, _SEEN_FIRST))
    objects = [value for _, value in first if isinstance(value, dict)]
    if not objects:
        raise HeaderError(
            f"{path.name} holds no JSON object.",
            why="The keys of objects name the columns.",
            do="Export the file as an object a line, or an array of objects.",
            path=str(path),
        )
    columns = tuple(key for key in wanted if any(_at(one, key) is not None for one in objects))
    return Table(name, columns, _rows(chain(first, values), name, tuple(wanted)), separator="\t")


def _rows(values: Iterator[tuple[int, Any]], name: str, wanted: Sequence[str]) -> Iterator[Record | BadLine]:
    for line, value in values:
        place = RowPlace(name, line)
        if isinstance(value, Reason):
            yield BadLine(place, Problem("", value))
        elif not isinstance(value, dict) or holds_twice(value):
            yield BadLine(place, Problem("", Reason.NOT_PARSABLE))
        else:
            yield _row(value, place, wanted)


def _row(value: dict[str, Any], place: RowPlace, wanted: Sequence[str]) -> Record | BadLine:
    fields: dict[str, str] = {}
    for key in wanted:
        found = _at(value, key)
        if isinstance(found, dict | list):
            return BadLine(place, Problem(key, Reason.NOT_PARSABLE))
        fields[key] = _written(found)
    return Record(place, fields)


def _at(value: Any, key: str) -> Any:
    if isinstance(value, dict) and key in value:
        return value[key]
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _written(value: str | int | Decimal | bool | None) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
