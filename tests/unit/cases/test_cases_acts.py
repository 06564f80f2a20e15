"""The steps of a doubt and every guard with a refused example, by the contract's tables."""

import datetime as dt
from dataclasses import replace

import pytest
from parts.cases import NOW, Desk, a_doubt

from renzheng.central.access.roles import Role
from renzheng.central.cases import acts
from renzheng.central.cases.doubts import CaseState, State
from renzheng.central.cases.errors import BodyError, MayNotError, StepRefusedError
from renzheng.central.cases.guards import GUARDS, Actor
from renzheng.central.cases.money import ledger_of

ROLES_OF_ACTS = {
    "confirm": "auditor", "drop": "auditor", "assign": "office", "answer": "office", "submit": "office",
    "overdue": "auditor", "review": "reviewer", "vote": "doctor-a", "finalise": "approver",
    "deduct": "finance", "return": "finance", "withdraw": "auditor", "refer": "auditor",
    "ask": "office", "supply": "auditor", "receipt": "auditor", "referral_answer": "auditor",
}  # fmt: skip


def refused(_desk, guard, act, *args, **more):
    with pytest.raises(StepRefusedError) as caught:
        act(*args, **more)
    assert caught.value.guard == guard, caught.value


def test_a_contested_doubt_goes_its_whole_way_to_money():
    desk = Desk().to_deducted()
    doubt = desk.doubts["D1"]
    assert (doubt.state, doubt.deducted_fen, doubt.period) == (State.DEDUCTED, 40_000, "2026-05")
    assert [one.stage for one in doubt.opinions] == ["first_review", "re_review", "final"]
    desk.close()
    assert desk.case.state is CaseState.CLOSED
    back = desk.do("finance", "return", amount_fen=15_000, reason="后来找到了机器记录")
    assert (back.state, back.deducted_fen, back.returned_fen) == (State.RETURNED, 40_000, 15_000)
    ledger = ledger_of(desk.doubts.values())
    assert ledger.agrees()
    assert (ledger.deducted, ledger.returned, ledger.contested) == (40_000, 15_000, 40_000)


def test_what_the_institution_agrees_to_is_decided_without_a_review():
    desk = Desk().to_issued()
    assert desk.do("office", "submit", position="accept").state is State.ACCEPTED
    done = desk.do("approver", "finalise", amount_fen=40_000)
    assert (done.state, done.decided_at) == (State.FINAL, NOW)


def test_a_doctor_answers_what_is_assigned_to_them_and_nothing_else():
    desk = Desk().to_issued()
    desk.do("office", "assign", doctor="doctor")
    assert desk.do("doctor", "answer", text="当日在三号机").state is State.ANSWERED
    assert desk.do("office", "submit", position="contest").statement == "当日在三号机"
    other = Desk().to_issued()
    other.do("office", "assign", doctor="another")
    with pytest.raises(MayNotError):
        other.do("doctor", "answer", text="当日在三号机")


def test_a_cleared_doubt_costs_nothing():
    desk = Desk().to_submitted()
    assert desk.do("reviewer", "review", decision="clear", reason="机器记录齐全").state is State.FINAL
    assert desk.do("approver", "finalise", amount_fen=0).state is State.CLEARED
    assert ledger_of(desk.doubts.values()).cleared == 40_000


def test_silence_is_decided_by_one_review_and_what_is_agreed_to_in_part_by_two():
    silent = Desk().to_issued()
    silent.now += dt.timedelta(days=30)
    silent.do("auditor", "overdue")
    assert silent.do("reviewer", "review", decision="uphold", reason="未答复").state is State.FINAL
    part = Desk().to_submitted(position="partly", amount_fen=10_000)
    after = part.do("reviewer", "review", decision="partly", amount_fen=30_000, reason="部分成立")
    assert (after.state, after.amount_fen, after.lowest_told_fen) == (State.FIRST_REVIEW, 30_000, 30_000)


