"""Points that have lost power, and what their advices may still do."""

from collections.abc import Mapping

from renzheng.rules.knowledge.points import Power

WARN, BUREAU = "warn", "bureau"
"""What is left: it blocks no more; it is shown to the bureau only."""
Lost = Mapping[tuple[str, str], str]
"""What is left to a point, by its id and version."""


def lowered(lost: Lost, point: str, version: str, power: Power) -> Power:
    """Return what an advice may still do once its point has lost power."""
    left = lost.get((point, version))
    if left not in {WARN, BUREAU} or power is Power.WATCH:
        return power
    return Power.WATCH if left == BUREAU else Power.WARN
