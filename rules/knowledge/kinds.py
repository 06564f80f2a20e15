"""The kinds of knowledge, each one pure function: which lines a point holds against, or why it cannot tell.

What cannot be known (sex, birth date, insurance ...) is never held against anybody: the function names
it instead. Over tables the same is done by the audit's rules.
"""

import re
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from renzheng.rules.knowledge.facts import HOUR_US, Line, Situation, day_of
from renzheng.rules.knowledge.points import Kind, Point

YEAR_E2 = 36_525
DOUBT_E2 = {"year": 200, "month": 300}
"""Days of a year, and days of doubt around a birthday, in hundredths: months are of 28 to 31 days, and years
of 365 or 366, so that no birthday accuses anybody, nor a birth on 29 February."""


@dataclass(frozen=True, slots=True)
class Hit:
    """Lines that a point holds against.

    Args:
        point: the point.
        lines: lines of the limited item, oldest first, at hand or of before.
        beside: lines that make them wrong without being so (the main item of a pair).
        amount_fen: at stake.
        billed: what was counted, where a point counts.
    """

    point: Point
    lines: tuple[Line, ...]
    amount_fen: int
    beside: tuple[Line, ...] = ()
    billed: int = 0


@dataclass(frozen=True, slots=True)
class NotKnown:
    """What a point needs and nobody knows, as a code."""

    code: str


Found = list[Hit] | NotKnown


def sex(point: Point, now: Situation) -> Found:
    """Return lines of an item for the other sex."""
    if now.patient.sex not in {"M", "F"}:
        return NotKnown("sex_unknown")
    return [] if now.patient.sex == point.value else _each(point, _at_hand(point, now))


def age(point: Point, now: Situation) -> Found:
    """Return lines of an item for another age on the day of service."""
    born = now.patient.birth_day
    if born is None:
        return NotKnown("birth_date_unknown")
    lines = _at_hand(point, now)
    if any(line.day < born for line in lines):
        return NotKnown("birth_date_after_service")
    return _each(point, (one for one in lines if age_outside(point, one.day - born)))


def age_outside(point: Point, days: int) -> bool:
    """Return whether somebody so many days old is outside the range of a point beyond doubt."""
    low, below = bounds(str(point.value))
    if point.unit == "day":
        return (low is not None and days < low) or (below is not None and days >= below)
    unit_e2 = YEAR_E2 * 12 if point.unit == "year" else YEAR_E2
    twelfths, doubt = days * 1200, DOUBT_E2[point.unit] * 12
    return (low is not None and twelfths < low * unit_e2 - doubt) or (
        below is not None and twelfths > below * unit_e2 + doubt
    )


def bounds(value: str) -> tuple[int | None, int | None]:
    """Read a half-open range such as `[3,18)` or `[6,)`; None for an end that is open."""
    found = re.fullmatch(r"\[(\d*),(\d*)\)", value)
    assert found is not None, "a point's range is written by this house"
    return int(found[1]) if found[1] else None, int(found[2]) if found[2] else None


def insurance(point: Point, now: Situation) -> Found:
    """Return lines of an item that another kind of insurance pays."""
    return _one_of(point, now, now.encounter.insurance, "insurance_unknown")


def visit(point: Point, now: Situation) -> Found:
    """Return lines of an item that is not paid on such a visit."""
    shown = now.encounter.visit_type
    if shown == "pharmacy" and point.value != ("inpatient",):
        return NotKnown("visit_type_unknown")
    return _one_of(point, now, shown, "visit_type_unknown")


def _one_of(point: Point, now: Situation, shown: str | None, unknown: str) -> Found:
    assert isinstance(point.value, tuple)
    if shown is None:
        return NotKnown(unknown)
    return [] if shown in point.value else _each(point, _at_hand(point, now))


