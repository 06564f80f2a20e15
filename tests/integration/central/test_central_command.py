"""`renzheng central`, as a person types it: in this process, but for what only a process of its own shows."""

import os
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from parts import command_line
from parts.central import eventually
from parts.devices import LogWriter
from parts.dialysis_day import DAY, write_tables

from renzheng.contracts import keys

RENZHENG = Path(sys.executable).parent / "renzheng"


def renzheng(*arguments, status=0):
    return command_line.run("central", *arguments, status=status)


@pytest.fixture
def config(tmp_path):
    renzheng("init", "--dir", tmp_path / "site", "--port", "0")
    return tmp_path / "site" / "central.toml"


def test_init_keeps_what_is_there(config):
    key = (config.parent / "data" / "keys" / "central.pem").read_bytes()
    assert (config.parent / "data" / "keys" / "central.pem").stat().st_mode & 0o077 == 0
    said = renzheng("init", "--dir", config.parent)
    assert "public key" in said
    assert (config.parent / "data" / "keys" / "central.pem").read_bytes() == key


def test_a_device_is_registered_listed_and_revoked(config, tmp_path):
    public = tmp_path / "kiosk.pem"
    public.write_text(keys.public_pem(LogWriter().key))
    device = ("--device", "kiosk-1", "--institution", "H1", "--public-key", public)
    assert "no institution" in renzheng("register-device", "--config", config, *device, status=1)
    renzheng(
        "register-institution",
        "--config",
        config,
        "--institution",
        "H1",
        "--name",
        "一院",
        "--region",
        "371122",
    )
    renzheng("register-device", "--config", config, *device)
    assert "kiosk-1" in renzheng("devices", "--config", config)
    assert "signs with" in renzheng("rotate-key", "--config", config)
    renzheng("log", "checkpoint", "--config", config)
    assert "1 checkpoints hold" in renzheng("log", "verify", "--config", config)
    elsewhere = ("--host", "new.example", "--port", 8884, "--door", "https://new.example:8701")
    assert "follows" in renzheng("move", *elsewhere, "--config", config)
    assert "still send devices that join" in renzheng("move", "--done", "--config", config, status=1)
    with config.open("a", encoding="utf-8") as settings:
        settings.write('\n[site]\nbroker_host = "new.example"\nbroker_port = 8884\n')
    assert "no more" in renzheng("move", "--done", "--config", config)
    assert "Say where" in renzheng("move", "--config", config, status=2)
    key = config.parent / "data" / "keys" / "central.pem"
    key.rename(tmp_path / "central.pem")
    assert "1 devices are registered" in renzheng("init", "--dir", config.parent, status=1)
    assert not key.exists()
    (tmp_path / "central.pem").rename(key)
    renzheng("revoke-device", "--config", config, "--device", "kiosk-1")
    assert "revoked" in renzheng("devices", "--config", config)
    assert "no device" in renzheng("revoke-device", "--config", config, "--device", "x", status=1)


def test_a_night_without_devices_still_answers_every_line(config):
    write_tables(config.parent / "data" / "tables")
    assert "kept in" in renzheng("night", "--config", config, "--day", DAY)


def test_a_night_without_a_bill_says_what_to_do(config):
    assert "renzheng claims import" in renzheng("night", "--config", config, "--day", DAY, status=1)


def test_a_missing_configuration_is_a_usage_error(tmp_path):
    command = [RENZHENG, "central", "run", "--config", tmp_path / "none.toml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "renzheng central init" in done.stderr


def test_a_command_about_devices_starts_without_what_it_does_not_use(config):
    script = (
        "import sys; from renzheng.deploy.command import main; sys.argv[0] = 'renzheng'\n"
        "try: main()\nfinally: print(sorted({'alembic', 'duckdb', 'pyarrow', 'fastapi'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", script, "central", "devices", "--config", config]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


@pytest.mark.mosquitto
def test_run_serves_until_it_is_told_to_stop(config, broker):
    config.write_text(config.read_text() + f"\n[broker]\nport = {broker.port}\n")
    command = [RENZHENG, "central", "run", "--config", config]
    systemd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    systemd.bind(str(config.parent / "notify"))
    systemd.settimeout(60)
    told = {**os.environ, "NOTIFY_SOCKET": str(config.parent / "notify"), "WATCHDOG_USEC": "3000000"}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=told
    )
    assert process.stdout is not None
    url = process.stdout.readline().split()[-1]
    with urllib.request.urlopen(f"{url}/api/v1/health") as answer:
        assert answer.status == 200
    assert [systemd.recv(100) for _ in range(2)] == [b"READY=1", b"WATCHDOG=1"]
    systemd.close()
    process.terminate()
    assert eventually(lambda: process.poll() is not None)
    assert process.returncode == 0
    process.stdout.close()
