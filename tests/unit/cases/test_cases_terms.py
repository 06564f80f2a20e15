"""Until when a step is to be done: numbers by region and date, and clocks that stand still."""

import datetime as dt
from dataclasses import replace
from decimal import Decimal

import pytest
from parts.cases import NOW, ZONE, Desk, a_doubt

from renzheng.central.cases.doubts import State
from renzheng.central.cases.due import WorkingDays
from renzheng.central.cases.terms import Clock, Term, term_of
from renzheng.rules import casework
from renzheng.rules.header import DatedValue

DAY = dt.timedelta(days=1)


def clock(**numbers):
    return Clock(lambda day: {**casework.resolve({}, day), **numbers}, ZONE, WorkingDays())


@pytest.mark.parametrize(
    ("state", "stage", "days"),
    [
        (State.SUBMITTED, "first_review", 5), (State.OVERDUE, "first_review", 5),
        (State.FIRST_REVIEW, "re_review", 5), (State.PANEL, "panel", 10),
        (State.ACCEPTED, "final", 5), (State.FINAL, "final", 5),
    ],
)  # fmt: skip
def test_every_stage_has_its_term(state, stage, days):
    before, case = a_doubt(), Desk().case
    after = clock().moved(before, replace(before, state=state), case, NOW)
    term = term_of(after, case)
    assert (term.stage, term.since) == (stage, NOW)
    assert f"计{days}个工作日" in term.due.explained
    assert clock(**{f"{stage}_days": Decimal(1)}).due(stage, NOW).at < term.due.at


def test_what_is_decided_or_ended_is_not_due():
    decided = replace(a_doubt(), state=State.FINAL, decided_at=NOW)
    assert term_of(clock().moved(a_doubt(), decided, Desk().case, NOW), Desk().case) is None
    assert term_of(replace(a_doubt(), state=State.DROPPED), Desk().case) is None


def test_with_the_institution_the_case_says_it():
    desk = Desk().to_issued()
    term = term_of(desk.doubts["D1"], desk.case)
    assert (term.stage, term.due.at) == ("statement", desk.case.due_at)


def test_while_the_bureau_owes_a_document_the_clock_stands_and_overdue_is_refused():
    desk = Desk().to_issued()
    desk.do("office", "ask", text="机器日志")
    assert term_of(desk.doubts["D1"], desk.case).due is None
    desk.now += 60 * DAY
    with pytest.raises(Exception, match="time stands still"):
        desk.do("auditor", "overdue")
    before = desk.doubts["D1"]
    after = clock().moved(before, desk.do("auditor", "supply", text="在此"), desk.case, desk.now)
    assert "尚余10个工作日" in after.due_explained
    assert after.due_at > desk.now + 10 * DAY


def test_reminders_come_at_half_and_at_four_fifths_of_the_working_days():
    due = clock().due("panel", NOW)
    term = Term("panel", NOW, due)
    seen = [clock().reminder(term, NOW + day * DAY) for day in range(16)]
    assert seen[0] == 0
    assert seen == sorted(seen)
    assert set(seen) == {0, 50, 80, 100}
    worked = [day for day in range(1, 16) if WorkingDays().is_worked((NOW + day * DAY).date())]
    assert seen.index(50) > worked[4]
    assert clock().reminder(replace(term, due=None), NOW + 99 * DAY) == 0


def test_a_region_sets_its_own_by_date_and_only_what_there_is():
    of_region = (DatedValue(**{"from": dt.date(2026, 1, 1), "value": 7, "reference": "市医保局"}),)
    for day, wanted in ((dt.date(2025, 12, 31), 10), (dt.date(2026, 1, 1), 7)):
        assert casework.resolve({"statement_days": of_region}, day)["statement_days"] == wanted
    assert list(casework.problems_of({"statement_days": of_region})) == []
    for name, value in (("statement_days", "0.5"), ("overturn_limit", 2), ("tea_days", 3)):
        wrong = (of_region[0].model_copy(update={"value": Decimal(value)}),)
        assert len(list(casework.problems_of({name: wrong}))) == 1
