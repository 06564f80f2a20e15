"""The steps: from which states, by whom, and what becomes of it. One table for doubts, one for cases."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from renzheng.central.access.roles import Role
from renzheng.central.cases.doubts import (
    DECISIONS,
    ENDED,
    OPEN,
    POSITIONS,
    WITH_THE_INSTITUTION,
    Case,
    CaseState,
    Doubt,
    Flag,
    Opinion,
    Referral,
    State,
)
from renzheng.central.cases.due import Due
from renzheng.central.cases.errors import BodyError, MayNotError, StepRefusedError
from renzheng.central.cases.guards import Actor, Body, Step, refusal, says_something

PERIOD = re.compile(r"20\d\d-(0[1-9]|1[0-2])")
REFERRED_TO = ("inspection", "enforcement", "police", "discipline", "health")


@dataclass(frozen=True, slots=True)
class Act:
    """One kind of step on a doubt.

    Args:
        roles: any of which may.
        origins: the states from which it goes.
        change: what becomes of the doubt; called only when no guard has refused.
        duty: what it is for the bureau; by the doubt, since a review is a first or a second one.
    """

    roles: frozenset[Role]
    origins: frozenset[State]
    change: Callable[[Step], Doubt]
    duty: Callable[[Doubt], str]


def _confirm(step: Step) -> Doubt:
    return replace(step.doubt, confirmed=True, evidence_sha256=step.evidence_sha256)


def _drop(step: Step) -> Doubt:
    return replace(step.doubt, state=State.DROPPED, ended_reason=step.body.reason)


def _assign(step: Step) -> Doubt:
    if not step.body.doctor:
        raise BodyError("Nobody is named who is to answer.", do='Send {"doctor": ACCOUNT}.')
    return replace(step.doubt, state=State.ASSIGNED, doctor=step.body.doctor)


def _answer(step: Step) -> Doubt:
    if not says_something(step.body.text):
        raise BodyError("An answer without words says nothing.", do='Send {"text": "..."}.')
    kept = (*step.doubt.attachments, *step.body.attachments)
    return replace(step.doubt, state=State.ANSWERED, answer=step.body.text, attachments=kept)


def _submit(step: Step) -> Doubt:
    doubt, body = step.doubt, step.body
    if body.position not in POSITIONS:
        raise BodyError(f"A position is one of {', '.join(POSITIONS)}.")
    accepted = body.amount_fen
    if body.position != "partly":
        accepted = doubt.amount_fen if body.position == "accept" else 0
    if accepted is None or (body.position == "partly" and not 0 < accepted < doubt.amount_fen):
        raise BodyError(
            "Partly needs the amount that is agreed to, more than nothing and less than what is asked."
        )
    return replace(
        doubt,
        state=State.ACCEPTED if body.position == "accept" else State.SUBMITTED,
        position=body.position,
        accepted_fen=accepted,
        statement=body.text or doubt.answer,
        attachments=(*doubt.attachments, *body.attachments),
        late=step.is_late,
        owed_since=None,
    )


def _ask(step: Step) -> Doubt:
    if not step.body.text.strip():
        raise BodyError("Nothing is named that the bureau is asked for.", do='Send {"text": "..."}.')
    return replace(step.doubt, owed=step.body.text, owed_since=step.now)


def _supply(step: Step) -> Doubt:
    kept = (*step.doubt.attachments, *step.body.attachments)
    return replace(step.doubt, owed_since=None, attachments=kept)


def _overdue(step: Step) -> Doubt:
    return replace(step.doubt, state=State.OVERDUE)


def _decided_fen(doubt: Doubt, body: Body) -> int:
    """Return the amount of a decision: all that was told, a part, or nothing."""
    if body.decision not in DECISIONS:
        raise BodyError(f"A decision is one of {', '.join(DECISIONS)}.")
    if body.decision == "clear":
        return 0
    if body.decision == "uphold":
        if body.amount_fen not in {None, doubt.amount_fen}:
            raise BodyError("To uphold is to uphold what was asked.", do="For another amount decide partly.")
        return doubt.amount_fen
    if not body.amount_fen:
        raise BodyError("Partly needs an amount above nothing.", do="To ask for nothing decide clear.")
    return body.amount_fen


def _review(step: Step) -> Doubt:
    doubt, body = step.doubt, step.body
    amount, stage = _decided_fen(doubt, body), _stage(doubt)
    medical = doubt.medical or body.medical
    if body.decision == "clear":
        state = State.FINAL
    elif stage == "first_review":
        state = State.FIRST_REVIEW if doubt.contested else State.FINAL
    else:
        state = State.PANEL if medical else State.FINAL
    opinion = Opinion(stage, step.actor.account, body.decision or "clear", amount, body.reason)
    return _decide(doubt, amount, state=state, medical=medical, opinions=(*doubt.opinions, opinion))


def _decide(doubt: Doubt, amount: int, **more: object) -> Doubt:
    told = min(doubt.lowest_told_fen, amount)
    return replace(doubt, amount_fen=amount, lowest_told_fen=told, **more)  # type: ignore[arg-type]


def _stage(doubt: Doubt) -> str:
    return "re_review" if doubt.state is State.FIRST_REVIEW else "first_review"


def vote_of(step: Step) -> Opinion:
    """Return the vote that a step casts.

    Raises:
        BodyError: it has no decision, or no amount where one is needed.
    """
    amount = _decided_fen(step.doubt, step.body)
    return Opinion("panel", step.actor.account, step.body.decision or "clear", amount, step.body.reason)


def flag(doubt: Doubt, flags: Sequence[Flag]) -> Doubt:
    """List on a doubt what else speaks of its lines."""
    return replace(doubt, version=doubt.version + 1, also_flagged_by=(*doubt.also_flagged_by, *flags))


def sealed_vote(doubt: Doubt, account: str) -> Doubt:
    """Return the doubt after a vote that is not the panel's last: all that shows is who has voted."""
    return replace(
        doubt,
        version=doubt.version + 1,
        voted=(*doubt.voted, account),
        acted=(*doubt.acted, (account, "panel")),
    )


