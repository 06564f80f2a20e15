"""The kiosk in a real Chromium with a pretended camera: every way through it, seen as a patient sees it.

Screenshots go to RENZHENG_ARTEFACTS (default: artefacts/kiosk in the working folder, which git ignores).
"""

import os
import re
from contextlib import contextmanager
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from parts.edge import DAY, eventually, make_settings, stepped_clock
from playwright.sync_api import Page, sync_playwright

from renzheng.contracts.log import read_entry
from renzheng.deploy.demo.feed import render_feed
from renzheng.edge.main import build_agent
from renzheng.models.engine import open_engine

pytestmark = pytest.mark.chromium
PORTRAITS = Path(os.environ.get("RENZHENG_PORTRAITS", ".cache/portraits"))
SHOTS = Path(os.environ.get("RENZHENG_ARTEFACTS", "artefacts")) / "kiosk"
PORTRAIT, LANDSCAPE = {"width": 1080, "height": 1920}, {"width": 1280, "height": 800}
MINE, ANOTHER, REFERENCE = "obama2.jpg", "biden.jpg", "obama.jpg"


@pytest.fixture(scope="session")
def engine():
    if not (PORTRAITS / REFERENCE).exists():
        pytest.skip(f"no portraits in {PORTRAITS}: run make setup, or set RENZHENG_PORTRAITS")
    return open_engine("dlib", threads=1)


@pytest.fixture
def agent(tmp_path, engine):
    settings = make_settings(tmp_path, kiosk={"done_seconds": 3, "attempt_seconds": 8})
    agent = build_agent(settings, clock=stepped_clock(), engine=engine)
    photograph = (PORTRAITS / REFERENCE).read_bytes()
    for person, surname, card, consented in (
        ("P1", "欧某", "6222000011112222", True),
        ("P2", "新某", "6222000011113333", False),
    ):
        agent.enrol(
            person,
            surname=surname,
            card_number=card,
            photographs=[photograph],
            consented=consented,
            on_roster=DAY.date(),
        )
    agent.people.put_witness("1001", "2468")
    agent.start()
    yield agent
    agent.stop()


