"""Lines that an institution has found and returned before the bureau sent them, each with its proof.

A declaration alone counts for nothing: it takes a reversal in the claims of exactly what was billed, or the
receipt that the bureau's finance has recorded. What is proven is drafted no more, and lowers the weight of
the institution in draws (`central/draw/risk.py`).
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from renzheng.central.access.roles import Role
from renzheng.central.cases import reading
from renzheng.central.cases.acts import must_be_allowed, must_have_no_tie
from renzheng.central.cases.doubts import State
from renzheng.central.cases.errors import BodyError, CaseError, NotFoundError, StepRefusedError
from renzheng.central.cases.guards import Actor, Body, says_something
from renzheng.central.cases.keeping import NIGHT, Cases
from renzheng.central.nightly import run_tables
from renzheng.central.store import schema, viewer
from renzheng.central.store.audits import speaks
from renzheng.central.store.database import Database
from renzheng.central.store.times import to_us
from renzheng.contracts.ids import new_id

CORRECTIONS, VERDICTS, DOUBTS = schema.self_corrections, schema.verdicts, schema.doubts
REVERSAL, RECEIPT = "reversal", "receipt"
DROPPED = "机构自查退回，已有凭据。The institution found and returned it itself; the return is proven."
MOST_LINES = 1000
REVERSAL_SECONDS = 6 * 3600.0
"""How often the claims are looked through for reversals; with nothing declared that costs one query."""
Row = Mapping[Any, Any]


class Corrections:
    """Every step on self-corrections.

    Args:
        database: the store.
        cases: drops drafted doubts of what was returned.
        tables: folder of the imported tables, in which reversals are looked for.
        clock: when it is.
    """

    def __init__(self, database: Database, cases: Cases, tables: Path, clock: Callable[[], datetime]) -> None:
        self._database, self._cases, self._tables, self._clock = database, cases, tables, clock

    def declare(self, actor: Actor, line_ids: Sequence[str], text: str) -> list[str]:
        """Record that an institution has found lines itself; return the ids of the declarations.

        Raises:
            MayNotError: the actor is no institution's office.
            BodyError: no lines, too many, or nothing is said.
            NotFoundError: a line has no verdict of the newest audit at the actor's institutions.
            StepRefusedError: a line was sent or declared before, or nothing contradicts it.
        """
        must_be_allowed(frozenset({Role.HOSPITAL_OFFICE}), actor, "declare a self-correction")
        wanted = list(dict.fromkeys(line_ids))
        if not 0 < len(wanted) <= MOST_LINES or not says_something(text):
            raise BodyError(
                f"A self-correction names 1 to {MOST_LINES} lines and says what was wrong.",
                do='Send {"line_ids": ["..."], "text": "..."}.',
            )
        now = to_us(self._clock())
        with self._database.writing() as connection:
            rows = [self._declared(connection, actor, line_id, text, now) for line_id in wanted]
            connection.execute(sa.insert(CORRECTIONS), rows)
        return [row["correction_id"] for row in rows]

    def _declared(
        self, connection: sa.Connection, actor: Actor, line_id: str, text: str, now: int
    ) -> dict[str, Any]:
        mine = VERDICTS.c.institution_id.in_(sorted(actor.institutions))
        query = sa.select(VERDICTS).join(schema.audit_days, speaks(VERDICTS))
        line = connection.execute(query.where(mine, VERDICTS.c.line_id == line_id)).mappings().first()
        if line is None:
            raise NotFoundError(
                f"There is no audited line {line_id[:60]!r}.",
                why="A correction is declared while the line stands in the audit, before it is reversed.",
            )
        place = line["institution_id"]
        if line["verdict"] == "supported":
            raise StepRefusedError("state", f"Nothing contradicts the line {line_id[:60]!r}.")
        known = sa.select(CORRECTIONS.c.correction_id).where(
            CORRECTIONS.c.institution_id == place, CORRECTIONS.c.line_id == line_id
        )
        if connection.execute(known).first() is not None:
            raise StepRefusedError("state", f"The line {line_id[:60]!r} was declared before.")
        _must_not_be_sent(connection, place, line_id)
        return {
            "correction_id": new_id(),
            "institution_id": place,
            "line_id": line_id,
            "amount_fen": line["amount_fen"],
            "declared_at": now,
            "declared_by": actor.account,
            "text": text,
        }

    def record_receipt(self, actor: Actor, correction_id: str, reference: str, amount_fen: int) -> None:
        """Record that the money of a declared line has come in.

        Raises:
            MayNotError: the actor is not of finance.
            NotFoundError: there is no such declaration.
            BodyError: no reference, or not all of the money.
            StepRefusedError: it is proven already, the line was sent meanwhile, or finance has a tie there.
        """
        must_be_allowed(frozenset({Role.FINANCE}), actor, "record a receipt")
        with self._database.writing() as connection:
            own = CORRECTIONS.c.correction_id == correction_id
            query = sa.select(CORRECTIONS).where(own, viewer.may_see(CORRECTIONS.c.institution_id))
            row = connection.execute(query).mappings().first()
            if row is None:
                raise NotFoundError("There is no such self-correction.")
            must_have_no_tie(actor, row["institution_id"])
            if not says_something(reference) or amount_fen < row["amount_fen"]:
                raise BodyError(
                    "A receipt names its number and at least all that was billed for the line.",
                    do='Send {"reference": "...", "amount": "400.00"}.',
                )
            self._prove(connection, row, RECEIPT, reference, actor.account)
        self._drop_drafted(row)

    def look_for_reversals(self) -> int:
        """Prove the declared lines that the claims now take back in full; return how many."""
        query = sa.select(CORRECTIONS).where(CORRECTIONS.c.proof.is_(None))
        with self._database.reading() as connection:
            waiting = connection.execute(query).mappings().all()
        returned = _reversed(self._tables, waiting) if waiting and self._tables.is_dir() else {}
        proven = []
        for row in waiting:
            reference = returned.get((row["institution_id"], row["line_id"]))
            if reference is not None:
                with suppress(StepRefusedError), self._database.writing() as connection:
                    self._prove(connection, row, REVERSAL, reference, NIGHT.account)
                    proven.append(row)
        for row in proven:
            self._drop_drafted(row)
        return len(proven)

    def _prove(self, connection: sa.Connection, row: Row, proof: str, reference: str, by: str) -> None:
        _must_not_be_sent(connection, row["institution_id"], row["line_id"])
        chosen = (CORRECTIONS.c.correction_id == row["correction_id"]) & CORRECTIONS.c.proof.is_(None)
        values = {"proof": proof, "reference": reference, "proven_at": to_us(self._clock()), "proven_by": by}
        if connection.execute(sa.update(CORRECTIONS).where(chosen).values(values)).rowcount == 0:
            raise StepRefusedError("state", "Its return is proven already.")

    def _drop_drafted(self, row: Row) -> None:
        """Drop drafted doubts of which every line was returned."""
        key = row["institution_id"], row["line_id"]
        with self._database.reading() as connection:
            found = reading.doubts_on(connection, [key]).get(key, ())
            proven = reading.returned_lines(connection, row["institution_id"])
        for doubt in found:
            if doubt.state is State.DRAFTED and all((key[0], one.line_id) in proven for one in doubt.lines):
                with suppress(CaseError):  # somebody has moved it on meanwhile
                    self._cases.act(NIGHT, doubt.doubt_id, "drop", Body(reason=DROPPED))


def _must_not_be_sent(connection: sa.Connection, institution_id: str, line_id: str) -> None:
    lines = schema.doubt_lines
    query = (
        sa.select(DOUBTS.c.doubt_id)
        .join(lines, lines.c.doubt_id == DOUBTS.c.doubt_id)
        .where(lines.c.institution_id == institution_id, lines.c.line_id == line_id, DOUBTS.c.issued == 1)
    )
    if connection.execute(query).first() is not None:
        raise StepRefusedError(
            "issued_before", f"The bureau sent the line {line_id[:60]!r} before its return was proven."
        )


def listed(connection: sa.Connection, limit: int, offset: int) -> tuple[int, Sequence[Row]]:
    """Read how many self-corrections the viewer sees, and a page of them, the newest first."""
    mine = viewer.may_see(CORRECTIONS.c.institution_id)
    total = connection.execute(sa.select(sa.func.count()).select_from(CORRECTIONS).where(mine)).scalar_one()
    query = (
        sa.select(CORRECTIONS)
        .where(mine)
        .order_by(CORRECTIONS.c.declared_at.desc(), CORRECTIONS.c.correction_id)
    )
    return total, connection.execute(query.limit(limit).offset(offset)).mappings().all()


def _reversed(tables: Path, waiting: Sequence[Row]) -> dict[tuple[str, str], str]:
    """Find the lines that the claims take back in full, each with the ids of its reversals."""
    wanted = {(row["institution_id"], row["line_id"]): row["amount_fen"] for row in waiting}
    query = (
        "SELECT institution_id, reverses_line_id, sum(amount), string_agg(line_id, ' ' ORDER BY line_id) "
        "FROM claim_lines WHERE reverses_line_id IS NOT NULL AND list_contains(?, reverses_line_id) "
        "GROUP BY ALL"
    )
    with run_tables.opened(tables) as database:
        rows = database.execute(query, [sorted({line for _, line in wanted})]).fetchall()
    return {
        (place, line): ids
        for place, line, amount, ids in rows
        if (place, line) in wanted and round(-amount * 100) == wanted[place, line]
    }
