"""Sessions: held in the store, known by a hash, ended by idleness, by age and by their owner."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from renzheng.central.access import accounts, emergency
from renzheng.central.access.accounts import Account
from renzheng.central.access.roles import pair_apart
from renzheng.central.access.shown_once import hashed, new_session
from renzheng.central.store import schema
from renzheng.central.store.times import to_us
from renzheng.contracts.ids import new_id

TABLE = schema.account_sessions
IDLE = timedelta(minutes=15)
LONGEST = timedelta(hours=10)
CONFIRMED = timedelta(minutes=5)
"""How long a shown password, code or passkey stands for exports, releases and decisions."""
SEEN_EVERY = timedelta(seconds=30)
"""A session's last use is kept no finer than this, so that a page does not cost a second write."""


@dataclass(frozen=True, slots=True)
class Session:
    """A session that holds, and whose it is.

    Args:
        session_id: by which its owner can end it; no secret.
        account: whose, with the roles of an emergency under way.
        confirmed: the person has shown who they are within the last minutes.
        id_token: of the identity provider by which it began; None without one.
        way: by what its owner was known, words apart by a space.
    """

    session_id: str
    account: Account
    confirmed: bool
    id_token: str | None = None
    way: str = ""


@dataclass(frozen=True, slots=True)
class Came:
    """Where somebody comes from.

    Args:
        address: of the network.
        browser: as it names itself.
        session: what the browser shows already; that session ends when another begins.
    """

    address: str = ""
    browser: str = ""
    session: str = ""


def begin(
    connection: sa.Connection,
    account_id: str,
    now: datetime,
    came: Came = Came(),
    *,
    way: str = "",
    id_token: str | None = None,
) -> str:
    """Begin a session for somebody who has just shown who they are; return what the browser will show.

    Args:
        connection: a writing transaction.
        account_id: whose.
        now: when.
        came: from where.
        way: by what they are known.
        id_token: of the identity provider.
    """
    shown, now_us = new_session(), to_us(now)
    if came.session:
        before = (TABLE.c.session_hash == hashed(came.session)) & TABLE.c.ended_at.is_(None)
        connection.execute(sa.update(TABLE).where(before).values(ended_at=now_us))
    connection.execute(
        sa.insert(TABLE).values(
            session_hash=hashed(shown),
            session_id=new_id(),
            account_id=account_id,
            began_at=now_us,
            seen_at=now_us,
            confirmed_at=now_us,
            address=came.address,
            browser=came.browser[:200],
            way=way,
            id_token=id_token,
        )
    )
    return shown


def _holding(now: datetime) -> sa.ColumnElement[bool]:
    idle, old = to_us(now - IDLE), to_us(now - LONGEST)
    return TABLE.c.ended_at.is_(None) & (TABLE.c.seen_at > idle) & (TABLE.c.began_at > old)


def find(connection: sa.Connection, shown: str, now: datetime) -> tuple[Session, bool] | None:
    """Find the session that a browser shows, and whether its last use is to be kept (`touch`)."""
    query = sa.select(TABLE).where(TABLE.c.session_hash == hashed(shown), _holding(now))
    row = connection.execute(query).first()
    found = accounts.read(connection, row.account_id) if row else None
    if row is None or found is None or not found.holds(now):
        return None
    extra = emergency.roles_now(connection, found.account_id, now)
    if pair_apart(found.roles | extra):
        extra = frozenset()  # the account has got a role since that does not go together with the emergency's
    confirmed = row.confirmed_at > to_us(now - CONFIRMED) and row.seen_at > to_us(now - CONFIRMED)
    session = Session(
        row.session_id, replace(found, roles=found.roles | extra), confirmed, row.id_token, row.way
    )
    return session, row.seen_at <= to_us(now - SEEN_EVERY)


def touch(connection: sa.Connection, session_id: str, now: datetime) -> None:
    """Keep that a session was used."""
    same = TABLE.c.session_id == session_id
    connection.execute(sa.update(TABLE).where(same).values(seen_at=to_us(now)))


def confirm(connection: sa.Connection, session_id: str, now: datetime) -> None:
    """Keep that the session's owner has shown again who they are."""
    same = TABLE.c.session_id == session_id
    values = {"confirmed_at": to_us(now), "seen_at": to_us(now)}
    connection.execute(sa.update(TABLE).where(same).values(values))


def end(connection: sa.Connection, session_id: str, account_id: str, now: datetime) -> bool:
    """End one of an account's sessions; False when it has none of this id that goes on."""
    same = (TABLE.c.session_id == session_id) & (TABLE.c.account_id == account_id)
    ended = sa.update(TABLE).where(same, TABLE.c.ended_at.is_(None)).values(ended_at=to_us(now))
    return connection.execute(ended).rowcount > 0


def end_others(connection: sa.Connection, session_id: str, account_id: str, now: datetime) -> None:
    """End every session of an account but one, as when the ways in change."""
    others = (TABLE.c.account_id == account_id) & (TABLE.c.session_id != session_id)
    ended = sa.update(TABLE).where(others, TABLE.c.ended_at.is_(None)).values(ended_at=to_us(now))
    connection.execute(ended)


def of_account(connection: sa.Connection, account_id: str, now: datetime) -> Sequence[Mapping[str, Any]]:
    """List an account's sessions that hold, the latest first."""
    query = sa.select(
        TABLE.c.session_id,
        TABLE.c.began_at,
        TABLE.c.seen_at,
        TABLE.c.address,
        TABLE.c.browser,
        TABLE.c.way,
    ).where(TABLE.c.account_id == account_id, _holding(now))
    rows = connection.execute(query.order_by(TABLE.c.seen_at.desc())).mappings()
    return [dict(row) for row in rows]
