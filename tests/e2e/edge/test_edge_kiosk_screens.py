"""Every screen of the kiosk, in both languages, both formats, both sizes of type: readable, and axe agrees.

Pictures of what axe looked at go to RENZHENG_ARTEFACTS (default: artefacts/kiosk in the working folder).
"""

import itertools
from dataclasses import replace

import pytest
from parts import chromium
from parts.edge import DAY, StandInEngine, jpeg_of, make_settings, stepped_clock
from parts.kiosk import (
    LANDSCAPE,
    PORTRAIT,
    Kiosk,
    assert_axe_finds_nothing,
    assert_readable,
    fall_asleep,
    opened,
    plain,
    write_feed,
)

from renzheng.edge.errors import StoreError
from renzheng.edge.kiosk.main import build_agent
from renzheng.edge.look import watcher
from renzheng.edge.look.watcher import now_ms

pytestmark = pytest.mark.chromium
MINE = 120
FORMATS = {"1080": PORTRAIT, "1280": LANDSCAPE}
LONG = {"attempt_seconds": 120, "tries": 2}


@pytest.fixture
def feed(tmp_path):
    path = tmp_path / "feed.y4m"
    write_feed(path, [plain(5)] * 5)  # nobody is to be seen
    return path


@pytest.fixture
def make_agent(tmp_path):
    agents = []

    def make(**kiosk):
        agent = build_agent(
            make_settings(tmp_path, kiosk=LONG | kiosk), clock=stepped_clock(), engine=StandInEngine()
        )
        for person, surname, consented in (("P1", "欧某", True), ("P2", "新某", False), ("P3", "王某", True)):
            agent.registration.enrol(
                person,
                surname=surname,
                card_number=f"62220000111122{person}",
                photographs=[jpeg_of(MINE)],
                consented=consented,
                on_roster=DAY.date(),
            )
        agent.people.put_witness("1001", "2468")
        agent.start()
        agents.append(agent)
        return agent

    yield make
    for agent in agents:
        agent.stop()


def inspect(kiosk: Kiosk, name: str) -> None:
    """Look at the screen that is up in every language, format and size; axe at each of them once."""
    page = kiosk.page
    every = itertools.product(("zh", "en"), FORMATS, ("", "larger"))
    for number, (language, width, larger) in enumerate(every):
        if page.evaluate("document.documentElement.lang").split("-")[0] != language:
            page.evaluate("document.querySelector('#language').click()")
            page.wait_for_selector(f"html[lang^={language}]")
        page.set_viewport_size(FORMATS[width])
        page.evaluate("on => document.documentElement.classList.toggle('larger', on)", bool(larger))
        assert_readable(page)
        if number in {0, 7}:  # Chinese on the tall screen, English on the wide one in larger type
            kiosk.shoot("-".join(filter(None, (name, language, width, larger))))
            assert_axe_finds_nothing(page)
    page.evaluate("document.querySelector('#language').click()")
    page.evaluate("document.documentElement.classList.remove('larger')")
    page.set_viewport_size(PORTRAIT)
    page.wait_for_selector("html[lang^=zh]")


def fetch_the_roster(page) -> None:
    """Let the page be painted in both languages and the roster be fetched each time."""
    for _ in range(2):
        with page.expect_response("**/kiosk/roster"):
            page.evaluate("document.querySelector('#language').click()")
    page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50)))")


def press_while_painted(page, selector: str) -> None:
    """Press on a tile, let the page be painted in both languages and the roster be fetched, then lift."""
    with chromium.pressed(page, selector):
        fetch_the_roster(page)


def test_a_press_is_not_lost_when_the_roster_is_fetched_meanwhile(make_agent, feed):
    with opened(make_agent(), feed) as kiosk:
        press_while_painted(kiosk.page, "[data-person=P2]")
        kiosk.reach("consent")


