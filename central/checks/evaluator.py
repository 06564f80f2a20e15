"""What was asked, completed by what the history knows, and evaluated."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from renzheng.central.checks.asked import Read
from renzheng.central.checks.history import History
from renzheng.rules.knowledge.evaluating import Evaluated, Knowledge
from renzheng.rules.knowledge.facts import DAY_US, Line, Situation, situation
from renzheng.rules.knowledge.kinds import look_back_days


class Evaluator:
    """Evaluates what was asked over a history.

    Args:
        history: what was billed before.
    """

    def __init__(self, history: History) -> None:
        self.history = history

    def completed(self, read: Read) -> tuple[Read, list[tuple[str, str]]]:
        """Add what the history knows of the patient; return also what it does not know, as codes."""
        kept = self.history.person(read.patient.person_id)
        if kept is None:
            return read, [("history", "person_unknown")]
        patient = replace(
            read.patient,
            sex=read.patient.sex or kept.sex,
            birth_day=kept.birth_day if read.patient.birth_day is None else read.patient.birth_day,
        )
        return replace(read, patient=patient), []

    def evaluated(self, knowledge: Knowledge, read: Read, stage: str) -> Evaluated:
        """Evaluate what was asked, together with what came before."""
        return knowledge.evaluate(self.situation(knowledge, read), stage)

    def situation(self, knowledge: Knowledge, read: Read) -> Situation:
        """Put what was asked together with what came before."""
        before = self._before(knowledge, read, {line.code for line in read.lines})
        return situation(read.patient, read.encounter, read.lines, before)

    def _before(self, knowledge: Knowledge, read: Read, codes: Iterable[str]) -> Sequence[Line]:
        points = knowledge.about(codes)
        if not points or not read.lines:
            return ()
        first = min(line.at_us for line in read.lines) - look_back_days(points) * DAY_US
        related = knowledge.related(codes)
        wanted = related | {own for own, national in knowledge.codes.items() if national in related}
        lines = self.history.lines(read.patient.person_id, first, wanted)
        return [*(replace(line, code=knowledge.national(line.code)) for line in lines), *read.earlier]
