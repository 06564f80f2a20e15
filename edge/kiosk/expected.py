"""Who on today's list is expected at this hour, is signed in, or has been and gone; pure.

A time on the roster says when a patient is expected. Without one, the hours of the patient's own sign-ins of
the last weeks do: whoever was mostly here at this hour before is expected now.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum

from renzheng.edge.device.store.people import PastSession, Patient

EARLY, LATE = timedelta(minutes=90), timedelta(minutes=150)
"""So long before and after the hour somebody is among those expected now: a dialysis shift is four to five
hours, its patients come within the first two."""

HISTORY = timedelta(days=28)
"""How far back sign-ins tell a patient's usual hour: twelve sessions of one who comes three times a week."""

_DAY = timedelta(days=1)


class Group(StrEnum):
    """Where on the list somebody stands."""

    NOW = "now"
    IN = "in"
    LATER = "later"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class ExpectedPatient:
    """One patient of today's list."""

    patient: Patient
    group: Group


def group_of(
    now: datetime, expected_at: time | None, past: Sequence[PastSession], open_too_long: timedelta
) -> Group:
    """Return where on the list a patient stands.

    Args:
        now: the site's local time, aware.
        expected_at: local, as the roster says; None when it does not.
        past: the patient's sessions of the last weeks, today's among them.
        open_too_long: a session open for longer is no sign that the patient is here.
    """
    if any(one.is_open and now - one.signed_in_at <= open_too_long for one in past):
        return Group.IN
    if any(_local_day(one.signed_out_at, now) == now.date() for one in past):
        return Group.DONE
    if expected_at is not None:
        return Group.NOW if _is_about(now, expected_at) else Group.LATER
    hours = [one.signed_in_at.astimezone(now.tzinfo).time() for one in past]
    about_now = sum(_is_about(now, hour) for hour in hours)
    return Group.NOW if hours and 2 * about_now > len(hours) else Group.LATER


def _local_day(at: datetime | None, now: datetime) -> date | None:
    return None if at is None else at.astimezone(now.tzinfo).date()


def _is_about(now: datetime, hour: time) -> bool:
    """Whether the time of day lies within `EARLY` before and `LATE` after `hour`, midnight or not."""
    since = timedelta(hours=now.hour - hour.hour, minutes=now.minute - hour.minute) % _DAY
    return since <= LATE or since >= _DAY - EARLY
