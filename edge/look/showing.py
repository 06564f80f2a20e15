"""What a page is shown of a look; pure."""

from pydantic import BaseModel, ConfigDict

from renzheng.edge.look.looking import Look
from renzheng.edge.look.verdicts import FaceVerdict


class LookShown(BaseModel):
    """How a look stands; a score is shown with the false match rate that its threshold stands for."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    look_id: str
    guidance: str | None = None
    verdict: FaceVerdict | None = None
    comparison_score: float | None = None
    threshold: float | None = None
    false_match_rate: float | None = None
    pad: str | None = None


def look_shown(look: Look) -> LookShown:
    """Return what the page is told of a look."""
    face, compared = look.face, None if look.face is None else look.face.compared
    return LookShown(
        look_id=look.look_id,
        guidance=look.guidance,
        verdict=None if face is None else face.verdict,
        comparison_score=None if compared is None else round(compared.comparison_score, 4),
        threshold=None if compared is None else round(compared.threshold.score, 4),
        false_match_rate=None if compared is None else compared.fmr,
        pad=None if face is None else face.pad.value,
    )
