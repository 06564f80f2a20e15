"""Reads lists of doubts to work through, and what stands around them: lines, newest verdicts, cases."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
import sqlalchemy as sa

from renzheng.central.access.roles import Role
from renzheng.central.cases import lists, records
from renzheng.central.cases.desk import CERTAINTIES, Certainty, Group, Row, certainty_of
from renzheng.central.cases.doubts import OPEN, WITH_THE_INSTITUTION, Case, CaseState, State
from renzheng.central.cases.guards import Actor
from renzheng.central.cases.reading import CASES, DOUBTS, person_order, seen_by
from renzheng.central.store import schema, viewer
from renzheng.central.store.reading import institution_names
from renzheng.central.store.times import from_us

VERDICTS, DAYS = schema.verdicts, schema.audit_days
_AT_ONCE = 500
STATES = {str(state): state for state in State}
_LOOKED_AT = DOUBTS.c.confirmed == 1
_NEVER_DUE = 2**62
_SHAPE = DOUBTS.c.rule_id + " " + DOUBTS.c.reason
_DIFFERS = sa.func.coalesce(
    (DOUBTS.c.newest != DOUBTS.c.verdict) & (DOUBTS.c.reason != DOUBTS.c.rule_id), sa.false()
)
_KEYS: Mapping[str, sa.ColumnElement[Any]] = {
    "institution": DOUBTS.c.institution_id,
    "person": sa.func.coalesce(DOUBTS.c.person_id, ""),
    "doctor": sa.func.coalesce(DOUBTS.c.billed_by, ""),
    "rule": DOUBTS.c.rule_id,
    "shape": _SHAPE,
    "state": DOUBTS.c.state,
}
"""By what a list is added up (`desk.GROUPS`)."""
_EQUAL: Mapping[str, sa.ColumnElement[Any]] = {
    "month": DOUBTS.c.month,
    "institution": DOUBTS.c.institution_id,
    "rule": DOUBTS.c.rule_id,
    "reason": DOUBTS.c.reason,
    "person": DOUBTS.c.person_id,
    "case": DOUBTS.c.case_id,
    "answers": DOUBTS.c.doctor,
    "doctor": DOUBTS.c.billed_by,
    "shape": _SHAPE,
}
_ASKED: Mapping[str, sa.ColumnElement[bool]] = {
    "confirmed": _LOOKED_AT,
    "differs": _DIFFERS,
    "decided": DOUBTS.c.decided_at.is_not(None),
}


@dataclass(frozen=True, slots=True)
class Choice:
    """Which doubts are wanted, and in which order; what is empty takes all.

    Args:
        month, institution, rule, reason, person, case, answers, doctor, shape, certainty: what each has.
        confirmed, differs, decided: yes or no.
        states: one of them.
        late_us: with the institution, and due by this moment, in microseconds.
        changed_us: with a step on them since this moment, in microseconds.
        sort: one of `desk.SORTS`.
    """

    month: str = ""
    institution: str = ""
    rule: str = ""
    reason: str = ""
    person: str = ""
    case: str = ""
    answers: str = ""
    doctor: str = ""
    shape: str = ""
    certainty: str = ""
    confirmed: str = ""
    differs: str = ""
    decided: str = ""
    states: tuple[str, ...] = ()
    late_us: int | None = None
    changed_us: int | None = None
    sort: str = "certainty"


@dataclass(frozen=True, slots=True)
class Total:
    """Doubts of a list that are in one state; of the drafted ones, that were looked at or not."""

    state: State
    looked_at: bool
    doubts: int
    at_stake_fen: int


class Worklist:
    """A list of doubts, narrowed, ordered and added up in the store.

    Args:
        connection: the store; all that is read of the list is of its moment.
        actor: who reads.
        chosen: which doubts, in which order.
        of_received: leave out cases that their institution has not opened; for the institution's own lists.
    """

    def __init__(
        self, connection: sa.Connection, actor: Actor, chosen: Choice, *, of_received: bool = False
    ) -> None:
        self._connection, self._chosen = connection, chosen
        self._sure = _certainties(connection)
        self._rank = sa.case(
            *((_of_kind(kind), CERTAINTIES.index(sure)) for kind, sure in self._sure.items()),
            else_=len(CERTAINTIES),
        ) if self._sure else sa.literal(0)  # fmt: skip
        self._conditions = [*seen_by(actor, DOUBTS), *self._narrowing()]
        if of_received:
            self._conditions.append(DOUBTS.c.case_id.in_(_received(connection, actor)))

    def _narrowing(self) -> list[sa.ColumnElement[bool]]:
        chosen = self._chosen
        found = [column == value for name, column in _EQUAL.items() if (value := getattr(chosen, name))]
        for name, column in _ASKED.items():
            if value := getattr(chosen, name):
                found.append(column if value == "yes" else sa.not_(sa.func.coalesce(column, sa.false())))
        if chosen.states:
            found.append(DOUBTS.c.state.in_(chosen.states))
        if chosen.certainty:
            rank = CERTAINTIES.index(chosen.certainty) if chosen.certainty in CERTAINTIES else -1
            found.append(self._rank == rank)
        if chosen.late_us is not None:
            found += [DOUBTS.c.state.in_(WITH_THE_INSTITUTION), DOUBTS.c.due_at <= chosen.late_us]
        if chosen.changed_us is not None:
            found.append(DOUBTS.c.changed_at >= chosen.changed_us)
        return found

    def _keys(self) -> list[sa.ColumnElement[Any]]:
        """Return by what it is ordered, ascending and never null."""
        money = -DOUBTS.c.at_stake_fen
        orders: Mapping[str, list[sa.ColumnElement[Any]]] = {
            "certainty": [sa.case((_DIFFERS, 1), else_=0), self._rank, money],
            "amount": [money],
            "due": [sa.func.coalesce(DOUBTS.c.due_at, _NEVER_DUE), money],
            "institution": [DOUBTS.c.institution_id, money],
            "person": [person_order(), sa.func.coalesce(DOUBTS.c.service_day, "")],
            "day": [sa.func.coalesce(DOUBTS.c.service_day, ""), money],
        }
        # what is alike by id, so that pages neither lose nor repeat a row
        return [*orders.get(self._chosen.sort, orders["certainty"]), DOUBTS.c.doubt_id]

    def beyond(self, doubt_id: str, limit: int, *, before: bool = False) -> list[str] | None:
        """Name the doubts that follow one in its order, or stand before it; None where it is not in it.

        It costs the same wherever in the list the doubt stands.

        Args:
            doubt_id: from which on.
            limit: how many.
            before: those before it, the nearest last.
        """
        keys = [key.label(f"key_{place}") for place, key in enumerate(self._keys())]
        listed = sa.select(DOUBTS.c.doubt_id, *keys).where(*self._conditions).subquery()
        columns = [listed.c[key.name] for key in keys]
        here = self._connection.execute(sa.select(*columns).where(listed.c.doubt_id == doubt_id)).first()
        if here is None:
            return None
        further = sa.or_(
            *(
                sa.and_(
                    *(column == here[place] for place, column in enumerate(columns[:last])),
                    column_last < here[last] if before else column_last > here[last],
                )
                for last, column_last in enumerate(columns)
            )
        )
        order = [column.desc() if before else column for column in columns]
        query = sa.select(listed.c.doubt_id).where(further).order_by(*order).limit(limit)
        found = list(self._connection.execute(query).scalars())
        return found[::-1] if before else found

    def totals(self) -> list[Total]:
        """Add it up by state, those drafted that were looked at apart."""
        looked_at = (DOUBTS.c.state == State.DRAFTED) & _LOOKED_AT
        key = sa.case((looked_at, 1), else_=0).label("looked_at")
        query = (
            sa.select(DOUBTS.c.state, key, sa.func.count(), sa.func.sum(DOUBTS.c.at_stake_fen))
            .where(*self._conditions)
            .group_by(DOUBTS.c.state, key)
        )
        return [
            Total(STATES[state], bool(looked), count, int(fen))
            for state, looked, count, fen in self._connection.execute(query)
        ]

    def versions(self, limit: int | None = None) -> dict[str, int]:
        """Name its doubts in their order, each with its version."""
        query = sa.select(DOUBTS.c.doubt_id, DOUBTS.c.version).where(*self._conditions)
        found = self._connection.execute(query.order_by(*self._keys()).limit(limit))
        return {row.doubt_id: row.version for row in found}

    def rows(self, limit: int | None = None, offset: int = 0) -> list[Row]:
        """Read some of it in its order, with what only the records and the lines say."""
        ids = sa.select(DOUBTS.c.doubt_id).where(*self._conditions).order_by(*self._keys())
        wanted = self._connection.execute(ids.limit(limit).offset(offset)).scalars()
        return self.rows_of(list(wanted))

    def rows_of(self, doubt_ids: Sequence[str]) -> list[Row]:
        """Read rows of it that are named, in that order."""
        return _rows_of(self._connection, doubt_ids, self._sure)

    def groups(self, by: str, limit: int | None = None, offset: int = 0) -> tuple[int, list[Group]]:
        """Add it up by what its doubts have in common, the most money first; return how many, and some.

        Args:
            by: one of `desk.GROUPS`.
            limit: of the groups that are returned.
            offset: so many come before them.
        """
        key = _KEYS[by]
        alike = sa.func.min(DOUBTS.c.doubt_id) if by == "person" and viewer.masks() else key
        fen = sa.func.sum(DOUBTS.c.at_stake_fen)
        unlooked = (DOUBTS.c.state == State.DRAFTED) & (DOUBTS.c.confirmed.is_distinct_from(1))
        query = (
            sa.select(
                key.label("key"), sa.func.count(), fen, sa.func.sum(sa.case((unlooked, 1), else_=0)),
                sa.func.count().over(),
            )
            .where(*self._conditions)
            .group_by(key)
            .order_by(fen.desc(), alike)
        )  # fmt: skip
        rows = self._connection.execute(query.limit(limit).offset(offset)).all()
        names = institution_names(self._connection) if by == "institution" else {}
        found = [
            Group(of, names.get(of) or of, count, int(money), int(waiting))
            for of, count, money, waiting, _ in rows
        ]
        return (rows[0][4] if rows else 0), found


Kind = tuple[str, str, str]
"""Verdict, rule and reason: doubts of one kind are equally sure."""


def rows_of(connection: sa.Connection, doubt_ids: Sequence[str]) -> list[Row]:
    """Read doubts as rows of a list, in the order in which they are named; who sees them is the caller's."""
    return _rows_of(connection, doubt_ids, _certainties(connection))


