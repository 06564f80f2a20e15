"""Which encoding a text file is in: UTF-8 or GB18030, decided over its lines and then held to strictly.

A line that does not decode is a reject with its number. Nothing is replaced, and no line is read in another
encoding than its file's: that is how mojibake gets into a register of patients.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from renzheng.central.claims.rejects import Reason
from renzheng.contracts.errors import InputError

Codec = Literal["utf-8", "gb18030"]

UTF8_BOM = b"\xef\xbb\xbf"
_OTHER_BOMS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
_ENOUGH = 20_000  # lines that are not ASCII; by then the vote is clear
LINE_LIMIT_BYTES = 1 << 20
_CHINESE = re.compile("[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]")
_LATIN_AND_GREEK_END = "\u0400"


class EncodingError(InputError):
    """A file is in an encoding that is not taken."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a file's bytes become text; `bom` is the number of bytes to skip at its start."""

    codec: Codec
    bom: int = 0

    def decode(self, line: bytes) -> str | Reason:
        """Decode one line, or say why not."""
        if b"\0" in line:
            return Reason.NUL_BYTE
        try:
            text = line.decode(self.codec)
        except UnicodeDecodeError:
            return Reason.UNDECODABLE
        if line.isascii() or (self.codec == "utf-8" and _CHINESE.search(text)):
            return text
        return Reason.MIXED_ENCODING if sign_of(line) not in {None, self.codec} else text


def detect_encoding(path: Path, given: str | None = None) -> Encoding:
    """Find a file's encoding, or take the one `given` by its user.

    Raises:
        EncodingError: UTF-16, or a name other than utf-8 and gb18030 (gbk and gb2312 are parts of it).
    """
    with path.open("rb") as stream:
        start = stream.read(4)
        bom = len(UTF8_BOM) if start.startswith(UTF8_BOM) else 0
        other = _OTHER_BOMS.get(start[:2])
        if other:
            raise EncodingError(
                f"{path.name} is in {other}.",
                why="Only UTF-8 and GB18030 are read.",
                do="Save it as 'CSV UTF-8' and import it again.",
                path=str(path),
            )
        if given:
            return Encoding(_named(given), bom)
        if bom:
            return Encoding("utf-8", bom)
        stream.seek(0)
        return Encoding(_vote(stream))


def _named(name: str) -> Codec:
    plain = name.lower().replace("_", "-")
    if plain in {"utf-8", "utf8", "utf-8-sig"}:
        return "utf-8"
    if plain in {"gb18030", "gbk", "gb2312", "cp936"}:
        return "gb18030"
    raise EncodingError(f"{name!r} is not an encoding that is read.", do="Use utf-8 or gb18030.")


def _vote(stream: BinaryIO) -> Codec:
    votes: Counter[Codec | None] = Counter()
    while votes.total() < _ENOUGH and (line := stream.readline(LINE_LIMIT_BYTES)):
        if not line.isascii():
            votes[sign_of(line)] += 1
    return "gb18030" if votes["gb18030"] > votes["utf-8"] else "utf-8"


def sign_of(line: bytes) -> Codec | None:
    """Say which encoding a line that is not ASCII must be in; None when it could be either, or neither.

    Bytes that both encodings take are common: 血液 in GB18030 is ѪҺ in UTF-8. Such a line is UTF-8 when that
    makes it mostly Chinese, open when it makes it Latin or Greek (café, β2), and GB18030 otherwise.
    """
    utf8, gb18030 = _decoded(line, "utf-8"), _decoded(line, "gb18030")
    if utf8 is None:
        return None if gb18030 is None else "gb18030"
    foreign = [character for character in utf8 if not character.isascii()]
    if gb18030 is None or 2 * len(_CHINESE.findall(utf8)) >= len(foreign):
        return "utf-8"
    return None if all(character < _LATIN_AND_GREEK_END for character in foreign) else "gb18030"


def _decoded(line: bytes, codec: Codec) -> str | None:
    try:
        return line.decode(codec)
    except UnicodeDecodeError:
        return None


def read_lines(stream: BinaryIO, encoding: Encoding) -> Iterable[tuple[int, str | Reason]]:
    """Yield each line's number and text, or why it has none; an over-long line is skipped to its end."""
    stream.seek(encoding.bom)
    number = 0
    while line := stream.readline(LINE_LIMIT_BYTES):
        number += 1
        if len(line) == LINE_LIMIT_BYTES and not line.endswith(b"\n"):
            while line and not line.endswith(b"\n"):
                line = stream.readline(LINE_LIMIT_BYTES)
            yield number, Reason.TOO_LONG
        else:
            yield number, encoding.decode(line.rstrip(b"\r\n"))
