"""The kiosk by keyboard only, by one switch, from a wheelchair, by the left hand, and unseen."""

import shutil
from datetime import UTC, datetime, timedelta

import pytest
from parts.edge import DAY, StandInEngine, eventually, jpeg_of, make_settings, stepped_clock
from parts.kiosk import LANDSCAPE, PORTRAIT, assert_readable, events_of, opened, plain, write_feed

from renzheng.edge.kiosk import voices
from renzheng.edge.kiosk.main import build_agent

pytestmark = pytest.mark.chromium
MINE = 120


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder of the machine's own files with rendered voices; without a synthesiser it has none.

    What set-up rendered is taken over: only words that changed since then are rendered here.
    """
    folder = tmp_path_factory.mktemp("home")
    if shutil.which(voices.SYNTHESISER):
        if voices.voices_folder().is_dir():
            shutil.copytree(voices.voices_folder(), folder / "voices")
        voices.render(folder / "voices")
    return folder


@pytest.fixture
def feed(tmp_path):
    path = tmp_path / "feed.y4m"
    write_feed(path, [plain(5)] * 5)
    return path


@pytest.fixture
def make_agent(tmp_path, home, monkeypatch):
    monkeypatch.setenv("RENZHENG_HOME", str(home))
    agents = []

    def make(**kiosk):
        agent = build_agent(
            make_settings(tmp_path, kiosk={"attempt_seconds": 60} | kiosk),
            clock=stepped_clock(),
            engine=StandInEngine(),
        )
        for person, surname, consented in (("P1", "欧某", True), ("P2", "新某", False)):
            agent.registration.enrol(
                person,
                surname=surname,
                card_number=f"622200001111222{person[1]}",
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


def tab_to(page, selector, most=40):
    """Press Tab until a control has the focus; its ring must be seen."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            assert page.evaluate("parseFloat(getComputedStyle(document.activeElement).outlineWidth)") >= 5
            return
    raise AssertionError(f"Tab never came to {selector}")


def test_the_whole_way_by_keyboard_only(make_agent, feed):
    agent = make_agent()
    with opened(agent, feed, viewport=LANDSCAPE) as kiosk:
        press = kiosk.page.keyboard.press
        tab_to(kiosk.page, "[data-person=P2]")
        press("Enter")
        kiosk.reach("consent")
        tab_to(kiosk.page, "#agree")
        press("Enter")
        kiosk.reach("looking")
        tab_to(kiosk.page, "footer .other-way")
        press("Space")
        kiosk.reach("other_way")
        tab_to(kiosk.page, "#identifiers button")
        press("Space")
        tab_to(kiosk.page, "#witness")
        kiosk.page.keyboard.type("1001")
        tab_to(kiosk.page, "#pin")
        kiosk.page.keyboard.type("2468")
        press("Enter")
        kiosk.reach("done")
        kiosk.go_home()
    assert [event["data"]["outcome"] for event in events_of(agent, "sign_in")] == ["manual"]


def test_one_switch_goes_from_control_to_control_and_presses(make_agent, feed):
    agent = make_agent(comfort=("switch",), switch_seconds=2.0)
    with opened(agent, feed, own_time=True) as kiosk:
        kiosk.page.clock.pause_at(datetime.now(UTC) + timedelta(hours=1))  # a busy machine presses late

        def press_at(selector, most=40):
            for _ in range(most):
                kiosk.page.clock.run_for(2_000)
                if kiosk.page.locator(f"{selector}.pointed").count():
                    break
            kiosk.page.wait_for_selector(f"{selector}.pointed:focus")
            kiosk.page.keyboard.press("Enter")

        press_at("[data-person=P2]")
        kiosk.reach("consent")
        press_at("#agree")
        kiosk.reach("looking")
        press_at("#cancel")
        kiosk.reach("idle")
    assert [event["data"]["given"] for event in events_of(agent, "consent.recorded")] == [True, True]


@pytest.mark.parametrize("screen", [pytest.param("idle", marks=pytest.mark.long), "consent"])
def test_from_a_wheelchair_everything_is_in_the_lower_part(make_agent, feed, screen):
    with opened(make_agent(comfort=("low",)), feed, viewport=PORTRAIT) as kiosk:
        if screen == "consent":
            kiosk.touch("[data-person=P2]")
            kiosk.reach("consent")
        kiosk.shoot(f"low-{screen}")
        assert_readable(kiosk.page)
        tops = kiosk.page.evaluate(
            """() => [...document.querySelectorAll('button, input')]
            .filter((e) => e.checkVisibility({ checkVisibilityCSS: true }))
            .map((e) => e.getBoundingClientRect().top)"""
        )
        assert min(tops) > 0.38 * PORTRAIT["height"]


