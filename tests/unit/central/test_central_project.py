"""Events as rows, and what makes an event of a signed entry unusable."""

import orjson
import pytest
from parts.devices import MORNING, LogWriter

from renzheng.central.ingest.project import EventFlaw, Projection, project, read_event
from renzheng.central.store.schema import metadata
from renzheng.central.store.times import to_us
from renzheng.contracts.events import ClockData, CoverageState, DeviceClock, device_source
from renzheng.contracts.log import Head, walk


def link(entry):
    (found,) = walk(Head(entry.sequence - 1, entry.previous), [entry.line])
    return found


def read(entry, device_id="kiosk-1", institution_id="H1"):
    return read_event(link(entry), device_id, institution_id)


def test_a_sign_in_becomes_a_row_of_attendance():
    event = read(LogWriter().sign_in("P9"))
    found = project(event, "kiosk-1", 5, 77)
    assert isinstance(found, Projection)
    assert found.table == "attendance"
    row = dict(zip(metadata.tables["attendance"].columns.keys(), found.row, strict=True))
    assert row["person_id"] == "P9"
    assert (row["sequence"], row["received_at"]) == (5, 77)
    assert row["occurred_at"] == to_us(MORNING)
    assert (row["event_type"], row["outcome"], row["pad"]) == ("sign_in", "match", "bona_fide")


def test_coverage_and_clock_become_rows():
    writer = LogWriter()
    stretch = project(
        read(writer.covered(MORNING, MORNING.replace(hour=3), CoverageState.DOWN)), "kiosk-1", 1, 2
    )
    assert isinstance(stretch, Projection)
    assert (stretch.table, stretch.row[6]) == ("coverage", "down")
    clock = {"trusted": False, "boot_id": "b", "monotonic_ms": 1}
    data = ClockData(institution_id="H1", clock=clock, change="compared", offset_ms=-40)
    event = DeviceClock(source=device_source("kiosk-1"), time=MORNING, data=data)
    found = project(read(LogWriter().append_json(event.to_json())), "kiosk-1", 3, 4)
    assert isinstance(found, Projection)
    assert found.row == ("kiosk-1", 3, "compared", -40, 0, to_us(MORNING), 4)


def changed(**fields):
    entry = LogWriter().sign_in()
    event = {**entry.event, **fields}
    return LogWriter().append_json(orjson.dumps(event))


@pytest.mark.parametrize(
    "entry",
    [
        changed(type="renzheng.v1.unheard"),
        changed(time="0001-01-01T00:00:00+08:00"),
        changed(source="urn:renzheng:device:kiosk-9"),
        changed(subject=None),
        changed(subject="P\0"),
        changed(extra=1),
        LogWriter().append_json(b"{}"),
        LogWriter(institution_id="H9").sign_in(),
    ],
)
def test_an_event_that_cannot_be_used_is_a_flaw(entry):
    found = read(entry)
    assert isinstance(found, EventFlaw)
    assert found.detail


def test_a_flaw_names_no_value():
    found = read(changed(subject=["Zhang San"]))
    assert isinstance(found, EventFlaw)
    assert "Zhang" not in found.detail
