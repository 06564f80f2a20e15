"""A picture's width and height from its header, before anything of it is decoded.

A few hundred bytes can claim any number of pixels, and a decoder believes them: it allocates first. So
nothing is decoded in this house whose sides were not admitted here (`renzheng.models.images` does both).

Sources: ITU-T T.81 (JPEG markers), RFC 2083 (PNG), RFC 9649 (WebP), the BITMAPINFOHEADER of Windows,
ISO/IEC 14496-12 (boxes) and 23008-12 (`ispe`; HEIC and, after it, AVIF).
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from renzheng.models.errors import (
    EmptyImageError,
    ImageTooLargeError,
    NotAnImageError,
    TruncatedImageError,
)

Format = Literal["JPEG", "PNG", "WEBP", "BMP", "HEIF", "AVIF"]
FORMATS: tuple[Format, ...] = ("JPEG", "PNG", "WEBP", "BMP", "HEIF", "AVIF")
FORMATS_OF_PHONES: tuple[Format, ...] = ("HEIF", "AVIF")
"""Decoded apart, see `renzheng.models.phone_photographs`."""

LARGEST_SIDE_PX = 4096
LARGEST_PIXELS = 4096 * 3072
"""Twelve megapixels as cameras count them: 4032 x 3024 is what a telephone of that name gives."""

LARGEST_BYTES = 16 * 1024 * 1024
MOST_SCANS = 64
"""Passes over a progressive JPEG; encoders make about ten. Each, however short, is a walk over all pixels."""


@dataclass(frozen=True, slots=True)
class Sides:
    """What a picture's header says of it: its format, and columns and rows as stored, in pixels."""

    form: Format
    columns: int
    rows: int


def admit(data: bytes, *, largest_bytes: int = LARGEST_BYTES) -> Sides:
    """Read a picture's sides, and refuse what must not be decoded.

    Raises:
        EmptyImageError: no bytes.
        NotAnImageError: in no format that is read here.
        TruncatedImageError: the header is damaged, or says two things.
        ImageTooLargeError: more bytes, pixels or passes than an honest camera sends.
    """
    if not data:
        raise EmptyImageError("The image is empty (0 bytes).", do="Take the picture again.")
    if len(data) > largest_bytes:
        raise ImageTooLargeError(
            f"The image has {len(data)} bytes.", do=f"Send at most {largest_bytes} bytes."
        )
    said = _read(data)
    if said.columns < 1 or said.rows < 1:
        raise damaged("it has no pixels")
    if max(said.columns, said.rows) > LARGEST_SIDE_PX or said.columns * said.rows > LARGEST_PIXELS:
        raise ImageTooLargeError(
            f"The image has {said.columns} x {said.rows} pixels.",
            why="A picture of that size takes more memory than this machine has for one.",
            do=f"Send at most {LARGEST_SIDE_PX} pixels a side and {LARGEST_PIXELS // 1_000_000} megapixels.",
        )
    return said


def damaged(how: str) -> TruncatedImageError:
    """Make the error of a picture that cannot be read to its end."""
    return TruncatedImageError(
        "The image ends too early or its data are damaged.", why=how[:120], do="Send the file again."
    )


def _read(data: bytes) -> Sides:
    for form, sign, read in _READERS:
        if sign.match(data):
            try:
                columns, rows = read(data)
            except IndexError:
                raise damaged("it ends within its header") from None
            return Sides(form, columns, rows)
    raise NotAnImageError(
        "The data are in no image format that is read here.", do=f"Send one of: {', '.join(FORMATS)}."
    )


def _number(data: bytes, at: int, width: int, *, little: bool = False) -> int:
    part = data[at : at + width]
    if len(part) < width:
        raise IndexError
    return int.from_bytes(part, "little" if little else "big")


_SCAN, _END, _ESCAPED = 0xDA, 0xD9, 0x00
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # tables and extensions share the range
_ALONE = frozenset(range(0xD0, 0xD9)) | {0x01}  # markers without a length


