"""Many rows at once: the one statement of each backend that SQLAlchemy Core does not have.

SQLite: the driver's own `executemany` (SQLAlchemy's takes a third longer). PostgreSQL: COPY in its binary
form (three times `executemany`, and half of what text costs the sender).
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

Rows = Sequence[tuple[Any, ...]]
_Statements = tuple[str, str, str]
_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]


def append_rows(connection: sa.Connection, table: sa.Table, rows: Rows) -> None:
    """Add rows that cannot be there yet, values in the order of the table's columns.

    Raises:
        sqlalchemy.exc.IntegrityError: one is there (of psycopg on PostgreSQL); nothing may be told stored.
    """
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        _copy(connection, table, f"COPY {table.name} ({_names(table)}) FROM STDIN (FORMAT BINARY)", rows)
    else:
        connection.exec_driver_sql(_insert(table), list(rows))


def insert_rows(connection: sa.Connection, table: sa.Table, rows: Rows) -> None:
    """Insert rows, values in the order of the table's columns; a row whose key is there is left as it is."""
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        make, copy, move = _staging(table)
        connection.exec_driver_sql(make)
        _copy(connection, table, copy, rows)
        connection.exec_driver_sql(move)
    else:
        connection.exec_driver_sql(f"{_insert(table)} ON CONFLICT DO NOTHING", list(rows))


def _copy(connection: sa.Connection, table: sa.Table, copy: str, rows: Rows) -> None:
    try:
        with connection.connection.cursor() as cursor, cursor.copy(copy) as stream:  # type: ignore[attr-defined]
            stream.set_types(_types(table))
            for row in rows:
                stream.write_row(row)
    except psycopg.OperationalError as error:  # as SQLAlchemy would name it: the store cannot be reached
        raise sa.exc.OperationalError(copy, None, error) from error


@cache
def _insert(table: sa.Table) -> str:
    markers = ", ".join("?" * len(table.columns))
    return f"INSERT INTO {table.name} ({_names(table)}) VALUES ({markers})"  # noqa: S608 - names from the schema


@cache
def _staging(table: sa.Table) -> _Statements:
    staging, names = f"staging_{table.name}", _names(table)
    return (
        f"CREATE TEMPORARY TABLE IF NOT EXISTS {staging} (LIKE {table.name}) ON COMMIT DELETE ROWS",
        f"COPY {staging} ({names}) FROM STDIN (FORMAT BINARY)",
        f"INSERT INTO {table.name} ({names}) SELECT {names} FROM {staging} ON CONFLICT DO NOTHING",  # noqa: S608 - names from the schema
    )


@cache
def _types(table: sa.Table) -> Sequence[str]:
    """Name PostgreSQL's types of the columns: the binary form converts nothing by itself."""
    return [column.type.compile(dialect=_DIALECT).lower() for column in table.columns]


def _names(table: sa.Table) -> str:
    return ", ".join(column.name for column in table.columns)
