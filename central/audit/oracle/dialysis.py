"""The verdicts of the haemodialysis family: each a small question, asked in order of precedence."""

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from renzheng.central.audit.oracle.assignment import Demand, HourShare, HourWish, assign, gap, give_hours
from renzheng.central.audit.oracle.billing import Line
from renzheng.central.audit.oracle.case import Case, verified
from renzheng.central.audit.oracle.coverage import covered, share, suffices
from renzheng.central.audit.oracle.sessions import (
    DOUBTS,
    LET_IN,
    Session,
    hours_asked,
    prescribed_minutes,
    run_length,
    run_name,
)
from renzheng.central.audit.oracle.values import NIGHT_BATCH, NOTHING, LineKey, Parameters, Row

BUNDLE = 2
"""A line of more sessions than this speaks of several days."""


@dataclass
class Judged:
    """A verdict, before broken rows are looked at."""

    line: Line
    verdict: str
    reason: str
    evidence: set[str]
    shield: str = ""
    """What kept it from being contradicted: event, machine_run, not_acquired, stay or broken_row."""


@dataclass
class Traces:
    """What bears the person's name at the institution on the line's day, apart from known sessions."""

    shown: set[str]
    """It may have been the treatment."""
    runs: list[str]
    """Runs long enough to have been."""
    weak: set[str]
    """It cannot have been, but shows that somebody was there for the person."""
    not_acquired: set[str]
    mismatched: set[str]


