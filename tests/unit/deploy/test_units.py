"""What the shipped units and the browser's policy shut, read as systemd and Chromium read them."""

import configparser
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

SYSTEMD = Path(__file__).parents[3] / "deploy" / "systemd"
SERVICES = sorted(path.stem.removeprefix("renzheng-") for path in SYSTEMD.glob("*.service"))
OURS = [name for name in SERVICES if name != "kiosk"]
"""The kiosk's is Chromium, which makes a sandbox of its own and needs namespaces for it."""
MOST_EXPOSED = 20
"""Tenths, of systemd's own scale from 0 to 100."""


def lines_of(name):
    class Repeated(dict):
        def __setitem__(self, key, value):
            if key in self and isinstance(value, list):
                self[key].extend(value)
            else:
                super().__setitem__(key, value)

    read = configparser.RawConfigParser(dict_type=Repeated, strict=False, comment_prefixes=("#",))
    read.optionxform = str
    read.read(SYSTEMD / f"renzheng-{name}.service", encoding="utf-8")
    return {key: value.split("\n") for key, value in read["Service"].items()}


@pytest.mark.parametrize("name", OURS)
def test_a_service_may_do_what_it_must_and_no_more(name):
    told = lines_of(name)
    assert told["NoNewPrivileges"] == ["yes"]
    assert told["ProtectSystem"] == ["strict"]
    assert told["UMask"] == ["0077"]
    assert "@system-service" in told["SystemCallFilter"]
    assert (told["CapabilityBoundingSet"] == [""]) == (name != "broker"), "the broker's lists change hands"
    if name != "broker":
        assert "~@privileged" in told["SystemCallFilter"]
        assert int(told["LimitNOFILE"][0]) >= 2048
        assert int(told["TasksMax"][0]) >= 256


def test_central_has_descriptors_for_every_place_of_its_listeners():
    from renzheng.central.adt.listener import MOST_CONNECTIONS  # noqa: PLC0415
    from renzheng.common.serving import Places  # noqa: PLC0415

    held = 2 * Places().all + MOST_CONNECTIONS
    assert int(lines_of("central")["LimitNOFILE"][0]) >= 10 * held
    assert held < 512, "half of what a shell gives, for a central that is started by hand"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
@pytest.mark.parametrize("name", OURS)
def test_systemd_finds_a_service_little_exposed(name):
    unit = SYSTEMD / f"renzheng-{name}.service"
    command = ["systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSED}", "--no-pager"]
    found = subprocess.run([*command, str(unit)], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout[-300:] + found.stderr
    assert "Unknown" not in found.stderr


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_reads_every_unit_without_a_word(tmp_path):
    program = shutil.which("true")
    units = []
    for path in sorted(SYSTEMD.glob("renzheng-*.*")):
        text = path.read_text(encoding="utf-8")
        text = re.sub(r"^(Exec\w+=)\S*/(?=\S)\S+", rf"\1{program}", text, flags=re.MULTILINE)
        units.append(tmp_path / path.name)
        units[-1].write_text(text, encoding="utf-8")
    command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", "--no-pager"]
    found = subprocess.run([*command, *map(str, units)], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout + found.stderr) == (0, "")
    (tmp_path / "renzheng-edge.service").write_text("[Service]\nExecStart=/bin/true\nWatchdogsec=6\n")
    faulty = subprocess.run([*command, str(units[0].with_name("renzheng-edge.service"))], capture_output=True,
                            text=True, check=False)  # fmt: skip
    assert "Watchdogsec" in faulty.stderr, "a word that systemd does not know is told"


@pytest.mark.parametrize("name", [name for name in OURS if name not in {"broker", "night"}])
def test_a_service_that_says_that_it_moves_is_watched(name):
    told = lines_of(name)
    assert told["Type"] == ["notify"]
    assert int(told["WatchdogSec"][0]) == 60, "it says so three times as often"


def test_the_kiosk_starts_its_browser_with_the_address_of_the_moment():
    command = " ".join(lines_of("kiosk")["ExecStart"])
    assert "/run/renzheng-kiosk/address" in command
    assert lines_of("edge")["RuntimeDirectory"] == ["renzheng-kiosk"]
    assert lines_of("edge")["RuntimeDirectoryMode"] == ["0750"]
    assert "remote-debugging" not in command


def test_the_browsers_policy_shuts_every_door_but_the_page():
    policy = json.loads((SYSTEMD / "chromium-policy.json").read_text(encoding="utf-8"))
    assert policy["URLBlocklist"] == ["*"]
    assert policy["URLAllowlist"] == policy["VideoCaptureAllowedUrls"] == ["http://127.0.0.1:8600"]
    shut = {
        "DeveloperToolsAvailability": 2,  # never
        "AllowFileSelectionDialogs": False,
        "DownloadRestrictions": 3,  # all
        "PrintingEnabled": False,
    }
    assert {name: policy[name] for name in shut} == shut
