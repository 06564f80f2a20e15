"""How far a rule may go: it loses power by itself when too many of its doubts are overturned.

With full power its verdicts and findings become doubts. One step lower (`warn`) each doubt needs a written
reason to be confirmed; two steps lower (`bureau`) the rule is shown to the bureau only and drafts nothing. It
goes down one step when, of the doubts decided since its last change, the lower bound of the share overturned
(Wilson, 95 %) is above the region's limit. Only a person brings it up again, with a reason; then counting
begins anew. Each change is an entry of a journal, chained and signed like those of cases. A new version of a
rule begins with full power.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from joserfc.jwk import OKPKey

from renzheng.central.cases import journal
from renzheng.central.cases.guards import Actor
from renzheng.central.cases.lists import OWED
from renzheng.central.store import schema
from renzheng.central.store.times import from_us, to_us
from renzheng.common.shares import wilson

FULL, WARN, BUREAU = "block", "warn", "bureau"
LOWER: Mapping[str, str] = {FULL: WARN, WARN: BUREAU, BUREAU: BUREAU}
JOURNAL = "rules"
"""In place of a case's id in the journal of changes."""
TABLE, DOUBTS = schema.rule_powers, schema.doubts
Rule = tuple[str, str]
"""A rule's id and version."""


@dataclass(frozen=True, slots=True)
class Power:
    """How far a version of a rule may go, and since when."""

    rule_id: str
    rule_version: str
    power: str
    since: datetime
    account: str
    reason: str


@dataclass(frozen=True, slots=True)
class Fared:
    """What became of a rule's doubts since its power last changed."""

    decided: int
    overturned: int

    @property
    def low(self) -> float:
        """Lower bound of the share overturned, Wilson's 95 %."""
        return wilson(self.overturned, self.decided)[0]


def too_often(fared: Fared, numbers: Mapping[str, Decimal]) -> bool:
    """Return whether a rule is overturned so often that it loses power.

    Args:
        fared: since its last change.
        numbers: `overturn_limit` and `overturn_fewest`, below which nothing is concluded.
    """
    enough = fared.decided >= int(numbers["overturn_fewest"])
    return enough and fared.low > float(numbers["overturn_limit"])


def powers(connection: sa.Connection) -> dict[Rule, Power]:
    """Read the power of every rule whose power has ever changed."""
    found: dict[Rule, Power] = {}
    for row in connection.execute(sa.select(TABLE).order_by(TABLE.c.number)):
        since = from_us(row.at)
        one = Power(row.rule_id, row.rule_version, row.power, since, row.account_id, row.reason)
        found[row.rule_id, row.rule_version] = one
    return found


def fared_since(connection: sa.Connection, rule: Rule, since: datetime | None) -> Fared:
    """Count a rule's doubts that were decided, and of these the overturned, since a moment."""
    decided = [
        DOUBTS.c.rule_id == rule[0],
        DOUBTS.c.rule_version == rule[1],
        DOUBTS.c.decided_at.is_not(None),
    ]
    if since is not None:
        decided.append(DOUBTS.c.decided_at > to_us(since))
    overturned = sa.func.sum(sa.case((OWED == 0, 1), else_=0))
    row = connection.execute(sa.select(sa.func.count(), overturned).where(*decided)).one()
    return Fared(row[0], int(row[1] or 0))


def settle(  # noqa: PLR0917 - which rule, by which numbers, by whom and when
    connection: sa.Connection,
    rule: Rule,
    numbers: Mapping[str, Decimal],
    actor: Actor,
    now: datetime,
    key: OKPKey,
) -> str | None:
    """Take power from a rule that is overturned too often; return what is left, None if unchanged."""
    current = powers(connection).get(rule)
    power = current.power if current else FULL
    fared = fared_since(connection, rule, current.since if current else None)
    if LOWER[power] == power or not too_often(fared, numbers):
        return None
    reason = (
        f"{fared.overturned}/{fared.decided}; {fared.low:.4f} > {numbers['overturn_limit']} (Wilson, 95 %)"
    )
    change(connection, rule, LOWER[power], actor, reason, now, key)
    return LOWER[power]


def change(  # noqa: PLR0917 - what, by whom, why and when
    connection: sa.Connection,
    rule: Rule,
    power: str,
    actor: Actor,
    reason: str,
    now: datetime,
    key: OKPKey,
) -> Power:
    """Write a change of a rule's power into the journal of rules."""
    last = connection.execute(sa.select(TABLE).order_by(TABLE.c.number.desc()).limit(1)).first()
    named = {"rule_id": rule[0], "rule_version": rule[1], "power": power}
    entry = journal.Entry(
        at=now,
        actor=actor,
        act="power",
        doubt_id="",
        body={"reason": reason},
        more={},
        after=named,
        **journal.following(last),
    )
    kept = journal.keep(JOURNAL, entry, key)
    values = {
        **named, "number": entry.number, "at": to_us(now), "account_id": actor.account, "reason": reason,
        "entry": kept.entry, "hash": kept.hash, "signature": kept.signature,
    }  # fmt: skip
    connection.execute(sa.insert(TABLE).values(values))
    return Power(rule[0], rule[1], power, now, actor.account, reason)


def read_journal(connection: sa.Connection) -> list[journal.Kept]:
    """Read the journal of changes as it is kept."""
    rows: Sequence[Any] = connection.execute(sa.select(TABLE).order_by(TABLE.c.number)).all()
    return [journal.Kept(row.entry, row.hash, row.signature) for row in rows]
