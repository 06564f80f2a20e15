"""Which days a bed line bills, and which of them are a second bed of the person."""

import datetime as dt
import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal

from renzheng.central.audit.oracle.billing import Line
from renzheng.central.audit.oracle.case import Case
from renzheng.central.audit.oracle.stays import OPEN, Stay, Stays
from renzheng.central.audit.oracle.values import NIGHT_BATCH, Parameters, Row

DAY = dt.timedelta(days=1)
ONE = Decimal(1)
TOLERANCE = Decimal("0.0416")
"""An hour: rounding makes no second day."""
HOURS_A_DAY = 24
LONGEST_LINE_DAYS = 366
LONGEST_GAP = dt.timedelta(days=4)
"""Billed days without a known stay are one run while they lie no farther apart."""


@dataclass
class BedDay:
    """One day of a bed line, with its verdict before broken rows are looked at."""

    line: Line
    day: dt.date
    share: Decimal
    """Which part of the day is billed; beyond 1 what does not fit into the days that are listed."""
    days: int = 1
    """Of the line."""
    seen: set[str] = field(default_factory=set)
    kept: str = ""
    """The line that has the person's bed of that day, where this one is a second."""
    verdict: str = ""
    reason: str = ""
    evidence: set[str] = field(default_factory=set)


def spread(case: Case, stays: Stays, line: Line, parameters: Parameters) -> list[BedDay]:
    """Return the days of a line: the last one and those before it, of which the oldest carries the rest."""
    quantity = _quantity(line)
    number = max(1, math.ceil(quantity - Decimal("0.0417")))
    listed = min(number, LONGEST_LINE_DAYS)
    last = _last_day(case, stays, line, number, parameters)
    shares = [quantity - (listed - 1), *[ONE] * (listed - 1)]
    return [
        BedDay(line, last - back * DAY, share, number)
        for back, share in zip(reversed(range(listed)), shares, strict=True)
    ]


def _quantity(line: Line) -> Decimal:
    """Return the days billed, to four places; a line that was paid for bills a day at least."""
    if line.quantity <= 0:
        return ONE
    per_day = HOURS_A_DAY if line.unit == "hour" else 1
    return max(Decimal("0.0001"), (line.quantity / per_day).quantize(Decimal("0.0001"), ROUND_DOWN))


def _last_day(case: Case, stays: Stays, line: Line, number: int, parameters: Parameters) -> dt.date:
    """Return the day of the fee, or the last day of an ended stay that the line was entered for later."""
    day, death = line.service_day, case.deaths.get(line.person)
    died = death is not None and day > death
    if stays.spanning(line, day) and not died:
        return day
    ends = [
        min(stay.last, death) if died and death is not None else stay.last
        for stay in stays.of(line)
        if stay.ended_at is not None and _serves(case, line, stay, number, parameters)
    ]
    return max((end for end in ends if end < day), default=day)


def _serves(case: Case, line: Line, stay: Stay, number: int, parameters: Parameters) -> bool:
    """Return whether a line may have been entered for a stay that had ended."""
    death, ended_at = case.deaths.get(line.person), stay.ended_at
    assert ended_at is not None
    died = death is not None and line.service_day > death
    if died and death is not None:
        too_late = ended_at > _midnight_after(case, line, death) + parameters.posting_grace
        if too_late or death < stay.first:
            return False
    if number > 1 or died:
        return line.at <= ended_at + dt.timedelta(days=parameters.late_bed_days)
    return line.at < _midnight_after(case, line, stay.last) + NIGHT_BATCH


def _midnight_after(case: Case, line: Line, day: dt.date) -> dt.datetime:
    return case.instant(line.institution, dt.datetime.combine(day + DAY, dt.time()))


def share_stays(
    case: Case, stays: Stays, days: Sequence[BedDay], on: Callable[[dt.date], Parameters]
) -> None:
    """Move lines of one day that were entered for a dead person to days of the stay that have no bed yet."""
    late: dict[tuple[str, str], list[BedDay]] = defaultdict(list)
    taken: dict[tuple[str, str], set[dt.date]] = defaultdict(set)
    for one in days:
        place = one.line.institution, one.line.person
        if one.line.amount == 0:
            continue
        if one.days == 1 and one.day < one.line.service_day and _died(case, one.line):
            late[place].append(one)
        else:
            taken[place].add(one.day)
    for place, mine in late.items():
        open_days = {
            stay.first + back * DAY
            for one in mine
            for stay in stays.of(one.line)
            if _is_for(case, one.line, stay, on)
            for back in range((min(stay.last, case.deaths[one.line.person]) - stay.first).days + 1)
        }
        free = sorted(open_days - taken[place])
        served = sorted(mine, key=lambda one: one.line.order)[: len(free)]
        for one, day in zip(reversed(served), reversed(free), strict=False):
            one.day = day


def _died(case: Case, line: Line) -> bool:
    death = case.deaths.get(line.person)
    return death is not None and line.service_day > death


def _is_for(case: Case, line: Line, stay: Stay, on: Callable[[dt.date], Parameters]) -> bool:
    """Return whether a line of one day of a dead person may be for a stay that had ended."""
    if stay.ended_at is None or min(stay.last, case.deaths[line.person]) >= line.service_day:
        return False
    return _serves(case, line, stay, 1, on(line.service_day))


