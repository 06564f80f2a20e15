"""A device joins a site with a one-time code, by commands alone, over either broker."""

import json
import tomllib

import pytest
from parts.private import open_to_others
from parts.processes import free_port, wait_until
from parts.site import RENZHENG, SECONDS, command, get, running, running_site


# Over the embedded broker test_round lets a device join in the same way, by the same commands.
@pytest.fixture(
    params=[
        pytest.param("embedded", marks=pytest.mark.long),
        pytest.param("mosquitto", marks=pytest.mark.mosquitto),
    ]
)
def site(request, tmp_path):
    with running_site(tmp_path, request.param) as site:
        yield site


def test_a_device_joins_with_a_one_time_code_and_its_events_arrive(site):
    site.institution("H1")
    device, code = site.joined("kiosk-01", "H1")
    settings = tomllib.loads((device / "edge.toml").read_text())
    assert settings["device"]["device_id"] == "kiosk-01"
    assert code not in (device / "edge.toml").read_text()
    assert (settings["link"].get("protocol", "5")) == site.protocol

    kiosk = free_port()
    (device / "edge.toml").write_text((device / "edge.toml").read_text() + f"\n[kiosk]\nport = {kiosk}\n")
    with running([RENZHENG, "edge", "run", "--config", "edge.toml"], device, "edge.log", kiosk):
        wait_until(
            lambda: get(f"http://127.0.0.1:{kiosk}/health")["acknowledged"] >= 1,
            within_seconds=SECONDS,
            what="central acknowledges the device's first event",
        )
        listed = get(f"http://127.0.0.1:{site.console}/api/v1/devices")
        assert "kiosk-01" in json.dumps(listed)

    by_tests = {"broker.log", "central.log", "edge.log", "kiosk-01"}
    assert open_to_others(site.folder, allowed={*by_tests, "renzheng.conf"}) == {}, "whatever the umask"

    door = f"https://127.0.0.1:{site.door}"
    elsewhere = ["--config", "other.toml", "--data-dir", "other"]
    again = command("device", "join", "--central", door, *elsewhere, cwd=device, typed=f"{code}\n", status=1)
    assert "Central did not let this device in" in again, "a code may be used once"
