"""Lines that an institution took back before it submitted them, found by its own check.

They were never billed, so there is nothing to draft. They count in draws (`central/draw/risk.py`) once the
claims bear it out: the visit was submitted and, of that item on that day, as many lines fewer as were taken
back. Ids prove nothing, since platforms give lines new ones; what is submitted after all counts no more.
"""

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from renzheng.central.access.roles import Role
from renzheng.central.cases.acts import must_be_allowed
from renzheng.central.cases.errors import BodyError, NotFoundError, StepRefusedError
from renzheng.central.cases.guards import Actor, says_something
from renzheng.central.nightly import run_tables
from renzheng.central.store import schema, viewer
from renzheng.central.store.audits import speaks
from renzheng.central.store.database import Database
from renzheng.central.store.times import to_us

WITHHELD, VERDICTS = schema.withheld_lines, schema.verdicts
MOST_LINES = 1000
SUBMITTED_DAYS = 15
"""So long after the end of a month its lines may still be submitted."""
LOOKED_BACK = dt.timedelta(days=200)
"""Older ones stay as they are: draws look back on 90 days."""
Row = Mapping[Any, Any]
_Group = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a checked file that is taken back.

    Args:
        institution_id: whose.
        line_id: its id in the file.
        visit_id: of which visit.
        item_code: what it bills.
        service_day: local day (ISO 8601).
        alike: how many lines of the file bill this item on this day of this visit, itself counted.
        amount_fen: what it would have billed.
        rule_id: which advice was followed.
        file_hash: SHA-256 of what was checked.
    """

    institution_id: str
    line_id: str
    visit_id: str
    item_code: str
    service_day: str
    alike: int
    amount_fen: int
    rule_id: str
    file_hash: str


class Withheld:
    """Takes lines back before they are submitted, and looks whether they stayed away.

    Args:
        database: the store.
        tables: folder of the imported tables.
        zone: of service days.
        clock: when it is.
    """

    def __init__(
        self, database: Database, tables: Path, zone: ZoneInfo, clock: Callable[[], dt.datetime]
    ) -> None:
        self._database, self._tables, self._zone, self._clock = database, tables, zone, clock

    def take_back(self, actor: Actor, lines: Sequence[Line], text: str) -> int:
        """Record lines as taken back; return how many are new.

        Raises:
            MayNotError: the actor is no institution's office.
            BodyError: no lines, too many, or nothing is said.
            NotFoundError: a line is not of the actor's institutions.
            StepRefusedError: a line was submitted already.
        """
        must_be_allowed(frozenset({Role.HOSPITAL_OFFICE}), actor, "take lines back")
        if not 0 < len(lines) <= MOST_LINES or not says_something(text):
            raise BodyError(
                f"What is taken back is 1 to {MOST_LINES} lines, with a word on what was wrong.",
                do="Tick lines, and write what was wrong.",
            )
        now = to_us(self._clock())
        new = 0
        with self._database.writing() as connection:
            for line in lines:
                if line.institution_id not in actor.institutions:
                    raise NotFoundError(f"There is no line {line.line_id[:60]!r}.")
                _must_not_be_audited(connection, line)
                row = {**asdict(line), "taken_at": now, "taken_by": actor.account, "text": text}
                if not _is_there(connection, line):
                    connection.execute(sa.insert(WITHHELD).values(row))
                    new += 1
        return new

    def look(self) -> int:
        """Compare what was taken back with the claims; return how many lines are borne out since."""
        now = self._clock()
        with self._database.reading() as connection:
            recent = WITHHELD.c.taken_at >= to_us(now - LOOKED_BACK)
            rows = connection.execute(sa.select(WITHHELD).where(recent)).mappings().all()
        if not rows or not self._tables.is_dir():
            return 0
        borne_out = self._borne_out(rows, now.astimezone(self._zone).date())
        changed = [row for row in rows if (row["proven_at"] is not None) != (_group(row) in borne_out)]
        with self._database.writing() as connection:
            for row in changed:
                own = (WITHHELD.c.institution_id == row["institution_id"]) & (
                    WITHHELD.c.line_id == row["line_id"]
                )
                proven = to_us(now) if row["proven_at"] is None else None
                connection.execute(sa.update(WITHHELD).where(own).values(proven_at=proven))
        return sum(row["proven_at"] is None for row in changed)

    def _borne_out(self, rows: Sequence[Row], today: dt.date) -> set[_Group]:
        """Name the groups of which the claims hold as few lines as they should."""
        taken, alike = Counter(map(_group, rows)), dict[_Group, int]()
        for row in rows:
            alike[_group(row)] = min(row["alike"], alike.get(_group(row), row["alike"]))
        visits = sorted({row["visit_id"] for row in rows})
        query = (
            "SELECT institution_id, visit_id, item_code, service_time FROM claim_lines "
            "WHERE visit_id IN ? AND reverses_line_id IS NULL AND line_id NOT IN "
            "(SELECT reverses_line_id FROM claim_lines WHERE visit_id IN ? AND reverses_line_id IS NOT NULL)"
        )
        with run_tables.opened(self._tables) as database:
            billed = run_tables.rows(database, query, visits, visits)
        submitted = {(row["institution_id"], row["visit_id"]) for row in billed}
        left = Counter(
            (
                row["institution_id"],
                row["visit_id"],
                row["item_code"],
                row["service_time"].astimezone(self._zone).date().isoformat(),
            )
            for row in billed
        )
        return {
            group
            for group, count in taken.items()
            if group[:2] in submitted
            and left[group] <= alike[group] - count
            and _closed(dt.date.fromisoformat(group[3]), today)
        }


def listed(connection: sa.Connection, limit: int) -> tuple[int, Sequence[Row]]:
    """Read how many lines were taken back that the viewer sees, and the newest of them."""
    mine = viewer.may_see(WITHHELD.c.institution_id)
    total = connection.execute(sa.select(sa.func.count()).select_from(WITHHELD).where(mine)).scalar_one()
    query = sa.select(WITHHELD).where(mine).order_by(WITHHELD.c.taken_at.desc(), WITHHELD.c.line_id)
    return total, connection.execute(query.limit(limit)).mappings().all()


def taken_back(connection: sa.Connection, lines: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Name those of some lines (institution and id) that were taken back."""
    wanted = set(lines)
    query = sa.select(WITHHELD.c.institution_id, WITHHELD.c.line_id).where(
        WITHHELD.c.institution_id.in_(sorted({place for place, _ in wanted}))
    )
    return {(row.institution_id, row.line_id) for row in connection.execute(query)} & wanted


def _group(row: Row) -> _Group:
    return row["institution_id"], row["visit_id"], row["item_code"], row["service_day"]


def _closed(day: dt.date, today: dt.date) -> bool:
    """Say whether the month of a day is submitted by now."""
    following = (day.replace(day=1) + dt.timedelta(days=32)).replace(day=1)
    return today >= following + dt.timedelta(days=SUBMITTED_DAYS)


def _is_there(connection: sa.Connection, line: Line) -> bool:
    own = (WITHHELD.c.institution_id == line.institution_id) & (WITHHELD.c.line_id == line.line_id)
    return connection.execute(sa.select(WITHHELD.c.line_id).where(own)).first() is not None


def _must_not_be_audited(connection: sa.Connection, line: Line) -> None:
    query = (
        sa.select(VERDICTS.c.line_id)
        .join(schema.audit_days, speaks(VERDICTS))
        .where(VERDICTS.c.institution_id == line.institution_id, VERDICTS.c.line_id == line.line_id)
    )
    if connection.execute(query).first() is not None:
        raise StepRefusedError(
            "submitted_before",
            f"The line {line.line_id[:60]!r} was submitted and audited.",
            do="Return it, and declare it under self-corrections.",
        )
