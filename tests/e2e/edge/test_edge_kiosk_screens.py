"""Every screen of the kiosk, in both languages, both formats, both sizes of type: readable, and axe agrees.

Pictures of what axe looked at go to RENZHENG_ARTEFACTS (default: artefacts/kiosk in the working folder).
"""

import itertools
import os
from dataclasses import replace
from datetime import time, timedelta

import pytest
from parts import chromium
from parts.edge import DAY, StandInEngine, jpeg_of, make_settings, stepped_clock
from parts.kiosk import (
    LANDSCAPE,
    PORTRAIT,
    Kiosk,
    Line,
    assert_axe_finds_nothing,
    assert_reachable,
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
FORMATS = {"1080": PORTRAIT, "1280": LANDSCAPE, "1366": {"width": 1366, "height": 768}}
EVERY = [*itertools.product(("zh", "en"), ("1080", "1280"), ("", "larger")), ("en", "1366", "larger")]
BY_AXE = {EVERY[0], EVERY[7]}  # Chinese on the tall screen; English on the wide one in larger type
# `long`: every pair; otherwise each language, each format and each size of type once
SHOWN = EVERY if os.environ.get("FAULTS") == "long" else [EVERY[0], EVERY[7], EVERY[8]]
LONG_NAME = "阿卜杜热合曼·买买提艾力·吐尔逊江·阿不都热西提"  # 24 characters
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
        for person, surname, consented in (
            ("P1", "欧某", True),
            ("P2", LONG_NAME, False),
            ("P3", "𠮷某", True),
        ):
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
    for shown in SHOWN:
        language, width, larger = shown
        if page.evaluate("document.documentElement.lang").split("-")[0] != language:
            page.evaluate("document.querySelector('#language').click()")
            page.wait_for_selector(f"html[lang^={language}]")
        page.set_viewport_size(FORMATS[width])
        page.evaluate("on => document.documentElement.classList.toggle('larger', on)", bool(larger))
        assert_readable(page)
        assert_reachable(page)
        if shown in BY_AXE:
            page.emulate_media(forced_colors="active" if larger else "none")
            kiosk.shoot("-".join(filter(None, (name, language, width, larger))))
            assert_axe_finds_nothing(page)
            page.emulate_media(forced_colors="none")
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


# `long`: the harder case, a roster that changes, is below
@pytest.mark.long
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


SURNAMES = (
    "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦尤许何吕施张孔曹严华金魏陶姜戚谢邹喻柏水窦章云苏潘葛奚"
    "范彭郎鲁韦昌马苗凤花方俞任袁"
)


def test_a_list_of_62_begins_with_who_is_expected_and_is_found_by_the_surname_s_sound(make_agent, feed):
    agent = make_agent()
    for number, surname in enumerate(SURNAMES):
        agent.people.put_patient(f"N{number:02}", surname=f"{surname}某", card_number=f"62229999{number:04}")
    everyone = [f"N{number:02}" for number in range(len(SURNAMES))]
    agent.people.put_on_roster(DAY.date(), everyone)
    agent.people.put_on_roster(DAY.date(), ["N15", "N03"], expected_at=time(8))  # 杨 and 李, now
    with agent.store.writing() as database:
        agent.people.signed_in("N07", "S7", DAY - timedelta(minutes=30))(database)
        agent.people.signed_in("N09", "S9", DAY - timedelta(minutes=30))(database)
        agent.people.signed_out("S9", DAY)(database)
    with opened(agent, feed, viewport=LANDSCAPE) as kiosk:
        page = kiosk.page

        def names():
            return page.locator("#roster b").all_inner_texts()

        page.wait_for_selector("#rail button")
        assert page.locator("#roster > *").all_inner_texts()[:6] == [
            "现在到的患者", "李某\n****0003", "杨某\n****0015",
            "已签到（签退请点这里）", "王某\n****0007", "其他患者",
        ]  # fmt: skip
        assert names()[3:6] == [LONG_NAME, "柏某", "曹某"]
        assert "陈某" not in names()  # has been and gone
        assert_readable(page)
        assert_reachable(page)
        kiosk.shoot("roster-of-62")
        kiosk.touch("#rail button:has-text('H–J')")
        page.get_by_text("李某").wait_for(state="detached")
        assert names() == ["韩某", "何某", "花某", "华某", "𠮷某", "姜某", "蒋某", "金某"]
        kiosk.touch("#rail button:has-text('全部')")
        kiosk.touch("#gone")
        page.get_by_text("陈某").wait_for()
        kiosk.touch("[data-person=P2]")
        kiosk.reach("consent")
        assert LONG_NAME in page.inner_text("section[data-for=consent] .who")
        kiosk.touch("#cancel")
        kiosk.reach("idle")
        page.get_by_text("陈某").wait_for(state="detached")


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


def test_the_form_of_enrolment(make_agent, feed):
    """Its heading and first fields are there to be touched; what breaks off is said, with what was typed."""
    agent, line = make_agent(), Line()
    with opened(agent, feed, before=line) as kiosk:
        page = kiosk.page
        page.goto(f"{agent.kiosk_url}enrol")
        page.wait_for_selector("html[lang=zh-CN] [data-say='enrol.begin']:not(:empty)")
        inspect(kiosk, "enrol")
        page.set_viewport_size(LANDSCAPE)
        for field, text in {
            "#person": "V1",
            "#surname": "𠮷" * 24,
            "#card": "622200009999",
            "#witness": "1001",
            "#pin": "2468",
        }.items():
            page.click(field)
            page.keyboard.insert_text(text)
        page.click("#consented")
        line.cut()
        page.click("button[type=submit]")
        page.locator("#problem").filter(has_text="正在重新连接").wait_for()
        page.locator(".link").filter(has_text="没有送达").wait_for()
        line.mend()
        page.click("button[type=submit]")
        kiosk.reach("looking")
        assert_reachable(page)
        line.cut()
        page.locator(".link").filter(has_text="本机程序没有响应").wait_for()
        line.mend()
        page.locator("#guidance").filter(has_text="站到摄像头前").wait_for()
        kiosk.touch("#back")
        kiosk.reach("form")
        assert page.input_value("#surname") == "𠮷" * 24
        assert page.input_value("#pin") == ""


def test_asleep(make_agent, feed):
    agent = make_agent(wake_on_motion=False)
    with opened(agent, feed) as kiosk:
        fall_asleep(agent, kiosk)
        assert kiosk.page.inner_text("#roster") == ""
        inspect(kiosk, "asleep")
