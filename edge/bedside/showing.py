"""What the page is shown of a look and of an answer; pure."""

from renzheng.edge.bedside.calls import AnswerShown, LookShown
from renzheng.edge.bedside.looking import Look
from renzheng.edge.bedside.store import StoredAnswer


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


def answer_shown(kept: StoredAnswer) -> AnswerShown:
    """Return what the page is told of an answer that was recorded."""
    return AnswerShown(
        answer_id=kept.answer_id,
        check_id=kept.check_id,
        event_id=kept.event_id,
        choice=kept.choice,
        result=kept.result,
        reason=kept.reason,
        at=kept.at,
    )
