"""The main job without a browser, and without the portraits."""

import subprocess

import pytest
from parts.demo import SECONDS, run_demo
from parts.private import open_to_others
from parts.site import RENZHENG

pytestmark = pytest.mark.timeout(SECONDS)


def test_the_day_can_be_played_without_a_browser(tmp_path):
    report = run_demo(tmp_path, "--no-stay")
    assert report["ok"] is True
    assert open_to_others(tmp_path) == {}, "whatever the umask"


def test_missing_portraits_are_said_so_with_the_way_to_get_them(tmp_path):
    command = [RENZHENG, "demo", "--portraits", str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 1
    assert "obama.jpg" in ended.stderr
    assert "make setup" in ended.stderr
