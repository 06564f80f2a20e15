"""A letter as blocks, read from its page: titles, paragraphs and tables, for its other forms."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

NUMBER = "n"
"""The page's class of cells with amounts."""


@dataclass(frozen=True, slots=True)
class Words:
    """A title (level 1 or 2), or a paragraph (level 0)."""

    text: str
    level: int = 0


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table; `span` columns wide, an amount stands at its right."""

    text: str
    span: int = 1
    amount: bool = False


@dataclass(slots=True)
class Grid:
    """A table: the row of its heads, its rows, and its last row with the sums."""

    head: list[Cell] = field(default_factory=list)
    rows: list[list[Cell]] = field(default_factory=list)
    foot: list[Cell] = field(default_factory=list)


def blocks_of(page: bytes) -> list[Words | Grid]:
    """Read the blocks of a letter's page in their order."""
    reader = _Reader()
    reader.feed(page.decode())
    return reader.blocks


class _Reader(HTMLParser):
    """Reads the few elements that a letter's template has."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks: list[Words | Grid] = []
        self._text: list[str] | None = None
        self._grid, self._part = Grid(), ""
        self._row: list[Cell] = []
        self._cell = Cell("")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin an element."""
        said = dict(attrs)
        if tag in {"h1", "h2", "p"}:
            self._text = []
        elif tag in {"th", "td"}:
            self._text = []
            self._cell = Cell("", int(said.get("colspan") or 1), said.get("class") == NUMBER)
        elif tag in {"thead", "tbody", "tfoot"}:
            self._part = tag
        elif tag == "tr":
            self._row = []
        elif tag == "table":
            self._grid = Grid()

    def handle_data(self, data: str) -> None:
        """Take text where an element holds some."""
        if self._text is not None:
            self._text.append(data)

    def handle_endtag(self, tag: str) -> None:
        """End an element."""
        text = "".join(self._text or ()).strip()
        if tag in {"h1", "h2", "p"}:
            self.blocks.append(Words(text, {"h1": 1, "h2": 2, "p": 0}[tag]))
            self._text = None
        elif tag in {"th", "td"}:
            self._row.append(Cell(text, self._cell.span, self._cell.amount))
            self._text = None
        elif tag == "tr":
            self._end_row()
        elif tag == "table":
            self.blocks.append(self._grid)

    def _end_row(self) -> None:
        if self._part == "thead":
            self._grid.head = self._row
        elif self._part == "tfoot":
            self._grid.foot = self._row
        else:
            self._grid.rows.append(self._row)
