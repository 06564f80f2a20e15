"""Which encoding a text file is in: UTF-8, UTF-16 or GB18030, decided over its lines and then held to.

UTF-16 is known by the mark at its start, else by its zero bytes: without a mark it is taken only where all of
the file's start reads as text with lines in one of the two orders of bytes. Big5 is refused: its bytes are
valid GB18030 too, and would be read as other characters.

No line is read in another encoding than its file's: that is how mojibake gets into a register of patients.
A line that does not decode is a reject with its number, or (`Damaged`) has U+FFFD wherever it does not, so
that a name that was cut within a character costs no more than the name.
"""

import codecs
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from renzheng.central.claims.rejects import Reason
from renzheng.contracts.errors import InputError

Codec = Literal["utf-8", "gb18030", "utf-16-le", "utf-16-be"]

UTF8_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS: Mapping[bytes, Codec] = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
_UTF32_BOMS = (b"\xff\xfe\0\0", b"\0\0\xfe\xff")
_START = 1 << 20
_ENOUGH = 20_000  # lines that are not ASCII; by then the vote is clear
LINE_LIMIT_BYTES = 1 << 20
_CHINESE = re.compile("[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]")
_FOREIGN = re.compile("[^\x00-\x7f]")
_LATIN_AND_GREEK_END = "\u0400"


class EncodingError(InputError):
    """A file is in an encoding that is not taken."""


class Damaged(str):
    """A line's text with U+FFFD for what does not decode; `reason` says what is wrong with it."""

    __slots__ = ("reason",)
    reason: Reason

    @classmethod
    def of(cls, text: str, reason: Reason) -> "Damaged":
        """Return a text as a damaged one."""
        damaged = cls(_UNREADABLE.sub(REPLACEMENT, text))
        damaged.reason = reason
        return damaged


REPLACEMENT = "\ufffd"
_UNREADABLE = re.compile("[\0\ud800-\udfff]")
_BEYOND_ASCII = re.compile(rb"[\x80-\xff]+")


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a file's bytes become text.

    Args:
        codec: the encoding.
        bom: number of bytes to skip at the start.
        newline: what ends a line: a line feed, or a carriage return alone.
    """

    codec: Codec
    bom: int = 0
    newline: bytes = b"\n"

    def decode(self, line: bytes) -> str | Reason:
        """Return one line's text, or why it has none."""
        if b"\0" in line:
            return Reason.NUL_BYTE
        try:
            text = line.decode(self.codec)
        except UnicodeDecodeError:
            return Reason.UNDECODABLE
        if line.isascii() or (self.codec == "utf-8" and _CHINESE.search(text)):
            return text
        return Reason.MIXED_ENCODING if sign_of(line) not in {None, self.codec} else text

    def salvage(self, line: bytes) -> str | Damaged:
        """Return one line's text, damaged where it does not decode; of another encoding only its ASCII."""
        text = self.decode(line)
        if not isinstance(text, Reason):
            return text
        if sign_of(line) not in {None, self.codec}:  # no part of it as mojibake
            return Damaged.of(_BEYOND_ASCII.sub(b"\0", line).decode("ascii"), text)
        return Damaged.of(line.decode(self.codec, "replace"), text)


def detect_encoding(path: Path, given: str | None = None) -> Encoding:
    """Find a file's encoding, or take the one `given` by its user.

    Raises:
        EncodingError: UTF-32, Big5, or a name other than utf-8, utf-16 and gb18030 (gbk and gb2312 are parts
            of it).
    """
    with path.open("rb") as stream:
        start = stream.read(_START)
        if start.startswith(_UTF32_BOMS):
            raise _not_read(path, "UTF-32")
        bom16 = start[:2] in _UTF16_BOMS
        utf16 = _UTF16_BOMS.get(start[:2]) or _unmarked_utf16(start, given)
        text = start.decode(utf16, "ignore").encode("utf-8", "ignore") if utf16 else start
        alone = text.count(b"\r") - text.count(b"\r\n")
        newline = b"\r" if alone > text.count(b"\n") else b"\n"
        if utf16:
            return Encoding(utf16, 2 if bom16 else 0, newline)
        bom = len(UTF8_BOM) if start.startswith(UTF8_BOM) else 0
        if given:
            return Encoding(_named(given), bom, newline)
        if bom:
            return Encoding("utf-8", bom, newline)
        stream.seek(0)
        return Encoding(_vote(stream, path), 0, newline)


_UTF16: tuple[Codec, ...] = ("utf-16-le", "utf-16-be")
_TEXT_OF_TABLES = re.compile(
    "[\\t\\n\\r -~\u00a0-\u00ff\u2010-\u203f\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]"
)
_ASCII_OF_TABLES = re.compile("[\\t -~]")
_PLAIN_SHARE = 0.98


