"""Brings summonses and their steps into the store, each with a signed entry of the summons' journal."""

from collections.abc import Callable
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from renzheng.central.access.roles import Role
from renzheng.central.cases import journal, records
from renzheng.central.cases.acts import must_be_allowed, must_have_no_tie
from renzheng.central.cases.due import Due, WorkingDays, due_after
from renzheng.central.cases.errors import NotFoundError, StaleError, StepRefusedError
from renzheng.central.cases.guards import Actor
from renzheng.central.cases.reading import is_of_a_hospital
from renzheng.central.cases.stepping import Steps, kept_entries
from renzheng.central.cases.summonses import ACTS, ISSUES, OPEN, Figure, Summons, SummonsStep, take
from renzheng.central.store import schema
from renzheng.central.store.times import to_us
from renzheng.contracts.ids import new_id

TABLE, JOURNAL = schema.summonses, schema.summons_journal
FigureOf = Callable[[sa.Connection, str, date, date], Figure | None]
"""Tells the rate of an institution between two days when it is to be summoned for it; None when it is not."""


class Summonses(Steps):
    """Every step on summonses."""

    def issue(
        self, actor: Actor, institution_id: str, first: date, last: date, figure_of: FigureOf
    ) -> Summons:
        """Summon an institution whose in-bed rate between two days is surely below the threshold.

        Raises:
            MayNotError: the actor is no auditor.
            StepRefusedError: the actor has a tie there, a summons of it is open or covers these days, or its
                rate is not surely below the threshold.
        """
        must_be_allowed(ISSUES, actor, "issue a summons")
        must_have_no_tie(actor, institution_id)
        now = self._now()
        with self._writing() as connection:
            figure = figure_of(connection, institution_id, first, last)
            if figure is None:
                raise StepRefusedError(
                    "not_summoned", "Rate and upper bound of these days are not both below the threshold."
                )
            _must_be_new(connection, institution_id, first)
            due = self._due(now)
            summons = Summons(
                new_id(), institution_id, first, last, figure, actor.account, now, due.at, due.explained
            )
            connection.execute(sa.insert(TABLE).values(_row(summons)))
            self._append(
                connection,
                JOURNAL.c.summons_id,
                summons.summons_id,
                actor=actor,
                act="issue",
                after=records.plain(summons),
                now=now,
            )
        return summons

    def act(  # noqa: PLR0917 - a step, and what was sent with it
        self, actor: Actor, summons_id: str, act: str, text: str, reason: str, seen: int | None = None
    ) -> Summons:
        """Do a step on a summons.

        Raises:
            NotFoundError: there is no such step, or no such summons that the actor sees.
            MayNotError: the actor's roles do not.
            StaleError: it has moved on since the version that the caller has seen.
            StepRefusedError: a guard refuses it.
            BodyError: an answer says nothing.
        """
        if act not in ACTS:
            raise NotFoundError(f"There is no step {act[:40]!r} on a summons.")
        must_be_allowed(ACTS[act].roles, actor, act)
        now = self._now()
        with self._writing() as connection:
            before = read(connection, actor, summons_id)
            if seen is not None and seen != before.version:
                raise StaleError(f"It has moved on to version {before.version} since version {seen}.")
            after = take(SummonsStep(act, before, actor, text, reason, now, self._due(now)))
            own = (TABLE.c.summons_id == summons_id) & (TABLE.c.version == before.version)
            if connection.execute(sa.update(TABLE).where(own).values(_row(after))).rowcount != 1:
                raise StaleError("Somebody else has just taken a step on it.")
            said = {name: value for name, value in (("text", text), ("reason", reason)) if value}
            self._append(
                connection,
                JOURNAL.c.summons_id,
                after.summons_id,
                actor=actor,
                act=act,
                after=records.plain(after),
                now=now,
                body=said,
            )
        return after

    def _due(self, now: datetime) -> Due:
        worked = WorkingDays(self._pack().working_days(self._region))
        return due_after(now, int(self.numbers(now)["statement_days"]), self._zone, worked)


def read(connection: sa.Connection, actor: Actor, summons_id: str) -> Summons:
    """Read a summons that an actor may see; an institution's doctors see none.

    Raises:
        NotFoundError: there is none, or it is not theirs.
    """
    query = sa.select(TABLE.c.record).where(TABLE.c.summons_id == summons_id, *_seen_by(actor))
    record = connection.execute(query).scalar()
    if record is None:
        raise NotFoundError("There is no such summons.")
    return records.read(Summons, record)


def listed(connection: sa.Connection, actor: Actor, limit: int) -> list[Summons]:
    """Read the newest summonses that an actor may see."""
    query = sa.select(TABLE.c.record).where(*_seen_by(actor)).order_by(TABLE.c.issued_at.desc())
    return [
        records.read(Summons, one)
        for one in connection.execute(query.order_by(TABLE.c.summons_id).limit(limit)).scalars()
    ]


def journal_of(connection: sa.Connection, summons_id: str) -> list[journal.Kept]:
    """Read a summons' journal as it is kept."""
    return kept_entries(connection, JOURNAL.c.summons_id, summons_id)


def letter(summons: Summons, institution: str) -> bytes:
    """Write the letter of a summons as a page for print, in Chinese: the same bytes each time."""
    return _template().render(one=summons, institution=institution).encode()


@cache
def _template() -> Template:
    loader = FileSystemLoader(Path(__file__).parent / "templates")
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return made.get_template("summons.html")


def _seen_by(actor: Actor) -> list[sa.ColumnElement[bool]]:
    if not is_of_a_hospital(actor):
        return []
    if Role.HOSPITAL_OFFICE not in actor.roles:
        return [sa.false()]
    return [TABLE.c.institution_id.in_(sorted(actor.institutions))]


def _must_be_new(connection: sa.Connection, institution_id: str, first: date) -> None:
    """Refuse a second open summons, and one about days for which another was decided."""
    query = sa.select(TABLE.c.record).where(TABLE.c.institution_id == institution_id)
    for record in connection.execute(query).scalars():
        other = records.read(Summons, record)
        if other.state in OPEN:
            raise StepRefusedError("line_taken", "The institution has an open summons.")
        if other.state != "withdrawn" and first <= other.last:
            raise StepRefusedError("line_taken", f"The days up to {other.last} were decided on already.")


def _row(summons: Summons) -> dict[str, Any]:
    return {
        "summons_id": summons.summons_id,
        "institution_id": summons.institution_id,
        "state": str(summons.state),
        "version": summons.version,
        "issued_at": to_us(summons.issued_at),
        "record": records.canonical(records.plain(summons)),
    }
