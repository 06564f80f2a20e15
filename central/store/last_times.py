"""When something last happened, by its name."""

from collections.abc import Iterable, Mapping

import sqlalchemy as sa

from renzheng.central.store import schema

TABLE = schema.last_times


def note(connection: sa.Connection, names: Iterable[str], now_us: int) -> None:
    """Note that something happens now."""
    for name in names:
        change = sa.update(TABLE).where(TABLE.c.name == name).values(at=now_us)
        if connection.execute(change).rowcount == 0:
            connection.execute(sa.insert(TABLE).values(name=name, at=now_us))


def read(connection: sa.Connection, prefix: str) -> Mapping[str, int]:
    """Read when each thing whose name begins so last happened, by the rest of its name."""
    rows = connection.execute(sa.select(TABLE).where(TABLE.c.name.startswith(prefix, autoescape=True)))
    return {row.name.removeprefix(prefix): row.at for row in rows}
