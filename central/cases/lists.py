"""Lists of cases and doubts, and what they come to: for whoever asks, only what they may see."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from renzheng.central.cases import records
from renzheng.central.cases.acts import PERIOD
from renzheng.central.cases.doubts import OPEN, Case, CaseState, Doubt, State
from renzheng.central.cases.errors import BodyError
from renzheng.central.cases.guards import Actor
from renzheng.central.cases.money import Ledger, Overturn, fund_of, ledger_of, overturns
from renzheng.central.cases.reading import CASES, DOUBTS, person_order, seen_by
from renzheng.central.store.times import to_us
from renzheng.central.texts import Texts, texts

CASE_COLUMNS: Mapping[str, Any] = {
    "month": CASES.c.month,
    "institution_id": CASES.c.institution_id,
    "state": CASES.c.state,
    "due_at": CASES.c.due_at,
    "due_next": sa.select(sa.func.min(DOUBTS.c.due_at))
    .where(DOUBTS.c.case_id == CASES.c.case_id)
    .correlate(CASES)
    .scalar_subquery(),
}
DOUBT_COLUMNS: Mapping[str, Any] = {
    "amount": DOUBTS.c.amount_fen,
    "amount_at_stake": DOUBTS.c.at_stake_fen,
    "institution_id": DOUBTS.c.institution_id,
    "month": DOUBTS.c.month,
    "rule_id": DOUBTS.c.rule_id,
    "person_id": DOUBTS.c.person_id,
    "state": DOUBTS.c.state,
    "due_at": DOUBTS.c.due_at,
}
_BOXES = [DOUBTS.c[name] for name in ("institution_id", "month", "state", "issued", "contested")]
_SUMS = [
    sa.cast(sa.func.sum(DOUBTS.c[name]), sa.BigInteger).label(name)  # PostgreSQL's is no integer
    for name in ("at_stake_fen", "billed_fen", "accepted_fen", "deducted_fen", "returned_fen")
]
OWED = sa.case(
    (DOUBTS.c.deducted_fen > 0, DOUBTS.c.deducted_fen - DOUBTS.c.returned_fen), else_=DOUBTS.c.amount_fen
)
"""What is owed of a decided doubt, in fen: nothing of one that was overturned."""


@dataclass(frozen=True, slots=True)
class CaseChoice:
    """Which cases are wanted; empty text takes all."""

    institution_id: str = ""
    month: str = ""
    state: str = ""
    due_before: datetime | None = None
    sort: str = "-month"
    limit: int = 100
    offset: int = 0


@dataclass(frozen=True, slots=True)
class DoubtChoice:
    """Which doubts are wanted; empty text takes all."""

    case_id: str = ""
    institution_id: str = ""
    month: str = ""
    state: str = ""
    rule_id: str = ""
    person_id: str = ""
    due_before: datetime | None = None
    sort: str = "-amount"
    limit: int = 100
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Counted:
    """The doubts of a case that somebody sees."""

    doubts: int = 0
    at_stake_fen: int = 0


@dataclass(frozen=True, slots=True)
class Ledgers:
    """Money by institution and month, and in all."""

    rows: Sequence[tuple[tuple[str, str], Ledger]]
    sum: Ledger

    def page(self, sort: str, limit: int, offset: int) -> Sequence[tuple[tuple[str, str], Ledger]]:
        """Return some of the rows, ordered by institution, month or a sum of money.

        Raises:
            BodyError: there is no such column.
        """
        name = sort.removeprefix("-")
        places = {"institution_id": lambda row: row[0], "month": lambda row: row[0][::-1]}
        if name not in {*places, *Ledger.__slots__}:
            raise BodyError(f"{sort[:40]!r} is no column to sort by.")
        by = places.get(name, lambda row: getattr(row[1], name) or 0)
        return sorted(self.rows, key=by, reverse=sort.startswith("-"))[offset : offset + limit]


def clears(reason: str, t: Texts | None = None) -> list[str]:
    """Name the records that would clear a doubt, in the reader's language; else in Chinese."""
    known = (t or texts("zh")).catalogue
    said = known.get(f"clears.{reason}", known["clears.other"])
    return [part.strip() for part in said.replace("；", ";").split(";")]


