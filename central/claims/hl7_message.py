"""One HL7 v2 message as segments and fields, in whatever delimiters it names itself (chapter 2.5, 2.7).

A field is asked for as ``PID-3``, a component as ``PID-3.4``, a subcomponent as ``PID-3.4.2``; what is not
there is empty, and so is ``""``, which deletes a value. Escapes are undone last, so that an escaped delimiter
separates nothing.
"""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

DELETED = '""'
_SEPARATORS = 5  # the fewest characters of MSH that name delimiters: one field separator, and MSH-2
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+")
_LAYOUT = {"H": "", "N": "", ".br": "\n", ".sp": "\n", ".ce": "\n"}


class MessageError(ValueError):
    """A text is no HL7 message."""


class Path(NamedTuple):
    """Where a value stands: segment, field, component and subcomponent, each counted from 1."""

    segment: str
    number: int
    component: int
    subcomponent: int


@cache
def read_path(path: str) -> Path:
    """Read ``SEG-FIELD[.COMPONENT[.SUBCOMPONENT]]``; what is left out is the first."""
    segment, _, rest = path.partition("-")
    number, component, subcomponent, *_ = [*(int(part) for part in rest.split(".")), 1, 1]
    return Path(segment, number, component, subcomponent)


@dataclass(frozen=True, slots=True)
class Delimiters:
    """The delimiters of MSH-1 and MSH-2; those that MSH-2 leaves out are the usual ones."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"
    truncation: str = ""

    def unescape(self, text: str) -> str:
        """Undo the escapes of a value; an unknown one stays as it is."""
        if not self.escape or self.escape not in text:
            return text
        mark = re.escape(self.escape)
        escaped = f"{mark}([^{mark}]*){mark}"
        return re.sub(escaped, lambda found: self._meant(found.group(1), found.group()), text)

    def _meant(self, code: str, whole: str) -> str:
        named = {
            "F": self.field,
            "S": self.component,
            "R": self.repetition,
            "E": self.escape,
            "T": self.subcomponent,
            "P": self.truncation,
        }
        if code in named:
            return named[code]
        if code[:1] == "X" and _HEX.fullmatch(code[1:]):
            return _decoded(bytes.fromhex(code[1:]), whole)
        return next((text for start, text in _LAYOUT.items() if code.startswith(start)), whole)


def _decoded(content: bytes, whole: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return whole


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment: its name, and its fields as they stand."""

    delimiters: Delimiters
    name: str
    fields: Sequence[str]

    def raw(self, number: int) -> str:
        """Return a field as it stands; empty where there is none."""
        return self.fields[number] if 0 < number < len(self.fields) else ""

    def repetitions(self, number: int) -> Sequence[str]:
        """Return a field's repetitions as they stand; none where it is empty."""
        text = self.raw(number)
        return text.split(self.delimiters.repetition) if text else ()

    def get(self, path: Path, repetition: int = 1) -> str:
        """Return a value without its escapes and surrounding blanks."""
        found = self.repetitions(path.number)
        return self.part(found[repetition - 1], path) if repetition <= len(found) else ""

    def part(self, text: str, path: Path) -> str:
        """Return a component, or subcomponent, of one repetition of a field."""
        if path.component == 1 and text.isalnum():  # nothing separates, nothing is escaped
            return text
        component = _nth(text.split(self.delimiters.component), path.component)
        value = _nth(component.split(self.delimiters.subcomponent), path.subcomponent)
        return "" if value.strip() == DELETED else self.delimiters.unescape(value).strip()


def _nth(parts: Sequence[str], number: int) -> str:
    return parts[number - 1] if number <= len(parts) else ""


@dataclass(frozen=True, slots=True)
class Message:
    """A message: its segments in their order."""

    segments: Sequence[Segment]
    _first: Mapping[str, Segment] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        first: dict[str, Segment] = {}
        for segment in self.segments:
            first.setdefault(segment.name, segment)
        object.__setattr__(self, "_first", first)

    def segment(self, name: str) -> Segment | None:
        """Return the first segment of a name."""
        return self._first.get(name)

    def get(self, path: str, repetition: int = 1) -> str:
        """Return a value of the first segment of its name; empty where there is none."""
        wanted = read_path(path)
        segment = self._first.get(wanted.segment)
        return segment.get(wanted, repetition) if segment else ""

    def groups(self, name: str) -> Iterator["Message"]:
        """Yield the parts that begin with a segment of this name, each with the header segments before them.

        A swap (A17) has a group for each of the two patients, a merge (A40) one for each pair of numbers.
        """
        starts = [number for number, segment in enumerate(self.segments) if segment.name == name]
        for start, end in itertools.pairwise([*starts, len(self.segments)]):
            yield Message((*self.segments[: starts[0]], *self.segments[start:end]))


def parse(segments: Sequence[str]) -> Message:
    """Parse a message, given as its segments.

    Raises:
        MessageError: it does not begin with an MSH that names its delimiters.
    """
    delimiters = _delimiters(segments[0] if segments else "")
    return Message([_segment(delimiters, text) for text in segments])


def _delimiters(header: str) -> Delimiters:
    if not header.startswith("MSH") or len(header) < _SEPARATORS:
        raise MessageError("MSH")
    separator = header[3]
    encoding = header[4:].split(separator, 1)[0]
    named = (separator, *encoding)
    marks = not any(letter.isalnum() or letter.isspace() for letter in named)
    if not encoding or not marks or len(set(named)) != len(named):
        raise MessageError("MSH-2")
    usual = Delimiters()
    given = [*encoding[:5], *("" for _ in range(5 - len(encoding)))]
    component, repetition, escape, subcomponent, truncation = given
    return Delimiters(
        separator,
        component,
        repetition or _free(usual.repetition, named),
        escape or _free(usual.escape, named),
        subcomponent or _free(usual.subcomponent, named),
        truncation,
    )


def _free(usual: str, named: Sequence[str]) -> str:
    """Return a usual delimiter that the message does not use as another; a NUL, which never comes, else."""
    return "\0" if usual in named else usual


def _segment(delimiters: Delimiters, text: str) -> Segment:
    fields = text.split(delimiters.field)
    if fields[0] in {"MSH", "FHS", "BHS"}:  # the first field of these is the separator itself
        fields.insert(1, delimiters.field)
    return Segment(delimiters, fields[0], fields)
