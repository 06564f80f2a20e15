"""The commands: the notice for the door on one A4 page a ward, trying, settling, watching."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from parts.edge import Page, eventually
from typer.testing import CliRunner

from renzheng.contracts import log as chain
from renzheng.contracts.errors import InputError
from renzheng.edge.command import app
from renzheng.edge.device.log import DeviceLog
from renzheng.edge.device.store.database import Store
from renzheng.edge.settings import load_settings
from renzheng.edge.ward.notice import write_notice

SETTINGS = """
[device]
device_id = "ward-1"
institution_id = "H1"
purpose = "inpatient"
[ward]
crop_days = 5
[[ward.cameras]]
id = "door"
url = "rtsp://127.0.0.1:1/x"
ward = "肾内科<一>病区"
place = "entrance"
[[ward.cameras]]
id = "hall"
url = "rtsp://127.0.0.1:1/y"
ward = "心内科二病区"
place = "corridor"
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "ward.toml"
    path.write_text(SETTINGS, encoding="utf-8")
    return path


def test_it_says_what_the_settings_do(config, tmp_path):
    out = tmp_path / "notice.html"
    said = CliRunner().invoke(
        app, ["ward", "notice", "--config", str(config), "--out", str(out), "--contact", "医务科 0531-1234"]
    )
    assert said.exit_code == 0, said.output
    page = out.read_text(encoding="utf-8")
    for words in (
        "5 天后删除",
        "deleted after 5 days",
        "30 分钟",
        "医务科 0531-1234",
        "并单独同意",
        "separate consent",
    ):
        assert words in page
    assert "肾内科&lt;一&gt;病区" in page
    assert page.count("<main>") == 2


def test_without_consent_as_the_basis_it_does_not_speak_of_it(config, tmp_path):
    config.write_text(SETTINGS.replace("crop_days = 5", "consent_needed = false"), encoding="utf-8")
    write_notice(load_settings(config), tmp_path / "notice.html", ward="心内科二病区")
    page = (tmp_path / "notice.html").read_text(encoding="utf-8")
    assert "separate consent" not in page
    assert page.count("<main>") == 1


def test_a_ward_without_cameras_gets_no_notice(config, tmp_path):
    with pytest.raises(InputError, match="ward 9"):
        write_notice(load_settings(config), tmp_path / "notice.html", ward="9")


@pytest.mark.chromium
def test_it_prints_one_a4_page_a_ward(config, tmp_path):
    out, printed = tmp_path / "notice.html", tmp_path / "notice.pdf"
    write_notice(
        load_settings(config), out, hospital="某某某县中医医院与人民医院联合体", contact="医务科 0531-1234"
    )
    command = [shutil.which("chromium"), "--headless", "--no-sandbox", "--disable-gpu"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--no-pdf-header-footer"]
    subprocess.run(
        [*command, f"--print-to-pdf={printed}", out.as_uri()], check=True, capture_output=True, timeout=90
    )
    content = printed.read_bytes()
    assert len(re.findall(rb"/Type\s*/Page\b", content)) == 2
    width, height = map(float, re.search(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", content).groups())
    assert (round(width), round(height)) == (595, 842)


def test_trying_cameras_names_what_is_wrong_with_each(config):
    said = CliRunner().invoke(app, ["ward", "probe", "--config", str(config), "--seconds", "5"])
    assert said.exit_code == 1
    assert said.output.split("\n")[:2] == ["door: unreachable", "hall: unreachable"]


def test_a_camera_is_settled_by_its_name(config, tmp_path):
    scene = tmp_path / "data" / "scenes" / "door.npy"
    scene.parent.mkdir(parents=True)
    scene.write_bytes(b"x")
    config.write_text(
        SETTINGS.replace("[ward]", f'data_dir = "{tmp_path / "data"}"\n[ward]', 1), encoding="utf-8"
    )
    assert CliRunner().invoke(app, ["ward", "settle", "--config", str(config), "door"]).exit_code == 0
    assert not scene.exists()
    refused = CliRunner().invoke(app, ["ward", "settle", "--config", str(config), "roof"])
    assert isinstance(refused.exception, InputError)


def test_the_cameras_are_not_watched_without_settings_or_as_a_kiosk(config):
    assert CliRunner().invoke(app, ["ward"]).exit_code == 2
    config.write_text(SETTINGS.replace("inpatient", "dialysis"), encoding="utf-8")
    refused = CliRunner().invoke(app, ["ward", "--config", str(config)])
    assert "inpatient" in str(refused.exception)


@pytest.mark.ffmpeg
def test_the_agent_runs_without_any_camera_in_reach_and_ends_when_told(config, tmp_path):
    config.write_text(
        SETTINGS.replace("[ward]", 'data_dir = "data"\n[ward]\nhealth_port = 0', 1), encoding="utf-8"
    )
    program = Path(sys.executable).with_name("renzheng")
    with subprocess.Popen(
        [program, "edge", "ward", "--config", config],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as agent:
        url = agent.stdout.readline().rpartition(" ")[2].strip()
        page = Page(url.removesuffix("/health"))
        assert eventually(lambda: page.get("/health").json()["cause"] == "door:unreachable,hall:unreachable")
        assert page.get("/health").json()["state"] == "down"
        agent.terminate()
        assert agent.wait(60) == 0
    store = Store(tmp_path / "data" / "device.sqlite")
    kinds = [chain.read_entry(line).event for line in DeviceLog(store, "ward-1").lines(0, 50)]
    store.close()
    assert kinds[0]["type"].endswith("device.started")
    assert kinds[-1]["type"].endswith("device.stopped")
    assert {one["data"]["state"] for one in kinds if "coverage" in one["type"]} == {"down"}
