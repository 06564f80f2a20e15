"""The verdicts of the haemodialysis family: each a small question, asked in order of precedence."""

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from renzheng.central.audit.oracle.assignment import HourWish, Wish, assign, gap, serve_hours, time_left
from renzheng.central.audit.oracle.billing import Line
from renzheng.central.audit.oracle.case import Case, verified
from renzheng.central.audit.oracle.coverage import covered, share, suffices
from renzheng.central.audit.oracle.sessions import (
    DOUBTS,
    Session,
    hours_asked,
    prescribed_minutes,
    run_length,
    run_name,
)
from renzheng.central.audit.oracle.values import NIGHT_BATCH, NOTHING, LineKey, Parameters, Row

ABSENCE = ("no_session", "more_lines_than_sessions")
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
    """What kept it from being contradicted: `trace`, `run` or `attempt`."""


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
        self._on = on
        self._lines = sorted(lines, key=lambda line: line.order)
        self._sessions: dict[tuple[str, str], list[Session]] = defaultdict(list)
        self._sessions_of: dict[str, list[Session]] = defaultdict(list)
        for session in sessions:
            self._sessions[session.place].append(session)
            self._sessions_of[session.place[1]].append(session)
        self._away: dict[LineKey, set[str]] = {}
        self._hours_served: dict[LineKey, str] = {}
        self._attempts_used: dict[tuple[str, str, int, int], int] = defaultdict(int)

    def judge(self) -> Iterator[Judged]:
        """Judge every line."""
        for line in self._lines:
            self._date(line)
            self._away[line.key] = self._elsewhere_against_own(line)
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
        if self._held(line) or not self._is_after_death(line) or self._outlived(line):
            return None
        return Judged(line, "contradicted", "after_death", set())

    def _elsewhere(self, line: Line) -> Judged | None:
        found = self._away[line.key]
        if not found and not self._held(line) and not self._shown_here(line):
            margin = self._on(line.day).elsewhere_margin
            found = self._seen_elsewhere(line, line.at - margin, line.at + margin, touching=True)
        return Judged(line, "contradicted", "elsewhere", found) if found else None

    def _supported(self, line: Line) -> Judged | None:
        if line.hourly:
            if self._hours_served.get(line.key) != "in time":
                return None
            used = [session for session in line.choices if session.shown > NOTHING]
            reason = "verified_session" if all(s.signed_in_verified for s in used) else "corroborated_manual"
            return Judged(line, "supported", reason, _evidence(used))
        standings = {session.standing for session in line.sessions}
        if len(line.sessions) < line.needed or not all(session.supporting for session in line.sessions):
            return None
        weakest = "corroborated_manual" if "corroborated_manual" in standings else "verified_session"
        return Judged(line, "supported", weakest, _evidence(line.sessions))

    def _supported_late(self, line: Line) -> Judged | None:
        if line.hourly:
            used = [s for s in (*line.choices, *self._late_choices(line)) if s.shown > NOTHING]
            served = self._hours_served.get(line.key) == "late"
            return Judged(line, "supported", "billed_late", _evidence(used)) if served else None
        every = [*line.sessions, *line.late]
        if not line.late or len(every) < line.needed:
            return None
        if all(session.supporting for session in every):
            return Judged(line, "supported", "billed_late", _evidence(every))
        return Judged(line, "insufficient", "other_day", _evidence(every))

    def _too_short(self, line: Line) -> Judged | None:
        if line.hourly:
            short = line.choices and self._hours_too_short(line)
            return Judged(line, "contradicted", "too_short", _evidence(line.choices)) if short else None
        if not any(session.standing == "too_short" for session in line.sessions):
            return None
        return Judged(line, "contradicted", "too_short", _evidence([*line.sessions, *line.late]))

    def _identity_mismatch(self, line: Line) -> Judged | None:
        traces = self._traces(line)
        anything = traces.shown or traces.runs or traces.weak or traces.not_acquired
        if self._held(line) or self._held_that_day(line) or anything or not traces.mismatched:
            return None
        return Judged(line, "contradicted", "identity_mismatch", traces.mismatched)

    def _doubtful(self, line: Line) -> Judged | None:
        sessions = line.choices if line.hourly and not self._time_taken(line) else line.sessions
        standings = {session.standing for session in sessions}
        if line.hourly and sessions and not standings & set(DOUBTS):
            standings = {"no_sign_out"}
        for reason in DOUBTS:
            if reason in standings:
                return Judged(line, "insufficient", reason, _evidence([*sessions, *line.late]))
        return None

    def _bedside(self, line: Line) -> Judged | None:
        if self._on(line.day).inpatients_sign_in or not self._in_stay(line):
            return None
        return Judged(line, "insufficient", "bedside_possible", _evidence([*line.sessions, *line.late]))

    def _unseen(self, line: Line) -> Judged:
        traces = self._traces(line)
        shown = traces.shown | set(traces.runs)
        evidence = shown | traces.weak | traces.not_acquired | traces.mismatched
        evidence |= _evidence([*line.sessions, *line.late])
        if not self._coverage_says_so(line):
            return Judged(line, "insufficient", "coverage_gap", evidence)
        shield = self._shield(line, traces)
        if shield:
            return Judged(line, "insufficient", "coverage_gap", evidence, shield)
        if line.choices or line.late:
            known = {session.id for session in (*line.choices, *line.late)}
            return Judged(line, "contradicted", "more_lines_than_sessions", known)
        return Judged(line, "contradicted", "no_session", set())

    def _shield(self, line: Line, traces: Traces) -> str:
        """Return what keeps the line from being contradicted although the devices saw nobody, if anything."""
        if traces.shown:
            return "trace"
        used = self._runs_used[line.institution, line.person, line.item_class]
        free = [run for run in traces.runs if run not in used]
        if free:
            used.add(min(free))
            return "run"
        if traces.not_acquired:
            month = line.institution, line.person, line.day.year, line.day.month
            self._attempts_used[month] += 1
            if self._attempts_used[month] <= self._on(line.day).shield_attempts:
                return "attempt"
        return ""

    # -- death

    def _date(self, line: Line) -> None:
        """Date a line that a batch posted in the night after a death on the day of death."""
        death = self._case.deaths.get(line.person)
        grace = min(self._on(line.service_day).posting_grace, NIGHT_BATCH)
        if death is not None and line.service_day > death and line.at <= self._after(line, death) + grace:
            line.day = death

    def _after(self, line: Line, death: dt.date) -> dt.datetime:
        """Return the midnight after the day of death."""
        following = dt.datetime.combine(death + dt.timedelta(days=1), dt.time())
        return self._case.instant(line.institution, following)

    def _is_after_death(self, line: Line) -> bool:
        death = self._case.deaths.get(line.person)
        return death is not None and line.day > death

    def _outlived(self, line: Line) -> bool:
        """Return whether a machine's run or a stay ended in time may be what was billed later."""
        death = self._case.deaths[line.person]
        runs = [
            (run["started_at"], run["ended_at"]) for run in self._runs(line) if not self._known(line, run)
        ]
        stays = [
            (row["discharged_at"], row["discharged_at"])
            for row in self._case.of("stays", line.institution, line.person)
            if row["discharged_at"] is not None
        ]
        return any(self._in_time(line, *span, death) for span in (*runs, *stays))

    def _in_time(self, line: Line, begin: dt.datetime, end: dt.datetime, death: dt.date) -> bool:
        """Return whether something ended by the death, and not too long before the fee."""
        grace = self._on(line.service_day).posting_grace
        first = self._case.day(line.institution, begin)
        in_time = first <= death and end <= self._after(line, death) + grace
        return in_time and self._late_from(line) <= begin <= line.at

    def _late_from(self, line: Line) -> dt.datetime:
        return line.at - dt.timedelta(days=self._on(line.service_day).late_billing_days)

    # -- elsewhere

    def _elsewhere_against_own(self, line: Line) -> set[str]:
        """Return what shows the person elsewhere during every session and run here that the line may mean."""
        own = [(s.start, s.surely_until) for s in self._reachable(line) if self._alive(line, s)]
        own += [(run["started_at"], run["ended_at"]) for run in self._runs_in_reach(line)]
        safe = any(session.signed_in_verified for session in self._reachable(line))
        if not own or safe or self._signed_in_here(line):
            return set()
        found = [self._seen_elsewhere(line, *span, touching=False) for span in own]
        return set().union(*found) if all(found) else set()

    def _contradicted(self, session: Session, line: Line) -> bool:
        """Return whether a session here overlaps what shows the person elsewhere."""
        if session.signed_in_verified:
            return False
        span = session.start, session.surely_until
        return bool(self._seen_elsewhere(line, *span, touching=False))

    def _seen_elsewhere(
        self, line: Line, begin: dt.datetime, end: dt.datetime, *, touching: bool
    ) -> set[str]:
        """Return verified events and sessions of the person at other institutions within a stretch of time.

        One that recorded a leave for the moment is none of them: it sent the patient out itself.
        """
        moments = {line.at, begin} if not touching else {line.at}
        sent_out = {
            leave["institution_id"]
            for leave in self._case.about("leaves", line.person)
            if any(covers(leave, moment) for moment in moments)
        }
        there = {line.institution, *sent_out}
        spans = [
            (str(event["event_id"]), event["occurred_at"], event["occurred_at"])
            for event in self._case.about("attendance", line.person)
            if verified(event) and event["institution_id"] not in there
        ]
        spans += [
            (session.id, session.start, session.surely_until)
            for session in self._sessions_of[line.person]
            if session.signed_in_verified and session.place[0] not in there
        ]
        if touching:
            return {name for name, first, last in spans if first <= end and last >= begin}
        return {name for name, first, last in spans if first < end and last > begin}

    def _signed_in_here(self, line: Line) -> bool:
        return any(
            event["event_type"] == "sign_in"
            and self._case.day(line.institution, event["occurred_at"]) == line.day
            for event in self._events(line)
            if verified(event)
        )

    def _shown_here(self, line: Line) -> bool:
        """Return whether anything shows the person at the institution around the line."""
        if any(self._reachable(line)) or any(self._runs_in_reach(line)):
            return True
        events = [
            event for event in self._events(line) if event["outcome"] in {"match", "manual", "declined"}
        ]
        moments = [event["occurred_at"] for event in events]
        moments += [
            check["answered_at"] or check["drawn_at"]
            for check in self._case.of("spot_checks", line.institution, line.person)
            if check["result"] == "present"
        ]
        return any(self._case.day(line.institution, at) == line.day for at in moments)

    # -- assignment

    def _assign(self) -> None:
        groups: dict[tuple[str, str, str | None, bool], list[Line]] = defaultdict(list)
        for line in self._lines:
            if self._away[line.key]:
                continue
            line.choices = [
                session
                for session in self._reachable(line)
                if self._alive(line, session) and not self._contradicted(session, line)
            ]
            groups[line.institution, line.person, line.item_class, line.hourly].append(line)
        for (*_, hourly), group in groups.items():
            if hourly:
                self._assign_hours(group)
            else:
                self._assign_sessions(group)

    def _assign_sessions(self, group: Sequence[Line]) -> None:
        wishes = [Wish(line.at, line.key[1], line.needed, tuple(line.choices)) for line in group]
        for line, sessions in zip(group, assign(wishes), strict=True):
            line.sessions = sessions
        used = {session.id for line in group for session in line.sessions}
        lacking = [line for line in group if len(line.sessions) < line.needed]
        wishes = [
            Wish(
                line.at,
                line.key[1],
                line.needed - len(line.sessions),
                tuple(session for session in self._late_choices(line) if session.id not in used),
            )
            for line in lacking
        ]
        for line, sessions in zip(lacking, assign(wishes), strict=True):
            line.late = sessions

    def _assign_hours(self, group: Sequence[Line]) -> None:
        time = {s.id: s.shown for line in group for s in (*line.choices, *self._late_choices(line))}
        for stage, choices_of in (("in time", lambda line: line.choices), ("late", self._every_choice)):
            open_lines = [line for line in group if line.key not in self._hours_served]
            wishes = [
                HourWish(line.order, self._asked(line), {s.id: time[s.id] for s in choices_of(line)})
                for line in open_lines
            ]
            served = serve_hours(wishes)
            time.update(time_left(wishes, served))
            for line, is_served in zip(open_lines, served, strict=True):
                if is_served:
                    self._hours_served[line.key] = stage

    def _every_choice(self, line: Line) -> list[Session]:
        return list({s.id: s for s in (*line.choices, *self._late_choices(line))}.values())

    def _asked(self, line: Line) -> dt.timedelta:
        return hours_asked(line.quantity, self._on(line.day).min_duration_ratio)

    def _time_taken(self, line: Line) -> bool:
        """Return whether the sessions would do for the line, were there no other lines of hours."""
        return sum((s.shown for s in self._every_choice(line)), NOTHING) >= self._asked(line)

    def _hours_too_short(self, line: Line) -> bool:
        longer = max(part.shown_longer for session in line.choices for part in session.parts)
        surely = all(session.wholly_verified for session in line.choices)
        return surely and longer < self._asked(line) and not self._time_taken(line)

    def _here(self, line: Line) -> list[Session]:
        return self._sessions[line.institution, line.person]

    def _reachable(self, line: Line) -> list[Session]:
        """Return the sessions within the window of a line, or on its day."""
        match = self._on(line.day).match_window
        return [s for s in self._here(line) if gap(s, line.at) <= match or self._touches_day(line, s)]

    def _touches_day(self, line: Line, session: Session) -> bool:
        first, last = (self._case.day(line.institution, at) for at in (session.start, session.ended_at))
        return first <= line.day <= last

    def _late_choices(self, line: Line) -> list[Session]:
        """Return the sessions that a line entered late may mean."""
        return [
            session
            for session in self._here(line)
            if self._late_from(line) <= session.start <= line.at
            and self._alive(line, session)
            and not self._contradicted(session, line)
        ]

    def _alive(self, line: Line, session: Session) -> bool:
        """Return whether the session can be meant by a line that may have been entered after a death."""
        death = self._case.deaths.get(line.person)
        if death is None or line.service_day <= death:
            return True
        return self._in_time(line, session.start, session.ended_at, death)

    def _held(self, line: Line) -> bool:
        return bool(line.sessions or line.late or line.key in self._hours_served)

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
        near = self._on(line.day).mid_session
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
                if self._long_enough(line, run):
                    traces.runs.append(run_name(run))
                else:
                    traces.weak.add(run_name(run))
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
        elif event["outcome"] == "not_acquired":
            traces.not_acquired.add(name)
        elif dialysis or verified(event):
            traces.shown.add(name)
        else:
            traces.weak.add(name)

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
            own = row["visit_id"] == line.row["visit_id"] and end is not None
            if spans or (own and self._late_from(line) <= end <= line.at):
                return True
        return False

    def _coverage_says_so(self, line: Line) -> bool:
        """Return whether silence means that nobody came."""
        parameters = self._on(line.day)
        if not suffices(self._case, line.institution, line.day, parameters):
            return False
        if line.hourly or line.needed <= BUNDLE:
            return True
        lacking = line.needed - len(line.sessions) - len(line.late)
        days = [line.day - dt.timedelta(days=back) for back in range(parameters.late_billing_days + 1)]
        dark = sum(not suffices(self._case, line.institution, day, self._on(day)) for day in days)
        return dark < lacking


def _evidence(sessions: Iterable[Session]) -> set[str]:
    return set().union(*(session.evidence for session in sessions))


def covers(leave: Row, at: dt.datetime) -> bool:
    """Return whether a leave covers a moment; one without a return is open."""
    back = leave["returned_at"] or leave["due_back_at"]
    return bool(leave["left_at"] <= at and (back is None or at <= back))
