"""Who a request is from: an account by its session or token, or nobody that is known by name."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from renzheng.central.access import access_log, accounts, sessions
from renzheng.central.access.access_log import Access
from renzheng.central.access.roles import SHARED_TOKEN, Permission
from renzheng.central.store.database import Database


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks, and what they may.

    Args:
        account_id: the account, or what stands for somebody without one.
        roles: in which roles.
        permissions: what they may.
        institutions: whose rows they see; None for all.
        session_id: the session by which they are known; None with a token.
        confirmed: they have just shown a password, or are a program.
    """

    account_id: str
    roles: Sequence[str]
    permissions: frozenset[Permission]
    institutions: frozenset[str] | None = None
    session_id: str | None = None
    confirmed: bool = True


BY_SHARED_TOKEN = Visitor("(access token)", (), SHARED_TOKEN)
ON_THIS_MACHINE = Visitor("(this machine)", (), SHARED_TOKEN)
IN_TROUBLE = Visitor("(this machine)", (), frozenset({Permission.HEALTH}))
"""While the store cannot be read: the page of what is wrong opens on this machine, and nothing else."""


class Visitors:
    """Knows visitors by what they show; every method may wait for the store.

    Args:
        database: the store.
        clock: when it is.
    """

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database, self._clock = database, clock
        self._claimed = False
        self._lock = threading.Lock()

    def claimed(self) -> bool:
        """Say whether somebody has an account; from then on everybody needs one."""
        if not self._claimed:
            with self._database.reading() as connection:
                self._claimed = accounts.claimed(connection)
        return self._claimed

    def by_token(self, token: str) -> Visitor | None:
        """Know a program by its bearer token."""
        with self._database.reading() as connection:
            found = accounts.account_of_token(connection, token, self._clock())
        if found is None:
            return None
        account, permissions = found
        return Visitor(account.account_id, sorted(account.roles), permissions, account.scope)

    def by_session(self, shown: str) -> Visitor | None:
        """Know a person by the session that a browser shows."""
        now = self._clock()
        with self._database.reading() as connection:
            found = sessions.find(connection, shown, now)
        if found is None:
            return None
        session, keep = found
        if keep:
            with self._database.writing() as connection:
                sessions.touch(connection, session.session_id, now)
        own = session.account
        return Visitor(
            own.account_id,
            sorted(own.roles),
            own.permissions,
            own.scope,
            session.session_id,
            session.confirmed,
        )

    def sign_in(self, account_id: str, password: str, *, address: str, browser: str) -> str | None:
        """Begin a session for whoever shows the right password; return what the browser will show."""
        with self._database.reading() as connection:
            kept = accounts.kept_password(connection, account_id)
        if not accounts.knows_password(kept, password):
            return None
        return self._begin(account_id, address, browser, "signed_in")

    def first(self, code: str, password: str, *, address: str, browser: str) -> str | None:
        """Choose a password by a one-time code and begin a session; None when the code does not hold.

        Raises:
            PasswordError: the password cannot be taken; the code still holds.
        """
        with self._database.writing() as connection:
            account_id = accounts.use_code(connection, code, password, self._clock())
        return account_id and self._begin(account_id, address, browser, "password_chosen")

    def account_of_code(self, code: str) -> str | None:
        """Name the account of a one-time code that still holds."""
        with self._database.reading() as connection:
            return accounts.account_of_code(connection, code, self._clock())

    def _begin(self, account_id: str, address: str, browser: str, act: str) -> str:
        now = self._clock()
        with self._database.writing() as connection:
            shown = sessions.begin(connection, account_id, now, address=address, browser=browser)
            told = Access(account_id, (), address, act, "-", "own", "changed")
            access_log.append(connection, told, now)
        return shown

    def confirm(self, visitor: Visitor, password: str) -> bool:
        """Take the password of somebody who is signed in once more."""
        with self._database.reading() as connection:
            kept = accounts.kept_password(connection, visitor.account_id)
        if visitor.session_id is None or not accounts.knows_password(kept, password):
            return False
        with self._database.writing() as connection:
            sessions.confirm(connection, visitor.session_id, self._clock())
        return True

    def end(self, visitor: Visitor, session_id: str) -> bool:
        """End one of a visitor's own sessions."""
        now = self._clock()
        with self._database.writing() as connection:
            return sessions.end(connection, session_id, visitor.account_id, now)

    def note(self, access: Access) -> None:
        """Write into the access log; returns once it is durable.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the store did not take it.
        """
        with self._database.writing() as connection:
            access_log.append(connection, access, self._clock())
