"""Read the public libraries' workbooks: every visible sheet, merged cells filled downwards."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

from renzheng.central.checks.errors import KnowledgeError
from renzheng.central.claims import workbook
from renzheng.rules.knowledge.reading import FileRead, read_file

_MOST_ROWS = 200_000


def read_workbook(
    path: Path, *, batch: str | None = None, valid_from: dt.date | None = None, region: str = ""
) -> FileRead:
    """Read one file of a library.

    Raises:
        WorkbookError: it is no workbook.
        KnowledgeError: no sheet has headings that are known.
    """
    if not workbook.is_workbook(path):
        raise _no_table(path, "it is no XLSX workbook")
    sheets = [(one.name, list(_filled(path, one.name))) for one in workbook.sheets(path)]
    found = read_file(path.name, sheets, batch=batch, valid_from=valid_from, region=region)
    if not found.points:
        raise _no_table(path, "no sheet has the headings of a library, with rows below them")
    return found


def _no_table(path: Path, what: str) -> KnowledgeError:
    return KnowledgeError(
        f"{path.name} holds no knowledge that can be read: {what}.",
        why="A file that is passed over would leave its limits unchecked without a word.",
        do="Give the library's workbook as it was published; docs/checks.md lists the headings.",
    )


def _filled(path: Path, sheet: str) -> Iterator[tuple[int, list[str]]]:
    """Yield rows; a cell that is merged over several rows has its text in each."""
    ranges: dict[int, list[tuple[int, int]]] = {}
    for column, first, last in workbook.merged_down(path, sheet):
        for below in range(first + 1, min(last, first + _MOST_ROWS) + 1):
            ranges.setdefault(below, []).append((column, first))
    texts: dict[tuple[int, int], str] = {}
    starts = {(first, column) for found in ranges.values() for column, first in found}
    for number, cells in workbook.rows(path, sheet):
        row = list(cells)
        for column, first in ranges.get(number, ()):
            row += [""] * (column + 1 - len(row))
            row[column] = row[column] or texts.get((first, column), "")
        for at, text in enumerate(row):
            if (number, at) in starts:
                texts[number, at] = text
        yield number, row
