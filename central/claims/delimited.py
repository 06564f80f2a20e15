"""Delimited text to records: an unclosed quote costs its line, not the rest of the file."""

import csv
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from renzheng.central.claims.encoding import detect_encoding, read_lines
from renzheng.central.claims.rejects import Place, Problem, Reason, shown
from renzheng.contracts.errors import InputError

DELIMITERS = ",\t|;"
_MAX_QUOTED_LINES = 20
Line = tuple[int, str | Reason]


class HeaderError(InputError):
    """A file's first line does not name the columns that are needed."""


@dataclass(frozen=True, slots=True)
class Record:
    """One row of a file, by column name as in its header."""

    place: Place
    fields: dict[str, str]


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line of which nothing can be taken."""

    place: Place
    problem: Problem


@dataclass(frozen=True, slots=True)
class Table:
    """A delimited file, opened: its column names (trimmed, as written) and its rows to come."""

    name: str
    columns: tuple[str, ...]
    rows: Iterator[Record | BadLine]


def open_table(
    path: Path,
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
    advance: Callable[[int], None] = lambda _: None,
    name: str | None = None,
    fold_case: bool = False,
) -> Table:
    """Open a delimited file and read its header.

    Args:
        path: the file.
        encoding: its encoding where the user knows it; detected otherwise.
        delimiter: likewise; otherwise the one of comma, tab, bar and semicolon that the header has most of.
        advance: told of the bytes read, now and then, for a progress bar.
        name: how places call the file; its own name otherwise.
        fold_case: give column names in lower case.

    Raises:
        EncodingError: the encoding is not one that is read.
        HeaderError: empty file, unreadable header, or a column named twice.
    """
    lines = _lines(path, encoding, advance)
    _, first = next(lines, (0, ""))
    if isinstance(first, Reason) or not first.strip():
        raise HeaderError(
            f"{path.name} has no header that can be read"
            + (f" ({first.value})." if isinstance(first, Reason) else "."),
            why="The first line names the columns.",
            do="Export the file with a header line.",
            path=str(path),
        )
    separator = delimiter or max(DELIMITERS, key=first.count)
    columns = tuple(
        column.strip().lower() if fold_case else column.strip() for column in _split(first, separator) or ()
    )
    twice = sorted({column for column in columns if column and columns.count(column) > 1})
    if twice or not columns:
        raise HeaderError(
            f"{path.name} names columns twice: {', '.join(twice)}."
            if twice
            else f"{path.name} has no columns.",
            why="Which of them holds the value cannot be told.",
            do="Give each column one name.",
            path=str(path),
        )
    known_as = name or path.name
    return Table(known_as, columns, _rows(lines, known_as, columns, separator))


def _lines(path: Path, encoding: str | None, advance: Callable[[int], None]) -> Iterator[Line]:
    found = detect_encoding(path, encoding)
    with path.open("rb") as stream:
        told = 0
        for number, text in read_lines(stream, found):
            yield number, text
            if not number % 1000:
                advance(stream.tell() - told)
                told = stream.tell()
        advance(stream.tell() - told)


def _rows(
    lines: Iterator[Line], name: str, columns: Sequence[str], separator: str
) -> Iterator[Record | BadLine]:
    waiting: deque[Line] = deque()
    width = len(columns)
    while line := (waiting.popleft() if waiting else next(lines, None)):
        number, text = line
        place = Place(name, number)
        if isinstance(text, Reason):
            yield BadLine(place, Problem("", text))
            continue
        if '"' not in text:
            fields: list[str] | None = text.split(separator)
        else:
            fields = _split(text, separator) or _quoted(text, separator, lines, waiting)
        if fields is None:
            yield BadLine(place, Problem("", Reason.UNCLOSED_QUOTE, shown(text)))
        elif len(fields) == width:
            if any(fields) and any(map(str.strip, fields)):
                yield Record(place, dict(zip(columns, fields, strict=True)))
        elif text.strip():
            yield BadLine(place, Problem("", Reason.FIELD_COUNT, f"{len(fields)} of {width}"))


def _split(text: str, separator: str) -> list[str] | None:
    """Split one whole record; None when its quotes do not close or do not stand as RFC 4180 has them."""
    try:
        rows = list(csv.reader([text], delimiter=separator, strict=True))
    except csv.Error:
        return None
    return rows[0] if len(rows) == 1 else None


def _quoted(text: str, separator: str, lines: Iterable[Line], waiting: deque[Line]) -> list[str] | None:
    """Take following lines into a record whose quote is open; those not needed go back to `waiting`."""
    taken: list[Line] = []
    while len(taken) < _MAX_QUOTED_LINES:
        following = waiting.popleft() if waiting else next(iter(lines), None)
        if following is None:
            break
        taken.append(following)
        if isinstance(following[1], Reason):
            break
        text = f"{text}\n{following[1]}"
        if '"' in following[1] and (fields := _split(text, separator)):
            return fields
    waiting.extendleft(reversed(taken))
    return None
