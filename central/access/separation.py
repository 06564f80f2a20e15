"""Duties that one person never does both of, on one thing: refused when the second is done."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

import sqlalchemy as sa

from renzheng.central.access.errors import DutyError
from renzheng.central.store import schema
from renzheng.central.store.times import to_us

TABLE = schema.duties_done
Thing = Literal["doubt", "change", "round", "crop"]
APART: Mapping[Thing, frozenset[frozenset[str]]] = {
    "doubt": frozenset(
        frozenset({one, other})
        for one, other in (
            ("audit", "first_review"), ("audit", "re_review"), ("audit", "panel"), ("audit", "final"),
            ("first_review", "re_review"), ("first_review", "panel"), ("first_review", "final"),
            ("re_review", "panel"), ("re_review", "final"), ("panel", "final"), ("final", "deduct"),
        )
    ),
    "change": frozenset({frozenset({"write", "approve"})}),
    "round": frozenset({frozenset({"commit", "inspect"}), frozenset({"seal", "inspect"})}),
    "crop": frozenset({frozenset({"ask", "allow"})}),
}  # fmt: skip
"""Pairs of duties by kind of thing; whoever has committed or sealed a round inspects no bed of it."""


def do(
    connection: sa.Connection, thing: tuple[Thing, str], duty: str, account_id: str, now: datetime
) -> None:
    """Keep that an account does a duty on a thing, unless it has done another that excludes it.

    Call it in the transaction of the act itself, so that neither happens without the other.

    Raises:
        DutyError: it has; `done` names which.
    """
    kind, named = thing[0], ":".join(thing)
    own = (TABLE.c.thing == named) & (TABLE.c.account_id == account_id)
    done = set(connection.execute(sa.select(TABLE.c.duty).where(own)).scalars())
    for before in sorted(done):
        if frozenset({before, duty}) in APART[kind]:
            raise DutyError(
                f"{account_id} has already done {before} on this {kind}.",
                why="Two duties that check each other are done by two people.",
                do="Let another person do it.",
                done=before,
            )
    if duty not in done:
        values = {"thing": named, "duty": duty, "account_id": account_id, "done_at": to_us(now)}
        connection.execute(sa.insert(TABLE).values(values))
