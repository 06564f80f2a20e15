"""What people and spreadsheets write for a number or a time, made plain before it is read; never guessed.

- Where semicolons separate, a comma is a decimal mark: ``400,5`` is 400.5. ``400,500`` could be either and is
  refused.
- ``46085.5`` in a column of times is a spreadsheet's serial number, days since 1899-12-30. It is taken only
  where at least as many of the column's first values are proper dates and the serial lies among them (a
  workbook may also count from 1904, four years off); else it is refused.
- Where commas separate, a number with a thousands mark and without quotes is refused (`cut_numbers`).
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import chain, islice

from renzheng.central.claims.cut_numbers import CutNumbers
from renzheng.central.claims.delimited import BadLine, Record, Table
from renzheng.central.claims.encoding import REPLACEMENT
from renzheng.central.claims.rejects import Problem, Reason, shown
from renzheng.central.claims.values import ValueProblem, read_date
from renzheng.contracts.tables import ColumnType

_LOOKED_AT = 2_000
_EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001 - a wall clock
_SERIAL = re.compile(r"[2-7]\d{4}(?:\.\d+)?", re.ASCII)
_AROUND = timedelta(days=62)
_TIMES = frozenset({ColumnType.DATE, ColumnType.TIMESTAMP})
_NUMBERS = frozenset({ColumnType.QUANTITY, ColumnType.AMOUNT, ColumnType.DOUBLE})
_COUNTED = _NUMBERS | {ColumnType.INTEGER}
_MARKED = re.compile(rf"[+-]?\d{{1,3}}(?:{REPLACEMENT}\d{{3}})+(?:\.\d*)?")
"""What the reader makes of ``1,200.50`` where only one column can have been cut."""
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+")
_BOTH = re.compile(r"[+-]?\d{1,3}(?:\.\d{3})+,\d+")


@dataclass(frozen=True, slots=True)
class _Span:
    first: date
    last: date


class RowNormaliser:
    """Reads a table's rows with their numbers and times made plain.

    Args:
        opened: the table.
        kinds: the file's columns that hold times and numbers, with the type that is read from them.
    """

    def __init__(self, opened: Table, kinds: Mapping[str, ColumnType]) -> None:
        rows = iter(opened.rows)
        sample = list(islice(rows, _LOOKED_AT))
        self._rows = chain(sample, rows)
        self._times = [name for name, kind in kinds.items() if kind in _TIMES]
        self._numbers = [name for name, kind in kinds.items() if kind in _NUMBERS]
        self._commas, self._counts = opened.separator == ";", opened.separator == ","
        records = [row for row in sample if isinstance(row, Record)]
        self._spans = {
            name: span
            for name in self._times
            if (span := _span(row.fields.get(name, "") for row in records)) is not None
        }
        numbers = {name: kind for name, kind in kinds.items() if kind in _COUNTED} if self._counts else {}
        self._cut = CutNumbers(opened.columns, numbers, [row.fields for row in records])

    def rows(self) -> Iterator[tuple[Record | BadLine, tuple[Problem, ...]]]:
        """Yield each row, and what could not be made plain; such a field is blank."""
        for row in self._rows:
            yield (row, ()) if isinstance(row, BadLine) else self._plain(row)

    def _plain(self, row: Record) -> tuple[Record, tuple[Problem, ...]]:
        fields, problems = row.fields, []
        if (cut := self._cut.found(fields)) is not None:
            problems.append(Problem(cut[0], Reason.UNQUOTED_THOUSANDS, shown(cut[1])))
            fields[cut[0]] = ""
        for name in self._numbers if self._counts else ():
            if _MARKED.fullmatch(fields.get(name, "").strip()):
                problems.append(Problem(name, Reason.UNQUOTED_THOUSANDS, shown(fields[name])))
                fields[name] = ""
        for name in self._numbers if self._commas else ():
            text = fields.get(name, "")
            if "," in text:
                try:
                    fields[name] = plain_number(text)
                except ValueProblem as problem:
                    fields[name] = ""
                    problems.append(Problem(name, problem.reason, shown(text)))
        for name in self._times:
            text = fields.get(name, "").strip()
            if len(text) >= 5 and _SERIAL.fullmatch(text):  # noqa: PLR2004 - five digits before the point
                try:
                    fields[name] = serial_time(text, self._spans.get(name))
                except ValueProblem as problem:
                    fields[name] = ""
                    problems.append(Problem(name, problem.reason, shown(text)))
        return row, tuple(problems)


def plain_number(text: str) -> str:
    """Return a number with a decimal comma as one with a point.

    Raises:
        ValueProblem: its comma may be either mark.
    """
    stripped = text.strip()
    if "." in stripped:
        return stripped.replace(".", "").replace(",", ".") if _BOTH.fullmatch(stripped) else stripped
    if _THOUSANDS.fullmatch(stripped):
        raise ValueProblem(Reason.AMBIGUOUS_COMMA)
    return stripped.replace(",", ".") if _DECIMAL_COMMA.fullmatch(stripped) else stripped


def serial_time(text: str, span: _Span | None) -> str:
    """Return the time that a serial number is, to the second.

    Raises:
        ValueProblem: the column's other values do not make it plain.
    """
    moment = _EPOCH + timedelta(seconds=round(float(text) * 86400))
    if span is None or not span.first - _AROUND <= moment.date() <= span.last + _AROUND:
        raise ValueProblem(Reason.SPREADSHEET_DATE)
    return moment.isoformat(" ")


def _span(texts: Iterable[str]) -> _Span | None:
    """Return from when to when a column's proper dates are, where they are at least half of its values."""
    days, serials = [], 0
    for text in texts:
        stripped = text.strip()
        if _SERIAL.fullmatch(stripped):
            serials += 1
        elif stripped:
            try:
                days.append(read_date(stripped))
            except ValueProblem:
                continue
    return _Span(min(days), max(days)) if days and len(days) >= serials > 0 else None
