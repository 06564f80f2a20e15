"""The enforcement track beside a case: from a clue to a penalty that is paid, in two tables.

States and time limits follow the NHSA's Interim Provisions on Administrative Penalty Procedures (Order 4 of
2021), the fines articles 38 and 40 of the Regulations on the Supervision of the Use of Funds (Decree 735);
their numbers, by region and date, are those of `rules/casework.yaml`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Literal

from renzheng.central.access.roles import Role
from renzheng.central.cases.due import Due
from renzheng.central.cases.errors import BodyError, StepRefusedError
from renzheng.central.cases.guards import Actor, says_something

SOURCES = ("inspection", "complaint", "transfer", "assigned", "monitor")
DEGREES = ("light", "normal", "heavy")
DELIVERIES = ("in_person", "post", "electronic", "public_notice")
FEWEST_OFFICERS = 2
FEWEST_IN_COUNCIL = 3
Party = Literal["citizen", "body"]


class State(StrEnum):
    """Where an enforcement file is."""

    CLUE = "clue"
    REJECTED = "rejected"
    TRANSFERRED = "transferred"
    INVESTIGATING = "investigating"
    SUSPENDED = "suspended"
    TERMINATED = "terminated"
    REPORTED = "reported"
    REVIEWED = "reviewed"
    NOTIFIED = "notified"
    DECIDED = "decided"
    DELIVERED = "delivered"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Penalty:
    """An enforcement file.

    Args:
        penalty_id: its id.
        institution_id: where it happened.
        doubt_ids: the doubts from which it was referred.
        source: one of `SOURCES`.
        party: a citizen or a body, for whom thresholds differ.
        loss_fen: what the fund has lost.
        article: 38 or 40 of Decree 735.
        state: where it is.
        version: counts the steps.
        began_at: when the clock of this state began.
        due_at: until when the next step is to be done; None while nothing has a limit.
        due_explained: how that was counted.
        clue_extended: the check of the clue was extended, once.
        extended: by whom the investigation was extended: `leader`, then `council`.
        suspended_at: since when it stands still.
        officers: the two of the file, by account, with the numbers of their certificates.
        acted: who has done what.
        degree: light, normal or heavy, with the reason.
        notified_fen: the fine that the party was told; a decision is never above it.
        notified_at: when.
        statement: what the party said; or that it waived.
        hearing_asked_at: when it asked for a hearing.
        hearing_called_at: when the hearing was announced.
        heard_at: when it was held.
        fine_fen: the fine decided.
        council: who decided together, when the fine is large.
        delivered_by: how the decision was delivered.
        reason: why it ended early.
    """

    penalty_id: str
    institution_id: str
    doubt_ids: tuple[str, ...]
    source: str
    party: Party
    loss_fen: int
    article: int
    state: State = State.CLUE
    version: int = 1
    began_at: datetime | None = None
    due_at: datetime | None = None
    due_explained: str | None = None
    clue_extended: bool = False
    extended: tuple[str, ...] = ()
    suspended_at: datetime | None = None
    officers: Mapping[str, str] = field(default_factory=dict)
    acted: tuple[tuple[str, str], ...] = ()
    degree: str | None = None
    notified_fen: int | None = None
    notified_at: datetime | None = None
    statement: str | None = None
    hearing_asked_at: datetime | None = None
    hearing_called_at: datetime | None = None
    heard_at: datetime | None = None
    fine_fen: int | None = None
    council: tuple[str, ...] = ()
    delivered_by: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What is sent with a step; amounts in fen."""

    reason: str = ""
    text: str = ""
    to: str = ""
    degree: str = ""
    amount_fen: int | None = None
    officers: Mapping[str, str] = field(default_factory=dict)
    members: tuple[str, ...] = ()
    qualified: bool = False
    consent: bool = False
    paid: bool = False


@dataclass(frozen=True, slots=True)
class PenaltyStep:
    """A step on an enforcement file, with all that decides whether it is done.

    Args:
        act: its name.
        penalty: the file.
        actor: who asks.
        asked: what was sent with it.
        now: when.
        numbers: time limits, thresholds and multipliers of the day.
    """

    act: str
    penalty: Penalty
    actor: Actor
    asked: Asked
    now: datetime
    numbers: Mapping[str, Decimal]


ENDED = frozenset({State.REJECTED, State.TRANSFERRED, State.TERMINATED, State.CLOSED})
BUREAU_ACTS = frozenset({
    "file", "reject", "transfer", "extend_clue", "suspend", "resume", "extend", "extend_in_council", "report",
    "review", "notify", "call_hearing", "hold_hearing", "decide", "deliver", "close", "terminate",
})  # fmt: skip


