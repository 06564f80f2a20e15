"""Brings steps on enforcement files into the store, each with a signed entry of the file's journal."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, cast

import orjson
import sqlalchemy as sa

from renzheng.central.access import accounts
from renzheng.central.access.roles import Role
from renzheng.central.cases import acts, journal, records
from renzheng.central.cases.due import Due, WorkingDays, due_after, due_in
from renzheng.central.cases.errors import BodyError, NotFoundError, StaleError, StepRefusedError
from renzheng.central.cases.guards import Actor
from renzheng.central.cases.penalties import (
    ACTS,
    ENDED,
    SOURCES,
    Asked,
    Party,
    Penalty,
    PenaltyStep,
    State,
    take,
)
from renzheng.central.cases.reading import is_of_a_hospital
from renzheng.central.cases.stepping import Steps, kept_entries
from renzheng.central.store import schema
from renzheng.central.store.times import to_us
from renzheng.contracts.ids import new_id

PENALTIES, JOURNAL, DOUBTS = schema.penalties, schema.penalty_journal, schema.doubts
ARTICLES = (38, 40)
PARTIES: Sequence[Party] = ("citizen", "body")
COUNCIL = frozenset({Role.AUDITOR, Role.REVIEWER, Role.PANEL, Role.APPROVER})
"""Roles of which those who discuss a large fine have one."""


class Penalties(Steps):
    """Every step on enforcement files."""

    def open(  # noqa: PLR0917 - what a file begins with
        self,
        actor: Actor,
        doubt_ids: Sequence[str],
        source: str,
        party: str,
        article: int,
        loss_fen: int,
    ) -> Penalty:
        """Begin a file with a clue from doubts of one institution that were referred to enforcement.

        Raises:
            MayNotError: the actor is no auditor.
            BodyError: source, article, party or loss are none, or the doubts are of several institutions.
            NotFoundError: there is no such doubt.
            StepRefusedError: the actor has a tie to the institution, or a doubt is in a file already.
        """
        acts.must_be_allowed(ACTS["file"].roles, actor, "open a file")
        if source not in SOURCES or article not in ARTICLES or party not in PARTIES or loss_fen <= 0:
            raise BodyError(
                "A file names its source, its article (38 or 40), its party (citizen or body) and the loss.",
                do=f"A source is one of {', '.join(SOURCES)}; the loss is an amount in yuan.",
            )
        now = self._now()
        with self._writing() as connection:
            institution_id = _institution_of(connection, doubt_ids)
            acts.must_have_no_tie(actor, institution_id)
            _must_be_free(connection, institution_id, doubt_ids)
            limit = self._due(now)(int(self.numbers(now)["clue_days"]), True)  # noqa: FBT003 - working days
            penalty = Penalty(
                new_id(), institution_id, tuple(dict.fromkeys(doubt_ids)), source, cast("Party", party),
                loss_fen, article,
                began_at=now, due_at=limit.at, due_explained=limit.explained,
                acted=((actor.account, "open"),),
            )  # fmt: skip
            connection.execute(sa.insert(PENALTIES).values(_row(penalty)))
            self._append(
                connection,
                JOURNAL.c.penalty_id,
                penalty.penalty_id,
                actor=actor,
                act="open",
                after=records.plain(penalty),
                now=now,
            )
        return penalty

    def act(self, actor: Actor, penalty_id: str, act: str, asked: Asked, seen: int | None = None) -> Penalty:
        """Do a step on a file.

        Raises:
            NotFoundError: there is no such step, or no such file that the actor sees.
            MayNotError: the actor's roles do not.
            StaleError: the file has moved on since the version that the caller has seen.
            StepRefusedError: a guard refuses it.
            BodyError: what was sent with it lacks something.
        """
        if act not in ACTS:
            raise NotFoundError(f"There is no step {act[:40]!r} on an enforcement file.")
        acts.must_be_allowed(ACTS[act].roles, actor, act)
        now = self._now()
        with self._writing() as connection:
            penalty = read(connection, actor, penalty_id)
            if seen is not None and seen != penalty.version:
                raise StaleError(f"The file has moved on to version {penalty.version} since version {seen}.")
            _must_be_known(connection, penalty, {*asked.officers, *asked.members})
            after = take(PenaltyStep(act, penalty, actor, asked, now, self.numbers(now)), self._due(now))
            own = (PENALTIES.c.penalty_id == penalty_id) & (PENALTIES.c.version == penalty.version)
            if connection.execute(sa.update(PENALTIES).where(own).values(_row(after))).rowcount != 1:
                raise StaleError("Somebody else has just taken a step on this file.")
            said = {name: value for name, value in asdict(asked).items() if value}
            self._append(
                connection,
                JOURNAL.c.penalty_id,
                after.penalty_id,
                actor=actor,
                act=act,
                after=records.plain(after),
                now=now,
                body=said,
            )
        return after

    def _due(self, now: datetime) -> Callable[[int, bool], Due]:
        def due(days: int, working: bool) -> Due:
            if working:
                worked = WorkingDays(self._pack().working_days(self._region))
                return due_after(now, days, self._zone, worked)
            return due_in(now, days, self._zone)

        return due


def read(connection: sa.Connection, actor: Actor, penalty_id: str) -> Penalty:
    """Read a file that an actor may see; an institution sees those of which it was notified.

    Raises:
        NotFoundError: there is none, or it is not theirs.
    """
    query = sa.select(PENALTIES.c.record).where(PENALTIES.c.penalty_id == penalty_id, *_seen_by(actor))
    record = connection.execute(query).scalar()
    if record is None:
        raise NotFoundError("There is no such enforcement file.")
    return records.read(Penalty, record)


def listed(connection: sa.Connection, actor: Actor) -> list[Penalty]:
    """Read the files that an actor may see, what is due next first."""
    query = sa.select(PENALTIES.c.record).where(*_seen_by(actor))
    ordered = query.order_by(PENALTIES.c.due_at.is_(None), PENALTIES.c.due_at, PENALTIES.c.penalty_id)
    return [records.read(Penalty, record) for record in connection.execute(ordered).scalars()]


def journal_of(connection: sa.Connection, penalty_id: str) -> list[journal.Kept]:
    """Read a file's journal as it is kept."""
    return kept_entries(connection, JOURNAL.c.penalty_id, penalty_id)


