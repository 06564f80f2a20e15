"""Which second factors an account has, and whether it needs one."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

from renzheng.central.access import one_time_codes, passkeys
from renzheng.central.access.roles import DECIDING, Role
from renzheng.central.store import schema

Policy = Literal["optional", "deciding", "everybody"]
OF_POWER = DECIDING | {Role.ADMINISTRATOR, Role.DATA_PROTECTION}
"""Who needs a second factor under `deciding`: whoever decides, makes accounts or reads the access log."""


@dataclass(frozen=True, slots=True)
class Factors:
    """The second factors of an account.

    Args:
        codes: an authenticator app is set up.
        passkeys: how many.
        recovery: recovery codes that are left.
    """

    codes: bool
    passkeys: int
    recovery: int

    def __bool__(self) -> bool:
        """Whether there is any."""
        return self.codes or self.passkeys > 0


def of_account(connection: sa.Connection, account_id: str) -> Factors:
    """Read an account's second factors."""
    totp = schema.account_totp
    set_up = sa.select(totp.c.account_id).where(
        totp.c.account_id == account_id, totp.c.confirmed_at.is_not(None)
    )
    counts = [
        sa.select(sa.func.count()).where(table.c.account_id == account_id).scalar_subquery()
        for table in (schema.account_passkeys, schema.account_recovery_codes)
    ]
    row = connection.execute(sa.select(sa.exists(set_up), *counts)).one()
    return Factors(bool(row[0]), row[1], row[2])


def needed(policy: Policy, roles: Iterable[Role]) -> bool:
    """Say whether somebody in these roles needs a second factor."""
    return policy == "everybody" or (policy == "deciding" and bool(OF_POWER & set(roles)))


def remove_all(connection: sa.Connection, account_id: str) -> None:
    """Take every second factor of an account away."""
    one_time_codes.remove(connection, account_id)
    passkeys.remove(connection, account_id)
