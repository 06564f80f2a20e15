"""How likely somebody is to be drawn, as an integer weight: pure, and every number is told in the commitment.

More money at stake, earlier findings and a longer time since the last check weigh more; what an institution
has found and returned itself weighs less. Nobody weighs less than the floor, so everybody can be drawn.
"""

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Weighting:
    """The numbers of the weights; a region may set others.

    Args:
        base: what everybody weighs.
        money: added at the institution with the most money at stake, at others in proportion.
        each_finding: added for each earlier finding at the institution, `most_findings` at most.
        each_day: added for each day since the person was last checked, `most_days` at most.
        never_checked_days: the days that stand for somebody never checked.
        self_checking_percent: share of the weight that remains where all that was found, the institution has
            found and returned itself.
        full_permille: so much of what was billed, returned, is as good as more; less lowers the weight less.
        floor: the least that anybody weighs.
    """

    base: int = 100
    money: int = 200
    each_finding: int = 40
    most_findings: int = 5
    each_day: int = 10
    most_days: int = 30
    never_checked_days: int = 15
    self_checking_percent: int = 50
    full_permille: int = 10
    floor: int = 50

    def told(self) -> dict[str, int]:
        """Give the numbers by name, as the commitment holds them."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Risk:
    """What is known of one candidate.

    Args:
        amount_fen: billed at the institution in the months before.
        findings: against the institution in these months.
        days_since_check: of the person there; None when never checked.
        returned_fen: found by the institution itself in these months, with the return proven.
        sent_fen: found by the bureau and sent to it.
    """

    amount_fen: int = 0
    findings: int = 0
    days_since_check: int | None = None
    returned_fen: int = 0
    sent_fen: int = 0


def weigh(risk: Risk, largest_amount_fen: int, told: Weighting) -> int:
    """Give a candidate's weight; integers only, so that every machine finds the same.

    Args:
        risk: of the candidate.
        largest_amount_fen: the most money at stake at any institution of the round.
        told: the numbers.
    """
    money = told.money * max(risk.amount_fen, 0) // largest_amount_fen if largest_amount_fen > 0 else 0
    days = told.never_checked_days if risk.days_since_check is None else max(risk.days_since_check, 0)
    weight = (
        told.base
        + money
        + told.each_finding * min(risk.findings, told.most_findings)
        + told.each_day * min(days, told.most_days)
    )
    weight = weight * remaining_permille(risk, told) // 1000
    return max(weight, told.floor, 1)


def remaining_permille(risk: Risk, told: Weighting) -> int:
    """Give the share of its weight that remains at an institution that returns what it finds.

    1000 − (100 − `self_checking_percent`) × 10 × own × enough, where *own* is what it has returned of all
    that was found, and *enough* how much that is of `full_permille` of what it billed, one at most. A single
    line returned lowers next to nothing, and what the bureau had to find takes the rest away.
    """
    full = max(risk.amount_fen, 0) * told.full_permille // 1000
    if risk.returned_fen <= 0 or full <= 0:
        return 1000
    own = risk.returned_fen * 1000 // (risk.returned_fen + max(risk.sent_fen, 0))
    enough = min(risk.returned_fen * 1000 // full, 1000)
    return 1000 - (100 - told.self_checking_percent) * 10 * own * enough // 1_000_000


def countable(withheld_fen: int, amount_fen: int, told: Weighting) -> int:
    """Return how much of what was taken back before it was submitted counts as returned.

    At most half of `full_permille` of what was billed: no money moved, and a line may have been written in
    order to be taken back. So at least the middle between the whole weight and `self_checking_percent` of it
    remains.
    """
    return min(withheld_fen, max(amount_fen, 0) * told.full_permille // 2000)
