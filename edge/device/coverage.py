"""Coverage: the stretches in which this kiosk could have seen someone; pure.

The agent beats at an interval with the state it is in. Each beat extends the open stretch, and closes it when
the state changes, when it is long enough to be told, or when beats failed to come: then the time without
beats is `down`. The open stretch is kept durably at each beat, so that after a crash everything from the
last beat on is `down` and never `up`.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from renzheng.contracts.events import CoverageState


@dataclass(frozen=True, slots=True)
class Stretch:
    """A closed stretch, half open in time: [from_at, to_at)."""

    from_at: datetime
    to_at: datetime
    state: CoverageState
    cause: str | None = None


@dataclass(frozen=True, slots=True)
class CoverageStatus:
    """What the device can see at one moment, and why not when it cannot."""

    state: CoverageState
    cause: str | None = None


@dataclass(frozen=True, slots=True)
class OpenStretch:
    """The stretch that is still growing: [since, last_beat) so far."""

    since: datetime
    last_beat: datetime
    standing: CoverageStatus

    def close(self, at: datetime) -> list[Stretch]:
        """End it; an empty stretch is none."""
        if at <= self.since:
            return []
        return [Stretch(self.since, at, self.standing.state, self.standing.cause)]


@dataclass(frozen=True, slots=True)
class Intervals:
    """When beats are missing, and how long a stretch may grow before it is told.

    Args:
        longest_silence: beats further apart than this leave a `down` stretch between them.
        tell_every: an unchanged stretch is closed and told at this length.
    """

    longest_silence: timedelta
    tell_every: timedelta


def begin(now: datetime, standing: CoverageStatus) -> OpenStretch:
    """Open the first stretch."""
    return OpenStretch(now, now, standing)


def beat(
    open_: OpenStretch, now: datetime, standing: CoverageStatus, intervals: Intervals
) -> tuple[OpenStretch, list[Stretch]]:
    """Take one beat; return the stretch that is open now and those that it closed."""
    if now < open_.last_beat:  # the wall clock went back: what was seen stands, a new stretch begins
        return begin(now, standing), open_.close(open_.last_beat)
    if now - open_.last_beat > intervals.longest_silence:
        silent = Stretch(open_.last_beat, now, CoverageState.DOWN, "no_heartbeat")
        return begin(now, standing), [*open_.close(open_.last_beat), silent]
    if standing != open_.standing:
        return begin(now, standing), open_.close(now)
    if now - open_.since >= intervals.tell_every:
        return begin(now, standing), open_.close(now)
    return replace(open_, last_beat=now), []


def resume(last: OpenStretch, now: datetime, *, stopped: bool) -> list[Stretch]:
    """Account for the time up to a start.

    Args:
        last: the open stretch as it was last kept.
        now: when the agent starts again.
        stopped: the agent had stopped on purpose, rather than crashed.

    Returns:
        What `last` had seen, and the time since its last beat as `down`. A clock that stands before the
        last beat gives no down stretch: how long it was is not known.
    """
    closed = last.close(last.last_beat)
    if now <= last.last_beat:
        return closed
    return [*closed, Stretch(last.last_beat, now, CoverageState.DOWN, "stopped" if stopped else "crashed")]
