"""XLSX sheets row by row, in memory that does not grow with the sheet.

calamine decodes a sheet ten times as fast as openpyxl but holds all of it (figures: docs/importing.md).
So the sheet's XML is read as a stream and handed to calamine in small workbooks of some thousand rows each,
with the original's styles and date system; the shared strings stay outside, as one run of bytes.
Nothing is decoded before the file's sizes have been looked at: a few megabytes may hold terabytes of zeros.
"""

import io
import re
import zipfile
from array import array
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from pathlib import Path
from typing import IO, Any
from xml.etree import ElementTree as ET
from xml.parsers import expat

import python_calamine

from renzheng.contracts.errors import InputError

ZIP_START = b"PK\x03\x04"
_OLD_START = b"\xd0\xcf\x11\xe0"
MAX_ROWS, MAX_COLUMNS = 1_048_576, 702
"""Excel's own limit of rows, and A to ZZ: no table that is read here is a tenth as wide."""
MAX_BYTES = 24 << 30
"""A million rows of eighty columns are 5 GB of XML; this is what is still worth reading."""
_SMALL_PART = 64 << 20
_RATIO, _RATIO_FROM = 400, 256 << 20
_READ = 1 << 20
_CHUNK_BYTES, _CHUNK_ROWS, _CHUNK_GAP = 8 << 20, 4_000, 200
_DIGITS_KEPT = 15
_RELATIONSHIPS = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"


class WorkbookError(InputError):
    """A workbook cannot be read, or is not safe to read."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """One visible sheet: its name, and its part of the archive."""

    name: str
    part: str


def is_workbook(path: Path) -> bool:
    """Return whether a file is an XLSX workbook.

    Raises:
        WorkbookError: it is an old or encrypted Excel file, or a web page that is called one.
    """
    with path.open("rb") as stream:
        start = stream.read(512)
    if start.startswith(_OLD_START):
        raise WorkbookError(
            f"{path.name} is an old Excel file (.xls) or one with a password.",
            why="Only XLSX without a password is read.",
            do="Open it, save it as 'Excel Workbook (*.xlsx)' without a password, and import that.",
            path=str(path),
        )
    if start.lstrip(b"\xef\xbb\xbf \t\r\n")[:6].lower() in {b"<html>", b"<html ", b"<table", b"<!doct"}:
        raise WorkbookError(
            f"{path.name} is a web page, whatever its name says.",
            why="Some systems write tables as HTML and call the file .xls.",
            do="Open it in a spreadsheet, save it as XLSX or CSV UTF-8, and import that.",
            path=str(path),
        )
    return start.startswith(ZIP_START)


def sheets(path: Path) -> list[Sheet]:
    """Return the visible sheets of a workbook that have at least one row, in order.

    Raises:
        WorkbookError: it is no workbook, damaged, or unpacks to more than anybody would send.
    """
    with _opened(path) as archive:
        targets = {
            one.get("Id"): _part_of(one.get("Target") or "")
            for one in _xml(archive, "xl/_rels/workbook.xml.rels", path)
        }
        found = [
            Sheet(one.get("name") or "", targets.get(one.get(_RELATIONSHIPS), ""))
            for one in _xml(archive, "xl/workbook.xml", path).iter()
            if one.tag.endswith("}sheet") and one.get("state", "visible") == "visible"
        ]
        return [one for one in found if one.part in archive.namelist() and _has_rows(archive, one)]


def _has_rows(archive: zipfile.ZipFile, sheet: Sheet) -> bool:
    with archive.open(sheet.part) as stream:
        return re.search(rb"<(?:\w+:)?c[ >/]", stream.read(_READ)) is not None


def _part_of(target: str) -> str:
    return target.lstrip("/") if target.startswith("/") else f"xl/{target}"


def _opened(path: Path) -> zipfile.ZipFile:
    """Open a workbook's archive after a look at its table of contents."""
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise _damaged(path, str(error)) from error
    parts = archive.infolist()
    unpacked = sum(part.file_size for part in parts)
    packed = max(1, sum(part.compress_size for part in parts))
    small = [
        part
        for part in parts
        if not part.filename.startswith(("xl/worksheets/", "xl/sharedStrings", "xl/media"))
    ]
    if (
        unpacked > MAX_BYTES
        or (unpacked > _RATIO_FROM and unpacked > _RATIO * packed)
        or any(part.file_size > _SMALL_PART for part in small if part.filename in _KEPT)
    ):
        archive.close()
        raise WorkbookError(
            f"{path.name} holds {packed:,} bytes that unpack to {unpacked:,}.",
            why="No table unpacks like that; reading it would fill the machine.",
            do="Export the data again, as CSV or as several workbooks.",
            path=str(path),
        )
    return archive