def _vote(step: Step) -> Doubt:
    doubt, vote = step.doubt, vote_of(step)
    voted = (*doubt.voted, step.actor.account)
    if len(voted) < len(doubt.members):
        return replace(doubt, voted=voted)
    votes = sorted((*step.votes, vote), key=lambda one: (one.amount_fen, one.account))
    # of an odd number the middle amount is what the majority decides: nothing, all, or a part
    amount = votes[len(votes) // 2].amount_fen
    return _decide(doubt, amount, state=State.FINAL, voted=voted, opinions=(*doubt.opinions, *votes))


def _finalise(step: Step) -> Doubt:
    asked = step.body.amount_fen
    amount = step.doubt.amount_fen if asked is None else asked
    opinion = Opinion(
        "final",
        step.actor.account,
        "clear" if not amount else "uphold" if amount == step.doubt.amount_fen else "partly",
        amount,
        step.body.reason,
    )
    return _decide(
        step.doubt,
        amount,
        state=State.FINAL if amount else State.CLEARED,
        decided_at=step.now,
        opinions=(*step.doubt.opinions, opinion),
    )


def _deduct(step: Step) -> Doubt:
    if not PERIOD.fullmatch(step.body.period):
        raise BodyError("A deduction names the settlement month in which it is.", do='Such as "2026-05".')
    amount = step.doubt.amount_fen
    return replace(step.doubt, state=State.DEDUCTED, deducted_fen=amount, period=step.body.period)


def _return(step: Step) -> Doubt:
    if not step.body.amount_fen:
        raise BodyError("A return names its amount.", do='Send {"amount": "123.45", "reason": "..."}.')
    reason, amount = step.body.reason, step.body.amount_fen
    return replace(step.doubt, state=State.RETURNED, returned_fen=amount, ended_reason=reason)


def _withdraw(step: Step) -> Doubt:
    return replace(step.doubt, state=State.WITHDRAWN, ended_reason=step.body.reason)


def _refer(step: Step) -> Doubt:
    to = step.body.to.replace("_", " ").removesuffix(" bureau")
    if to not in REFERRED_TO:
        raise BodyError(f"A doubt is referred to one of {', '.join(REFERRED_TO)}.")
    sent = Referral(to, step.body.reason, step.actor.account, step.now)
    return replace(step.doubt, referrals=(*step.doubt.referrals, sent))


def _track(step: Step) -> Doubt:
    """Note the receipt of the last referral to an authority, or the answer to it."""
    doubt, body = step.doubt, step.body
    waiting = [
        place
        for place, one in enumerate(doubt.referrals)
        if one.to == body.to and (one.receipt is None if step.act == "receipt" else one.answer is None)
    ]
    if not waiting or not says_something(body.text):
        raise BodyError(
            "There is no referral to that authority that waits for it, or nothing is said.",
            do='Send {"to": "police", "text": "..."}.',
        )
    sent = doubt.referrals[waiting[0]]
    if step.act == "receipt":
        sent = replace(sent, receipt=body.text, received_at=step.now)
    else:
        sent = replace(sent, answer=body.text, answered_at=step.now)
    kept = list(doubt.referrals)
    kept[waiting[0]] = sent
    return replace(doubt, referrals=tuple(kept))


def _always(duty: str) -> Callable[[Doubt], str]:
    return lambda _doubt: duty


def _act(
    roles: Sequence[Role],
    origins: Sequence[State] | frozenset[State],
    change: Callable[[Step], Doubt],
    duty: str = "",
) -> Act:
    return Act(frozenset(roles), frozenset(origins), change, _always(duty))


_HOSPITAL = (Role.HOSPITAL_OFFICE,)
ACTS: Mapping[str, Act] = {
    "confirm": _act([Role.AUDITOR], [State.DRAFTED], _confirm, "audit"),
    "drop": _act([Role.AUDITOR], [State.DRAFTED], _drop, "audit"),
    "assign": _act(_HOSPITAL, [State.ISSUED], _assign),
    "answer": _act([Role.DOCTOR, *_HOSPITAL], [State.ASSIGNED], _answer),
    "submit": _act(_HOSPITAL, WITH_THE_INSTITUTION, _submit),
    "ask": _act(_HOSPITAL, WITH_THE_INSTITUTION, _ask),
    "supply": _act([Role.AUDITOR], WITH_THE_INSTITUTION, _supply, "audit"),
    "overdue": _act([Role.AUDITOR], WITH_THE_INSTITUTION, _overdue, "audit"),
    "review": replace(
        _act([Role.REVIEWER], [State.SUBMITTED, State.OVERDUE, State.FIRST_REVIEW], _review), duty=_stage
    ),
    "vote": _act([Role.PANEL], [State.PANEL], _vote, "panel"),
    "finalise": _act([Role.APPROVER], [State.ACCEPTED, State.FINAL], _finalise, "final"),
    "deduct": _act([Role.FINANCE], [State.FINAL], _deduct, "deduct"),
    "return": _act([Role.FINANCE], [State.DEDUCTED], _return, "deduct"),
    "withdraw": _act([Role.AUDITOR], OPEN, _withdraw, "audit"),
    "refer": _act([Role.AUDITOR], OPEN, _refer, "audit"),
    "receipt": _act([Role.AUDITOR], frozenset(State), _track, "audit"),
    "referral_answer": _act([Role.AUDITOR], frozenset(State), _track, "audit"),
}
"""Steps on a doubt."""
_BUREAU = (Role.AUDITOR, Role.REVIEWER, Role.PANEL, Role.APPROVER)
CASE_ACTS: Mapping[str, frozenset[Role]] = {
    "draft": frozenset({Role.AUDITOR}),
    "issue": frozenset({Role.AUDITOR}),
    "receive": frozenset(_HOSPITAL),
    "panel": frozenset(_BUREAU),
    "close": frozenset({Role.AUDITOR, Role.APPROVER, Role.FINANCE}),
}
"""Steps on a case, and who may."""


def must_be_allowed(roles: frozenset[Role], actor: Actor, act: str) -> None:
    """Refuse an actor without any of the roles.

    Raises:
        MayNotError: it has none of them.
    """
    if not roles & actor.roles:
        raise MayNotError(
            f"{actor.account} may not {act}.", do=f"It is for: {', '.join(sorted(roles)).replace('_', ' ')}."
        )


def must_have_no_tie(actor: Actor, institution_id: str) -> None:
    """Refuse an actor who is of an institution, or has declared a tie to it.

    Raises:
        StepRefusedError: so it is.
    """
    if institution_id in actor.institutions | actor.ties:
        raise StepRefusedError("own_institution", f"{actor.account} has a tie to the institution.")


def take(step: Step) -> Doubt:
    """Do a step: return the doubt after it.

    Raises:
        MayNotError: the actor's roles do not.
        StepRefusedError: a guard refuses it.
        BodyError: what was sent with it lacks something.
    """
    act = ACTS[step.act]
    must_be_allowed(act.roles, step.actor, step.act)
    _must_be_theirs(step)
    refused = refusal(step)
    if refused is not None:
        raise StepRefusedError(*refused)
    after = act.change(step)
    acted = after.acted
    if step.duty and (step.actor.account, step.duty) not in acted:
        acted = (*acted, (step.actor.account, step.duty))
    return replace(after, version=after.version + 1, acted=acted)


def _must_be_theirs(step: Step) -> None:
    actor, doubt = step.actor, step.doubt
    if step.act == "answer" and Role.HOSPITAL_OFFICE not in actor.roles and doubt.doctor != actor.account:
        raise MayNotError("The doubt is assigned to another doctor.")
    if step.act == "vote" and doubt.members and actor.account not in doubt.members:
        raise MayNotError(f"{actor.account} is no member of this panel.")


def issue(
    case: Case, doubts: Sequence[Doubt], actor: Actor, now: datetime, due: Due
) -> tuple[Case, list[Doubt]]:
    """Send the institution all confirmed doubts of a case.

    Raises:
        StepRefusedError: some doubt is neither confirmed nor dropped, none is left, or it was issued before.
    """
    must_be_allowed(CASE_ACTS["issue"], actor, "issue")
    if case.state is CaseState.CLOSED:
        raise StepRefusedError("closed", "The case is closed.")
    drafted = [one for one in doubts if one.state is State.DRAFTED]
    if case.state is not CaseState.DRAFTED or not drafted:
        raise StepRefusedError("state", "It was issued before, or holds nothing to issue.")
    must_have_no_tie(actor, case.institution_id)
    waiting = [one.doubt_id for one in drafted if not one.confirmed]
    if waiting:
        raise StepRefusedError(
            "state", f"{len(waiting)} doubts are neither confirmed nor dropped, {waiting[0]} among them."
        )
    mine = (actor.account, "audit")
    sent = [
        replace(
            one,
            state=State.ISSUED,
            issued=True,
            version=one.version + 1,
            acted=one.acted if mine in one.acted else (*one.acted, mine),
        )
        for one in drafted
    ]
    after = replace(
        case,
        state=CaseState.ISSUED,
        version=case.version + 1,
        issued_at=now,
        due_at=due.at,
        due_explained=due.explained,
    )
    return after, sent


def receive(case: Case, actor: Actor, now: datetime, due: Due) -> Case:
    """Stamp that the institution has opened a case; its time to answer is counted anew from a later day.

    Raises:
        StepRefusedError: it is not issued, or was received before.
    """
    must_be_allowed(CASE_ACTS["receive"], actor, "receive")
    if case.state is not CaseState.ISSUED or case.received_at is not None:
        guard = "closed" if case.state is CaseState.CLOSED else "state"
        raise StepRefusedError(guard, "It is not issued, or was received before.")
    later = case.due_at is None or due.at > case.due_at
    return replace(
        case,
        version=case.version + 1,
        received_at=now,
        received_by=actor.account,
        due_at=due.at if later else case.due_at,
        due_explained=due.explained if later else case.due_explained,
    )


def panel(step: Step, doubts: Sequence[Doubt]) -> tuple[Case, list[Doubt]]:
    """Set the panel for all doubts of a case that wait for one.

    Args:
        step: the step `panel`; its `doubt` is not looked at.
        doubts: the case's; that their evidence is unchanged is the caller's to know.

    Raises:
        StepRefusedError: the panel is even, somebody of it has a conflict, or no doubt waits for one.
    """
    must_be_allowed(CASE_ACTS["panel"], step.actor, "panel")
    waiting = [one for one in doubts if one.state is State.PANEL and not _is_seated(one, step.unable)]
    if not waiting:
        guard = "closed" if step.case.state is CaseState.CLOSED else "state"
        raise StepRefusedError(guard, "No doubt of this case waits for a panel.")
    for one in waiting:
        refused = refusal(replace(step, doubt=one, evidence_sha256=one.evidence_sha256))
        if refused is not None:
            raise StepRefusedError(*refused)
    members = step.body.members
    for one in waiting:
        _must_keep_whoever_can(one, step)
    seated = [replace(one, members=members, version=one.version + 1) for one in waiting]
    case, conflicts = step.case, {**step.case.conflicts, **step.body.conflicts}
    return replace(case, version=case.version + 1, members=members, conflicts=conflicts), seated


def _is_seated(doubt: Doubt, unable: frozenset[str]) -> bool:
    """Say whether everybody of a doubt's panel has voted or still can."""
    return bool(doubt.members) and not unable & (set(doubt.members) - set(doubt.voted))


def _must_keep_whoever_can(doubt: Doubt, step: Step) -> None:
    stays = set(doubt.members) - step.unable | set(doubt.voted)
    left_out = sorted(stays - set(step.body.members))
    if left_out:
        raise StepRefusedError(
            "vote_unsealed", f"Only who can no longer vote is replaced; {left_out[0]} stays on the panel."
        )


def close(case: Case, doubts: Sequence[Doubt], actor: Actor, now: datetime) -> Case:
    """Close a case in which every doubt has ended.

    Raises:
        StepRefusedError: one is open, or the case is closed already.
    """
    must_be_allowed(CASE_ACTS["close"], actor, "close")
    if case.state is CaseState.CLOSED:
        raise StepRefusedError("closed", "The case is closed.")
    must_have_no_tie(actor, case.institution_id)
    left = [one for one in doubts if one.state not in ENDED]
    if left:
        raise StepRefusedError("state", f"{len(left)} doubts have not ended, {left[0].doubt_id} among them.")
    return replace(case, state=CaseState.CLOSED, version=case.version + 1, closed_at=now)
