"""A file of HL7 messages: bare, in MLLP frames, in batches (FHS, BHS, BTS, FTS), with any line ends.

A message's line is that of its MSH segment. Each is decoded by its own MSH-18. A batch that counts its
messages (BTS-1, chapter 2.10.3) and holds another number of them is named: a message was lost on the way.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from renzheng.central.claims.encoding import LINE_LIMIT_BYTES, Encoding
from renzheng.central.claims.hl7_charset import Charset, charset_of
from renzheng.central.claims.rejects import Reason
from renzheng.central.claims.source import Advance, InputFile

MOST_SEGMENTS = 500
_FRAMING = b"\x0b\x1c"
_BATCH = (b"FHS", b"BHS", b"BTS", b"FTS")
_BOM = b"\xef\xbb\xbf"


@dataclass(slots=True)
class _Held:
    """A message that is being gathered."""

    line: int
    charset: Charset
    segments: list[str] = field(default_factory=list)
    problem: Reason | None = None


def read_messages(
    file: InputFile, encoding: Encoding, advance: Advance
) -> Iterator[tuple[int, Sequence[str] | Reason]]:
    """Cut a file into messages: each with its first line, and its segments or why it has none."""
    held: _Held | None = None
    count = 0
    for number, line in _lines(file, advance):
        if line.startswith((b"MSH", *_BATCH)):
            if held:
                yield held.line, held.problem or held.segments
            held = None
            if line.startswith(b"MSH"):
                count += 1
                held = _begin(number, line)
            elif line.startswith((b"FHS", b"BHS")):
                count = 0
            elif line.startswith(b"BTS") and _differs(line, count):
                yield number, Reason.BATCH_COUNT
        elif held is None:
            held = _Held(number, Charset(None), problem=Reason.NOT_PARSABLE)  # a segment of no message
        if held:
            _add(held, line, encoding)
    if held:
        yield held.line, held.problem or held.segments


def _begin(number: int, line: bytes) -> _Held:
    charset = charset_of(line)
    return _Held(number, charset or Charset(None), problem=None if charset else Reason.UNKNOWN_CHARSET)


def _add(held: _Held, line: bytes, encoding: Encoding) -> None:
    if held.problem is not None:
        return
    text = Reason.TOO_LONG if len(held.segments) == MOST_SEGMENTS else held.charset.decode(line, encoding)
    if isinstance(text, Reason):
        held.problem = text
    else:
        held.segments.append(text)


def _differs(trailer: bytes, count: int) -> bool:
    """Whether a batch trailer counts another number of messages than came."""
    told = trailer[4:].split(trailer[3:4] or b"|", 1)[0].strip()
    return told.isdigit() and int(told) != count


def _lines(file: InputFile, advance: Advance) -> Iterator[tuple[int, bytes]]:
    """Yield each line that is not blank, with its number, whatever the line ends are."""
    with file.path.open(
        "r", encoding="latin-1", newline=None
    ) as stream:  # bytes as they are, line ends as one
        number = 0
        while raw := stream.readline(LINE_LIMIT_BYTES):
            number += 1
            advance(len(raw))
            line = raw.encode("latin-1").removeprefix(_BOM if number == 1 else b"").strip(_FRAMING + b" \n")
            if line:
                yield number, line