_KEPT = frozenset({"xl/workbook.xml", "xl/_rels/workbook.xml.rels", "xl/styles.xml"})


def _damaged(path: Path, why: str) -> WorkbookError:
    return WorkbookError(
        f"{path.name} cannot be read as an XLSX workbook: {why}.",
        do="Open it in a spreadsheet, save it again, and import that.",
        path=str(path),
    )


def _xml(archive: zipfile.ZipFile, part: str, path: Path) -> ET.Element:
    """Parse one of the archive's small parts; one with a document type could grow and is refused."""
    try:
        content = archive.read(part)
    except (KeyError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
        raise _damaged(path, f"{part}: {error}") from error
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise _damaged(path, f"{part} declares a document type")
    try:
        return ET.fromstring(content)  # noqa: S314 - no document type, so no entity can grow
    except ET.ParseError as error:
        raise _damaged(path, f"{part}: {error}") from error


Keep = Callable[[], Collection[int] | None]
"""Which columns, counted from 0, are of interest by now; None: all of them."""


def rows(
    path: Path,
    sheet: str | None = None,
    *,
    keep: Keep = lambda: None,
    advance: Callable[[int], None] = lambda _: None,
) -> Iterator[tuple[int, list[str]]]:
    """Yield each row of a sheet (the first that is not empty unless named): its number, its cells as text.

    Dates come as ``2026-03-04 10:00:00`` (at midnight without the hour), numbers with at most 15 digits, as
    Excel keeps them; of longer ones, whose last digits a spreadsheet has lost, the rounded form
    (``1.10101195001011E+17``), so that no id is made of them. Blank rows are left out, and cells of columns
    that are not of interest are blank.

    Raises:
        WorkbookError: as `sheets`; a sheet of that name is not there; it is too wide or too long.
    """
    chosen = next((one for one in sheets(path) if sheet is None or one.name == sheet), None)
    if chosen is None:
        raise WorkbookError(
            f"{path.name} has no sheet {sheet!r} with rows in it." if sheet else f"{path.name} has no rows.",
            do="Look at the workbook's visible sheets.",
            path=str(path),
        )
    with _opened(path) as archive:
        strings = _SharedStrings(archive, path)
        shell = _Shell(archive, chosen.part, path)
        try:
            parts = archive.infolist()
            share = archive.getinfo(chosen.part).compress_size / max(
                1, sum(part.compress_size for part in parts)
            )
            told = _Told(path.stat().st_size * share, archive.getinfo(chosen.part).file_size, advance)
            for first, chunk in _chunks(archive, chosen.part, path):
                yield from _decoded(shell.around(chunk), first, strings, keep)
                told.add(len(chunk))
        except (zipfile.BadZipFile, EOFError, ValueError, python_calamine.CalamineError) as error:
            raise _damaged(path, f"{chosen.part}: {error}") from error


_MERGED = re.compile(rb'<(?:\w+:)?mergeCell\b[^>]*?\bref="([A-Z]{1,3})(\d{1,7}):([A-Z]{1,3})(\d{1,7})"')


def merged_down(path: Path, sheet: str) -> Iterator[tuple[int, int, int]]:
    """Yield the merged cells of a sheet that reach over several rows: column from 0, first and last row.

    Raises:
        WorkbookError: as `sheets`.
    """
    part = next((one.part for one in sheets(path) if one.name == sheet), None)
    if part is None:
        return
    with _opened(path) as archive, archive.open(part) as stream:
        rest = b""
        while more := stream.read(_READ):
            text = rest + more
            end = 0
            for found in _MERGED.finditer(text):
                end = found.end()
                if found[2] != found[4]:
                    yield _column(found[1]), int(found[2]), int(found[4])
            rest = text[max(end, len(text) - 200) :]


def _column(letters: bytes) -> int:
    """Count a column such as AB from 0."""
    total = 0
    for letter in letters:
        total = total * 26 + letter - 64
    return total - 1


class _Told:
    """Tells progress in bytes of the file, from those of the XML that have been read."""

    def __init__(self, size: float, unpacked: int, advance: Callable[[int], None]) -> None:
        self._factor, self._advance = size / max(1, unpacked), advance

    def add(self, read: int) -> None:
        """Tell of XML that has been read."""
        self._advance(int(read * self._factor))


def _decoded(
    workbook: bytes, first: int, strings: "_SharedStrings", keep: Keep
) -> Iterator[tuple[int, list[str]]]:
    sheet = python_calamine.load_workbook(io.BytesIO(workbook)).get_sheet_by_index(0)
    start = sheet.start
    if start is None:
        return
    left = start[1]
    for offset, cells in enumerate(sheet.to_python(skip_empty_area=True)):
        wanted = keep()
        texts = [""] * (left + len(cells))
        for position in range(len(cells)) if wanted is None else (at - left for at in wanted):
            cell = cells[position] if 0 <= position < len(cells) else ""
            if cell != "":
                texts[left + position] = strings.resolved(cell) if isinstance(cell, str) else _text(cell)
        if any(texts):
            yield first + offset, texts


def _text(cell: Any) -> str:
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, int | float):
        return _number(float(cell))
    if isinstance(cell, datetime):
        return _rounded_second(cell).isoformat(" ")
    return cell.isoformat() if isinstance(cell, date | time) else str(cell)


