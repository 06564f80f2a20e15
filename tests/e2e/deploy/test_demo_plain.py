"""The main job without the portraits."""

import subprocess

from parts.site import RENZHENG


def test_missing_portraits_are_said_so_with_the_way_to_get_them(tmp_path):
    command = [RENZHENG, "demo", "--portraits", str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 1
    assert "obama.jpg" in ended.stderr
    assert "make setup" in ended.stderr
