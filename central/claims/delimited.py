"""Delimited text and sheets to records: what is damaged costs its field, else its line, never the whole file.

A character that does not decode, a quote that does not close and a separator in the middle of a name are
U+FFFD in the field where they stand, so that the row still says who billed what: a name is read all the same,
an id or a number with such a mark is refused (`rows`).

What spreadsheets leave behind is taken for what it means: a first line ``sep=;``, titles above the header,
blank cells at the end of a row, ``="0012"`` and ``'0012`` for a text of digits.
"""

import csv
import re
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from renzheng.central.claims import workbook
from renzheng.central.claims.cut_numbers import has_cut_cents
from renzheng.central.claims.encoding import REPLACEMENT, Damaged, detect_encoding, read_lines
from renzheng.central.claims.rejects import Problem, Reason, RowPlace, shown
from renzheng.central.claims.workbook import is_workbook
from renzheng.contracts.errors import InputError
from renzheng.contracts.ids import tidy_id

DELIMITERS = ",\t|;"
_MAX_QUOTED_LINES = 20
Line = tuple[int, str | Reason]


class HeaderError(InputError):
    """A file's first line does not name the columns that are needed."""


@dataclass(frozen=True, slots=True)
class Record:
    """One row of a file, by column name as in its header."""

    place: RowPlace
    fields: dict[str, str]


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line of which nothing can be taken."""

    place: RowPlace
    problem: Problem


@dataclass(frozen=True, slots=True)
class Table:
    """A delimited file or a sheet, opened: its column names (trimmed, as written) and its rows to come."""

    name: str
    columns: tuple[str, ...]
    rows: Iterator[Record | BadLine]
    separator: str = ","
    """What separates its columns; "" in a sheet."""


def open_table(
    path: Path,
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
    advance: Callable[[int], None] = lambda _: None,
    name: str | None = None,
    fold_case: bool = False,
    known: Collection[str] = (),
    sheet: str | None = None,
) -> Table:
    """Open a delimited file, or a sheet of a workbook, and read its header.

    Args:
        path: the file; an XLSX workbook is known by its first bytes.
        encoding: its encoding where the user knows it; detected otherwise.
        delimiter: likewise; otherwise the one of comma, tab, bar and semicolon that the header has most of.
        advance: called with the bytes read, now and then, for a progress bar.
        name: how places call the file; its own name otherwise.
        fold_case: give column names in lower case.
        known: names of columns that are looked for, in whatever case and width they stand there. The header
            is the first line that has two of them; lines above it are titles. In a sheet, the cells of other
            columns are then blank.
        sheet: of a workbook, the sheet; its first that is not empty otherwise.

    Raises:
        EncodingError: the encoding is not one that is read.
        HeaderError: empty file, unreadable header, or a column named twice.
        WorkbookError: a workbook that cannot be read.
    """
    known_as = name or path.name
    spelled = {_plain_name(one): one for one in known}
    if is_workbook(path):
        return _open_sheet(path, sheet, advance, known_as, spelled, fold_case=fold_case)
    lines = _lines(path, encoding, advance)
    first, separator = _header_line(lines, delimiter, spelled, path)
    columns = _columns(_split(first, separator) or (), spelled, path, fold_case=fold_case)
    return Table(known_as, columns, _rows(lines, known_as, columns, separator), separator)


_TITLES = 30


def _header_line(
    lines: Iterator[Line], delimiter: str | None, spelled: Mapping[str, str], path: Path
) -> tuple[str, str]:
    """Return the header and what separates its columns, past ``sep=`` and titles."""
    seen: list[str] = []
    while len(seen) <= _TITLES and (line := next(lines, None)) is not None:
        text = line[1]
        if isinstance(text, Reason | Damaged):
            raise _no_header(path, f" ({(text if isinstance(text, Reason) else text.reason).value})")
        stated = _SEPARATOR.fullmatch(text.strip(" \ufeff")) if not seen else None
        if stated:
            delimiter = delimiter or stated.group(1)
            continue
        seen.append(text)
        separator = delimiter or max(DELIMITERS, key=text.count)
        if not spelled or _is_header(_split(text, separator) or (), spelled):
            break
    else:
        separator = delimiter or max(DELIMITERS, key=(seen or [""])[0].count)
        if seen:  # no line has two of the known names: the first is the header, and says what it lacks
            return _filled(seen[0], path), separator
    return _filled(seen[-1] if seen else "", path), separator


_SEPARATOR = re.compile(r"sep=(.)", re.IGNORECASE)
_HEADINGS = 2


def _is_header(cells: Sequence[str], spelled: Mapping[str, str]) -> bool:
    found = {_plain_name(cell) for cell in cells} & spelled.keys()
    return len(found) >= min(_HEADINGS, len(spelled))


def _filled(text: str, path: Path) -> str:
    if not text.strip():
        raise _no_header(path, "")
    return text


def _no_header(path: Path, why: str) -> HeaderError:
    return HeaderError(
        f"{path.name} has no header that can be read{why}.",
        why="The header names the columns.",
        do="Export the file with a header line.",
        path=str(path),
    )


def _plain_name(text: str) -> str:
    return tidy_id(_unwrapped(text.strip())).lower()


def _columns(
    cells: Sequence[str], spelled: Mapping[str, str], path: Path, *, fold_case: bool
) -> tuple[str, ...]:
    columns = tuple(
        spelled.get(_plain_name(cell)) or (cell.strip().lower() if fold_case else cell.strip())
        for cell in cells
    )
    twice = sorted({column for column in columns if column and columns.count(column) > 1})
    if spelled:
        twice = [column for column in twice if column in spelled.values()]
    if twice or not any(columns):
        raise HeaderError(
            f"{path.name} names columns twice: {', '.join(twice)}."
            if twice
            else f"{path.name} has no columns.",
            why="Which of them holds the value cannot be told.",
            do="Give each column one name.",
            path=str(path),
        )
    return columns


def _open_sheet(
    path: Path,
    sheet: str | None,
    advance: Callable[[int], None],
    known_as: str,
    spelled: Mapping[str, str],
    *,
    fold_case: bool,
) -> Table:
    wanted: list[int] = []
    lines = workbook.rows(path, sheet, keep=lambda: wanted or None, advance=advance)
    seen: list[list[str]] = []
    while len(seen) <= _TITLES and (line := next(lines, None)) is not None:
        seen.append(line[1])
        if not spelled or _is_header(line[1], spelled):
            break
    else:
        seen = seen[:1]
    if not seen:
        raise _no_header(path, "")
    columns = _columns(seen[-1], spelled, path, fold_case=fold_case)
    if spelled:
        wanted += [position for position, column in enumerate(columns) if column in spelled.values()]
    return Table(known_as, columns, _sheet_rows(lines, known_as, columns), "")


def _sheet_rows(
    lines: Iterator[tuple[int, list[str]]], name: str, columns: Sequence[str]
) -> Iterator[Record | BadLine]:
    width = len(columns)
    for number, cells in lines:
        fields = [_unwrapped(cell) if cell[:1] in _WRAPPED else cell for cell in cells[:width]]
        if any(cell.strip() for cell in cells[width:]):
            problem = Problem("", Reason.FIELD_COUNT, f"{len(cells)} of {width}")
            yield BadLine(RowPlace(name, number), problem)
        elif any(fields):
            fields += [""] * (width - len(fields))
            yield Record(RowPlace(name, number), dict(zip(columns, fields, strict=True)))


_WRAPPED = ("=", "'")
_TEXT_FORMULA = re.compile(r'="((?:[^"]|"")*)"', re.DOTALL)


def _unwrapped(cell: str) -> str:
    """Return what a cell means that was written so that a spreadsheet keeps it as text."""
    formula = _TEXT_FORMULA.fullmatch(cell.strip())
    if formula:
        return formula.group(1).replace('""', '"')
    stripped = cell.strip()
    return stripped[1:] if stripped[:1] == "'" and stripped[1:2].isalnum() and stripped[-1:] != "'" else cell


def _lines(path: Path, encoding: str | None, advance: Callable[[int], None]) -> Iterator[Line]:
    found = detect_encoding(path, encoding)
    with path.open("rb") as stream:
        told = 0
        for number, text in read_lines(stream, found, salvage=True):
            # where its user is wrong about the encoding, all of the file would lose its names
            is_refused = encoding and isinstance(text, Damaged) and text.reason is Reason.MIXED_ENCODING
            yield number, text.reason if is_refused and isinstance(text, Damaged) else text
            if not number % 1000:
                advance(stream.tell() - told)
                told = stream.tell()
        advance(stream.tell() - told)


def _rows(
    lines: Iterator[Line], name: str, columns: Sequence[str], separator: str
) -> Iterator[Record | BadLine]:
    waiting: deque[Line] = deque()
    width, shapes = len(columns), _Shapes(columns)
    while line := (waiting.popleft() if waiting else next(lines, None)):
        number, text = line
        place = RowPlace(name, number)
        if isinstance(text, Reason):
            yield BadLine(place, Problem("", text))
            continue
        fields = _cells(text, separator, lines, waiting)
        if fields is not None and separator == "," and shapes.is_moved(fields):
            yield BadLine(place, Problem("", Reason.UNQUOTED_THOUSANDS, f"{len(fields)} of {width}"))
            continue
        surplus = len(fields or ()) - width
        if fields is not None and surplus:
            fields = shapes.best(_fitted(fields, columns), fields)
        broken = _why_broken(fields, surplus, separator)
        said = shown(text) if fields is None else f"{len(fields)} of {width}"
        if fields is None:
            fields = text.replace('"', REPLACEMENT).split(separator)
            fields = shapes.best(fields, fields)
        if fields is not None and len(fields) == width:
            if any(fields) and any(map(str.strip, fields)):
                if "=" in text or "'" in text:
                    fields = [_unwrapped(cell) if cell[:1] in _WRAPPED else cell for cell in fields]
                shapes.see(fields, surplus)
                yield Record(place, dict(zip(columns, fields, strict=True)))
        elif text.strip():
            reason = text.reason if isinstance(text, Damaged) else broken
            yield BadLine(place, Problem("", reason, said))


def _cells(text: str, separator: str, lines: Iterable[Line], waiting: deque[Line]) -> list[str] | None:
    """Return a record's cells, with those of the next lines where a quote is open; None if it stays so."""
    if '"' not in text:
        return text.split(separator)
    return _split(text, separator) or _quoted(text, separator, lines, waiting)