def level(point: Point, now: Situation) -> Found:
    """Return lines of an item that takes a higher institution."""
    shown = now.encounter.level
    if shown is None:
        return NotKnown("level_unknown")
    assert isinstance(point.value, int)
    return [] if shown >= point.value else _each(point, _at_hand(point, now))


def diagnosis(point: Point, now: Situation) -> Found:
    """Return lines of an item that none of the visit's diagnoses calls for."""
    assert isinstance(point.value, tuple)
    shown = [re.sub(r"[^0-9A-Z]", "", code.upper()) for code in now.encounter.diagnoses]
    if not any(shown):
        return NotKnown("diagnoses_unknown")
    wanted = tuple(re.sub(r"[^0-9A-Z]", "", code.upper()) for code in point.value)
    return [] if any(code.startswith(wanted) for code in shown) else _each(point, _at_hand(point, now))


def pair(point: Point, now: Situation) -> Found:
    """Return lines of items that another one, billed within the window, already includes."""
    near = _Mains(point, _here(now.by_code.get(point.items[0], ()), now))
    doubled: list[Line] = []
    beside: dict[str, Line] = {}
    for code in point.items[1:]:
        for sub in _here(now.by_code.get(code, ()), now):
            others = [one for one in near.of(sub) if one.id != sub.id]
            if others and (sub.at_hand or any(one.at_hand for one in others)):
                doubled.append(sub)
                beside |= {one.id: one for one in others}
    if not doubled:
        return []
    return [Hit(point, tuple(doubled), sum(one.amount_fen for one in doubled), tuple(beside.values()))]


class _Mains:
    """Main items of a pair, found by what lies within its window.

    Args:
        point: the pair.
        lines: main items, oldest first.
    """

    def __init__(self, point: Point, lines: Sequence[Line]) -> None:
        self._point, self._lines = point, lines
        self._times = [one.at_us for one in lines]
        self._grouped: dict[object, list[Line]] = defaultdict(list)
        if point.unit != "hours":
            for line in lines:
                self._grouped[_STRETCH[point.unit](line)].append(line)

    def of(self, sub: Line) -> Sequence[Line]:
        """Return the main items within the window of a line."""
        if self._point.unit != "hours":
            return self._grouped.get(_STRETCH[self._point.unit](sub), ())
        assert isinstance(self._point.value, int)
        span = self._point.value * HOUR_US
        first = bisect_right(self._times, sub.at_us - span)
        return self._lines[first : bisect_left(self._times, sub.at_us + span)]


def frequency(point: Point, now: Situation) -> Found:
    """Return lines of stretches of time, or visits, in which more was billed than may be."""
    assert isinstance(point.value, int)
    found = []
    for lines in _stretches(point, _here(_every(point, now), now)):
        billed = sum(one.quantity_e4 for one in lines)
        if billed > point.value * 10_000 and any(one.at_hand for one in lines):
            amount = sum(one.amount_fen for one in lines)
            excess = amount * (billed - point.value * 10_000) // billed
            found.append(Hit(point, tuple(lines), excess, billed=billed))
    return found


def _stretches(point: Point, lines: Sequence[Line]) -> Iterable[list[Line]]:
    """Yield the lines of each stretch of time; of 24 hours only those that no longer one holds."""
    if point.unit == "24 hours":
        times, ended = [one.at_us for one in lines], 0
        for at, start in enumerate(times):
            end = bisect_left(times, start + 24 * HOUR_US)
            if end > ended:
                yield list(lines[at:end])
                ended = end
        return
    grouped: dict[object, list[Line]] = defaultdict(list)
    for line in lines:
        grouped[_STRETCH[point.unit](line)].append(line)
    yield from grouped.values()


_STRETCH: Mapping[str, Callable[[Line], object]] = {
    "hour": lambda line: line.at_us // HOUR_US,
    "day": lambda line: line.day,
    "week": lambda line: (line.day + 3) // 7,  # 1970-01-01 was a Thursday; weeks begin on Monday
    "month": lambda line: (day_of(line.day).year, day_of(line.day).month),
    "year": lambda line: day_of(line.day).year,
    "visit": lambda line: line.visit_id,
}


