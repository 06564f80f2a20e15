"""Requests of persons about their own data: recorded when they come, with their due day, and counted."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, get_args
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from renzheng.central.cases.due import WorkingDays, due_after
from renzheng.central.privacy.errors import RequestRefusedError
from renzheng.central.settings import Settings
from renzheng.central.store import schema
from renzheng.central.store.times import from_us, to_us
from renzheng.contracts.ids import new_id

TABLE = schema.privacy_requests
Kind = Literal["copy", "correct", "delete", "who_looked", "explain"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Outcome = Literal["answered", "refused"]
LONGEST_NOTE = 1000


def record(
    connection: sa.Connection, settings: Settings, told: tuple[Kind, str, str], now: datetime, note: str = ""
) -> str:
    """Record a request; return its id.

    Args:
        connection: a writing transaction.
        settings: in how many working days it is due, and whose days those are.
        told: its kind, the person, and who took it.
        now: when it came.
        note: what exactly is asked for: what is wrong and how it should read, say.
    """
    kind, person_id, by = told
    zone = ZoneInfo(settings.timezone)
    due = due_after(now, settings.retention.answer_working_days, zone, WorkingDays())
    request_id = new_id()
    values = {
        "request_id": request_id, "person_id": person_id, "kind": kind, "asked_at": to_us(now),
        "taken_by": by, "due_at": to_us(due.at), "due_explained": due.explained,
        "note": note.strip()[:LONGEST_NOTE] or None,
    }  # fmt: skip
    connection.execute(sa.insert(TABLE).values(values))
    return request_id


def find(connection: sa.Connection, request_id: str) -> Mapping[str, Any] | None:
    """Read one request; None when there is none."""
    row = connection.execute(sa.select(TABLE).where(TABLE.c.request_id == request_id)).mappings().first()
    return None if row is None else dict(row)


def must_be_open(connection: sa.Connection, request_id: str, *kinds: Kind) -> Mapping[str, Any]:
    """Read a request that waits for an answer.

    Raises:
        RequestRefusedError: there is no such request, it is of another kind, or was answered.
    """
    row = find(connection, request_id)
    if row is None or row["answered_at"] is not None or (kinds and row["kind"] not in kinds):
        raise RequestRefusedError(
            "There is no open request of this kind by this number.",
            why="It was answered meanwhile, or something else was asked for.",
            do="See the list of requests (/privacy/requests).",
        )
    return row


def record_or_find(
    connection: sa.Connection, settings: Settings, told: tuple[Kind, str, str], now: datetime, known: str
) -> str:
    """Return the request that is answered now: `known`, which must be this person's, or a new one.

    Raises:
        RequestRefusedError: `known` is no open request of this kind and person.
    """
    if not known:
        return record(connection, settings, told, now)
    if must_be_open(connection, known, told[0])["person_id"] != told[1]:
        raise RequestRefusedError("This request is of another person.", do="See /privacy/requests.")
    return known


def close(
    connection: sa.Connection,
    request_id: str,
    outcome: Outcome,
    why: str,
    now: datetime,
    *,
    withdrawal_id: str | None = None,
) -> None:
    """Record what a request was answered with; a refusal says why and until when.

    Args:
        connection: a writing transaction.
        request_id: which; one that was answered stays as it is.
        outcome: `refused` also where it was met in part.
        why: what was done, or why not.
        now: when.
        withdrawal_id: the withdrawal that a deletion began, whose certificate proves it.
    """
    values = {
        "answered_at": to_us(now), "outcome": outcome, "reason": why or None, "withdrawal_id": withdrawal_id
    }  # fmt: skip
    own = (TABLE.c.request_id == request_id) & TABLE.c.answered_at.is_(None)
    connection.execute(sa.update(TABLE).where(own).values(**values))


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


def listed(connection: sa.Connection, limit: int, offset: int = 0) -> tuple[int, Sequence[Mapping[str, Any]]]:
    """Read requests and how many there are: open ones first, the earliest due on top, then the latest."""
    total = connection.execute(sa.select(sa.func.count()).select_from(TABLE)).scalar_one()
    waits = TABLE.c.answered_at.is_(None)
    order = (sa.not_(waits), sa.case((waits, TABLE.c.due_at)), TABLE.c.asked_at.desc(), TABLE.c.request_id)
    rows = connection.execute(sa.select(TABLE).order_by(*order).limit(limit).offset(offset)).mappings()
    return total, [dict(row) for row in rows]
