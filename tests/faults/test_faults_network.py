"""Partitions between device and broker, half-open connections included, in network namespaces."""

import time

import pytest
from faults.counts import often
from faults.network import BROKER, WAYS, FarBroker, Network
from faults.rig import Rig, seeded
from parts.processes import is_root

pytestmark = [
    pytest.mark.mosquitto,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(not is_root(), reason="network namespaces need root: sudo make faults"),
]


@pytest.fixture
def network():
    why_not = Network.refused_here()
    if why_not:
        pytest.skip(f"no network namespaces on this machine: {why_not}")
    with Network() as made:
        yield made


def test_partitions_and_half_open_connections(tmp_path, network, counts):
    partitions, chance, half_open = often(1, 40), seeded(43), 0
    folder = tmp_path / "broker"
    folder.mkdir()
    ways = dict.fromkeys(WAYS, 0)
    with (
        FarBroker(folder, network) as broker,
        Rig(tmp_path, broker, host=BROKER, ingest_network=network.broker, network=network.device) as rig,
    ):
        assert rig.grows()
        for number in range(partitions):
            way = WAYS[number % len(WAYS)]
            ways[way] += 1
            network.part(way)
            time.sleep(chance.uniform(0.5, 8))
            match number % 3:  # an end that dies meanwhile leaves the other with a half-open connection
                case 0:
                    rig.again(broker)
                    half_open += 1
                case 1:
                    rig.again(chance.choice(rig.agents))
                    half_open += 1
            network.heal(way)
            assert rig.grows()
        assert rig.drain()
        figures = rig.account().check()
    counts.add("partitions", **ways, half_open=half_open, **figures)