def fine_range(article: int, degree: str, loss_fen: int, numbers: Mapping[str, Decimal]) -> tuple[int, int]:
    """Return the least and the most that a fine may be, in fen.

    Raises:
        BodyError: the article or the degree is none.
    """
    if article == 38:  # noqa: PLR2004 - Decree 735
        bounds = {
            "light": ("fine38_least", "fine38_light"),
            "normal": ("fine38_light", "fine38_normal"),
            "heavy": ("fine38_normal", "fine38_most"),
        }
    else:
        bounds = {
            "light": ("fine40_least", "fine40_light"),
            "normal": ("fine40_light", "fine40_normal"),
            "heavy": ("fine40_normal", "fine40_most"),
        }
    if degree not in bounds:
        raise BodyError("A degree is one of light, normal, heavy.")
    least, most = bounds[degree]
    return int(numbers[least] * loss_fen), int(numbers[most] * loss_fen)


def _state(step: PenaltyStep) -> str | None:
    if step.penalty.state not in ACTS[step.act].origins:
        return f"A file that is {step.penalty.state} cannot take the step {step.act}."
    return None


def _own_institution(step: PenaltyStep) -> str | None:
    if step.act in BUREAU_ACTS and step.penalty.institution_id in step.actor.institutions | step.actor.ties:
        return f"{step.actor.account} belongs to the institution, or has declared a tie to it."
    return None


def _reason_missing(step: PenaltyStep) -> str | None:
    if ACTS[step.act].needs_reason and not says_something(step.asked.reason):
        return f"The step {step.act} needs a reason."
    return None


def _two_officers(step: PenaltyStep) -> str | None:
    if step.act != "file":
        return None
    officers = step.asked.officers
    certificates = {one.strip() for one in officers.values() if one.strip()}
    if len(officers) < FEWEST_OFFICERS or len(certificates) != len(officers):
        return "A file needs two officers, each with a valid certificate of their own."
    return None


def _not_an_officer(step: PenaltyStep) -> str | None:
    officers = set(step.penalty.officers)
    if step.act in {"report", "notify"} and step.actor.account not in officers:
        return "Only an officer of the file does this."
    if step.act in {"review", "hold_hearing", "decide"} and step.actor.account in officers:
        return "An officer of the file neither reviews it, nor hears the party, nor decides."
    return None


def _same_person(step: PenaltyStep) -> str | None:
    if step.act not in {"review", "hold_hearing", "decide"}:
        return None
    others = {act for account, act in step.penalty.acted if account == step.actor.account} - {step.act}
    if others & {"review", "hold_hearing", "decide"}:
        return f"{step.actor.account} has done another of review, hearing and decision on this file."
    return None


def _not_qualified(step: PenaltyStep) -> str | None:
    if step.act == "review" and not step.asked.qualified:
        return "The legal review is done by somebody with the legal qualification."
    return None


def _extended_already(step: PenaltyStep) -> str | None:
    penalty = step.penalty
    if step.act == "extend_clue" and penalty.clue_extended:
        return "The check of a clue is extended once."
    if step.act == "extend" and penalty.extended:
        return "The leader extends an investigation once."
    if step.act == "extend_in_council" and penalty.extended != ("leader",):
        return "The council extends an investigation once, after the leader has."
    return None


def _too_late(step: PenaltyStep) -> str | None:
    penalty = step.penalty
    if step.act == "ask_hearing" and penalty.notified_at is not None:
        until = penalty.notified_at + timedelta(days=int(step.numbers["hearing_ask_days"]))
        if step.now > until:
            return "The time in which a hearing can be asked for has passed."
    return None


def _no_hearing(step: PenaltyStep) -> str | None:
    penalty = step.penalty
    if step.act == "ask_hearing" and (penalty.notified_fen or 0) < _fen(step, "hearing_from"):
        return "The fine is below that from which a hearing is held."
    if step.act in {"call_hearing", "hold_hearing"} and penalty.hearing_asked_at is None:
        return "Nobody has asked for a hearing."
    if step.act == "hold_hearing":
        called = penalty.hearing_called_at
        wait = timedelta(days=int(step.numbers["hearing_notice_days"]))
        if called is None or step.now < called + wait:
            return "A hearing is announced some days before it is held."
    if step.act == "decide" and penalty.hearing_asked_at is not None and penalty.heard_at is None:
        return "A hearing was asked for, and comes before the decision."
    return None


def _not_heard(step: PenaltyStep) -> str | None:
    penalty = step.penalty
    if step.act == "decide" and penalty.statement is None and penalty.notified_at is not None:
        until = penalty.notified_at + timedelta(days=int(step.numbers["penalty_statement_days"]))
        if step.now <= until:
            return "The party may still state its case; nothing is decided before."
    return None


