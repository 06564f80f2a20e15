"""JSON files to values, one at a time: a value a line, an array of them, or one alone."""

import json
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, TextIO

from renzheng.central.claims.encoding import Encoding, detect_encoding, read_lines
from renzheng.central.claims.rejects import Reason
from renzheng.central.claims.repeated_keys import mark_twice

_CHUNK = 1 << 20
_VALUE_LIMIT = 256 << 20
_START = 4096
_BLANK = re.compile("[\\s\ufeff]*")
_BETWEEN = re.compile("[\\s,]*")
_WRAPPED = re.compile(r'\{\s*"[^"\\]{1,64}"\s*:\s*\[')
_LARGE = 32 << 20


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


_DECODER = json.JSONDecoder(parse_float=Decimal, parse_constant=_refuse, object_pairs_hook=mark_twice)
"""Numbers with a point stay exact; NaN and infinities are refused; a key twice is marked (`RepeatedKeys`)."""


def is_json(path: Path) -> bool:
    """Whether a file's first character is that of a JSON object or array."""
    with path.open("rb") as stream:
        start = stream.read(_START)
    if start[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        start = start[2:].replace(b"\0", b"")
    start = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    return start[:1] in {b"{", b"["}


def read_values(
    path: Path, *, encoding: str | None = None, advance: Callable[[int], None] = lambda _: None
) -> Iterator[tuple[int, Any]]:
    """Yield each value with the line on which it begins; a `Reason` in place of one that cannot be read.

    Numbers with a point come as `Decimal`. In a file with a value a line, a bad line costs only itself;
    otherwise what follows a bad value cannot be read.

    Args:
        path: the file.
        encoding: its encoding where the user knows it.
        advance: told of the bytes read, now and then.
    """
    found = detect_encoding(path, encoding)
    reader = _by_lines if _is_by_lines(path, found) else _by_values
    yield from reader(path, found, advance)


def _is_by_lines(path: Path, encoding: Encoding) -> bool:
    with path.open("rb") as stream:
        for _, text in read_lines(stream, encoding):
            if not isinstance(text, Reason) and text.strip():
                return isinstance(_parsed(text), dict)
    return False


def _parsed(text: str) -> Any:
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError):
        return Reason.NOT_PARSABLE


def _by_lines(path: Path, encoding: Encoding, advance: Callable[[int], None]) -> Iterator[tuple[int, Any]]:
    with path.open("rb") as stream:
        told = 0
        for number, text in read_lines(stream, encoding):
            if isinstance(text, Reason):
                yield number, text
            elif text.strip():
                yield number, _parsed(text)
            advance(stream.tell() - told)
            told = stream.tell()


def _by_values(path: Path, encoding: Encoding, advance: Callable[[int], None]) -> Iterator[tuple[int, Any]]:
    """Read one value, or the elements of one array, growing a window until a value is whole."""
    with path.open("r", encoding=encoding.codec, newline="") as stream:
        window = _Window(stream, encoding, advance)
        try:
            inside = window.enter_array(wrapped=path.stat().st_size > _LARGE)
            while window.skip(inside=inside):
                line = window.line
                value = window.take(inside=inside)
                yield line, value
                if isinstance(value, Reason):
                    return
        except UnicodeDecodeError:
            yield window.line, Reason.UNDECODABLE


class _Window:
    """The part of a text in memory, and how far into it the reading is."""

    def __init__(self, stream: TextIO, encoding: Encoding, advance: Callable[[int], None]) -> None:
        self._stream, self._encoding, self._advance = stream, encoding, advance
        self._text, self._at, self._size, self._whole = "", 0, _CHUNK, False
        self.line = 1

    def _more(self) -> None:
        """Read on, twice as much each time, so that a long value is tried a few times only."""
        read = self._stream.read(self._size)
        self._advance(len(read.encode(self._encoding.codec)))
        self._text, self._at, self._whole = self._text[self._at :] + read, 0, not read
        self._size *= 2

    def _move(self, to: int) -> None:
        self.line += self._text.count("\n", self._at, to)
        self._at = to

    def skip(self, *, inside: bool) -> bool:
        """Go to the next value; False at the end."""
        while True:
            blank = (_BETWEEN if inside else _BLANK).match(self._text, self._at)
            assert blank is not None
            self._move(blank.end())
            if self._at < len(self._text):
                return not (inside and self._text[self._at] == "]")
            if self._whole:
                return False
            self._more()

    def enter_array(self, *, wrapped: bool) -> bool:
        """Step into an array that the text begins with.

        Args:
            wrapped: also into one that is the first thing in an object, as table exports have it
                (``{"RECORDS": [``). What follows the array is then not read.
        """
        if not self.skip(inside=False):
            return False
        begin = _WRAPPED.match(self._text, self._at) if wrapped else None
        if begin is None and self._text[self._at] != "[":
            return False
        self._move(self._at + 1 if begin is None else begin.end())
        return True

    def take(self, *, inside: bool) -> Any:
        """Read the value here; a `Reason` when it is broken or too long."""
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except (ValueError, RecursionError):
                if self._whole:
                    return Reason.NOT_PARSABLE
                if len(self._text) - self._at > _VALUE_LIMIT:
                    return Reason.TOO_LONG
            else:
                if self._whole or end < len(self._text) or not inside:
                    self._move(end)
                    self._size = _CHUNK
                    return value
            self._more()
