"""What the lake holds: one small file that names every part, replaced whole.

A reader sees the lake as one manifest says, whatever is being written meanwhile: parts are never changed,
only added and, when no manifest names them any more, swept.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Self

import orjson

from renzheng.common.files import write_whole

logger = logging.getLogger(__name__)
NAME = "manifest.json"


@dataclass(frozen=True, slots=True)
class Part:
    """One file of one table.

    Args:
        table: the canonical table.
        path: where it lies, from the lake's folder.
        day: the service day of its partition (ISO), `unknown` where rows tell none; empty: kept whole.
        region: the region of its partition; empty for a table kept whole.
        first: the earliest local day that a row in it speaks of (ISO); empty: part of every window.
        last: the latest such day.
        content: a fingerprint of the partition's rows, of imported tables.
    """

    table: str
    path: str
    day: str = ""
    region: str = ""
    first: str = ""
    last: str = ""
    content: str = ""

    @property
    def partition(self) -> tuple[str, str]:
        """Return day and region."""
        return self.day, self.region

    def speaks_of(self, first: str, last: str) -> bool:
        """Tell whether rows in it may lie in the days `first` to `last` (ISO)."""
        return not self.first or (self.first <= last and self.last >= first)


@dataclass(frozen=True, slots=True)
class Manifest:
    """The lake at one moment.

    Args:
        version: counts up with every change.
        parts: all files of it.
        devices: up to which entry each device's log is in it.
        imports: size, time and number of each imported file that it was made of.
        touched: by service day (ISO), the version at which something about that day last changed.
        lake_id: names this lake; one that was lost and made anew has another, and its versions begin again.
    """

    version: int = 0
    parts: tuple[Part, ...] = ()
    devices: Mapping[str, int] = field(default_factory=dict)
    imports: Mapping[str, list[int]] = field(default_factory=dict)
    touched: Mapping[str, int] = field(default_factory=dict)
    lake_id: str = ""

    @property
    def state(self) -> str:
        """Which lake at which version, for a run to remember."""
        return f"{self.version} {self.lake_id}".strip()

    def changed_since(self, day: str, version: int, lake_id: str) -> bool:
        """Tell whether something about a day has come in since a run that read this version of that lake.

        Of another lake than this one nobody can say what it held: what this one holds then counts as new.
        """
        touched = self.touched.get(day, 0)
        return touched > version or (touched > 0 and lake_id != self.lake_id)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read a lake's manifest; an empty one where there is no lake yet, or one that is damaged."""
        path = folder / NAME
        if not path.is_file():
            return cls()
        try:
            told = orjson.loads(path.read_bytes())
            return cls(**{**told, "parts": tuple(Part(**part) for part in told["parts"])})
        except (ValueError, TypeError, KeyError):
            logger.error("the lake's manifest is damaged: the lake is made anew")  # noqa: TRY400 - no more to say
            return cls()

    def write(self, folder: Path) -> None:
        """Make this the lake, in one rename; durable when it returns."""
        content = orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
        write_whole(folder / NAME, content)

    def of(self, table: str) -> list[Part]:
        """List the parts of one table."""
        return [part for part in self.parts if part.table == table]

    def touch(self, days: Iterable[str]) -> Self:
        """Note that something about some days changed with this version."""
        return replace(self, touched={**self.touched, **dict.fromkeys(days, self.version)})
