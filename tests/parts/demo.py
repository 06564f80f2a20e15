"""Runs the demo as a user does."""

import json
import subprocess

from parts.site import RENZHENG

SECONDS = 900
"""A busy machine may take its time for a day; what must not be late in it, the play itself says."""


def run_demo(out, *options):
    """Play the day into a folder; returns the report."""
    command = [RENZHENG, "demo", *options, "--out", str(out)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS - 20, check=False)
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
    return json.loads((out / "report.json").read_text(encoding="utf-8"))