@pytest.mark.parametrize(
    ("votes", "amount"),
    [
        ([("uphold", None), ("clear", None), ("clear", None)], 0),
        ([("uphold", None), ("uphold", None), ("clear", None)], 40_000),
        ([("uphold", None), ("partly", 12_000), ("clear", None)], 12_000),
        ([("partly", 9_000), ("partly", 12_000), ("partly", 30_000)], 12_000),
    ],
)
def test_a_panel_decides_by_majority_and_the_middle_amount_when_all_votes_are_in(votes, amount):
    desk = Desk().to_panel()
    desk.panel("doctor-a", "doctor-b", "doctor-c")
    for who, (decision, fen) in zip(("doctor-a", "doctor-b", "doctor-c"), votes, strict=True):
        before = desk.doubts["D1"]
        assert before.state is State.PANEL
        assert not [one for one in before.opinions if one.stage == "panel"], "sealed until all are in"
        desk.do(who, "vote", decision=decision, amount_fen=fen, reason="医学意见")
    doubt = desk.doubts["D1"]
    assert (doubt.state, doubt.amount_fen) == (State.FINAL, amount)
    assert len([one for one in doubt.opinions if one.stage == "panel"]) == 3


REFUSED = {
    "closed": lambda desk: (
        desk.to_deducted(), desk.close(), desk.do("auditor", "refer", to="police", reason="一年多次"),
    ),
    "own_institution": lambda desk: desk.with_tie("auditor").do("auditor", "confirm"),
    "vote_unsealed": lambda desk: (
        desk.to_panel(), desk.panel("doctor-a", "doctor-b", "doctor-c"), desk.do("approver", "finalise"),
    ),
    "state": lambda desk: desk.do("finance", "deduct", period="2026-05"),
    "same_person": lambda desk: (
        desk.to_submitted(), desk.do("reviewer", "review", decision="uphold", reason="a"),
        desk.do("reviewer", "review", decision="uphold", reason="b"),
    ),
    "evidence_changed": lambda desk: (
        desk.do("auditor", "confirm"), desk.do("auditor", "withdraw", reason="x", evidence="f" * 64),
    ),
    "reason_missing": lambda desk: desk.do("auditor", "drop", reason="  "),
    "amount_raised": lambda desk: desk.to_submitted().do(
        "reviewer", "review", decision="partly", amount_fen=40_001, reason="x"
    ),
    "line_taken": lambda desk: desk.do("auditor", "confirm", rivals=(a_doubt(0, 90_000),)),
    "reopened": lambda desk: desk.do("auditor", "confirm", cleared=True),
    "not_received": lambda desk: (
        desk.do("auditor", "confirm"), desk.issue(), desk.do("auditor", "overdue"),
    ),
    "rule_power": lambda desk: acts.take(replace(desk.step("auditor", "confirm"), power="bureau")),
    "not_due": lambda desk: desk.to_issued().do("auditor", "overdue"),
    "document_owed": lambda desk: desk.to_issued().do("auditor", "supply"),
    "panel_even": lambda desk: desk.to_panel().panel("doctor-a", "doctor-b"),
    "panel_conflict": lambda desk: desk.to_panel().panel(
        "doctor-a", "doctor-b", "doctor-c", conflicts={"doctor-b": "同事"}
    ),
}  # fmt: skip


@pytest.mark.parametrize("guard", GUARDS)
def test_every_guard_refuses(guard):
    desk = Desk()
    with pytest.raises(StepRefusedError) as caught:
        REFUSED[guard](desk)
    assert caught.value.guard == guard, caught.value


def test_guards_refuse_in_other_ways_too():
    desk = Desk().to_panel()
    refused(desk, "panel_conflict", desk.panel, "doctor-a", "doctor-b", "doctor-c", tied=["doctor-c"])
    refused(desk, "panel_even", desk.panel, "doctor-a", "doctor-a", "doctor-b")
    desk.panel("doctor-a", "doctor-b", "doctor-c")
    desk.do("doctor-a", "vote", decision="clear", reason="x")
    refused(desk, "vote_unsealed", desk.do, "doctor-a", "vote", decision="uphold", reason="x")
    desk = Desk().to_final()
    refused(desk, "amount_raised", desk.do, "approver", "finalise", amount_fen=40_001)
    refused(desk, "state", desk.do, "finance", "deduct", period="2026-05")
    desk.do("approver", "finalise")
    refused(desk, "state", desk.do, "approver", "finalise")
    rival = a_doubt(2, state=State.DEDUCTED)
    refused(desk, "line_taken", desk.do, "finance", "deduct", period="2026-05", rivals=(rival,))
    desk = Desk().to_deducted()
    refused(desk, "amount_raised", desk.do, "finance", "return", amount_fen=40_001, reason="x")
    refused(desk, "state", desk.do, "auditor", "withdraw", reason="x")


