"""What the evidence that was recorded allows to be said of a line, by the wording of AUDIT.md.

This is not the audit: it knows which session a line bills, because the simulator put it there, and never has
to assign one. It is where a county's `allows` column comes from, so that the audit can be held against it.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Literal, TypeVar

from renzheng.bench.simulate.coverage import NEEDED, DeviceLife, covered_share
from renzheng.bench.simulate.ledger import (
    DAY,
    HOUR,
    MINUTE,
    Event,
    Leave,
    Ledger,
    Line,
    Session,
    Stay,
    Truth,
)

Row = TypeVar("Row")
Key = TypeVar("Key", bound=Hashable)
Allows = Literal["supported", "contradicted", "insufficient"]
WORST_FIRST: tuple[Allows, ...] = ("contradicted", "insufficient", "supported")
LATE_BILLING_DAYS = 31
HISTORY_DAYS = 28
USUAL_ARRIVALS = (6 * HOUR, 14 * HOUR)

ELSEWHERE_S = 60 * MINUTE
MID_SESSION_S = 60 * MINUTE
DIALYSIS_ITEMS = frozenset({"HD", "HDF", "HF", "HP"})
BED_ITEMS = frozenset({"BED", "BED2"})


class Facts:
    """Everything that was recorded, indexed by whom it is about."""

    def __init__(
        self,
        ledger: Ledger,
        sessions: Sequence[Session],
        lives: Mapping[str, Sequence[DeviceLife]],
        death_days: Mapping[str, int],
        days: int,
    ) -> None:
        self._days = days
        self._lives = lives
        self._death_days = death_days
        self._shares: dict[tuple[str, int], float] = {}
        self._stays = {stay.visit_id: stay for stay in ledger.stays}
        self._events = _grouped(ledger.events, lambda one: one.person_id)
        self._leaves = _grouped(ledger.leaves, lambda one: one.person_id)
        self._checks = _grouped(ledger.checks, lambda one: one.person_id)
        self._stays_of = _grouped(ledger.stays, lambda one: one.person_id)
        self._sessions = _grouped(sessions, lambda one: one.person_id)
        named = [run for run in ledger.machines if run.person_id]
        self._machines = _grouped(named, lambda run: (run.institution_id, str(run.person_id)))
        self._arrivals = _grouped(filter(_is_arrival, ledger.events), lambda one: one.institution_id)
        for events in (*self._events.values(), *self._arrivals.values()):
            events.sort(key=lambda event: event.at)

    def allows(self, line: Line) -> Allows | None:
        """Say what the evidence allows for a line; None when the line is not in the audit's scope."""
        if line.dropped or (line.reverses and line.quantity < 0) or not 0 <= line.at // DAY < self._days:
            return None
        if line.item in DIALYSIS_ITEMS:
            return self._bundle(line) if line.bundle or line.quantity > 1 else self._dialysis(line)
        if line.item not in BED_ITEMS:
            return None
        answers = {self._bed(line, day) for day in line.bed_days or (line.at // DAY,)}
        return next(one for one in WORST_FIRST if one in answers)

    def _after_death(self, line: Line) -> bool:
        """Whether a line is of a day after death and nothing before it could have been billed late."""
        death = self._death_days.get(line.person_id)
        return death is not None and line.at // DAY > death and line.session is None and not line.bundle

    def _bundle(self, line: Line) -> Allows:
        """Say what a line of several sessions allows: each must be shown, and none may be missing.

        What is missing refutes the line only when the devices could see on every day on which it can have
        been.
        """
        shown = [session for session in line.bundle if session.sign_in is not None]
        if len(shown) >= line.quantity:
            return "supported" if all(of_session(one) == "supported" for one in shown) else "insufficient"
        last = line.at // DAY
        watched = range(max(0, last - LATE_BILLING_DAYS), last + 1)
        seen_all = all(self._covered(line.institution_id, day) for day in watched)
        return "contradicted" if seen_all and line.truth is not Truth.GENUINE else "insufficient"

    def _on_day(self, person_id: str, day: int) -> list[Event]:
        return self._between(person_id, day * DAY, (day + 1) * DAY - 1)

    def _between(self, person_id: str, start: int, end: int) -> list[Event]:
        events = self._events.get(person_id, [])
        low = bisect_left(events, start, key=lambda event: event.at)
        return events[low : bisect_right(events, end, key=lambda event: event.at)]

    def _dialysis(self, line: Line) -> Allows:
        day = line.at // DAY
        here = [e for e in self._on_day(line.person_id, day) if e.institution_id == line.institution_id]
        if self._after_death(line):
            return "contradicted"
        if self._elsewhere(line) and not any(e.verified and e.event_type == "sign_in" for e in here):
            return "contradicted"
        if line.session is not None and line.session.sign_in is not None:
            billed_late = line.session.sign_in.at // DAY < day - 1
            answer = of_session(line.session)
            return "insufficient" if billed_late and answer == "contradicted" else answer
        if self._may_be_bedside(line, day) or (line.session is not None and line.truth is Truth.GENUINE):
            return "insufficient"  # in a real session whose fee came later, an outage hid who was there
        absent: Allows = "contradicted" if self._covered(line.institution_id, day) else "insufficient"
        return absent if line.taken else self._unsigned(line, here, absent)

    def _unsigned(self, line: Line, here: Sequence[Event], absent: Allows) -> Allows:
        """Say what a day without a sign-in that counts allows; `absent` if nothing shows the person."""
        day = line.at // DAY
        machines = [
            run
            for run in self._machines.get((line.institution_id, line.person_id), [])
            if run.start < (day + 1) * DAY and run.end >= day * DAY
        ]
        outcomes = {event.outcome for event in here}
        if machines or outcomes - {"non_match", "attack_suspected", "not_acquired"}:
            return "insufficient"
        return "contradicted" if outcomes & {"non_match", "attack_suspected"} else absent

    def _elsewhere(self, line: Line) -> bool:
        """Whether the person was elsewhere: at the fee's time, if nothing shows them here at all."""
        if line.session is not None and line.session.sign_in is not None:
            return False
        start, end = line.at - ELSEWHERE_S, line.at + ELSEWHERE_S
        if any(
            event.verified and event.institution_id != line.institution_id
            for event in self._between(line.person_id, start, end)
        ):
            return True
        return any(
            session.institution_id != line.institution_id
            and session.sign_in is not None
            and session.sign_in.verified
            and session.sign_in.at <= end
            and (session.sign_out or session.sign_in).at >= start
            for session in self._sessions.get(line.person_id, [])
        )

    def _may_be_bedside(self, line: Line, day: int) -> bool:
        """Whether the person is an inpatient there, whom the unit's kiosk need not have seen."""
        return any(
            stay.institution_id == line.institution_id and _spans(stay, day * DAY, (day + 1) * DAY)
            for stay in self._stays_of.get(line.person_id, ())
        )

    def _covered(self, institution_id: str, day: int) -> bool:
        """Whether the devices could see: in the whole window, and in the hours in which people arrive."""
        key = institution_id, day
        if key not in self._shares:
            lives = [life for life in self._lives.get(institution_id, ()) if life.purpose == "dialysis"]
            hours = self._arrival_hours(institution_id, day)
            self._shares[key] = min(covered_share(lives, day), covered_share(lives, day, hours))
        return self._shares[key] >= NEEDED

    def _arrival_hours(self, institution_id: str, day: int) -> tuple[int, int]:
        """Return the hours of four fifths of the verified sign-ins of four weeks, in seconds of the day."""
        arrived = self._arrivals.get(institution_id, [])
        first_at, last_at = (day - HISTORY_DAYS) * DAY, day * DAY
        low = bisect_left(arrived, first_at, key=lambda event: event.at)
        high = bisect_left(arrived, last_at, key=lambda event: event.at)
        hours = sorted(event.at % DAY // HOUR for event in arrived[low:high])
        if not hours:
            return USUAL_ARRIVALS
        first, last = hours[-(-len(hours) // 10) - 1], hours[-(-len(hours) * 9 // 10) - 1]
        return first * HOUR, (last + 1) * HOUR

    def _bed(self, line: Line, day: int) -> Allows:  # noqa: PLR0911 - a table of cases, one a line
        start, end = day * DAY, (day + 1) * DAY
        stay = self._stays.get(line.visit_id)
        if self._after_death(line) or stay is None:
            return "contradicted"
        leaves = [leave for leave in self._leaves.get(line.person_id, []) if leave.visit_id == line.visit_id]
        checks = [
            check
            for check in self._checks.get(line.person_id, [])
            if check.institution_id == line.institution_id and start <= (check.answered_at or -1) < end
        ]
        absences = [
            c.answered_at for c in checks if c.result in {"absent", "identity_mismatch"} and c.answered_at
        ]
        if any(not _covering(leaves, at) for at in absences):
            return "contradicted"
        events = [event for event in self._on_day(line.person_id, day) if event.verified]
        seen = any(e.institution_id == line.institution_id and e.event_type != "sign_out" for e in events)
        if seen or any(check.result == "present" for check in checks):
            return "supported"
        if not _spans(stay, start, end):
            return "contradicted"
        away = [event.at for event in events if event.institution_id != line.institution_id]
        away += absences + [c.answered_at for c in checks if c.result == "away_approved" and c.answered_at]
        if any(leave.kind != "leave" for at in away for leave in _covering(leaves, at)):
            return "supported"
        if any(leave.left_at <= start and leave.end >= end for leave in leaves):
            return "insufficient"
        outside = [
            event.at
            for event in events
            if event.institution_id != line.institution_id and not _covering(leaves, event.at)
        ]
        edge = stay.admitted_at >= start or (stay.discharged_at is not None and stay.discharged_at < end)
        return "contradicted" if outside and not edge else "insufficient"


def _grouped(rows: Iterable[Row], key: Callable[[Row], Key]) -> dict[Key, list[Row]]:
    groups: dict[Key, list[Row]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return groups


def _is_arrival(event: Event) -> bool:
    return event.verified and event.event_type == "sign_in" and event.purpose == "dialysis"


def of_session(session: Session) -> Allows:
    """Say what one session's own evidence allows: rules 1, 2, 5 and 8 for the haemodialysis family."""
    sign_in = session.sign_in
    assert sign_in is not None
    if sign_in.outcome in {"manual", "declined"}:
        return (
            "supported"
            if session.machines_named or any(e.verified for e in session.presences)
            else "insufficient"
        )
    if not sign_in.verified:
        return "insufficient"
    sign_out = session.sign_out if session.sign_out is not None and session.sign_out.verified else None
    ends = [run.end for run in session.machines_named if run.end > sign_in.at]
    ends += [e.at for e in session.presences if e.verified and e.at - sign_in.at >= MID_SESSION_S]
    if sign_out is not None:
        ends.append(sign_out.at)
    if ends and max(ends) - sign_in.at >= session.need_minutes * MINUTE:
        return "supported"
    return "contradicted" if sign_out is not None else "insufficient"


def _spans(stay: Stay, start: int, end: int) -> bool:
    return stay.admitted_at < end and (stay.discharged_at is None or stay.discharged_at >= start)


def _covering(leaves: Sequence[Leave], at: int) -> list[Leave]:
    return [leave for leave in leaves if leave.left_at <= at <= leave.end]
