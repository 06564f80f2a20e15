"""Numbers that a thousands mark cut in two: ``1,200.50`` without quotes where commas separate.

Such a row has one cell more than it means. Where the header has a place for it (a column that is blank in
this row), what stands to its right has moved by one, and 1,200.50 yuan would be read as 1 yuan. Neither is
guessed: the row is refused, and named for what it is (`unquoted_thousands`).
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise

from renzheng.contracts.tables import ColumnType

_HEAD = re.compile(r"[+-]?\d{1,3}", re.ASCII)
_REST = re.compile(r"\d{3}(?:\.\d*)?", re.ASCII)
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d*)?", re.ASCII)


def is_cut(head: str, rest: str) -> bool:
    """Return whether two cells may be one number: ``1`` and ``200.50``, but not ``400`` and ``400.00``."""
    return bool(_HEAD.fullmatch(head) and _REST.fullmatch(rest)) and head != rest.partition(".")[0]


def has_cut_cents(cells: Sequence[str]) -> bool:
    """Return whether cells side by side may be one number with cents; whole ones are too common to say so."""
    stripped = [cell.strip() for cell in cells]
    return any("." in rest and is_cut(head, rest) for head, rest in pairwise(stripped))


class CutNumbers:
    """Finds rows whose cells moved to the right because a number was cut.

    It shows in the column behind those of numbers: a number stands there, and in the first rows numbers do
    not usually stand there but where the cells before them look like a cut one.

    Args:
        columns: the file's columns, in their order.
        kinds: those that hold numbers, with their type.
        sample: the first rows.
    """

    def __init__(
        self, columns: Sequence[str], kinds: Mapping[str, ColumnType], sample: Sequence[Mapping[str, str]]
    ) -> None:
        self._stretches = list(_stretches(columns, kinds))
        self._counted = {name for name, kind in kinds.items() if kind is not ColumnType.QUANTITY}
        cut: Counter[tuple[str, bool]] = Counter()
        sound: Counter[tuple[str, bool]] = Counter()
        for fields in sample:
            for stretch in self._stretches:
                if (has_point := _has_point(fields, stretch[-1])) is not None:
                    found = self._cut_in(fields, stretch)
                    (sound if found is None else cut)[stretch[-1], has_point] += 1
        self._usual = {
            (name, has_point)
            for name, has_point in cut.keys() | sound.keys()
            for rows in [sound[name, has_point]]
            if rows >= cut[name, has_point]
            or (2 * (rows + cut[name, has_point]) >= len(sample) > 1 and (rows or not has_point))
        }

    def found(self, fields: Mapping[str, str]) -> tuple[str, str] | None:
        """Return the column of a number that was cut, and the number as it stood there."""
        for stretch in self._stretches:
            has_point = _has_point(fields, stretch[-1])
            if has_point is None or (stretch[-1], has_point) in self._usual:
                continue
            at = self._cut_in(fields, stretch)
            if at is not None:
                return stretch[at], f"{fields[stretch[at]]},{fields[stretch[at + 1]]}"
        return None

    def _cut_in(self, fields: Mapping[str, str], stretch: Sequence[str]) -> int | None:
        """Return where a number is cut; a quantity and its amount (``1`` and ``400``) are two numbers."""
        cells = [fields.get(column, "").strip() for column in stretch]
        last = len(cells) - 2
        return next(
            (
                at
                for at, (head, rest) in enumerate(pairwise(cells))
                if (at == last or stretch[at] in self._counted) and is_cut(head, rest)
            ),
            None,
        )


def _stretches(columns: Sequence[str], numbers: Collection[str]) -> Iterator[tuple[str, ...]]:
    """Yield columns of numbers side by side, each time with the column behind them."""
    stretch: list[str] = []
    for column in columns:
        if column in numbers:
            stretch.append(column)
        elif stretch:
            yield (*stretch, column)
            stretch = []


def _has_point(fields: Mapping[str, str], column: str) -> bool | None:
    """Return whether the number in a column has a point; None when it holds no number."""
    text = fields.get(column, "").strip()
    return "." in text if _NUMBER.fullmatch(text) else None
