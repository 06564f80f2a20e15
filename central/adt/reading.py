"""What pages read of stays: inpatients, their leaves, and what became of messages."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from renzheng.central.store import schema, viewer

Row = Mapping[str, Any]
STAYS, LEAVES, MESSAGES = schema.stays, schema.leaves, schema.stay_messages


def read_outcomes(
    connection: sa.Connection,
    *,
    institution_id: str = "",
    outcome: str = "",
    limit: int = 50,
    offset: int = 0,
) -> Sequence[Row]:
    """Read what became of the latest messages, newest first; never what they held."""
    columns = [column for column in MESSAGES.c if column.name != "payload"]
    query = sa.select(*columns).where(*_chosen(institution_id, outcome))
    query = query.order_by(MESSAGES.c.message_number.desc()).limit(limit).offset(offset)
    return [dict(row) for row in connection.execute(query).mappings()]


def count_outcomes(connection: sa.Connection, institution_id: str = "") -> Mapping[str, int]:
    """Count messages by what became of them."""
    query = sa.select(MESSAGES.c.outcome, sa.func.count()).where(*_chosen(institution_id, ""))
    rows = connection.execute(query.group_by(MESSAGES.c.outcome).order_by(MESSAGES.c.outcome))
    return {outcome: int(count) for outcome, count in rows}


def _chosen(institution_id: str, outcome: str) -> Sequence[sa.ColumnElement[bool]]:
    wanted = ((MESSAGES.c.institution_id, institution_id), (MESSAGES.c.outcome, outcome))
    return [
        viewer.may_see(MESSAGES.c.institution_id),
        *(column == value for column, value in wanted if value),
    ]


def read_stays(
    connection: sa.Connection, institution_id: str, now_us: int, limit: int = 500
) -> Sequence[Row]:
    """Read the open stays of an institution by ward and bed, each with its leave that is open now."""
    open_leave = (
        sa.select(
            LEAVES.c.visit_id, LEAVES.c.kind, LEAVES.c.left_at, LEAVES.c.due_back_at, LEAVES.c.recorded_at
        )
        .where(LEAVES.c.institution_id == institution_id, LEAVES.c.returned_at.is_(None))
        .where(LEAVES.c.left_at <= now_us)
    )
    away = {row["visit_id"]: dict(row) for row in connection.execute(open_leave).mappings()}
    query = (
        sa.select(STAYS)
        .where(STAYS.c.institution_id == institution_id, viewer.may_see(STAYS.c.institution_id))
        .where(STAYS.c.discharged_at.is_(None) | (STAYS.c.discharged_at > now_us))
        .order_by(STAYS.c.ward, STAYS.c.bed, STAYS.c.visit_id)
        .limit(limit)
    )
    rows = [dict(row) for row in connection.execute(query).mappings()]
    viewer.note(rows)
    return [{**row, "leave": away.get(row["visit_id"])} for row in rows]
