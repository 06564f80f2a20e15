"""Requests of persons about their own data: recorded when they come, with their due day, and counted."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from renzheng.central.cases.due import WorkingDays, due_after
from renzheng.central.settings import Settings
from renzheng.central.store import schema
from renzheng.central.store.times import from_us, to_us
from renzheng.contracts.ids import new_id

TABLE = schema.privacy_requests
Kind = Literal["copy", "delete", "who_looked", "explain"]
Outcome = Literal["answered", "refused"]


def record(connection: sa.Connection, settings: Settings, told: tuple[Kind, str, str], now: datetime) -> str:
    """Record a request; return its id.

    Args:
        connection: a writing transaction.
        settings: in how many working days it is due, and whose days those are.
        told: its kind, the person, and who took it.
        now: when it came.
    """
    kind, person_id, by = told
    zone = ZoneInfo(settings.timezone)
    due = due_after(now, settings.retention.answer_working_days, zone, WorkingDays())
    request_id = new_id()
    values = {
        "request_id": request_id, "person_id": person_id, "kind": kind, "asked_at": to_us(now),
        "taken_by": by, "due_at": to_us(due.at), "due_explained": due.explained,
    }  # fmt: skip
    connection.execute(sa.insert(TABLE).values(values))
    return request_id


def close(connection: sa.Connection, request_id: str, outcome: Outcome, why: str, now: datetime) -> None:
    """Record what a request was answered with; a refusal says why and until when."""
    values = {"answered_at": to_us(now), "outcome": outcome, "reason": why or None}
    connection.execute(sa.update(TABLE).where(TABLE.c.request_id == request_id).values(**values))


def counted(connection: sa.Connection, now: datetime) -> Mapping[str, int]:
    """Count requests: open, overdue, answered in time, answered late, refused."""
    count = {"open": 0, "overdue": 0, "in_time": 0, "late": 0, "refused": 0}
    query = sa.select(TABLE.c.due_at, TABLE.c.answered_at, TABLE.c.outcome)
    for due_at, answered_at, outcome in connection.execute(query):
        if answered_at is None:
            count["overdue" if from_us(due_at) <= now else "open"] += 1
        else:
            count["in_time" if answered_at < due_at else "late"] += 1
            count["refused"] += outcome == "refused"
    return count


def listed(connection: sa.Connection, limit: int) -> Sequence[Mapping[str, Any]]:
    """Read requests, open ones first, then the latest."""
    order = (TABLE.c.answered_at.is_not(None), TABLE.c.asked_at.desc())
    rows = connection.execute(sa.select(TABLE).order_by(*order).limit(limit)).mappings()
    return [dict(row) for row in rows]
