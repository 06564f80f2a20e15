"""Crops: encrypted, bound to their event, shed oldest first with an event for each loss."""

from datetime import timedelta

import pytest
from parts.edge import DAY, StandInEngine, make_settings, sign_in, stepped_clock

from renzheng.contracts.ids import EventId, new_id
from renzheng.contracts.log import read_entry
from renzheng.edge.device.evidence import Evidence, taken_at
from renzheng.edge.kiosk.main import build_agent


@pytest.fixture
def evidence(tmp_path):
    return Evidence(tmp_path)


def test_a_crop_comes_back_and_lies_encrypted_on_the_disk(evidence, tmp_path):
    event_id = EventId(new_id())
    evidence.put(event_id, b"a face")
    assert evidence.get(event_id) == Evidence(tmp_path).get(event_id) == b"a face"
    (path,) = (tmp_path / "evidence").iterdir()
    assert b"a face" not in path.read_bytes()
    assert (tmp_path / "evidence.key").stat().st_mode & 0o077 == 0


def test_a_crop_moved_under_another_event_or_damaged_is_no_evidence(evidence, tmp_path):
    one, other = EventId(new_id()), EventId(new_id())
    evidence.put(one, b"a face")
    (path,) = (tmp_path / "evidence").iterdir()
    path.rename(path.with_name(f"{other}.crop"))
    assert evidence.get(other) is None
    evidence.put(one, b"a face")
    mine = tmp_path / "evidence" / f"{one}.crop"
    mine.write_bytes(mine.read_bytes()[:-1] + b"\0")
    assert evidence.get(one) is None
    assert evidence.get(EventId(new_id())) is None


def test_an_events_id_tells_when_it_was(evidence):
    assert taken_at("0195d000-0000-7000-8000-000000000001").year == 2025


def test_on_a_full_disk_crops_go_and_what_central_has_and_each_loss_is_an_event(tmp_path, monkeypatch):
    settings = make_settings(tmp_path, device={"keep_free_megabytes": 1})
    agent = build_agent(settings, clock=stepped_clock(), engine=StandInEngine())
    for number in range(1, 6):
        agent.log.append(sign_in(number))
    agent.log.acknowledge(3)
    crops = [EventId(new_id()) for _ in range(3)]
    for crop in crops:
        agent.evidence.put(crop, b"x" * 400_000)
    monkeypatch.setattr(agent.housekeeper, "_free_bytes", lambda: 300_000)
    agent.housekeeper.tidy(DAY + timedelta(days=1))
    assert [event_id for event_id, *_ in agent.evidence.oldest_first()] == crops[2:]
    assert agent.log.base().sequence == 3
    told = read_entry(agent.log.lines(0, 100)[-1]).event
    assert told["type"] == "renzheng.v1.evidence.deleted"
    assert told["data"]["reason"] == "disk_full"
    assert told["data"]["evidence_event_ids"] == crops[:2]
    assert agent.log.verify().sequence == agent.log.head().sequence
    assert agent.health()["disk_short"] is True
    agent.store.close()
