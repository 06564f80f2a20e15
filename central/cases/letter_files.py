"""Letters as files: PDF to send, DOCX to edit; the same letter gives the same bytes.

Both are made from the letter's page, so that no figure stands in a second template. The PDF carries the
glyphs that it needs of a font that covers Chinese; a character that the font lacks is written by its code
point, so that nobody's name loses one unseen.
"""

import datetime as dt
import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from docx import Document
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Mm, Pt
from fontTools.ttLib import TTCollection, TTFont
from fpdf import FPDF
from fpdf.enums import Align
from fpdf.fonts import FontFace

from renzheng.central.cases.errors import LetterError
from renzheng.central.cases.letter_blocks import Cell, Grid, Words, blocks_of
from renzheng.central.cases.letters import Letter

FONTS = (
    Path("/usr/share/fonts/opentype/noto/NotoSerifCJK-Regular.ttc"),
    Path("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc"),
    Path("/usr/share/fonts/google-noto-cjk/NotoSerifCJK-Regular.ttc"),
)
"""Where Debian's `fonts-noto-cjk` and its kin of other systems lie; SIL Open Font License."""
FAMILY = "Noto Serif CJK SC"
_SIDE, _TOP, _LINE = 20, 22, 6.4
_BODY, _SMALL = 11, 9
_TITLES = {1: 17, 2: 13}
_MOST_IN_A_CELL = 26
"""Lines of a cell beyond which its row goes on in another one: a row is never cut by a page."""
_NEVER = (1980, 1, 1, 0, 0, 0)
_MAY_END = "\u200b"
_HAN, _CLOSING, _OPENING = (
    r"\u3001-\uffef\U00020000-\U0003ffff",
    "、，。；：！？）》」』”’〉】",
    "（《「『“‘〈【",
)
_ENDS = re.compile(
    rf"(?<=[{_HAN}])(?<![{_OPENING}])(?=[^{_CLOSING}\s])|(?<=\s)|(?<=[^{_OPENING}\s])(?=[{_HAN}])(?![{_CLOSING}])"
)
"""Where a line may end: beside Chinese characters, but not before a closing mark nor after an opening one."""
_LONG = re.compile(r"([0-9A-Za-z]{16})(?=[0-9A-Za-z])")
"""Hashes and other long words end a line anywhere."""


def to_pdf(letter: Letter, at: dt.datetime, font: Path | None = None) -> bytes:
    """Write a letter as PDF on A4, with page numbers; the heads of its tables stand on each page.

    Args:
        letter: the letter.
        at: the date in the file's properties: the case's, not the clock's.
        font: a font file that covers Chinese; None looks where systems keep theirs.

    Raises:
        LetterError: there is no such font.
    """
    path = font or next((one for one in FONTS if one.exists()), None)
    if path is None or not path.exists():
        raise LetterError(
            "There is no font with Chinese characters for the letter.",
            why="A PDF carries its glyphs with it, so that it looks the same everywhere.",
            do="Install fonts-noto-cjk (Debian), or name a font file: cases.font in the configuration.",
        )
    number = _simplified(path)
    pdf = _Page(format="A4")
    pdf.set_margins(_SIDE, _TOP, _SIDE)
    pdf.set_auto_page_break(auto=True, margin=_TOP)
    pdf.set_creation_date(at)
    pdf.set_title(letter.title)
    pdf.set_lang("zh-CN")
    pdf.add_font("letter", fname=path, collection_font_number=number)
    pdf.set_font("letter", size=_BODY)
    pdf.add_page()
    known = _known(path, number)
    for block in blocks_of(letter.html):
        if isinstance(block, Words):
            _write_words(pdf, block, known)
        else:
            _write_grid(pdf, block, known)
    return bytes(pdf.output())


class _Page(FPDF):
    """A page with its number below."""

    def footer(self) -> None:
        """Write the page's number."""
        self.set_y(-15)
        self.set_font("letter", size=_SMALL)
        self.cell(0, 8, f"第 {self.page_no()} 页，共 {{nb}} 页", align=Align.C)


def _write_words(pdf: FPDF, words: Words, known: frozenset[int]) -> None:
    pdf.set_font("letter", size=_TITLES.get(words.level, _BODY))
    text = "\n".join(_lines(pdf, _seen(words.text, known), pdf.epw - 3))
    align = Align.C if words.level == 1 else Align.L
    pdf.multi_cell(0, _LINE, text, align=align, new_x="LMARGIN", new_y="NEXT")
    pdf.ln(2)


def _write_grid(pdf: FPDF, grid: Grid, known: frozenset[int]) -> None:
    pdf.set_font("letter", size=_SMALL)
    widths = _widths(grid)
    share = pdf.epw / sum(widths)
    wide = [width * share - 4 for width in widths]
    with pdf.table(col_widths=widths, line_height=_LINE - 1, headings_style=FontFace(), padding=0.8) as table:
        for cells in (grid.head, *grid.rows, *([grid.foot] if grid.foot else [])):
            for part in _cut(pdf, cells, wide, known):
                row = table.row()
                for cell in part:
                    row.cell(cell.text, colspan=cell.span, align=Align.R if cell.amount else Align.L)
    pdf.ln(3)


def _widths(grid: Grid) -> tuple[float, ...]:
    """Give columns widths by what they hold: amounts little, words much."""
    longest = [
        max(len(row[place].text) for row in (grid.head, *grid.rows)) for place in range(len(grid.head))
    ]
    return tuple(min(max(one, 8), 34) for one in longest)


