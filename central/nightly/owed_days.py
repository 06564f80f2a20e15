"""The days that a night must audit: every billed day up to yesterday that no run has answered."""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from pathlib import Path

import sqlalchemy as sa

from renzheng.central.nightly.manifest import Manifest
from renzheng.central.store import schema

LONGEST_SPAN_DAYS = 31
"""Days in a row are made up together, up to so many in one run."""
LINES = "claim_lines"


def billed_days(lake: Path) -> list[date]:
    """Name the days on which the lake holds bills, earliest first."""
    return billed_in(Manifest.read(lake))


def billed_in(manifest: Manifest) -> list[date]:
    """Name the days on which a lake holds bills, earliest first."""
    days = {_day(part.day) for part in manifest.of(LINES)}
    return sorted(day for day in days if day is not None)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None  # `unknown`: a line without a day is nobody's debt


def owed(connection: sa.Connection, billed: Iterable[date], today: date) -> list[date]:
    """Name the billed days before `today` for which no run speaks."""
    answered = set(connection.execute(sa.select(schema.audit_days.c.service_day)).scalars())
    return [day for day in billed if day < today and day.isoformat() not in answered]


def spans(days: Iterable[date]) -> list[tuple[date, date]]:
    """Put days in a row together, latest first: tonight's answer does not wait for old ones."""
    found: list[tuple[date, date]] = []
    for day in sorted(set(days)):
        follows = found and day == found[-1][1] + timedelta(days=1)
        if follows and (day - found[-1][0]).days < LONGEST_SPAN_DAYS:
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found[::-1]


def without(days: Iterable[date], done: Sequence[tuple[date, date]]) -> list[date]:
    """Leave out what has just been answered."""
    return [day for day in days if not any(first <= day <= last for first, last in done)]