def period(point: Point, now: Situation) -> Found:
    """Return lines at hand after which more days, or times, lie within the course than may be."""
    assert isinstance(point.value, int)
    found = []
    for lines in _courses(point, _every(point, now)):
        for line, billed in _up_to_each(point, lines):
            if line.at_hand and billed > point.value * 10_000:
                found.append(Hit(point, (line,), line.amount_fen, billed=billed))
    return sorted(found, key=lambda hit: (hit.lines[0].at_us, hit.lines[0].id))


def _courses(point: Point, lines: Sequence[Line]) -> Iterable[Sequence[Line]]:
    """Yield the lines among which a course lies: all of them, or those of one visit."""
    if point.within_days is not None:
        return [lines]
    visits: dict[tuple[str, str], list[Line]] = defaultdict(list)
    for line in lines:
        visits[line.institution_id, line.visit_id].append(line)
    return visits.values()


def _up_to_each(point: Point, lines: Sequence[Line]) -> Iterator[tuple[Line, int]]:
    """Yield each line with what its course comes to with it, in ten-thousandths of a day or time."""
    first = end = quantity = 0
    days: Counter[int] = Counter()
    for line in lines:
        while end < len(lines) and lines[end].at_us <= line.at_us:
            days[lines[end].day] += 1
            quantity += lines[end].quantity_e4
            end += 1
        while point.within_days is not None and lines[first].day <= line.day - point.within_days:
            days[lines[first].day] -= 1
            if not days[lines[first].day]:
                del days[lines[first].day]
            quantity -= lines[first].quantity_e4
            first += 1
        yield line, len(days) * 10_000 if point.unit == "day" else quantity


def companion(point: Point, now: Situation) -> Found:
    """Return lines of an item beside which, on its day, none of those stands that it belongs to."""
    assert isinstance(point.value, tuple)
    others = {line.day for code in point.value for line in _here(now.by_code.get(code, ()), now)}
    return _each(point, (one for one in _at_hand(point, now) if one.day not in others))


def _every(point: Point, now: Situation) -> list[Line]:
    lines = [line for code in point.items for line in now.by_code.get(code, ())]
    return sorted(lines, key=lambda one: (one.at_us, one.id)) if len(point.items) > 1 else lines


def _at_hand(point: Point, now: Situation) -> list[Line]:
    return [line for line in _every(point, now) if line.at_hand]


def _here(lines: Iterable[Line], now: Situation) -> list[Line]:
    return [one for one in lines if one.institution_id == now.encounter.institution_id]


def _each(point: Point, lines: Iterable[Line]) -> list[Hit]:
    return [Hit(point, (line,), line.amount_fen) for line in lines]


KINDS: Mapping[Kind, Callable[[Point, Situation], Found]] = {
    Kind.SEX: sex,
    Kind.AGE: age,
    Kind.INSURANCE: insurance,
    Kind.VISIT: visit,
    Kind.LEVEL: level,
    Kind.DIAGNOSIS: diagnosis,
    Kind.PAIR: pair,
    Kind.FREQUENCY: frequency,
    Kind.PERIOD: period,
    Kind.COMPANION: companion,
}
"""What is evaluated here; `presence` is verified by the audit, and `unread` says nothing."""


def look_back_days(points: Iterable[Point]) -> int:
    """Return over how many days before today these points look."""
    spans = {"week": 7, "month": 31, "year": 366, "visit": 366}
    needed = [point.within_days or spans.get(point.unit, 2) for point in points]
    return max(needed, default=0)


def every_hit(points: Iterable[Point], now: Situation) -> Iterator[tuple[Point, Found]]:
    """Evaluate points, each of its kind."""
    for point in points:
        evaluate = KINDS.get(point.kind)
        if evaluate is not None and not point.problem:
            yield point, evaluate(point, now)
