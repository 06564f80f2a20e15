"""What a case and a doubt are, and their states."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal

Decision = Literal["uphold", "partly", "clear"]
Position = Literal["accept", "contest", "partly"]
DECISIONS: Sequence[Decision] = ("uphold", "partly", "clear")
POSITIONS: Sequence[Position] = ("accept", "contest", "partly")


class State(StrEnum):
    """Where a doubt is."""

    DRAFTED = "drafted"
    DROPPED = "dropped"
    ISSUED = "issued"
    ASSIGNED = "assigned"
    ANSWERED = "answered"
    ACCEPTED = "accepted"
    SUBMITTED = "submitted"
    OVERDUE = "overdue"
    FIRST_REVIEW = "first_review"
    PANEL = "panel"
    FINAL = "final"
    DEDUCTED = "deducted"
    RETURNED = "returned"
    CLEARED = "cleared"
    WITHDRAWN = "withdrawn"


class CaseState(StrEnum):
    """Where a case is."""

    DRAFTED = "drafted"
    ISSUED = "issued"
    CLOSED = "closed"


ENDED = frozenset({State.DROPPED, State.DEDUCTED, State.RETURNED, State.CLEARED, State.WITHDRAWN})
OPEN = frozenset(State) - ENDED
CHARGED = frozenset({State.DEDUCTED, State.RETURNED})
"""Money was deducted for its lines; what was returned of it opens none of them again."""
NEVER_ISSUED = frozenset({State.DRAFTED, State.DROPPED})
"""What an institution does not see: it was never told of it."""
WITH_THE_INSTITUTION = frozenset({State.ISSUED, State.ASSIGNED, State.ANSWERED})


@dataclass(frozen=True, slots=True)
class Billed:
    """One billed line of a doubt.

    Args:
        line_id: its id at the institution.
        amount_fen: what is at stake of it.
    """

    line_id: str
    amount_fen: int


@dataclass(frozen=True, slots=True)
class Opinion:
    """What somebody decided on a doubt at one stage."""

    stage: str
    account: str
    decision: Decision
    amount_fen: int
    reason: str


@dataclass(frozen=True, slots=True)
class Referral:
    """A doubt sent on to another authority, beside its own course.

    Args:
        to: which.
        reason: why.
        account: who has sent it.
        at: when.
        receipt: what that authority has received it under.
        received_at: when that was noted.
        answer: what it has answered.
        answered_at: when that was noted.
    """

    to: str
    reason: str
    account: str
    at: datetime
    receipt: str | None = None
    received_at: datetime | None = None
    answer: str | None = None
    answered_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Flag:
    """Another verdict or finding on lines that this doubt holds."""

    rule_id: str
    rule_version: str
    reason: str
    amount_fen: int


@dataclass(frozen=True, slots=True)
class Doubt:
    """One line with what contradicts it, or one finding with its lines.

    Args:
        doubt_id: its id.
        case_id: its case.
        institution_id: who has billed it.
        month: the settlement month, ``2026-03``.
        person_id: for whom, when it is of one person.
        lines: what was billed.
        rule_id: what contradicts it.
        rule_version: in which version.
        verdict: `contradicted` or `suspicious`.
        reason: the verdict's reason, or the finding's rule.
        source: the run and, of a finding, its id.
        at_stake_fen: what it could cost at most.
        amount_fen: what is asked or decided at this point.
        lowest_told_fen: the least that the institution has been told.
        state: where it is.
        version: counts the steps.
        confirmed: the bureau has looked and stands by it.
        evidence_sha256: of the evidence frozen when it was confirmed.
        acted: who has done which duty on it for the bureau.
        also_flagged_by: other verdicts and findings on its lines.
        doctor: the account that answers for the institution.
        answer: what that doctor says.
        position: what the institution says.
        accepted_fen: what it agrees to.
        statement: its words.
        attachments: ids of what it has handed in.
        late: it came after the date, and was taken.
        medical: a question for a panel.
        opinions: decisions so far; votes only once all are in.
        members: the panel's.
        voted: those of them whose sealed vote is in.
        ended_reason: why it was dropped, withdrawn or returned.
        decided_at: when the final decision was made.
        deducted_fen: what was deducted; never less afterwards.
        period: the settlement month in which it was.
        returned_fen: what of it was given back.
        referrals: where it was sent on to.
        fund_fen: the fund's share of the lines, when the bill says it.
        issued: the institution was asked.
        due_at: until when the next step is to be done; None where the case says it, and where nothing is due.
        due_explained: how that date was counted, in Chinese.
        clock_from: when that time began.
        owed: the document that the institution has asked the bureau for.
        owed_since: since when the bureau owes it; meanwhile the institution's time stands still.
    """

    doubt_id: str
    case_id: str
    institution_id: str
    month: str
    person_id: str | None
    lines: tuple[Billed, ...]
    rule_id: str
    rule_version: str
    verdict: str
    reason: str
    run_id: str
    finding_id: str | None
    at_stake_fen: int
    amount_fen: int
    lowest_told_fen: int
    state: State = State.DRAFTED
    version: int = 1
    confirmed: bool = False
    evidence_sha256: str | None = None
    acted: tuple[tuple[str, str], ...] = ()
    also_flagged_by: tuple[Flag, ...] = ()
    doctor: str | None = None
    answer: str | None = None
    position: Position | None = None
    accepted_fen: int = 0
    statement: str | None = None
    attachments: tuple[str, ...] = ()
    late: bool = False
    medical: bool = False
    opinions: tuple[Opinion, ...] = ()
    members: tuple[str, ...] = ()
    voted: tuple[str, ...] = ()
    ended_reason: str | None = None
    decided_at: datetime | None = None
    deducted_fen: int = 0
    period: str | None = None
    returned_fen: int = 0
    referrals: tuple[Referral, ...] = ()
    fund_fen: int | None = None
    issued: bool = False
    due_at: datetime | None = None
    due_explained: str | None = None
    clock_from: datetime | None = None
    owed: str | None = None
    owed_since: datetime | None = None

    @property
    def contested(self) -> bool:
        """The institution does not agree, in whole or in part."""
        return self.position in {"contest", "partly"}

    @property
    def billed_fen(self) -> int:
        """What its lines were billed at, of what is at stake."""
        return sum(line.amount_fen for line in self.lines)


@dataclass(frozen=True, slots=True)
class Case:
    """The doubts of one institution in one settlement month, issued together.

    Args:
        case_id: its id.
        institution_id: whose lines it is about.
        month: the settlement month, ``2026-03``.
        state: where it is.
        version: counts the steps.
        issued_at: when the institution was asked.
        received_at: when it first opened the case.
        received_by: by which account.
        due_at: until when it may answer.
        due_explained: how that date was counted, in Chinese.
        members: the panel's.
        conflicts: what panel members have declared, by account.
        closed_at: when every doubt had ended and the case was closed.
    """

    case_id: str
    institution_id: str
    month: str
    state: CaseState = CaseState.DRAFTED
    version: int = 1
    issued_at: datetime | None = None
    received_at: datetime | None = None
    received_by: str | None = None
    due_at: datetime | None = None
    due_explained: str | None = None
    members: tuple[str, ...] = ()
    conflicts: Mapping[str, str] = field(default_factory=dict)
    closed_at: datetime | None = None
