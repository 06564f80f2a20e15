"""Stays: which of them a bed line can mean, and which days they span."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from renzheng.central.audit.oracle.billing import Line
from renzheng.central.audit.oracle.case import Case

OPEN = dt.date.max


@dataclass(frozen=True)
class Stay:
    """The stay of one visit, over all its beds.

    Args:
        institution: where.
        visit: its number.
        first: day of admission.
        last: day of discharge; `OPEN` while any part of it is open.
        ended_at: the moment of discharge; None while open.
    """

    institution: str
    visit: str
    first: dt.date
    last: dt.date
    ended_at: dt.datetime | None

    def spans(self, day: dt.date) -> bool:
        """Return whether a day lies within it."""
        return self.first <= day <= self.last


class Stays:
    """The stays of a case.

    Args:
        case: the tables.
    """

    def __init__(self, case: Case) -> None:
        self._case = case
        self._of_visit: dict[tuple[str, str], Stay] = {}
        self._of_person: dict[tuple[str, str], list[Stay]] = defaultdict(list)
        self._months: set[tuple[str, int, int]] = set()
        for (institution, visit), rows in case.visits.items():
            ends = [row["discharged_at"] for row in rows]
            ended_at = None if None in ends else max(ends)
            first = min(case.day(institution, row["admitted_at"]) for row in rows)
            last = OPEN if ended_at is None else case.day(institution, ended_at)
            stay = Stay(institution, visit, first, last, ended_at)
            self._of_visit[institution, visit] = stay
            self._of_person[institution, min(row["person_id"] for row in rows)].append(stay)
            self._months |= {(institution, *month) for month in _months(stay)}

    def of(self, line: Line) -> list[Stay]:
        """Return the stays a line can mean: that of its visit first, then those of the person there."""
        visit = self._of_visit.get((line.institution, line.row["visit_id"]))
        others = [stay for stay in self._of_person[line.institution, line.person] if stay is not visit]
        return [*([visit] if visit else []), *others]

    def spanning(self, line: Line, day: dt.date) -> list[Stay]:
        """Return those of them that span a day: that of the visit first, then the latest."""
        visit = self._of_visit.get((line.institution, line.row["visit_id"]))
        found = [stay for stay in self.of(line) if stay.spans(day)]
        found.sort(key=lambda stay: stay.visit)
        found.sort(key=lambda stay: stay.first, reverse=True)
        return sorted(found, key=lambda stay: stay is not visit)

    def holds(self, line: Line, at: dt.datetime) -> bool:
        """Return whether the person lay in a bed of such a stay at a moment."""
        rows = [
            *self._case.visits.get((line.institution, line.row["visit_id"]), []),
            *self._case.of("stays", line.institution, line.person),
        ]
        return any(row["admitted_at"] <= at <= (row["discharged_at"] or at) for row in rows)

    def edges(self, line: Line) -> set[dt.date]:
        """Return the days of admission and discharge of the stays that a line can mean."""
        return {day for stay in self.of(line) for day in (stay.first, stay.last)}

    def begins_after(self, line: Line, day: dt.date) -> bool:
        """Return whether a day that a line reaches back to lies before the stay of its own visit."""
        visit = self._of_visit.get((line.institution, line.row["visit_id"]))
        return visit is not None and day < visit.first <= line.service_day

    def told(self, institution: str, day: dt.date) -> bool:
        """Return whether the institution has told its stays of the month of a day."""
        return (institution, day.year, day.month) in self._months


def _months(stay: Stay) -> Iterable[tuple[int, int]]:
    """Return the months that a stay touches; one that is still open tells only of the month it began in."""
    last = stay.first if stay.last == OPEN else stay.last
    first = stay.first.year * 12 + stay.first.month - 1
    return [(number // 12, number % 12 + 1) for number in range(first, last.year * 12 + last.month)]
