"""The one evaluator: knowledge in force, a situation, and what comes of it."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from renzheng.rules.knowledge import kinds
from renzheng.rules.knowledge.facts import Situation, day_of
from renzheng.rules.knowledge.kinds import Hit, NotKnown
from renzheng.rules.knowledge.points import Kind, Point

BEFORE, DURING = "before", "during"
_STAGES: Mapping[str, frozenset[str]] = {BEFORE: frozenset({BEFORE}), DURING: frozenset({BEFORE, DURING})}


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What came of a situation.

    Args:
        hits: dearest first.
        not_known: what could not be judged, each a kind and a code.
        points: how many points were looked at.
    """

    hits: tuple[Hit, ...]
    not_known: tuple[tuple[str, str], ...]
    points: int


class Knowledge:
    """Points by item code, for one region.

    Args:
        points: of any packs; those that say the same count once.
        region: whose points count beside those that hold everywhere.
        codes: own item codes, each with the national one that it stands for.
    """

    def __init__(
        self, points: Iterable[Point], region: str | None = None, codes: Mapping[str, str] | None = None
    ) -> None:
        self.codes = dict(codes or {})
        said = set()
        regions = {"", *_wider(region or "")}
        counted: list[Point] = []
        for point in points:
            key = (
                point.version,
                point.valid_from,
                point.valid_to,
                point.power,
                point.power_from,
                point.stage,
            )
            if point.problem or point.region not in regions or key in said:
                continue
            said.add(key)
            counted.append(point)
        self._points = tuple(sorted(counted, key=lambda one: (one.id, one.version)))
        self._by_code: dict[str, list[int]] = defaultdict(list)
        for place, point in enumerate(self._points):
            for code in point.items:
                self._by_code[code].append(place)

    @property
    def points(self) -> tuple[Point, ...]:
        """Return every point that counts, in the order of their ids."""
        return self._points

    def national(self, code: str) -> str:
        """Return the national item code that a code stands for."""
        return self.codes.get(code, code)

    def about(self, codes: Iterable[str]) -> list[Point]:
        """Return the points about any of these items, each once, in the order of their ids."""
        places = {place for code in set(codes) for place in self._by_code.get(code, ())}
        return [self._points[place] for place in sorted(places)]

    def related(self, codes: Iterable[str]) -> set[str]:
        """Return the items that points about these also look at."""
        wanted = set(codes)
        for point in self.about(wanted):
            wanted.update(point.items)
            if isinstance(point.value, tuple) and point.kind is Kind.COMPANION:
                wanted.update(point.value)
        return wanted

    def evaluate(self, now: Situation, stage: str) -> Evaluated:
        """Evaluate a situation at a stage: what holds on each line's own day."""
        at_hand = {line.code for lines in now.by_code.values() for line in lines if line.at_hand}
        stages = _STAGES[stage]
        points = [one for one in self.about(at_hand) if one.stage in stages]
        hits: list[Hit] = []
        unknown: dict[tuple[str, str], None] = {}
        for point, found in kinds.every_hit(points, now):
            if isinstance(found, NotKnown):
                if any(point.holds_on(day) for day in _days(point, now)):
                    unknown[point.kind.value, found.code] = None
            else:
                hits += [hit for hit in found if _holds(hit)]
        return Evaluated(dearest_first(hits), tuple(unknown), len(points))


def dearest_first(hits: Sequence[Hit]) -> tuple[Hit, ...]:
    """Put hits in the order in which they are shown."""
    return tuple(sorted(hits, key=lambda hit: (-hit.amount_fen, hit.point.id, [one.id for one in hit.lines])))


def _holds(hit: Hit) -> bool:
    """Return whether the point is in force on the day of a limited line, as the audit asks it."""
    return any(hit.point.holds_on(day_of(line.day)) for line in hit.lines)


def _days(point: Point, now: Situation) -> set[dt.date]:
    return {day_of(one.day) for code in point.items for one in now.by_code.get(code, ()) if one.at_hand}


def _wider(region: str) -> tuple[str, ...]:
    """Name a region, its city and its province (GB/T 2260)."""
    if len(region) == 6 and region.isdigit():  # noqa: PLR2004 - GB/T 2260
        return region, region[:4] + "00", region[:2] + "0000"
    return (region,)
