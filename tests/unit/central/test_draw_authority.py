"""Who may answer a check: only the one entitled; known is not enough."""

import pytest

from renzheng.central.ingest.spot_check_answers import why_foreign

CHECK = {
    "check_id": "C", "round_id": "R", "institution_id": "H1", "visit_id": "V1", "person_id": "P1",
    "due_at": 100, "device_id": "tablet-1",
}  # fmt: skip
ANSWER = {**CHECK, "received_at": 100}


def test_the_addressee_may_answer_what_was_drawn_once_it_is_due():
    assert why_foreign(CHECK, ANSWER) is None
    assert why_foreign(CHECK, {**ANSWER, "received_at": 10_000_000}) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"device_id": "kiosk-h1"},
        {"person_id": "P2"},
        {"visit_id": "V2"},
        {"institution_id": "H2"},
        {"round_id": "R2"},
        {"received_at": 99},
    ],
)
def test_everything_else_is_foreign(wrong):
    assert why_foreign(CHECK, {**ANSWER, **wrong})


def test_a_check_without_an_addressee_can_be_answered_by_nobody():
    assert why_foreign({**CHECK, "device_id": None}, ANSWER)
