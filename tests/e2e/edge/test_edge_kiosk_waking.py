"""The kiosk when nobody is named: it sleeps and wakes, reads QR codes, looks at no face and keeps no name."""

import cv2
import numpy as np
import pytest
from parts.edge import DAY, StandInEngine, eventually, jpeg_of, make_settings, stepped_clock
from parts.kiosk import events_of, fall_asleep, opened, plain, write_feed

from renzheng.edge.kiosk.main import build_agent

pytestmark = pytest.mark.chromium
MINE, CARD, TOKEN = 120, "6222000011112221", "3710000000000000000123456789"
RANDOM = np.random.default_rng(6)
ROOM = cv2.normalize(
    cv2.GaussianBlur(RANDOM.integers(0, 255, (480, 640, 3), dtype=np.uint8), (0, 0), 25),
    None,
    20,
    230,
    cv2.NORM_MINMAX,
)


class Counting(StandInEngine):
    """Counts how often it was asked to find a face."""

    def __init__(self):
        self.asked = 0

    def analyse(self, image, *, last=None):
        self.asked += 1
        return super().analyse(image, last=last)


@pytest.fixture
def make_agent(tmp_path):
    agents = []

    def make(**kiosk):
        agent = build_agent(
            make_settings(tmp_path, kiosk={"attempt_seconds": 60} | kiosk),
            clock=stepped_clock(),
            engine=Counting(),
        )
        agent.registration.enrol(
            "P1",
            surname="欧某",
            card_number=CARD,
            photographs=[jpeg_of(MINE)],
            consented=True,
            on_roster=DAY.date(),
        )
        agent.people.put_credential("P1", TOKEN)
        agent.people.put_witness("1001", "2468")
        agent.start()
        agent.engine_asked = agent.engine.asked
        agents.append(agent)
        return agent

    yield make
    for agent in agents:
        agent.stop()


@pytest.fixture
def feed(tmp_path):
    return tmp_path / "feed.y4m"


NOISES = RANDOM.normal(0, 3, (4, *ROOM.shape)).astype(np.float32)
"""A few, in any order: to make one anew for each picture takes longer than to show the picture."""


def noisy(picture):
    return np.clip(picture + RANDOM.choice(NOISES), 0, 255).astype(np.uint8)


def with_person(across):
    picture = ROOM.copy()
    cv2.ellipse(picture, (across, 330), (110, 190), 0, 0, 360, (30, 40, 60), -1)
    return noisy(picture)


def with_code(content):
    code = cv2.copyMakeBorder(
        cv2.QRCodeEncoder.create().encode(content), 4, 4, 4, 4, cv2.BORDER_CONSTANT, value=255
    )
    code = cv2.resize(code, None, fx=5, fy=5, interpolation=cv2.INTER_NEAREST)
    picture = ROOM.copy()
    picture[120 : 120 + len(code), 220 : 220 + len(code)] = code[:, :, None]
    return noisy(picture)


def names_in(page):
    """Whatever of a patient is anywhere in the page, its fields' values too."""
    whole = page.evaluate(
        "document.documentElement.outerHTML + [...document.querySelectorAll('input')].map((e) => e.value)"
    )
    return [word for word in ("欧某", "2221", "P1", "1001", "2468") if word in whole]


def test_it_sleeps_without_a_name_and_wakes_when_somebody_comes_but_looks_at_no_face(make_agent, feed):
    still = [noisy(ROOM) for _ in range(15)] * 2
    write_feed(feed, [*still, *(with_person(x) for x in range(60, 600, 18))])
    agent = make_agent()
    with opened(agent, feed) as kiosk:
        fall_asleep(agent, kiosk)
        assert names_in(kiosk.page) == []
        kiosk.shoot("asleep")
        kiosk.reach("idle")
        assert agent.kiosk.scanner is not None
        kiosk.page.wait_for_selector("[data-person=P1]")
    assert agent.kiosk.watcher.handled == 0
    assert agent.engine.asked == agent.engine_asked


