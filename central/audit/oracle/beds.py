"""The verdicts of bed lines: every day of a line by itself, then the line."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from functools import cached_property

from renzheng.central.audit.oracle.bed_days import BedDay, one_bed_a_day, share_stays, spread
from renzheng.central.audit.oracle.billing import Line
from renzheng.central.audit.oracle.case import Case, verified
from renzheng.central.audit.oracle.coverage import covered, window
from renzheng.central.audit.oracle.dialysis import covers
from renzheng.central.audit.oracle.stays import Stays
from renzheng.central.audit.oracle.values import NOTHING, DayAnswer, LineKey, Parameters, Row

ERRANDS = ("examination", "transfer")
FOREVER = dt.datetime(9000, 1, 1, tzinfo=dt.UTC)
Finding = tuple[str, str, set[str]]
"""Verdict, reason, evidence."""


@dataclass(frozen=True)
class Absence:
    """A moment at which the person was not where the bed is, with what the leaves make of it."""

    name: str
    covered: bool
    """By some leave."""
    explained: bool
    """By one that has not lasted longer than an errand may."""
    errand: bool
    """By an examination or a transfer of this institution."""
    check: str = ""
    """The result of the spot check; empty for a sighting elsewhere."""


class BedJudge:
    """Judges bed lines.

    Args:
        case: the tables.
        lines: those in scope, also before the period: they had their days first.
        on: the parameters of a day.
    """

    def __init__(self, case: Case, lines: Sequence[Line], on: Callable[[dt.date], Parameters]) -> None:
        self._case = case
        self._on = on
        self._lines = sorted(lines, key=lambda line: line.order)
        self._stays = Stays(case)

    def judge(self) -> list[BedDay]:
        """Judge every day of every line."""
        for one in self._days:
            one.seen = self._sightings(one)
        one_bed_a_day(self._case, self._stays, self._days)
        for one in self._days:
            one.seen = self._sightings(one)  # a night's line may now be of the day before
            one.verdict, one.reason, one.evidence = self._judge_day(one)
        return self._days

    def coverage_ratio(self, days: Sequence[BedDay]) -> float:
        """Return which share of the windows of a line's days was covered."""
        parts = [
            covered(self._case, one.line.institution, "inpatient", one.day, self._on(one.day).bed_hours)
            for one in days
        ]
        seen, whole = (sum((part[place] for part in parts), NOTHING) for place in (0, 1))
        return seen / whole

    @cached_property
    def _days(self) -> list[BedDay]:
        found = (spread(self._case, self._stays, line, self._on(line.service_day)) for line in self._lines)
        days = [one for found_days in found for one in found_days]
        share_stays(self._case, self._stays, days, self._on)
        return days

    # -- one day, in order of precedence

    def _judge_day(self, one: BedDay) -> Finding:
        questions = (
            self._after_death,
            self._twice,
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

    def _after_death(self, one: BedDay) -> Finding | None:
        death = self._case.deaths.get(one.line.person)
        gone = death is not None and one.day > death
        return ("contradicted", "after_death", set()) if gone else None

    def _twice(self, one: BedDay) -> Finding | None:
        return ("contradicted", "bed_billed_twice", {one.kept}) if one.kept else None

    def _absent(self, one: BedDay) -> Finding | None:
        found = {a.name for a in self._missed(one) if a.check != "away_approved" and not a.covered}
        return ("contradicted", "absent_at_check", found) if found else None

    def _seen(self, one: BedDay) -> Finding | None:
        return ("supported", "seen", {min(one.seen)}) if one.seen else None

    def _outside_stay(self, one: BedDay) -> Finding | None:
        told = self._stays.told(one.line.institution, one.day) or self._stays.begins_after(one.line, one.day)
        outside = told and not self._stays.spanning(one.line, one.day)
        return ("contradicted", "outside_stay", set()) if outside else None

    def _approved_leave(self, one: BedDay) -> Finding | None:
        found = {absence.name for absence in self._absences(one) if absence.errand}
        if not found:
            return None
        open_moments = self._unexplained(one)
        if open_moments is None and (away := self._elsewhere(one)):
            open_moments = "insufficient", "unexplained_absence", away[2]
        return open_moments or ("supported", "approved_leave", found)

    def _on_leave(self, one: BedDay) -> Finding | None:
        here = one.line.institution
        begin, end = window(one.day, self._on(one.day).bed_hours)
        for leave in self._case.of("leaves", here, one.line.person):
            back = leave["returned_at"] or leave["due_back_at"]
            gone = self._case.local(here, leave["left_at"]) <= begin
            if gone and (back is None or self._case.local(here, back) >= end):
                verdict = ("insufficient", "supported", "contradicted")[self._on(one.day).bill_on_leave]
                return verdict, "on_leave", set()
        return None

    def _elsewhere(self, one: BedDay) -> Finding | None:
        found = {absence.name for absence in self._away(one) if not absence.covered}
        if not found or self._shown(one) or one.day in self._stays.edges(one.line):
            return None
        return "contradicted", "elsewhere", found

    def _unexplained(self, one: BedDay) -> Finding | None:
        found = {
            absence.name
            for absence in self._absences(one)
            if not absence.explained and (absence.covered or absence.check == "away_approved")
        }
        return ("insufficient", "unexplained_absence", found) if found else None

    # -- what is known of a day

    def _within(self, one: BedDay, at: dt.datetime, institution: str = "") -> bool:
        begin, end = window(one.day, self._on(one.day).bed_hours)
        return begin <= self._case.local(institution or one.line.institution, at) < end

    def _checks(self, one: BedDay) -> list[tuple[Row, dt.datetime]]:
        checks = self._case.of("spot_checks", one.line.institution, one.line.person)
        dated = [(check, check["answered_at"] or check["drawn_at"]) for check in checks]
        return [(check, at) for check, at in dated if self._within(one, at)]

    def _shown(self, one: BedDay) -> list[Row]:
        """Return the verified events at the institution on the day."""
        events = self._case.of("attendance", one.line.institution, one.line.person)
        return [event for event in events if verified(event) and self._within(one, event["occurred_at"])]

    def _sightings(self, one: BedDay) -> set[str]:
        """Return what shows the person at the institution on the day."""
        shown = self._shown(one)
        seen = {str(event["event_id"]) for event in shown if event["event_type"] in {"sign_in", "presence"}}
        return seen | {
            str(check["check_id"]) for check, _ in self._checks(one) if check["result"] == "present"
        }

    def _absences(self, one: BedDay) -> list[Absence]:
        return [*self._missed(one), *self._away(one)]

    def _missed(self, one: BedDay) -> list[Absence]:
        """Return the checks that did not find the person, during the stay and on the day."""
        untold = not self._stays.told(one.line.institution, one.day)
        return [
            self._absence(one, str(check["check_id"]), at, check["result"])
            for check, at in self._checks(one)
            if check["result"] in {"absent", "identity_mismatch", "away_approved"}
            and (untold or self._stays.holds(one.line, at))
        ]

    def _away(self, one: BedDay) -> list[Absence]:
        """Return the verified events at other institutions on the day, by either clock."""
        return [
            self._absence(one, str(event["event_id"]), event["occurred_at"])
            for event in self._case.about("attendance", one.line.person)
            if verified(event)
            and event["institution_id"] != one.line.institution
            and self._within(one, event["occurred_at"])
            and self._within(one, event["occurred_at"], event["institution_id"])
        ]

    def _absence(self, one: BedDay, name: str, at: dt.datetime, check: str = "") -> Absence:
        longest = self._on(one.day).longest_examination
        leaves = [v for v in self._case.about("leaves", one.line.person) if covers(v, at)]
        short = [leave for leave in leaves if at <= self._since(leave, one.day) + longest]
        return Absence(
            name,
            covered=bool(leaves),
            explained=bool(short) or any(leave["kind"] == "leave" for leave in leaves),
            errand=any(
                leave["kind"] in ERRANDS and leave["institution_id"] == one.line.institution
                for leave in short
            ),
            check=check,
        )

    def _since(self, leave: Row, day: dt.date) -> dt.datetime:
        """Return when an errand began: one that follows shortly after another goes on with it."""
        pause = self._on(day).errand_pause
        since, until = leave["left_at"], None
        for errand in sorted(
            self._case.of("leaves", leave["institution_id"], leave["person_id"]),
            key=lambda v: (v["left_at"], v["returned_at"] or v["due_back_at"] or FOREVER),
        ):
            if errand["kind"] not in ERRANDS or errand["left_at"] > leave["left_at"]:
                continue
            if until is None or errand["left_at"] > until + pause:
                since, until = errand["left_at"], errand["left_at"]
            until = max(until, errand["returned_at"] or errand["due_back_at"] or FOREVER)
        begun: dt.datetime = since if leave["kind"] in ERRANDS else leave["left_at"]
        return begun


@dataclass
class BedLine:
    """A bed line with its days, in order of time."""

    line: Line
    days: list[BedDay] = field(default_factory=list)

    @property
    def verdict(self) -> Finding:
        """Return the verdict of the line: the worst of its days', with the earliest such day's reason."""
        verdicts = {one.verdict for one in self.days}
        verdict = next(v for v in ("contradicted", "insufficient", "supported") if v in verdicts)
        mine = [one for one in self.days if one.verdict == verdict]
        return verdict, mine[0].reason, set().union(*(one.evidence for one in mine))

    @property
    def at_stake(self) -> Decimal:
        """Return the contradicted days' share of the amount."""
        contradicted = sum(one.share for one in self.days if one.verdict == "contradicted")
        share = self.line.amount * contradicted / sum(one.share for one in self.days)
        return share.quantize(Decimal("0.01"), ROUND_HALF_UP)


def by_line(days: Sequence[BedDay]) -> list[BedLine]:
    """Put the days of each line together."""
    found: dict[LineKey, BedLine] = {}
    for one in sorted(days, key=lambda one: one.day):
        found.setdefault(one.line.key, BedLine(one.line)).days.append(one)
    return list(found.values())


def day_answers(days: Sequence[BedDay]) -> Mapping[tuple[str, str, dt.date], DayAnswer]:
    """Return the days' verdicts as they are written."""
    return {
        (*one.line.key, one.day): DayAnswer(one.verdict, one.reason, tuple(sorted(one.evidence)))
        for one in days
    }