def _why_broken(fields: list[str] | None, surplus: int, separator: str) -> Reason:
    """Return why a row does not fit the header, for the case that it does not."""
    if fields is None:
        return Reason.UNCLOSED_QUOTE
    is_cut = surplus > 0 and separator == "," and has_cut_cents(fields)
    return Reason.UNQUOTED_THOUSANDS if is_cut else Reason.FIELD_COUNT


class _Shapes:
    """What the fields of a sound row look like, to find where a separator stood within one.

    A row with more fields than the header has one field that was cut. It is put together where all others
    then look like those of the row before (numbers, times, words), which only one column may bring about; of
    several columns of words, that of a name (text beyond ASCII) is taken. A number is never guessed.
    """

    _MOST_CUT = 4

    def __init__(self, columns: Sequence[str]) -> None:
        self._width = len(columns)
        self._named = max((at for at, column in enumerate(columns, start=1) if column), default=0)
        self._last: list[str] = []
        self._surplus = 0

    def see(self, fields: list[str], surplus: int) -> None:
        """Remember a sound row, and how many cells more than the header it had."""
        if not any(REPLACEMENT in cell for cell in fields):
            self._last, self._surplus = fields, surplus

    def is_moved(self, fields: list[str]) -> bool:
        """Return whether a number may be cut in two and what is behind it moved into cells that were blank.

        The row before has no cells beyond the header, or its columns without a name are blank.
        """
        beyond = fields[self._width :]
        if not has_cut_cents(fields) or any(map(str.strip, beyond)):
            return False
        unnamed = slice(self._named, self._width)
        fills_unnamed = any(map(str.strip, fields[unnamed])) and not any(map(str.strip, self._last[unnamed]))
        return fills_unnamed or bool(beyond and self._last and self._surplus < len(beyond))

    def best(self, fitted: list[str], fields: list[str]) -> list[str]:
        """Return a row as fitted to the header, else with the fields of the cut one put together."""
        if len(fields) <= self._width:
            return fitted
        is_sound = len(fitted) == self._width and list(map(_shape, fitted)) == list(map(_shape, self._last))
        return fitted if is_sound else self._merged(fields) or fitted

    def _merged(self, fields: list[str]) -> list[str] | None:
        surplus = len(fields) - self._width
        if not self._last or surplus > self._MOST_CUT:
            return None
        found = [at for at in range(self._width) if self._fits(fields, at, surplus)]
        if len(found) > 1 and all(_shape(self._last[at]) == "words" for at in found):
            found = [at for at in found if not self._last[at].isascii()]
        if len(found) != 1:
            return None
        at = found[0]
        return [*fields[:at], REPLACEMENT.join(fields[at : at + surplus + 1]), *fields[at + surplus + 1 :]]

    def _fits(self, fields: list[str], at: int, surplus: int) -> bool:
        kind, parts = _shape(self._last[at]), fields[at : at + surplus + 1]
        if kind != "words" and not (kind and all(_shape(part) != "words" for part in parts)):
            return False
        pairs = [*zip(fields[:at], self._last[:at], strict=True)]
        pairs += zip(fields[at + surplus + 1 :], self._last[at + 1 :], strict=True)
        return all(_shape(cell) == _shape(last) for cell, last in pairs)


def _shape(cell: str) -> str:
    """Return a rough form of a field: blank, number, time or date, words."""
    text = cell.strip()
    if not text:
        return ""
    if _NUMBER.fullmatch(text):
        return "number"
    return "time" if _MOMENT.match(text) else "words"


_NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)*")
_MOMENT = re.compile(r"\d{4}[-/.年]\d{1,2}[-/.月]\d{1,2}")


def _fitted(fields: list[str], columns: Sequence[str]) -> list[str]:
    """Return a row without blank cells beyond the header, or with those of unnamed columns at its end."""
    width = len(columns)
    if len(fields) > width and not any(map(str.strip, fields[width:])):
        return fields[:width]
    if 1 < len(fields) < width and not any(columns[len(fields) :]):
        return fields + [""] * (width - len(fields))
    return fields


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
