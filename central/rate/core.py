"""The in-bed rate of an institution or a ward: pure arithmetic over settled checks.

Counted are answers that found somebody or nobody: *present* over *present, absent, identity mismatch*, as the
audit's rule `in-bed-rate` does. Absences that a prior leave covers, refusals, and checks that nobody answered
stand apart and lower nothing.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from renzheng.central.draw.answers import RateCategory, SettledCheck
from renzheng.contracts.events import Purpose
from renzheng.models.evaluation.metrics import Rate, rate

MOST_FURTHER = 1_000_000
"""Above it no number of checks is called enough: the share lies on the threshold."""
MOST_ASKED = 200
"""Further checks beyond which nobody is asked for them: so many more would hardly tell."""
COUNTED = (RateCategory.PRESENT, RateCategory.ABSENT, RateCategory.MISMATCH)


class Call(StrEnum):
    """What follows from a rate and its interval."""

    SUMMON = "summon"
    """Rate and upper bound are below the threshold: the institution is asked to explain itself."""
    CHECK_AGAIN = "check_again"
    """The rate is below, but the checks are too few to be sure."""
    FINE = "fine"
    """The rate is at or above the threshold; the lower bound is not."""
    SURE = "sure"
    """The lower bound, too, is at or above the threshold."""
    NOTHING = "nothing"
    """No check was answered."""


@dataclass(frozen=True, slots=True)
class InBed:
    """A rate with all that it rests on.

    Args:
        counts: checks by how they stand.
        share: present over counted, with Wilson's 95 % interval.
        further: how many further checks would be needed to be sure; None when none would do.
    """

    counts: Mapping[RateCategory, int]
    share: Rate
    threshold: float
    further: int | None

    @property
    def answered(self) -> int:
        """The checks that count."""
        return sum(self.counts.get(one, 0) for one in COUNTED)

    @property
    def call(self) -> Call:
        """What follows."""
        if not self.answered:
            return Call.NOTHING
        if self.share.value < self.threshold:
            return Call.SUMMON if self.share.high < self.threshold else Call.CHECK_AGAIN
        return Call.SURE if self.share.low >= self.threshold else Call.FINE


def in_bed(checks: Iterable[SettledCheck], threshold: float) -> InBed:
    """Work out the rate of some checks; those in dialysis sessions are no bed checks and do not count."""
    counts = Counter(one.standing for one in checks if one.check.purpose == Purpose.INPATIENT.value)
    present = counts[RateCategory.PRESENT]
    answered = sum(counts[one] for one in COUNTED)
    return InBed(
        dict(counts), rate(present, answered), threshold, further_checks(present, answered, threshold)
    )


def further_checks(present: int, answered: int, threshold: float) -> int | None:
    """Say how many further answers would put the whole interval on one side of the threshold.

    The method: as if the share stayed what it is. The least `m` for which Wilson's interval of
    `round(share * (answered + m))` of `answered + m` lies wholly below the threshold, or wholly at or above
    it; found by doubling and halving. Without any answer a share of one half is supposed.

    Returns:
        0 when it is sure already; None when the share lies on the threshold, where no number would do.
    """
    share = present / answered if answered else 0.5
    if share == threshold:
        return None

    def is_sure(further: int) -> bool:
        total = answered + further
        found = rate(present if not further else round(share * total), total)
        return total > 0 and (found.high < threshold or found.low >= threshold)

    if is_sure(0):
        return 0
    enough = 1
    while not is_sure(enough):
        enough *= 2
        if enough > MOST_FURTHER:
            return None
    low = enough // 2
    while enough - low > 1:
        middle = (low + enough) // 2
        low, enough = (low, middle) if is_sure(middle) else (middle, enough)
    return enough