def _rows_of(
    connection: sa.Connection, doubt_ids: Sequence[str], sure: Mapping[Kind, Certainty]
) -> list[Row]:
    found: dict[str, Row] = {}
    names = institution_names(connection)
    for first in range(0, len(doubt_ids), _AT_ONCE):
        for row in _opened(connection, doubt_ids[first : first + _AT_ONCE], names, sure):
            found[row.doubt_id] = row
    return [found[one] for one in doubt_ids if one in found]


def _opened(
    connection: sa.Connection, ids: Sequence[str], names: Mapping[str, str], sure: Mapping[Kind, Certainty]
) -> Iterator[Row]:
    line = (
        (VERDICTS.c.run_id == DAYS.c.run_id)
        & (VERDICTS.c.institution_id == DOUBTS.c.institution_id)
        & (VERDICTS.c.line_id == DOUBTS.c.line_id)
    )
    query = (
        sa.select(DOUBTS, VERDICTS.c.item_name, VERDICTS.c.item_code)
        .select_from(
            DOUBTS.outerjoin(DAYS, DAYS.c.service_day == DOUBTS.c.service_day).outerjoin(VERDICTS, line)
        )
        .where(DOUBTS.c.doubt_id.in_(ids))
    )
    for row in connection.execute(query):
        record = orjson.loads(row.record)
        yield Row(
            row.doubt_id, row.version, row.case_id, row.institution_id,
            names.get(row.institution_id) or row.institution_id, row.person_id, row.rule_id, row.reason,
            row.verdict or "", STATES[row.state], bool(row.confirmed), row.at_stake_fen, row.amount_fen,
            row.line_id or "", row.reason == row.rule_id, row.service_day or "",
            row.item_name or row.item_code or "", row.billed_by or "", row.newest or "", row.doctor or "",
            record["position"] or "", row.decided_at is not None, row.due_at,
            sure[row.verdict or "", row.rule_id, row.reason], len(record["lines"]),
        )  # fmt: skip


