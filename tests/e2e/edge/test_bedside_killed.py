"""The bedside page killed in the middle, and a device killed while it takes answers over."""

import os
import signal
import time
from pathlib import Path

import pytest
from parts.bedside import answers_of, events_of, make_check, make_unit_now, sheet_now
from parts.bedside_browser import noisy_feed, tablet
from parts.edge import eventually, hurry
from parts.killed import Apart

from renzheng.contracts.log import read_entry
from renzheng.edge.device.log import DeviceLog
from renzheng.edge.device.store.database import Store

pytestmark = pytest.mark.chromium
SHADE = 120
MOMENTS = (0.05, 0.4) if os.environ.get("FAULTS") == "long" else (0.4,)


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    hurry(monkeypatch)


@pytest.fixture(scope="module")
def feed(tmp_path_factory):
    return noisy_feed(tmp_path_factory.mktemp("feed") / "feed.y4m", SHADE)


def test_a_page_killed_in_the_middle_of_an_answer_loses_and_doubles_nothing(tmp_path, feed):
    unit = make_unit_now(tmp_path / "unit", sheet_now())
    unit.start()
    profile = tmp_path / "profile"
    with tablet(unit.url, feed, profile=profile) as held:
        asked = held.context.new_cdp_session(held.page)
        assert asked.send("Page.getInstallabilityErrors") == {"installabilityErrors": []}
        held.open_round()
        held.bed("C1", "refused")
        held.tap("#confirm")
        held.save()
        held.waiting(0)
        held.context.set_offline(offline=True)
        held.bed("C2", "refused")
        held.tap("#confirm")
        held.save()
        held.bed("C3", "cannot_be_asked")
        held.tap("[data-value=name]")
        held.tap("[data-value=isolation]")
        held.page.wait_for_timeout(300)
        kill_browser(profile)
        held.dead = True
    with tablet(unit.url, feed, profile=profile) as held:
        held.sign_in()
        assert held.reach("form", "rounds") == "form"
        assert held.page.get_attribute("[data-value=name]", "aria-pressed") == "true"
        assert held.page.get_attribute("[data-value=isolation]", "aria-pressed") == "true"
        held.tap("[data-value=wristband]")
        held.vouch()
        held.save()
        held.waiting(0)
        assert held.page.locator("[data-state=done]").count() == 3
    assert answers_of(unit) == {
        "P1": ("refused", None),
        "P2": ("refused", None),
        "P3": ("present", "isolation"),
    }
    assert len(events_of(unit, "spot_check.answered")) == 3
    unit.stop()


def kill_browser(profile: Path) -> None:
    """SIGKILL the browser of this profile, as a flat battery would."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        mine = f"--user-data-dir={profile}".encode() in words
        if mine and not any(word.startswith(b"--type=") for word in words):
            os.kill(int(entry.name), signal.SIGKILL)


UNIT = """
import time
from parts.bedside import make_unit_now
unit = make_unit_now(folder, sheet, port=port)
unit.start()
tell(unit.url)
time.sleep(600)
"""


def cut_off_once(page):
    """Let the device's next word on an answer break off in the middle, as by a kill while it speaks."""

    def cut_off(route):
        answer = route.fetch()
        assert answer.status == 200
        route.fulfill(response=answer, body=answer.text()[:20])

    page.route("**/api/answers", cut_off, times=1)


def test_a_device_killed_while_it_takes_answers_over_has_each_exactly_once(tmp_path, feed):
    sheet = sheet_now(checks=[make_check(number) for number in range(8)])
    unit = Apart(UNIT, folder=tmp_path, sheet=sheet, port=0)
    url = unit.hear()
    port = int(url.rsplit(":", 1)[1].strip("/"))
    with tablet(url, feed) as held:
        held.open_round()
        cut_off_once(held.page)
        held.bed("C0", "refused")
        held.tap("#confirm")
        held.save()
        held.waiting(0)
        held.page.wait_for_selector("[data-check=C0][data-state=done]")
        unit.kill()
        for number in (1, 2, 4, 5, 6, 7):
            held.bed(f"C{number}", "refused")
            held.tap("#confirm")
            held.save()
        held.waiting(6)
        for seconds in MOMENTS:
            unit = Apart(UNIT, folder=tmp_path, sheet=sheet, port=port)
            unit.hear()
            written(tmp_path, at_least=1, within_seconds=seconds + 6)
            time.sleep(seconds)
            unit.kill()
        unit = Apart(UNIT, folder=tmp_path, sheet=sheet, port=port)
        unit.hear()
        held.waiting(0)
        assert eventually(lambda: held.page.locator("[data-state=done]").count() == 7)
        unit.kill()
    subjects = [event["subject"] for event in written(tmp_path)]
    assert subjects == ["P0", "P1", "P2", "P4", "P5", "P6", "P7"]


def written(folder, *, at_least=0, within_seconds=0.0):
    """The answers in the device's log, each entry of which must hold."""
    deadline = time.monotonic() + within_seconds
    while True:
        store = Store(folder / "data" / "device.sqlite")
        log = DeviceLog(store, "unit-01")
        log.verify()
        events = [read_entry(line).event for line in log.lines(0, 10_000)]
        store.close()
        found = [event for event in events if event["type"].endswith("spot_check.answered")]
        if len(found) >= at_least or time.monotonic() > deadline:
            return found
        time.sleep(0.05)
