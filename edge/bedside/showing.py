"""What the page is shown of an answer; pure."""

from renzheng.edge.bedside.calls import AnswerShown
from renzheng.edge.bedside.store import StoredAnswer


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
