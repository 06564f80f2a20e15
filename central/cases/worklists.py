"""Reads lists of doubts to work through, and what stands around them: lines, newest verdicts, cases."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson
import sqlalchemy as sa

from renzheng.central.access.roles import Role
from renzheng.central.cases import lists, records
from renzheng.central.cases.desk import Certainty, Row, certainty_of
from renzheng.central.cases.doubts import OPEN, WITH_THE_INSTITUTION, Case, CaseState, State
from renzheng.central.cases.guards import Actor
from renzheng.central.cases.newest import NewestAudit, newest_lines
from renzheng.central.cases.reading import CASES, DOUBTS, seen_by
from renzheng.central.store import schema
from renzheng.central.store.reading import institution_names
from renzheng.central.store.times import from_us

VERDICTS = schema.verdicts
STATES = {str(state): state for state in State}
_LOOKED_AT = DOUBTS.c.confirmed == 1


@dataclass(frozen=True, slots=True)
class Choice:
    """Which doubts are wanted; what is empty takes all."""

    month: str = ""
    states: tuple[str, ...] = ()
    institution: str = ""
    rule: str = ""
    reason: str = ""
    person: str = ""
    case: str = ""
    answers: str = ""


def read(connection: sa.Connection, actor: Actor, chosen: Choice, audit: NewestAudit) -> list[Row]:
    """Read the doubts that an actor sees and has chosen, in no order.

    Args:
        connection: the store.
        actor: who reads.
        chosen: which.
        audit: what the newest audit says of their lines.
    """
    columns = {
        "month": DOUBTS.c.month,
        "institution": DOUBTS.c.institution_id,
        "rule": DOUBTS.c.rule_id,
        "reason": DOUBTS.c.reason,
        "person": DOUBTS.c.person_id,
        "case": DOUBTS.c.case_id,
        "answers": DOUBTS.c.doctor,
    }
    conditions = seen_by(actor, DOUBTS)
    conditions += [column == value for name, column in columns.items() if (value := getattr(chosen, name))]
    if chosen.states:
        conditions.append(DOUBTS.c.state.in_(chosen.states))
    held = connection.execute(sa.select(*_COLUMNS).where(*conditions)).all()
    newest = audit.of(connection, [row.doubt_id for row in held])
    fared = {(one.rule_id, one.reason): one for one in lists.overturns_of(connection)}
    received = _received(connection)
    names = institution_names(connection)
    known: dict[tuple[str, str, str], Certainty] = {}
    rows = []
    for (
        doubt_id, version, case_id, place, person, rule_id, reason, verdict,
        state, confirmed, at_stake, amount, line_id, answers, decided_at, due_us,
    ) in held:  # fmt: skip
        kind = verdict or "", rule_id, reason
        if kind not in known:
            known[kind] = certainty_of(kind[0], fared.get((rule_id, reason)))
        day, doctor, says = newest[doubt_id]
        rows.append(
            Row(
                doubt_id, version, case_id, place, names.get(place) or place, person, rule_id, reason,
                kind[0], STATES[state], bool(confirmed), at_stake, amount, line_id or "", reason == rule_id,
                day, "", doctor, says, answers or "", "", decided_at is not None, case_id in received,
                due_us, known[kind],
            )
        )  # fmt: skip
    return rows


_COLUMNS = [
    DOUBTS.c[name]
    for name in (
        "doubt_id", "version", "case_id", "institution_id", "person_id", "rule_id", "reason", "verdict",
        "state", "confirmed", "at_stake_fen", "amount_fen", "line_id", "doctor", "decided_at", "due_at",
    )
]  # fmt: skip


def _received(connection: sa.Connection) -> frozenset[str]:
    """Name the cases that their institution has opened."""
    query = sa.select(CASES.c.case_id, CASES.c.record).where(CASES.c.state != CaseState.DRAFTED)
    found = {row.case_id: orjson.loads(row.record) for row in connection.execute(query)}
    return frozenset(case_id for case_id, case in found.items() if case["received_at"])


def opened(connection: sa.Connection, rows: Sequence[Row]) -> list[Row]:
    """Fill in what only the whole record or its line says, for the rows that are shown."""
    shown = DOUBTS.c.doubt_id.in_([row.doubt_id for row in rows])
    query = sa.select(DOUBTS.c.doubt_id, DOUBTS.c.record).where(shown)
    records_of = {row.doubt_id: orjson.loads(row.record) for row in connection.execute(query)}
    items = newest_lines(DOUBTS.c.doubt_id, VERDICTS.c.item_name, VERDICTS.c.item_code).where(shown)
    days = {row.doubt_id: row.day for row in rows}
    billed = {
        row.doubt_id: row.item_name or row.item_code
        for row in connection.execute(items)
        if row.service_day and row.service_day == days[row.doubt_id]
    }
    return [
        row._replace(
            item=billed.get(row.doubt_id, ""),
            lines=len(records_of[row.doubt_id]["lines"]),
            position=records_of[row.doubt_id]["position"] or "",
        )
        for row in rows
    ]


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
