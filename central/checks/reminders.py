"""What became of advices: advised, followed, overridden and why, unanswered, and how long an answer took."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Literal

from renzheng.common.shares import wilson
from renzheng.rules.knowledge.wording import OVERRIDES

By = Literal["institution", "department", "rule"]
OTHER, NONE = "other", "none"
REASONS = (*OVERRIDES, OTHER, NONE)
"""Reasons as they are counted: those that an advice offers, other words, and none."""
GOOD = frozenset({"registered_wrongly", "emergency", "medically_needed", "two_treatments"})
"""Reasons that say that a point did not fit; to correct it later says that it did."""


@dataclass(frozen=True, slots=True)
class Advised:
    """One advice that was shown.

    Args:
        institution_id, department: where; the department is empty where the check named none.
        point, version, kind: what advised.
        action: the last answer; empty where there is none.
        reason: of that answer, as it came.
        seconds: from the check to that answer; None where there is none.
    """

    institution_id: str
    department: str
    point: str
    version: str
    kind: str
    action: str = ""
    reason: str = ""
    seconds: float | None = None


@dataclass(slots=True)
class Figures:
    """What became of some advices.

    Args:
        advised: shown.
        followed, overridden: by their last answer.
        by_reason: of the overridden, by reason.
        seconds: from check to answer, of each that was answered.
    """

    advised: int = 0
    followed: int = 0
    overridden: int = 0
    by_reason: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    @property
    def unanswered(self) -> int:
        """Return how many have no answer."""
        return self.advised - self.followed - self.overridden

    @property
    def followed_share(self) -> float | None:
        """Return the share followed of those that were answered; None without an answer."""
        answered = self.followed + self.overridden
        return self.followed / answered if answered else None

    @property
    def median_seconds(self) -> float | None:
        """Return the median time to an answer; None without an answer."""
        return median(self.seconds) if self.seconds else None

    @property
    def good_reasons(self) -> int:
        """Return how many were overridden because the point did not fit."""
        return sum(self.by_reason[one] for one in GOOD)

    def add(self, one: Advised) -> None:
        """Count an advice."""
        self.advised += 1
        if one.action == "followed":
            self.followed += 1
        elif one.action == "overridden":
            self.overridden += 1
            self.by_reason[reason_of(one.reason)] += 1
        if one.action and one.seconds is not None:
            self.seconds.append(max(0.0, one.seconds))


def reason_of(words: str) -> str:
    """Return the reason as which words are counted: a code may stand before the user's own words."""
    code = words.partition(":")[0].strip()
    if code in OVERRIDES:
        return code
    known = {text: name for name, texts in OVERRIDES.items() for text in texts}
    return known.get(words.strip(), OTHER if words.strip() else NONE)


def group(advised: Iterable[Advised], by: By) -> dict[tuple[str, ...], Figures]:
    """Count advices by institution, department (of an institution) or rule (point, version and kind)."""
    found: dict[tuple[str, ...], Figures] = {}
    for one in advised:
        key = {
            "institution": (one.institution_id,),
            "department": (one.institution_id, one.department),
            "rule": (one.point, one.version, one.kind),
        }[by]
        found.setdefault(key, Figures()).add(one)
    return found


@dataclass(frozen=True, slots=True)
class Limits:
    """When a point is overridden with good reason too often (`casework.yaml`).

    Args:
        limit: the share; an institution's lower bound must be above it (Wilson, 95 %).
        fewest: answers of an institution, below which it says nothing.
        institutions: so many must say it, so that none can silence a point by itself.
    """

    limit: float
    fewest: int
    institutions: int


def too_often(by_institution: Mapping[str, Figures], limits: Limits) -> list[str]:
    """Return the institutions in which a point does not fit too often; empty where they are too few."""
    found = [
        name
        for name, one in sorted(by_institution.items())
        if one.followed + one.overridden >= limits.fewest
        and wilson(one.good_reasons, one.followed + one.overridden)[0] > limits.limit
    ]
    return found if len(found) >= limits.institutions else []
