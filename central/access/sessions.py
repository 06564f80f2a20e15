"""Sessions: held in the store, known by a hash, ended by idleness, by age and by their owner."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from renzheng.central.access import accounts, emergency
from renzheng.central.access.accounts import Account
from renzheng.central.access.shown_once import hashed, new_session
from renzheng.central.store import schema
from renzheng.central.store.times import to_us
from renzheng.contracts.ids import new_id

TABLE = schema.account_sessions
IDLE = timedelta(minutes=15)
LONGEST = timedelta(hours=10)
CONFIRMED = timedelta(minutes=5)
"""How long a shown password stands for exports, releases and decisions."""
SEEN_EVERY = timedelta(seconds=30)
"""A session's last use is kept no finer than this, so that a page does not cost a second write."""


@dataclass(frozen=True, slots=True)
class Session:
    """A session that holds, and whose it is.

    Args:
        session_id: by which its owner can end it; no secret.
        account: whose, with the roles of an emergency under way.
        confirmed: the person has shown a password within the last minutes.
    """

    session_id: str
    account: Account
    confirmed: bool


def begin(
    connection: sa.Connection, account_id: str, now: datetime, *, address: str = "", browser: str = ""
) -> str:
    """Begin a session for somebody who has just shown who they are; return what the browser will show."""
    shown, now_us = new_session(), to_us(now)
    connection.execute(
        sa.insert(TABLE).values(
            session_hash=hashed(shown),
            session_id=new_id(),
            account_id=account_id,
            began_at=now_us,
            seen_at=now_us,
            confirmed_at=now_us,
            address=address,
            browser=browser[:200],
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
    if row is None or found is None or found.disabled:
        return None
    extra = emergency.roles_now(connection, found.account_id, now)
    confirmed = row.confirmed_at > to_us(now - CONFIRMED) and row.seen_at > to_us(now - CONFIRMED)
    session = Session(row.session_id, replace(found, roles=found.roles | extra), confirmed)
    return session, row.seen_at <= to_us(now - SEEN_EVERY)


def touch(connection: sa.Connection, session_id: str, now: datetime) -> None:
    """Keep that a session was used."""
    same = TABLE.c.session_id == session_id
    connection.execute(sa.update(TABLE).where(same).values(seen_at=to_us(now)))


def confirm(connection: sa.Connection, session_id: str, now: datetime) -> None:
    """Keep that the session's owner has shown the password again."""
    same = TABLE.c.session_id == session_id
    values = {"confirmed_at": to_us(now), "seen_at": to_us(now)}
    connection.execute(sa.update(TABLE).where(same).values(values))


def end(connection: sa.Connection, session_id: str, account_id: str, now: datetime) -> bool:
    """End one of an account's sessions; False when it has none of this id that goes on."""
    same = (TABLE.c.session_id == session_id) & (TABLE.c.account_id == account_id)
    ended = sa.update(TABLE).where(same, TABLE.c.ended_at.is_(None)).values(ended_at=to_us(now))
    return connection.execute(ended).rowcount > 0


def of_account(connection: sa.Connection, account_id: str, now: datetime) -> Sequence[Mapping[str, Any]]:
    """List an account's sessions that hold, the latest first."""
    query = sa.select(
        TABLE.c.session_id, TABLE.c.began_at, TABLE.c.seen_at, TABLE.c.address, TABLE.c.browser
    ).where(TABLE.c.account_id == account_id, _holding(now))
    rows = connection.execute(query.order_by(TABLE.c.seen_at.desc())).mappings()
    return [dict(row) for row in rows]
