"""How a comparison stands in an event: filled in here for every kind of device."""

from typing import TypedDict

from renzheng.models.decision import Compared


class ComparisonFields(TypedDict):
    """What events tell of a comparison; all None where nothing was compared."""

    comparison_score: float | None
    threshold: float | None
    false_match_rate: float | None
    engine: str | None


def comparison_fields(compared: Compared | None, engine: str) -> ComparisonFields:
    """Return what events tell of a comparison.

    Args:
        compared: score and threshold.
        engine: name and model of the face engine.
    """
    if compared is None:
        return ComparisonFields(comparison_score=None, threshold=None, false_match_rate=None, engine=None)
    return ComparisonFields(
        comparison_score=round(compared.comparison_score, 6),
        threshold=round(compared.threshold.score, 6),
        false_match_rate=compared.fmr,
        engine=engine,
    )
