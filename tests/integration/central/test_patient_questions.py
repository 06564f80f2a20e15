"""Questions to patients: who may put and call, what counts as an answer, and who never sees it."""

import datetime as dt
from zoneinfo import ZoneInfo

import orjson
import pytest
import sqlalchemy as sa
from parts.cases import PEOPLE
from parts.cases_store import lay

from renzheng.central.cases import journal, lists, patient_questions
from renzheng.central.cases.errors import BodyError, MayNotError, NotFoundError, StepRefusedError
from renzheng.central.cases.guards import Actor, Body
from renzheng.central.cases.keeping import Cases
from renzheng.central.cases.patient_questions import JOURNAL, PatientQuestions
from renzheng.central.privacy import rights
from renzheng.central.settings import make_settings
from renzheng.central.store import schema
from renzheng.contracts import keys
from renzheng.contracts.patient_questions import PatientAnswered, PatientQuestion
from renzheng.rules.pack import Pack

ZONE = ZoneInfo("Asia/Shanghai")
START = dt.datetime(2026, 4, 7, 1, tzinfo=dt.UTC)
TIED = Actor("tied", PEOPLE["reviewer"].roles, ties=frozenset({"H1"}))


class Bureau:
    def __init__(self, database):
        self.database, self.now, self.key = database, START, keys.generate_key()
        parts = (database, lambda: self.key, lambda: Pack({}, {}, {}), ZONE, lambda: self.now)
        self.cases, self.questions = Cases(*parts), PatientQuestions(*parts)
        case = self.cases.draft(PEOPLE["auditor"], "2026-03", "H1").cases[0]
        with database.reading() as connection:
            self.finding, self.doubt = lists.doubts_seen(connection, PEOPLE["auditor"], case.case_id)

    def put(self, who="auditor", doubt=None, reason="账上有、签到没有"):
        return self.questions.put(PEOPLE[who], (doubt or self.doubt).doubt_id, reason)

    def call(self, outcome, who="reviewer", *, alone=True):
        actor = TIED if who == "tied" else PEOPLE[who]
        return self.questions.record(actor, self.doubt.doubt_id, outcome, alone=alone)

    def set(self, table, **values):
        with self.database.writing() as connection:
            connection.execute(sa.update(table).values(values))


@pytest.fixture
def bureau(database, tmp_path):
    lay(database, tmp_path)
    return Bureau(database)


def refused(guard, step, *given, **more):
    with pytest.raises(StepRefusedError) as caught:
        step(*given, **more)
    assert caught.value.guard == guard, caught.value


def test_a_question_is_put_by_one_asked_by_another_and_answered_once(bureau):
    with pytest.raises(MayNotError):
        bureau.put("reviewer")
    refused("reason_missing", bureau.put, reason=" ")
    refused("no_single_day", bureau.put, doubt=bureau.finding)
    with pytest.raises(NotFoundError):
        bureau.call("had")
    assert bureau.put().due_at == START + dt.timedelta(days=14)
    refused("asked_before", bureau.put)
    refused("same_person", bureau.call, "had", "auditor")
    refused("own_institution", bureau.call, "had", "tied")
    refused("not_alone", bureau.call, "had_not", alone=False)
    with pytest.raises(MayNotError):
        bureau.call("had", "office")
    with pytest.raises(BodyError):
        bureau.call("perhaps")
    assert not bureau.call("not_alone", alone=False).answered
    before = bureau.doubt
    assert bureau.call("had_not").answered
    refused("question_over", bureau.call, "had")
    with bureau.database.reading() as connection:
        kept = patient_questions.read_journal(connection)
        (found,) = patient_questions.read(connection).values()
        _, after = lists.doubts_seen(connection, PEOPLE["auditor"], before.case_id)
    assert after == before, "it alone changes nothing of the doubt"
    assert (found.outcome, found.attempts, found.called_by) == ("had_not", 2, "reviewer")
    entries = journal.verify(JOURNAL, kept, [bureau.key])
    assert [one.act for one in entries] == ["put", "not_alone", "had_not"]
    assert PatientQuestion.model_validate(entries[0].body).service_day == dt.date(2026, 3, 3)
    assert PatientAnswered.model_validate(entries[2].body).alone


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_a_person_was_asked_and_said_is_in_their_copy(bureau, tmp_path):
    bureau.put()
    bureau.call("had_not")
    settings = make_settings({"data_dir": str(tmp_path)})
    with bureau.database.reading() as connection:
        own, other = (
            rights.copy_of(connection, person, Pack({}, {}, {}), settings, START)
            for person in (bureau.doubt.person_id, "P-somebody-else")
        )
    assert "<td>2026-04-07</td><td>没有</td>" in own
    assert "<td>没有</td>" not in other


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_nobody_is_asked_too_late_too_often_or_when_dead(bureau):
    bureau.now += dt.timedelta(days=30)
    refused("too_long_ago", bureau.put)
    bureau.now = START
    died = {"person_id": bureau.doubt.person_id, "sex": "F", "death_date": "2026-03-02"}
    with bureau.database.writing() as connection:
        connection.execute(sa.insert(schema.persons).values(died))
    refused("no_single_day", bureau.put)
    bureau.set(schema.persons, death_date=None)
    bureau.put()
    for _ in range(3):
        bureau.call("not_reached", alone=False)
    refused("question_over", bureau.call, "had")
    other = bureau.cases.draft(PEOPLE["auditor"], "2026-03", "H2").cases[0]
    with bureau.database.reading() as connection:
        (elsewhere,) = lists.doubts_seen(connection, PEOPLE["auditor"], other.case_id)
    bureau.set(schema.doubts, person_id=bureau.doubt.person_id)
    with bureau.database.reading() as connection:
        held = connection.execute(
            sa.select(schema.doubts.c.record).where(schema.doubts.c.doubt_id == elsewhere.doubt_id)
        ).scalar_one()
    changed = orjson.dumps({**orjson.loads(held), "person_id": bureau.doubt.person_id})
    with bureau.database.writing() as connection:
        connection.execute(
            sa.update(schema.doubts)
            .where(schema.doubts.c.doubt_id == elsewhere.doubt_id)
            .values(record=changed)
        )
    refused("asked_lately", bureau.put, doubt=elsewhere)
    bureau.cases.act(PEOPLE["auditor"], elsewhere.doubt_id, "drop", Body(reason="已核对"))
    refused("no_single_day", bureau.put, doubt=elsewhere)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_question_ends_with_its_time_and_with_a_refusal(bureau):
    bureau.put()
    bureau.now += dt.timedelta(days=14)
    refused("question_over", bureau.call, "had")
    bureau.now -= dt.timedelta(days=1)
    assert not bureau.call("declined", alone=False).answered
    refused("question_over", bureau.call, "had")
