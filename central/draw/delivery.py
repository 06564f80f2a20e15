"""What a device may fetch of rounds: sealed sheets addressed to it, and once due their opening codes."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from joserfc.jwk import OKPKey

from renzheng.central.draw.sealing import unwrap_code
from renzheng.central.store import schema
from renzheng.central.store.times import to_us
from renzheng.contracts.rounds import Opening, SealedSheet

ROUNDS, SHEETS = schema.rounds, schema.round_sheets


def sheets_for(connection: sa.Connection, device_id: str, now: datetime) -> Sequence[SealedSheet]:
    """Read the sealed sheets addressed to a device, of rounds that have not closed."""
    query = (
        sa.select(SHEETS.c.sheet)
        .join(ROUNDS, ROUNDS.c.round_id == SHEETS.c.round_id)
        .where(SHEETS.c.device_id == device_id, ROUNDS.c.closes_at > to_us(now))
        .order_by(ROUNDS.c.due_at, SHEETS.c.round_id, SHEETS.c.label)
    )
    return [SealedSheet.model_validate_json(text) for text in connection.execute(query).scalars()]


def opening_code(connection: sa.Connection, round_id: str, now: datetime, key: OKPKey) -> str | None:
    """Give a round's code, to be read out where there is no network; None unless it is due and not closed."""
    due = (ROUNDS.c.due_at <= to_us(now)) & (ROUNDS.c.closes_at > to_us(now))
    query = sa.select(ROUNDS.c.wrapped_code).where(ROUNDS.c.round_id == round_id, due)
    wrapped = connection.execute(query).scalar()
    return unwrap_code(bytes(wrapped), round_id, key) if wrapped is not None else None


def openings_for(connection: sa.Connection, device_id: str, now: datetime, key: OKPKey) -> Sequence[Opening]:
    """Give the codes of the rounds addressed to a device that are due and have not closed."""
    addressed = sa.select(SHEETS.c.round_id).where(SHEETS.c.device_id == device_id)
    query = (
        sa.select(ROUNDS.c.round_id, ROUNDS.c.wrapped_code)
        .where(ROUNDS.c.round_id.in_(addressed), ROUNDS.c.wrapped_code.is_not(None))
        .where(ROUNDS.c.due_at <= to_us(now), ROUNDS.c.closes_at > to_us(now))
        .order_by(ROUNDS.c.due_at, ROUNDS.c.round_id)
    )
    return [
        Opening(round_id=row.round_id, code=unwrap_code(bytes(row.wrapped_code), row.round_id, key))
        for row in connection.execute(query)
    ]