_SECOND, _OFF = 1_000_000, 1_000


def _rounded_second(moment: datetime) -> datetime:
    """Return a moment to the second: a day's fraction in binary is off by some microseconds."""
    off = moment.microsecond if moment.microsecond < _SECOND // 2 else moment.microsecond - _SECOND
    return moment - timedelta(microseconds=off) if abs(off) <= _OFF else moment


def _number(value: float) -> str:
    text = format(value, f".{_DIGITS_KEPT}g")
    if "e" not in text:
        return text
    mantissa, exponent = text.split("e")
    if int(exponent) >= _DIGITS_KEPT:
        return f"{mantissa}E+{int(exponent)}"
    return format(value, ".20f").rstrip("0").rstrip(".") or "0"


def _chunks(archive: zipfile.ZipFile, part: str, path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield runs of whole rows as XML, each with its first row's number.

    A run ends where row numbers jump, so that no two far rows span an empty million.
    """
    with archive.open(part) as stream:
        prefix, rest = _until_rows(stream, path)
        opening, closing = b"<" + prefix + b"row", b"</" + prefix + b"row>"
        numbered = re.compile(rb"<" + prefix + rb'row\b[^>]*?\br="(\d{1,7})"')
        blank = re.compile(rb"<" + prefix + rb"c\b[^>]*/>")
        last, done = 0, False
        while not done:
            more = stream.read(_READ)
            done = not more
            rest += more
            if len(rest) > 4 * _CHUNK_BYTES and closing not in rest:
                raise ValueError("a row has no end")
            if len(rest) < _CHUNK_BYTES and not done:
                continue
            end = rest.rfind(closing)
            if end < 0:
                continue
            whole, rest = rest[: end + len(closing)], rest[end + len(closing) :]
            for run in _runs(blank.sub(b"", whole), opening, numbered, last):
                last = run[0] + run[1] - 1
                if last > MAX_ROWS:
                    raise _absurd(path, f"row {last:,}")
                yield run[0], run[2]


def _runs(
    text: bytes, opening: bytes, numbered: re.Pattern[bytes], last: int
) -> Iterator[tuple[int, int, bytes]]:
    """Cut rows into runs without gaps: first number, length, XML. A row without a number follows the last."""
    starts = [match.start() for match in re.finditer(re.escape(opening) + rb"\b", text)]
    begin, first, length, previous = 0, last + 1, 0, last
    for start in starts:
        match = numbered.match(text, start)
        number = int(match.group(1)) if match else previous + 1
        if number <= previous:
            raise ValueError("its rows are not in order")
        if length and (number > previous + _CHUNK_GAP or length >= _CHUNK_ROWS):
            yield first, length, text[begin:start]
            begin, length = start, 0
        if not length:
            first = number
        length, previous = number - first + 1, number
    if length:
        yield first, length, text[begin:]


def _until_rows(stream: IO[bytes], path: Path) -> tuple[bytes, bytes]:
    """Read up to the first row; return the namespace prefix that the sheet's tags have, and what follows."""
    text = b""
    while more := stream.read(_READ):
        text += more
        found = re.search(rb"<((?:\w+:)?)sheetData\b", text)
        if found:
            if b"<!DOCTYPE" in text[: found.start()]:
                raise _damaged(path, "a sheet declares a document type")
            return found.group(1), text[found.end() :]
        if len(text) > _CHUNK_BYTES:
            break
    raise _damaged(path, "a sheet has no rows")


def _absurd(path: Path, what: str) -> WorkbookError:
    return WorkbookError(
        f"{path.name} reaches {what}.",
        why=f"A sheet has at most {MAX_ROWS:,} rows, and no table that is read here {MAX_COLUMNS} columns.",
        do="Delete what is beside and below the table, or export the data as CSV.",
        path=str(path),
    )


class _Shell:
    """A workbook like the original, around other rows: its styles and date system, no strings."""

    def __init__(self, archive: zipfile.ZipFile, part: str, path: Path) -> None:
        self._path = path
        root = _xml(archive, "xl/workbook.xml", path)
        properties = next((one for one in root if one.tag.endswith("}workbookPr")), None)
        in_1904 = properties is not None and properties.get("date1904") in {"1", "true"}
        names = archive.namelist()
        self._styles = archive.read("xl/styles.xml") if "xl/styles.xml" in names else None
        self._workbook = _WORKBOOK.format(properties='<workbookPr date1904="1"/>' if in_1904 else "")
        with archive.open(part) as stream:
            start = stream.read(_READ)
        root_tag = re.search(rb"<(?:\w+:)?worksheet\b[^>]*>", start)
        self._root = root_tag.group(0) if root_tag else b"<worksheet " + _NAMESPACE + b">"
        self._prefix = (re.match(rb"<((?:\w+:)?)", self._root) or re.match(rb"()", b"")).group(1)  # type: ignore[union-attr]
        tag = self._prefix
        self._shared = re.compile(rb"(<" + tag + rb'c\b[^>]*?\bt=")s("[^>]*>\s*<' + tag + rb"v>)")
        self._usual = b' t="s"><' + tag + b"v>"
        self._usual_marked = b' t="str"><' + tag + b"v>" + _MARK_XML
        self._wide = re.compile(rb' r="([A-Z]{3,})\d')

    def around(self, chunk: bytes) -> bytes:
        """Return a workbook whose one sheet holds these rows; shared strings are marked numbers."""
        wide = self._wide.search(chunk)
        if wide:
            raise _absurd(self._path, f"column {wide.group(1).decode()}")
        rows_of = chunk.replace(self._usual, self._usual_marked)
        if b't="s"' in rows_of:
            rows_of = self._shared.sub(rb"\1str\2" + _MARK_XML, rows_of)
        tag = self._prefix
        written = io.BytesIO()
        with zipfile.ZipFile(written, "w", zipfile.ZIP_STORED) as archive:
            for name, content in _PARTS.items():
                archive.writestr(name, content)
            archive.writestr("xl/workbook.xml", self._workbook)
            if self._styles is not None:
                archive.writestr("xl/styles.xml", self._styles)
            archive.writestr(
                "xl/worksheets/sheet1.xml",
                self._root
                + b"<"
                + tag
                + b"sheetData>"
                + rows_of
                + b"</"
                + tag
                + b"sheetData></"
                + tag
                + b"worksheet>",
            )
        return written.getvalue()


_NAMESPACE = b'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
_MARK_XML = b"\xee\x80\x82"  # U+E002: a private character, which XML allows and no cell of ours begins with
_MARK = _MARK_XML.decode()
_OPC = "http://schemas.openxmlformats.org/package/2006"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_WORKBOOK = (
    f'<workbook {_NAMESPACE.decode()} xmlns:r="{_OFFICE}">{{properties}}'
    '<sheets><sheet name="s" sheetId="1" r:id="rId1"/></sheets></workbook>'
)
_PARTS = {
    "[Content_Types].xml": f'<Types xmlns="{_OPC}/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
    f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_TYPE}.worksheet+xml"/></Types>',
    "_rels/.rels": f'<Relationships xmlns="{_OPC}/relationships"><Relationship Id="rId1" '
    f'Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_OPC}/relationships">'
    f'<Relationship Id="rId1" Type="{_OFFICE}/worksheet" Target="worksheets/sheet1.xml"/>'
    f'<Relationship Id="rId2" Type="{_OFFICE}/styles" Target="styles.xml"/></Relationships>',
}


