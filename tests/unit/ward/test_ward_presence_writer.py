"""What is written of a sighting: once an interval over restarts and cameras, with the clock as it is."""

import threading
from datetime import timedelta

import numpy as np
import pytest
from parts.edge import DAY, THRESHOLD, make_settings, stepped_clock

from renzheng.contracts import log as chain
from renzheng.edge.device.evidence import Evidence
from renzheng.edge.device.log import DeviceLog
from renzheng.edge.device.store.database import Store
from renzheng.edge.ward.identify import Identified
from renzheng.edge.ward.presence_writer import PresenceWriter, forget_told, told_last

SEEN = Identified("P1", 0.97, THRESHOLD, 30)
CROP = np.full((80, 60, 3), 127, np.uint8)


class Device:
    def __init__(self, folder, clock):
        self.settings = make_settings(folder, device={"device_id": "ward-1", "purpose": "inpatient"})
        self.data_dir = self.settings.device.data_dir
        self.store = Store(self.data_dir / "device.sqlite")
        self.log = DeviceLog(self.store, "ward-1")
        self.evidence = Evidence(self.data_dir)
        self.writer = PresenceWriter(self.settings, self.log, self.evidence, clock, "dlib/x")

    def events(self):
        return [chain.read_entry(line).event for line in self.log.lines(0, 100)]


@pytest.fixture
def clock():
    return stepped_clock(runs=False)


@pytest.fixture
def device(tmp_path, clock):
    device = Device(tmp_path, clock)
    yield device
    device.store.close()


def test_a_presence_says_by_what_it_was_established(device):
    event_id = device.writer.tell(SEEN, "door", "in", 4, CROP)
    (event,) = device.events()
    assert event["type"] == "renzheng.v1.attendance.presence"
    assert (event["subject"], event["id"]) == ("P1", event_id)
    data = event["data"]
    assert (data["purpose"], data["outcome"], data["pad"]) == ("inpatient", "match", "not_shown")
    assert (data["camera"], data["direction"], data["gallery_size"]) == ("door", "in", 30)
    assert (data["comparison_score"], data["threshold"], data["false_match_rate"]) == (0.97, 0.9, 1e-3)
    assert data["identifiers"] == ["face"], "one identifier: a sighting, never a sign-in (WS/T 840-2025)"
    assert device.evidence.get(event_id).startswith(b"\xff\xd8")


def test_it_is_told_once_an_interval_over_a_restart(device, clock, tmp_path):
    assert device.writer.tell(SEEN, "door", None, 1, CROP)
    clock.advance(timedelta(minutes=20))
    device.store.close()
    again = Device(tmp_path, clock)
    assert again.writer.tell(SEEN, "hall", None, 1, CROP) is None
    clock.advance(timedelta(minutes=10))
    assert again.writer.tell(SEEN, "hall", None, 1, CROP)
    assert len(again.events()) == 2
    assert len(again.evidence.oldest_first()) == 2
    again.store.close()


def test_two_cameras_at_one_moment_tell_it_once(device):
    threads = [
        threading.Thread(target=device.writer.tell, args=(SEEN, f"c{number}", None, 1, CROP))
        for number in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(device.events()) == 1


def test_going_out_and_coming_back_are_told_within_the_interval(device, clock):
    for direction in ("in", "out", "in"):
        device.writer.tell(SEEN, "door", direction, 1, None)
        device.writer.tell(SEEN, "door", None, 1, None)
        clock.advance(timedelta(minutes=3))
    assert [event["data"].get("direction") for event in device.events()] == ["in", "out", "in"]


def test_a_clock_that_nobody_vouches_for_is_told_as_such(device, clock):
    clock.trust(trusted=False)
    clock.set_wall(timedelta(days=200))
    device.writer.tell(SEEN, "door", None, 1, None)
    (event,) = device.events()
    assert event["data"]["clock"]["trusted"] is False
    clock.set_wall(timedelta(days=-200))
    assert device.writer.tell(SEEN, "door", None, 1, None), "a clock set right does not silence the camera"


def test_a_crop_that_the_disk_does_not_take_leaves_the_event(device, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(device.evidence, "put", full)
    assert device.writer.tell(SEEN, "door", None, 1, CROP)
    assert len(device.events()) == 1


def test_what_was_told_long_ago_is_forgotten(device):
    device.writer.tell(SEEN, "door", None, 1, None)
    forget_told(device.store, DAY + timedelta(days=1))
    assert told_last(device.store, "P1") is None