def test_for_the_left_hand_the_controls_change_sides(make_agent, feed):
    def middles(kiosk):
        return kiosk.page.evaluate(
            """() => Object.fromEntries(['#agree', '#refuse', '#comfort', '#cancel'].map((id) => {
              const box = document.querySelector(id).getBoundingClientRect();
              return [id, box.left + box.width / 2];
            }))"""
        )

    with opened(make_agent(), feed) as kiosk:
        kiosk.touch("[data-person=P2]")
        kiosk.reach("consent")
        right = middles(kiosk)
        kiosk.touch("#comfort")
        kiosk.touch("[data-mode=left]")
        kiosk.touch("#comfort-dialog .close")
        left = middles(kiosk)
        kiosk.shoot("left-consent")
        assert_readable(kiosk.page)
    assert right["#agree"] < right["#refuse"]
    assert left["#agree"] > left["#refuse"]
    assert left["#comfort"] < right["#comfort"]


@pytest.mark.espeak
# `long`: the other language; its clips are rendered and counted in the tests of the voices
@pytest.mark.parametrize("language", ["zh", pytest.param("en", marks=pytest.mark.long)])
def test_titles_choices_and_guidance_are_spoken_once_and_the_clip_really_plays(make_agent, feed, language):
    with opened(make_agent(), feed, language=language) as kiosk:
        kiosk.touch("[data-person=P2]")
        kiosk.reach("consent")
        wanted = ["title", "text_1", "text_2", "text_3", "agree", "refuse"]
        wait_until_playing(kiosk, f"{language}/consent.title")
        kiosk.page.evaluate("document.querySelector('#voice').playbackRate = 4")
        for _ in wanted:
            kiosk.page.wait_for_timeout(50)
            kiosk.page.evaluate("document.querySelector('#voice').currentTime = 1e6")
        kiosk.touch("#agree")
        kiosk.reach("looking")
        kiosk.page.wait_for_selector("#voice[data-key='guidance.step_into_view']", state="attached")
        wait_until_playing(kiosk, f"{language}/guidance.step_into_view")
        kiosk.page.wait_for_timeout(2_000)
        assert kiosk.spoken().count(f"{language}/guidance.step_into_view") == 1
        kiosk.touch("#cancel")
        kiosk.reach("idle")
        wait_until_playing(kiosk, f"{language}/idle.title")
        every = kiosk.spoken()
    assert f"{language}/consent.title" in every
    assert f"{language}/looking.sign_in" in every
    assert {path.split("/")[0] for path in every} == {language}


def wait_until_playing(kiosk, path):
    assert eventually(
        lambda: kiosk.page.evaluate(
            """path => {
              const a = document.querySelector('#voice');
              const plays = !a.error && a.duration > 0.3 && a.currentTime > 0;
              return plays && a.currentSrc.endsWith('/voices/' + path);
            }""",
            path,
        )
    ), (path, kiosk.spoken())


@pytest.mark.espeak
def test_the_keyboard_hears_where_it_is_and_a_muted_kiosk_says_nothing(make_agent, feed):
    with opened(make_agent(), feed) as kiosk:
        kiosk.touch("#comfort")
        kiosk.touch("[data-mode=sound]")
        kiosk.touch("#comfort-dialog .close")
        before = len(kiosk.spoken())
        kiosk.touch("[data-person=P2]")
        kiosk.reach("consent")
        assert len(kiosk.spoken()) == before
        kiosk.touch("#cancel")
        kiosk.reach("idle")
        kiosk.touch("#comfort")
        kiosk.touch("[data-mode=sound]")
        kiosk.touch("#comfort-dialog .close")
        tab_to(kiosk.page, "#scan")
        wait_until_playing(kiosk, "zh/scan.button")
        tab_to(kiosk.page, "[data-person=P1]")
        wait_until_playing(kiosk, "zh/spoken.ending")
        wait_until_playing(kiosk, "zh/digit.2")


def test_a_kiosk_without_voices_says_so_and_works(make_agent, feed, monkeypatch, tmp_path):
    monkeypatch.setenv("RENZHENG_HOME", str(tmp_path / "empty"))
    agent = make_agent()
    assert agent.health()["voices"] == {"en": 0, "zh": 0}
    with opened(agent, feed) as kiosk:
        kiosk.touch("#comfort")
        assert kiosk.page.is_disabled("[data-mode=sound]")
        assert kiosk.page.inner_text("[data-mode=sound]") == "本机没有语音"
        kiosk.touch("#comfort-dialog .close")
        kiosk.touch("[data-person=P2]")
        kiosk.reach("consent")
        assert kiosk.spoken() == []