def _seen_by(actor: Actor) -> list[sa.ColumnElement[bool]]:
    if not is_of_a_hospital(actor):
        return []
    if Role.HOSPITAL_OFFICE not in actor.roles:
        return [sa.false()]
    told = PENALTIES.c.state.in_(["notified", "decided", "delivered", "closed"])
    return [PENALTIES.c.institution_id.in_(sorted(actor.institutions)), told]


def _institution_of(connection: sa.Connection, doubt_ids: Sequence[str]) -> str:
    query = sa.select(DOUBTS.c.doubt_id, DOUBTS.c.institution_id, DOUBTS.c.record).where(
        DOUBTS.c.doubt_id.in_(list(doubt_ids))
    )
    rows = connection.execute(query).all()
    if not doubt_ids or len(rows) != len(set(doubt_ids)):
        raise NotFoundError("There is no such doubt.")
    for row in rows:
        referred = orjson.loads(row.record).get("referrals", ())
        if "enforcement" not in {one["to"] for one in referred}:
            raise BodyError(
                f"The doubt {row.doubt_id} was not referred to enforcement.", do="Refer it first."
            )
    places = {row.institution_id for row in rows}
    if len(places) > 1:
        raise BodyError("A file is about one institution.")
    return str(places.pop())


def _must_be_free(connection: sa.Connection, institution_id: str, doubt_ids: Sequence[str]) -> None:
    """Refuse doubts that another file holds, unless that one ended without a penalty."""
    query = sa.select(PENALTIES.c.record).where(PENALTIES.c.institution_id == institution_id)
    for record in connection.execute(query).scalars():
        other = records.read(Penalty, record)
        taken = sorted(set(other.doubt_ids) & set(doubt_ids))
        if taken and other.state not in ENDED - {State.CLOSED}:
            raise StepRefusedError("line_taken", f"The doubt {taken[0]} is in another enforcement file.")


def _must_be_known(connection: sa.Connection, penalty: Penalty, named: Collection[str]) -> None:
    """Refuse a step that names somebody who is not of the bureau, or has a tie to the institution."""
    for account_id in sorted(named):
        found = accounts.read(connection, account_id)
        if found is None or found.disabled or not found.roles & COUNCIL:
            raise BodyError(
                f"{account_id[:40]!r} is no account of the bureau.",
                do="Name accounts of auditors, reviewers, panel members or approvers.",
            )
        if penalty.institution_id in found.institutions | found.ties:
            raise StepRefusedError("own_institution", f"{account_id} has a tie to the institution.")


def _row(penalty: Penalty) -> dict[str, Any]:
    return {
        "penalty_id": penalty.penalty_id,
        "institution_id": penalty.institution_id,
        "state": str(penalty.state),
        "version": penalty.version,
        "due_at": to_us(penalty.due_at) if penalty.due_at else None,
        "record": records.canonical(records.plain(penalty)),
    }
