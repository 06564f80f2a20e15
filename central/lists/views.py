"""Lists that somebody gave a name; everybody who sees the console sees them."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from renzheng.central.lists.months import Kind
from renzheng.central.store import schema
from renzheng.contracts.ids import new_id

MOST_VIEWS = 200
LONGEST_NAME = 60
VIEWS = schema.saved_views


def read_views(connection: sa.Connection, kind: Kind) -> Sequence[Mapping[str, Any]]:
    """Read the lists of one kind, by name."""
    query = sa.select(VIEWS).where(VIEWS.c.kind == kind).order_by(VIEWS.c.name, VIEWS.c.view_id)
    return [dict(row) for row in connection.execute(query).mappings()]


def save_view(connection: sa.Connection, kind: Kind, name: str, query: str, now_us: int) -> bool:
    """Keep a list under a name, in place of one of that name; False when there are too many."""
    connection.execute(sa.delete(VIEWS).where(VIEWS.c.kind == kind, VIEWS.c.name == name))
    held = connection.execute(sa.select(sa.func.count()).select_from(VIEWS)).scalar_one()
    if held >= MOST_VIEWS:
        return False
    values = {"view_id": new_id(), "kind": kind, "name": name, "query": query, "saved_at": now_us}
    connection.execute(sa.insert(VIEWS).values(values))
    return True


def remove_view(connection: sa.Connection, view_id: str) -> None:
    """Let go of one."""
    connection.execute(sa.delete(VIEWS).where(VIEWS.c.view_id == view_id))
