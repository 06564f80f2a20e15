"""From the claims of the identity provider to an account: found or made, with exactly the roles it names."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from renzheng.central.access import accounts
from renzheng.central.access.accounts import New
from renzheng.central.access.errors import AccountError
from renzheng.central.access.roles import BY_INSTITUTION, Role
from renzheng.central.settings import OidcSettings
from renzheng.central.store import schema

ACCOUNTS = schema.accounts
BY_PROVIDER = "identity provider"


def account_of(
    connection: sa.Connection, claims: Mapping[str, Any], settings: OidcSettings, now: datetime
) -> str:
    """Return the account that claims are of, with its roles and institutions as the claims have them now.

    Raises:
        AccountError: they name no role that is known here, roles that nobody holds together, an account of
            somebody else, or one that is disabled. Nothing is changed then.
    """
    subject = f"{settings.issuer} {claims['sub']}"
    roles = _roles(claims.get(settings.roles_claim), settings)
    institutions = frozenset(_texts(claims.get(settings.institution_claim)))
    if not roles & BY_INSTITUTION:
        institutions = frozenset()  # those of the bureau may belong to one there, and decide nothing by it
    query = sa.select(ACCOUNTS.c.account_id).where(ACCOUNTS.c.subject == subject)
    account_id = connection.execute(query).scalar_one_or_none()
    if account_id is None:
        return _make(connection, claims, settings, New("", roles, institutions), now)
    found = accounts.must_read(connection, account_id)
    if found.disabled:
        raise AccountError(
            f"The account {account_id} is disabled.",
            do="Let it be used again: renzheng central account enable",
        )
    accounts.set_roles(connection, account_id, roles, institutions, BY_PROVIDER, now)
    return str(account_id)


def _make(
    connection: sa.Connection, claims: Mapping[str, Any], settings: OidcSettings, new: New, now: datetime
) -> str:
    named = claims.get(settings.account_claim)
    account_id = named if isinstance(named, str) else str(claims["sub"])
    accounts.add(connection, New(account_id, new.roles, new.institutions), BY_PROVIDER, now)
    subject = f"{settings.issuer} {claims['sub']}"
    same = ACCOUNTS.c.account_id == account_id
    connection.execute(sa.update(ACCOUNTS).where(same).values(subject=subject))
    return account_id


def _roles(claimed: object, settings: OidcSettings) -> frozenset[Role]:
    found = frozenset(Role(settings.roles[one]) for one in _texts(claimed) if one in settings.roles)
    if not found:
        raise AccountError(
            "The identity provider names no role that is known here.",
            why="Whoever has no role sees nothing.",
            do="Give the person a role there, or add it to [oidc.roles] of central's configuration.",
        )
    return found


def _texts(claimed: object) -> list[str]:
    if isinstance(claimed, str):
        return [claimed]
    return [one for one in claimed if isinstance(one, str)] if isinstance(claimed, list) else []
