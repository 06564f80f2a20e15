"""Brings steps into the store: doubt, case, journal and what a step rests on, in one transaction."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import sqlalchemy as sa

from renzheng.central.access.roles import Role
from renzheng.central.cases import (
    acts,
    comments,
    drafting,
    freezing,
    frozen_log,
    journal,
    named,
    powers,
    reading,
    records,
)
from renzheng.central.cases.candidates import candidates
from renzheng.central.cases.comments import Comment
from renzheng.central.cases.doubts import Case, CaseState, Doubt, Flag, Opinion, State
from renzheng.central.cases.drafting import Candidate
from renzheng.central.cases.due import Due
from renzheng.central.cases.errors import (
    BodyError,
    CaseError,
    NotFoundError,
    StaleError,
    StepRefusedError,
)
from renzheng.central.cases.guards import Actor, Body, Step, refusal, says_something
from renzheng.central.cases.stepping import Steps
from renzheng.central.cases.terms import Clock, clock_of, term_of
from renzheng.central.store import newest_verdicts, schema
from renzheng.central.store.times import to_us
from renzheng.contracts.ids import new_id

CASES, DOUBTS, LINES = schema.cases, schema.doubts, schema.doubt_lines
EVIDENCE, VOTES, JOURNAL = schema.doubt_evidence, schema.doubt_votes, schema.case_journal
_AT_ONCE = 25
"""Doubts of one transaction: others that write wait for no more."""
NIGHT = Actor("(nightly run)", frozenset({Role.AUDITOR}))
Changed = tuple[Case, Sequence[Doubt]]


@dataclass(frozen=True, slots=True)
class DraftedCases:
    """What drafting has come to.

    Args:
        cases: those with a drafted doubt of the month, new or not.
        added: how many doubts are new.
        left: lines that gave no doubt, and why.
    """

    cases: Sequence[Case]
    added: int
    left: Sequence[drafting.Left]


@dataclass(frozen=True, slots=True)
class Many:
    """What a step on many doubts has come to.

    Args:
        done: the doubts after it.
        refused: the others by id, each with why.
    """

    done: Sequence[Doubt]
    refused: Sequence[tuple[str, CaseError]]


class Cases(Steps):
    """Every step on cases and doubts."""

    # drafting

    def draft(self, actor: Actor, month: str, institution_id: str = "") -> DraftedCases:
        """Draft what the current verdicts and findings of a month hold; repeats add nothing.

        Raises:
            MayNotError: the actor is no auditor.
            BodyError: the month is none.
        """
        acts.must_be_allowed(acts.CASE_ACTS["draft"], actor, "draft")
        if not acts.PERIOD.fullmatch(month):
            raise BodyError(f"{month[:20]!r} is no month.", do='Such as "2026-03".')
        with self._writing() as connection:
            returned = reading.returned_lines(connection, institution_id)
            chosen = drafting.without(candidates(connection, month, institution_id), returned)
            lines = {(one.institution_id, line.line_id) for one in chosen for line in one.lines}
            held = powers.powers(connection)
            silent = {rule for rule, one in held.items() if one.power == powers.BUREAU}
            drafted = drafting.draft(chosen, reading.doubts_on(connection, lines), silent)
            self._flag_kept(connection, actor, drafted.on_kept)
            touched = self._keep_drafted(connection, actor, month, drafted)
            found = {case.case_id: case for case in touched}
            query = sa.select(CASES.c.record).where(
                CASES.c.month == month, CASES.c.state == CaseState.DRAFTED
            )
            if institution_id:
                query = query.where(CASES.c.institution_id == institution_id)
            for record in connection.execute(query.order_by(CASES.c.institution_id)).scalars():
                case = records.read(Case, record)
                found.setdefault(case.case_id, case)
        return DraftedCases(list(found.values()), len(drafted.new), drafted.left)

    def _flag_kept(
        self, connection: sa.Connection, actor: Actor, on_kept: Mapping[str, Sequence[Flag]]
    ) -> None:
        """List on open doubts what else has come to speak of their lines."""
        for doubt_id, flags in sorted(on_kept.items()):
            record = connection.execute(sa.select(DOUBTS.c.record).where(DOUBTS.c.doubt_id == doubt_id))
            doubt = records.read(Doubt, record.scalar_one())
            new = tuple(flag for flag in flags if flag not in doubt.also_flagged_by)
            if not new:
                continue
            after = acts.flag(doubt, new)
            _put_doubts(connection, [after], self._now())
            case = reading.case_record(connection, doubt.case_id)
            more = {"flags": [asdict(one) for one in new]}
            self._write(
                connection, case, actor, "flag", doubt_id=doubt_id, more=more, after=journal.outcome(after)
            )

    def _keep_drafted(
        self, connection: sa.Connection, actor: Actor, month: str, drafted: drafting.Drafted
    ) -> list[Case]:
        by_institution: dict[str, list[tuple[int, Candidate]]] = {}
        for place, one in enumerate(drafted.new):
            by_institution.setdefault(one.institution_id, []).append((place, one))
        touched = []
        for institution_id, chosen in sorted(by_institution.items()):
            case = _drafted_case(connection, institution_id, month)
            doubts = [
                _doubt_of(one, month, case.case_id, tuple(drafted.flags.get(place, ())))
                for place, one in chosen
            ]
            self._add(connection, actor, case, doubts)
            touched.append(replace(case, version=case.version + 1))
        return touched

    def _add(self, connection: sa.Connection, actor: Actor, case: Case, doubts: Sequence[Doubt]) -> None:
        case = replace(case, version=case.version + 1)
        _put_case(connection, case)
        connection.execute(sa.insert(DOUBTS), [_doubt_row(one, self._now()) for one in doubts])
        rows = [
            {"institution_id": one.institution_id, "line_id": line.line_id, "doubt_id": one.doubt_id}
            for one in doubts
            for line in one.lines
        ]
        connection.execute(sa.insert(LINES), rows)
        newest_verdicts.note_drafted(connection, case.case_id)
        more = {"case": records.plain(case), "doubts": [records.plain(one) for one in doubts]}
        self._write(connection, case, actor, "draft", more=more, after=journal.outcome(case))

    def _terms(self) -> Clock:
        return clock_of(self._pack(), self._region, self._zone)

    # steps on a doubt

    def act(self, actor: Actor, doubt_id: str, act: str, body: Body, seen: int | None = None) -> Doubt:
        """Do a step on a doubt.

        Args:
            actor: who.
            doubt_id: on which.
            act: a name of `acts.ACTS`.
            body: what was sent with it.
            seen: the version that the caller has seen; None when it does not say.

        Raises:
            MayNotError: the actor's roles do not.
            NotFoundError: there is no such doubt that the actor sees.
            StaleError: it has moved on since.
            StepRefusedError: a guard refuses it.
            BodyError: what was sent with it lacks something.
        """
        _must_be_an_act(actor, act)
        frozen = self._freeze(actor, [doubt_id]) if act == "confirm" else {}
        with self._writing() as connection:
            return self._act(connection, actor, doubt_id, act, body, seen, frozen)

    def act_on_many(self, actor: Actor, wanted: Mapping[str, int | None], act: str, body: Body) -> Many:
        """Do the same step on many doubts; one that is refused keeps none of the others back.

        Args:
            actor: who.
            wanted: the doubts, each with the version that the caller has seen.
            act: a name of `acts.ACTS`.
            body: what was sent with it, for all of them.

        Raises:
            MayNotError: the actor's roles do not.
            NotFoundError: there is no such step.
        """
        _must_be_an_act(actor, act)
        done: list[Doubt] = []
        refused: list[tuple[str, CaseError]] = []
        chosen = list(wanted.items())
        for first in range(0, len(chosen), _AT_ONCE):
            some = chosen[first : first + _AT_ONCE]
            frozen = self._freeze(actor, [doubt_id for doubt_id, _ in some]) if act == "confirm" else {}
            with self._writing() as connection:
                for doubt_id, seen in some:
                    try:
                        done.append(self._act(connection, actor, doubt_id, act, body, seen, frozen))
                    except CaseError as error:  # it comes before anything of the step is written
                        refused.append((doubt_id, error))
        return Many(done, refused)

    def comment(self, actor: Actor, doubt_id: str, text: str) -> Comment:
        """Write a comment on a doubt; nothing of the doubt changes.

        Raises:
            NotFoundError: there is no such doubt that the actor sees.
            BodyError: it says nothing, or too much.
            StepRefusedError: the case is closed.
        """
        comment = comments.written(actor, text, self._now())
        with self._writing() as connection:
            doubt = reading.doubt_of(connection, actor, doubt_id)
            case = reading.case_record(connection, doubt.case_id)
            if case.state is CaseState.CLOSED:
                raise StepRefusedError("closed", "The case is closed.")
            comments.keep(connection, actor, doubt, comment)
            more = {"comment": comment.comment_id, "sha256": comment.sha256}
            self._write(
                connection, case, actor, comments.ACT, doubt_id=doubt_id, more=more,
                after=journal.outcome(doubt), now=comment.at,
            )  # fmt: skip
        return comment

    def ahead(self, actor: Actor, doubt_id: str) -> Mapping[str, tuple[str, str] | None]:
        """Say what an actor can do on a doubt: by act None, or the guard that refuses it whatever is sent.

        Only acts of the actor's roles that start from the doubt's state are named.

        Raises:
            NotFoundError: there is no such doubt that the actor sees.
        """
        with self._database.reading() as connection:
            doubt = reading.doubt_of(connection, actor, doubt_id)
            return {
                act: refusal(self._step(connection, actor, doubt, act, Body(reason="-")))
                for act, one in acts.ACTS.items()
                if one.roles & actor.roles and doubt.state in one.origins
            }

    def _freeze(self, actor: Actor, doubt_ids: Sequence[str]) -> dict[str, freezing.Frozen]:
        """Freeze the evidence of doubts that can be confirmed, before the transaction that confirms them.

        A run's tables take a while to read, and whoever else writes would wait for it.
        """
        found = {}
        with self._database.reading() as connection:
            for doubt_id in doubt_ids:
                with suppress(NotFoundError):
                    doubt = reading.doubt_of(connection, actor, doubt_id)
                    if refusal(self._step(connection, actor, doubt, "confirm", Body())) is None:
                        found[doubt_id] = self._frozen(connection, doubt)
        return found

    def _frozen(self, connection: sa.Connection, doubt: Doubt) -> freezing.Frozen:
        return freezing.freeze(connection, doubt, self._pack(), self._zone_of(connection, doubt))

    def _step(self, connection: sa.Connection, actor: Actor, doubt: Doubt, act: str, body: Body) -> Step:
        chosen = acts.ACTS[act]
        case = reading.case_record(connection, doubt.case_id)
        rivals = reading.rivals_of(connection, doubt)
        frozen = reading.evidence_of(connection, doubt.doubt_id)
        return Step(
            act, chosen.duty(doubt), chosen.origins, case, doubt, actor, body, self._now(),
            evidence_sha256=freezing.sha256(frozen) if frozen is not None else None,
            rivals=rivals, cleared=any(_was_cleared_as(one, doubt) for one in rivals),
            power=_power_of(connection, doubt),
        )  # fmt: skip

    def _act(  # noqa: PLR0917 - one step, as `act` has it
        self,
        connection: sa.Connection,
        actor: Actor,
        doubt_id: str,
        act: str,
        body: Body,
        seen: int | None,
        prepared: Mapping[str, freezing.Frozen],
    ) -> Doubt:
        """Do a step in a transaction; nothing is written before every guard has let it pass."""
        doubt = reading.doubt_of(connection, actor, doubt_id)
        _must_be_newest(doubt.version, seen)
        step = self._step(connection, actor, doubt, act, body)
        more: dict[str, Any] = {}
        frozen: freezing.Frozen | None = None
        if act == "confirm" and refusal(step) is None:
            frozen = prepared.get(doubt_id) or self._frozen(connection, doubt)
            evidence = frozen.evidence
            more = {"evidence_sha256": freezing.sha256(evidence), "fund_fen": freezing.fund_fen(evidence)}
            step = replace(step, evidence_sha256=more["evidence_sha256"])
        if act == "vote":
            step = replace(step, votes=_votes(connection, doubt_id))
        after = acts.take(step)
        named.must_be_known(connection, step)
        if frozen is not None:
            after = replace(after, fund_fen=more["fund_fen"])
            connection.execute(sa.delete(EVIDENCE).where(EVIDENCE.c.doubt_id == doubt_id))
            connection.execute(sa.insert(EVIDENCE).values(doubt_id=doubt_id, evidence=frozen.evidence))
            frozen_log.keep(connection, frozen.log)
        said = records.said(body)
        if act == "vote":
            said = {}
            more.update(_seal(connection, step, last=after.state is not State.PANEL))
        after = self._terms().moved(doubt, after, step.case, step.now)
        if (term := _term(after)) != _term(doubt):
            more["term"] = term
        _put_doubts(connection, [after], step.now)
        _put_due(connection, step.case, [after])
        self._write(
            connection, step.case, actor, act, doubt_id=doubt_id, body=said, more=more,
            after=journal.outcome(after), now=step.now,
        )  # fmt: skip
        if act in {"finalise", "return"}:
            self._settle_rule(connection, actor, after, step.now)
        return after

    def _settle_rule(self, connection: sa.Connection, actor: Actor, doubt: Doubt, now: datetime) -> None:
        """Take power from the doubt's rule when too many of its doubts are overturned."""
        rule = doubt.rule_id, doubt.rule_version
        powers.settle(connection, rule, self.numbers(now), actor, now, self._key())

    def restore_rule(self, actor: Actor, rule_id: str, rule_version: str, reason: str) -> powers.Power:
        """Give a rule that has lost power its full power again; counting begins anew.

        Raises:
            MayNotError: the actor is no approver.
            StepRefusedError: there is no reason, or the rule has its full power.
        """
        acts.must_be_allowed(frozenset({Role.APPROVER}), actor, "restore a rule")
        if not says_something(reason):
            raise StepRefusedError("reason_missing", "To restore a rule needs a reason.")
        with self._writing() as connection:
            rule = rule_id, rule_version
            held = powers.powers(connection).get(rule)
            if held is None or held.power == powers.FULL:
                raise StepRefusedError("state", "The rule has its full power.")
            return powers.change(connection, rule, powers.FULL, actor, reason, self._now(), self._key())

    def _zone_of(self, connection: sa.Connection, doubt: Doubt) -> ZoneInfo:
        named = schema.institutions.c
        query = sa.select(named.timezone).where(named.institution_id == doubt.institution_id)
        found = connection.execute(query).scalar()
        return ZoneInfo(found) if found else self._zone

    def may_ask(self, actor: Actor, doubt_id: str, act: str) -> None:
        """Refuse who could not do a step whatever they sent, before what they sent is looked at.

        Raises:
            MayNotError: the actor's roles do not.
            NotFoundError: there is no such step, or no such doubt that the actor sees.
        """
        chosen = acts.ACTS.get(act)
        if chosen is None:
            raise NotFoundError(f"There is no step {act[:40]!r}.")
        acts.must_be_allowed(chosen.roles, actor, act)
        with self._database.reading() as connection:
            reading.doubt_of(connection, actor, doubt_id)

    # steps on a case

    def issue(self, actor: Actor, case_id: str, seen: int | None = None) -> Case:
        """Send a case's confirmed doubts to the institution."""

        def change(case: Case, doubts: Sequence[Doubt], due: Due, now: datetime) -> Changed:
            return acts.issue(case, doubts, actor, now, due)

        return self._on_case(actor, case_id, "issue", change, seen=seen)

    def receive(self, actor: Actor, case_id: str, seen: int | None = None) -> Case:
        """Stamp that the institution has opened a case."""

        def change(case: Case, _doubts: Sequence[Doubt], due: Due, now: datetime) -> Changed:
            return acts.receive(case, actor, now, due), ()

        return self._on_case(actor, case_id, "receive", change, seen=seen)

    def close(self, actor: Actor, case_id: str, seen: int | None = None) -> Case:
        """Close a case in which every doubt has ended."""

        def change(case: Case, doubts: Sequence[Doubt], _due: Due, now: datetime) -> Changed:
            return acts.close(case, doubts, actor, now), ()

        return self._on_case(actor, case_id, "close", change, seen=seen)

    def panel(
        self, actor: Actor, case_id: str, body: Body, tied: Callable[[str], bool], seen: int | None = None
    ) -> Case:
        """Set the panel for the doubts of a case that wait for one, or replace who can no longer vote.

        Args:
            actor: who convenes it.
            case_id: the case.
            body: `members`, and the `conflicts` that they have declared.
            tied: whether an account is registered with the institution or has declared a tie to it.
            seen: the version that the caller has seen.
        """

        def change(case: Case, doubts: Sequence[Doubt], _due: Due, now: datetime) -> Changed:
            members = frozenset(one for one in body.members if tied(one))
            origins = frozenset({State.PANEL})
            step = Step("panel", "", origins, case, doubts[0], actor, body, now, tied=members, unable=unable)
            return acts.panel(step, doubts)

        acts.must_be_allowed(acts.CASE_ACTS["panel"], actor, "panel")
        with self._database.reading() as connection:
            unable = named.unable_to_vote(connection, reading.case_of(connection, actor, case_id))
        more = {"unable": sorted(unable)} if unable else {}
        return self._on_case(actor, case_id, "panel", change, seen=seen, body=body, more=more)

    def _on_case(
        self,
        actor: Actor,
        case_id: str,
        act: str,
        change: Callable[[Case, Sequence[Doubt], Due, datetime], Changed],
        *,
        seen: int | None,
        body: Body | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> Case:
        acts.must_be_allowed(acts.CASE_ACTS[act], actor, act)
        now = self._now()
        due = self._terms().due("statement", now)
        with self._writing() as connection:
            case = reading.case_of(connection, actor, case_id)
            _must_be_newest(case.version, seen)
            doubts = reading.doubts_of(connection, case_id)
            if act in {"issue", "panel"}:
                _must_hold(connection, case_id, doubts)
            after, moved = change(case, doubts, due, now)
            _put_case(connection, after)
            _put_doubts(connection, moved, now)
            more = more or {}
            if act in {"issue", "receive"}:
                _put_due(connection, after, moved or doubts)
                more = {"due": {"at": due.at, "explained": due.explained}}
            said = records.said(body) if body else {}
            self._write(
                connection, after, actor, act, body=said, more=more, after=journal.outcome(after), now=now
            )
        return after

    def _write(
        self,
        connection: sa.Connection,
        case: Case,
        actor: Actor,
        act: str,
        *,
        doubt_id: str = "",
        body: Mapping[str, Any] | None = None,
        more: Mapping[str, Any],
        after: Mapping[str, Any],
        now: datetime | None = None,
    ) -> None:
        """Add an entry to the case's journal."""
        if not reading.is_of_a_hospital(actor):
            # the institution has the hash, but not who it was: without this it could try names until one fits
            more = {**more, "blind": secrets.token_hex(16)}
        self._append(
            connection,
            JOURNAL.c.case_id,
            case.case_id,
            actor=actor,
            act=act,
            after=after,
            now=now or self._now(),
            doubt_id=doubt_id,
            body=body,
            more=more,
        )


def _power_of(connection: sa.Connection, doubt: Doubt) -> str:
    held = powers.powers(connection).get((doubt.rule_id, doubt.rule_version))
    return held.power if held else powers.FULL


def _must_be_an_act(actor: Actor, act: str) -> None:
    chosen = acts.ACTS.get(act)
    if chosen is None:
        raise NotFoundError(f"There is no step {act[:40]!r}.")
    acts.must_be_allowed(chosen.roles, actor, act)


def _was_cleared_as(one: Doubt, other: Doubt) -> bool:
    same_rule = (one.rule_id, one.rule_version) == (other.rule_id, other.rule_version)
    return same_rule and one.state is State.CLEARED


def _must_be_newest(version: int, seen: int | None) -> None:
    if seen is not None and seen != version:
        raise StaleError(
            f"It has moved on to version {version} since version {seen}.",
            why="A step on what somebody else has changed meanwhile could undo their work unseen.",
            do="Read it again and decide anew.",
        )


def _must_hold(connection: sa.Connection, case_id: str, doubts: Sequence[Doubt]) -> None:
    """Refuse a step on a case when the frozen evidence of one of its doubts has changed."""
    query = (
        sa.select(EVIDENCE.c.doubt_id, EVIDENCE.c.evidence)
        .join(DOUBTS, DOUBTS.c.doubt_id == EVIDENCE.c.doubt_id)
        .where(DOUBTS.c.case_id == case_id)
    )
    hashes = {row.doubt_id: freezing.sha256(row.evidence) for row in connection.execute(query)}
    for one in doubts:
        if one.evidence_sha256 and hashes.get(one.doubt_id) != one.evidence_sha256:
            raise StepRefusedError(
                "evidence_changed", f"The frozen evidence of {one.doubt_id} is no longer what it was."
            )


def _votes(connection: sa.Connection, doubt_id: str) -> tuple[Opinion, ...]:
    query = sa.select(VOTES.c.vote).where(VOTES.c.doubt_id == doubt_id).order_by(VOTES.c.account_id)
    found = [orjson.loads(vote)["vote"] for vote in connection.execute(query).scalars()]
    return tuple(records.read(Opinion, vote) for vote in found)


def _seal(connection: sa.Connection, step: Step, *, last: bool) -> dict[str, Any]:
    """Keep a vote apart from the journal, which gets its seal; with the last one all are opened."""
    vote, salt = acts.vote_of(step), secrets.token_hex(16)
    kept = records.canonical({"vote": records.plain(vote), "salt": salt})
    values = {"doubt_id": step.doubt.doubt_id, "account_id": step.actor.account, "vote": kept}
    connection.execute(sa.insert(VOTES).values(values))
    sealed: dict[str, Any] = {"sealed": journal.seal(vote, salt)}
    if last:
        query = sa.select(VOTES.c.vote).where(VOTES.c.doubt_id == step.doubt.doubt_id)
        opened = connection.execute(query.order_by(VOTES.c.account_id)).scalars()
        sealed["opened"] = [orjson.loads(one) for one in opened]
    return sealed


def _drafted_case(connection: sa.Connection, institution_id: str, month: str) -> Case:
    """Find the case that is being drafted for a month, or begin one; version 0 while it is not kept."""
    query = sa.select(CASES.c.record).where(
        CASES.c.institution_id == institution_id, CASES.c.month == month, CASES.c.state == CaseState.DRAFTED
    )
    record = connection.execute(query.order_by(CASES.c.case_id).limit(1)).scalar()
    if record is not None:
        return records.read(Case, record)
    return Case(new_id(), institution_id, month, version=0)


def _doubt_of(one: Candidate, month: str, case_id: str, flags: tuple[Flag, ...]) -> Doubt:
    return Doubt(
        doubt_id=new_id(),
        case_id=case_id,
        institution_id=one.institution_id,
        month=month,
        person_id=one.person_id,
        lines=one.lines,
        rule_id=one.rule_id,
        rule_version=one.rule_version,
        verdict=one.verdict,
        reason=one.reason,
        run_id=one.run_id,
        finding_id=one.finding_id,
        at_stake_fen=one.amount_fen,
        amount_fen=one.amount_fen,
        lowest_told_fen=one.amount_fen,
        also_flagged_by=flags,
    )


def _doubt_row(one: Doubt, now: datetime) -> dict[str, Any]:
    return {
        "line_id": one.lines[0].line_id,
        "verdict": one.verdict,
        "confirmed": int(one.confirmed),
        "changed_at": to_us(now),
        "doubt_id": one.doubt_id,
        "case_id": one.case_id,
        "institution_id": one.institution_id,
        "month": one.month,
        "person_id": one.person_id,
        "run_id": one.run_id,
        "rule_id": one.rule_id,
        "rule_version": one.rule_version,
        "reason": one.reason,
        "state": str(one.state),
        "version": one.version,
        "at_stake_fen": one.at_stake_fen,
        "amount_fen": one.amount_fen,
        "billed_fen": one.billed_fen,
        "fund_fen": one.fund_fen,
        "issued": int(one.issued),
        "contested": int(one.contested),
        "accepted_fen": one.accepted_fen,
        "decided_at": to_us(one.decided_at) if one.decided_at else None,
        "deducted_fen": one.deducted_fen,
        "returned_fen": one.returned_fen,
        "doctor": one.doctor,
        "record": records.canonical(records.plain(one)),
    }


def _put_doubts(connection: sa.Connection, doubts: Sequence[Doubt], now: datetime) -> None:
    rows = [{"of": one.doubt_id, **_doubt_row(one, now)} for one in doubts]
    if rows:
        connection.execute(sa.update(DOUBTS).where(DOUBTS.c.doubt_id == sa.bindparam("of")), rows)


def _term(one: Doubt) -> dict[str, Any]:
    return {"due_at": one.due_at, "due_explained": one.due_explained, "clock_from": one.clock_from}


def _put_due(connection: sa.Connection, case: Case, doubts: Sequence[Doubt]) -> None:
    """Keep when the next step on each doubt is due, so that lists can be sorted by it."""
    by_moment: dict[int | None, list[str]] = {}
    for one in doubts:
        term = term_of(one, case)
        at = to_us(term.due.at) if term and term.due else None
        by_moment.setdefault(at, []).append(one.doubt_id)
    for at, ids in by_moment.items():
        for first in range(0, len(ids), 400):
            chosen = DOUBTS.c.doubt_id.in_(ids[first : first + 400])
            connection.execute(sa.update(DOUBTS).where(chosen).values(due_at=at))


def _put_case(connection: sa.Connection, case: Case) -> None:
    values = {
        "institution_id": case.institution_id,
        "month": case.month,
        "state": str(case.state),
        "version": case.version,
        "due_at": to_us(case.due_at) if case.due_at else None,
        "record": records.canonical(records.plain(case)),
    }
    own = CASES.c.case_id == case.case_id
    if connection.execute(sa.update(CASES).where(own).values(values)).rowcount == 0:
        connection.execute(sa.insert(CASES).values(case_id=case.case_id, **values))
