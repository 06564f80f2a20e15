"""Draws a grid of shaded squares: rows by columns, each with its number. Values in, SVG out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import escape

from renzheng.central.pictures.drawing import (
    INK,
    PAPER,
    SHADES,
    WHITE_FROM,
    Figure,
    shade_of,
    shortened,
    svg_of,
    text_of,
)

LEFT, ROW, TOP = 190, 26, 46
MOST_LETTERS = 30
"""Of a row's name beside it, a Chinese one counted twice."""


@dataclass(frozen=True, slots=True)
class Grid:
    """What a grid shows.

    Args:
        title: of the picture.
        corner: what the rows are; head of the table's first column.
        rows: key and name of each.
        columns: key and name of each.
        cells: the numbers by row and column; a pair without one is blank.
        width: of a square, in pixels.
        letters: of a column's name above it, a Chinese one counted twice.
        shades: from blank to the largest number.
    """

    title: str
    corner: str
    rows: Sequence[tuple[str, str]]
    columns: Sequence[tuple[str, str]]
    cells: Mapping[tuple[str, str], int]
    width: int = 92
    letters: int = 15
    shades: Sequence[str] = SHADES


def grid(asked: Grid, write: Callable[[int], str]) -> Figure:
    """Draw it: the larger a number, the darker its square; numbers are written in the squares.

    Args:
        asked: what is shown.
        write: writes a number.
    """
    most = max(asked.cells.values(), default=0)
    parts = [
        text_of(LEFT + place * asked.width + asked.width / 2, 30, shortened(name, asked.letters), "middle")
        for place, (_, name) in enumerate(asked.columns)
    ]
    for line, (row, name) in enumerate(asked.rows):
        y = TOP + line * ROW
        parts.append(text_of(0, y + 17, shortened(name, MOST_LETTERS), "start"))
        for place, (column, head) in enumerate(asked.columns):
            number, x = asked.cells.get((row, column), 0), LEFT + place * asked.width
            shade = shade_of(number, most)
            parts.append(
                _square(
                    (x, y, asked.width - 3),
                    (asked.shades[shade], shade >= WHITE_FROM),
                    (f"{name} {head}", number),
                    write,
                )
            )
    size = (LEFT + len(asked.columns) * asked.width, TOP + len(asked.rows) * ROW + 4)
    table = [
        [name, *(write(asked.cells.get((row, column), 0)) for column, _ in asked.columns)]
        for row, name in asked.rows
    ]
    heads = [asked.corner, *(name for _, name in asked.columns)]
    return Figure(asked.title, svg_of(*size, asked.title, parts), heads, table)


def _square(
    box: tuple[float, float, float],
    shade: tuple[str, bool],
    named: tuple[str, int],
    write: Callable[[int], str],
) -> str:
    (x, y, wide), (colour, dark), (name, number) = box, shade, named
    square = f'<rect x="{x}" y="{y}" width="{wide}" height="{ROW - 3}" fill="{colour}" stroke="#dfe5e9"/>'
    if not number:
        return square
    inside = text_of(x + wide - 5, y + 16, write(number), "end", PAPER if dark else INK)
    return f"<g><title>{escape(f'{name} {write(number)}')}</title>{square}{inside}</g>"