def _unmarked_utf16(start: bytes, given: str | None) -> Codec | None:
    """Return in which order of bytes text without a mark is UTF-16; None where it is not, or cannot be told.

    Every line end, separator and digit has a zero byte, which no text in another encoding has. In the wrong
    order a line end is U+0A00 and a digit a Chinese character or punctuation, so text without line ends, with
    fewer ASCII characters than lines, or with other characters than tables have, is not taken for it.
    """
    if b"\0" not in start or (given and "16" not in given):
        return None
    if given and (named := _named(given)) and given.lower().endswith(("le", "be")):
        return named
    shares = {}
    for codec in _UTF16:
        text = start[: len(start) // 2 * 2].decode(codec, "replace")
        ends = text.count("\n") or text.count("\r")
        if "\0" not in text and 0 < ends <= len(_ASCII_OF_TABLES.findall(text)):
            shares[codec] = len(_TEXT_OF_TABLES.findall(text)) / len(text)
    best = max(shares, key=lambda codec: shares[codec], default=None)
    return best if best and shares[best] >= _PLAIN_SHARE else None


def _not_read(path: Path, name: str) -> EncodingError:
    return EncodingError(
        f"{path.name} is in {name}.",
        why="Only UTF-8, UTF-16 and GB18030 are read; as one of these, its text would be other characters.",
        do="Save it as 'CSV UTF-8' and import it again; if that is not so, name its encoding (--encoding).",
        path=str(path),
    )


def _named(name: str) -> Codec:
    plain = name.lower().replace("_", "-")
    if plain in {"utf-8", "utf8", "utf-8-sig"}:
        return "utf-8"
    if plain in {"gb18030", "gbk", "gb2312", "cp936"}:
        return "gb18030"
    if plain in {"utf-16", "utf-16-le", "utf16", "utf16le", "utf-16le"}:
        return "utf-16-le"
    if plain in {"utf-16-be", "utf16be", "utf-16be"}:
        return "utf-16-be"
    raise EncodingError(f"{name!r} is not an encoding that is read.", do="Use utf-8, utf-16 or gb18030.")


def _vote(stream: BinaryIO, path: Path) -> Codec:
    votes: Counter[Codec | None] = Counter()
    units = _Units()
    while votes.total() < _ENOUGH and (line := stream.readline(LINE_LIMIT_BYTES)):
        if not line.isascii():
            sign = sign_of(line)
            votes[sign] += 1
            if sign == "gb18030":
                units.add(line)
    if votes["gb18030"] <= votes["utf-8"]:
        return "utf-8"
    if units.are_big5:
        raise _not_read(path, "Big5")
    return "gb18030"


_DOUBLE = re.compile(rb"[\x81-\xfe][\x30-\x39][\x81-\xfe][\x30-\x39]|([\x81-\xfe][\x40-\x7e\x80-\xfe])")
_ENOUGH_UNITS = 20_000
_FEW_STRANGE, _BIG5_SHARE, _GB_SHARE, _COMMON_SHARE = 2, 0.9, 0.6, 0.2
_COMMON = frozenset(
    character.encode("big5")
    for character in (
        "的一是不了人在有我他這為之大來以個中上們到說國和地也子時道出而要於就下得可你年生自會那後能對著事其裡所去行過家"
        "十用發天如然作方成者多日都三小二無同經法當起與好看學進種將還分此心前面又定見只主沒公從性月型次級"
        "血液透析濾過灌流治療費醫院床位藥品檢查驗護理注射輸材料住門診斷手術腎臟內外科號單價額項目名稱編碼數量醫師保險健康民市縣"
        "立聯合張李王陳林黃吳劉蔡楊許鄭謝洪郭邱曾廖賴徐周葉蘇莊呂明淑美雅志建文華英秀玉麗惠慧君芳婷宏偉"
    )
)
"""Characters that ordinary text in Big5 has many of; rare ones of GB18030 hardly ever read as these."""


class _Units:
    """Characters of two bytes, counted by where they lie in GB18030 and in Big5.

    Ordinary Chinese in GB18030 is nearly all of GB 2312's first level (0xB0A1 to 0xD7F9, 3,755 characters)
    with its punctuation; ordinary Chinese in Big5 is nearly all of Big5's first level (0xA440 to 0xC67E,
    5,401 characters) with its own. Half of Big5's second bytes are below 0xA1, where GB18030 has rare
    characters only. Rare characters of names are such, too, but they do not read as common ones of Big5.
    """

    def __init__(self) -> None:
        self._total, self._gb, self._big5, self._common = 0, 0, 0, 0
        self._strange: set[bytes] = set()

    def add(self, line: bytes) -> None:
        """Count the characters of one line."""
        if self._total >= _ENOUGH_UNITS:
            return
        for match in _DOUBLE.finditer(line):
            unit = match.group(1) or b"\x81\x30"
            lead, trail = unit[0], unit[1]
            in_gb = trail >= 0xA1 and (0xB0 <= lead <= 0xD7 or 0xA1 <= lead <= 0xA3)  # noqa: PLR2004
            in_big5 = (trail <= 0x7E or trail >= 0xA1) and 0xA1 <= lead <= 0xC6  # noqa: PLR2004
            self._total += 1
            self._gb += in_gb
            self._big5 += in_big5
            self._common += unit in _COMMON
            if in_big5 and not in_gb:
                self._strange.add(unit)

    @property
    def are_big5(self) -> bool:
        """Whether they read as Big5 and not as GB18030."""
        return (
            len(self._strange) >= _FEW_STRANGE
            and self._big5 >= _BIG5_SHARE * self._total
            and self._gb <= _GB_SHARE * self._total
            and self._common >= _COMMON_SHARE * self._total
        )


def sign_of(line: bytes) -> Codec | None:
    """Return which encoding a line that is not ASCII must be in; None when it could be either, or neither.

    Bytes that both encodings take are common: 血液 in GB18030 is ѪҺ in UTF-8. Such a line is UTF-8 when that
    makes it mostly Chinese, open when it makes it Latin or Greek (café, β2), and GB18030 otherwise.
    """
    utf8, gb18030 = _decoded(line, "utf-8"), _decoded(line, "gb18030")
    if utf8 is None:
        return None if gb18030 is None else "gb18030"
    foreign = _FOREIGN.findall(utf8)
    if gb18030 is None or 2 * len(_CHINESE.findall(utf8)) >= len(foreign):
        return "utf-8"
    return None if all(character < _LATIN_AND_GREEK_END for character in foreign) else "gb18030"


def _decoded(line: bytes, codec: Codec) -> str | None:
    try:
        return line.decode(codec)
    except UnicodeDecodeError:
        return None


def read_lines(
    stream: BinaryIO, encoding: Encoding, *, salvage: bool = False
) -> Iterator[tuple[int, str | Reason]]:
    """Yield each line's number and text, or why it has none; an over-long line is skipped to its end.

    Args:
        stream: the file.
        encoding: its encoding.
        salvage: give a line that does not decode as `Damaged`.
    """
    stream.seek(encoding.bom)
    if encoding.codec.startswith("utf-16"):
        yield from _read_utf16(stream, encoding, salvage=salvage)
        return
    decode = encoding.salvage if salvage else encoding.decode
    for number, line in enumerate(stream_lines(stream, encoding.newline), start=1):
        yield number, Reason.TOO_LONG if line is None else decode(line)


def stream_lines(stream: BinaryIO, newline: bytes) -> Iterator[bytes | None]:
    """Yield each line without its end; None for one that is longer than a line may be."""
    if newline == b"\n":
        while line := stream.readline(LINE_LIMIT_BYTES):
            if len(line) == LINE_LIMIT_BYTES and not line.endswith(b"\n"):
                while line and not line.endswith(b"\n"):
                    line = stream.readline(LINE_LIMIT_BYTES)
                yield None
            else:
                yield line.rstrip(b"\r\n")
        return
    rest, too_long = b"", False
    while more := stream.read(_START):
        *lines, rest = (rest + more).split(newline)
        for line in lines:
            yield None if too_long or len(line) >= LINE_LIMIT_BYTES else line
            too_long = False
        if len(rest) >= LINE_LIMIT_BYTES:
            rest, too_long = b"", True
    if rest or too_long:
        yield None if too_long else rest


def _read_utf16(stream: BinaryIO, encoding: Encoding, *, salvage: bool) -> Iterator[tuple[int, str | Reason]]:
    decoder = codecs.getincrementaldecoder(encoding.codec)("surrogatepass")
    number, rest, too_long = 0, "", False
    ends = re.compile("\r" if encoding.newline == b"\r" else "\n")
    while True:
        more = stream.read(_START)
        try:
            rest += decoder.decode(more, final=not more)
        except UnicodeDecodeError:  # half a character at the end of the file
            rest += "\ud800"
        *lines, rest = ends.split(rest) if more else [*ends.split(rest), ""]
        if not more and lines and not lines[-1]:
            lines.pop()
        for line in lines:
            number += 1
            text = line.rstrip("\r\n")
            found = Reason.TOO_LONG if too_long else _sound(text)
            is_damaged = salvage and isinstance(found, Reason) and found is not Reason.TOO_LONG
            yield number, Damaged.of(text, found) if is_damaged and isinstance(found, Reason) else found
            too_long = False
        if len(rest) > LINE_LIMIT_BYTES:
            rest, too_long = "", True
        if not more:
            return


def _sound(text: str) -> str | Reason:
    """Return a line of UTF-16 that has no halves of characters and no NUL, or why it has."""
    if len(text) > LINE_LIMIT_BYTES:
        return Reason.TOO_LONG
    if "\0" in text:
        return Reason.NUL_BYTE
    return Reason.UNDECODABLE if any("\ud800" <= character <= "\udfff" for character in text) else text
