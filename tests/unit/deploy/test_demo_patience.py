"""A busy machine accuses nobody: waits grow, nothing repeats, and the failure says what it was."""

import hashlib
from itertools import islice

import numpy as np
import pytest
from rich.console import Console

from renzheng.bench.feed import endless
from renzheng.contracts.errors import FaultError
from renzheng.deploy.demo import command, patience, play, report
from renzheng.models.liveness.stream import Camera, Stream


@pytest.fixture
def load(monkeypatch):
    def set_to(value, processors=2):
        monkeypatch.setattr(patience.os, "getloadavg", lambda: (value, value, value))
        monkeypatch.setattr(patience.os, "cpu_count", lambda: processors)

    return set_to


def test_waits_are_as_long_as_the_machine_needs_and_no_longer(load):
    load(0.3)
    assert (patience.scaled(30), patience.excuse(), patience.tries()) == (30, "", 1)
    load(15)
    assert (patience.scaled(30), patience.tries()) == (225, 4)
    assert "too busy (load 15 on 2 processors)" in patience.excuse()
    load(500)
    assert patience.scaled(30) == 300


def test_a_feed_that_is_looked_at_for_long_is_no_loop():
    pictures = [np.full((24, 32, 3), 100 + number, np.uint8) for number in range(5)]
    stream = Stream()
    for number, frame in enumerate(islice(endless(pictures), 60)):
        stream.take(hashlib.blake2b(frame.tobytes()).digest(), 70 * number + number % 7)
    said = {one.signal: one.weight for one in stream.say(Camera())}
    assert (said["repeated_frames"], said["frozen_frames"]) == (0.0, 0.0)


class Stage:
    """A stage on which the first thing fails."""

    def stored_events(self):
        return {}

    def latencies(self):
        return {}


def test_a_play_that_is_cut_short_is_reported_with_its_reason(load, monkeypatch, tmp_path):
    load(15)

    def fails(*_):
        raise FaultError("The kiosk did not show done.")

    monkeypatch.setattr(play, "_open_clinics", fails)
    result = play.play_day(Stage(), None, Console())
    assert (result["ok"], result["failure"]) == (False, "The kiosk did not show done.")
    report.write(result, tmp_path, {"zh": {}, "en": {}})
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "The kiosk did not show done." in page
    assert "too busy (load 15" in page
    said = str(command._unexpected(result, tmp_path))
    assert "cut short: The kiosk did not show done. This machine is too busy (load 15" in said
    assert "again when the machine has time" in said
