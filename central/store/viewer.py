"""For whom the store is being read: which institutions' rows they see, and of which persons they have read.

A request sets its viewer; queries of rows with an institution ask `may_see`, and what reads rows with a
person tells `note`. Commands and the nightly run have no viewer: they see all, and nothing is noted.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import orjson
import sqlalchemy as sa

from renzheng.central.store import schema

HIDDEN = "***"


@dataclass(slots=True)
class Viewer:
    """One reader.

    Args:
        institutions: those whose rows it sees; None for all.
        persons: of whom it has read so far.
    """

    institutions: frozenset[str] | None = None
    persons: set[str] = field(default_factory=set)


_viewer: ContextVar[Viewer | None] = ContextVar("viewer", default=None)


def look_as(viewer: Viewer | None) -> None:
    """Read for this viewer from now on, in this task and the threads it starts."""
    _viewer.set(viewer)


def institutions() -> frozenset[str] | None:
    """Return the institutions whose rows may be seen; None for all."""
    viewer = _viewer.get()
    return None if viewer is None else viewer.institutions


def sees(institution_id: str | None) -> bool:
    """Say whether a row of this institution may be seen."""
    seen = institutions()
    return seen is None or institution_id in seen


def sees_all() -> bool:
    """Say whether the viewer is bound to no institution."""
    return institutions() is None


def may_see(column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """Return the condition under which rows may be seen, by their column of institutions."""
    seen = institutions()
    return sa.true() if seen is None else column.in_(sorted(seen))


def note(rows: Iterable[Mapping[str, Any]]) -> None:
    """Keep of whom these rows are: everything in a column `person_id`."""
    note_persons(row.get("person_id") for row in rows)


def note_persons(person_ids: Iterable[str | None]) -> None:
    """Keep that these persons' data were read."""
    viewer = _viewer.get()
    if viewer is not None:
        viewer.persons.update(one for one in person_ids if one)


def names_elsewhere(connection: sa.Connection) -> Sequence[str]:
    """Read ids and names of the institutions that the viewer does not see, the longest first."""
    if sees_all():
        return ()
    table = schema.institutions
    rows = connection.execute(sa.select(table.c.institution_id, table.c.name)).all()
    own = {name for row in rows if sees(row.institution_id) for name in row}
    return sorted({name for row in rows for name in row} - own, key=len, reverse=True)


def covered(finding: Mapping[str, Any], names: Sequence[str]) -> Mapping[str, Any]:
    """Cover, in a finding, what names institutions that the viewer does not see.

    Args:
        finding: its row.
        names: of those institutions (`names_elsewhere`).
    """
    if not names:
        return finding

    def hide(text: str) -> str:
        for name in names:
            text = text.replace(name, HIDDEN).replace(orjson.dumps(name).decode()[1:-1], HIDDEN)
        return text

    return {**finding, **{name: hide(finding[name]) for name in _TELLING if finding.get(name)}}


_TELLING = ("explanation_zh", "explanation_en", "parameters")
