"""How likely somebody is to be drawn, as an integer weight: pure, and every number is told in the commitment.

More money at stake, earlier findings and a longer time since the last check weigh more, self-checking less;
nobody weighs less than the floor, so everybody can be drawn.
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
        self_checking_percent: share of the weight that remains at an institution that checks itself.
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
        self_checking: the institution checks itself and reports what it finds.
    """

    amount_fen: int = 0
    findings: int = 0
    days_since_check: int | None = None
    self_checking: bool = False


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
    if risk.self_checking:
        weight = weight * told.self_checking_percent // 100
    return max(weight, told.floor, 1)
