"""Summonses: a rate surely below the threshold becomes a case that another than its issuer decides."""

import datetime as dt
from dataclasses import replace
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from parts.cases import PEOPLE

from renzheng.central.cases import journal, summons_keeping
from renzheng.central.cases.errors import (
    BodyError,
    MayNotError,
    NotFoundError,
    StaleError,
    StepRefusedError,
)
from renzheng.central.cases.summons_keeping import Summonses
from renzheng.central.cases.summonses import Figure
from renzheng.central.draw.answers import RateCategory
from renzheng.central.rate.core import Call
from renzheng.central.web.api import case_summonses
from renzheng.contracts import keys
from renzheng.rules.pack import load_pack

NOW = dt.datetime(2026, 4, 7, 1, tzinfo=dt.UTC)
FIRST, LAST = dt.date(2026, 1, 1), dt.date(2026, 3, 31)
FIGURE = Figure(20, 60, 1 / 3, 0.23, 0.46, 0.6)
AUDITOR, REVIEWER, OFFICE = PEOPLE["auditor"], PEOPLE["reviewer"], PEOPLE["office"]


def surely(_connection, institution_id, _first, _last):
    return FIGURE if institution_id == "H1" else None


@pytest.fixture
def bureau(database):
    key, pack = keys.generate_key(), load_pack(None)
    made = Summonses(database, lambda: key, lambda: pack, ZoneInfo("Asia/Shanghai"), lambda: made.now)
    made.now, made.database, made.key = NOW, database, key
    return made


def refused(kind, do, *args, **more):
    with pytest.raises(kind) as why:
        do(*args, **more)
    return getattr(why.value, "guard", None)


def test_a_summons_is_answered_by_its_institution_and_decided_by_another(bureau):
    def issue(who, place="H1", first=FIRST, last=LAST):
        return bureau.issue(who, place, first, last, surely)

    refused(MayNotError, issue, REVIEWER)
    assert refused(StepRefusedError, issue, AUDITOR, "H2") == "not_summoned"
    tied = replace(AUDITOR, ties=frozenset({"H1"}))
    assert refused(StepRefusedError, issue, tied) == "own_institution"
    one = issue(AUDITOR)
    assert refused(StepRefusedError, issue, AUDITOR) == "line_taken"

    def do(who, act, text="", reason="", **more):
        return bureau.act(who, one.summons_id, act, text, reason, **more)

    assert refused(StepRefusedError, do, REVIEWER, "release", reason="x") == "not_received"
    refused(MayNotError, do, REVIEWER, "receive")
    refused(NotFoundError, do, replace(OFFICE, institutions=frozenset({"H2"})), "receive")
    refused(NotFoundError, do, AUDITOR, "nonsense")
    received = do(OFFICE, "receive", seen=1)
    assert (received.state, received.received_by) == ("received", "office")
    refused(StaleError, do, OFFICE, "answer", "x", seen=1)
    assert refused(StepRefusedError, do, OFFICE, "receive") == "state"
    assert refused(StepRefusedError, do, REVIEWER, "uphold", reason="x") == "not_due"
    refused(BodyError, do, OFFICE, "answer", " ")
    assert do(OFFICE, "answer", "三床当日在放射科").state == "answered"
    assert refused(StepRefusedError, do, REVIEWER, "release") == "reason_missing"
    both = replace(REVIEWER, account="auditor")
    assert refused(StepRefusedError, do, both, "release", reason="x") == "same_person"
    ended = do(REVIEWER, "release", reason="检查单相符")
    assert (ended.state, ended.version, ended.decided_by) == ("released", 4, "reviewer")
    assert refused(StepRefusedError, do, AUDITOR, "withdraw", reason="x") == "state"
    assert refused(StepRefusedError, issue, AUDITOR) == "line_taken", "these days were decided on"
    later = issue(AUDITOR, first=dt.date(2026, 4, 1), last=dt.date(2026, 4, 6))
    assert bureau.act(AUDITOR, later.summons_id, "withdraw", "", "算错").state == "withdrawn"
    with bureau.database.reading() as connection:
        assert len(summons_keeping.listed(connection, OFFICE, 9)) == 2
        assert summons_keeping.listed(connection, PEOPLE["doctor"], 9) == []
        entries = journal.verify(
            one.summons_id, summons_keeping.journal_of(connection, one.summons_id), [bureau.key]
        )
    assert [entry.act for entry in entries] == ["issue", "receive", "answer", "release"]
    page = summons_keeping.letter(one, "县医院").decode()
    assert ("33.3%" in page, "阈值60%" in page, page.encode() == summons_keeping.letter(one, "县医院")) == (
        True, True, True,
    )  # fmt: skip


def test_without_an_answer_it_is_decided_when_its_time_is_over(bureau):
    one = bureau.issue(AUDITOR, "H1", FIRST, LAST, surely)
    received = bureau.act(OFFICE, one.summons_id, "receive", "", "")
    bureau.now = received.due_at
    assert bureau.act(REVIEWER, one.summons_id, "uphold", "", "没有说明").state == "upheld"


def test_only_a_rate_surely_below_the_threshold_is_summoned(monkeypatch):
    def of(call):
        share = SimpleNamespace(value=FIGURE.share, low=FIGURE.low, high=FIGURE.high)
        counts = {RateCategory.PRESENT: 20}
        rate = SimpleNamespace(call=call, share=share, counts=counts, answered=60, threshold=0.6)
        return [SimpleNamespace(institution_id="H1", rate=rate)]

    audit = SimpleNamespace(region=None, rules_dir=None)
    tell = case_summonses.figures(SimpleNamespace(audit=audit, timezone="Asia/Shanghai"), lambda: 0)
    found = {}
    for call in Call:
        monkeypatch.setattr(case_summonses, "rates", lambda *_, call=call: of(call))
        found[call] = tell(None, "H1", FIRST, LAST)
        assert tell(None, "H2", FIRST, LAST) is None
    assert found == {**dict.fromkeys(Call), Call.SUMMON: FIGURE}
