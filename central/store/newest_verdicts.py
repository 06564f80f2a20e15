"""What the newest audit says of each doubt's first line, kept beside it: lists read one table."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from renzheng.central.store import schema

DOUBTS, VERDICTS, DAYS = schema.doubts, schema.verdicts, schema.audit_days
_SAID = {
    "service_day": VERDICTS.c.service_day,
    "billed_by": VERDICTS.c.doctor_id,
    "newest": VERDICTS.c.verdict,
}
"""Columns of a doubt, and of the verdict from which each comes."""


def note_run(connection: sa.Connection, run_id: str, days: Sequence[str]) -> None:
    """Take over what a run says that from now on speaks for days.

    Args:
        connection: in the transaction that makes it speak.
        run_id: the run.
        days: its service days, ISO 8601; a doubt of one of them of which it says nothing keeps no answer.
    """
    said = _of_line(VERDICTS.c.run_id == run_id)
    elsewhere = VERDICTS.c.line_id.is_(None) | VERDICTS.c.service_day.not_in(days)
    silent = DOUBTS.c.service_day.in_(days) & elsewhere
    gone = sa.select(DOUBTS.c.doubt_id).select_from(DOUBTS.outerjoin(VERDICTS, said)).where(silent)
    ids = list(connection.execute(gone).scalars())
    _put(connection, [{"of": one, **dict.fromkeys(_SAID)} for one in ids])
    _take_over(connection, DOUBTS.join(VERDICTS, said), VERDICTS.c.service_day.in_(days))


def note_drafted(connection: sa.Connection, case_id: str) -> None:
    """Take over what the runs that speak say of the doubts of a case that have no answer yet."""
    speaks = (DAYS.c.run_id == DOUBTS.c.run_id) & (DAYS.c.service_day == VERDICTS.c.service_day)
    tables = DOUBTS.join(VERDICTS, _of_line(VERDICTS.c.run_id == DOUBTS.c.run_id)).join(DAYS, speaks)
    _take_over(connection, tables, (DOUBTS.c.case_id == case_id) & DOUBTS.c.service_day.is_(None))


def _of_line(run: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """Return what joins a doubt to its first line's verdict of a run; the verdicts' key, in its order."""
    same_place = VERDICTS.c.institution_id == DOUBTS.c.institution_id
    return run & same_place & (VERDICTS.c.line_id == DOUBTS.c.line_id)


def _take_over(connection: sa.Connection, tables: sa.FromClause, which: sa.ColumnElement[bool]) -> None:
    other = sa.or_(*(DOUBTS.c[name].is_distinct_from(column) for name, column in _SAID.items()))
    query = sa.select(DOUBTS.c.doubt_id, *_SAID.values()).select_from(tables).where(which, other)
    rows = connection.execute(query).all()
    _put(connection, [{"of": row[0], **dict(zip(_SAID, row[1:], strict=True))} for row in rows])


def _put(connection: sa.Connection, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        connection.execute(sa.update(DOUBTS).where(DOUBTS.c.doubt_id == sa.bindparam("of")), rows)
