"""Who a request is from: an account by its session or token, or nobody that is known by name."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from renzheng.central.access import access_log, accounts, factors, sessions
from renzheng.central.access.access_log import Access
from renzheng.central.access.factors import Policy
from renzheng.central.access.roles import BEFORE_A_SECOND_FACTOR, SHARED_TOKEN, Permission
from renzheng.central.access.sessions import Session
from renzheng.central.access.shown_once import hashed
from renzheng.central.access.together import Together
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
        confirmed: they have just shown who they are, or are a program.
        lacks_factor: they need a second factor, and may do nothing but set one up.
        id_token: of the identity provider by which they signed in.
    """

    account_id: str
    roles: Sequence[str]
    permissions: frozenset[Permission]
    institutions: frozenset[str] | None = None
    session_id: str | None = None
    confirmed: bool = True
    lacks_factor: bool = False
    id_token: str | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """A program that was known by its token, and what showed that it held (`standing_of_tokens`)."""

    visitor: Visitor
    standing: tuple[object, ...]


KNOWN_SECONDS = 10.0
"""So long a token is taken for known while a check is made; `note_holding` asks again before the answer."""
BY_SHARED_TOKEN = Visitor("(access token)", (), SHARED_TOKEN)
ON_THIS_MACHINE = Visitor("(this machine)", (), SHARED_TOKEN)
IN_TROUBLE = Visitor("(this machine)", (), frozenset({Permission.HEALTH}))
"""While the store cannot be read: the page of what is wrong opens on this machine, and nothing else."""


class Visitors:
    """Knows visitors by what they show; every method may wait for the store.

    Args:
        database: the store.
        clock: when it is.
        policy: who needs a second factor.
        trusted: ways of signing in that have asked for one themselves.
    """

    def __init__(
        self,
        database: Database,
        clock: Callable[[], datetime],
        policy: Policy = "optional",
        trusted: frozenset[str] = frozenset(),
    ) -> None:
        self._database, self._clock = database, clock
        self._policy, self._trusted = policy, trusted
        self._claimed = False
        self._known: Mapping[str, tuple[float, Known | None]] = {}
        self._together = Together(self._note_all)

    def claimed(self) -> bool:
        """Say whether somebody has an account; from then on everybody needs one."""
        if not self._claimed:
            with self._database.reading() as connection:
                self._claimed = accounts.claimed(connection)
        return self._claimed

    def by_token(self, token: str) -> Visitor | None:
        """Know a program by its bearer token."""
        with self._database.reading() as connection:
            return self._by_token(connection, token)

    def _by_token(self, connection: sa.Connection, token: str) -> Visitor | None:
        found = accounts.account_of_token(connection, token, self._clock())
        if found is None:
            return None
        account, permissions = found
        return Visitor(account.account_id, sorted(account.roles), permissions, account.scope)

    def known_by_token(self, token: str) -> Known | None:
        """Know a program by its bearer token, and keep it for `recent`."""
        with self._database.reading() as connection:
            # this first: what changes between the two reads is found when it is asked again
            standing = accounts.standing_of_tokens(connection, [token], self._clock()).get(token)
            visitor = self._by_token(connection, token)
        if visitor is None or standing is None:
            return None
        found = Known(visitor, standing)
        now = time.monotonic()
        kept = {key: one for key, one in self._known.items() if now < one[0]}
        self._known = {**kept, hashed(token): (now + KNOWN_SECONDS, found)}
        return found

    def recent(self, token: str) -> Known | None:
        """Return whom a token stood for a little before; `note_holding` says whether it still does."""
        until, known = self._known.get(hashed(token), (0.0, None))
        return known if time.monotonic() < until else None

    def by_session(self, shown: str) -> Visitor | None:
        """Know a person by the session that a browser shows."""
        now = self._clock()
        with self._database.reading() as connection:
            found = sessions.find(connection, shown, now)
            lacks = found is not None and self._lacks_factor(connection, found[0])
        if found is None:
            return None
        session, keep = found
        if keep:
            with self._database.writing() as connection:
                sessions.touch(connection, session.session_id, now)
        own = session.account
        return Visitor(
            account_id=own.account_id,
            roles=sorted(own.roles),
            permissions=own.permissions & BEFORE_A_SECOND_FACTOR if lacks else own.permissions,
            institutions=own.scope,
            session_id=session.session_id,
            confirmed=session.confirmed,
            lacks_factor=lacks,
            id_token=session.id_token,
        )

    def _lacks_factor(self, connection: sa.Connection, session: Session) -> bool:
        own = session.account
        if session.way in self._trusted:
            return False
        return factors.needed(self._policy, own.roles) and not factors.of_account(connection, own.account_id)

    def note(self, access: Access) -> int:
        """Write into the access log; return the entry's number once it is durable.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the store did not take it.
        """
        return self._together.write(access)

    def note_holding(self, entries: Sequence[tuple[str, Known, Access]]) -> frozenset[str]:
        """Write the entries of programs into the access log, of those whose token stands as it was known.

        Token and entry are of one transaction: what is revoked is not answered once this has begun.

        Args:
            entries: each a token, for whom it was known to stand, and the entry.

        Returns:
            The tokens that stand, once their entries are durable.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the store did not take them.
        """
        now = self._clock()
        with self._database.writing() as connection:
            tokens = sorted({token for token, *_ in entries})
            standing = accounts.standing_of_tokens(connection, tokens, now)
            good = {token for token, known, _ in entries if standing.get(token) == known.standing}
            holding = [entry for token, _, entry in entries if token in good]
            if holding:
                access_log.append_all(connection, holding, now)
        for token in set(tokens) - good:
            self._known = {key: one for key, one in self._known.items() if key != hashed(token)}
        return frozenset(good)

    def _note_all(self, accesses: Sequence[Access]) -> Sequence[int]:
        with self._database.writing() as connection:
            return access_log.append_all(connection, accesses, self._clock())
