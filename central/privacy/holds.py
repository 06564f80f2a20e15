"""Legal hold: what an undecided doubt rests on is not deleted, whatever its age.

A doubt that has not ended holds its person's data at central, and on devices the crops of that person's
events in the doubt's month and the days around it. The hold ends with the doubt.
"""

from calendar import monthrange
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from joserfc.jwk import OKPKey

from renzheng.central.cases.doubts import ENDED
from renzheng.central.store import schema
from renzheng.central.store.times import to_us
from renzheng.contracts.privacy import Holds, sign

AROUND = timedelta(days=7)
"""Sessions cross midnight and lines are billed late: events near the month's ends count too."""
MOST_EVENTS = 20_000
DOUBTS = schema.doubts
UNDECIDED = DOUBTS.c.state.not_in(sorted(state.value for state in ENDED))


def held_people(connection: sa.Connection) -> Mapping[str, int]:
    """Count the undecided doubts of each person who has any."""
    query = (
        sa.select(DOUBTS.c.person_id, sa.func.count().label("doubts"))
        .where(UNDECIDED, DOUBTS.c.person_id.is_not(None))
        .group_by(DOUBTS.c.person_id)
    )
    return {row.person_id: row.doubts for row in connection.execute(query)}


def held_events(connection: sa.Connection, device_id: str) -> tuple[str, ...]:
    """Name the events of a device whose crops undecided doubts may rest on."""
    events = schema.attendance
    found: set[str] = set()
    for month in connection.execute(sa.select(DOUBTS.c.month).where(UNDECIDED).distinct()).scalars().all():
        first, last = _ends(month)
        people = sa.select(DOUBTS.c.person_id).where(UNDECIDED, DOUBTS.c.month == month)
        own = sa.select(events.c.event_id).where(
            events.c.device_id == device_id,
            events.c.person_id.in_(people),
            events.c.occurred_at.between(to_us(first - AROUND), to_us(last + AROUND)),
        )
        found.update(connection.execute(own).scalars())
    return tuple(sorted(found, reverse=True)[:MOST_EVENTS])


def told(connection: sa.Connection, device_id: str, key: OKPKey, now: datetime) -> str:
    """Sign what a device must keep now; an empty list lets go of what was held before."""
    return sign(Holds(device_id=device_id, at=now, event_ids=held_events(connection, device_id)), key)


def _ends(month: str) -> tuple[datetime, datetime]:
    year, number = int(month[:4]), int(month[5:7])
    first = datetime(year, number, 1, tzinfo=UTC)
    return first, first + timedelta(days=monthrange(year, number)[1])
