"""Lists of doubts that an account has given a name; the address says all of a list and can be passed on."""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from renzheng.central.cases.errors import BodyError
from renzheng.central.store import schema
from renzheng.contracts.ids import new_id

TABLE = schema.doubt_filters
LONGEST_NAME = 60
MOST = 50
"""Of one account."""


@dataclass(frozen=True, slots=True)
class Filter:
    """A named list.

    Args:
        filter_id: its id.
        name: what its owner calls it.
        query: what the list's address has.
    """

    filter_id: str
    name: str
    query: str


def of_account(connection: sa.Connection, account_id: str) -> Sequence[Filter]:
    """Read an account's lists by name."""
    query = sa.select(TABLE).where(TABLE.c.account_id == account_id).order_by(TABLE.c.name)
    return [Filter(row.filter_id, row.name, row.query) for row in connection.execute(query)]


def save(connection: sa.Connection, account_id: str, name: str, query: str, now_us: int) -> None:
    """Keep a list under a name, in place of the account's own of that name.

    Raises:
        BodyError: it has no name, too long a one, or the account has too many.
    """
    name = " ".join(name.split())
    if not 0 < len(name) <= LONGEST_NAME:
        raise BodyError(f"A list has a name of at most {LONGEST_NAME} characters.")
    own = TABLE.c.account_id == account_id
    connection.execute(sa.delete(TABLE).where(own, TABLE.c.name == name))
    held = sa.select(sa.func.count()).select_from(TABLE).where(own)
    if connection.execute(held).scalar_one() >= MOST:
        raise BodyError(f"An account keeps at most {MOST} lists.", do="Remove one first.")
    values = {"filter_id": new_id(), "account_id": account_id, "name": name, "query": query}
    connection.execute(sa.insert(TABLE).values(**values, saved_at=now_us))


def remove(connection: sa.Connection, account_id: str, filter_id: str) -> None:
    """Let go of one of an account's own."""
    own = TABLE.c.account_id == account_id
    connection.execute(sa.delete(TABLE).where(own, TABLE.c.filter_id == filter_id))
