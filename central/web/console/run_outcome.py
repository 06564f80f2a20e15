"""What a run's page shows of its summary: verdicts with money, findings by rule, where the time went."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

SLOWEST = 10
"""Steps and rules shown by the time they took."""
_ORDER = ("contradicted", "suspicious", "insufficient", "supported")


@dataclass(frozen=True, slots=True)
class VerdictSum:
    """Lines of one verdict and reason, and what they were billed at (fen)."""

    verdict: str
    reason: str
    lines: int
    amount_fen: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came out of a run.

    Args:
        verdicts: by verdict, gravest first, then by money.
        findings: rules that found something, with how much, most first.
        quiet: rules that found nothing.
        versions: of the rules that ran.
        seconds: the slowest steps and rules, slowest first.
    """

    verdicts: Sequence[VerdictSum]
    findings: Sequence[tuple[str, int]]
    quiet: Sequence[str]
    versions: Mapping[str, str]
    seconds: Sequence[tuple[str, float]]


def outcome_of(summary: Mapping[str, Any]) -> Outcome:
    """Read a run's summary; what an older run did not write is empty."""
    sums = [
        VerdictSum(one["verdict"], one["reason"], one["lines"], int(Decimal(one["amount"]) * 100))
        for one in summary.get("verdicts", ())
    ]
    sums.sort(key=lambda one: (_place(one.verdict), -one.amount_fen, one.reason))
    findings: Mapping[str, int] = summary.get("findings", {})
    seconds: Mapping[str, float] = summary.get("seconds", {})
    return Outcome(
        sums,
        sorted(((rule, n) for rule, n in findings.items() if n), key=lambda one: (-one[1], one[0])),
        sorted(rule for rule, n in findings.items() if not n),
        {rule: one["version"] for rule, one in summary.get("rules", {}).items()},
        sorted(seconds.items(), key=lambda one: -one[1])[:SLOWEST],
    )


def _place(verdict: str) -> int:
    return _ORDER.index(verdict) if verdict in _ORDER else len(_ORDER)
