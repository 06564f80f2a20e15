"""Why a step is refused: every guard, in the order in which they are asked, in one table.

A guard looks at a `Step` and says what is wrong, or nothing. None of them changes anything.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from renzheng.central.access.roles import Role
from renzheng.central.access.separation import excluding
from renzheng.central.cases.doubts import (
    CHARGED,
    OPEN,
    Case,
    CaseState,
    Decision,
    Doubt,
    Opinion,
    Position,
    State,
)
from renzheng.central.cases.terms import term_of
from renzheng.contracts.ids import is_unseen

FEWEST_MEMBERS = 3


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does a step, as the accounts have them.

    Args:
        account: the account's name.
        roles: what it is there for.
        institutions: with which it is registered.
        ties: institutions to which it has declared a tie.
    """

    account: str
    roles: frozenset[Role]
    institutions: frozenset[str] = frozenset()
    ties: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Body:
    """What is sent with a step; amounts in fen."""

    reason: str = ""
    amount_fen: int | None = None
    text: str = ""
    attachments: tuple[str, ...] = ()
    decision: Decision | None = None
    position: Position | None = None
    medical: bool = False
    doctor: str = ""
    to: str = ""
    period: str = ""
    members: tuple[str, ...] = ()
    conflicts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step:
    """A step that somebody asks for, with all that decides whether it is done.

    Args:
        act: its name.
        duty: what it is for the bureau, as `Doubt.acted` has it; empty for the institution's own steps.
        origins: the states from which it goes.
        case: the doubt's case.
        doubt: the doubt.
        actor: who asks.
        body: what was sent with it.
        now: when.
        evidence_sha256: of the frozen evidence as it is in the store now.
        rivals: other doubts, open or deducted, on one of its lines.
        cleared: a line of it was cleared before under the same version of the rule.
        tied: members of the panel with a tie to the institution.
        unable: members of a panel set before who can no longer vote on it.
        votes: sealed votes that are in.
        power: how far the doubt's rule may go (`powers`).
    """

    act: str
    duty: str
    origins: frozenset[State]
    case: Case
    doubt: Doubt
    actor: Actor
    body: Body
    now: datetime
    evidence_sha256: str | None = None
    rivals: tuple[Doubt, ...] = ()
    cleared: bool = False
    tied: frozenset[str] = frozenset()
    unable: frozenset[str] = frozenset()
    votes: tuple[Opinion, ...] = ()
    power: str = "block"

    @property
    def is_late(self) -> bool:
        """The date until which the institution may answer has passed, and its time was not standing still."""
        term = term_of(self.doubt, self.case)
        return term is not None and term.due is not None and self.now >= term.due.at

    @property
    def asked_fen(self) -> int | None:
        """The amount that a decision would make the institution owe; None when it sets none."""
        if self.act in {"finalise", "return"} or self.body.decision in {"partly", "uphold"}:
            return self.body.amount_fen
        return None


NEEDS_A_REASON = frozenset({"drop", "withdraw", "review", "vote", "return", "refer"})


def says_something(text: str) -> bool:
    """Say whether anything of a text is seen in print; blanks and characters without width are not."""
    return not all(is_unseen(one) for one in text)


def _closed(step: Step) -> str | None:
    if step.case.state is CaseState.CLOSED and step.act not in {"return", "receipt", "referral_answer"}:
        return "The case is closed: it can be read, and money can be returned."
    return None


def _own_institution(step: Step) -> str | None:
    tied = step.doubt.institution_id in step.actor.institutions | step.actor.ties
    if tied and (step.duty or step.act == "panel"):
        return f"{step.actor.account} belongs to the institution, or has declared a tie to it."
    return None


def _vote_unsealed(step: Step) -> str | None:
    if step.doubt.state is not State.PANEL:
        return None
    if step.act in {"finalise", "review"}:
        return "The panel's votes are sealed until all are in; nobody decides before."
    if step.act == "vote" and step.actor.account in step.doubt.voted:
        return "A vote that is in stays sealed and as it is."
    return None


def _state(step: Step) -> str | None:
    doubt, act = step.doubt, step.act
    if doubt.state not in step.origins:
        return f"A doubt that is {doubt.state} cannot be asked to {act}."
    if act == "confirm" and doubt.confirmed:
        return "It is confirmed already."
    if act == "finalise" and doubt.decided_at is not None:
        return "It is decided already."
    if act == "deduct" and (doubt.decided_at is None or not doubt.amount_fen):
        return "Nothing is deducted before the final decision, nor when it says nothing is."
    if act == "vote" and not doubt.members:
        return "There is no panel yet."
    return None


