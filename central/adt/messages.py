"""One HL7 message as it came over the wire: its header, its text, and its acknowledgement."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from renzheng.central.adt.outcomes import Ending, Outcome
from renzheng.central.claims.encoding import Encoding, sign_of
from renzheng.central.claims.hl7_charset import charset_of
from renzheng.central.claims.hl7_files import MOST_SEGMENTS
from renzheng.central.claims.rejects import Reason

_SEPARATORS = 5
_COMPOUND_SURNAMES = (
    "欧阳", "司马", "上官", "诸葛", "东方", "皇甫", "尉迟", "公孙", "慕容", "令狐", "司徒", "夏侯", "端木",
)  # fmt: skip
_LONGEST_SURNAME = 40


@dataclass(frozen=True, slots=True)
class Header:
    """What an acknowledgement needs of a message's MSH segment; empty where it could not be read."""

    separators: str = "|^~\\&"
    application: str = ""
    facility: str = ""
    trigger: str = ""
    message_id: str = ""
    processing: str = "P"
    version: str = "2.4"


@dataclass(frozen=True, slots=True)
class Text:
    """A message's segments, decoded."""

    header: Header
    segments: Sequence[str]


def read_text(payload: bytes) -> Text | tuple[Header, Ending]:
    """Decode a message; when it cannot be, say why, with as much of its header as can be read."""
    header = _header(payload)
    if header is None:
        return Header(), Ending(Outcome.UNREADABLE, "MSH: it does not begin with one")
    lines = payload.replace(b"\r\n", b"\r").replace(b"\n", b"\r").split(b"\r")
    charset = charset_of(lines[0])
    if charset is None:
        return header, Ending(Outcome.UNREADABLE, f"MSH-18: {Reason.UNKNOWN_CHARSET.value}")
    encoding = Encoding(sign_of(payload) or "utf-8")
    segments = []
    for line in lines:
        text = charset.decode(line, encoding)
        if isinstance(text, Reason):
            return header, Ending(Outcome.UNREADABLE, text.value)
        if text.strip():
            segments.append(text)
    if len(segments) > MOST_SEGMENTS:
        return header, Ending(Outcome.UNREADABLE, Reason.TOO_LONG.value)
    return Text(header, segments)


def acknowledge(header: Header, ending: Ending, message_id: str, now: datetime) -> bytes:
    """Write the acknowledgement, in the separators of the message itself; ASCII only.

    Of what was kept it says no more than that: a ward that could read here that a leave came after a draw
    would only have to ask for everybody to learn who was drawn.
    """
    field, inner = header.separators[0], header.separators[1]
    msh = (
        f"MSH{header.separators}",
        "RENZHENG",
        "CENTRAL",
        header.application,
        header.facility,
        f"{now:%Y%m%d%H%M%S}+0000",
        "",
        f"ACK{inner}{header.trigger}" if header.trigger else "ACK",
        message_id,
        header.processing or "P",
        header.version or "2.4",
    )
    code = ending.outcome.code
    said = "" if code == "AA" else f"{ending.outcome.value} {ending.detail}".strip()
    msa = ("MSA", code, header.message_id, _plain(said, header.separators))
    segments = (field.join(msh), field.join(msa).rstrip(field))
    return ("\r".join(segments) + "\r").encode("ascii", "replace")


def surname_of(family: str, given: str) -> str:
    """Give what of a name may be shown at a bedside: the family name.

    Chinese systems often put the whole name into one component; its first character then stands for it.
    """
    plain = "".join(letter for letter in family if letter.isprintable()).strip()
    if not given and plain and not plain.isascii():
        plain = plain[:2] if plain.startswith(_COMPOUND_SURNAMES) else plain[:1]
    elif not given:
        plain = plain.split(" ")[0]
    return plain[:_LONGEST_SURNAME]


def masked(number: str) -> str:
    """Give the end of a person's number, enough to compare with a wristband."""
    return f"…{number[-4:]}"


def _plain(text: str, separators: str) -> str:
    return "".join(" " if letter in separators or not letter.isprintable() else letter for letter in text)


def _header(payload: bytes) -> Header | None:
    """Read the header; None when there is no MSH with five separators that differ."""
    separators = payload[3:8].decode("latin-1")
    different = len(set(separators)) == _SEPARATORS and not any(map(str.isalnum, separators))
    readable = separators.isascii() and separators.isprintable() and " " not in separators
    if not payload.startswith(b"MSH") or not different or not readable:
        return None
    inner = separators[1]
    kind = _field(payload, 8).split(inner)
    return Header(
        separators,
        _field(payload, 2),
        _field(payload, 3),
        kind[1] if len(kind) > 1 else "",
        _field(payload, 9),
        _field(payload, 10),
        _field(payload, 11),
    )


def _field(payload: bytes, index: int) -> str:
    """Take a field of MSH; `index` counts from the segment's name. ASCII, as headers are."""
    line = payload[:4096].split(b"\r", 1)[0].split(b"\n", 1)[0]
    parts = line.split(line[3:4])
    text = parts[index].decode("ascii", "replace") if len(parts) > index else ""
    return "".join(letter for letter in text if letter.isprintable())[:180]
