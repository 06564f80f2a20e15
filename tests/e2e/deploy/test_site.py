"""A site set up as its administrator would, by commands alone: CA, broker, central, a device that joins."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tomllib
import urllib.request
from pathlib import Path

import pytest
from parts.processes import end, find_program, free_port, listens, wait_until

RENZHENG = str(Path(sys.executable).with_name("renzheng"))
SECONDS = 60


def command(*words, cwd, **more):
    ended = subprocess.run(
        [RENZHENG, *map(str, words)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        **more,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


@contextlib.contextmanager
def running(words, cwd, log, port):
    with (cwd / log).open("wb") as out:
        process = subprocess.Popen(list(map(str, words)), cwd=cwd, stdout=out, stderr=out)
    try:
        wait_until(lambda: listens(port), within_seconds=SECONDS, what=f"{words[1]} on {port}")
        yield process
    finally:
        end(process, signal.SIGTERM)


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.loads(answer.read())


@pytest.fixture(params=["embedded", pytest.param("mosquitto", marks=pytest.mark.mosquitto)])
def site(request, tmp_path):
    """A site's folder with central and its broker running; yields folder and central's ports."""
    console, broker, door = free_port(), free_port(), free_port()
    protocol = "3.1.1" if request.param == "embedded" else "5"
    command(
        "central",
        "init",
        "--dir",
        ".",
        "--name",
        "127.0.0.1",
        "--port",
        console,
        "--protocol",
        protocol,
        cwd=tmp_path,
    )
    certificates = tmp_path / "data" / "site"
    (tmp_path / "central.toml").write_text(
        f"""
data_dir = "data"
port = {console}
[broker]
host = "127.0.0.1"
port = {broker}
protocol = "{protocol}"
ca_file = "{certificates / "ca.pem"}"
certificate_file = "{certificates / "central.pem"}"
key_file = "{certificates / "central.key"}"
[site]
broker_host = "127.0.0.1"
broker_port = {broker}
listen_host = "127.0.0.1"
listen_port = {door}
"""
    )
    if request.param == "embedded":
        words = [RENZHENG, "central", "broker", "--port", broker]
    else:
        command(
            "central", "broker-config", "--out", "mq", "--host", "127.0.0.1", "--port", broker, cwd=tmp_path
        )
        config = tmp_path / "mq" / "renzheng.conf"
        config.write_text(config.read_text() + ("user root\n" if os.geteuid() == 0 else ""))
        words = [find_program("mosquitto", "mosquitto", [Path("/usr/sbin")]), "-c", config]
    with (
        running(words, tmp_path, "broker.log", broker),
        running([RENZHENG, "central", "run"], tmp_path, "central.log", console),
    ):
        yield tmp_path, console, door, protocol


def test_a_device_joins_with_a_one_time_code_and_its_events_arrive(site):
    folder, console, door, protocol = site
    command(
        "central",
        "register-institution",
        "--institution",
        "H1",
        "--name",
        "Centre",
        "--region",
        "371121",
        cwd=folder,
    )
    told = command("device", "provision", "--device", "kiosk-01", "--institution", "H1", cwd=folder)
    code = re.search(r"\b[A-Z0-9]{4,}(?:-[A-Z0-9]{4,})+\b", told).group(0)

    device = folder / "device"
    device.mkdir()
    command(
        "device",
        "join",
        "--central",
        f"https://127.0.0.1:{door}",
        "--config",
        "edge.toml",
        cwd=device,
        input=code + "\n",
    )
    settings = tomllib.loads((device / "edge.toml").read_text())
    assert settings["device"]["device_id"] == "kiosk-01"
    assert code not in (device / "edge.toml").read_text()
    assert (settings["link"].get("protocol", "5")) == protocol

    kiosk = free_port()
    (device / "edge.toml").write_text((device / "edge.toml").read_text() + f"\n[kiosk]\nport = {kiosk}\n")
    with running([RENZHENG, "edge", "run", "--config", "edge.toml"], device, "edge.log", kiosk):
        wait_until(
            lambda: get(f"http://127.0.0.1:{kiosk}/health")["acknowledged"] >= 1,
            within_seconds=SECONDS,
            what="central acknowledges the device's first event",
        )
        listed = get(f"http://127.0.0.1:{console}/api/v1/devices")
        assert "kiosk-01" in json.dumps(listed)

    again = subprocess.run(
        [RENZHENG, "device", "join", "--central", f"https://127.0.0.1:{door}", "--config", "other.toml"],
        cwd=device, input=code + "\n", capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert again.returncode == 1, "a code may be used once"
    assert "Traceback" not in again.stderr
