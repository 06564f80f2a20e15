"""What pages and commands read of rounds; of one that is not open, never who was drawn."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from renzheng.central.store import schema
from renzheng.contracts.ids import is_bureau

Row = Mapping[str, Any]
ROUNDS, CHECKS, ANSWERS = schema.rounds, schema.round_checks, schema.spot_checks
_SHOWN = (
    "round_id", "number", "state", "committed_at", "known_at", "due_at", "closes_at", "drawn_at",
    "published_at", "commitment", "commitment_sha256",
)  # fmt: skip


def read_institutions(connection: sa.Connection) -> list[str]:
    """Name the institutions that can be drawn from: all but bureaus."""
    table = schema.institutions
    query = sa.select(table.c.institution_id).order_by(table.c.institution_id)
    return [one for one in connection.execute(query).scalars() if not is_bureau(one)]


def read_rounds(connection: sa.Connection, limit: int = 200, offset: int = 0) -> Sequence[Row]:
    """Read the rounds, newest first, with how many checks they have and how many were answered in time."""
    answered = (
        sa.select(sa.func.count(sa.distinct(ANSWERS.c.check_id)))
        .select_from(ANSWERS.join(CHECKS, CHECKS.c.check_id == ANSWERS.c.check_id))
        .where(CHECKS.c.round_id == ROUNDS.c.round_id, ANSWERS.c.answered_at <= ROUNDS.c.closes_at)
        .scalar_subquery()
    )
    drawn = (
        sa.select(sa.func.count())
        .where(CHECKS.c.round_id == ROUNDS.c.round_id, CHECKS.c.left_out.is_(None))
        .scalar_subquery()
    )
    query = sa.select(*(ROUNDS.c[name] for name in _SHOWN), drawn.label("checks"), answered.label("answered"))
    found = connection.execute(query.order_by(ROUNDS.c.number.desc()).limit(limit).offset(offset))
    return [dict(row) for row in found.mappings()]


def count_rounds(connection: sa.Connection) -> int:
    """Count the rounds."""
    return int(connection.execute(sa.select(sa.func.count()).select_from(ROUNDS)).scalar_one())


def read_round(connection: sa.Connection, round_id: str) -> Row | None:
    """Read one round."""
    query = sa.select(*(ROUNDS.c[name] for name in (*_SHOWN, "frame", "signed", "published", "assigned")))
    row = connection.execute(query.where(ROUNDS.c.round_id == round_id)).mappings().first()
    return dict(row) if row else None
