"""Summonses: an institution below the in-bed threshold is asked to explain itself, as a case of its own kind.

    issued -> received -> answered -> released | upheld        issued, received, answered -> withdrawn

It is about a rate, not about money or a person: nothing is deducted by it. Whoever has issued it does not
decide it; without an answer it is decided only when the time to answer is over. Each step is a signed entry
of the summons' own journal.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum

from renzheng.central.access.roles import Role
from renzheng.central.cases.acts import must_be_allowed, must_have_no_tie
from renzheng.central.cases.due import Due
from renzheng.central.cases.errors import BodyError, StepRefusedError
from renzheng.central.cases.guards import Actor, says_something


class State(StrEnum):
    """Where a summons is."""

    ISSUED = "issued"
    RECEIVED = "received"
    ANSWERED = "answered"
    RELEASED = "released"
    UPHELD = "upheld"
    WITHDRAWN = "withdrawn"


OPEN = frozenset({State.ISSUED, State.RECEIVED, State.ANSWERED})


@dataclass(frozen=True, slots=True)
class Figure:
    """What a summons rests on.

    Args:
        present: beds in which the person was found.
        counted: checks that count.
        share: the one over the other.
        low: lower end of its 95 % interval.
        high: upper end.
        threshold: the region's, of which both share and upper end were below.
    """

    present: int
    counted: int
    share: float
    low: float
    high: float
    threshold: float


@dataclass(frozen=True, slots=True)
class Summons:
    """One summons.

    Args:
        summons_id: its id.
        institution_id: who is asked.
        first: the first day on which checks were due.
        last: the last.
        figure: the rate when it was issued.
        state: where it is.
        version: counts the steps.
        issued_by: by whom.
        issued_at: when.
        due_at: until when the institution may answer.
        due_explained: how that was counted, in Chinese.
        received_at: when the institution's office opened it.
        received_by: which account.
        statement: what it says.
        answered_at: when.
        decided_by: who has released, upheld or withdrawn it.
        decided_at: when.
        reason: why.
    """

    summons_id: str
    institution_id: str
    first: date
    last: date
    figure: Figure
    issued_by: str
    issued_at: datetime
    due_at: datetime
    due_explained: str
    state: State = State.ISSUED
    version: int = 1
    received_at: datetime | None = None
    received_by: str | None = None
    statement: str | None = None
    answered_at: datetime | None = None
    decided_by: str | None = None
    decided_at: datetime | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class SummonsStep:
    """A step that somebody asks for.

    Args:
        act: its name.
        summons: as it is.
        actor: who asks.
        text: the institution's words.
        reason: the bureau's.
        now: when.
        due: until when an answer received now may come.
    """

    act: str
    summons: Summons
    actor: Actor
    text: str
    reason: str
    now: datetime
    due: Due


@dataclass(frozen=True, slots=True)
class SummonsAct:
    """One kind of step: who may, from which states, and what becomes of the summons."""

    roles: frozenset[Role]
    origins: frozenset[State]
    change: Callable[[SummonsStep], Summons]


def _receive(step: SummonsStep) -> Summons:
    later = step.due.at > step.summons.due_at
    return replace(
        step.summons,
        state=State.RECEIVED,
        received_at=step.now,
        received_by=step.actor.account,
        due_at=step.due.at if later else step.summons.due_at,
        due_explained=step.due.explained if later else step.summons.due_explained,
    )


def _answer(step: SummonsStep) -> Summons:
    if not says_something(step.text):
        raise BodyError("An answer without words says nothing.", do='Send {"text": "..."}.')
    return replace(step.summons, state=State.ANSWERED, statement=step.text, answered_at=step.now)


def _end(state: State) -> Callable[[SummonsStep], Summons]:
    def change(step: SummonsStep) -> Summons:
        own = step.actor.account
        return replace(step.summons, state=state, decided_by=own, decided_at=step.now, reason=step.reason)

    return change


_OFFICE = frozenset({Role.HOSPITAL_OFFICE})
_DECIDES = frozenset({Role.REVIEWER, Role.APPROVER})
ACTS: Mapping[str, SummonsAct] = {
    "receive": SummonsAct(_OFFICE, frozenset({State.ISSUED}), _receive),
    "answer": SummonsAct(_OFFICE, frozenset({State.RECEIVED}), _answer),
    "release": SummonsAct(_DECIDES, frozenset({State.RECEIVED, State.ANSWERED}), _end(State.RELEASED)),
    "uphold": SummonsAct(_DECIDES, frozenset({State.RECEIVED, State.ANSWERED}), _end(State.UPHELD)),
    "withdraw": SummonsAct(frozenset({Role.AUDITOR}), OPEN, _end(State.WITHDRAWN)),
}
"""Steps on a summons that was issued."""
ISSUES = frozenset({Role.AUDITOR})


def take(step: SummonsStep) -> Summons:
    """Do a step: return the summons after it.

    Raises:
        MayNotError: the actor's roles do not.
        StepRefusedError: a guard refuses it.
        BodyError: an answer says nothing.
    """
    act, summons = ACTS[step.act], step.summons
    must_be_allowed(act.roles, step.actor, step.act)
    if summons.state not in act.origins:
        guard = "not_received" if summons.state is State.ISSUED else "state"
        raise StepRefusedError(guard, f"A summons that is {summons.state} cannot be given {step.act}.")
    if act.roles != _OFFICE:
        must_have_no_tie(step.actor, summons.institution_id)
        if not says_something(step.reason):
            raise StepRefusedError("reason_missing", f"To {step.act} a summons needs a reason.")
    if step.act in {"release", "uphold"}:
        if step.actor.account == summons.issued_by:
            raise StepRefusedError("same_person", f"{step.actor.account} has issued it.")
        if summons.state is State.RECEIVED and step.now < summons.due_at:
            raise StepRefusedError("not_due", "The institution may answer until its date has passed.")
    return replace(act.change(step), version=summons.version + 1)