def test_an_empty_room_lets_it_sleep_and_a_touch_wakes_it(make_agent, feed):
    write_feed(feed, [noisy(ROOM) for _ in range(30)])
    agent = make_agent()
    with opened(agent, feed) as kiosk:
        fall_asleep(agent, kiosk)
        kiosk.page.wait_for_timeout(3_000)
        assert kiosk.reach("asleep", "idle") == "asleep"
        kiosk.page.mouse.click(500, 500)
        kiosk.reach("idle")


def test_a_card_read_while_it_sleeps_is_not_lost(make_agent, feed):
    write_feed(feed, [plain(5)] * 5)
    agent = make_agent(wake_on_motion=False)
    with opened(agent, feed) as kiosk:
        fall_asleep(agent, kiosk)
        kiosk.page.keyboard.type(CARD + "\n", delay=8)
        kiosk.reach("looking")
        assert "欧某" in kiosk.page.inner_text("section[data-for=looking] .who")


def test_a_qr_code_names_the_patient_and_one_that_is_not_known_is_said_so(make_agent, feed):
    write_feed(feed, [with_code("somebody else's")] * 5)
    agent = make_agent()
    with opened(agent, feed) as kiosk:
        kiosk.touch("#scan")
        kiosk.reach("scan")
        kiosk.page.get_by_text("没有找到这个医保码").wait_for()
        kiosk.shoot("scan-unknown")
        kiosk.touch("#cancel")
        kiosk.reach("idle")
        write_feed(feed, [with_code(TOKEN)] * 5)
        assert agent.engine.asked == agent.engine_asked
        kiosk.touch("#scan")
        kiosk.reach("looking")
        kiosk.touch("footer .other-way")
        kiosk.reach("other_way")
        assert kiosk.page.locator("#identifiers [data-value=e_credential]").count() == 0
        kiosk.touch("#identifiers [data-value=id_card]")
        kiosk.page.fill("#witness", "1001")
        kiosk.page.fill("#pin", "2468")
        kiosk.page.keyboard.press("Enter")
        kiosk.reach("done")
    (signed_in,) = events_of(agent, "sign_in")
    assert signed_in["data"]["identifiers"] == ["e_credential", "id_card"]
    assert all(TOKEN not in line.decode() for line in agent.log.lines(0, 1000))


@pytest.mark.parametrize("end", ["done", pytest.param("cancel", marks=pytest.mark.long)])
def test_no_name_stays_in_the_page_after_a_visit(make_agent, feed, end):
    write_feed(feed, [plain(5)] * 5)
    with opened(make_agent(), feed) as kiosk:
        kiosk.touch("[data-person=P1]")
        kiosk.reach("looking")
        kiosk.touch("footer .other-way")
        kiosk.reach("other_way")
        kiosk.page.fill("#witness", "1001")
        kiosk.page.fill("#pin", "2468")
        if end == "done":
            kiosk.touch("#identifiers [data-value=id_card]")
            kiosk.page.keyboard.press("Enter")
            kiosk.touch("#witness-form [type=submit]")
            kiosk.reach("done")
            kiosk.go_home()
        else:
            kiosk.touch("#cancel")
        kiosk.reach("idle")

        def nobody_but_the_list():  # which is the page's own, and may be fetched once more
            kiosk.page.evaluate("document.querySelector('#roster').replaceChildren()")
            return names_in(kiosk.page) == []

        assert eventually(nobody_but_the_list)


def test_a_covered_camera_is_told_in_the_coverage(make_agent, feed):
    write_feed(feed, [noisy(plain(4)) for _ in range(15)])
    agent = make_agent()
    with opened(agent, feed) as kiosk:
        kiosk.touch("[data-person=P1]")
        kiosk.page.get_by_text("摄像头被遮住").wait_for()
        assert agent.kiosk.standing().cause == "camera_covered"
        assert eventually(lambda: agent.monitor._open.standing.cause == "camera_covered")