def test_a_press_is_not_lost_when_the_roster_changes_under_it(make_agent, feed):
    """Others come before the pressed tile, which is itself to go: painted when the finger has lifted."""
    agent = make_agent()
    with opened(agent, feed) as kiosk:
        page = kiosk.page
        with chromium.pressed(page, "[data-person=P2]"):
            for number in range(8):
                agent.people.put_patient(f"N{number}", surname="丁某", card_number=f"{number}1234")
            agent.people.put_on_roster(DAY.date(), [f"N{number}" for number in range(8)])
            with agent.store.writing() as database:
                database.execute("DELETE FROM roster WHERE person_id = 'P2'")
            fetch_the_roster(page)
        kiosk.reach("consent")
        kiosk.touch("#cancel")
        kiosk.reach("idle")
        page.wait_for_selector("[data-person=N7]")
        assert page.locator("[data-person=P2]").count() == 0


def test_idle_scan_and_comfort(make_agent, feed):
    with opened(make_agent(), feed) as kiosk:
        inspect(kiosk, "idle")
        kiosk.touch("#scan")
        kiosk.reach("scan")
        inspect(kiosk, "scan")
        kiosk.touch("#cancel")
        kiosk.reach("idle")
        kiosk.touch("#comfort")
        inspect(kiosk, "comfort")


def test_consent_and_the_other_way(make_agent, feed):
    with opened(make_agent(), feed) as kiosk:
        kiosk.touch("[data-person=P2]")
        kiosk.reach("consent")
        inspect(kiosk, "consent")
        kiosk.touch("#refuse")
        kiosk.reach("other_way")
        inspect(kiosk, "other-way")
        kiosk.touch("#identifiers button")
        for key in "1001⇥2468":
            kiosk.page.click(f"#pad button:has-text('{key}')")
        kiosk.touch("#witness-form button[type=submit]")
        kiosk.reach("done")
        inspect(kiosk, "done")


def end_the_look(monkeypatch):
    """Let the watcher's clock be past the end of every look, however long the screens were looked at."""
    monkeypatch.setattr(watcher, "now_ms", lambda: now_ms() + 2 * LONG["attempt_seconds"] * 1000)


def test_looking_failing_and_being_asked_for_more_time(make_agent, feed, monkeypatch):
    agent = make_agent()
    with opened(agent, feed) as kiosk:
        kiosk.touch("[data-person=P1]")
        kiosk.reach("looking")
        kiosk.page.get_by_text("站到摄像头前").wait_for()
        inspect(kiosk, "looking")
        end_the_look(monkeypatch)
        kiosk.reach("failed")
        inspect(kiosk, "failed")
        agent.kiosk.controller.rules = replace(agent.kiosk.controller.rules, idle_ms=300)
        kiosk.page.evaluate("fetch('/kiosk/more-time', {method: 'POST'})")
        kiosk.page.wait_for_selector("#more-time[open]")
        inspect(kiosk, "more-time")
        kiosk.touch("#more-time-yes")
        kiosk.page.wait_for_selector("#more-time:not([open])", state="attached")
        assert kiosk.reach("failed") == "failed"


def full_disk(*_arguments, **_named):
    raise StoreError("The disk is full.")


def test_signed_in_already_and_a_fault(make_agent, feed, monkeypatch):
    agent = make_agent(already_minutes=60)
    with opened(agent, feed) as kiosk:
        kiosk.touch("[data-person=P3]")
        kiosk.reach("looking")
        kiosk.touch("footer .other-way")
        kiosk.reach("other_way")
        for selector in ("#identifiers button", "#causes button"):
            kiosk.touch(selector)
        kiosk.page.fill("#witness", "1001")
        kiosk.page.fill("#pin", "2468")
        kiosk.touch("#witness-form button[type=submit]")
        kiosk.reach("done")
        kiosk.go_home()
        kiosk.touch("[data-person=P3]")
        kiosk.reach("already")
        inspect(kiosk, "already")
        kiosk.touch("section .cancel")
        kiosk.reach("idle")
        kiosk.touch("[data-person=P2]")
        kiosk.reach("consent")
        monkeypatch.setattr(agent.recorder, "consent", full_disk)
        kiosk.touch("#agree")
        kiosk.reach("fault")
        inspect(kiosk, "fault")


def test_asleep(make_agent, feed):
    agent = make_agent(wake_on_motion=False)
    with opened(agent, feed) as kiosk:
        fall_asleep(agent, kiosk)
        assert kiosk.page.inner_text("#roster") == ""
        inspect(kiosk, "asleep")
