"""When a patient's presence is told, and when it was told lately enough; pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from renzheng.edge.ward.crossing import Direction

BETWEEN_CROSSINGS = timedelta(minutes=1)
"""Somebody who stands in the door, to and fro, is told of once a minute."""


@dataclass(frozen=True, slots=True)
class LastReport:
    """What was told of a patient last.

    Args:
        seen_at: when the last presence was told.
        direction: the way through the entrance that was told last; None when none was.
        crossed_at: when.
    """

    seen_at: datetime
    direction: Direction | None = None
    crossed_at: datetime | None = None


def is_due(last: LastReport | None, now: datetime, direction: Direction | None, interval: timedelta) -> bool:
    """Say whether to tell a presence now.

    At most once an interval; besides, whenever the patient went through the entrance the other way than was
    told last, since the time outside begins and ends there. A wall clock that was set back must not silence
    a camera for hours, so what was told in the future counts as long ago.
    """
    if last is None or last.seen_at > now or now - last.seen_at >= interval:
        return True
    if direction is None or direction == last.direction:
        return False
    return last.crossed_at is None or now - last.crossed_at >= BETWEEN_CROSSINGS


def after(last: LastReport | None, now: datetime, direction: Direction | None) -> LastReport:
    """What is told last once a presence has been told now."""
    if direction is not None:
        return LastReport(now, direction, now)
    return LastReport(now, last.direction, last.crossed_at) if last else LastReport(now)
