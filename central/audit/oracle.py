"""The verdicts once more, in plain Python: slow, obvious, and written apart from the SQL.

It is what the engines are held against in the tests, on generated cases and on the rules' own examples, and
the place to look up what a verdict means when the SQL seems unclear. It reads whole tables as lists of rows
and tries all assignments, so it is for small cases only.
"""

import datetime as dt
import itertools
import zoneinfo
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

Row = Mapping[str, Any]
Tables = Mapping[str, Sequence[Row]]

FAMILY = ("haemodialysis", "haemodiafiltration", "haemofiltration", "haemoperfusion")
MARGIN = dt.timedelta(days=3)
NEVER = dt.datetime(1, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Parameters:
    """The parameters of the line verdicts, with the values of the national pack."""

    match_window: dt.timedelta = dt.timedelta(hours=12)
    max_session: dt.timedelta = dt.timedelta(hours=12)
    mid_session: dt.timedelta = dt.timedelta(minutes=60)
    min_duration_ratio: Decimal = Decimal("0.5")
    min_session: dt.timedelta = dt.timedelta(minutes=90)
    elsewhere_margin: dt.timedelta = dt.timedelta(minutes=60)
    coverage_needed: Decimal = Decimal("0.95")
    coverage_hours: tuple[int, int] = (5, 24)
    bed_hours: tuple[int, int] = (0, 24)


@dataclass(frozen=True)
class Answer:
    """What the oracle says of one line."""

    verdict: str
    reason: str
    coverage_ratio: float
    evidence: tuple[str, ...]


@dataclass
class Session:
    """A dialysis session as far as the oracle has put it together."""

    sign_in: Row
    sign_out: Row | None = None
    next_sign_in: dt.datetime | None = None
    run: Row | None = None
    presence: Row | None = None
    standing: str = ""
    shown_later: dt.timedelta = dt.timedelta()
    """By a machine that began to run only after the sign-out."""
    ended_at: dt.datetime = NEVER
    watched_until: dt.datetime = NEVER

    @property
    def id(self) -> str:
        """Name the session by its sign-in."""
        return str(self.sign_in["event_id"])

    @property
    def start(self) -> dt.datetime:
        """Return the moment of the sign-in."""
        at: dt.datetime = self.sign_in["occurred_at"]
        return at

    @property
    def supporting(self) -> bool:
        """Tell whether it would support a line."""
        return self.standing in {"verified_session", "corroborated_manual"}

    @property
    def evidence(self) -> set[str]:
        """Collect the ids of what makes it up."""
        found = {self.id}
        found |= {str(event["event_id"]) for event in (self.sign_out, self.presence) if event}
        return found | ({run_name(self.run)} if self.run else set())


@dataclass
class Line:
    """A line in scope, net of its reversals."""

    row: Row
    item_class: str
    quantity: Decimal
    day: dt.date
    sessions: list[Session] = field(default_factory=list)
    """Assigned to it."""
    choices: list[Session] = field(default_factory=list)
    """It could have been assigned."""

    @property
    def id(self) -> str:
        """Return the line's id."""
        return str(self.row["line_id"])

    @property
    def needed(self) -> int:
        """Count the sessions it needs."""
        return max(1, int(self.quantity))


def verified(event: Row) -> bool:
    """Outcome match, presentation attack detection bona fide, clock trusted."""
    return bool(event["outcome"] == "match" and event["pad"] == "bona_fide" and event["clock_trusted"])


def run_name(run: Row) -> str:
    """Name a machine session: it has no id of its own."""
    return f"{run['machine_id']}@{int(run['started_at'].timestamp())}"


class Oracle:
    """Answers every line in scope of a few small, valid tables.

    Args:
        tables: rows by table; a table left out is empty.
        first: first local service day.
        last: last local service day, included.
        parameters: those of the line verdicts.
    """

    def __init__(
        self, tables: Tables, first: dt.date, last: dt.date, parameters: Parameters = Parameters()
    ) -> None:
        self._tables = tables
        self._first = first
        self._last = last
        self._p = parameters
        self._zones = {
            row["institution_id"]: zoneinfo.ZoneInfo(row["timezone"] or "Asia/Shanghai")
            for row in self._rows("institutions")
        }
        self._sessions = list(self._build_sessions())

    def answers(self) -> dict[str, Answer]:
        """Give each line of the period its one verdict."""
        lines = list(self._lines_in_scope())
        dialysis = [line for line in lines if line.item_class in FAMILY]
        self._assign(dialysis)
        answers = {line.id: self._dialysis(line) for line in dialysis if self._in_period(line)}
        beds = [line for line in lines if line.item_class == "bed_day" and self._in_period(line)]
        return answers | {line.id: self._bed_day(line) for line in beds}

    # -- reading

    def _rows(self, name: str) -> Sequence[Row]:
        return self._tables.get(name, ())

    def _local(self, institution: str, at: dt.datetime) -> dt.datetime:
        zone = self._zones.get(institution, zoneinfo.ZoneInfo("Asia/Shanghai"))
        return at.astimezone(zone).replace(tzinfo=None)

    def _day(self, institution: str, at: dt.datetime) -> dt.date:
        return self._local(institution, at).date()

    def _in_period(self, line: Line) -> bool:
        return self._first <= line.day <= self._last

    def _lines_in_scope(self) -> Iterator[Line]:
        classes = {row["item_code"]: row["item_class"] for row in self._rows("item_catalogue")}
        taken_back = self._taken_back()
        for row in self._rows("claim_lines"):
            kind = classes.get(row["item_code"], "other")
            day = self._day(row["institution_id"], row["service_time"])
            if kind not in (*FAMILY, "bed_day") or row["reverses_line_id"] is not None:
                continue
            if not self._first - MARGIN <= day <= self._last + MARGIN:
                continue
            quantity = row["quantity"] + taken_back.get(row["line_id"], Decimal(0))
            if row["line_id"] in taken_back and quantity <= 0:
                continue
            yield Line(row, kind, quantity, day)

    def _taken_back(self) -> dict[str, Decimal]:
        """Sum up what reversals take from each line, following a reversal of a reversal to the first line."""
        reversals = {
            row["line_id"]: row for row in self._rows("claim_lines") if row["reverses_line_id"] is not None
        }
        lost: dict[str, Decimal] = defaultdict(Decimal)
        for row in reversals.values():
            root, depth = row["reverses_line_id"], 1
            while root in reversals and depth < 4:  # noqa: PLR2004 - as deep as the steps follow
                root, depth = reversals[root]["reverses_line_id"], depth + 1
            lost[root] += -abs(row["quantity"]) if depth % 2 else row["quantity"]
        return lost

    # -- sessions

    def _build_sessions(self) -> Iterator[Session]:
        signs: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for event in self._rows("attendance"):
            if (
                event["purpose"] == "dialysis"
                and event["event_type"] in {"sign_in", "sign_out"}
                and event["outcome"] in {"match", "manual", "declined"}
            ):
                signs[event["institution_id"], event["person_id"]].append(event)
        for events in signs.values():
            events.sort(key=lambda e: (e["occurred_at"], e["event_type"] == "sign_in", e["event_id"]))
            sessions = sorted(self._pair(events), key=lambda s: (s.start, s.id))
            for session, following in itertools.pairwise(sessions):
                session.next_sign_in = following.start
            for session in sessions:
                self._witness(session)
                yield session

    def _pair(self, events: Sequence[Row]) -> Iterator[Session]:
        """Join the sign-ins and sign-outs of one person at one institution, which come in order of time."""
        ins = [event for event in events if event["event_type"] == "sign_in"]
        named = {event["session_id"] for event in ins} - {None}
        groups: dict[str, list[Row]] = defaultdict(list)
        visit, key, before = 0, "no sign-in yet", None
        for event in events:
            if event["event_type"] == "sign_in":
                repeats = (
                    before is not None
                    and before["event_type"] == "sign_in"
                    and event["occurred_at"] - before["occurred_at"] < self._p.min_session
                    and before["session_id"] == event["session_id"]
                )
                visit += not repeats
                key = f"session {event['session_id']}" if event["session_id"] else f"visit {visit}"
                groups[key].append(event)
            elif event["session_id"] in named:
                groups[f"session {event['session_id']}"].append(event)
            else:
                groups[key].append(event)
            before = event
        for members in groups.values():
            candidates = [event for event in members if event["event_type"] == "sign_in"]
            if candidates:
                sign_in = min(candidates, key=_sign_in_rank)
                outs = [event for event in members if event["event_type"] == "sign_out"]
                yield Session(sign_in, self._sign_out(sign_in, outs, named))

    def _sign_out(self, sign_in: Row, outs: Sequence[Row], named: set[str]) -> Row | None:
        possible = [
            event
            for event in outs
            if event["occurred_at"] >= sign_in["occurred_at"]
            and (
                event["session_id"] in named
                or event["occurred_at"] <= sign_in["occurred_at"] + self._p.max_session
            )
        ]
        if not possible:
            return None
        sure = [event for event in possible if verified(event)]
        if sure:
            last = max(event["occurred_at"] for event in sure)
            return min((e for e in sure if e["occurred_at"] == last), key=lambda e: str(e["event_id"]))
        return min(possible, key=lambda e: (e["occurred_at"], e["event_id"]))

    def _witness(self, session: Session) -> None:
        """Look for what shows the stay, and say what the session can do for a line."""
        sign_in, out, start = session.sign_in, session.sign_out, session.start
        longest = start + self._p.max_session
        if out is not None:
            until = out["occurred_at"] if out["clock_trusted"] else min(out["occurred_at"], longest)
        else:
            until = min(longest, session.next_sign_in or longest)
        session.watched_until = until
        here = (sign_in["institution_id"], sign_in["person_id"])
        afterwards = until
        if out is not None and verified(sign_in) and verified(out):
            afterwards = max(until, min(longest, session.next_sign_in or longest))
        runs = [
            run
            for run in self._rows("machine_sessions")
            if (run["institution_id"], run["person_id"]) == here
            and run["started_at"] <= afterwards
            and run["ended_at"] >= start
        ]
        later = [run["ended_at"] - start for run in runs if run["started_at"] > until]
        session.shown_later = max(later, default=dt.timedelta())
        during = [run for run in runs if run["started_at"] <= until]
        if during:
            session.run = min(
                during, key=lambda r: (-(r["ended_at"] - min(r["started_at"], start)), run_name(r))
            )
        seen = [
            event
            for event in self._rows("attendance")
            if (event["institution_id"], event["person_id"]) == here
            and verified(event)
            and event["event_type"] == "presence"
            and start <= event["occurred_at"] <= afterwards
            and (event["occurred_at"] <= until or event["purpose"] == "dialysis")
        ]
        if seen:
            last = max(event["occurred_at"] for event in seen)
            session.presence = min(
                (e for e in seen if e["occurred_at"] == last), key=lambda e: str(e["event_id"])
            )
        shown_ends = [start, *([session.run["ended_at"]] if session.run else [])]
        shown_ends += [session.presence["occurred_at"]] if session.presence else []
        session.ended_at = until if out is not None else max(shown_ends)
        session.standing = self._standing(session)

    def _standing(self, session: Session) -> str:  # noqa: C901, PLR0911 - one return a standing is the plain way
        sign_in, out, start = session.sign_in, session.sign_out, session.start
        required = self._required(session)
        lengths = [dt.timedelta()]
        if out is not None and verified(out):
            lengths.append(out["occurred_at"] - start)
        if session.run:
            lengths.append(session.run["ended_at"] - min(session.run["started_at"], start))
        if session.presence and session.presence["occurred_at"] - start >= self._p.mid_session:
            lengths.append(session.presence["occurred_at"] - start)
        manual = sign_in["outcome"] in {"manual", "declined"}
        if verified(sign_in) and len(lengths) > 1 and max(lengths) >= required:
            return "verified_session"
        if manual and (session.run or session.presence):
            return "corroborated_manual"
        if verified(sign_in) and out is not None and verified(out) and session.shown_later < required:
            return "too_short"
        if manual:
            return "manual_uncorroborated"
        if sign_in["pad"] != "bona_fide":
            return "pad_not_shown"
        if not sign_in["clock_trusted"]:
            return "clock_untrusted"
        if out is not None and out["outcome"] == "match" and out["occurred_at"] - start >= required:
            # it would have carried the line, had it been verified
            return "pad_not_shown" if out["pad"] != "bona_fide" else "clock_untrusted"
        return "no_sign_out"

    def _required(self, session: Session) -> dt.timedelta:
        sign_in = session.sign_in
        day = self._day(sign_in["institution_id"], session.start)
        minutes = [
            row["session_minutes"]
            for row in self._rows("prescriptions")
            if row["person_id"] == sign_in["person_id"]
            and row["institution_id"] == sign_in["institution_id"]
            and row["modality"] != "peritoneal_dialysis"
            and row["valid_from"] <= day <= (row["valid_to"] or day)
        ]
        if not minutes:
            return self._p.min_session
        return dt.timedelta(microseconds=int(min(minutes) * 60_000_000 * self._p.min_duration_ratio))

    # -- assignment

    def _assign(self, lines: Sequence[Line]) -> None:
        groups: dict[tuple[str, str, str], list[Line]] = defaultdict(list)
        for line in lines:
            if self._after_death(line):
                continue
            elsewhere = bool(self._elsewhere(line))
            line.choices = [
                session
                for session in self._sessions
                if self._could_serve(session, line) and (not elsewhere or verified(session.sign_in))
            ]
            row = line.row
            groups[row["institution_id"], row["person_id"], line.item_class].append(line)
        for group in groups.values():
            group.sort(key=lambda line: (line.row["service_time"], line.id))
            best = max(self._all_assignments(group, frozenset()), key=lambda way: self._worth(group, way))
            taken = {session.id for sessions in best for session in sessions}
            for line, sessions in zip(group, best, strict=True):
                line.sessions = list(sessions)
            for line in group:
                if line.needed > 1 and not line.sessions:
                    free = [session for session in line.choices if session.id not in taken]
                    free.sort(key=lambda s: (not s.supporting, _gap(s, line), s.start, s.id))
                    line.sessions = free[: line.needed]
                    taken |= {session.id for session in line.sessions}

    def _could_serve(self, session: Session, line: Line) -> bool:
        row, sign_in = line.row, session.sign_in
        if (sign_in["institution_id"], sign_in["person_id"]) != (row["institution_id"], row["person_id"]):
            return False
        first, last = (self._day(row["institution_id"], at) for at in (session.start, session.ended_at))
        return _gap(session, line) <= self._p.match_window or first <= line.day <= last

    def _all_assignments(
        self, lines: Sequence[Line], taken: frozenset[str]
    ) -> Iterator[tuple[tuple[Session, ...], ...]]:
        """Try everything: each line has all the sessions it needs, or none."""
        if not lines:
            yield ()
            return
        line, rest = lines[0], lines[1:]
        free = sorted((s for s in line.choices if s.id not in taken), key=lambda s: (s.start, s.id))
        for chosen in (*itertools.combinations(free, line.needed), ()):
            for others in self._all_assignments(rest, taken | {session.id for session in chosen}):
                yield (chosen, *others)

    def _worth(self, lines: Sequence[Line], way: Sequence[Sequence[Session]]) -> tuple[Any, ...]:
        served = [(line, sessions) for line, sessions in zip(lines, way, strict=True) if sessions]
        supported = sum(all(session.supporting for session in sessions) for _, sessions in served)
        gaps = sum((_gap(s, line) for line, sessions in served for s in sessions), dt.timedelta())
        # of equal ways the one that gives the earliest line the earliest session
        order = tuple(
            session in sessions
            for line, sessions in zip(lines, way, strict=True)
            for session in sorted(line.choices, key=lambda s: (s.start, s.id))
        )
        return supported, len(served), -gaps, order

    # -- verdicts

    def _dialysis(self, line: Line) -> Answer:
        verdict, reason, evidence = self._judge_dialysis(line)
        hours = self._p.coverage_hours
        return Answer(
            verdict, reason, float(self._coverage(line, "dialysis", hours)), tuple(sorted(evidence))
        )

    def _judge_dialysis(self, line: Line) -> tuple[str, str, set[str]]:  # noqa: PLR0911 - in order of precedence
        if self._after_death(line):
            return "contradicted", "after_death", set()
        elsewhere = self._elsewhere(line)
        if elsewhere and not any(verified(session.sign_in) for session in line.sessions):
            return "contradicted", "elsewhere", elsewhere
        shown = set().union(*(session.evidence for session in line.sessions))
        standings = {session.standing for session in line.sessions}
        if len(line.sessions) == line.needed and standings <= {"verified_session", "corroborated_manual"}:
            weakest = "corroborated_manual" if "corroborated_manual" in standings else "verified_session"
            return "supported", weakest, shown
        if "too_short" in standings:
            return "contradicted", "too_short", shown
        traces, attempts = self._traces(line)
        if not line.sessions and not self._held_that_day(line) and attempts and not traces:
            return "contradicted", "identity_mismatch", attempts
        for reason in ("manual_uncorroborated", "no_sign_out", "pad_not_shown", "clock_untrusted"):
            if reason in standings:
                return "insufficient", reason, shown
        coverage = self._coverage(line, "dialysis", self._p.coverage_hours)
        if traces or coverage < self._p.coverage_needed:
            return "insufficient", "coverage_gap", traces | attempts | shown
        if line.choices:
            return "contradicted", "more_lines_than_sessions", {session.id for session in line.choices}
        return "contradicted", "no_session", set()

    def _held_that_day(self, line: Line) -> bool:
        here = line.row["institution_id"]
        return any(self._day(here, s.start) <= line.day <= self._day(here, s.ended_at) for s in line.choices)

    def _after_death(self, line: Line) -> bool:
        deaths = {row["person_id"]: row["death_date"] for row in self._rows("persons")}
        death = deaths.get(line.row["person_id"])
        return death is not None and line.day > death

    def _elsewhere(self, line: Line) -> set[str]:
        """Find what shows the person at another institution around the service time; nothing if also here."""
        here, person, at = line.row["institution_id"], line.row["person_id"], line.row["service_time"]
        begin, end = at - self._p.elsewhere_margin, at + self._p.elsewhere_margin
        mine = [
            event for event in self._rows("attendance") if event["person_id"] == person and verified(event)
        ]
        for event in mine:
            signed_in = event["institution_id"] == here and event["event_type"] == "sign_in"
            if signed_in and self._day(here, event["occurred_at"]) == line.day:
                return set()
        # an institution that recorded a leave for the moment of service sent the patient out itself
        sent_out = {
            leave["institution_id"]
            for leave in self._rows("leaves")
            if leave["person_id"] == person and _covers(leave, at)
        }
        found = {
            str(event["event_id"])
            for event in mine
            if event["institution_id"] not in {here, *sent_out} and begin <= event["occurred_at"] <= end
        }
        for session in self._sessions:
            sign_in = session.sign_in
            there = sign_in["institution_id"] not in {here, *sent_out}
            overlaps = session.start <= end and _surely_until(session) >= begin
            if sign_in["person_id"] == person and there and verified(sign_in) and overlaps:
                found.add(session.id)
        return found

    def _traces(self, line: Line) -> tuple[set[str], set[str]]:  # noqa: C901 - the three kinds side by side
        """Collect what bears the person's name that day, apart from known sessions: shown, and attempts."""
        here, person = line.row["institution_id"], line.row["person_id"]
        shown: set[str] = set()
        attempts: set[str] = set()
        for event in self._rows("attendance"):
            days = {self._day(here, event["occurred_at"])}
            if not event["clock_trusted"]:
                days.add(self._day(here, event["received_at"]))
            if (event["institution_id"], event["person_id"]) != (here, person) or line.day not in days:
                continue
            if self._belongs_to_session(line, event["occurred_at"], event["occurred_at"]):
                continue
            if event["outcome"] not in {"non_match", "attack_suspected"}:
                shown.add(str(event["event_id"]))
            elif event["clock_trusted"] and event["purpose"] == "dialysis":
                attempts.add(str(event["event_id"]))
        for run in self._rows("machine_sessions"):
            first, last = (self._day(here, run[name]) for name in ("started_at", "ended_at"))
            mine = (run["institution_id"], run["person_id"]) == (here, person) and first <= line.day <= last
            if mine and not self._belongs_to_session(line, run["started_at"], run["ended_at"]):
                shown.add(run_name(run))
        for check in self._rows("spot_checks"):
            at = check["answered_at"] or check["drawn_at"]
            mine = (check["institution_id"], check["person_id"]) == (here, person)
            that_day = check["result"] == "present" and self._day(here, at) == line.day
            if mine and that_day and not self._belongs_to_session(line, at, at):
                shown.add(str(check["check_id"]))
        return shown, attempts

    def _belongs_to_session(self, line: Line, begin: dt.datetime, end: dt.datetime) -> bool:
        here = (line.row["institution_id"], line.row["person_id"])
        return any(
            (session.sign_in["institution_id"], session.sign_in["person_id"]) == here
            and begin <= session.watched_until + self._p.mid_session
            and end >= session.start - self._p.mid_session
            for session in self._sessions
        )

    def _coverage(self, line: Line, purpose: str, hours: tuple[int, int]) -> Decimal:
        """Measure which share of the day's window the devices together were up, second by microsecond."""
        here = line.row["institution_id"]
        midnight = dt.datetime.combine(line.day, dt.time())
        begin, end = (midnight + dt.timedelta(hours=hour) for hour in hours)
        stretches = sorted(
            (max(begin, self._local(here, row["from_at"])), min(end, self._local(here, row["to_at"])))
            for row in self._rows("coverage")
            if row["institution_id"] == here and row["purpose"] == purpose and row["state"] == "up"
        )
        covered, reached = dt.timedelta(), begin
        for start, stop in stretches:
            covered += max(dt.timedelta(), stop - max(start, reached))
            reached = max(reached, stop)
        return Decimal(covered // dt.timedelta(microseconds=1)) / (
            (end - begin) // dt.timedelta(microseconds=1)
        )

    def _bed_day(self, line: Line) -> Answer:
        verdict, reason, evidence = self._judge_bed_day(line)
        coverage = self._coverage(line, "inpatient", self._p.bed_hours)
        return Answer(verdict, reason, float(coverage), tuple(sorted(evidence)))

    def _judge_bed_day(self, line: Line) -> tuple[str, str, set[str]]:  # noqa: PLR0911 - in order of precedence
        here, person, visit = (line.row[name] for name in ("institution_id", "person_id", "visit_id"))
        begin, end = (
            dt.datetime.combine(line.day, dt.time()) + dt.timedelta(hours=hour) for hour in self._p.bed_hours
        )

        def today(at: dt.datetime, institution: str = here) -> bool:
            return begin <= self._local(institution, at) < end

        stays = [s for s in self._rows("stays") if (s["institution_id"], s["visit_id"]) == (here, visit)]
        every_leave = [v for v in self._rows("leaves") if v["person_id"] == person]
        leaves = [v for v in every_leave if v["institution_id"] == here]
        checks = [
            (check, check["answered_at"] or check["drawn_at"])
            for check in self._rows("spot_checks")
            if (check["institution_id"], check["person_id"]) == (here, person)
        ]
        known = bool(self._rows("stays"))
        if self._after_death(line):
            return "contradicted", "after_death", set()
        if known and not any(self._spans(stay, line.day) for stay in stays):
            return "contradicted", "outside_stay", set()
        missed = [
            (check, at)
            for check, at in checks
            if check["result"] in {"absent", "identity_mismatch", "away_approved"}
            and today(at)
            and (not known or any(s["admitted_at"] <= at <= (s["discharged_at"] or at) for s in stays))
        ]
        absent = {
            str(check["check_id"])
            for check, at in missed
            if check["result"] != "away_approved" and not any(_covers(v, at) for v in every_leave)
        }
        if absent:
            return "contradicted", "absent_at_check", absent
        events = [e for e in self._rows("attendance") if e["person_id"] == person and verified(e)]
        shown = [e for e in events if e["institution_id"] == here and today(e["occurred_at"])]
        seen = {str(e["event_id"]) for e in shown if e["event_type"] in {"sign_in", "presence"}}
        seen |= {str(c["check_id"]) for c, at in checks if c["result"] == "present" and today(at)}
        if seen:
            return "supported", "seen", {min(seen)}
        away = [
            e
            for e in events
            if e["institution_id"] != here
            and today(e["occurred_at"], e["institution_id"])
            and today(e["occurred_at"])
        ]
        errands = [leave for leave in leaves if leave["kind"] in {"examination", "transfer"}]
        explained = {str(c["check_id"]) for c, at in missed if any(_covers(v, at) for v in errands)}
        explained |= {str(e["event_id"]) for e in away if any(_covers(v, e["occurred_at"]) for v in errands)}
        if explained:
            return "supported", "approved_leave", explained
        for leave in leaves:
            back = leave["returned_at"] or leave["due_back_at"]
            if self._local(here, leave["left_at"]) <= begin and (
                back is None or self._local(here, back) >= end
            ):
                return "insufficient", "on_leave", set()
        elsewhere = {
            str(e["event_id"])
            for e in away
            if not any(_covers(leave, e["occurred_at"]) for leave in every_leave)
        }
        edges = {self._day(here, s[n]) for s in stays for n in ("admitted_at", "discharged_at") if s[n]}
        if elsewhere and not shown and line.day not in edges:
            return "contradicted", "elsewhere", elsewhere
        return "insufficient", "not_seen", set()

    def _spans(self, stay: Row, day: dt.date) -> bool:
        here = stay["institution_id"]
        discharged = stay["discharged_at"]
        return self._day(here, stay["admitted_at"]) <= day and (
            discharged is None or day <= self._day(here, discharged)
        )


def _sign_in_rank(event: Row) -> tuple[Any, ...]:
    if verified(event):
        strength = 0
    elif event["outcome"] in {"manual", "declined"}:
        strength = 1
    else:
        strength = 2 if event["pad"] == "bona_fide" else 3
    return strength, event["occurred_at"], event["event_id"]


def _gap(session: Session, line: Line) -> dt.timedelta:
    at: dt.datetime = line.row["service_time"]
    return max(dt.timedelta(), session.start - at, at - session.ended_at)


def _surely_until(session: Session) -> dt.datetime:
    out = session.sign_out
    if out is not None and out["clock_trusted"]:
        at: dt.datetime = out["occurred_at"]
        return at
    shown = [session.start]
    shown += [session.run["ended_at"]] if session.run else []
    shown += [session.presence["occurred_at"]] if session.presence else []
    return max(shown)


def _covers(leave: Row, at: dt.datetime) -> bool:
    back = leave["returned_at"] or leave["due_back_at"]
    return bool(leave["left_at"] <= at and (back is None or at <= back))
