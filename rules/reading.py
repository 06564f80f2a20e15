"""Read the files of a rule pack as strangers' text: bounded, visible, and YAML without its cleverness."""

import csv
import io
import unicodedata
from collections.abc import Hashable
from typing import Any

import yaml

MOST_BYTES = 1_000_000
DEEPEST = 20
_INVISIBLE = ("Cc", "Cf", "Co", "Cs", "Zl", "Zp")


_Safe: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same in C, where libyaml is there


class _PlainLoader(_Safe):  # type: ignore[misc]
    """YAML of plain values, in which a key that comes twice does not hide the first one."""

    def construct_mapping(self, node: yaml.nodes.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        names = [key.value for key, _ in node.value if isinstance(key, yaml.nodes.ScalarNode)]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise yaml.YAMLError(f"{', '.join(doubled)} comes twice in one mapping")
        plain: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return plain


def as_text(content: bytes) -> str:
    """Decode a file of UTF-8, with or without a byte order mark.

    Raises:
        ValueError: it is not UTF-8, or has characters that nobody sees.
    """
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"the file is not UTF-8 (byte {error.start}): save it as UTF-8") from None
    unseen = {one for one in set(text) - {"\t", "\n"} if unicodedata.category(one) in _INVISIBLE}
    for number, line in enumerate(text.split("\n") if unseen else (), start=1):
        hidden = next((letter for letter in line if letter in unseen), None)
        if hidden is not None:
            raise ValueError(f"line {number} has a character that nobody sees, U+{ord(hidden):04X}")
    return text


def _require_plain(text: str) -> None:
    """Refuse, before anything is built, what could unfold to any size or any depth."""
    depth = 0
    for event in yaml.parse(text, Loader=_PlainLoader):
        if isinstance(event, yaml.events.AliasEvent):
            raise ValueError("aliases (*name) are not read")  # noqa: TRY004 - it is the text that is wrong
        depth += isinstance(event, yaml.events.CollectionStartEvent)
        depth -= isinstance(event, yaml.events.CollectionEndEvent)
        if depth > DEEPEST:
            raise ValueError("the YAML is nested too deeply")


def read_yaml(text: str) -> Any:
    """Read YAML of plain values.

    Raises:
        ValueError: it is none, or uses aliases or doubled keys.
    """
    try:
        _require_plain(text)
        return yaml.load(text, Loader=_PlainLoader)  # noqa: S506 - a SafeLoader that takes less
    except yaml.YAMLError as error:
        raise ValueError(f"not YAML: {error}") from error
    except (RecursionError, OverflowError):
        raise ValueError("the YAML is nested too deeply, or has a number beyond all size") from None


def read_csv(text: str) -> tuple[dict[str, str], ...]:
    """Read a table with a heading line.

    Raises:
        ValueError: a row has more or fewer cells than the heading.
    """
    rows = []
    for number, row in enumerate(csv.DictReader(io.StringIO(text)), start=2):
        if None in row or None in row.values():
            raise ValueError(f"line {number} has not as many cells as the heading")
        rows.append(row)
    return tuple(rows)