def _same_person(step: Step) -> str | None:
    if not step.duty:
        return None
    account = step.actor.account
    done = excluding("doubt", (duty for who, duty in step.doubt.acted if who == account), step.duty)
    if done is None:
        return None
    return f"{account} has done the {done.replace('_', ' ')} of this doubt; another person goes on."


def _evidence_changed(step: Step) -> str | None:
    if step.doubt.evidence_sha256 and step.evidence_sha256 != step.doubt.evidence_sha256:
        return "The frozen evidence is no longer what it was when the doubt was confirmed."
    return None


def _reason_missing(step: Step) -> str | None:
    needed = step.act in NEEDS_A_REASON or (step.act == "confirm" and step.power == "warn")
    if needed and not says_something(step.body.reason):
        return f"To {step.act} needs a reason."
    return None


def _rule_power(step: Step) -> str | None:
    if step.act == "confirm" and step.power == "bureau":
        return (
            "Its rule was overturned too often: it is shown to the bureau only until an approver restores it."
        )
    return None


def _amount_raised(step: Step) -> str | None:
    asked = step.asked_fen
    if asked is None:
        return None
    if step.act == "return":
        return "More than was deducted cannot be returned." if asked > step.doubt.deducted_fen else None
    if asked > step.doubt.lowest_told_fen:
        return "It is more than the least that the institution was told; new facts need a new notice."
    return None


def _line_taken(step: Step) -> str | None:
    if step.act not in {"confirm", "deduct"}:
        return None
    holding = OPEN if step.act == "confirm" else CHARGED
    taken = sorted(one.doubt_id for one in step.rivals if one.state in holding and _before(one, step.doubt))
    return f"A line of it is held by the doubt {taken[0]}." if taken else None


def _before(one: Doubt, other: Doubt) -> bool:
    """Say which of two doubts on a line holds it: the one further on, then the larger, then the older."""

    def rank(doubt: Doubt) -> tuple[bool, bool, int, str]:
        return doubt.state not in CHARGED, not doubt.confirmed, -doubt.at_stake_fen, doubt.doubt_id

    return rank(one) < rank(other)


def _reopened(step: Step) -> str | None:
    if step.act == "confirm" and step.cleared:
        return "A line of it was cleared before under this version of the rule."
    return None


def _not_received(step: Step) -> str | None:
    if step.act == "overdue" and step.case.received_at is None:
        return "There is no proof that the institution has received the case."
    return None


def _not_due(step: Step) -> str | None:
    if step.act == "overdue" and not step.is_late:
        return "The date has not passed."
    return None


def _document_owed(step: Step) -> str | None:
    if step.act == "overdue" and step.doubt.owed_since is not None:
        return "The bureau owes the institution a document; meanwhile its time stands still."
    if step.act == "ask" and step.doubt.owed_since is not None:
        return "The bureau owes a document already; ask for further ones when it has come."
    if step.act == "supply" and step.doubt.owed_since is None:
        return "Nothing is owed."
    return None


def _panel_even(step: Step) -> str | None:
    if step.act != "panel":
        return None
    members = set(step.body.members)
    if len(members) < FEWEST_MEMBERS or len(members) % 2 == 0 or len(members) != len(step.body.members):
        return f"A panel has an odd number of different members, at least {FEWEST_MEMBERS}."
    return None


def _panel_conflict(step: Step) -> str | None:
    if step.act != "panel":
        return None
    members, acted = (
        set(step.body.members),
        {account for account, duty in step.doubt.acted if duty != "panel"},
    )
    wrong = sorted(members & (set(step.body.conflicts) | step.tied | acted))
    if wrong:
        return f"{wrong[0]} has declared a conflict, has a tie to the institution, or has acted on the doubt."
    return None


GUARDS: Mapping[str, Callable[[Step], str | None]] = {
    "closed": _closed,
    "own_institution": _own_institution,
    "vote_unsealed": _vote_unsealed,
    "state": _state,
    "same_person": _same_person,
    "evidence_changed": _evidence_changed,
    "rule_power": _rule_power,
    "reason_missing": _reason_missing,
    "amount_raised": _amount_raised,
    "line_taken": _line_taken,
    "reopened": _reopened,
    "not_received": _not_received,
    "document_owed": _document_owed,
    "not_due": _not_due,
    "panel_even": _panel_even,
    "panel_conflict": _panel_conflict,
}
"""By name, in the order in which they are asked; `stale` is asked where the caller's version is known."""


def refusal(step: Step) -> tuple[str, str] | None:
    """Return the first guard that refuses a step, and what it says; None when all let it pass."""
    for name, guard in GUARDS.items():
        said = guard(step)
        if said is not None:
            return name, said
    return None
