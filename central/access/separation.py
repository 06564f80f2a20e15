"""Duties that one person never does both of, on one thing: refused when the second is done.

Who did what on a doubt stands in the case's own journal; on everything else, in the table here.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import combinations
from typing import Literal

import sqlalchemy as sa

from renzheng.central.access.errors import DutyError
from renzheng.central.store import schema
from renzheng.central.store.times import to_us

TABLE = schema.duties_done
Thing = Literal["doubt", "change", "round", "crop"]
_OF_A_DOUBT = ("audit", "first_review", "re_review", "panel", "final", "deduct")
APART: Mapping[Thing, frozenset[frozenset[str]]] = {
    "doubt": frozenset(map(frozenset, combinations(_OF_A_DOUBT, 2))),
    "change": frozenset({frozenset({"write", "approve"})}),
    "round": frozenset({frozenset({"commit", "inspect"}), frozenset({"seal", "inspect"})}),
    "crop": frozenset({frozenset({"ask", "allow"})}),
}
"""Pairs of duties by kind of thing; whoever has committed or sealed a round inspects no bed of it."""


def excluding(kind: Thing, done: Iterable[str], duty: str) -> str | None:
    """Return which duty that somebody has done on a thing keeps them from another one; None for none.

    Args:
        kind: of the thing.
        done: what they have done on it.
        duty: what they are about to do.
    """
    return next((one for one in sorted(done) if frozenset({one, duty}) in APART[kind]), None)


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
    before = excluding(kind, done, duty)
    if before is not None:
        raise DutyError(
            f"{account_id} has already done {before} on this {kind}.",
            why="Two duties that check each other are done by two people.",
            do="Let another person do it.",
            done=before,
        )
    if duty not in done:
        values = {"thing": named, "duty": duty, "account_id": account_id, "done_at": to_us(now)}
        connection.execute(sa.insert(TABLE).values(values))
