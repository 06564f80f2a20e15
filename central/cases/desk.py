"""What stands in a list of doubts to work through, and how sure each is; lists are read in `worklists`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Literal, NamedTuple

from renzheng.central.cases.doubts import State
from renzheng.central.cases.money import Overturn
from renzheng.central.store.times import from_us

Certainty = Literal["high", "middle", "low"]
CERTAINTIES: Sequence[Certainty] = ("high", "middle", "low")
GROUPS = ("institution", "person", "doctor", "rule", "shape", "state")
ASKED = ("confirmed", "differs", "decided")
SORTS = ("certainty", "amount", "due", "institution", "person", "day")
_ALIKE = 10
"""So many imagined decisions are mixed with a rule's real ones, so that its first few sway little."""
_UPHELD = {"contradicted": 9, "suspicious": 5}
"""How many of those are imagined to be upheld, by verdict."""
HIGH, MIDDLE = 0.85, 0.6


class Row(NamedTuple):
    """One doubt of a list; a tuple, since a file holds thousands.

    Args:
        doubt_id: its id.
        version: the newest.
        case_id: its case.
        institution_id: whose lines they are.
        institution: its name, or its id.
        person_id: of whom, when it is of one person.
        rule_id: what contradicts it.
        reason: of the verdict, or the finding's rule.
        verdict: of the run that it was drafted from.
        state: where it is.
        confirmed: the bureau has looked.
        at_stake_fen: what it could cost.
        amount_fen: what is asked at this point.
        line_id: its first line.
        of_a_finding: it is one, with all its lines.
        day: the first line's service day, from the newest audit; empty when that has no answer for it.
        item: what was billed in it; known of the rows that are shown.
        doctor: who has billed it.
        newest: the newest audit's verdict of that line.
        answers: the account that answers for the institution.
        position: what the institution says.
        decided: the final decision is made.
        due_us: until when the institution may answer, in microseconds.
        certainty: how sure it is.
        lines: how many lines it holds; known of the rows that are shown.
    """

    doubt_id: str
    version: int
    case_id: str
    institution_id: str
    institution: str
    person_id: str | None
    rule_id: str
    reason: str
    verdict: str
    state: State
    confirmed: bool
    at_stake_fen: int
    amount_fen: int
    line_id: str
    of_a_finding: bool
    day: str = ""
    item: str = ""
    doctor: str = ""
    newest: str = ""
    answers: str = ""
    position: str = ""
    decided: bool = False
    due_us: int | None = None
    certainty: Certainty = "middle"
    lines: int = 1

    @property
    def due_at(self) -> datetime | None:
        """Until when the institution may answer."""
        return None if self.due_us is None else from_us(self.due_us)

    @property
    def shape(self) -> str:
        """Rule and reason: doubts of one shape are answered alike."""
        return f"{self.rule_id} {self.reason}"

    @property
    def differs(self) -> bool:
        """The newest audit of its line says something else than the one it was drafted from."""
        return bool(self.newest) and not self.of_a_finding and self.newest != self.verdict


@dataclass(frozen=True, slots=True)
class Group:
    """Doubts that have something in common.

    Args:
        key: what.
        name: as it is read.
        doubts: how many.
        at_stake_fen: their money.
        waiting: those drafted and not yet looked at.
    """

    key: str
    name: str
    doubts: int
    at_stake_fen: int
    waiting: int


def certainty_of(verdict: str, fared: Overturn | None) -> Certainty:
    """Say how sure a doubt is: by its verdict, and by what became of earlier ones of its rule and reason."""
    upheld, decided = _UPHELD.get(verdict, _UPHELD["suspicious"]), _ALIKE
    if fared is not None:
        upheld, decided = upheld + fared.decided - fared.overturned, decided + fared.decided
    share = upheld / decided
    return "high" if share >= HIGH else "middle" if share >= MIDDLE else "low"


def seal(versions: Mapping[str, int]) -> str:
    """Return what stands for doubts as somebody has seen them: others or other versions give another text."""
    seen = "\n".join(sorted(f"{doubt_id} {version}" for doubt_id, version in versions.items()))
    return sha256(seen.encode()).hexdigest()[:32]
