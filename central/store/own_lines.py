"""A doctor's own lines: those billed under the doctor's number at the institutions of the account."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from renzheng.central.store import schema, viewer
from renzheng.central.store.audits import speaks
from renzheng.contracts.ids import normalised_id

VERDICTS, DAYS = schema.verdicts, schema.audit_days


def _own(account_id: str, month: str) -> list[sa.ColumnElement[bool]]:
    """Return the condition: the account is named by the doctor's number in the claims."""
    return [
        VERDICTS.c.doctor_id == normalised_id(account_id),
        VERDICTS.c.service_day.startswith(month, autoescape=True),
        viewer.may_see(VERDICTS.c.institution_id),
    ]


def read(
    connection: sa.Connection, account_id: str, month: str, limit: int, offset: int = 0
) -> tuple[int, Sequence[Mapping[str, Any]]]:
    """Read the lines of a month (`2026-03`; empty: of all) as they are judged now, the latest first."""
    source, own = VERDICTS.join(DAYS, speaks(VERDICTS)), _own(account_id, month)
    count = sa.select(sa.func.count()).select_from(source).where(*own)
    query = sa.select(VERDICTS).select_from(source).where(*own)
    order = query.order_by(VERDICTS.c.service_day.desc(), VERDICTS.c.institution_id, VERDICTS.c.line_id)
    rows = [dict(row) for row in connection.execute(order.limit(limit).offset(offset)).mappings()]
    viewer.note(rows)
    return int(connection.execute(count).scalar_one()), rows


def by_reason(connection: sa.Connection, account_id: str, month: str) -> Sequence[Mapping[str, Any]]:
    """Add the lines up by verdict, reason and rule, the most money first: what to learn from."""
    source = VERDICTS.join(DAYS, speaks(VERDICTS))
    what = (VERDICTS.c.verdict, VERDICTS.c.reason, VERDICTS.c.rule_id)
    amount = sa.func.sum(VERDICTS.c.amount_fen).label("amount_fen")
    query = sa.select(*what, sa.func.count().label("lines"), amount).select_from(source)
    query = query.where(*_own(account_id, month)).group_by(*what).order_by(amount.desc(), *what)
    return [dict(row) for row in connection.execute(query).mappings()]
