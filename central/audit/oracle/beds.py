"""The verdicts of bed lines: every day of a line by itself, then the line."""

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from functools import cached_property

from renzheng.central.audit.oracle.billing import Line
from renzheng.central.audit.oracle.case import Case, verified
from renzheng.central.audit.oracle.coverage import covered, window
from renzheng.central.audit.oracle.dialysis import covers
from renzheng.central.audit.oracle.values import NOTHING, DayAnswer, LineKey, Parameters, Row

DAY = dt.timedelta(days=1)
NIGHT_BATCH = dt.time(6)
"""A fee entered before this hour, on a day that no stay spans, is of the day before."""
HOURS_A_DAY = 24
RANKS = {"supported": 0, "insufficient": 1, "contradicted": 2}


@dataclass
class BedDay:
    """One day of a bed line, with its verdict before broken rows are looked at."""

    line: Line
    day: dt.date
    verdict: str = ""
    reason: str = ""
    evidence: set[str] = field(default_factory=set)


def lengths(line: Line) -> int:
    """Return the number of days that a line bills."""
    if line.hourly:
        return max(1, -int(-line.quantity // HOURS_A_DAY))
    return max(1, int(line.quantity))


class BedJudge:
    """Judges bed lines.

    Args:
        case: the tables.
        lines: those in scope, also around the period: a bed of the day before may be billed in it.
        on: the parameters of a day.
    """

    def __init__(self, case: Case, lines: Sequence[Line], on: Callable[[dt.date], Parameters]) -> None:
        self._case = case
        self._on = on
        self._lines = sorted(lines, key=lambda line: line.order)

    def judge(self) -> list[BedDay]:
        """Judge every day of every line."""
        days = [BedDay(line, day) for line in self._lines for day in self._days[line.key]]
        for one in days:
            one.verdict, one.reason, one.evidence = self._judge_day(one)
        for second in self._seconds(days):
            if second.verdict != "contradicted":
                second.verdict, second.reason, second.evidence = "contradicted", "bed_billed_twice", set()
        return days

    def coverage_ratio(self, line: Line) -> float:
        """Return which share of the days' windows was covered."""
        parts = [
            covered(self._case, line.institution, "inpatient", day, self._on(day).bed_hours)
            for day in self._days[line.key]
        ]
        seen, whole = (sum((part[place] for part in parts), NOTHING) for place in (0, 1))
        return seen / whole

    # -- which days a line bills

    @cached_property
    def _days(self) -> dict[LineKey, list[dt.date]]:
        """The days of each line; lines entered late take what the others have left of their stay."""
        found, moved = {}, []
        taken: dict[str, set[dt.date]] = defaultdict(set)
        for line in self._lines:
            last = self._last_day(line)
            if last is None:
                found[line.key] = self._before(line, line.service_day)
                taken[line.person].update(found[line.key])
            else:
                moved.append((line, last))
        for line, last in moved:
            found[line.key] = self._left_of_stay(line, last, taken[line.person])
            taken[line.person].update(found[line.key])
        return found

    def _before(self, line: Line, last: dt.date) -> list[dt.date]:
        """Return the days up to the last one; they end where the stay ends."""
        number = lengths(line)
        if number > 1 and not self._spanned(line, last):
            reach = self._on(last).late_billing_days
            earlier = [last - back * DAY for back in range(1, reach + 1)]
            last = next((day for day in earlier if self._spanned(line, day)), last)
        return [last - back * DAY for back in reversed(range(number))]

    def _last_day(self, line: Line) -> dt.date | None:
        """Return the last day that a line entered after a death, or by a night's batch, can mean."""
        day, death = line.service_day, self._case.deaths.get(line.person)
        if death is not None and day > death:
            in_grace = line.at <= self._midnight_after(line, death) + self._on(day).posting_grace
            return death if in_grace or self._left_by(line, death) else None
        local = self._case.local(line.institution, line.at)
        at_night = local.time() < NIGHT_BATCH and not self._spanned(line, day)
        return day - DAY if at_night and self._spanned(line, day - DAY) else None

    def _left_of_stay(self, line: Line, last: dt.date, taken: set[dt.date]) -> list[dt.date]:
        """Return the latest days of the stay that no other line of the person bills."""
        reach = range(self._on(last).late_billing_days + 1)
        spanned = [last - back * DAY for back in reach if self._spanned(line, last - back * DAY)]
        free = [day for day in spanned if day not in taken]
        chosen = [*free, *(day for day in spanned if day in taken)][: lengths(line)]
        while len(chosen) < lengths(line):
            chosen.append(min(chosen) - DAY if chosen else last)
        return sorted(chosen)

    def _midnight_after(self, line: Line, day: dt.date) -> dt.datetime:
        return self._case.instant(line.institution, dt.datetime.combine(day + DAY, dt.time()))

    def _left_by(self, line: Line, death: dt.date) -> bool:
        """Return whether a stay that the line can mean ended by the death, not too long before the fee."""
        earliest = line.at - dt.timedelta(days=self._on(line.service_day).late_billing_days)
        ends = [row["discharged_at"] for row in self._stays(line) if row["discharged_at"] is not None]
        return any(end >= earliest and self._case.day(line.institution, end) <= death for end in ends)

    # -- stays

    def _stays(self, line: Line) -> list[Row]:
        """Return the stays of the line's visit, and of the person at the institution."""
        found = self._case.visits.get((line.institution, line.row["visit_id"]), [])
        others = self._case.of("stays", line.institution, line.person)
        return [*found, *(row for row in others if row not in found)]

    def _spanned(self, line: Line, day: dt.date) -> bool:
        return any(self._spans(row, day) for row in self._stays(line))

    def _spans(self, stay: Row, day: dt.date) -> bool:
        here, discharged = stay["institution_id"], stay["discharged_at"]
        ended = discharged is not None and self._case.day(here, discharged) < day
        return self._case.day(here, stay["admitted_at"]) <= day and not ended

    def _told_its_stays(self, institution: str, day: dt.date) -> bool:
        """Return whether the institution has told stays of the month of a day."""
        return (institution, day.year, day.month) in self._months

    @cached_property
    def _months(self) -> set[tuple[str, int, int]]:
        days = [
            (row["institution_id"], self._case.day(row["institution_id"], row[name]))
            for row in self._case.rows("stays")
            for name in ("admitted_at", "discharged_at")
            if row[name] is not None
        ]
        return {(institution, day.year, day.month) for institution, day in days}

    # -- one day

    def _judge_day(self, one: BedDay) -> tuple[str, str, set[str]]:
        questions = (
            self._after_death,
            self._absent,
            self._seen,
            self._outside_stay,
            self._approved_leave,
            self._on_leave,
            self._elsewhere,
            self._unexplained,
        )
        found = (question(one) for question in questions)
        return next((answer for answer in found if answer), ("insufficient", "not_seen", set()))

    def _after_death(self, one: BedDay) -> tuple[str, str, set[str]] | None:
        death = self._case.deaths.get(one.line.person)
        gone = death is not None and one.day > death
        return ("contradicted", "after_death", set()) if gone else None

    def _absent(self, one: BedDay) -> tuple[str, str, set[str]] | None:
        leaves = self._case.about("leaves", one.line.person)
        found = {
            str(check["check_id"])
            for check, at in self._missed(one)
            if check["result"] != "away_approved" and not any(covers(leave, at) for leave in leaves)
        }
        return ("contradicted", "absent_at_check", found) if found else None

    def _seen(self, one: BedDay) -> tuple[str, str, set[str]] | None:
        seen = {
            str(event["event_id"])
            for event in self._shown(one)
            if event["event_type"] in {"sign_in", "presence"}
        }
        seen |= {
            str(check["check_id"])
            for check, at in self._checks(one)
            if check["result"] == "present" and self._within(one, at)
        }
        return ("supported", "seen", {min(seen)}) if seen else None

    def _outside_stay(self, one: BedDay) -> tuple[str, str, set[str]] | None:
        told = self._told_its_stays(one.line.institution, one.day)
        outside = told and not self._spanned(one.line, one.day)
        return ("contradicted", "outside_stay", set()) if outside else None

    def _approved_leave(self, one: BedDay) -> tuple[str, str, set[str]] | None:
        longest = self._on(one.day).longest_examination
        errands = [
            leave
            for leave in self._case.of("leaves", one.line.institution, one.line.person)
            if leave["kind"] in {"examination", "transfer"}
        ]
        moments = [(str(check["check_id"]), at) for check, at in self._missed(one)]
        moments += [(str(event["event_id"]), event["occurred_at"]) for event in self._away(one)]
        explained = {
            name
            for name, at in moments
            if any(covers(leave, at) and at <= leave["left_at"] + longest for leave in errands)
        }
        return ("supported", "approved_leave", explained) if explained else None

    def _on_leave(self, one: BedDay) -> tuple[str, str, set[str]] | None:
        here = one.line.institution
        begin, end = window(one.day, self._on(one.day).bed_hours)
        for leave in self._case.of("leaves", here, one.line.person):
            back = leave["returned_at"] or leave["due_back_at"]
            gone = self._case.local(here, leave["left_at"]) <= begin
            if gone and (back is None or self._case.local(here, back) >= end):
                verdict = ("insufficient", "supported", "contradicted")[self._on(one.day).bill_on_leave]
                return verdict, "on_leave", set()
        return None

    def _elsewhere(self, one: BedDay) -> tuple[str, str, set[str]] | None:
        leaves = self._case.about("leaves", one.line.person)
        found = {
            str(event["event_id"])
            for event in self._away(one)
            if not any(covers(leave, event["occurred_at"]) for leave in leaves)
        }
        if not found or self._shown(one) or one.day in self._edges(one.line):
            return None
        return "contradicted", "elsewhere", found

    def _unexplained(self, one: BedDay) -> tuple[str, str, set[str]] | None:
        leaves = self._case.about("leaves", one.line.person)
        found = {
            str(check["check_id"])
            for check, at in self._missed(one)
            if check["result"] == "away_approved" and not any(covers(leave, at) for leave in leaves)
        }
        return ("insufficient", "unexplained_absence", found) if found else None

    # -- what is known of a day

    def _within(self, one: BedDay, at: dt.datetime, institution: str = "") -> bool:
        begin, end = window(one.day, self._on(one.day).bed_hours)
        return begin <= self._case.local(institution or one.line.institution, at) < end

    def _checks(self, one: BedDay) -> list[tuple[Row, dt.datetime]]:
        checks = self._case.of("spot_checks", one.line.institution, one.line.person)
        return [(check, check["answered_at"] or check["drawn_at"]) for check in checks]

    def _missed(self, one: BedDay) -> list[tuple[Row, dt.datetime]]:
        """Return the checks that did not find the person, during the stay and on the day."""
        stays = self._stays(one.line)
        untold = not self._told_its_stays(one.line.institution, one.day)
        return [
            (check, at)
            for check, at in self._checks(one)
            if check["result"] in {"absent", "identity_mismatch", "away_approved"}
            and self._within(one, at)
            and (untold or any(row["admitted_at"] <= at <= (row["discharged_at"] or at) for row in stays))
        ]

    def _shown(self, one: BedDay) -> list[Row]:
        """Return the verified events at the institution on the day."""
        events = self._case.of("attendance", one.line.institution, one.line.person)
        return [event for event in events if verified(event) and self._within(one, event["occurred_at"])]

    def _away(self, one: BedDay) -> list[Row]:
        """Return the verified events at other institutions on the day, by either clock."""
        return [
            event
            for event in self._case.about("attendance", one.line.person)
            if verified(event)
            and event["institution_id"] != one.line.institution
            and self._within(one, event["occurred_at"])
            and self._within(one, event["occurred_at"], event["institution_id"])
        ]

    def _edges(self, line: Line) -> set[dt.date]:
        """Return the days of admission and discharge."""
        return {
            self._case.day(row["institution_id"], row[name])
            for row in self._stays(line)
            for name in ("admitted_at", "discharged_at")
            if row[name] is not None
        }

    # -- one bed a day

    def _seconds(self, days: Sequence[BedDay]) -> Iterator[BedDay]:
        """Return the days that bill a bed too many; what is best shown is kept."""
        together: dict[tuple[str, dt.date], list[BedDay]] = defaultdict(list)
        for one in days:
            together[one.line.person, one.day].append(one)
        for (person, day), beds in together.items():
            beds.sort(key=lambda one: (RANKS[one.verdict], one.line.order))
            yield from beds[2 if self._transferred(person, day) else 1 :]

    def _transferred(self, person: str, day: dt.date) -> bool:
        """Return whether the person changed beds on a day."""
        for leave in self._case.about("leaves", person):
            back = leave["returned_at"] or leave["due_back_at"]
            here = leave["institution_id"]
            begun = self._case.day(here, leave["left_at"]) <= day
            if leave["kind"] == "transfer" and begun and (back is None or day <= self._case.day(here, back)):
                return True
        begins, ends = ([], [])  # type: tuple[list[int], list[int]]
        for place, stay in enumerate(self._case.about("stays", person)):
            here, end = stay["institution_id"], stay["discharged_at"]
            begins += [place] if self._case.day(here, stay["admitted_at"]) == day else []
            ends += [place] if end is not None and self._case.day(here, end) == day else []
        return any(one != other for one in begins for other in ends)


def line_verdict(days: Sequence[BedDay]) -> tuple[str, str, set[str]]:
    """Return the verdict of a line from those of its days, in order of time."""
    verdicts = {one.verdict for one in days}
    verdict = next(v for v in ("contradicted", "insufficient", "supported") if v in verdicts)
    mine = [one for one in days if one.verdict == verdict]
    return verdict, mine[0].reason, set().union(*(one.evidence for one in mine))


def at_stake(line: Line, days: Sequence[BedDay]) -> Decimal:
    """Return the contradicted days' share of the amount; without such a day the whole amount."""
    contradicted = sum(one.verdict == "contradicted" for one in days)
    if not contradicted:
        return line.amount
    return (line.amount * contradicted / len(days)).quantize(Decimal("0.01"), ROUND_HALF_UP)


def day_answers(days: Sequence[BedDay]) -> Mapping[tuple[str, str, dt.date], DayAnswer]:
    """Return the days' verdicts as they are written."""
    return {
        (*one.line.key, one.day): DayAnswer(one.verdict, one.reason, tuple(sorted(one.evidence)))
        for one in days
    }
