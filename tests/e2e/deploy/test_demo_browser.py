"""Some scenes of the demo's day before the kiosks' pages in a headless Chromium: one of each kind."""

import json
import subprocess
import sys

import pytest
from parts.demo import SECONDS
from parts.portraits import PORTRAITS

pytestmark = [pytest.mark.chromium, pytest.mark.timeout(SECONDS)]
KINDS = ["match", "declined", "non_match"]
SCENES = """
import json, sys
from pathlib import Path
from renzheng.deploy.demo import play, story
from renzheng.deploy.demo.browser import BrowserVisitor
from renzheng.deploy.demo.stage import Stage
from renzheng.edge.look import attempt, pace
attempt.LOST_MS = 5_000  # a busy machine looks at few frames
pace.SLOW_MS = pace.LONGEST_MS = 3_600_000
out, portraits, kinds = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
scenes = [next(scene for scene in story.SCENES if scene.expected == kind) for kind in kinds]
pictures = out / "screens"
(out / "play").mkdir()
with Stage(out / "play", portraits, with_pages=True) as stage, BrowserVisitor(out, pictures) as visitor:
    for clinic in story.CLINICS:
        visitor.open(clinic, stage.agents[clinic.device_id].kiosk_url)
    for scene in scenes:
        stage.advance_to(scene.when)
        play._act(stage, visitor, scene)
    stage.wait_until_sent(story.NORTH)
    events, latencies = stage.stored_events(), stage.latencies()
    visitor.picture(stage.central.url.rstrip("/") + "/devices", pictures / "console-devices.png")
played = [play._played(scene, events, latencies) for scene in scenes]
told = [[one.event["data"]["outcome"], one.usable_face_to_green_ms] for one in played]
(out / "told.json").write_text(json.dumps(told))
"""


# `long`: test_demo.py plays the whole day, tests/e2e/edge has the pages in a browser
@pytest.mark.long
def test_a_patient_one_who_declines_and_somebody_else_before_the_pages(tmp_path):
    command = [sys.executable, "-c", SCENES, tmp_path, PORTRAITS, *KINDS]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS - 20, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    told = json.loads((tmp_path / "told.json").read_text(encoding="utf-8"))
    assert [outcome for outcome, _ in told] == KINDS
    assert told[0][1] > 0, "from the usable face to green, as the page measured it"
    taken = {path.name: path.stat().st_size for path in (tmp_path / "screens").iterdir()}
    assert {"kiosk.png", "console-devices.png", "0730-sign_in.png"} <= set(taken)
    assert min(taken.values()) > 10_000
