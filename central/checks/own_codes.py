"""A region's table of its own item codes, each with the national one that it stands for."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from renzheng.central.checks.errors import KnowledgeError
from renzheng.central.claims import workbook
from renzheng.contracts.ids import normalised_id
from renzheng.rules.knowledge.sheets import read_codes
from renzheng.rules.reading import as_text, read_csv

Row = Mapping[str, str]


def read_own_codes(path: Path, own: str, national: str) -> dict[str, str]:
    """Read a table of codes, CSV (UTF-8) or XLSX.

    Args:
        path: the file.
        own: heading of the region's own codes.
        national: heading of the national ones.

    Raises:
        KnowledgeError: a column is missing, a code cannot be read, or one code stands for two.
    """
    found: dict[str, str] = {}
    for number, row in _rows(path, own, national):
        told, (codes, problem) = normalised_id(row.get(own) or ""), read_codes(row.get(national) or "")
        if not told and not (row.get(national) or "").strip():
            continue
        if not told or problem or len(codes) != 1:
            raise _wrong(path, f"row {number} does not name one code of each kind")
        if found.setdefault(told, codes[0]) != codes[0]:
            raise _wrong(path, f"row {number} lets {told} stand for a second national code")
    if not found:
        raise _wrong(path, f"no row has codes below the headings {own} and {national}")
    return found


def _rows(path: Path, own: str, national: str) -> Iterable[tuple[int, Row]]:
    if not workbook.is_workbook(path):
        rows = list(read_csv(as_text(path.read_bytes())))
        if rows and not {own, national} <= set(rows[0]):
            raise _wrong(path, f"it lacks the columns {own} and {national}")
        return list(enumerate(rows, 2))
    every = workbook.rows(path)
    heads: list[str] = next((cells for _, cells in every), [])
    if not {own, national} <= set(heads):
        raise _wrong(path, f"it lacks the columns {own} and {national}")
    return [(number, dict(zip(heads, cells, strict=False))) for number, cells in every]


def _wrong(path: Path, what: str) -> KnowledgeError:
    return KnowledgeError(
        f"{path.name} cannot be used as a table of codes: {what}.",
        why="A code that stands for the wrong item would advise on the wrong item.",
        do="Correct the table; name its columns with --own and --national.",
    )