@pytest.mark.parametrize("reason", ["", " \t\n", "\u3000\u00a0", "\u200b\u200d", "\u3164"])
def test_a_reason_that_leaves_no_trace_in_print_is_none(reason):
    refused(None, "reason_missing", Desk().do, "auditor", "drop", reason=reason)


def test_who_has_a_tie_neither_chooses_the_panel_nor_closes_the_case():
    desk = Desk().to_panel().with_tie("auditor-2")
    refused(desk, "own_institution", desk.panel, "doctor-a", "doctor-b", "doctor-c", who="auditor-2")
    desk = Desk().to_deducted().with_tie("auditor-2")
    refused(desk, "own_institution", desk.close, "auditor-2")


def test_who_can_no_longer_vote_is_replaced_and_nobody_else():
    desk = Desk().to_panel()
    desk.people["doctor-d"] = Actor("doctor-d", frozenset({Role.PANEL}))
    first, other = ("doctor-a", "doctor-b", "doctor-c"), ("doctor-a", "doctor-b", "doctor-d")
    desk.panel(*first)
    desk.do("doctor-a", "vote", decision="uphold", reason="x")
    refused(desk, "state", desk.panel, *other)
    refused(desk, "vote_unsealed", desk.panel, "doctor-a", "doctor-d", "doctor-c", unable=["doctor-c"])
    desk.panel(*other, unable=["doctor-c"])
    assert (desk.doubts["D1"].members, desk.doubts["D1"].voted) == (other, ("doctor-a",))
    for who in ("doctor-b", "doctor-d"):
        desk.do(who, "vote", decision="uphold", reason="x")
    assert desk.doubts["D1"].state is State.FINAL


@pytest.mark.parametrize("to", ["health", "health bureau", "health_bureau"])
def test_a_doubt_is_referred_by_the_name_that_the_authority_goes_by(to):
    assert Desk().do("auditor", "refer", to=to, reason="x").referrals[0].to == "health"


def test_a_line_whose_money_was_returned_in_part_is_not_deducted_again():
    desk = Desk().to_final()
    desk.do("approver", "finalise")
    rival = a_doubt(2, state=State.RETURNED)
    refused(desk, "line_taken", desk.do, "finance", "deduct", period="2026-05", rivals=(rival,))


def test_nothing_is_issued_before_every_doubt_was_looked_at_and_nothing_twice():
    desk = Desk(a_doubt(1), a_doubt(2))
    desk.do("auditor", "confirm", "D1")
    refused(desk, "state", desk.issue)
    desk.do("auditor", "drop", "D2", reason="重复")
    desk.issue()
    assert (desk.doubts["D1"].state, desk.doubts["D2"].state) == (State.ISSUED, State.DROPPED)
    refused(desk, "state", desk.issue)
    refused(desk, "state", desk.close)
    assert "工作日" in desk.case.due_explained
    desk.receive()
    refused(desk, "state", desk.receive)


@pytest.mark.parametrize("act", ROLES_OF_ACTS)
def test_each_act_is_for_its_roles(act):
    desk = Desk()
    for who, actor in desk.people.items():
        if actor.roles & acts.ACTS[act].roles:
            continue
        with pytest.raises(MayNotError):
            desk.do(who, act, reason="x")


@pytest.mark.parametrize(
    "body",
    [
        {"act": "submit", "position": "perhaps"}, {"act": "submit", "position": "partly"},
        {"act": "submit", "position": "partly", "amount_fen": 40_000}, {"act": "assign"},
    ],
)  # fmt: skip
def test_what_a_step_lacks_is_said(body):
    desk = Desk().to_issued()
    with pytest.raises(BodyError):
        desk.do("office", **body)
