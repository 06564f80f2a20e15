"""Tells a fault of the store from a fault of what is to be stored, without a word of what was in it.

A driver's own words may hold the values of a row (PostgreSQL's DETAIL does), so they never reach a log.
"""

import psycopg
import sqlalchemy as sa

from renzheng.central.errors import StoreError

_OF_STORE = (
    sa.exc.OperationalError,
    sa.exc.InternalError,
    sa.exc.TimeoutError,
    psycopg.OperationalError,
    psycopg.InternalError,
    OSError,
    MemoryError,
    UnicodeDecodeError,  # a text in the store is none: what came was decoded before
)
_SQLSTATES_OF_CONTENT = ("22", "23")
"""SQLSTATE classes that speak of the values: data exception, integrity constraint violation."""
_UNIQUE = "23505"


class StoreRefusesError(StoreError):
    """The store does not take what it should; `attributes["probed"]` says whether it takes a probe."""


def is_of_store(error: BaseException) -> bool:
    """Tell whether an error speaks of the store and not of what was to be stored.

    A key that is there already counts as the store's: what is appended lies beyond a head that was locked, so
    the store contradicts itself.
    """
    if isinstance(error, (StoreError, *_OF_STORE)):
        return True
    if type(error) is sa.exc.DatabaseError:  # SQLite's plain one: a damaged file, or no database at all
        return True
    cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    sqlstate = getattr(cause, "sqlstate", None)
    if isinstance(sqlstate, str):
        return sqlstate == _UNIQUE or not sqlstate.startswith(_SQLSTATES_OF_CONTENT)
    return isinstance(error, sa.exc.IntegrityError) and "UNIQUE" in str(cause)


def describe(error: BaseException) -> str:
    """Name an error of the store for a log or a page: its kind, and the server's or SQLite's plain words."""
    cause = error.orig if isinstance(error, sa.exc.DBAPIError) and error.orig is not None else error
    if isinstance(error, StoreError):
        return error.what
    if isinstance(cause, psycopg.Error):
        words = cause.diag.message_primary if is_of_store(error) else ""
        return " ".join(part for part in (type(cause).__name__, cause.sqlstate, words) if part)
    if isinstance(error, sa.exc.DBAPIError) and is_of_store(error):
        plain = "".join(str(cause).splitlines()[:1])[:120]  # SQLite names tables and columns, never values
        return f"{type(cause).__name__} ({plain})"
    return type(cause).__name__