def _certainties(connection: sa.Connection) -> Mapping[Kind, Certainty]:
    """Say how sure doubts are, by their kind."""
    fared = {(one.rule_id, one.reason): one for one in lists.overturns_of(connection)}
    kinds = sa.select(DOUBTS.c.verdict, DOUBTS.c.rule_id, DOUBTS.c.reason).distinct()
    return {
        (verdict or "", rule, reason): certainty_of(verdict or "", fared.get((rule, reason)))
        for verdict, rule, reason in connection.execute(kinds)
    }


def _of_kind(kind: Kind) -> sa.ColumnElement[bool]:
    verdict, rule, reason = kind
    same = sa.func.coalesce(DOUBTS.c.verdict, "") == verdict
    return same & (DOUBTS.c.rule_id == rule) & (DOUBTS.c.reason == reason)


def _received(connection: sa.Connection, actor: Actor) -> list[str]:
    """Name the cases that an actor sees and their institution has opened."""
    query = sa.select(CASES.c.case_id, CASES.c.record).where(
        CASES.c.state != CaseState.DRAFTED, *seen_by(actor, CASES)
    )
    rows = connection.execute(query)
    return [row.case_id for row in rows if orjson.loads(row.record)["received_at"]]


def to_receive(connection: sa.Connection, actor: Actor) -> list[Case]:
    """Read the issued cases that an institution's office has not opened yet."""
    if Role.HOSPITAL_OFFICE not in actor.roles:
        return []
    query = sa.select(CASES.c.record).where(CASES.c.state == CaseState.ISSUED, *seen_by(actor, CASES))
    found = [records.read(Case, record) for record in connection.execute(query).scalars()]
    return [case for case in found if case.received_at is None]