def _cut(
    pdf: FPDF, cells: Sequence[Cell], wide: Sequence[float], known: frozenset[int]
) -> Iterator[Sequence[Cell]]:
    """Break a row into lines; one that is higher than a part of a page goes on in further rows."""
    broken, place = [], 0
    for cell in cells:
        width = sum(wide[place : place + cell.span])
        broken.append(_lines(pdf, _seen(cell.text, known), width))
        place += cell.span
    for first in range(0, max(map(len, broken)), _MOST_IN_A_CELL):
        yield [
            Cell("\n".join(lines[first : first + _MOST_IN_A_CELL]), cell.span, cell.amount)
            for lines, cell in zip(broken, cells, strict=True)
        ]


def _seen(text: str, known: frozenset[int]) -> str:
    """Write what the font lacks by its code point."""
    return "".join(one if ord(one) in known or one == "\n" else f"[U+{ord(one):04X}]" for one in text)


def _lines(pdf: FPDF, text: str, width: float) -> list[str]:
    """Break text into lines of at most a width in mm, in the font that is set."""
    parts = _LONG.sub(rf"\1{_MAY_END}", _ENDS.sub(_MAY_END, text)).split(_MAY_END)
    lines, reached = [""], 0.0
    for part in parts:
        wide = pdf.get_string_width(part)
        if reached + wide > width and lines[-1]:
            lines.append("")
            reached = 0.0
        lines[-1] += part
        reached += wide
    return [line.rstrip() for line in lines]


@cache
def _simplified(path: Path) -> int:
    """Return which font of a collection has the forms of the mainland; 0 for a file with one font."""
    if path.suffix != ".ttc":
        return 0
    with TTCollection(path, lazy=True) as collection:
        names = [font["name"].getDebugName(1) or "" for font in collection.fonts]
    return next((number for number, name in enumerate(names) if name.endswith(" SC")), 0)


@cache
def _known(path: Path, number: int) -> frozenset[int]:
    with TTFont(path, fontNumber=number, lazy=True) as font:
        return frozenset(font.getBestCmap())


def to_docx(letter: Letter, at: dt.datetime) -> bytes:
    """Write a letter as DOCX, to be edited; the heads of its tables stand on each page, pages are numbered.

    Args:
        letter: the letter.
        at: the date in the file's properties: the case's, not the clock's.
    """
    document = Document()
    properties = document.core_properties
    properties.author = properties.last_modified_by = properties.comments = ""
    properties.title = letter.title
    properties.created = properties.modified = at.astimezone(dt.UTC).replace(tzinfo=None, microsecond=0)
    section = document.sections[0]
    section.page_width, section.page_height = Mm(210), Mm(297)
    section.left_margin = section.right_margin = Mm(_SIDE)
    section.top_margin = section.bottom_margin = Mm(_TOP)
    style = document.styles["Normal"]
    style.font.name, style.font.size = FAMILY, Pt(_BODY)
    style.element.rPr.rFonts.set(qn("w:eastAsia"), FAMILY)
    _number_pages(section.footer.paragraphs[0])
    for block in blocks_of(letter.html):
        if isinstance(block, Words):
            paragraph = document.add_paragraph()
            run = paragraph.add_run(block.text)
            run.font.size = Pt(_TITLES.get(block.level, _BODY))
            if block.level == 1:
                paragraph.alignment = WD_ALIGN_PARAGRAPH.CENTER
        else:
            _add_grid(document, block)
    made = io.BytesIO()
    document.save(made)
    return _undated(made.getvalue())


def _add_grid(document: "Document", grid: Grid) -> None:  # type: ignore[valid-type]
    rows = [grid.head, *grid.rows, *([grid.foot] if grid.foot else [])]
    table = document.add_table(len(rows), len(grid.head), style="Table Grid")  # type: ignore[attr-defined]
    for number, cells in enumerate(rows):
        row, place = table.rows[number], 0
        for cell in cells:
            shown = row.cells[place]
            if cell.span > 1:
                shown = shown.merge(row.cells[place + cell.span - 1])
            paragraph = shown.paragraphs[0]
            paragraph.add_run(cell.text).font.size = Pt(_SMALL)
            if cell.amount:
                paragraph.alignment = WD_ALIGN_PARAGRAPH.RIGHT
            place += cell.span
    head = table.rows[0]._tr.get_or_add_trPr()  # noqa: SLF001 - the library has no word for a repeated head
    repeated = OxmlElement("w:tblHeader")
    repeated.set(qn("w:val"), "true")
    head.append(repeated)


def _number_pages(paragraph: "Paragraph") -> None:  # type: ignore[name-defined] # noqa: F821
    paragraph.alignment = WD_ALIGN_PARAGRAPH.CENTER
    for text in ("PAGE", " / ", "NUMPAGES"):
        run = paragraph.add_run("1" if text.isalpha() else text)
        if text.isalpha():
            shown = OxmlElement("w:fldSimple")
            shown.set(qn("w:instr"), text)
            paragraph._p.append(shown)  # noqa: SLF001 - the library has no word for a field
            shown.append(run._r)  # noqa: SLF001


def _undated(packed: bytes) -> bytes:
    """Pack a file anew, in the order of its names and without the time at which it was made."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(packed)) as read, zipfile.ZipFile(made, "w") as written:
        for name in sorted(read.namelist(), key=lambda one: (one != "[Content_Types].xml", one)):
            told = zipfile.ZipInfo(name, _NEVER)
            told.compress_type = zipfile.ZIP_DEFLATED
            written.writestr(told, read.read(name))
    return made.getvalue()
