"""Writes a list as a table of a spreadsheet: XLSX or CSV, of what the page shows, never a formula."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import xlsxwriter

MOST_ROWS = 1_000_000
"""What one sheet holds, of the format's 1,048,576."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")
"""With what a cell of a CSV begins that a spreadsheet may take for a formula (OWASP, CSV injection)."""
Cell = str | int | float | None


def as_text(cell: Cell) -> str:
    """Write a cell of a CSV; a text that could be taken for a formula gets an apostrophe before it."""
    if cell is None:
        return ""
    if isinstance(cell, int | float):
        return str(cell)
    text = cell.replace("\x00", "")
    return f"'{text}" if text.lstrip(" \u3000\ufeff").startswith(_FORMULA) else text


def write_csv(heads: Sequence[str], parts: Iterable[Iterable[Sequence[Cell]]]) -> Iterator[bytes]:
    """Write pieces of a CSV in UTF-8 with the mark by which spreadsheets know it."""
    yield b"\xef\xbb\xbf" + _csv([heads])
    for part in parts:
        yield _csv(part)


def _csv(rows: Iterable[Sequence[Cell]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([as_text(cell) for cell in row] for row in rows)
    return text.getvalue().encode()


def write_xlsx(
    path: Path,
    title: str,
    heads: Sequence[str],
    parts: Iterable[Iterable[Sequence[Cell]]],
    money: Sequence[int] = (),
) -> int:
    """Write a workbook of one sheet; return how many rows it has. Memory does not grow with it.

    Args:
        path: the file.
        title: the sheet's name.
        heads: its first row, which stays in view and can filter.
        parts: its rows, in pieces; every text is written as text.
        money: the columns that hold yuan.
    """
    options: dict[str, Any] = {
        "constant_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
    }
    with xlsxwriter.Workbook(str(path), options) as workbook:
        bold = workbook.add_format({"bold": True, "bg_color": "#17475F", "font_color": "#FFFFFF"})
        yuan = workbook.add_format({"num_format": "#,##0.00"})
        sheet = workbook.add_worksheet(title[:31])
        sheet.freeze_panes(1, 0)
        sheet.set_column(0, max(len(heads) - 1, 0), 18)
        for column, head in enumerate(heads):
            sheet.write_string(0, column, head, bold)
        last = 0
        for row in (row for part in parts for row in part):
            if last == MOST_ROWS:
                break
            last += 1
            for column, cell in enumerate(row):
                if isinstance(cell, int | float):
                    sheet.write_number(last, column, cell, yuan if column in money else None)
                else:
                    sheet.write_string(last, column, cell or "")
        sheet.autofilter(0, 0, max(last, 1), len(heads) - 1)
    return last
