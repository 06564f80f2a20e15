"""What people said to notices, counted: nobody is named."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from renzheng.central.store import schema

TABLE = schema.consents


def counted(connection: sa.Connection) -> Sequence[Mapping[str, Any]]:
    """Count, by notice, version and institution, who saw it, consented, refused, and took the consent back.

    A person counts once an institution and version, however many devices asked; what was said last counts.
    `texts` is how many different wordings a version had: more than one means that it was reused.
    """
    latest = sa.func.row_number().over(
        partition_by=(TABLE.c.person_id, TABLE.c.institution_id, TABLE.c.notice, TABLE.c.notice_version),
        order_by=sa.func.coalesce(TABLE.c.withdrawn_at, TABLE.c.said_at, TABLE.c.seen_at).desc(),
    )
    one = sa.select(TABLE, latest.label("place")).subquery()

    def count(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
        return sa.func.sum(sa.case((condition, 1), else_=0))

    taken_back = one.c.withdrawn_at.is_not(None) & (one.c.given == 0)
    query = (
        sa.select(
            one.c.notice,
            one.c.notice_version,
            one.c.institution_id,
            sa.func.count(sa.distinct(one.c.text_sha256)).label("texts"),
            count(one.c.seen_at.is_not(None)).label("seen"),
            count(one.c.given == 1).label("given"),
            count((one.c.given == 0) & one.c.withdrawn_at.is_(None)).label("refused"),
            count(taken_back).label("withdrawn"),
            count(one.c.guardian.is_not(None)).label("guardians"),
        )
        .where(one.c.place == 1)
        .group_by(one.c.notice, one.c.notice_version, one.c.institution_id)
        .order_by(one.c.notice, one.c.notice_version.desc(), one.c.institution_id)
    )
    return [dict(row) for row in connection.execute(query).mappings()]
