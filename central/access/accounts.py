"""Accounts in the store: made, given roles, disabled, listed; and what each is known by.

An account is never deleted, since the access log names it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import orjson
import sqlalchemy as sa

from renzheng.central.access.errors import AccountError
from renzheng.central.access.passwords import hash_password, is_password, must_be_good
from renzheng.central.access.roles import BY_INSTITUTION, Permission, Role, pair_apart, permissions_of
from renzheng.central.access.shown_once import hashed, new_code, new_token
from renzheng.central.store import schema
from renzheng.central.store.times import to_us
from renzheng.contracts.ids import new_id

Kind = Literal["person", "program"]
ACCOUNTS, ROLES, TIES = schema.accounts, schema.account_roles, schema.account_institutions
CODES, TOKENS, SESSIONS = schema.account_codes, schema.account_tokens, schema.account_sessions
EMERGENCIES = schema.emergency_access
_FACTORS = (schema.account_passkeys, schema.account_totp, schema.account_recovery_codes)
FIRST = "administrator"
"""The account that the first start makes, so that somebody can make the others."""
FIRST_START = "first start"
CODE_HOURS = 24
TOKEN_DAYS = 365
_NAME = re.compile(r"\w[\w.@-]{0,63}")


@dataclass(frozen=True, slots=True)
class Account:
    """An account as it is now.

    Args:
        account_id: its name.
        kind: a person, or a program that shows a token from the start.
        roles: those granted, and those of an emergency under way.
        institutions: with which it is registered.
        ties: institutions to which it has declared a tie.
        disabled: it may do nothing.
        has_password: somebody has chosen one.
        valid_from: from when on it holds, in microseconds; None: from the start.
        valid_until: until when; None: without an end.
    """

    account_id: str
    kind: Kind
    roles: frozenset[Role]
    institutions: frozenset[str]
    ties: frozenset[str]
    disabled: bool
    has_password: bool
    valid_from: int | None = None
    valid_until: int | None = None

    def holds(self, now: datetime) -> bool:
        """Say whether it may be used now."""
        begun = self.valid_from is None or self.valid_from <= to_us(now)
        over = self.valid_until is not None and self.valid_until <= to_us(now)
        return begun and not over and not self.disabled

    @property
    def permissions(self) -> frozenset[Permission]:
        """Everything that its roles may."""
        return permissions_of(self.roles)

    @property
    def scope(self) -> frozenset[str] | None:
        """The institutions whose rows it sees; None for all."""
        return self.institutions if not self.roles or self.roles & BY_INSTITUTION else None


@dataclass(frozen=True, slots=True)
class New:
    """An account to be made."""

    account_id: str
    roles: frozenset[Role]
    institutions: frozenset[str] = frozenset()
    ties: frozenset[str] = frozenset()
    kind: Kind = "person"
    valid_from: datetime | None = None
    valid_until: datetime | None = None


def add(connection: sa.Connection, new: New, by: str, now: datetime) -> None:
    """Make an account; nobody can use it before it has a code, a token or another way to be known.

    Raises:
        AccountError: the name is taken or none, its roles do not go together, or lack an institution.
    """
    if not _NAME.fullmatch(new.account_id):
        raise AccountError(
            f"{new.account_id!r} cannot be an account's name.",
            do="Use 1 to 64 letters, digits, dot, hyphen, underscore or @.",
        )
    if _row(connection, new.account_id) is not None:
        raise AccountError(
            f"There is an account {new.account_id} already.",
            do="List them: renzheng central account list; give it a role: renzheng central account role",
        )
    _must_fit(new.account_id, new.roles, new.institutions)
    if Role.THIRD_PARTY in new.roles and new.valid_until is None:
        raise _without_an_end(new.account_id)
    dates = {"valid_from": new.valid_from, "valid_until": new.valid_until}
    made = {"account_id": new.account_id, "kind": new.kind, "made_at": to_us(now), "made_by": by}
    kept = {name: to_us(date) for name, date in dates.items() if date is not None}
    connection.execute(sa.insert(ACCOUNTS).values({**made, **kept}))
    for role in sorted(new.roles):
        _put_role(connection, new.account_id, role, by, now)
    _put_ties(connection, new.account_id, "registered", new.institutions)
    _put_ties(connection, new.account_id, "declared", new.ties)


def _without_an_end(account_id: str) -> AccountError:
    return AccountError(
        f"{account_id} would be a third party's account without an end.",
        why="A third party sees what its contract names, between its dates.",
        do="Make the account with the contract's last day: --until",
    )


def _put_ties(connection: sa.Connection, account_id: str, tie: str, named: frozenset[str]) -> None:
    for institution_id in sorted(named):
        values = {"account_id": account_id, "institution_id": institution_id, "tie": tie}
        connection.execute(sa.insert(TIES).values(values))


def _must_fit(account_id: str, roles: frozenset[Role], institutions: frozenset[str]) -> None:
    pair = pair_apart(roles)
    if pair is not None:
        raise AccountError(
            f"{account_id} cannot be both {pair[0]} and {pair[1]}.",
            why="Whoever holds both could check, or hide, their own work.",
            do="Give the second role to another person's account.",
        )
    lacking = sorted(roles & BY_INSTITUTION)
    if lacking and not institutions:
        raise AccountError(
            f"The role {lacking[0]} needs an institution.",
            why="It sees the rows of its institution and no others.",
            do="Name it with --institution.",
        )
    if institutions and roles - BY_INSTITUTION:
        raise AccountError(
            f"{account_id} would be registered with an institution, and have a role of the bureau.",
            why="Nobody decides on their own institution.",
            do="For a tie that keeps somebody from deciding, use --tie.",
        )


def _put_role(connection: sa.Connection, account_id: str, role: Role, by: str, now: datetime) -> None:
    values = {"account_id": account_id, "role": role.value, "granted_at": to_us(now), "granted_by": by}
    connection.execute(sa.insert(ROLES).values(values))


def grant(connection: sa.Connection, account_id: str, role: Role, by: str, now: datetime) -> None:
    """Give an account a role; the same again changes nothing.

    Raises:
        AccountError: there is no such account, or the role does not go together with another of it.
    """
    found = must_read(connection, account_id)
    if role in found.roles:
        return
    if role is Role.THIRD_PARTY and found.valid_until is None:
        raise _without_an_end(account_id)
    _must_fit(account_id, found.roles | {role}, found.institutions)
    _put_role(connection, account_id, role, by, now)


def take_away(connection: sa.Connection, account_id: str, role: Role) -> None:
    """Take a role from an account.

    Raises:
        AccountError: there is no such account, it lacks the role, or nobody else could make accounts.
    """
    found = must_read(connection, account_id)
    if role not in found.roles:
        raise AccountError(f"{account_id} does not have the role {role}.")
    if role is Role.ADMINISTRATOR:
        _must_leave_another(connection, account_id)
    connection.execute(sa.delete(ROLES).where(ROLES.c.account_id == account_id, ROLES.c.role == role.value))


def set_roles(  # noqa: PLR0917 - who, what, by whom and when
    connection: sa.Connection,
    account_id: str,
    roles: frozenset[Role],
    institutions: frozenset[str],
    by: str,
    now: datetime,
) -> None:
    """Give an account exactly these roles and institutions.

    Raises:
        AccountError: they do not go together, or nobody else could make accounts.
    """
    found = must_read(connection, account_id)
    if Role.THIRD_PARTY in roles and found.valid_until is None:
        raise _without_an_end(account_id)
    _must_fit(account_id, roles, institutions)
    if Role.ADMINISTRATOR in found.roles - roles:
        _must_leave_another(connection, account_id)
    gone = (ROLES.c.account_id == account_id) & ROLES.c.role.in_(sorted(found.roles - roles))
    connection.execute(sa.delete(ROLES).where(gone))
    for role in sorted(roles - found.roles):
        _put_role(connection, account_id, role, by, now)
    if institutions != found.institutions:
        registered = (TIES.c.account_id == account_id) & (TIES.c.tie == "registered")
        connection.execute(sa.delete(TIES).where(registered))
        _put_ties(connection, account_id, "registered", institutions)


def disable(connection: sa.Connection, account_id: str, now: datetime) -> None:
    """Disable an account: its sessions, codes, tokens, second factors and emergencies end at once.

    Raises:
        AccountError: there is no such account, or nobody else could make accounts.
    """
    found = must_read(connection, account_id)
    if Role.ADMINISTRATOR in found.roles:
        _must_leave_another(connection, account_id)
    same = ACCOUNTS.c.account_id == account_id
    connection.execute(sa.update(ACCOUNTS).where(same).values(disabled_at=to_us(now)))
    for table in (CODES, *_FACTORS):
        connection.execute(sa.delete(table).where(table.c.account_id == account_id))
    under_way = (EMERGENCIES.c.account_id == account_id) & (EMERGENCIES.c.valid_until > to_us(now))
    connection.execute(sa.update(EMERGENCIES).where(under_way).values(valid_until=to_us(now)))
    revoke_tokens(connection, account_id, now)
    sign_out(connection, account_id, now)


def enable(connection: sa.Connection, account_id: str) -> None:
    """Let a disabled account be used again; it needs a new code or token.

    Raises:
        AccountError: there is no such account.
    """
    must_read(connection, account_id)
    same = ACCOUNTS.c.account_id == account_id
    connection.execute(sa.update(ACCOUNTS).where(same).values(disabled_at=None, password_hash=None))


def _must_leave_another(connection: sa.Connection, account_id: str) -> None:
    others = (
        sa.select(ACCOUNTS.c.account_id)
        .join(ROLES, ROLES.c.account_id == ACCOUNTS.c.account_id)
        .where(ROLES.c.role == Role.ADMINISTRATOR.value, ACCOUNTS.c.disabled_at.is_(None))
        .where(ACCOUNTS.c.account_id != account_id)
    )
    if connection.execute(others.limit(1)).first() is None:
        raise AccountError(
            f"{account_id} is the last administrator.",
            why="Nobody could make accounts or change roles any more.",
            do="Make another first: renzheng central account add NAME --role administrator",
        )


def sign_out(connection: sa.Connection, account_id: str, now: datetime) -> int:
    """End every session of an account; return how many there were.

    Raises:
        AccountError: there is no such account.
    """
    must_read(connection, account_id)
    own = (SESSIONS.c.account_id == account_id) & SESSIONS.c.ended_at.is_(None)
    return connection.execute(sa.update(SESSIONS).where(own).values(ended_at=to_us(now))).rowcount


def revoke_tokens(connection: sa.Connection, account_id: str, now: datetime) -> None:
    """End every token of an account."""
    own = (TOKENS.c.account_id == account_id) & TOKENS.c.revoked_at.is_(None)
    connection.execute(sa.update(TOKENS).where(own).values(revoked_at=to_us(now)))


def must_read(connection: sa.Connection, account_id: str) -> Account:
    """Read an account.

    Raises:
        AccountError: there is none of this name.
    """
    found = read(connection, account_id)
    if found is None:
        raise AccountError(
            f"There is no account {account_id}.", do="List them: renzheng central account list"
        )
    return found


def _row(connection: sa.Connection, account_id: str) -> sa.Row[tuple[object, ...]] | None:
    return connection.execute(sa.select(ACCOUNTS).where(ACCOUNTS.c.account_id == account_id)).first()


def read(connection: sa.Connection, account_id: str) -> Account | None:
    """Read an account; None when there is none of this name."""
    found = _read(connection, ACCOUNTS.c.account_id == account_id)
    return found[0] if found else None


def listed(connection: sa.Connection) -> Sequence[Account]:
    """Read every account, by name."""
    return _read(connection, sa.true())


def _read(connection: sa.Connection, chosen: sa.ColumnElement[bool]) -> Sequence[Account]:
    rows = connection.execute(sa.select(ACCOUNTS).where(chosen).order_by(ACCOUNTS.c.account_id)).all()
    names = [row.account_id for row in rows]
    held: dict[str, set[Role]] = {name: set() for name in names}
    few = names if len(names) == 1 else None
    for row in connection.execute(_of(sa.select(ROLES), ROLES, few)):
        held.get(row.account_id, set()).add(Role(row.role))
    named: dict[tuple[str, str], set[str]] = {}
    for row in connection.execute(_of(sa.select(TIES), TIES, few)):
        named.setdefault((row.account_id, row.tie), set()).add(row.institution_id)
    return [
        Account(
            account_id=row.account_id,
            kind=row.kind,
            roles=frozenset(held[row.account_id]),
            institutions=frozenset(named.get((row.account_id, "registered"), ())),
            ties=frozenset(named.get((row.account_id, "declared"), ())),
            disabled=row.disabled_at is not None,
            has_password=row.password_hash is not None,
            valid_from=row.valid_from,
            valid_until=row.valid_until,
        )
        for row in rows
    ]


def _of(
    query: sa.Select[tuple[object, ...]], table: sa.Table, few: list[str] | None
) -> sa.Select[tuple[object, ...]]:
    return query if few is None else query.where(table.c.account_id.in_(few))


def claimed(connection: sa.Connection) -> bool:
    """Say whether somebody has made an account, or the first administrator has signed in."""
    of_somebody = (ACCOUNTS.c.made_by != FIRST_START) | ACCOUNTS.c.password_hash.is_not(None)
    query = sa.select(ACCOUNTS.c.account_id).where(of_somebody | ACCOUNTS.c.subject.is_not(None))
    return connection.execute(query.limit(1)).first() is not None


def open_first(connection: sa.Connection, now: datetime) -> str | None:
    """Give the one-time code of the first administrator; None once somebody has an account."""
    if claimed(connection):
        return None
    if _row(connection, FIRST) is None:
        add(connection, New(FIRST, frozenset({Role.ADMINISTRATOR})), FIRST_START, now)
    return give_code(connection, FIRST, now)


def give_code(connection: sa.Connection, account_id: str, now: datetime) -> str:
    """Make the one-time code with which a person chooses a password; an older one of the account dies.

    Raises:
        AccountError: there is no such account, or it is disabled.
    """
    _must_be_able(must_read(connection, account_id))
    code = new_code()
    connection.execute(sa.delete(CODES).where(CODES.c.account_id == account_id))
    until = to_us(now + timedelta(hours=CODE_HOURS))
    values = {
        "code_hash": hashed(code),
        "account_id": account_id,
        "made_at": to_us(now),
        "valid_until": until,
    }
    connection.execute(sa.insert(CODES).values(values))
    return code


def _must_be_able(account: Account) -> None:
    if account.disabled:
        raise AccountError(
            f"The account {account.account_id} is disabled.",
            do="Let it be used again: renzheng central account enable",
        )


def account_of_code(connection: sa.Connection, code: str, now: datetime) -> str | None:
    """Name the account of a one-time code that still holds."""
    query = sa.select(CODES.c.account_id).where(
        CODES.c.code_hash == hashed(code.strip().lower()), CODES.c.valid_until > to_us(now)
    )
    return connection.execute(query).scalar_one_or_none()


def use_code(connection: sa.Connection, code: str, password: str, now: datetime) -> str | None:
    """Choose a password by a one-time code, which is used up; None when the code does not hold.

    Raises:
        PasswordError: the password cannot be taken; the code still holds.
    """
    account_id = account_of_code(connection, code, now)
    if account_id is None:
        return None
    must_be_good(password, account_id)
    used = sa.delete(CODES).where(CODES.c.code_hash == hashed(code.strip().lower()))
    if connection.execute(used).rowcount == 0:
        return None
    choose_password(connection, account_id, password, now)
    sign_out(connection, account_id, now)
    return account_id


def choose_password(connection: sa.Connection, account_id: str, password: str, now: datetime) -> None:
    """Set an account's password; one-time codes by which another could be chosen are void.

    Raises:
        PasswordError: it cannot be taken.
    """
    must_be_good(password, account_id)
    values = {"password_hash": hash_password(password), "password_at": to_us(now)}
    connection.execute(sa.update(ACCOUNTS).where(ACCOUNTS.c.account_id == account_id).values(values))
    connection.execute(sa.delete(CODES).where(CODES.c.account_id == account_id))


def holds_since(connection: sa.Connection, account_id: str, since: datetime, now: datetime) -> bool:
    """Say whether an account may be used, and has had the same password since a moment."""
    found = read(connection, account_id)
    same = ACCOUNTS.c.account_id == account_id
    changed = connection.execute(sa.select(ACCOUNTS.c.password_at).where(same)).scalar_one_or_none()
    return found is not None and found.holds(now) and (changed or 0) <= to_us(since)


def kept_password(connection: sa.Connection, account_id: str, now: datetime) -> str | None:
    """Read the hash of the password by which an account may sign in; None when it may not."""
    found = read(connection, account_id)
    if found is None or not found.holds(now):
        return None
    same = ACCOUNTS.c.account_id == account_id
    return connection.execute(sa.select(ACCOUNTS.c.password_hash).where(same)).scalar_one_or_none()


def knows_password(kept: str | None, shown: str) -> bool:
    """Say whether somebody has shown the right password; without an account it takes as long."""
    return is_password(kept, shown)


def give_token(
    connection: sa.Connection,
    account_id: str,
    now: datetime,
    *,
    days: int = TOKEN_DAYS,
    scopes: Sequence[Permission] | None = None,
) -> str:
    """Make a bearer token with which a program acts as an account, in its roles or in some of them.

    Raises:
        AccountError: there is no such account, or it is disabled.
    """
    _must_be_able(must_read(connection, account_id))
    token = new_token()
    connection.execute(
        sa.insert(TOKENS).values(
            token_hash=hashed(token),
            token_id=new_id(),
            account_id=account_id,
            scopes=None if scopes is None else orjson.dumps(sorted(scopes)).decode(),
            made_at=to_us(now),
            valid_until=to_us(now + timedelta(days=days)),
        )
    )
    return token


def account_of_token(
    connection: sa.Connection, token: str, now: datetime
) -> tuple[Account, frozenset[Permission]] | None:
    """Read whom a bearer token stands for and what it may; None when it does not hold."""
    query = sa.select(TOKENS.c.account_id, TOKENS.c.scopes).where(
        TOKENS.c.token_hash == hashed(token),
        TOKENS.c.valid_until > to_us(now),
        TOKENS.c.revoked_at.is_(None),
    )
    row = connection.execute(query).first()
    found = read(connection, row.account_id) if row else None
    if row is None or found is None or not found.holds(now):
        return None
    scopes = found.permissions if row.scopes is None else frozenset(map(Permission, orjson.loads(row.scopes)))
    return found, found.permissions & scopes


def standing_of_tokens(
    connection: sa.Connection, tokens: Sequence[str], now: datetime
) -> Mapping[str, tuple[object, ...]]:
    """Read what shows whether bearer tokens still stand for what they stood for; one statement for many.

    Args:
        connection: a transaction.
        tokens: as programs show them.
        now: when.

    Returns:
        For each token that holds, values that differ where its account's roles or institutions do.
    """
    shown = {hashed(token): token for token in tokens}
    rows = connection.execute(_STANDING, {"hashes": list(shown), "now": to_us(now)})
    return {shown[name]: tuple(told) for name, *told in rows}


def _all_of(table: sa.Table, *columns: sa.Column[Any]) -> sa.ScalarSelect[str]:
    """Return the rows of a token's account in a table, as one text."""
    written = columns[0].concat("")
    for column in columns[1:]:
        written = written.concat(" ").concat(sa.cast(column, sa.Text))
    chosen = sa.select(sa.func.aggregate_strings(written, ",")).where(
        table.c.account_id == TOKENS.c.account_id
    )
    return chosen.correlate(TOKENS).scalar_subquery()


_STANDING = (
    sa.select(
        TOKENS.c.token_hash,
        TOKENS.c.scopes,
        TOKENS.c.account_id,
        _all_of(ROLES, ROLES.c.role, ROLES.c.granted_at),
        _all_of(TIES, TIES.c.institution_id, TIES.c.tie),
    )
    .join(ACCOUNTS, ACCOUNTS.c.account_id == TOKENS.c.account_id)
    .where(
        TOKENS.c.token_hash.in_(sa.bindparam("hashes", expanding=True)),
        TOKENS.c.valid_until > sa.bindparam("now"),
        TOKENS.c.revoked_at.is_(None),
        ACCOUNTS.c.disabled_at.is_(None),
        ACCOUNTS.c.valid_from.is_(None) | (ACCOUNTS.c.valid_from <= sa.bindparam("now")),
        ACCOUNTS.c.valid_until.is_(None) | (ACCOUNTS.c.valid_until > sa.bindparam("now")),
    )
)