def cases(
    connection: sa.Connection, actor: Actor, chosen: CaseChoice
) -> tuple[int, list[tuple[Case, Counted]]]:
    """Read how many cases match, and one page of them."""
    _must_be_a_month(chosen.month)
    conditions = seen_by(actor, CASES)
    if chosen.institution_id:
        conditions.append(CASES.c.institution_id == chosen.institution_id)
    if chosen.month:
        conditions.append(CASES.c.month == chosen.month)
    if chosen.due_before is not None:
        conditions.append(CASES.c.due_at < to_us(chosen.due_before))
    if chosen.state in set(CaseState):
        conditions.append(CASES.c.state == chosen.state)
    elif chosen.state in set(State):
        held = sa.select(DOUBTS.c.case_id).where(DOUBTS.c.state == chosen.state, *seen_by(actor, DOUBTS))
        conditions.append(CASES.c.case_id.in_(held))
    elif chosen.state:
        raise BodyError(f"{chosen.state[:40]!r} is no state of a case or doubt.")
    total = connection.execute(sa.select(sa.func.count()).select_from(CASES).where(*conditions)).scalar_one()
    query = sa.select(CASES.c.case_id, CASES.c.record).where(*conditions)
    query = query.order_by(*_order(chosen.sort, CASE_COLUMNS), CASES.c.case_id)
    rows = connection.execute(query.limit(chosen.limit).offset(chosen.offset)).all()
    counted = _counted(connection, actor, [row.case_id for row in rows])
    return total, [(records.read(Case, row.record), counted.get(row.case_id, Counted())) for row in rows]


def _counted(connection: sa.Connection, actor: Actor, ids: Sequence[str]) -> dict[str, Counted]:
    query = (
        sa.select(DOUBTS.c.case_id, sa.func.count(), sa.func.sum(DOUBTS.c.at_stake_fen))
        .where(DOUBTS.c.case_id.in_(ids), *seen_by(actor, DOUBTS))
        .group_by(DOUBTS.c.case_id)
    )
    return {row[0]: Counted(row[1], int(row[2])) for row in connection.execute(query)}


def doubts(
    connection: sa.Connection, actor: Actor, chosen: DoubtChoice
) -> tuple[int, list[tuple[Doubt, Case]]]:
    """Read how many doubts match, and one page of them with their cases."""
    _must_be_a_month(chosen.month)
    if chosen.state and chosen.state not in set(State):
        raise BodyError(f"{chosen.state[:40]!r} is no state of a doubt.")
    conditions = seen_by(actor, DOUBTS)
    for name in ("case_id", "institution_id", "month", "state", "rule_id", "person_id"):
        if value := getattr(chosen, name):
            conditions.append(DOUBTS.c[name] == value)
    if chosen.due_before is not None:
        conditions.append(DOUBTS.c.due_at < to_us(chosen.due_before))
    total = connection.execute(sa.select(sa.func.count()).select_from(DOUBTS).where(*conditions)).scalar_one()
    query = sa.select(DOUBTS.c.record, CASES.c.record.label("of")).join(
        CASES, CASES.c.case_id == DOUBTS.c.case_id
    )
    query = query.where(*conditions).order_by(*_order(chosen.sort, DOUBT_COLUMNS), DOUBTS.c.doubt_id)
    rows = connection.execute(query.limit(chosen.limit).offset(chosen.offset)).all()
    return total, [(records.read(Doubt, row.record), records.read(Case, row.of)) for row in rows]


def doubts_alike(connection: sa.Connection, actor: Actor, doubt: Doubt) -> list[Doubt]:
    """Read the open doubts of the shape of one: same rule in the same version, for the same reason."""
    same = [DOUBTS.c[name] == getattr(doubt, name) for name in ("rule_id", "rule_version", "reason")]
    query = sa.select(DOUBTS.c.record).where(
        *same, *seen_by(actor, DOUBTS), DOUBTS.c.state.in_(sorted(OPEN)), DOUBTS.c.doubt_id != doubt.doubt_id
    )
    found = connection.execute(query.order_by(DOUBTS.c.at_stake_fen.desc(), DOUBTS.c.doubt_id)).scalars()
    return [records.read(Doubt, record) for record in found]


def doubts_seen(connection: sa.Connection, actor: Actor, case_id: str) -> list[Doubt]:
    """Read the doubts of a case that an actor sees, the largest first."""
    query = sa.select(DOUBTS.c.record).where(DOUBTS.c.case_id == case_id, *seen_by(actor, DOUBTS))
    found = connection.execute(query.order_by(DOUBTS.c.at_stake_fen.desc(), DOUBTS.c.doubt_id)).scalars()
    return [records.read(Doubt, record) for record in found]


