"""What a month's doubts come to in money, and how often each rule was overturned."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from renzheng.central.cases.doubts import ENDED, NEVER_ISSUED, State
from renzheng.common.shares import wilson


class Money(Protocol):
    """What is added up of a doubt; a doubt has it, and so has its row in the store."""

    @property
    def state(self) -> str:
        """Where it is."""

    @property
    def issued(self) -> bool | int:
        """Whether the institution was asked."""

    @property
    def contested(self) -> bool | int:
        """Whether it does not agree."""

    @property
    def at_stake_fen(self) -> int:
        """What it could cost."""

    @property
    def billed_fen(self) -> int:
        """What its lines were billed at."""

    @property
    def fund_fen(self) -> int | None:
        """The fund's share of that."""

    @property
    def accepted_fen(self) -> int:
        """What the institution agrees to."""

    @property
    def deducted_fen(self) -> int:
        """What was deducted."""

    @property
    def returned_fen(self) -> int:
        """What of that was given back."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """Money of doubts, in fen.

    `at_stake` is `drafted + dropped + issued`, and `issued` is `deducted + cleared + withdrawn + undecided`.

    Args:
        at_stake: of every doubt.
        drafted: not yet issued.
        dropped: never issued, on the bureau's own look.
        issued: what institutions were asked for.
        accepted: what they agreed to.
        contested: what they did not.
        deducted: what was deducted, returns included.
        returned: what of it was given back.
        cleared: what was asked for and is not owed.
        withdrawn: what the bureau took back.
        undecided: what is still open.
        fund: the fund's share of what was deducted; None when the bill of one line does not say it.
    """

    at_stake: int = 0
    drafted: int = 0
    dropped: int = 0
    issued: int = 0
    accepted: int = 0
    contested: int = 0
    deducted: int = 0
    returned: int = 0
    cleared: int = 0
    withdrawn: int = 0
    undecided: int = 0
    fund: int | None = 0

    def agrees(self) -> bool:
        """Say whether the boxes add up."""
        asked = self.deducted + self.cleared + self.withdrawn + self.undecided
        return self.at_stake == self.drafted + self.dropped + self.issued and self.issued == asked


def ledger_of(doubts: Iterable[Money]) -> Ledger:
    """Add up doubts of an institution and a month, or of any."""
    sums = dict.fromkeys(Ledger.__slots__, 0)
    shares: list[Money] = []
    for one in doubts:
        sums["at_stake"] += one.at_stake_fen
        if one.state in NEVER_ISSUED:
            sums[str(one.state)] += one.at_stake_fen
            continue
        if one.state == State.WITHDRAWN and not one.issued:
            sums["dropped"] += one.at_stake_fen
            continue
        sums["issued"] += one.at_stake_fen
        sums["accepted"] += one.accepted_fen
        if one.contested:
            sums["contested"] += one.at_stake_fen - one.accepted_fen
        if one.state == State.WITHDRAWN:
            sums["withdrawn"] += one.at_stake_fen
        elif one.state in ENDED:
            sums["deducted"] += one.deducted_fen
            sums["returned"] += one.returned_fen
            sums["cleared"] += one.at_stake_fen - one.deducted_fen
            shares.append(one)
        else:
            sums["undecided"] += one.at_stake_fen
    return Ledger(**{**sums, "fund": fund_of(shares)})  # type: ignore[arg-type]


class Share(Protocol):
    """What is looked at of a deducted doubt for the fund's part of it."""

    @property
    def billed_fen(self) -> int:
        """What its lines were billed at."""

    @property
    def fund_fen(self) -> int | None:
        """The fund's share of that."""

    @property
    def deducted_fen(self) -> int:
        """What was deducted."""


def fund_of(doubts: Iterable[Share]) -> int | None:
    """Add up the fund's part of deductions, in fen; None when the bill of one line does not say it."""
    total = 0
    for one in doubts:
        if one.deducted_fen > 0 and one.fund_fen is None:
            return None
        total += _share(one)
    return total


def _share(doubt: Share) -> int:
    """Return the fund's part of a deduction, as its part of what the lines cost the fund at most."""
    if not doubt.fund_fen:
        return 0
    return min(doubt.deducted_fen, doubt.deducted_fen * doubt.fund_fen // max(doubt.billed_fen, 1))


@dataclass(frozen=True, slots=True)
class Overturn:
    """How a rule has fared.

    Args:
        rule_id: the rule.
        reason: the verdict's reason, or the rule again for a finding.
        issued: doubts sent to institutions.
        contested: those that they contested.
        decided: those with a final decision.
        overturned: of these, those of which nothing is owed.
        low: lower bound of the overturn rate, Wilson's 95 %.
        high: upper bound.
    """

    rule_id: str
    reason: str
    issued: int
    contested: int
    decided: int
    overturned: int
    low: float
    high: float

    @property
    def rate(self) -> float | None:
        """Overturned of decided; None before anything was decided."""
        return self.overturned / self.decided if self.decided else None


def overturns(counts: Iterable[tuple[str, str, int, int, int, int]]) -> Sequence[Overturn]:
    """Give counts of rule, reason, issued, contested, decided and overturned their intervals."""
    return [
        Overturn(rule, reason, issued, contested, decided, overturned, *wilson(overturned, decided))
        for rule, reason, issued, contested, decided, overturned in counts
    ]
