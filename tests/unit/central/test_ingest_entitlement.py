"""Which device may say which event: the table, row by row."""

import datetime as dt

import pytest
from parts.devices import MORNING

from renzheng.central.ingest import quick
from renzheng.central.ingest.entitlement import FOREIGN, unentitled
from renzheng.contracts import events
from renzheng.contracts.events import (
    AttendanceData,
    Clock,
    CoverageData,
    CoverageState,
    Outcome,
    Pad,
    Purpose,
    device_source,
)

BUREAU = "bureau:371121"


HOUR = dt.timedelta(hours=1)
CLOCK = Clock(trusted=True, boot_id="b", monotonic_ms=1)


def said(model, purpose):
    """Read an event of a purpose as the ingest reads it."""
    own = {"institution_id": "H1", "clock": CLOCK, "purpose": Purpose(purpose)}
    if model is events.DeviceCoverage:
        data = CoverageData(**own, from_at=MORNING, to_at=MORNING + HOUR, state=CoverageState.UP)
        event = model(source=device_source("d"), time=MORNING, data=data)
    else:
        data = AttendanceData(
            **own, outcome=Outcome.MATCH, pad=Pad.BONA_FIDE, comparison_score=0.7, threshold=0.5
        )
        event = model(source=device_source("d"), time=MORNING, subject="P1", data=data)
    return quick.read(event.to_json())


@pytest.mark.parametrize(
    ("model", "of", "registered", "at", "may"),
    [
        (events.SignIn, "dialysis", "dialysis", "H1", True),
        (events.SignOut, "pharmacy", "pharmacy", "H1", True),
        (events.SignIn, "dialysis", "inpatient", "H1", False),
        (events.SignIn, "inpatient", "inpatient", "H1", False),
        (events.SignIn, "dialysis", "outpatient", "H1", False),
        (events.SignIn, "dialysis", "dialysis", BUREAU, False),
        (events.Presence, "inpatient", "inpatient", "H1", True),
        (events.Presence, "dialysis", "dialysis", "H1", False),
        (events.Presence, "dialysis", "inpatient", "H1", False),
        (events.Presence, "dialysis", "inpatient", BUREAU, True),
        (events.IdentityCheck, "dialysis", "dialysis", "H1", True),
        (events.IdentityCheck, "dialysis", "pharmacy", "H1", False),
        (events.IdentityCheck, "dialysis", "inpatient", BUREAU, True),
        (events.DeviceCoverage, "dialysis", "dialysis", "H1", True),
        (events.DeviceCoverage, "dialysis", "inpatient", "H1", False),
        (events.DeviceCoverage, "dialysis", "inpatient", BUREAU, False),
    ],
)
def test_an_event_counts_from_a_device_of_the_right_purpose(model, of, registered, at, may):
    flaw = unentitled(said(model, of), at, registered)
    assert (flaw is None) is may
    assert may or flaw.detail.startswith(FOREIGN)
