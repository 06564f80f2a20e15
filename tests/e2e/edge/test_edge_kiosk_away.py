"""The kiosk while its agent is away, and a kiosk that is too slow: by its own clock, no load is made."""

import numpy as np
import pytest
from parts.edge import DAY, StandInEngine, eventually, jpeg_of, make_settings, stepped_clock
from parts.kiosk import LANDSCAPE, Line, events_of, opened, plain, write_feed

from renzheng.contracts.events import CoverageState
from renzheng.edge.device.coverage import CoverageStatus
from renzheng.edge.kiosk import frames
from renzheng.edge.kiosk.main import build_agent
from renzheng.edge.look import pace, watcher
from renzheng.edge.look.watcher import now_ms

pytestmark = pytest.mark.chromium
MINE, CARD = 120, "6222000011112221"
BEGUN_MS = now_ms()
AWAY, NOT_SENT = "本机程序没有响应，正在重新连接", "没有送达"


class SlowEngine(StandInEngine):
    """Takes `takes_ms` of the kiosk's own clock for each frame, and that clock stands otherwise."""

    def __init__(self):
        self.takes_ms = 100
        self.taken_ms = 0

    def analyse(self, image, *, last=None):
        self.taken_ms += self.takes_ms
        return super().analyse(image, last=last)

    def now_ms(self):
        """The kiosk's clock."""
        return BEGUN_MS + self.taken_ms


@pytest.fixture
def make_agent(tmp_path):
    agents = []

    def make(folder="kiosk", **kiosk):
        agent = build_agent(
            make_settings(tmp_path / folder, kiosk={"attempt_seconds": 60} | kiosk),
            clock=stepped_clock(),
            engine=SlowEngine(),
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
        agent.crash()


@pytest.fixture
def feed(tmp_path):
    path = tmp_path / "feed.y4m"
    write_feed(path, [plain(5)] * 5)
    return path


def lively(shade, seed):
    """A frame of that brightness with contrast and noise: no lens is covered, no picture stands still."""
    picture = plain(shade).astype(np.int16)
    picture[:, :40], picture[:, 40:85] = 255, 0
    noise = np.random.default_rng(seed).integers(-3, 4, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def assert_says(kiosk, words):
    """Wait for words about the line where somebody sees them: also in a dialog that lies over the rest."""
    kiosk.page.locator(".link").locator("visible=true").filter(has_text=words).first.wait_for()


def test_every_screen_says_that_the_agent_is_away_and_every_touch_is_answered(make_agent, feed):
    agent, line = make_agent(), Line()
    with opened(agent, feed, viewport=LANDSCAPE, before=line) as kiosk:
        page = kiosk.page

        def while_away(*selectors, screen, words=NOT_SENT):
            line.cut()
            assert_says(kiosk, AWAY)
            for selector in selectors:
                kiosk.touch(selector)
                assert_says(kiosk, words)
            page.evaluate("fetch('/kiosk/state').catch(() => null).then(() => null)")  # after all others
            line.mend()
            kiosk.reach(screen)
            page.locator("header .link:empty").wait_for(state="attached")

        while_away("#scan", "footer .other-way", screen="idle")
        while_away("[data-person=P2]", screen="consent", words="已记下您的选择")  # goes on by itself
        while_away("#agree", "#refuse", "#cancel", screen="consent")
        kiosk.touch("#comfort")
        while_away("[data-mode=larger]", "#comfort-dialog .close", screen="consent", words=AWAY)
        kiosk.touch("#refuse")
        kiosk.reach("other_way")
        kiosk.touch("#identifiers button")
        for key in "1001⇥2468":
            page.click(f"#pad button:has-text('{key}')")
        while_away("#witness-form [type=submit]", "#reconsider", screen="other_way")
        kiosk.touch("#witness-form [type=submit]")  # the PIN still stands there
        kiosk.reach("done")
        line.cut()
        assert_says(kiosk, AWAY)
        page.keyboard.type(CARD + "\n", delay=5)
        assert_says(kiosk, "已读到您的卡")
        line.mend()
        kiosk.reach("looking")
        assert "欧某" in page.inner_text("section[data-for=looking] .who")
        page.get_by_text("站到摄像头前").wait_for()  # the camera runs, and must run again afterwards
        while_away("#cancel", "footer .other-way", screen="looking")
        page.get_by_text("站到摄像头前").wait_for()
    assert [event["data"]["outcome"] for event in events_of(agent, "sign_in")] == ["declined"]


def test_an_agent_that_comes_back_finds_nobodys_name_and_the_page_takes_its_state(make_agent, feed):
    agent = make_agent()
    with opened(agent, feed, own_time=True) as kiosk:
        page, port = kiosk.page, agent.port
        kiosk.touch("[data-person=P1]")
        kiosk.reach("looking")
        page.reload()  # as a browser that was started again: it takes the agent's state, and is never idle
        page.evaluate(
            """() => new MutationObserver(() => {
              window.shown = [...window.shown ?? [], document.body.dataset.screen];
            }).observe(document.body, { attributes: true, attributeFilter: ['data-screen'] })"""
        )
        kiosk.reach("looking")
        assert "idle" not in (page.evaluate("window.shown") or [])
        agent.crash()
        assert_says(kiosk, AWAY)
        page.clock.fast_forward(31_000)
        kiosk.reach("away")
        assert "欧某" not in page.evaluate("document.documentElement.outerHTML")
        page.keyboard.type(CARD + "\n", delay=5)
        assert_says(kiosk, "已读到您的卡")
        make_agent("again", port=port)
        kiosk.reach("looking")


def test_a_slow_kiosk_signs_in_and_one_that_is_too_slow_says_so_in_words_and_in_coverage(
    make_agent, feed, monkeypatch
):
    write_feed(feed, [lively(MINE, seed) for seed in range(5)])
    agent = make_agent()
    for module in (frames, watcher):
        monkeypatch.setattr(module, "now_ms", agent.engine.now_ms)
    for name, usual in (("SLOW_MS", 450), ("LONGEST_MS", 1_600)):  # which the other tests lift
        monkeypatch.setattr(pace, name, usual)
    with opened(agent, feed) as kiosk:
        agent.engine.takes_ms = 600
        kiosk.touch("[data-person=P1]")
        kiosk.reach("done")
        kiosk.go_home()
        assert agent.health()["frame_interval_ms"] == 600
        agent.engine.takes_ms = 2_000
        kiosk.touch("[data-person=P1]")
        kiosk.reach("other_way")
        assert "机器太慢，没能认出您，这不是您的原因" in kiosk.page.inner_text("section[data-for=other_way]")
        assert "识别太慢" in kiosk.page.inner_text("#notice")
        kiosk.shoot("too-slow")
        assert agent.kiosk.standing() == CoverageStatus(CoverageState.DEGRADED, "too_slow")
        assert eventually(lambda: agent.monitor._open.standing.cause == "too_slow")
        assert (agent.health()["state"], agent.health()["cause"]) == ("degraded", "too_slow")
        kiosk.go_home()
        agent.engine.takes_ms = 100
        kiosk.touch("[data-person=P1]")
        kiosk.reach("done")
        assert agent.kiosk.standing() == CoverageStatus(CoverageState.UP)
    (check,) = events_of(agent, "identity_check")
    assert (check["data"]["outcome"], check["data"]["reason"]) == ("not_acquired", "too_slow")
