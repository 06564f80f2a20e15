"""Emergency access: a role for some hours that one person asks for and another allows; then reviewed."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from renzheng.central.access import accounts
from renzheng.central.access.accounts import Account
from renzheng.central.access.errors import AccountError
from renzheng.central.access.roles import BY_INSTITUTION, Permission, Role, pair_apart, permissions_of
from renzheng.central.store import schema
from renzheng.central.store.times import to_us
from renzheng.contracts.ids import new_id

TABLE = schema.emergency_access
LASTS = timedelta(hours=4)
ASKED_FOR = timedelta(hours=1)
"""How long a request waits for a second person; then it has to be made again."""
REVIEW_WITHIN = timedelta(days=1)
MOST_CHARACTERS = 1_000


def ask(connection: sa.Connection, account_id: str, role: Role, reason: str, now: datetime) -> str:
    """Ask for a role in an emergency; return the request's id.

    Raises:
        AccountError: without a reason, for a role that is bound to an institution, or for one that does not
            go together with another of the account.
    """
    account = accounts.must_read(connection, account_id)
    if not reason.strip():
        raise AccountError(
            "Emergency access needs a reason.",
            why="It is reviewed the next day.",
            do="Say what has happened.",
        )
    if role in BY_INSTITUTION:
        raise AccountError(
            f"There is no emergency access as {role}.",
            why="Such an account is bound to its institution.",
            do="Ask an administrator for an account.",
        )
    _must_go_together(account, role)
    emergency_id = new_id()
    values = {"emergency_id": emergency_id, "account_id": account_id, "role": role.value}
    told = {"reason": reason.strip()[:MOST_CHARACTERS], "asked_at": to_us(now)}
    connection.execute(sa.insert(TABLE).values({**values, **told}))
    return emergency_id


def allow(connection: sa.Connection, emergency_id: str, by: str, now: datetime) -> datetime:
    """Allow what another person has asked for; return until when.

    Raises:
        AccountError: there is no such request that waits, the same person asked, or `by` may not allow it.
    """
    row = connection.execute(sa.select(TABLE).where(TABLE.c.emergency_id == emergency_id)).first()
    waits = row is not None and row.allowed_at is None and row.asked_at > to_us(now - ASKED_FOR)
    if row is None or not waits:
        raise AccountError("No such request for emergency access waits.", do="Ask for it again.")
    if row.account_id == by:
        raise AccountError(
            "Emergency access takes two people.",
            why="Whoever asks for it cannot also allow it.",
            do="Call somebody who may allow it.",
        )
    _must_go_together(accounts.must_read(connection, row.account_id), Role(row.role))
    second = accounts.must_read(connection, by)
    if second.disabled or Permission.EMERGENCY_ALLOW not in permissions_of(second.roles):
        raise AccountError(f"{by} may not allow emergency access.")
    until = now + LASTS
    values = {"allowed_by": by, "allowed_at": to_us(now), "valid_until": to_us(until)}
    connection.execute(sa.update(TABLE).where(TABLE.c.emergency_id == emergency_id).values(values))
    return until


def _must_go_together(account: Account, role: Role) -> None:
    pair = pair_apart(account.roles | {role})
    if pair is not None:
        raise AccountError(
            f"{account.account_id} cannot be both {pair[0]} and {pair[1]}.",
            why="Whoever holds both could check, or hide, their own work.",
            do="Let another person ask for it.",
        )


def review(connection: sa.Connection, emergency_id: str, by: str, text: str, now: datetime) -> None:
    """Keep what a later look found.

    Raises:
        AccountError: there is nothing of this id to review, no text, or the reviewer used it.
    """
    row = connection.execute(sa.select(TABLE).where(TABLE.c.emergency_id == emergency_id)).first()
    if row is None or row.allowed_at is None or row.reviewed_at is not None:
        raise AccountError("No such emergency access waits for a review.")
    if by == row.account_id:
        raise AccountError(
            "Nobody reviews their own emergency access.", do="Ask another administrator or data protection."
        )
    if not text.strip():
        raise AccountError("A review says what was found.")
    values = {"reviewed_by": by, "reviewed_at": to_us(now), "review": text.strip()[:MOST_CHARACTERS]}
    connection.execute(sa.update(TABLE).where(TABLE.c.emergency_id == emergency_id).values(values))


def roles_now(connection: sa.Connection, account_id: str, now: datetime) -> frozenset[Role]:
    """Return the roles that an account has by emergencies under way."""
    query = sa.select(TABLE.c.role).where(TABLE.c.account_id == account_id, TABLE.c.valid_until > to_us(now))
    return frozenset(map(Role, connection.execute(query).scalars()))


def listed(connection: sa.Connection, limit: int = 50) -> Sequence[Mapping[str, Any]]:
    """List requests, those that wait for a review first, the latest before the others."""
    waits = TABLE.c.allowed_at.is_not(None) & TABLE.c.reviewed_at.is_(None)
    query = sa.select(TABLE).order_by(sa.case((waits, 0), else_=1), TABLE.c.asked_at.desc()).limit(limit)
    return [dict(row) for row in connection.execute(query).mappings()]


def overdue(connection: sa.Connection, now: datetime) -> int:
    """Count what nobody has reviewed within a day of its end."""
    query = sa.select(sa.func.count()).where(
        TABLE.c.valid_until < to_us(now - REVIEW_WITHIN), TABLE.c.reviewed_at.is_(None)
    )
    return connection.execute(query).scalar_one()