def _outside_range(step: PenaltyStep) -> str | None:
    asked, penalty = step.asked, step.penalty
    if step.act == "notify":
        least, most = fine_range(penalty.article, asked.degree, penalty.loss_fen, step.numbers)
        if asked.amount_fen is None or not least <= asked.amount_fen <= most:
            return f"A fine of this degree is from {least / 100:.2f} to {most / 100:.2f} yuan."
    return None


def _amount_raised(step: PenaltyStep) -> str | None:
    if step.act == "decide" and (step.asked.amount_fen or 0) > (step.penalty.notified_fen or 0):
        return "A fine is never above what the party was told; new facts mean a new notice."
    return None


def _no_council(step: PenaltyStep) -> str | None:
    if step.act != "decide" or (step.asked.amount_fen or 0) < _fen(step, "council_from"):
        return None
    members = set(step.asked.members)
    if len(members) < FEWEST_IN_COUNCIL or members & set(step.penalty.officers):
        return "A fine of this size is discussed by three or more, none of them an officer of the file."
    return None


def _no_consent(step: PenaltyStep) -> str | None:
    if step.act == "deliver" and step.asked.to == "electronic" and not step.asked.consent:
        return "A decision is delivered electronically only with the party's signed consent."
    return None


def _not_paid(step: PenaltyStep) -> str | None:
    if step.act == "close" and not step.asked.paid:
        return "A file is closed when the fine is paid and the money returned."
    return None


def _fen(step: PenaltyStep, name: str) -> int:
    return int(step.numbers[f"{name}_{step.penalty.party}"] * 100)


GUARDS: Mapping[str, Callable[[PenaltyStep], str | None]] = {
    "own_institution": _own_institution,
    "state": _state,
    "two_officers": _two_officers,
    "officer": _not_an_officer,
    "same_person": _same_person,
    "reason_missing": _reason_missing,
    "not_qualified": _not_qualified,
    "extended": _extended_already,
    "too_late": _too_late,
    "hearing": _no_hearing,
    "not_heard": _not_heard,
    "discretion": _outside_range,
    "amount_raised": _amount_raised,
    "council": _no_council,
    "consent": _no_consent,
    "not_paid": _not_paid,
}
"""By name, in the order in which they are asked."""


@dataclass(frozen=True, slots=True)
class PenaltyAct:
    """One kind of step: who may, from which states, what becomes of the file, what is then due.

    Args:
        roles: any of which may.
        origins: the states from which it goes.
        change: what becomes of the file.
        needs_reason: it is refused without one.
        due: the number that says until when the next step is to be done; empty for none, `-` leaves it.
        working: that number counts working days, and not days of the calendar.
    """

    roles: frozenset[Role]
    origins: frozenset[State]
    change: Callable[[PenaltyStep], Penalty]
    needs_reason: bool = False
    due: str = ""
    working: bool = False


def _to(state: State, **more: object) -> Callable[[PenaltyStep], Penalty]:
    return lambda step: replace(step.penalty, state=state, **more)  # type: ignore[arg-type]


def _ended(state: State) -> Callable[[PenaltyStep], Penalty]:
    return lambda step: replace(step.penalty, state=state, reason=step.asked.reason)


def _file(step: PenaltyStep) -> Penalty:
    return replace(step.penalty, state=State.INVESTIGATING, officers=dict(step.asked.officers))


def _resume(step: PenaltyStep) -> Penalty:
    """Go on; the time for which the file stood still does not count."""
    penalty = step.penalty
    stood = step.now - (penalty.suspended_at or step.now)
    due = None if penalty.due_at is None else penalty.due_at + stood
    return replace(penalty, state=State.INVESTIGATING, suspended_at=None, due_at=due)


def _notify(step: PenaltyStep) -> Penalty:
    return replace(
        step.penalty,
        state=State.NOTIFIED,
        degree=step.asked.degree,
        notified_fen=step.asked.amount_fen,
        notified_at=step.now,
    )


def _statement(step: PenaltyStep) -> Penalty:
    if not says_something(step.asked.text):
        raise BodyError(
            "A statement says something; that the party waives it is said in words too.",
            do='Send {"text": "..."}.',
        )
    return replace(step.penalty, statement=step.asked.text)


def _decide(step: PenaltyStep) -> Penalty:
    if step.asked.amount_fen is None:
        raise BodyError("A decision names its amount.", do='Send {"amount": "123.45", "reason": "..."}.')
    return replace(
        step.penalty, state=State.DECIDED, fine_fen=step.asked.amount_fen, council=step.asked.members
    )


def _deliver(step: PenaltyStep) -> Penalty:
    if step.asked.to not in DELIVERIES:
        raise BodyError(f"A decision is delivered by one of {', '.join(DELIVERIES)}.")
    return replace(step.penalty, state=State.DELIVERED, delivered_by=step.asked.to)


