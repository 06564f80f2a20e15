"""Which verdicts and findings become doubts, due dates in working days, and amounts."""

import datetime as dt
from dataclasses import replace

import pytest
from parts.cases import ZONE, a_doubt

from renzheng.central.cases.amounts import fen
from renzheng.central.cases.doubts import Billed, State
from renzheng.central.cases.drafting import Candidate, draft
from renzheng.central.cases.due import WorkingDays, due_after
from renzheng.central.cases.errors import BodyError
from renzheng.contracts.money import yuan


def candidate(*lines, rule="line-haemodialysis", amount=None, finding=None, version="3"):
    billed = tuple(Billed(line, 40_000) for line in lines)
    amount = amount if amount is not None else 40_000 * len(lines)
    return Candidate("H1", "P1", billed, rule, version, "contradicted", rule, "run", finding, amount)


def on(doubt):
    return {("H1", line.line_id): [doubt] for line in doubt.lines}


def test_each_line_is_in_one_doubt_the_largest_and_the_others_are_listed_there():
    drafted = draft([candidate("L1"), candidate("L1", "L2", rule="machine-overlap", finding="F1")], {})
    assert [(one.rule_id, len(one.lines), one.amount_fen) for one in drafted.new] == [
        ("machine-overlap", 2, 80_000)
    ]
    assert [flag.rule_id for flag in drafted.flags[0]] == ["line-haemodialysis"]


def test_a_finding_keeps_the_lines_that_nobody_holds_and_asks_for_no_more_than_they_cost():
    dear = replace(candidate("L1", amount=90_000), lines=(Billed("L1", 90_000),))
    drafted = draft([dear, candidate("L1", "L2", rule="cap", finding="F1")], {})
    assert [(one.rule_id, one.amount_fen) for one in drafted.new] == [
        ("line-haemodialysis", 90_000),
        ("cap", 40_000),
    ]
    assert [line.line_id for line in drafted.new[1].lines] == ["L2"]


@pytest.mark.parametrize(
    ("state", "version", "rule", "new", "guard"),
    [
        (State.ISSUED, "3", "line-haemodialysis", 0, None),
        (State.ISSUED, "3", "other", 0, "line_taken"),
        (State.DROPPED, "3", "line-haemodialysis", 0, None),
        (State.DROPPED, "4", "line-haemodialysis", 1, None),
        (State.CLEARED, "3", "line-haemodialysis", 0, "reopened"),
        (State.CLEARED, "4", "line-haemodialysis", 1, None),
        (State.CLEARED, "3", "other", 1, None),
        (State.DEDUCTED, "4", "line-haemodialysis", 0, None),
        (State.DEDUCTED, "3", "other", 0, "line_taken"),
    ],
)
def test_what_was_settled_is_not_drafted_again(state, version, rule, new, guard):
    drafted = draft([candidate("L1", rule=rule, version=version)], on(a_doubt(1, state=state)))
    assert len(drafted.new) == new
    assert [one.guard for one in drafted.left] == ([guard] if guard else [])


def test_days_are_counted_without_holidays_and_with_shifted_working_days():
    # the State Council's notice for 2026: off from 1 to 7 October; worked on Saturday 10 October
    before = dt.datetime(2026, 9, 30, 15, 0, tzinfo=ZONE)
    due = due_after(before, 3, ZONE, WorkingDays())
    assert due.at == dt.datetime(2026, 10, 11, 0, 0, tzinfo=ZONE)
    assert "3个工作日" in due.explained
    assert "至2026年10月10日24时止" in due.explained
    assert "10月1日" in due.explained
    region = WorkingDays({dt.date(2026, 10, 10): False})
    assert due_after(before, 3, ZONE, region).at == dt.datetime(2026, 10, 13, 0, 0, tzinfo=ZONE)


def test_a_year_without_a_notice_is_counted_by_weekends_and_says_so():
    due = due_after(dt.datetime(2040, 1, 5, 9, tzinfo=ZONE), 2, ZONE, WorkingDays())
    assert due.at == dt.datetime(2040, 1, 10, 0, 0, tzinfo=ZONE)
    assert "尚无放假通知" in due.explained


@pytest.mark.parametrize(("text", "value"), [("123.45", 12_345), ("0.5", 50), ("7", 700)])
def test_yuan_are_read_and_written(text, value):
    assert fen(text) == value
    assert fen(yuan(value)) == value


@pytest.mark.parametrize("text", ["1.234", "-1", "1e3", "１２", "", "1,000", 12.5, None, True])
def test_what_is_no_amount_is_refused(text):
    with pytest.raises(BodyError):
        fen(text)
