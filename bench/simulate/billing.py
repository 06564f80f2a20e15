"""When hospitals enter their fees: at once, days later, or a month's sessions in one line.

Fee time is not treatment time. A third of the institutions bill by the month (dialysis per patient, beds per
stay), a tenth enter fees after the day; the rest bill as they treat.
"""

from collections import defaultdict
from collections.abc import Sequence
from enum import StrEnum

import numpy as np

from renzheng.bench.simulate.ledger import DAY, HOUR, Ledger, Line, Session, Truth
from renzheng.bench.simulate.world import Institution

BED_ITEMS = frozenset({"BED", "BED2"})
DIALYSIS_ITEMS = frozenset({"HD", "HDF", "HF"})
MONTHLY_AT_S = 17 * HOUR
LATEST_ENTRY_DAYS = 3
BUNDLED_DAYS = 28
"""A bundle reaches back so far; what lies before stands on its own, as in a hospital's second run."""


class Habit(StrEnum):
    """When an institution enters its fees."""

    AT_ONCE = "at_once"
    AFTER_THE_DAY = "after_the_day"
    BY_MONTH = "by_month"


def habits_of(institutions: Sequence[Institution]) -> dict[str, Habit]:
    """Return each institution's habit: every third bills by the month, every tenth enters fees late."""
    habits = {}
    for number, one in enumerate(institutions):
        habit = Habit.BY_MONTH if number % 3 == 1 else Habit.AT_ONCE
        habits[one.institution_id] = Habit.AFTER_THE_DAY if number % 10 == 2 else habit  # noqa: PLR2004
    return habits


def enter_fees(random: np.random.Generator, ledger: Ledger, habits: dict[str, Habit], days: int) -> None:
    """Move and merge the lines of a month as each institution enters them.

    Fees of patients for whom something was planted stay on their day: with fees three days about and one
    session too few, no evidence tells which line is the one without.

    Args:
        random: the simulation's generator.
        ledger: its lines are replaced.
        habits: by institution.
        days: how many days the simulation has.
    """
    reversed_ids = {line.reverses for line in ledger.lines if line.reverses}
    doubtful = {line.person_id for line in ledger.lines if line.truth is not Truth.GENUINE}
    moving: dict[tuple[str, str, str, str], list[Line]] = defaultdict(list)
    staying = []
    for line in ledger.lines:
        habit = habits.get(line.institution_id, Habit.AT_ONCE)
        if line.reverses or line.line_id in reversed_ids or line.truth is Truth.AFTER_DEATH:
            staying.append(line)
        elif habit is Habit.AFTER_THE_DAY and line.item in DIALYSIS_ITEMS and line.person_id not in doubtful:
            staying.append(_entered_late(random, line, days))
        elif (
            habit is Habit.BY_MONTH and line.item in DIALYSIS_ITEMS and line.at // DAY >= days - BUNDLED_DAYS
        ):
            moving[line.institution_id, line.person_id, line.item, ""].append(line)
        elif habit is Habit.BY_MONTH and line.item in BED_ITEMS:
            moving[line.institution_id, line.person_id, line.item, line.visit_id].append(line)
        else:
            staying.append(line)
    for lines in moving.values():
        staying += _bundled(lines, days)
    staying.sort(key=lambda line: (line.at, line.line_id))
    ledger.lines[:] = staying


def _entered_late(random: np.random.Generator, line: Line, days: int) -> Line:
    """Move a fee up to three days on, within the simulation."""
    if line.session is None and not line.taken:
        return line  # who bills for nothing bills at once
    line.at = min(line.at + int(random.integers(0, LATEST_ENTRY_DAYS + 1)) * DAY, days * DAY - 1)
    return line


def _bundled(lines: list[Line], days: int) -> list[Line]:
    """Make one line of those of one patient and item, or of one stay."""
    if lines[0].item in BED_ITEMS:
        return [_stay_in_one_line(lines)] if _is_one_stretch(lines) else lines
    first = lines[0]
    truths = {line.truth for line in lines}
    first.truth = next((truth for truth in Truth if truth in truths - {Truth.GENUINE}), Truth.GENUINE)
    first.bundle = tuple(_sessions(lines))
    first.session, first.taken = None, any(line.taken for line in lines)
    first.quantity = sum(line.quantity for line in lines)
    first.cents = sum(line.cents for line in lines)
    first.at = (days - 1) * DAY + MONTHLY_AT_S
    return [first]


def _sessions(lines: Sequence[Line]) -> list[Session]:
    return [line.session for line in lines if line.session is not None]


def _is_one_stretch(lines: Sequence[Line]) -> bool:
    days = sorted(line.at // DAY for line in lines)
    return days == list(range(days[0], days[0] + len(days)))


def _stay_in_one_line(lines: list[Line]) -> Line:
    last = max(lines, key=lambda line: line.at)
    last.bed_days = tuple(sorted(line.at // DAY for line in lines))
    last.quantity, last.cents = float(len(lines)), sum(line.cents for line in lines)
    return last