def _jpeg(data: bytes) -> tuple[int, int]:
    """Walk the markers up to the first scan; as decoders do, skip what stands between two of them."""
    at, found = 2, list[tuple[int, int]]()
    while True:
        marker, at = _next_marker(data, at)
        if marker == _SCAN:
            break
        if marker in _FRAMES:
            found.append((_number(data, at + 5, 2), _number(data, at + 3, 2)))
        length = _number(data, at, 2)
        if length < 2:  # noqa: PLR2004 - it counts itself
            raise damaged("a segment has no length")
        at += length
    if len(found) != 1:
        raise damaged(f"its header gives {len(found)} sizes")
    if data.count(b"\xff\xda", at) >= MOST_SCANS:
        raise ImageTooLargeError(
            "The JPEG has far too many passes.",
            why="Each is a walk over every pixel.",
            do="Save it without progressive display.",
        )
    return found[0]


def _next_marker(data: bytes, at: int) -> tuple[int, int]:
    """The next marker that has a length, and where that stands."""
    while True:
        at = data.find(b"\xff", at)
        if at < 0:
            raise IndexError
        while data[at] == 0xFF:  # noqa: PLR2004 - fill bytes before a marker
            at += 1
        marker = data[at]
        at += 1
        if marker == _END:
            raise IndexError
        if marker != _ESCAPED and marker not in _ALONE:
            return marker, at


def _png(data: bytes) -> tuple[int, int]:
    if data[12:16] != b"IHDR":
        raise damaged("its first chunk is not its header")
    return _number(data, 16, 4), _number(data, 20, 4)


_LOSSY, _LOSSLESS, _EXTENDED = b"VP8 ", b"VP8L", b"VP8X"


def _webp(data: bytes) -> tuple[int, int]:
    kind = data[12:16]
    if kind == _EXTENDED:
        return 1 + _number(data, 24, 3, little=True), 1 + _number(data, 27, 3, little=True)
    if kind == _LOSSLESS:
        bits = _number(data, 21, 4, little=True)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == _LOSSY:
        return _number(data, 26, 2, little=True) & 0x3FFF, _number(data, 28, 2, little=True) & 0x3FFF
    raise damaged("its first part is no picture")


_OLD_HEADER_BYTES = 12


def _bmp(data: bytes) -> tuple[int, int]:
    if _number(data, 14, 4, little=True) == _OLD_HEADER_BYTES:
        return _number(data, 18, 2, little=True), _number(data, 20, 2, little=True)
    columns, rows = (_number(data, at, 4, little=True) for at in (18, 22))
    return columns, rows if rows < 1 << 31 else (1 << 32) - rows  # negative: from the top downwards


_PROPERTIES = ((b"meta", 4), (b"iprp", 0), (b"ipco", 0))
"""The boxes around an image's properties, and how many bytes each begins with before those in it."""


def _boxes(data: bytes, kind: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Where the content of each box of a kind begins and ends, among those that lie between two places."""
    at = start
    while at < end:
        length, head = _number(data, at, 4), 8
        if length == 1:  # a long box says its length behind its kind
            length, head = _number(data, at + 8, 8), 16
        elif length == 0:  # the last box goes on to the end
            length = end - at
        if length < head or at + length > end:
            raise damaged("a box is longer than what it is in")
        if data[at + 4 : at + 8] == kind:
            yield at + head, at + length
        at += length


def _iso(data: bytes) -> tuple[int, int]:
    """The largest size that a HEIC or AVIF file gives: it has its picture's, its tiles', its thumbnail's."""
    spans = [(0, len(data))]
    for kind, head in _PROPERTIES:
        spans = [(a + head, b) for start, end in spans for a, b in _boxes(data, kind, start, end)]
    sizes = [
        (_number(data, at + 4, 4), _number(data, at + 8, 4))
        for start, end in spans
        for at, _ in _boxes(data, b"ispe", start, end)
    ]
    if not sizes:
        raise damaged("its header gives no size")
    return max(sizes, key=lambda size: size[0] * size[1])


_READERS: tuple[tuple[Format, re.Pattern[bytes], Callable[[bytes], tuple[int, int]]], ...] = (
    ("JPEG", re.compile(rb"\xff\xd8\xff"), _jpeg),
    ("PNG", re.compile(rb"\x89PNG\r\n\x1a\n"), _png),
    ("WEBP", re.compile(rb"RIFF.{4}WEBP", re.DOTALL), _webp),
    ("BMP", re.compile(rb"BM"), _bmp),
    ("AVIF", re.compile(rb".{4}ftyp(?:m[is]f1.{4}(?:.{4}){0,16}?)?avi[fs]", re.DOTALL), _iso),
    ("HEIF", re.compile(rb".{4}ftyp(?:hei[cxms]|hev[cx]|mif1|msf1)", re.DOTALL), _iso),
)
