"""The patient is asked: who may put a question, who calls, what counts as an answer, each step signed.

An auditor puts a question about the one line of an open doubt; somebody else of the bureau calls. What was
put and answered is a journal of its own, apart from the case's: the institution never sees it, since it could
find out who spoke. No rule and no step of a case reads it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, get_args

import sqlalchemy as sa
from pydantic import BaseModel

from renzheng.central.access.roles import Role
from renzheng.central.cases import journal, reading
from renzheng.central.cases.acts import must_be_allowed, must_have_no_tie
from renzheng.central.cases.doubts import OPEN, Doubt
from renzheng.central.cases.errors import BodyError, NotFoundError, StepRefusedError
from renzheng.central.cases.guards import Actor, says_something
from renzheng.central.cases.stepping import Steps
from renzheng.central.store import schema
from renzheng.central.store.times import from_us, to_us
from renzheng.contracts.patient_questions import ANSWERS, Outcome, PatientAnswered, PatientQuestion

TABLE, DOUBTS, PERSONS = schema.patient_questions, schema.doubts, schema.persons
JOURNAL = "patient questions"
"""In place of a case's id in the journal."""
PUT = "put"
PUTS = frozenset({Role.AUDITOR})
CALLS = frozenset({Role.AUDITOR, Role.REVIEWER})
MOST_ATTEMPTS = 3
"""Then nobody calls again."""
BETWEEN = timedelta(days=30)
"""From one question to a person to the next."""
GUARDS = ("asked_before", "asked_lately", "question_over", "not_alone", "no_single_day", "too_long_ago")


@dataclass(frozen=True, slots=True)
class Question:
    """A question and what came of it.

    Args:
        doubt_id: whose line it is about.
        put_by: who has put it.
        put_at: when.
        due_at: until when it can be answered.
        attempts: so many calls.
        outcome: of the last; None before the first.
        called_by: who has made it.
        called_at: when.
    """

    doubt_id: str
    put_by: str
    put_at: datetime
    due_at: datetime
    attempts: int = 0
    outcome: Outcome | None = None
    called_by: str | None = None
    called_at: datetime | None = None

    @property
    def answered(self) -> bool:
        """The patient has said something of the day; a refusal is nothing."""
        return self.outcome in ANSWERS

    def over(self, now: datetime) -> bool:
        """Nobody calls again."""
        said = self.answered or self.outcome == "declined"
        return said or self.attempts >= MOST_ATTEMPTS or now >= self.due_at


class PatientQuestions(Steps):
    """Every step on questions to patients."""

    def put(self, actor: Actor, doubt_id: str, reason: str) -> Question:
        """Put the question about the line of an open doubt.

        Raises:
            MayNotError: the actor is no auditor.
            NotFoundError: there is no such doubt.
            StepRefusedError: it was asked before, its person lately, it is of no single day, or of one too
                long ago; or there is no reason, or a tie to the institution.
        """
        must_be_allowed(PUTS, actor, "put a question to a patient")
        now = self._now()
        numbers = self.numbers(now)
        with self._writing() as connection:
            doubt = reading.doubt_of(connection, actor, doubt_id)
            must_have_no_tie(actor, doubt.institution_id)
            if not says_something(reason):
                raise StepRefusedError("reason_missing", "To ask a patient needs a reason.")
            day = _day_of(connection, doubt)
            oldest = now.astimezone(self._zone).date() - timedelta(days=int(numbers["patient_question_days"]))
            if day < oldest:
                raise StepRefusedError("too_long_ago", f"Nobody is asked about a day before {oldest}.")
            _must_not_be_asked_again(connection, doubt, now)
            asked = PatientQuestion(
                doubt_id=doubt_id,
                line_id=doubt.lines[0].line_id,
                institution_id=doubt.institution_id,
                service_day=day,
                reason=reason,
            )
            until = now + timedelta(days=int(numbers["patient_question_open_days"]))
            question = Question(doubt_id, actor.account, now, until)
            self._write(connection, actor, PUT, asked, question, now)
        return question

    def record(self, actor: Actor, doubt_id: str, outcome: str, *, alone: bool) -> Question:
        """Record what came of a call.

        Args:
            actor: who has called; not whoever put the question.
            doubt_id: of the question.
            outcome: one of `contracts.patient_questions.Outcome`.
            alone: the patient has said that nobody of the institution hears them.

        Raises:
            MayNotError: the actor is neither auditor nor reviewer.
            NotFoundError: there is no such question.
            BodyError: the outcome is none.
            StepRefusedError: the caller has put it or has a tie, it is over, or the patient was not alone.
        """
        must_be_allowed(CALLS, actor, "call a patient")
        if outcome not in get_args(Outcome):
            raise BodyError(f"An outcome is one of {', '.join(get_args(Outcome))}.")
        now = self._now()
        with self._writing() as connection:
            question = read(connection, [doubt_id]).get(doubt_id)
            if question is None:
                raise NotFoundError("There is no such question.")
            must_have_no_tie(actor, reading.doubt_of(connection, actor, doubt_id).institution_id)
            if actor.account == question.put_by:
                raise StepRefusedError("same_person", f"{actor.account} has put the question.")
            if question.over(now):
                raise StepRefusedError(
                    "question_over", "It was answered, asked often enough, or its time is up."
                )
            if outcome in ANSWERS and not alone:
                raise StepRefusedError("not_alone", "An answer counts only when nobody hears the patient.")
            answered = PatientAnswered(doubt_id=doubt_id, alone=alone, outcome=outcome)  # type: ignore[arg-type]
            after = replace(
                question,
                attempts=question.attempts + 1,
                outcome=answered.outcome,
                called_by=actor.account,
                called_at=now,
            )
            self._write(connection, actor, answered.outcome, answered, after, now)
        return after

    def _write(  # noqa: PLR0917 - what an entry says
        self,
        connection: sa.Connection,
        actor: Actor,
        act: str,
        said: BaseModel,
        after: Question,
        now: datetime,
    ) -> None:
        last = connection.execute(sa.select(TABLE).order_by(TABLE.c.number.desc()).limit(1)).first()
        entry = journal.Entry(
            at=now,
            actor=actor,
            act=act,
            doubt_id=after.doubt_id,
            body=said.model_dump(mode="json"),
            more={},
            after={"attempts": after.attempts, "outcome": after.outcome, "due_at": after.due_at},
            **journal.following(last),
        )
        kept = journal.keep(JOURNAL, entry, self._key())
        values = {
            "number": entry.number, "doubt_id": after.doubt_id, "act": act, "at": to_us(now),
            "due_at": to_us(after.due_at), "account_id": actor.account, "entry": kept.entry,
            "hash": kept.hash, "signature": kept.signature,
        }  # fmt: skip
        connection.execute(sa.insert(TABLE).values(values))


