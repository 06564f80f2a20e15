"""Whatever is tried in whatever order: no guard is got round, and money always agrees."""

import os

from hypothesis import given, settings
from hypothesis import strategies as st
from parts.cases import PEOPLE, Desk, a_doubt

from renzheng.central.cases import acts
from renzheng.central.cases.doubts import ENDED, State
from renzheng.central.cases.errors import BodyError, MayNotError, StepRefusedError
from renzheng.central.cases.money import ledger_of

BODIES = st.fixed_dictionaries(
    {},
    optional={
        "reason": st.sampled_from(["", "理由"]),
        "amount_fen": st.sampled_from([0, 1, 20_000, 40_000, 40_001]),
        "decision": st.sampled_from(["uphold", "partly", "clear"]),
        "position": st.sampled_from(["accept", "contest", "partly"]),
        "medical": st.booleans(),
        "period": st.just("2026-05"),
        "to": st.just("police"),
        "doctor": st.just("doctor"),
        "text": st.just("说明"),
    },
)
TRIES = st.lists(
    st.tuples(
        st.sampled_from(sorted(PEOPLE)),
        st.sampled_from([*acts.ACTS, "issue", "receive", "panel", "close"]),
        st.sampled_from(["D1", "D2"]),
        BODIES,
    ),
    min_size=20,
    max_size=60,
)
BEGINNINGS = (lambda desk: desk, Desk.to_issued, Desk.to_submitted_both, Desk.to_panel_both)
ORDER = ("audit", "first_review", "re_review", "panel", "final", "deduct")


def attempt(desk, who, act, doubt_id, body):
    try:
        if act == "panel":
            desk.panel("doctor-a", "doctor-b", "doctor-c", who=who)
        elif act in {"issue", "receive", "close"}:
            getattr(desk, act)(who)
        else:
            desk.do(who, act, doubt_id, **body)
    except (StepRefusedError, MayNotError, BodyError):
        return False
    return True


@settings(max_examples=600 if os.environ.get("FAULTS") == "long" else 60, deadline=None)
@given(tries=TRIES, begin=st.sampled_from(range(len(BEGINNINGS))))
def test_no_order_of_steps_gets_round_a_guard(tries, begin):
    desk = Desk(a_doubt(1), a_doubt(2))
    BEGINNINGS[begin](desk)
    told = {name: one.lowest_told_fen for name, one in desk.doubts.items()}
    for who, act, doubt_id, body in tries:
        before = dict(desk.doubts)
        if not attempt(desk, who, act, doubt_id, body):
            assert desk.doubts == before, "what is refused changes nothing"
            continue
        assert ledger_of(desk.doubts.values()).agrees()
        for name, one in desk.doubts.items():
            was = before[name]
            assert one.lowest_told_fen <= told[name]
            told[name] = one.lowest_told_fen
            assert 0 <= one.returned_fen <= one.deducted_fen <= one.lowest_told_fen
            assert was.deducted_fen in {0, one.deducted_fen}, "what was deducted is never erased"
            if was.state in ENDED and was.state is not State.DEDUCTED:
                assert one == was, "what has ended stays as it is"
            by_person = {}
            for account, duty in one.acted:
                by_person.setdefault(account, set()).add(duty)
            assert all(len(duties) == 1 for duties in by_person.values()), "nobody checks themselves"
            if one.state is State.DEDUCTED:
                assert one.issued
                assert one.decided_at is not None
                assert {"final", "deduct"} <= {duty for _, duty in one.acted}
                assert desk.case.received_at is not None or one.position is not None
