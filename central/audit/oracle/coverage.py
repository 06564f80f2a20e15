"""How much of a stretch of a day the devices of an institution together could see."""

import datetime as dt
from collections import Counter
from decimal import Decimal

from renzheng.central.audit.oracle.case import Case
from renzheng.central.audit.oracle.values import MIDNIGHT, NOTHING, Parameters

HISTORY_DAYS = 28
WITHOUT_HISTORY = 6, 14


def window(day: dt.date, hours: tuple[int, int]) -> tuple[dt.datetime, dt.datetime]:
    """Return the local begin and end of some hours of a day; hours above 24 are of the next one."""
    midnight = dt.datetime.combine(day, MIDNIGHT)
    return midnight + dt.timedelta(hours=hours[0]), midnight + dt.timedelta(hours=hours[1])


def covered(
    case: Case, institution: str, purpose: str, day: dt.date, hours: tuple[int, int]
) -> tuple[dt.timedelta, dt.timedelta]:
    """Return for how much of a window some device was up, and how long the window is."""
    begin, end = window(day, hours)
    known = case.shared.covered.get((institution, purpose, day, hours))
    if known is not None:
        return known, end - begin
    stretches = sorted(
        (max(begin, case.local(institution, row["from_at"])), min(end, case.local(institution, row["to_at"])))
        for row in case.coverage.get((institution, purpose), ())
        if row["state"] == "up"
    )
    total, reached = NOTHING, begin
    for start, stop in stretches:
        total += max(NOTHING, stop - max(start, reached))
        reached = max(reached, stop)
    case.shared.covered[institution, purpose, day, hours] = total
    return total, end - begin


def share(part: tuple[dt.timedelta, dt.timedelta]) -> Decimal:
    """Return which share of a window was covered, by the microsecond."""
    one = dt.timedelta(microseconds=1)
    return Decimal(part[0] // one) / Decimal(part[1] // one)


def arrival_hours(case: Case, institution: str, day: dt.date) -> tuple[int, int]:
    """Return the hours in which four fifths of the institution's verified sign-ins of late came."""
    hours = case.shared.arrival_hours
    if (institution, day) not in hours:
        hours[institution, day] = _arrival_hours(case, institution, day)
    return hours[institution, day]


def _arrival_hours(case: Case, institution: str, day: dt.date) -> tuple[int, int]:
    first = day - dt.timedelta(days=HISTORY_DAYS)
    hours = Counter(at.hour for at in case.dialysis_arrivals.get(institution, ()) if first <= at.date() < day)
    number, seen = sum(hours.values()), 0
    if not number:
        return WITHOUT_HISTORY
    begin = None
    for hour in range(24):
        seen += hours[hour]
        if begin is None and seen * 10 >= number:
            begin = hour
        if begin is not None and seen * 10 >= number * 9:
            return begin, hour + 1
    raise AssertionError("all sign-ins lie within the day")


def suffices(case: Case, institution: str, day: dt.date, parameters: Parameters) -> bool:
    """Return whether silence of the dialysis devices on a day means that nobody came."""
    return all(
        share(covered(case, institution, "dialysis", day, hours)) >= parameters.coverage_needed
        for hours in (parameters.coverage_hours, arrival_hours(case, institution, day))
    )