def read(connection: sa.Connection, doubt_ids: Sequence[str] | None = None) -> dict[str, Question]:
    """Read questions by their doubt, in the order in which they were put; all, or of some doubts."""
    query = sa.select(TABLE).order_by(TABLE.c.number)
    if doubt_ids is not None:
        query = query.where(TABLE.c.doubt_id.in_(doubt_ids))
    found: dict[str, Question] = {}
    for row in connection.execute(query):
        at = from_us(row.at)
        if row.act == PUT:
            found[row.doubt_id] = Question(row.doubt_id, row.account_id, at, from_us(row.due_at))
        else:
            held = found[row.doubt_id]
            found[row.doubt_id] = replace(
                held,
                attempts=held.attempts + 1,
                outcome=row.act,
                called_by=row.account_id,
                called_at=at,
            )
    return found


def read_journal(connection: sa.Connection) -> list[journal.Kept]:
    """Read the journal of questions as it is kept."""
    rows: Sequence[Any] = connection.execute(sa.select(TABLE).order_by(TABLE.c.number)).all()
    return [journal.Kept(row.entry, row.hash, row.signature) for row in rows]


def _day_of(connection: sa.Connection, doubt: Doubt) -> date:
    """Return the day that a doubt's only line is of, and of which its living person can be asked."""
    query = sa.select(DOUBTS.c.service_day).where(DOUBTS.c.doubt_id == doubt.doubt_id)
    day = connection.execute(query).scalar()
    if doubt.state not in OPEN or doubt.person_id is None or len(doubt.lines) != 1 or not day:
        raise StepRefusedError(
            "no_single_day", "The doubt is not open, or not about one day of one person that the audit knows."
        )
    died = sa.select(PERSONS.c.death_date).where(PERSONS.c.person_id == doubt.person_id)
    if connection.execute(died).scalar():
        raise StepRefusedError("no_single_day", "The person has died.")
    return date.fromisoformat(day)


def _must_not_be_asked_again(connection: sa.Connection, doubt: Doubt, now: datetime) -> None:
    query = (
        sa.select(TABLE.c.doubt_id, TABLE.c.at)
        .join(DOUBTS, DOUBTS.c.doubt_id == TABLE.c.doubt_id)
        .where(TABLE.c.act == PUT, DOUBTS.c.person_id == doubt.person_id)
    )
    for row in connection.execute(query):
        if row.doubt_id == doubt.doubt_id:
            raise StepRefusedError("asked_before", "The question was put before; nobody is pressed.")
        if from_us(row.at) > now - BETWEEN:
            raise StepRefusedError("asked_lately", "The person was asked within the last 30 days.")