@dataclass
class Claim:
    """One billed day beside others of the person."""

    one: BedDay
    weight: Decimal
    stay: tuple[str, str]
    """Institution and visit; the visit is empty where no stay is known."""
    first: dt.date
    last: dt.date

    @property
    def has_stay(self) -> bool:
        """Return whether a stay spans the day."""
        return bool(self.stay[1])

    @property
    def rank(self) -> tuple[bool, bool, Decimal, dt.datetime, str, str]:
        """Return the place in which claims have a day: seen, with a stay, the whole day, the earliest."""
        return not self.one.seen, not self.has_stay, -self.weight, *self.one.line.order


def one_bed_a_day(case: Case, stays: Stays, days: Sequence[BedDay]) -> None:
    """Mark the days that are a second bed of their person."""
    persons: dict[str, list[BedDay]] = defaultdict(list)
    for one in days:
        persons[one.line.person].append(one)
    for person, mine in persons.items():
        claims = _claims(stays, mine)
        moved = _of_the_night_before(case, claims)
        for claim in moved:
            claim.one.day -= DAY
        together: dict[dt.date, list[Claim]] = defaultdict(list)
        for claim in claims:
            if claim not in moved:
                together[claim.one.day].append(claim)
        for same_day in together.values():
            for second, first in _seconds(case, person, sorted(same_day, key=lambda claim: claim.rank)):
                second.one.kept = str(first.one.line.row["line_id"])


def _claims(stays: Stays, days: Sequence[BedDay]) -> list[Claim]:
    claims = []
    for one in days:
        weight = min(one.share, ONE) if one.line.amount != 0 else Decimal(0)
        spanning = stays.spanning(one.line, one.day)
        here = one.line.institution
        if spanning:
            stay = spanning[0]
            claims.append(Claim(one, weight, (here, stay.visit), stay.first, stay.last))
        else:
            claims.append(Claim(one, weight, (here, ""), one.day, one.day))
    for run in _runs([claim for claim in claims if not claim.has_stay]):
        first, last = min(claim.one.day for claim in run), max(claim.one.day for claim in run)
        for claim in run:
            claim.first, claim.last = first, last
    return claims


def _runs(claims: Sequence[Claim]) -> Iterator[list[Claim]]:
    """Put billed days without a stay together that lie close to each other at one institution."""
    for _, there in itertools.groupby(sorted(claims, key=lambda c: (c.stay, c.one.day)), lambda c: c.stay):
        run: list[Claim] = []
        for claim in there:
            if run and claim.one.day - run[-1].one.day > LONGEST_GAP:
                yield run
                run = []
            run.append(claim)
        if run:
            yield run


def _of_the_night_before(case: Case, claims: Sequence[Claim]) -> list[Claim]:
    """Return second lines of a day that a batch wrote soon after midnight, if the stay has days for them."""
    moved = []
    for claim in claims:
        line, day = claim.one.line, claim.one.day
        if not (claim.has_stay and _by_night(case, claim)):
            continue
        same = [c for c in claims if c.has_stay and c.stay == claim.stay and c.first == claim.first]
        before = sum((c.weight for c in same if c.one.day <= day), Decimal(0))
        ahead = sum(
            (c.weight for c in same if c.one.day == day and _night_rank(case, c) <= _night_rank(case, claim)),
            Decimal(0),
        )
        room = Decimal((day - claim.first).days + 1)
        if ahead > ONE + TOLERANCE and before <= room + TOLERANCE and line.amount != 0:
            moved.append(claim)
    return moved


def _by_night(case: Case, claim: Claim) -> bool:
    line, day = claim.one.line, claim.one.day
    early = case.local(line.institution, line.at) < dt.datetime.combine(day, dt.time()) + NIGHT_BATCH
    return line.service_day == day and claim.one.days == 1 and early


def _night_rank(case: Case, claim: Claim) -> tuple[bool, Decimal, dt.datetime, str, str]:
    return _by_night(case, claim), -claim.weight, *claim.one.line.order


def _seconds(case: Case, person: str, claims: Sequence[Claim]) -> Iterator[tuple[Claim, Claim]]:
    """Return the claims to a day that are a second bed, each with the one that has it."""
    total, in_stay = Decimal(0), defaultdict[tuple[str, str], Decimal](Decimal)
    for claim in claims:
        total += claim.weight
        in_stay[claim.stay] += claim.weight
        if total <= ONE + TOLERANCE or claim.weight == 0:
            continue
        apart = claim.stay != claims[0].stay and not _handed_over(case, person, claim, claims[0])
        if apart or in_stay[claim.stay] > ONE + TOLERANCE:
            yield claim, claims[0]


def _handed_over(case: Case, person: str, claim: Claim, first: Claim) -> bool:
    """Return whether the person went from the one bed to the other about that day."""
    if _near(first.last, claim.first) or _near(claim.last, first.first):
        return True
    return any(
        leave["kind"] == "transfer"
        and (_transfers(case, leave, first, claim) or _transfers(case, leave, claim, first))
        for leave in case.about("leaves", person)
    )


def _near(one: dt.date, other: dt.date) -> bool:
    return OPEN not in {one, other} and abs(one - other) <= DAY


def _transfers(case: Case, leave: Row, of: Claim, to: Claim) -> bool:
    """Return whether a transfer from one bed began or ended with the stay in the other, about that day."""
    here, day = leave["institution_id"], of.one.day
    if here != of.one.line.institution:
        return False
    left = case.day(here, leave["left_at"])
    back_at = leave["returned_at"] or leave["due_back_at"]
    back = case.day(here, back_at) if back_at is not None else None
    went = _near(left, to.first) and _near(left, day)
    return went or (back is not None and _near(back, to.last) and _near(back, day))