class DialysisJudge:
    """Judges the lines of the haemodialysis family.

    Args:
        case: the tables.
        sessions: all of them.
        lines: those that are in scope, also around the period.
        on: the parameters of a day.
    """

    def __init__(
        self,
        case: Case,
        sessions: Sequence[Session],
        lines: Sequence[Line],
        on: Callable[[dt.date], Parameters],
    ) -> None:
        self._case = case
        self._everywhere = case
        self._on = on
        self._lines = sorted(lines, key=lambda line: line.order)
        self._sessions: dict[tuple[str, str], list[Session]] = defaultdict(list)
        self._sessions_of: dict[str, list[Session]] = defaultdict(list)
        for session in sessions:
            self._sessions[session.place].append(session)
            self._sessions_of[session.place[1]].append(session)
        self._hours: dict[LineKey, HourShare] = {}
        self._excuses: dict[LineKey, str] = {}
        self._run_excuses: dict[tuple[str, str, str | None], int] = defaultdict(int)
        self._attempts_used: dict[tuple[str, str, int, int], int] = defaultdict(int)

    def judge(self) -> Iterator[Judged]:
        """Judge every line."""
        for line in self._lines:
            self._date(line)
        self._assign()
        for line in self._lines:
            yield self._judge_line(line)

    def coverage_ratio(self, line: Line) -> float:
        """Return which share of the line's day was covered."""
        hours = self._on(line.day).coverage_hours
        return float(share(covered(self._case, line.institution, "dialysis", line.day, hours)))

    # -- in order of precedence

    def _judge_line(self, line: Line) -> Judged:
        return (
            self._after_death(line)
            or self._elsewhere(line)
            or self._supported(line)
            or self._supported_late(line)
            or self._too_short(line)
            or self._identity_mismatch(line)
            or self._doubtful(line)
            or self._bedside(line)
            or self._unseen(line)
        )

    def _after_death(self, line: Line) -> Judged | None:
        if not self._is_bare(line) or not self._is_after_death(line) or self._excuse(line):
            return None
        return Judged(line, "contradicted", "after_death", set())

    def _elsewhere(self, line: Line) -> Judged | None:
        if not self._is_bare(line):
            return None
        own = [self._conflicts(line, session) for session in self._reachable(line)]
        own += [
            self._seen_elsewhere(line, run["started_at"], run["ended_at"])
            for run in self._runs_in_reach(line)
        ]
        found = set().union(*own) if all(own) and not self._signed_in_here(line) else set()
        if not own and not self._shown_here(line):
            margin = self._on(line.day).elsewhere_margin
            found = self._seen_elsewhere(line, line.at - margin, line.at + margin, at_fee=True)
        return Judged(line, "contradicted", "elsewhere", found) if found else None

    def _supported(self, line: Line) -> Judged | None:
        if line.hourly:
            share = self._hours[line.key]
            if not share.whole or share.late:
                return None
            surely = all(session.carries == "verified_session" for session in share.sessions)
            reason = "verified_session" if surely else "corroborated_manual"
            return Judged(line, "supported", reason, _evidence(share.sessions))
        standings = {session.standing for session in line.sessions}
        if len(line.sessions) < line.needed or not all(session.supporting for session in line.sessions):
            return None
        weakest = "corroborated_manual" if "corroborated_manual" in standings else "verified_session"
        return Judged(line, "supported", weakest, _evidence(line.sessions))

    def _supported_late(self, line: Line) -> Judged | None:
        if line.hourly:
            share = self._hours[line.key]
            return (
                Judged(line, "supported", "billed_late", _evidence(share.sessions)) if share.whole else None
            )
        every = [*line.sessions, *line.late]
        if not line.late or len(every) < line.needed:
            return None
        if all(session.supporting for session in every):
            return Judged(line, "supported", "billed_late", _evidence(every))
        return Judged(line, "insufficient", "other_day", _evidence(every))

    def _too_short(self, line: Line) -> Judged | None:
        if "too_short" not in self._failing(line):
            return None
        return Judged(line, "contradicted", "too_short", self._held_evidence(line))

    def _identity_mismatch(self, line: Line) -> Judged | None:
        traces = self._traces(line)
        anything = traces.shown or traces.runs or traces.weak or traces.not_acquired
        nobody = self._is_bare(line) and not self._held_that_day(line) and not anything
        if not nobody or not traces.mismatched:
            return None
        return Judged(line, "contradicted", "identity_mismatch", traces.mismatched)

    def _doubtful(self, line: Line) -> Judged | None:
        for reason in DOUBTS:
            if reason in self._failing(line):
                return Judged(line, "insufficient", reason, self._held_evidence(line))
        return None

    def _bedside(self, line: Line) -> Judged | None:
        in_ward = (
            self._may_be_at_bed(line) and self._in_stay(line) and not self._on(line.day).inpatients_sign_in
        )
        if not in_ward and self._excuse(line) != "stay":
            return None
        return Judged(line, "insufficient", "bedside_possible", self.everything(line), "stay")

    def _may_be_at_bed(self, _line: Line) -> bool:
        """Return whether the treatment may come to the bed of an inpatient."""
        return True

    def _unseen(self, line: Line) -> Judged:
        if not self._coverage_says_so(line) or self._excuse(line) == "run":
            return Judged(line, "insufficient", "coverage_gap", self.everything(line))
        shield = self._shield(line, self._traces(line))
        if shield:
            return Judged(line, "insufficient", "coverage_gap", self.everything(line), shield)
        if line.hourly and self._hours[line.key].sessions:
            return Judged(line, "contradicted", "too_short", self._held_evidence(line))
        if line.choices or line.late:
            known = {session.id for session in line.choices} | self._held_evidence(line)
            return Judged(line, "contradicted", "more_lines_than_sessions", known)
        return Judged(line, "contradicted", "no_session", set())

    def everything(self, line: Line) -> set[str]:
        """Return the ids of all that bears the person's name about a line."""
        traces = self._traces(line)
        known = traces.shown | set(traces.runs) | traces.weak | traces.not_acquired | traces.mismatched
        return known | self._held_evidence(line)

    def _held(self, line: Line) -> list[Session]:
        """Return the sessions that the line has, or shares."""
        if line.hourly:
            return [*self._hours[line.key].sessions, *self._hours[line.key].silent]
        return [*line.sessions, *line.late]

    def _held_evidence(self, line: Line) -> set[str]:
        return _evidence(self._held(line))

    def _is_bare(self, line: Line) -> bool:
        return not self._held(line)

    def _failing(self, line: Line) -> set[str]:
        """Return what the sessions of the window lack."""
        sessions = self._hours[line.key].silent if line.hourly else line.sessions
        return {session.standing for session in sessions if not session.supporting}

    def _shield(self, line: Line, traces: Traces) -> str:
        """Return what keeps the line from being contradicted although the devices saw nobody, if anything."""
        if traces.shown:
            return "event"
        used = self._runs_used[line.institution, line.person, line.item_class]
        free = [run for run in traces.runs if run not in used]
        if free:
            used.add(min(free))
            return "machine_run"
        if traces.not_acquired:
            month = line.institution, line.person, line.day.year, line.day.month
            self._attempts_used[month] += 1
            if self._attempts_used[month] <= self._on(line.day).shield_attempts:
                return "not_acquired"
        return ""

    # -- death

    def _date(self, line: Line) -> None:
        """Date a line that a batch posted in the night after a death on the day of death."""
        death = self._case.deaths.get(line.person)
        grace = min(self._on(line.service_day).posting_grace, NIGHT_BATCH)
        if death is not None and line.service_day > death and line.at < self._after(line, death) + grace:
            line.day = death

    def _after(self, line: Line, death: dt.date) -> dt.datetime:
        """Return the midnight after the day of death."""
        following = dt.datetime.combine(death + dt.timedelta(days=1), dt.time())
        return self._case.instant(line.institution, following)

    def _is_after_death(self, line: Line) -> bool:
        death = self._case.deaths.get(line.person)
        return death is not None and line.day > death

    def _excuse(self, line: Line) -> str:
        """Return what may be behind a bare line entered after a death: a stay or a run before it."""
        if not self._is_bare(line) or not self._is_after_death(line):
            return ""
        if line.key not in self._excuses:
            self._excuses[line.key] = self._find_excuse(line, self._case.deaths[line.person])
        return self._excuses[line.key]

    def _find_excuse(self, line: Line, death: dt.date) -> str:
        for stay in self._case.of("stays", line.institution, line.person):
            begin, end = stay["admitted_at"], stay["discharged_at"]
            began = self._case.day(line.institution, begin) <= death
            grace = self._on(line.service_day).posting_grace
            by_then = end is not None and end <= self._after(line, death) + grace
            if began and by_then and end >= self._late_from(line):
                return "stay"
        runs = [
            run
            for run in self._runs(line)
            if self._in_time(line, run["started_at"], run["ended_at"], death)
            and run_length(run) * 2 >= self._on(line.day).min_session
            and not self._known(line, run)
        ]
        if not runs:
            return ""
        place = line.institution, line.person, line.item_class
        self._run_excuses[place] += 1
        return "run" if self._run_excuses[place] <= len(runs) else ""

    def _in_time(self, line: Line, begin: dt.datetime, end: dt.datetime, death: dt.date) -> bool:
        """Return whether something ended by the death, and not too long before the fee."""
        grace = self._on(line.service_day).posting_grace
        first = self._case.day(line.institution, begin)
        in_time = first <= death and end <= self._after(line, death) + grace
        return in_time and self._late_from(line) <= begin <= line.at

    def _late_from(self, line: Line) -> dt.datetime:
        return line.at - dt.timedelta(days=self._on(line.service_day).late_billing_days)

    # -- elsewhere

    def _conflicts(self, line: Line, session: Session) -> set[str]:
        """Return what shows the person elsewhere during a session here; a verified sign-in is in no conflict.

        Nor is a time that an untrusted clock wrote.
        """
        if session.signed_in_verified or not session.clock_trusted:
            return set()
        return self._seen_elsewhere(line, session.start, session.ended_at)

    def _seen_elsewhere(
        self, line: Line, begin: dt.datetime, end: dt.datetime, *, at_fee: bool = False
    ) -> set[str]:
        """Return verified events and sessions of the person at other institutions within a stretch of time.

        One that recorded a leave for that moment is none of them: it sent the patient out itself.
        """
        spans = [
            (str(event["event_id"]), event["institution_id"], event["occurred_at"], event["occurred_at"])
            for event in self._everywhere.about("attendance", line.person)
            if verified(event)
        ]
        spans += [
            (session.id, self._house(session.place[0]), session.start, session.surely_until)
            for session in self._sessions_of[line.person]
            if session.signed_in_verified
        ]
        here = self._house(line.institution)
        found = set()
        for name, there, first, last in spans:
            meets = first <= end and last >= begin if at_fee else first < end and last > begin
            moment = line.at if at_fee else max(begin, first)
            if meets and there != here and not self._sent_out(line, there, moment):
                found.add(name)
        return found

    def _sent_out(self, line: Line, institution: str, at: dt.datetime) -> bool:
        leaves = self._everywhere.of("leaves", institution, line.person)
        return any(covers(leave, at) for leave in leaves)

    def _house(self, place: str) -> str:
        """Return the institution of a place; for dialysis they are one."""
        return place

    def _signed_in_here(self, line: Line) -> bool:
        """Return whether a verified sign-in shows the person at the institution on the line's day."""
        return any(
            self._case.day(line.institution, event["occurred_at"]) == line.day
            for event in self._seen_in_the_house("attendance", line)
            if event["event_type"] == "sign_in" and verified(event)
        )

    def _shown_here(self, line: Line) -> bool:
        """Return whether anything shows the person at the institution on the line's day."""
        events = self._seen_in_the_house("attendance", line)
        moments = [event["occurred_at"] for event in events if event["outcome"] in LET_IN]
        moments += [
            check["answered_at"] or check["drawn_at"]
            for check in self._seen_in_the_house("spot_checks", line)
            if check["result"] == "present"
        ]
        return any(self._case.day(line.institution, at) == line.day for at in moments)

    def _seen_in_the_house(self, table: str, line: Line) -> list[Row]:
        """Return a table's rows about the person at the institution, in whatever room."""
        return self._everywhere.of(table, self._house(line.institution), line.person)

    # -- assignment

    def _assign(self) -> None:
        groups: dict[tuple[str, str, str | None], list[Line]] = defaultdict(list)
        for line in self._lines:
            line.choices = [
                session
                for session in self._reachable(line)
                if self._alive(line, session) and not self._conflicts(line, session)
            ]
            groups[line.institution, line.person, line.item_class].append(line)
        for group in groups.values():
            self._assign_window([line for line in group if not line.hourly])
        taken = {line.key: line.sessions for line in self._lines}
        for group in groups.values():
            used = self._assign_late([line for line in group if not line.hourly], taken)
            self._assign_hours([line for line in group if line.hourly], used)

    def _assign_window(self, group: Sequence[Line]) -> None:
        wishes = [Demand(line.at, line.key[1], line.needed, tuple(line.choices)) for line in group]
        for line, sessions in zip(group, assign(wishes), strict=True):
            line.sessions = sessions

    def _assign_late(self, group: Sequence[Line], taken: Mapping[LineKey, Sequence[Session]]) -> set[str]:
        used = {session.id for line in group for session in line.sessions}
        lacking = [line for line in group if len(line.sessions) < line.needed]
        wishes = [
            Demand(
                line.at,
                line.key[1],
                line.needed - len(line.sessions),
                tuple(
                    session
                    for session in self._late_choices(line)
                    if session.id not in used and not self._other_treatment(line, session, taken)
                ),
            )
            for line in lacking
        ]
        for line, sessions in zip(lacking, assign(wishes), strict=True):
            line.late = sessions
        return used | {session.id for line in group for session in line.late}

    def _other_treatment(
        self, line: Line, session: Session, taken: Mapping[LineKey, Sequence[Session]]
    ) -> bool:
        """Return whether a line of another day has the session for dialysis of another kind."""
        return line.alone and any(
            session.id in {held.id for held in taken[other.key]}
            for other in self._lines
            if (other.institution, other.person) == (line.institution, line.person)
            and other.alone
            and other.item_class != line.item_class
            and other.day != line.day
        )

    def _assign_hours(self, group: Sequence[Line], used: set[str]) -> None:
        """Give time to lines of hours; a session that serves a line of sessions has none left."""
        wishes = []
        for line in group:
            before = (s for s in self._late_choices(line) if s.id not in used and s not in line.choices)
            late = tuple(before)
            line.choices = [session for session in line.choices if session.id not in used]
            wishes.append(HourWish(line.at, line.key[1], self._asked(line), tuple(line.choices), late))
        for line, given in zip(group, give_hours(wishes), strict=True):
            self._hours[line.key] = given

    def _asked(self, line: Line) -> dt.timedelta:
        return hours_asked(line.quantity, self._on(line.day).hour_ratio)

    def _here(self, line: Line) -> list[Session]:
        return self._sessions[line.institution, line.person]

    def _reachable(self, line: Line) -> list[Session]:
        """Return the sessions within the window of a line, or on its day."""
        match = self._on(line.day).match_window
        return [s for s in self._here(line) if gap(s, line.at) <= match or self._touches_day(line, s)]

    def _touches_day(self, line: Line, session: Session) -> bool:
        return self._was_on(line, session, line.day)

    def _late_choices(self, line: Line) -> list[Session]:
        """Return the sessions that a line entered late may mean."""
        return [
            session
            for session in self._here(line)
            if self._late_from(line) <= session.start <= line.at
            and self._alive(line, session)
            and not self._conflicts(line, session)
        ]

    def _alive(self, line: Line, session: Session) -> bool:
        """Return whether the session can be meant by a line that may have been entered after a death."""
        death = self._case.deaths.get(line.person)
        if death is None or line.day <= death:
            return True
        return self._in_time(line, session.start, session.ended_at, death)

    def _held_that_day(self, line: Line) -> bool:
        return any(self._touches_day(line, session) for session in line.choices)

    # -- traces

    @cached_property
    def _runs_used(self) -> dict[tuple[str, str, str | None], set[str]]:
        """Runs that have kept a line of a class from being contradicted."""
        return defaultdict(set)

    def _events(self, line: Line) -> list[Row]:
        return self._case.of("attendance", line.institution, line.person)

    def _runs(self, line: Line) -> list[Row]:
        return self._case.of("machine_sessions", line.institution, line.person)

    def _runs_in_reach(self, line: Line) -> list[Row]:
        match = self._on(line.day).match_window
        return [
            run
            for run in self._runs(line)
            if max(NOTHING, run["started_at"] - line.at, line.at - run["ended_at"]) <= match
            or self._on_day(line, run)
        ]

    def _on_day(self, line: Line, run: Row) -> bool:
        first, last = (self._case.day(line.institution, run[name]) for name in ("started_at", "ended_at"))
        return first <= line.day <= last

    def _known(self, line: Line, run: Row) -> bool:
        return self._in_session(line, run["started_at"], run["ended_at"])

    def _in_session(self, line: Line, begin: dt.datetime, end: dt.datetime) -> bool:
        """Return whether something belongs to a session that is already dealt with."""
        near = self._on(line.day).near
        return any(s.start - near <= end and begin <= s.watched_until + near for s in self._here(line))

    def _traces(self, line: Line) -> Traces:
        traces = Traces(set(), [], set(), set(), set())
        for event in self._events(line):
            if line.day in self._days_of(line, event) and not self._in_session(
                line, *[event["occurred_at"]] * 2
            ):
                self._sort(event, traces)
        for run in self._runs(line):
            if self._on_day(line, run) and not self._known(line, run):
                traces.runs += [run_name(run)] if self._long_enough(line, run) else []
        for check in self._case.of("spot_checks", line.institution, line.person):
            at = check["answered_at"] or check["drawn_at"]
            present = check["result"] == "present" and self._case.day(line.institution, at) == line.day
            if present and not self._in_session(line, at, at):
                traces.shown.add(str(check["check_id"]))
        return traces

    def _days_of(self, line: Line, event: Row) -> set[dt.date]:
        """Return the days on which an event counts; that of an untrusted clock also when it was received."""
        moments = [event["occurred_at"]] + ([] if event["clock_trusted"] else [event["received_at"]])
        return {self._case.day(line.institution, at) for at in moments}

    def _sort(self, event: Row, traces: Traces) -> None:
        name, dialysis = str(event["event_id"]), event["purpose"] == "dialysis"
        if event["outcome"] in {"non_match", "attack_suspected"}:
            if event["clock_trusted"] and dialysis:
                traces.mismatched.add(name)
        elif not dialysis and not verified(event):
            traces.weak.add(name)
        elif event["outcome"] == "not_acquired":
            traces.not_acquired.add(name)
        else:
            traces.shown.add(name)

    def _long_enough(self, line: Line, run: Row) -> bool:
        """Return whether a run may have been the treatment: half of the time asked."""
        parameters = self._on(line.day)
        if line.hourly:
            return run_length(run) >= self._asked(line)
        place = line.institution, line.person, line.day
        minutes = prescribed_minutes(self._case, parameters, *place)
        asked = parameters.min_session if minutes is None else dt.timedelta(minutes=minutes)
        return run_length(run) >= asked * float(parameters.min_duration_ratio)

    # -- silence

    def _in_stay(self, line: Line) -> bool:
        """Return whether the person lay in a ward of the institution: dialysis may have come to the bed."""
        for row in self._case.of("stays", line.institution, line.person):
            first = self._case.day(line.institution, row["admitted_at"])
            end = row["discharged_at"]
            spans = first <= line.day and (end is None or line.day <= self._case.day(line.institution, end))
            earliest = line.day - dt.timedelta(days=self._on(line.day).late_billing_days)
            own = row["visit_id"] == line.row["visit_id"] and end is not None
            if spans or (own and earliest <= self._case.day(line.institution, end) <= line.day):
                return True
        return False

    def _coverage_says_so(self, line: Line) -> bool:
        """Return whether silence means that nobody came."""
        parameters = self._on(line.day)
        lacking = line.needed - len(line.sessions) - len(line.late)
        if line.hourly or line.needed <= BUNDLE:
            covered_day = suffices(self._case, line.institution, line.day, parameters)
            lacking = 1 if line.hourly else lacking
            return covered_day and self._dark_days_before(line) < lacking
        days = [line.day - dt.timedelta(days=back) for back in range(parameters.late_billing_days + 1)]
        dark = sum(not suffices(self._case, line.institution, day, self._on(day)) for day in days)
        return dark < lacking

    def _dark_days_before(self, line: Line) -> int:
        """Count the days before a fee on which an outage may have hidden its session.

        Not those on which the person is known to have had a session, or another line of the class was
        billed that no session of an earlier day serves. Where the institution is seen to enter a person's
        fees late, which of them lacks its session is the assignment's choice: all days of late billing
        count, less those that earlier lines without a session need.
        """
        rows = self._case.coverage.get((line.institution, "dialysis"), ())
        if not rows:
            return 0
        begun = min(self._case.day(line.institution, row["from_at"]) for row in rows)
        own = [
            other
            for other in self._lines
            if (other.institution, other.person) == (line.institution, line.person)
        ]
        billed = {other.day for other in own if other.item_class == line.item_class and not other.late}
        parameters = self._on(line.day)
        far = parameters.late_billing_days
        late = any(other.late and abs((other.day - line.day).days) <= far for other in own)
        reach = far if late else parameters.late_entry_days
        dark = sum(
            day >= begun
            and day not in billed
            and not any(self._was_on(line, session, day) for session in self._here(line))
            and not suffices(self._case, line.institution, day, self._on(day))
            for day in (line.day - dt.timedelta(days=back) for back in range(1, reach + 1))
        )
        return dark - (self._lacking_before(line, own, reach) if late else 0)

    def _lacking_before(self, line: Line, own: Iterable[Line], reach: int) -> int:
        """Count the sessions that the lines of covered days before a fee lack."""
        return sum(
            other.needed - len(other.sessions) - len(other.late)
            for other in own
            if 1 <= (line.day - other.day).days <= reach
            and not other.hourly
            and other.needed <= BUNDLE
            and suffices(self._case, other.institution, other.day, self._on(other.day))
        )

    def _was_on(self, line: Line, session: Session, day: dt.date) -> bool:
        first, last = (self._case.day(line.institution, at) for at in (session.start, session.ended_at))
        return first <= day <= last


def _evidence(sessions: Iterable[Session]) -> set[str]:
    return set().union(*(session.evidence for session in sessions))


def covers(leave: Row, at: dt.datetime) -> bool:
    """Return whether a leave covers a moment; one without a return is open."""
    back = leave["returned_at"] or leave["due_back_at"]
    return bool(leave["left_at"] <= at and (back is None or at <= back))