def _extend(by: str, number: str) -> Callable[[PenaltyStep], Penalty]:
    def change(step: PenaltyStep) -> Penalty:
        penalty = step.penalty
        more = timedelta(days=int(step.numbers[number]))
        due = None if penalty.due_at is None else penalty.due_at + more
        return replace(penalty, extended=(*penalty.extended, by), due_at=due)

    return change


def _act(
    roles: Sequence[Role],
    origins: Sequence[State],
    change: Callable[[PenaltyStep], Penalty],
    *,
    needs_reason: bool = False,
    due: str = "",
    working: bool = False,
) -> PenaltyAct:
    return PenaltyAct(frozenset(roles), frozenset(origins), change, needs_reason, due, working)


_A, _OFFICE = [Role.AUDITOR], [Role.HOSPITAL_OFFICE]
ACTS: Mapping[str, PenaltyAct] = {
    "extend_clue": _act(
        _A, [State.CLUE], lambda step: replace(step.penalty, clue_extended=True),
        needs_reason=True, due="clue_extension_days", working=True,
    ),
    "file": _act(_A, [State.CLUE], _file, due="investigation_days"),
    "reject": _act(_A, [State.CLUE], _ended(State.REJECTED), needs_reason=True),
    "transfer": _act(
        _A, [State.CLUE, State.INVESTIGATING], _ended(State.TRANSFERRED), needs_reason=True
    ),
    "suspend": _act(
        _A, [State.INVESTIGATING],
        lambda step: replace(step.penalty, state=State.SUSPENDED, suspended_at=step.now),
        needs_reason=True, due="-",
    ),
    "resume": _act(_A, [State.SUSPENDED], _resume, due="-"),
    "extend": _act(
        [Role.APPROVER], [State.INVESTIGATING], _extend("leader", "investigation_extension_days"),
        needs_reason=True, due="-",
    ),
    "extend_in_council": _act(
        [Role.APPROVER], [State.INVESTIGATING], _extend("council", "investigation_council_days"),
        needs_reason=True, due="-",
    ),
    "terminate": _act(
        _A, [State.INVESTIGATING, State.SUSPENDED, State.REPORTED, State.REVIEWED],
        _ended(State.TERMINATED), needs_reason=True,
    ),
    "report": _act(_A, [State.INVESTIGATING], _to(State.REPORTED), due="legal_review_days", working=True),
    "review": _act([Role.REVIEWER], [State.REPORTED], _to(State.REVIEWED), needs_reason=True),
    "notify": _act(_A, [State.REVIEWED], _notify, needs_reason=True, due="penalty_statement_days"),
    "state": _act(_OFFICE, [State.NOTIFIED], _statement, due="-"),
    "ask_hearing": _act(
        _OFFICE, [State.NOTIFIED], lambda step: replace(step.penalty, hearing_asked_at=step.now), due="-"
    ),
    "call_hearing": _act(
        _A, [State.NOTIFIED], lambda step: replace(step.penalty, hearing_called_at=step.now),
        due="hearing_notice_days",
    ),
    "hold_hearing": _act(
        [Role.PANEL], [State.NOTIFIED], lambda step: replace(step.penalty, heard_at=step.now),
        needs_reason=True,
    ),
    "decide": _act(
        [Role.APPROVER], [State.NOTIFIED], _decide, needs_reason=True, due="delivery_days", working=True
    ),
    "deliver": _act(_A, [State.DECIDED], _deliver, due="payment_days"),
    "close": _act(_A, [State.DELIVERED], _to(State.CLOSED)),
}  # fmt: skip
"""Steps on an enforcement file."""


def take(step: PenaltyStep, due: Callable[[int, bool], Due]) -> Penalty:
    """Do a step: return the file after it.

    Args:
        step: the step; that the actor's roles may is the caller's to know.
        due: counts so many days from now, working days or not.

    Raises:
        StepRefusedError: a guard refuses it.
        BodyError: what was sent with it lacks something.
    """
    act = ACTS[step.act]
    for name, guard in GUARDS.items():
        said = guard(step)
        if said is not None:
            raise StepRefusedError(name, said)
    after = act.change(step)
    mine = (step.actor.account, step.act)
    acted = after.acted if mine in after.acted else (*after.acted, mine)
    after = replace(after, version=after.version + 1, acted=acted)
    if act.due == "-":
        return after
    if not act.due:
        return replace(after, due_at=None, due_explained=None, began_at=step.now)
    limit = due(int(step.numbers[act.due]), act.working)
    return replace(after, due_at=limit.at, due_explained=limit.explained, began_at=step.now)
