"""Mosquitto's bounds follow from the number of devices."""

from pathlib import Path

import pytest

from renzheng.central.ingest.consumer import RECEIVE_MAXIMUM
from renzheng.deploy.broker.embedded import Tls
from renzheng.deploy.broker.mosquitto import MosquittoSite, limits_for, render_config, render_unit
from renzheng.edge.device.link.sender import WINDOW


@pytest.mark.parametrize("registered", [0, 10, 1_000, 5_000])
def test_what_all_devices_have_under_way_at_once_fits(registered):
    limits = limits_for(registered)
    assert limits.queued_messages > WINDOW * registered
    assert limits.open_files > 2 * registered + 512, "each comes again before its old connection is given up"
    assert limits.inflight <= RECEIVE_MAXIMUM
    assert 64 << 20 <= limits.queued_bytes <= 1 << 30


def test_configuration_and_unit_say_so():
    path = Path("x")
    limits = limits_for(1_000)
    lines = render_config(MosquittoSite(Tls(path, path, path), path, path, limits=limits)).splitlines()
    assert f"max_queued_messages {limits.queued_messages}" in lines
    assert f"max_queued_bytes {limits.queued_bytes}" in lines
    assert f"max_inflight_messages {limits.inflight}" in lines
    assert f"LimitNOFILE={limits.open_files}" in render_unit(limits)
