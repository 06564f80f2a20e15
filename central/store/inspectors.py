"""Who may answer spot checks for the bureau, and from when to when."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from renzheng.central.store import schema

INSPECTORS = schema.inspectors


def add(connection: sa.Connection, inspector_id: str, name: str, now_us: int) -> None:
    """Enter an inspector, or correct the name; one who had left counts again from now."""
    held = connection.execute(sa.select(INSPECTORS).where(INSPECTORS.c.inspector_id == inspector_id)).first()
    if held is None:
        row = {"inspector_id": inspector_id, "name": name, "since": now_us, "until": None}
        connection.execute(sa.insert(INSPECTORS).values(row))
        return
    since = held.since if held.until is None else now_us
    values = {"name": name, "since": since, "until": None}
    connection.execute(sa.update(INSPECTORS).where(INSPECTORS.c.inspector_id == inspector_id).values(values))


def end(connection: sa.Connection, inspector_id: str, now_us: int) -> bool:
    """Let an inspector's later answers count no more; return whether there was such an inspector."""
    mine = (INSPECTORS.c.inspector_id == inspector_id) & INSPECTORS.c.until.is_(None)
    return bool(connection.execute(sa.update(INSPECTORS).where(mine).values(until=now_us)).rowcount)


def listed(connection: sa.Connection) -> Sequence[Mapping[str, Any]]:
    """Read every inspector, past ones too."""
    query = sa.select(INSPECTORS).order_by(INSPECTORS.c.inspector_id)
    return [dict(row) for row in connection.execute(query).mappings()]