def _order(sort: str, columns: Mapping[str, Any]) -> list[Any]:
    name = sort.removeprefix("-")
    if name not in columns:
        raise BodyError(f"{sort[:40]!r} is no column to sort by.", do=f"One of {', '.join(columns)}.")
    column = person_order() if name == "person_id" else columns[name]
    ordered = [column.desc() if sort.startswith("-") else column.asc()]
    return [column.is_(None), *ordered] if name in {"due_at", "due_next"} else ordered


def moment_of(text: str, zone: ZoneInfo) -> datetime | None:
    """Read a moment, or a day as its beginning; None of an empty text.

    Args:
        text: RFC 3339, such as ``2026-04-21T00:00:00+08:00`` or ``2026-04-21``.
        zone: in which a day begins.

    Raises:
        BodyError: it is neither, or a moment without its time zone.
    """
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise BodyError(f"{text[:40]!r} is no moment and no day.", do="Such as 2026-04-21.") from error
    if len(text) == len("2026-04-21"):
        return found.replace(tzinfo=zone)
    if found.tzinfo is None:
        raise BodyError("A moment names its time zone.", do="Such as 2026-04-21T00:00:00+08:00.")
    return found


def _must_be_a_month(text: str) -> None:
    if text and not PERIOD.fullmatch(text):
        raise BodyError(f"{text[:20]!r} is no month.", do='Such as "2026-03".')


def ledgers(connection: sa.Connection, actor: Actor, institution_id: str, month: str) -> Ledgers:
    """Add up the doubts that an actor sees, by institution and month."""
    _must_be_a_month(month)
    conditions = seen_by(actor, DOUBTS)
    for name, value in (("institution_id", institution_id), ("month", month)):
        if value:
            conditions.append(DOUBTS.c[name] == value)
    by_place: dict[tuple[str, str], list[Any]] = {}
    boxes = sa.select(*_BOXES, *_SUMS, sa.literal(0).label("fund_fen")).where(*conditions).group_by(*_BOXES)
    for row in connection.execute(boxes):
        by_place.setdefault((row.institution_id, row.month), []).append(row)
    shares = _fund_shares(connection, conditions)
    rows = [
        (place, replace(ledger_of(held), fund=fund_of(shares.get(place, ()))))
        for place, held in sorted(by_place.items())
    ]
    every = ledger_of(one for held in by_place.values() for one in held)
    return Ledgers(rows, replace(every, fund=fund_of(one for held in shares.values() for one in held)))


def _fund_shares(
    connection: sa.Connection, conditions: Sequence[sa.ColumnElement[bool]]
) -> dict[tuple[str, str], list[Any]]:
    """Read the deducted doubts, whose fund share is counted one by one."""
    columns = [
        DOUBTS.c[name] for name in ("institution_id", "month", "deducted_fen", "fund_fen", "billed_fen")
    ]
    by_place: dict[tuple[str, str], list[Any]] = {}
    for row in connection.execute(sa.select(*columns).where(*conditions, DOUBTS.c.deducted_fen > 0)):
        by_place.setdefault((row.institution_id, row.month), []).append(row)
    return by_place


def overturns_of(
    connection: sa.Connection, month: str = "", actor: Actor | None = None
) -> Sequence[Overturn]:
    """Count per rule and reason what was issued, contested, decided and overturned.

    Args:
        connection: the store.
        month: of one settlement month; empty for all.
        actor: of the doubts that this one sees; None for everybody's.
    """
    _must_be_a_month(month)
    decided = DOUBTS.c.decided_at.is_not(None)
    query = sa.select(
        DOUBTS.c.rule_id,
        DOUBTS.c.reason,
        sa.func.count(),
        sa.func.sum(DOUBTS.c.contested),
        sa.func.sum(sa.case((decided, 1), else_=0)),
        sa.func.sum(sa.case((decided & (OWED == 0), 1), else_=0)),
    ).where(DOUBTS.c.issued == 1)
    if month:
        query = query.where(DOUBTS.c.month == month)
    if actor is not None:
        query = query.where(*seen_by(actor, DOUBTS))
    grouped = query.group_by(DOUBTS.c.rule_id, DOUBTS.c.reason).order_by(DOUBTS.c.rule_id, DOUBTS.c.reason)
    return overturns((row[0], row[1], *map(int, row[2:])) for row in connection.execute(grouped))


def overturn_rates(connection: sa.Connection) -> Mapping[tuple[str, str], float | None]:
    """Return how often each rule and reason was overturned; None before anything was decided."""
    return {(one.rule_id, one.reason): one.rate for one in overturns_of(connection)}
