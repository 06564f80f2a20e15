"""What the programs of a site reach for: the sockets that the settings name, and their folders."""

import contextlib
import functools
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from parts.portraits import PORTRAITS
from parts.processes import end, free_port, listens, wait_until
from parts.site import RENZHENG, SECONDS, get, running_site
from parts.traced import Traced

from renzheng.models.home import home

pytestmark = [pytest.mark.strace]
DEVICES = {"/dev/null", "/dev/tty", "/dev/urandom"}


@pytest.fixture
def traced(tmp_path, monkeypatch):
    monkeypatch.setenv("RENZHENG_HOME", str(home()))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    return Traced(tmp_path / "traces")


@contextlib.contextmanager
def running(traced, words, cwd, port):
    with (cwd / "run.log").open("wb") as out:
        process = subprocess.Popen(
            traced.words(list(map(str, words))), cwd=cwd, stdout=out, stderr=out,
            env=traced.environment(os.environ), start_new_session=True,
        )  # fmt: skip
    try:
        wait_until(lambda: listens(port), within_seconds=SECONDS, what=f"{words} on {port}")
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)  # strace passes nothing on
        end(process)


def elsewhere(reached, cwd, *folders):
    """What was written outside of `folders`, the terminal and this machine's sinks."""
    allowed = [str(folder.resolve()) for folder in folders]
    full = {os.path.normpath(cwd / path) for path in reached.written}
    return {path for path in full - DEVICES if not any(path.startswith(folder) for folder in allowed)}


def test_a_kiosk_reaches_its_broker_and_its_folder_and_nothing_else(traced, tmp_path):
    broker, page = free_port(), free_port()
    folder = tmp_path / "kiosk"
    folder.mkdir()
    (folder / "edge.toml").write_text(f"""
[device]
device_id = "kiosk-1"
institution_id = "H1"
[link]
host = "127.0.0.1"
port = {broker}
[kiosk]
port = {page}
[camera]
source = "file:{PORTRAITS.resolve() / "obama2.jpg"}"
""")
    enrol = ["edge", "enrol", "--config", "edge.toml", "--person", "P1", "--surname", "王", "--card", "1234"]
    traced.run([RENZHENG, *enrol, "--consented", str(PORTRAITS.resolve() / "obama.jpg")], cwd=folder)
    with running(traced, [RENZHENG, "edge", "run", "--config", "edge.toml"], folder, page):
        assert get(f"http://127.0.0.1:{page}/health")
    reached = traced.reached()
    assert reached.traces > 3
    assert reached.addresses <= {f"127.0.0.1:{broker}"}
    assert f"127.0.0.1:{broker}" in reached.addresses, "the trace sees what is configured"
    assert elsewhere(reached, folder, folder) == set()
    assert list(traced.home.iterdir()) == [], "onnxruntime's telemetry keeps its queue of events here"


def test_ward_cameras_and_a_bedside_unit_reach_what_is_configured(traced, tmp_path):
    camera, page = free_port(), free_port()
    folder = tmp_path / "ward"
    folder.mkdir()
    (folder / "ward.toml").write_text(f"""
[device]
device_id = "ward-1"
institution_id = "H1"
purpose = "inpatient"
[kiosk]
port = {page}
[bedside]
port = {page}
[ward]
health_port = {page}
[[ward.cameras]]
id = "door"
url = "rtsp://127.0.0.1:{camera}/x"
ward = "1"
place = "entrance"
""")
    for words in (["edge", "ward"], ["edge", "bedside"]):
        with running(traced, [RENZHENG, *words, "--config", "ward.toml"], folder, page):
            time.sleep(1)  # the first look at the camera, and the engine's networks
    reached = traced.reached()
    assert reached.addresses <= {f"127.0.0.1:{camera}"}
    assert elsewhere(reached, folder, folder) == set()
    assert list(traced.home.iterdir()) == []


def test_central_and_an_audit_reach_the_broker_and_their_folder(traced, tmp_path):
    folder = tmp_path / "site"
    folder.mkdir()
    with running_site(folder, "embedded", run=functools.partial(running, traced)) as site:
        assert get(f"http://127.0.0.1:{site.console}/api/v1/devices") is not None
    simulate = ["simulate", "county", "--out", "county", "--days", "1", "--people", "200"]
    traced.run([RENZHENG, *simulate], cwd=folder)
    days = ["--from", "2026-03-02", "--to", "2026-03-02"]
    traced.run([RENZHENG, "audit", "run", "--tables", "county", *days, "--out", "result"], cwd=folder)
    reached = traced.reached()
    assert reached.addresses <= {f"127.0.0.1:{site.broker}"}
    assert reached.addresses
    assert elsewhere(reached, folder, folder) == set()
    assert list(traced.home.iterdir()) == []


def test_the_test_sees_a_call_that_is_not_configured(traced, tmp_path):
    script = (
        "import socket, pathlib; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM);"
        "s.connect(('192.0.2.1', 53)); pathlib.Path.home().joinpath('x').write_text('x')"
    )
    with contextlib.suppress(subprocess.CalledProcessError):  # a machine without a route
        traced.run([str(Path(RENZHENG).with_name("python")), "-c", script], cwd=tmp_path)
    assert "192.0.2.1:53" in traced.reached().addresses