class Kiosk:
    """The page, and the camera before it."""

    def __init__(self, page: Page, feed: Path) -> None:
        self.page, self.feed = page, feed

    def show(self, photograph: str, motion: str) -> None:
        """Put something before the camera; the page must have let go of it."""
        render_feed(PORTRAITS / photograph, self.feed, motion=motion)

    def reach(self, *screens: str) -> str:
        """Wait for one of these screens."""
        self.page.wait_for_selector(
            ", ".join(f"body[data-screen={name}]" for name in screens), timeout=20_000
        )
        return self.page.evaluate("document.body.dataset.screen")

    def shoot(self, name: str) -> None:
        """Keep a picture of the page."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SHOTS / f"{name}.png")

    def touch(self, selector: str) -> None:
        """Touch what is to be seen."""
        self.page.locator(selector).locator("visible=true").first.click()


@contextmanager
def opened(agent, feed, *, viewport=PORTRAIT, language="zh"):
    arguments = [
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={feed}",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=arguments)
        page = browser.new_page(viewport=viewport)
        said = []
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
        page.goto(f"{agent.kiosk_url}?lang={language}")
        page.wait_for_selector("#roster button")
        yield Kiosk(page, feed)
        browser.close()
    unexpected = [line for line in said if not re.search(r"status of (403|404|409)", line)]
    assert unexpected == []


def events_of(agent, name):
    every = [read_entry(line).event for line in agent.log.lines(0, 1000)]
    return [event for event in every if event["type"].endswith(name)]


@pytest.fixture
def feed(tmp_path):
    return tmp_path / "feed.y4m"


def test_a_patient_signs_in_and_out_by_face_within_a_second(agent, feed):
    render_feed(PORTRAITS / MINE, feed)
    with opened(agent, feed) as kiosk:
        kiosk.shoot("1-idle")
        kiosk.touch("[data-person=P1]")
        kiosk.page.wait_for_selector("body[data-usable=yes], body[data-screen=done]")
        kiosk.shoot("2-looking")
        kiosk.reach("done")
        kiosk.shoot("3-done")
        assert "签到成功" in kiosk.page.inner_text("#done-title")
        assert kiosk.page.evaluate("document.querySelector('#video').srcObject") is None
        kiosk.reach("idle")
        assert "欧某" not in kiosk.page.inner_text("section[data-for=done]")
        kiosk.touch("[data-person=P1]")
        kiosk.reach("done")
        assert "签退成功" in kiosk.page.inner_text("#done-title")
        assert eventually(lambda: len(agent.station.latencies) == 2)
    (signed_in,), (signed_out,) = events_of(agent, "sign_in"), events_of(agent, "sign_out")
    assert (signed_in["data"]["outcome"], signed_in["data"]["pad"]) == ("match", "bona_fide")
    assert signed_out["data"]["session_id"] == signed_in["data"]["session_id"]
    assert all(0 < latency.milliseconds < 10_000 for latency in agent.station.latencies)


def test_another_face_a_photograph_and_a_waved_photograph_do_not_pass_as_the_patient(agent, feed):
    render_feed(PORTRAITS / ANOTHER, feed)
    with opened(agent, feed) as kiosk:
        kiosk.touch("[data-person=P1]")
        assert kiosk.reach("failed", "done") == "failed"
        kiosk.shoot("4-failed")
        kiosk.show(MINE, "flat")
        kiosk.touch(".go-on")
        kiosk.reach("looking")
        assert kiosk.reach("failed", "done") == "failed"
        kiosk.show(ANOTHER, "still")
        kiosk.touch(".go-on")
        kiosk.reach("looking")
        assert kiosk.reach("other_way", "done") == "other_way"
        kiosk.shoot("5-other-way")
    outcomes = [event["data"]["outcome"] for event in events_of(agent, "identity_check")]
    assert outcomes[1] == "attack_suspected"
    assert set(outcomes) <= {"non_match", "attack_suspected", "not_acquired"}
    assert events_of(agent, "sign_in") == []


def test_somebody_who_holds_still_is_asked_to_move_and_signed_in_with_liveness_not_shown(agent, feed):
    render_feed(PORTRAITS / MINE, feed, motion="still")
    with opened(agent, feed) as kiosk:
        kiosk.touch("[data-person=P1]")
        kiosk.page.get_by_text("转一下头").wait_for()
        kiosk.shoot("6-asked-to-move")
        kiosk.reach("done")
    (signed_in,) = events_of(agent, "sign_in")
    assert (signed_in["data"]["outcome"], signed_in["data"]["pad"]) == ("match", "not_shown")


@pytest.mark.parametrize(("language", "title"), [("zh", "签到成功"), ("en", "Signed in")])
@pytest.mark.parametrize("viewport", [PORTRAIT, LANDSCAPE], ids=["portrait", "landscape"])
def test_the_other_way_is_open_from_the_notice_in_both_languages_and_formats(
    agent, feed, language, title, viewport
):
    render_feed(PORTRAITS / MINE, feed, seconds=0.2)
    name = f"{language}-{viewport['width']}"
    with opened(agent, feed, viewport=viewport, language=language) as kiosk:
        kiosk.shoot(f"{name}-idle")
        assert_usable(kiosk.page)
        kiosk.page.fill("#card", "6222000011113333")
        kiosk.page.keyboard.press("Enter")
        kiosk.reach("consent")
        kiosk.shoot(f"{name}-consent")
        assert_usable(kiosk.page)
        kiosk.touch("#refuse")
        kiosk.reach("other_way")
        kiosk.shoot(f"{name}-other-way")
        assert_usable(kiosk.page)
        kiosk.touch("#identifiers button")
        for key in "1001⇥2468":
            kiosk.page.click(f"#pad button:has-text('{key}')")
        kiosk.touch("#witness-form button[type=submit]")
        kiosk.reach("done")
        kiosk.shoot(f"{name}-done")
        assert_usable(kiosk.page)
        assert title in kiosk.page.inner_text("#done-title")
    (signed_in,) = events_of(agent, "sign_in")
    assert (signed_in["data"]["outcome"], signed_in["data"]["reason"]) == ("declined", "face_declined")
    assert [event["data"]["given"] for event in events_of(agent, "consent.recorded")] == [True, False]


def assert_usable(page: Page) -> None:
    """Type of 28 px or more, targets of 72 px or more, nothing cut off at the side, WCAG 2.2 AA by axe."""
    small = page.evaluate(
        """() => [...document.querySelectorAll('button, input, label, p, h1, h2, legend')]
        .filter((e) => e.offsetParent && e.textContent !== '' && getComputedStyle(e).visibility === 'visible')
        .filter((e) => parseFloat(getComputedStyle(e).fontSize) < 28
          || (e.matches('button, input') && (e.offsetHeight < 72 || e.offsetWidth < 72)))
        .map((e) => e.outerHTML.slice(0, 80))"""
    )
    assert small == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    wanted = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
    contrast_of_seven = {"color-contrast-enhanced": {"enabled": True}}
    found = Axe().run(page, options={"runOnly": wanted, "rules": contrast_of_seven})
    assert "color-contrast-enhanced" in {each["id"] for each in found.response["passes"]}
    assert [(each["id"], each["nodes"][0]["html"][:120]) for each in found.response["violations"]] == []


def test_larger_type_stays_usable(agent, feed):
    render_feed(PORTRAITS / MINE, feed, seconds=0.2)
    with opened(agent, feed) as kiosk:
        kiosk.touch("#larger")
        kiosk.touch("[data-person=P2]")
        kiosk.reach("consent")
        assert kiosk.page.evaluate("parseFloat(getComputedStyle(document.documentElement).fontSize)") >= 35
        kiosk.shoot("8-larger")
        assert_usable(kiosk.page)


def test_an_unknown_card_is_said_plainly(agent, feed):
    render_feed(PORTRAITS / MINE, feed, seconds=0.2)
    with opened(agent, feed) as kiosk:
        kiosk.page.fill("#card", "0000000000000000")
        kiosk.page.keyboard.press("Enter")
        kiosk.page.get_by_text("没有找到").wait_for()
    assert events_of(agent, "identity_check") == []


def test_a_visitor_enrols_by_the_camera_and_signs_in(agent, feed):
    render_feed(PORTRAITS / ANOTHER, feed)
    with opened(agent, feed) as kiosk:
        kiosk.page.goto(f"{agent.kiosk_url}enrol")
        for field, value in {
            "#person": "V1",
            "#surname": "访客",
            "#card": "622200009999",
            "#witness": "1001",
            "#pin": "2468",
        }.items():
            kiosk.page.fill(field, value)
        kiosk.page.check("#consented")
        kiosk.shoot("7-enrol")
        kiosk.touch("button[type=submit]")
        kiosk.reach("done")
        kiosk.touch("a.button")
        kiosk.page.wait_for_selector("[data-person=V1]")
        kiosk.touch("[data-person=V1]")
        assert kiosk.reach("done", "failed", "other_way") == "done"
    assert events_of(agent, "sign_in")[0]["subject"] == "V1"
