"""Until when a doubt's next step is to be done, by whom, and how that date was counted.

Lengths are a region's, by date. A clock of the institution's stops while the bureau owes it a document, and
goes on with the working days that were left.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from zoneinfo import ZoneInfo

from renzheng.central.cases.doubts import WITH_THE_INSTITUTION, Case, Doubt, State
from renzheng.central.cases.due import Due, WorkingDays, due_after, named
from renzheng.rules.pack import Pack

STAGES: Mapping[State, str] = {
    **dict.fromkeys(WITH_THE_INSTITUTION, "statement"),
    State.SUBMITTED: "first_review",
    State.OVERDUE: "first_review",
    State.FIRST_REVIEW: "re_review",
    State.PANEL: "panel",
    State.ACCEPTED: "final",
    State.FINAL: "final",
}
"""What is to be done next in each state that has a time limit."""
REMINDERS = (50, 80)
"""Per cent of the working days after which somebody is reminded."""
Numbers = Callable[[date], Mapping[str, Decimal]]


def stage_of(doubt: Doubt) -> str | None:
    """Return the stage that is to be done next; None when nothing has a time limit."""
    if doubt.state is State.FINAL and doubt.decided_at is not None:
        return None
    return STAGES.get(doubt.state)


@dataclass(frozen=True, slots=True)
class Term:
    """When the next step on a doubt is due.

    Args:
        stage: statement, first_review, re_review, panel or final.
        since: when its clock began.
        due: until when; None while the clock stands still.
    """

    stage: str
    since: datetime
    due: Due | None


def term_of(doubt: Doubt, case: Case) -> Term | None:
    """Return when the next step on a doubt is due; None when nothing has a time limit."""
    stage = stage_of(doubt)
    if stage is None:
        return None
    if stage == "statement":
        since = doubt.clock_from or case.received_at or case.issued_at
        at, explained = case.due_at, case.due_explained
        if doubt.due_at is not None:
            at, explained = doubt.due_at, doubt.due_explained
    else:
        since, at, explained = doubt.clock_from, doubt.due_at, doubt.due_explained
    if since is None or at is None:
        return None
    return Term(stage, since, None if doubt.owed_since else Due(at, explained or ""))


@dataclass(frozen=True, slots=True)
class Clock:
    """Counts time limits.

    Args:
        numbers: the lengths on a day.
        zone: whose days are counted.
        worked: which days are working days.
    """

    numbers: Numbers
    zone: ZoneInfo
    worked: WorkingDays

    def due(self, stage: str, now: datetime) -> Due:
        """Count the time limit of a stage that begins now."""
        numbers = self.numbers(now.astimezone(self.zone).date())
        return due_after(now, int(numbers[f"{stage}_days"]), self.zone, self.worked)

    def moved(self, before: Doubt, after: Doubt, case: Case, now: datetime) -> Doubt:
        """Give a doubt that a step has changed the time limit of what is to be done next."""
        stage = stage_of(after)
        if before.owed_since and not after.owed_since and stage == "statement":
            return self._goes_on(before, after, case, now)
        if stage == stage_of(before):
            return after
        if stage is None or stage == "statement":
            return replace(after, due_at=None, due_explained=None, clock_from=None)
        due = self.due(stage, now)
        return replace(after, due_at=due.at, due_explained=due.explained, clock_from=now)

    def _goes_on(self, before: Doubt, after: Doubt, case: Case, now: datetime) -> Doubt:
        """Count the working days that were left when the clock was stopped from now on."""
        term = term_of(replace(before, owed_since=None), case)
        if term is None or term.due is None or before.owed_since is None:
            return after
        stopped, last = self._day(before.owed_since), self._last_day(term.due.at)
        left = max(sum(map(self.worked.is_worked, _days(stopped, last))), 1)
        due = due_after(now, left, self.zone, self.worked)
        stood = f"因待医保局提供材料，自{named(stopped)}起停止计算，尚余{left}个工作日；"
        said = f"{term.due.explained}{stood}{due.explained}"
        return replace(after, due_at=due.at, due_explained=said, clock_from=term.since)

    def reminder(self, term: Term | None, now: datetime) -> int:
        """Return how far a time limit has run: 0, 50, 80, or 100 when it is over, in per cent."""
        if term is None or term.due is None:
            return 0
        if now >= term.due.at:
            return 100
        days = [
            day
            for day in _days(self._day(term.since), self._last_day(term.due.at))
            if self.worked.is_worked(day)
        ]
        run = sum(day < self._day(now) for day in days)
        reached = [one for one in REMINDERS if run >= math.ceil(len(days) * one / 100)]
        return max(reached, default=0)

    def _day(self, moment: datetime) -> date:
        return moment.astimezone(self.zone).date()

    def _last_day(self, due_at: datetime) -> date:
        """Return the last day of a term that ends with the midnight after it."""
        return self._day(due_at - timedelta(microseconds=1))


def clock_of(pack: Pack, region: str | None, zone: ZoneInfo) -> Clock:
    """Return what counts the time limits of a region, by its working days."""
    return Clock(partial(pack.casework, region), zone, WorkingDays(pack.working_days(region)))


def _days(after: date, until: date) -> list[date]:
    return [after + timedelta(days=one) for one in range(1, (until - after).days + 1)]