class _SharedStrings:
    """The workbook's texts, as one run of bytes with the end of each; phonetic hints are no part of them."""

    def __init__(self, archive: zipfile.ZipFile, path: Path) -> None:
        self._path = path
        self._bytes, self._ends = bytearray(), array("Q", [0])
        self._inside, self._hint = False, False
        self.at = lru_cache(maxsize=1 << 17)(self._at)
        part = next((name for name in archive.namelist() if name.lower() == "xl/sharedstrings.xml"), None)
        if part is None:
            return
        parser = expat.ParserCreate(namespace_separator="}")
        parser.buffer_text = True
        parser.StartElementHandler, parser.EndElementHandler = self._start, self._end
        parser.CharacterDataHandler = self._data
        parser.StartDoctypeDeclHandler = self._doctype
        try:
            with archive.open(part) as stream:
                while content := stream.read(_READ):
                    parser.Parse(content, False)  # noqa: FBT003 - expat takes no keyword
                parser.Parse(b"", True)  # noqa: FBT003 - the same
        except (expat.ExpatError, zipfile.BadZipFile, EOFError, ValueError) as error:
            raise _damaged(path, f"{part}: {error}") from error

    def _start(self, name: str, _: object) -> None:
        tag = name.rpartition("}")[2]
        self._inside = tag == "t" and not self._hint
        self._hint = self._hint or tag == "rPh"

    def _end(self, name: str) -> None:
        tag = name.rpartition("}")[2]
        self._inside = False
        if tag == "rPh":
            self._hint = False
        elif tag == "si":
            self._ends.append(len(self._bytes))

    def _data(self, text: str) -> None:
        if self._inside:
            self._bytes += text.encode()

    def _doctype(self, *_: object) -> None:
        raise ValueError("it declares a document type")

    def _at(self, position: int) -> str:
        return self._bytes[self._ends[position] : self._ends[position + 1]].decode()

    def resolved(self, cell: str) -> str:
        """Return a cell's text; a marked number is one of the shared strings."""
        if not cell.startswith(_MARK):
            return cell
        try:
            return str(self.at(int(cell[1:])))
        except (ValueError, IndexError):
            raise _damaged(self._path, "a cell names a text that is not there") from None
