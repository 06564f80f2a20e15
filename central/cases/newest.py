"""What the newest audit says of doubts' lines, kept in memory while the same runs speak for the same days.

The verdicts of a run never change once it speaks, and to find those of ten thousand doubts among millions
takes longer than all else of a list.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import sqlalchemy as sa

from renzheng.central.store import schema

DOUBTS, VERDICTS, DAYS = schema.doubts, schema.verdicts, schema.audit_days
Speaking = frozenset[tuple[str, str]]
"""Days, each with the run that speaks for it."""


class Newest(NamedTuple):
    """What the newest audit says of a line; empty where it says nothing."""

    day: str = ""
    doctor: str = ""
    verdict: str = ""


NOTHING = Newest()


@dataclass(slots=True)
class _Known:
    speaking: Speaking
    by_doubt: dict[str, Newest] = field(default_factory=dict)


class NewestAudit:
    """What the newest audit says of the first line of each doubt that was asked for."""

    def __init__(self) -> None:
        self._known = _Known(frozenset())

    def of(self, connection: sa.Connection, doubt_ids: Iterable[str]) -> Mapping[str, Newest]:
        """Return what it says by doubt; of all that were ever asked for.

        Args:
            connection: the store; the answer is of its moment.
            doubt_ids: the doubts that must be in the answer.
        """
        speaking = speaking_days(connection)
        known = self._known
        if known.speaking != speaking:
            known = _Known(speaking)
        missing = set(doubt_ids) - known.by_doubt.keys()
        if missing:
            found = dict.fromkeys(missing, NOTHING) | _read(connection, speaking)
            known = _Known(speaking, {**known.by_doubt, **found})
        self._known = known  # as a whole: another thread sees the old or the new
        return known.by_doubt


def speaking_days(connection: sa.Connection) -> Speaking:
    """Read which run speaks for each day."""
    rows = connection.execute(sa.select(DAYS.c.service_day, DAYS.c.run_id))
    return frozenset((row.service_day, row.run_id) for row in rows)


def newest_lines(*columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
    """Return the query of doubts with the rows of verdicts of their first line, of whatever run.

    A left join, so that SQLite begins with the doubts and not with the verdicts, which are many more.
    """
    same = (VERDICTS.c.line_id == DOUBTS.c.line_id) & (VERDICTS.c.institution_id == DOUBTS.c.institution_id)
    return sa.select(*columns, VERDICTS.c.service_day, VERDICTS.c.run_id).select_from(
        DOUBTS.outerjoin(VERDICTS, same)
    )


def _read(connection: sa.Connection, speaking: Speaking) -> dict[str, Newest]:
    query = newest_lines(DOUBTS.c.doubt_id, VERDICTS.c.doctor_id, VERDICTS.c.verdict)
    return {
        doubt_id: Newest(day, doctor or "", verdict)
        for doubt_id, doctor, verdict, day, run_id in connection.execute(query)
        if (day, run_id) in speaking
    }
