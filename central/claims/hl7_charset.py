"""Which characters a message is in: what its own MSH-18 says (table 0211), else what its file or bytes show.

Only sets whose bytes leave line ends alone are read; a message that names another (UTF-16, UTF-32) is refused
with its number rather than guessed at.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from renzheng.central.claims.encoding import Encoding
from renzheng.central.claims.rejects import Reason

_UNDECLARED = frozenset({"", "ASCII", "ISOIR6"})
"""MSH-18 that promises no more than ASCII; what else comes is found as in a file without any."""
_CODECS: Mapping[str, str] = {
    **dict.fromkeys(("UNICODEUTF8", "UTF8", "UNICODE", "ISO10646"), "utf-8"),
    **dict.fromkeys(("GB180302000", "GB18030", "GBK", "GB2312", "CP936"), "gb18030"),
    **dict.fromkeys(("BIG5", "CP950"), "big5"),
    **dict.fromkeys(("ISOIR14", "ISOIR87", "ISOIR159", "JAS2020", "JISX0202"), "iso2022_jp_ext"),
    "KSX1001": "euc_kr",
    **{f"8859{part}": f"iso8859_{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 15)},
}
"""Table 0211 in capitals without blanks and marks; and names that systems send instead."""


@dataclass(frozen=True, slots=True)
class Charset:
    """How a message's bytes become text; None: as nothing was declared."""

    codec: str | None

    def decode(self, line: bytes, usual: Encoding) -> str | Reason:
        """Decode one segment, strictly."""
        if self.codec is None:
            return usual.decode(line)
        if self.codec in {"utf-8", "gb18030"}:
            return Encoding(self.codec).decode(line)  # type: ignore[arg-type]  # one of its two
        if b"\0" in line:
            return Reason.NUL_BYTE
        try:
            return line.decode(self.codec)
        except UnicodeDecodeError:
            return Reason.UNDECODABLE


def charset_of(header: bytes) -> Charset | None:
    """Return the character set that an MSH segment declares; None for one that is not read."""
    for name in _declared(header):
        plain = "".join(letter for letter in name.upper() if letter.isalnum())
        if plain in _UNDECLARED:
            continue
        codec = _CODECS.get(plain)
        return Charset(codec) if codec else None
    return Charset(None)


def _declared(header: bytes) -> list[str]:
    """Return the repetitions of MSH-18, of a header in whichever of the two usual encodings it is valid."""
    for codec in ("utf-8", "gb18030", "latin-1"):
        try:
            text = header.decode(codec)
        except UnicodeDecodeError:
            continue
        fields = text.split(text[3:4] or "|")
        repetition = text[5:6]
        declared = fields[17].strip() if len(fields) > 17 else ""  # noqa: PLR2004 - MSH-18
        return declared.split(repetition) if repetition else [declared]
    return []
