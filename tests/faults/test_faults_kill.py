"""SIGKILL of agent, broker and consumer at random moments; a broker that forgets its queues."""

import signal
import time

import pytest
from faults.counts import often
from faults.rig import Rig, seeded
from parts.mosquitto import Mosquitto

pytestmark = [pytest.mark.mosquitto, pytest.mark.timeout(3600)]


def store_of(request, tmp_path):
    if request.param == "postgresql":
        return request.getfixturevalue("postgresql_server").new_database()
    return f"sqlite:///{tmp_path / 'central.sqlite'}"


@pytest.fixture(
    params=[
        # the same on SQLite; test_four_devices.py kills device, broker and consumer there
        pytest.param("sqlite", marks=pytest.mark.long),
        pytest.param("postgresql", marks=pytest.mark.postgresql),
    ]
)
def store(request, tmp_path):
    return request.param, store_of(request, tmp_path)


def test_killed_at_random_moments(tmp_path, broker, counts, store):
    backend, url = store
    kills = often(16, 1000) if backend == "sqlite" else often(6, 200)
    chance = seeded(41)
    killed = dict.fromkeys(("agent", "broker", "ingest"), 0)
    with Rig(tmp_path, broker, url=url, rotates=60) as rig:
        assert rig.grows()
        for number in range(kills):
            time.sleep(chance.uniform(0, 0.7))
            who = ("agent", "broker", "ingest")[number % 3]
            killed[who] += 1
            rig.again({"agent": chance.choice(rig.agents), "broker": broker, "ingest": rig.ingest}[who])
        assert rig.drain()
        figures = rig.account().check()
    counts.add(f"kill -9, {backend}", **killed, **figures)


# with MQTT 3.1.1 nothing of the broker's limits is told; how a lost queue is filled again is the same
@pytest.mark.parametrize("protocol", ["5", pytest.param("3.1.1", marks=pytest.mark.long)])
def test_a_broker_that_loses_its_queues(tmp_path, counts, protocol):
    folder = tmp_path / "broker"
    folder.mkdir()
    restarts = often(2, 50)
    config = ["max_queued_messages 2", "max_inflight_messages 1"]
    with Mosquitto(folder, config=config) as broker, Rig(tmp_path, broker, protocol=protocol) as rig:
        assert rig.grows()
        for _ in range(restarts):
            rig.ingest.signal(signal.SIGSTOP)  # what the agents send now piles up in the broker
            time.sleep(0.4)
            rig.again(broker)
            rig.ingest.signal(signal.SIGCONT)
            assert rig.grows()
        assert rig.drain()
        figures = rig.account().check()
    counts.add(f"broker restarts, lost queues, MQTT {protocol}", restarts=restarts, **figures)
