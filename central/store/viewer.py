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
from renzheng.central.store.masking import Masks, apart, label

HIDDEN = "***"
NOBODY = "…~"
"""A number that no person has."""


@dataclass(slots=True)
class Viewer:
    """One reader.

    Args:
        institutions: those whose rows it sees; None for all.
        persons: of whom it has read so far.
        masks: how persons' numbers are shown to it; None: whole.
        remark: what the access log has beside the address, such as the reason that was given.
    """

    institutions: frozenset[str] | None = None
    persons: set[str] = field(default_factory=set)
    masks: Masks | None = None
    remark: str = ""


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


def remark(text: str) -> None:
    """Give what the access log has beside the address of this request."""
    viewer = _viewer.get()
    if viewer is not None:
        viewer.remark = text


def masks() -> Masks | None:
    """Return how persons' numbers are shown; None: whole."""
    viewer = _viewer.get()
    return None if viewer is None else viewer.masks


def shown(person_id: str | None) -> str | None:
    """Return a person's number as the viewer may have it: whole, or a handle that can be sent back."""
    own = masks()
    return person_id if own is None or not person_id else own.handle(person_id)


def labelled(person_id: str | None) -> str:
    """Return a person's number as a page writes it: whole, or its end. Takes a handle too."""
    own = masks()
    if own is None or not person_id:
        return person_id or ""
    return label(own.handle(own.person(person_id) or person_id))


def told_apart(person_id: str) -> str:
    """Return a person's number as a picture writes it: whole, or its end and so much that two stay two."""
    own = masks()
    return person_id if own is None else apart(own.handle(person_id))


def meant(text: str) -> str:
    """Return of whom a visitor speaks: by the number, or where numbers are masked by a handle alone.

    Whoever sees numbers masked cannot try one out: any text but a handle stands for `NOBODY`.
    """
    own = masks()
    return text if own is None or not text else own.person(text) or NOBODY


def ordering(expression: str) -> str:
    """Return SQL (DuckDB's) by which persons are ordered: where numbers are masked, it tells nothing of them.

    Args:
        expression: SQL of a person's number.
    """
    own = masks()
    return expression if own is None else f"sha256('{own.salt}' || {expression})"


def names_elsewhere(connection: sa.Connection) -> Sequence[str]:
    """Read ids and names of the institutions that the viewer does not see, the longest first."""
    if sees_all():
        return ()
    table = schema.institutions
    rows = connection.execute(sa.select(table.c.institution_id, table.c.name)).all()
    own = {name for row in rows if sees(row.institution_id) for name in row}
    return sorted({name for row in rows for name in row} - own, key=len, reverse=True)


def covered(finding: Mapping[str, Any], names: Sequence[str]) -> Mapping[str, Any]:
    """Cover, in a finding, what names institutions that the viewer does not see, and masked numbers.

    Whoever its parameters name is noted as read of.

    Args:
        finding: its row.
        names: of those institutions (`names_elsewhere`).
    """
    own, persons = masks(), _persons_named(finding)
    note_persons(persons)
    if not names and own is None:
        return finding

    def hide(text: str) -> str:
        text = text if own is None else own.cover(text, finding.get("person_id") or "", *persons)
        for name in names:
            text = text.replace(name, HIDDEN).replace(orjson.dumps(name).decode()[1:-1], HIDDEN)
        return text

    return {**finding, **{name: hide(finding[name]) for name in _TELLING if finding.get(name)}}


def _persons_named(finding: Mapping[str, Any]) -> Sequence[str]:
    told = orjson.loads(finding.get("parameters") or "{}")
    named = (told[name] for name in told if name.endswith("person_id") or name == "numbers")
    return [one for one in named if isinstance(one, str)]


_TELLING = ("explanation_zh", "explanation_en", "parameters")
