"""An inspector's device, registered at the bureau, reports from the institution it was carried to."""

import pytest
from parts.devices import MORNING, LogWriter

from renzheng.central.ingest.project import EventFlaw, read_event
from renzheng.contracts.events import (
    AttendanceData,
    Clock,
    Outcome,
    Pad,
    Presence,
    Purpose,
    SignIn,
    SpotCheckAnswered,
    SpotCheckData,
    SpotCheckResult,
    device_source,
)
from renzheng.contracts.log import Head, walk

CLOCK = Clock(trusted=True, boot_id="b", monotonic_ms=1)
SOURCE = device_source("tablet-1")
ANSWER = SpotCheckData(
    institution_id="H1", clock=CLOCK, check_id="C", round_id="R", visit_id="V", drawn_at=MORNING,
    due_at=MORNING,
    result=SpotCheckResult.PRESENT,
)  # fmt: skip
SEEN = AttendanceData(
    institution_id="H1", clock=CLOCK, purpose=Purpose.DIALYSIS, outcome=Outcome.MATCH, pad=Pad.BONA_FIDE,
    comparison_score=0.7, threshold=0.5,
)  # fmt: skip


def flaw_of(event, registered_at):
    entry = LogWriter("tablet-1").append_json(event.to_json())
    (link,) = walk(Head(0, entry.previous), [entry.line])
    return isinstance(read_event(link, "tablet-1", registered_at), EventFlaw)


@pytest.mark.parametrize(("model", "data"), [(SpotCheckAnswered, ANSWER), (Presence, SEEN)])
def test_a_bureaus_device_may_answer_from_anywhere_and_another_hospitals_may_not(model, data):
    event = model(source=SOURCE, time=MORNING, subject="P1", data=data)
    assert not flaw_of(event, "bureau:371121")
    assert not flaw_of(event, "H1")
    assert flaw_of(event, "H2")


def test_nobody_signs_in_at_an_inspectors_device():
    event = SignIn(source=SOURCE, time=MORNING, subject="P1", data=SEEN)
    assert flaw_of(event, "bureau:371121")
    assert not flaw_of(event, "H1")
