"""Many rows at once: the one statement of each backend that SQLAlchemy Core does not have.

SQLite: the driver's own `executemany` (SQLAlchemy's takes a third longer). PostgreSQL: COPY into a staging
table, then INSERT ... ON CONFLICT DO NOTHING (two and a half times `executemany`).
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import sqlalchemy as sa

COPY_FROM_ROWS = 8
"""From so many rows on COPY pays for its staging table."""


def insert_rows(connection: sa.Connection, table: sa.Table, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows, values in the order of the table's columns; a row whose key is there is left as it is."""
    if not rows:
        return
    if connection.dialect.name == "postgresql" and len(rows) >= COPY_FROM_ROWS:
        _copy(connection, table, rows)
    else:
        marker = "?" if connection.dialect.name == "sqlite" else "%s"
        connection.exec_driver_sql(_insert(table, marker), list(rows))


def _copy(connection: sa.Connection, table: sa.Table, rows: Sequence[tuple[Any, ...]]) -> None:
    make, copy, move = _staging(table)
    connection.exec_driver_sql(make)
    with connection.connection.cursor() as cursor, cursor.copy(copy) as stream:  # type: ignore[attr-defined]
        for row in rows:
            stream.write_row(row)
    connection.exec_driver_sql(move)


@cache
def _insert(table: sa.Table, marker: str) -> str:
    markers = ", ".join([marker] * len(table.columns))
    return f"INSERT INTO {table.name} ({_names(table)}) VALUES ({markers}) ON CONFLICT DO NOTHING"  # noqa: S608 - names from the schema


@cache
def _staging(table: sa.Table) -> tuple[str, str, str]:
    staging, names = f"staging_{table.name}", _names(table)
    return (
        f"CREATE TEMPORARY TABLE IF NOT EXISTS {staging} (LIKE {table.name}) ON COMMIT DELETE ROWS",
        f"COPY {staging} ({names}) FROM STDIN",
        f"INSERT INTO {table.name} ({names}) SELECT {names} FROM {staging} ON CONFLICT DO NOTHING",  # noqa: S608 - names from the schema
    )


def _names(table: sa.Table) -> str:
    return ", ".join(column.name for column in table.columns)
