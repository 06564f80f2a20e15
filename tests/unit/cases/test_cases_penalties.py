"""The enforcement track: the whole way, every guard refused, time limits as the provisions have them."""

import datetime as dt
from dataclasses import replace

import pytest
from parts.cases import NOW, PEOPLE, ZONE

from renzheng.central.access.roles import Role
from renzheng.central.cases.due import WorkingDays, due_after, due_in
from renzheng.central.cases.errors import BodyError, StepRefusedError
from renzheng.central.cases.guards import Actor
from renzheng.central.cases.penalties import (
    ACTS,
    GUARDS,
    Asked,
    Penalty,
    PenaltyStep,
    State,
    fine_range,
    take,
)
from renzheng.rules import casework

NUMBERS = casework.resolve({}, dt.date(2026, 4, 7))
OFFICERS = {"auditor": "甲001", "auditor-2": "甲002"}
DAY = dt.timedelta(days=1)


class File:
    """One enforcement file in memory; the loss is 1,000 yuan, so a normal fine under article 38 is 1,500."""

    def __init__(self, **more):
        self.penalty = Penalty("E1", "H1", ("D1",), "monitor", "citizen", 100_000, 38, **more)
        self.now, self.people = NOW, dict(PEOPLE)

    def due(self, days, working):
        return due_after(self.now, days, ZONE, WorkingDays()) if working else due_in(self.now, days, ZONE)

    def do(self, who, act, **asked):
        assert ACTS[act].roles & self.people[who].roles
        asked = Asked(**{"reason": "理由", **asked})
        step = PenaltyStep(act, self.penalty, self.people[who], asked, self.now, NUMBERS)
        self.penalty = take(step, self.due)
        return self

    def to_investigating(self):
        return self.do("auditor", "file", officers=OFFICERS)

    def to_reviewed(self):
        self.to_investigating().do("auditor", "report")
        return self.do("reviewer", "review", qualified=True)

    def to_notified(self, amount=150_000):
        return self.to_reviewed().do("auditor", "notify", degree="normal", amount_fen=amount)

    def to_decided(self):
        self.to_notified()
        self.now += 4 * DAY
        return self.do("approver", "decide", amount_fen=120_000)


def test_the_whole_way_with_a_hearing():
    file = File().to_notified()
    file.do("office", "state", text="已退回").do("office", "ask_hearing").do("auditor", "call_hearing")
    file.now += 8 * DAY
    file.do("doctor-a", "hold_hearing").do("approver", "decide", amount_fen=150_000)
    assert "计7个工作日" in file.penalty.due_explained
    file.do("auditor", "deliver", to="in_person").do("auditor", "close", paid=True)
    assert (file.penalty.state, file.penalty.fine_fen) == (State.CLOSED, 150_000)


def test_time_limits_are_those_of_the_provisions():
    file = File().to_investigating()
    first = file.penalty.due_at
    assert first.date() == (NOW + 91 * DAY).date()
    file.do("approver", "extend").do("approver", "extend_in_council")
    assert file.penalty.due_at == first + 90 * DAY
    file.do("auditor", "suspend")
    file.now += 10 * DAY
    file.do("auditor", "resume")
    assert file.penalty.due_at == first + 100 * DAY, "what stands still does not count"


REFUSED = {
    "own_institution": lambda file: (
        file.people.update(auditor=Actor("auditor", frozenset({Role.AUDITOR}), ties=frozenset({"H1"}))),
        file.to_investigating(),
    ),
    "state": lambda file: file.do("auditor", "report"),
    "two_officers": lambda file: file.do("auditor", "file", officers={"auditor": "1", "auditor-2": "1"}),
    "officer": lambda file: (
        file.do("auditor", "file", officers={"auditor-2": "1", "x": "2"}), file.do("auditor", "report"),
    ),
    "same_person": lambda file: (
        file.people.update(
            approver=Actor("reviewer", frozenset({Role.APPROVER})),
        ),
        file.to_decided(),
    ),
    "reason_missing": lambda file: file.do("auditor", "reject", reason=" "),
    "not_qualified": lambda file: (
        file.to_investigating().do("auditor", "report"), file.do("reviewer", "review"),
    ),
    "extended": lambda file: file.to_investigating().do("approver", "extend_in_council"),
    "too_late": lambda file: (
        file.to_notified(), setattr(file, "now", NOW + 4 * DAY), file.do("office", "ask_hearing"),
    ),
    "hearing": lambda file: (
        file.to_notified().do("office", "state", text="说明").do("office", "ask_hearing"),
        file.do("approver", "decide", amount_fen=1),
    ),
    "not_heard": lambda file: file.to_notified().do("approver", "decide", amount_fen=1),
    "discretion": lambda file: file.to_notified(amount=160_001),
    "amount_raised": lambda file: (
        file.to_notified().do("office", "state", text="放弃"),
        file.do("approver", "decide", amount_fen=150_001),
    ),
    "council": lambda file: (
        setattr(file, "penalty", replace(file.penalty, loss_fen=1_000_000)),
        file.to_notified(amount=1_500_000).do("office", "state", text="放弃"),
        file.do("approver", "decide", amount_fen=1_500_000, members=("a", "b", "auditor")),
    ),
    "consent": lambda file: file.to_decided().do("auditor", "deliver", to="electronic"),
    "not_paid": lambda file: file.to_decided().do("auditor", "deliver", to="post").do("auditor", "close"),
}  # fmt: skip


@pytest.mark.parametrize("guard", GUARDS)
def test_every_guard_refuses(guard):
    file = File()
    with pytest.raises(StepRefusedError) as caught:
        REFUSED[guard](file)
    assert caught.value.guard == guard, caught.value


def test_fines_are_multiples_of_the_loss_by_article_and_degree():
    wanted = {(38, "light"): (100, 120), (38, "normal"): (120, 160), (38, "heavy"): (160, 200)}
    wanted |= {(40, "light"): (200, 300), (40, "normal"): (300, 400), (40, "heavy"): (400, 500)}
    assert {key: fine_range(*key, 100, NUMBERS) for key in wanted} == wanted
    with pytest.raises(BodyError):
        fine_range(38, "none", 100, NUMBERS)
