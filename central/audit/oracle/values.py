"""The plain values of the oracle: parameters of the line verdicts, and what it answers."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

Row = Mapping[str, Any]
Tables = Mapping[str, Sequence[Row]]
LineKey = tuple[str, str]
"""(institution_id, line_id)."""

FAMILY = ("haemodialysis", "haemodiafiltration", "haemofiltration", "haemoperfusion")
SCOPE = (*FAMILY, "bed_day")
NOTHING = dt.timedelta()
MIDNIGHT = dt.time()
NIGHT_BATCH = dt.timedelta(hours=6)
"""A fee entered so soon after midnight may be of the day before."""


@dataclass(frozen=True)
class Parameters:
    """The parameters of the line verdicts on one day, with the values of the national pack."""

    match_window: dt.timedelta = dt.timedelta(hours=12)
    max_session: dt.timedelta = dt.timedelta(hours=12)
    mid_session: dt.timedelta = dt.timedelta(minutes=60)
    near: dt.timedelta = dt.timedelta(minutes=60)
    min_duration_ratio: Decimal = Decimal("0.5")
    hour_ratio: Decimal = Decimal("0.5")
    min_session: dt.timedelta = dt.timedelta(minutes=90)
    min_prescribed_minutes: int = 60
    resume: dt.timedelta = dt.timedelta(minutes=30)
    late_billing_days: int = 31
    late_bed_days: int = 31
    late_entry_days: int = 3
    elsewhere_margin: dt.timedelta = dt.timedelta(minutes=60)
    posting_grace: dt.timedelta = dt.timedelta(hours=24)
    inpatients_sign_in: bool = False
    hospital_log_corroborates: bool = True
    shield_attempts: int = 2
    coverage_needed: Decimal = Decimal("0.95")
    coverage_hours: tuple[int, int] = (5, 24)
    bed_hours: tuple[int, int] = (0, 24)
    bill_on_leave: int = 0
    longest_examination: dt.timedelta = dt.timedelta(hours=24)
    errand_pause: dt.timedelta = dt.timedelta(hours=8)
    point_repeat: dt.timedelta = dt.timedelta(minutes=10)
    staff_must_be_shown: bool = True

    @property
    def at_points(self) -> "Parameters":
        """The same where service points are judged: what one asks for is asked as it is."""
        return replace(
            self,
            mid_session=NOTHING,
            min_duration_ratio=Decimal(1),
            min_session=self.point_repeat,
            min_prescribed_minutes=0,
            inpatients_sign_in=False,
        )


def always(parameters: Parameters) -> Callable[[dt.date], Parameters]:
    """Return the same parameters for every day."""
    return lambda _: parameters


@dataclass(frozen=True)
class Answer:
    """The verdict of one line."""

    verdict: str
    reason: str
    coverage_ratio: float
    evidence: tuple[str, ...]
    at_stake: Decimal = Decimal(0)
    amount: Decimal = Decimal(0)


@dataclass(frozen=True)
class DayAnswer:
    """The verdict of one day of a bed line."""

    verdict: str
    reason: str
    evidence: tuple[str, ...]


@dataclass(frozen=True)
class BoxSum:
    """What one box of the ledger holds."""

    lines: int
    amount: Decimal
    fund_amount: Decimal | None


@dataclass(frozen=True)
class Judgement:
    """Everything the oracle answers."""

    lines: Mapping[LineKey, Answer]
    days: Mapping[tuple[str, str, dt.date], DayAnswer]
    ledger: Mapping[tuple[str, str], BoxSum]
    shielded: Mapping[str, tuple[int, Decimal]]
    """Lines and yuan that a trace or a broken row kept from being contradicted, by what kept them."""
    rejected: Mapping[str, int]
    """Rows of each table that break a constraint."""
    of_points: frozenset[LineKey] = frozenset()
    """Lines that a service point answers for."""