@dataclass(frozen=True, slots=True)
class Lane:
    """Open doubts that wait for the same.

    Args:
        name: their state; drafted ones that were looked at are `confirmed`, final ones that were decided
            `decided`, and those with the institution are `late` as well once their date has
            passed, or `owed` while the bureau owes a document.
        doubts: how many.
        at_stake_fen: their money.
        due_at: the next date of them.
    """

    name: str
    doubts: int = 0
    at_stake_fen: int = 0
    due_at: datetime | None = None


def lanes(connection: sa.Connection, actor: Actor, now_us: int) -> Mapping[str, Lane]:
    """Count the open doubts that an actor sees, by what they wait for."""
    name = sa.case(
        (DOUBTS.c.state == State.DRAFTED, sa.case((_LOOKED_AT, "confirmed"), else_="drafted")),
        (
            DOUBTS.c.state == State.FINAL,
            sa.case((DOUBTS.c.decided_at.is_not(None), "decided"), else_="final"),
        ),
        else_=DOUBTS.c.state,
    ).label("lane")
    late = DOUBTS.c.state.in_(WITH_THE_INSTITUTION) & (DOUBTS.c.due_at <= now_us)
    owed = DOUBTS.c.state.in_(WITH_THE_INSTITUTION) & DOUBTS.c.due_at.is_(None)
    query = (
        sa.select(
            name,
            late.label("late"),
            owed.label("owed"),
            sa.func.count(),
            sa.func.sum(DOUBTS.c.at_stake_fen),
            sa.func.min(DOUBTS.c.due_at),
        )
        .where(DOUBTS.c.state.in_(OPEN), *seen_by(actor, DOUBTS))
        .group_by(name, late, owed)
    )
    found: dict[str, Lane] = {}
    for row in connection.execute(query):
        beside = ["late"] if row.late else ["owed"] if row.owed else []
        for one in (row.lane, *beside):
            found[one] = _with(found.get(one, Lane(one)), row[3], int(row[4]), row[5])
    return found


def changed_since(connection: sa.Connection, actor: Actor, since_us: int) -> Sequence[Lane]:
    """Count, by state, the doubts that an actor sees and on which something was done since a moment."""
    fen = sa.func.sum(DOUBTS.c.at_stake_fen)
    query = (
        sa.select(DOUBTS.c.state, sa.func.count(), fen)
        .where(DOUBTS.c.changed_at >= since_us, *seen_by(actor, DOUBTS))
        .group_by(DOUBTS.c.state)
        .order_by(fen.desc())
    )
    return [Lane(state, count, int(money)) for state, count, money in connection.execute(query)]


def _with(lane: Lane, doubts: int, fen: int, due_at: int | None) -> Lane:
    due = [one for one in (lane.due_at, from_us(due_at) if due_at else None) if one is not None]
    return Lane(lane.name, lane.doubts + doubts, lane.at_stake_fen + fen, min(due, default=None))


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the doubts of a case are.

    Args:
        waiting: drafted, and nobody has looked.
        confirmed: drafted, and looked at.
        open: not ended.
    """

    waiting: int = 0
    confirmed: int = 0
    open: int = 0

    @property
    def ready(self) -> bool:
        """It can be issued."""
        return self.confirmed > 0 and not self.waiting


NOTHING = Progress()


def progress(connection: sa.Connection, actor: Actor, month: str) -> Mapping[str, Progress]:
    """Count, of each case of a month that an actor sees, how far its doubts are."""
    drafted = DOUBTS.c.state == State.DRAFTED
    query = (
        sa.select(
            DOUBTS.c.case_id,
            sa.func.sum(sa.case((drafted & ~_LOOKED_AT, 1), else_=0)),
            sa.func.sum(sa.case((drafted & _LOOKED_AT, 1), else_=0)),
            sa.func.sum(sa.case((DOUBTS.c.state.in_(OPEN), 1), else_=0)),
        )
        .where(DOUBTS.c.month == month, *seen_by(actor, DOUBTS))
        .group_by(DOUBTS.c.case_id)
        .order_by(DOUBTS.c.case_id)
    )
    return {row[0]: Progress(int(row[1]), int(row[2]), int(row[3])) for row in connection.execute(query)}


def months(connection: sa.Connection, actor: Actor) -> Sequence[str]:
    """Name the months of the cases that an actor sees."""
    query = sa.select(CASES.c.month).where(*seen_by(actor, CASES)).distinct()
    return list(connection.execute(query).scalars())
