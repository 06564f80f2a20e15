"""The knowledge of a site: packs in its folder, read again when they change, watched unless signed."""

import datetime as dt
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from joserfc.jwk import OKPKey

from renzheng.rules.errors import RulePackError
from renzheng.rules.knowledge.builtin import builtin_points
from renzheng.rules.knowledge.evaluating import Knowledge
from renzheng.rules.knowledge.packfile import read_pack
from renzheng.rules.knowledge.points import Point, Power

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SiteKnowledge:
    """What a site knows at one moment.

    Args:
        knowledge: the points by item.
        problems: files that could not be read, or are not signed, each with a code.
    """

    knowledge: Knowledge
    problems: tuple[tuple[str, str], ...]


class InForce:
    """Reads a folder of packs, and those that come with the product.

    Args:
        folder: of the site's packs.
        keys: returns the keys whose signature counts.
        region: whose points count.
    """

    def __init__(self, folder: Path, keys: Callable[[], Sequence[OKPKey]], region: str | None) -> None:
        self._folder, self._keys, self._region = folder, keys, region
        self._seen: tuple[object, ...] | None = None
        self._held: SiteKnowledge | None = None
        self._reading = threading.Lock()

    def now(self) -> SiteKnowledge:
        """Return what the folder holds; cheap while nothing changes."""
        files = packs_in(self._folder)
        seen = tuple((path, found.st_size, found.st_mtime_ns) for path in files for found in [path.stat()])
        if self._held is None or seen != self._seen:
            if self._held is not None and self._reading.locked():
                return self._held  # another check reads what is new
            with self._reading:
                if self._held is None or seen != self._seen:
                    self._held, self._seen = self._read(files), seen
        return self._held

    def _read(self, files: Sequence[Path]) -> SiteKnowledge:
        points, codes, problems = list(builtin_points()), dict[str, str](), []
        for path in files:
            try:
                pack = read_pack(path)
            except RulePackError as error:
                logger.warning("a knowledge pack cannot be read: %s", error)
                problems.append((path.name, "pack_unreadable"))
                continue
            try:
                pack.signer(self._keys())
                points += pack.points
                codes.update(pack.codes)
            except (RulePackError, OSError):
                problems.append((path.name, "pack_not_signed"))
                points += [replace(one, power=Power.WATCH) for one in pack.points]
        return SiteKnowledge(Knowledge(points, self._region, codes), tuple(problems))


def packs_in(folder: Path) -> list[Path]:
    """List the packs of a folder."""
    if not folder.is_dir():
        return []
    return sorted(one for one in folder.iterdir() if one.is_file() and not one.name.startswith("."))


def signed_points(folder: Path, keys: Sequence[OKPKey], day: dt.date) -> list[Point]:
    """Return the points of a folder that two people have put in force by a day, for the audit."""
    found: list[Point] = []
    for path in packs_in(folder):
        try:
            pack = read_pack(path)
            pack.signer(keys)
        except RulePackError as error:
            logger.warning("a knowledge pack is left out of the audit: %s", error)
            continue
        found += [one for one in pack.points if one.power_on(day) is not Power.WATCH]
    return found
