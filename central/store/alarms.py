"""Alarms about states: open while something holds, closed when it does not any more.

Those of the ingest are about messages and counted (`refusals`); both stand in one table.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from renzheng.central.store import schema

ALARMS = schema.alarms
AGAIN_US = 300_000_000
"""How often an open alarm's last moment is written anew."""
PROOFS = frozenset({"fork", "altered", "signature", "wrong_device", "foreign_answer"})
"""Alarms that may prove a forgery: they stay until a person has seen them."""


@dataclass(frozen=True, slots=True)
class FoundProblem:
    """A state that holds now; `subject` is the device, or what else it is about."""

    subject: str
    problem: str
    detail: str
    since_us: int


def reconcile(
    connection: sa.Connection,
    kinds: Collection[str],
    found: Iterable[FoundProblem],
    now_us: int,
    mine: Callable[[str, str], bool] = lambda _problem, _subject: True,
) -> Mapping[tuple[str, str], int]:
    """Open what is new, bring up to date what goes on, close what is over; of `kinds` only.

    Args:
        connection: a transaction that writes.
        kinds: the problems that the caller looks for.
        found: what holds now.
        now_us: when it is.
        mine: tells of problem and subject whether the caller is who looks for it; what is another process's
            is left as it stands.

    Returns:
        From when on each that is open now, by subject and problem.
    """
    now = {(one.subject, one.problem): one for one in found}
    since: dict[tuple[str, str], int] = {}
    open_ = sa.select(ALARMS).where(ALARMS.c.resolved_at.is_(None), ALARMS.c.problem.in_(kinds))
    for row in connection.execute(open_).all():
        if not mine(row.problem, row.device_id):
            continue
        one = now.pop((row.device_id, row.problem), None)
        change = sa.update(ALARMS).where(ALARMS.c.alarm_id == row.alarm_id)
        if one is None:
            connection.execute(change.values(resolved_at=now_us))
            continue
        since[row.device_id, row.problem] = row.first_at
        if one.detail != row.detail or now_us - row.last_at >= AGAIN_US:
            connection.execute(change.values(detail=one.detail, last_at=now_us, times=row.times + 1))
    for one in now.values():
        connection.execute(sa.insert(ALARMS).values(**_values(one, now_us)))
        since[one.subject, one.problem] = one.since_us
    return since


def open_of(connection: sa.Connection, kinds: Collection[str]) -> list[FoundProblem]:
    """Read the open alarms of some kinds."""
    open_ = sa.select(ALARMS).where(ALARMS.c.resolved_at.is_(None), ALARMS.c.problem.in_(kinds))
    rows = connection.execute(open_.order_by(ALARMS.c.first_at))
    return [FoundProblem(row.device_id, row.problem, row.detail, row.first_at) for row in rows]


def keep_closed(connection: sa.Connection, one: FoundProblem, now_us: int) -> None:
    """Keep an alarm that could not be written while it lasted."""
    connection.execute(sa.insert(ALARMS).values(**_values(one, now_us), resolved_at=now_us))


def age(connection: sa.Connection, before_us: int, now_us: int, *, kinds: Collection[str]) -> None:
    """Close the ingest's alarms that have not come again since a moment, except those that may be proof."""
    old = (
        ALARMS.c.resolved_at.is_(None)
        & (ALARMS.c.last_at < before_us)
        & ALARMS.c.problem.not_in((*PROOFS, *kinds))
    )
    connection.execute(sa.update(ALARMS).where(old).values(resolved_at=now_us))


def close(connection: sa.Connection, alarm_id: int, now_us: int) -> bool:
    """Close one, as a person asks; False where there is none of that number open."""
    wanted = (ALARMS.c.alarm_id == alarm_id) & ALARMS.c.resolved_at.is_(None)
    return bool(connection.execute(sa.update(ALARMS).where(wanted).values(resolved_at=now_us)).rowcount)


def _values(one: FoundProblem, now_us: int) -> dict[str, object]:
    return {
        "device_id": one.subject,
        "problem": one.problem,
        "detail": one.detail,
        "sequence": None,
        "first_at": one.since_us,
        "last_at": now_us,
        "times": 1,
    }
