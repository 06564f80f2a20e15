"""The kiosk's page before the agent's own camera: it shows what the agent sees; the rest is the same."""

import cv2
import pytest
from parts.edge import DAY, StandInEngine, eventually, hurry, make_settings, stepped_clock
from parts.kiosk import assert_readable, events_of, opened, plain, write_feed

from renzheng.edge.kiosk.main import build_agent

pytestmark = pytest.mark.chromium
MINE, NOBODY = 120, 0


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    hurry(monkeypatch)


@pytest.fixture
def scene(tmp_path):
    """A folder that the agent's camera plays."""
    folder = tmp_path / "scene"
    folder.mkdir()
    return folder


def put(scene, level):
    """Let the camera see somebody; the page's own camera sees nothing."""
    picture = plain(level)
    picture[:4] = 255 - level  # a real scene has some contrast: without any, the lens is covered
    picture[:, :40] = 255
    cv2.imwrite(str(scene / "part.png"), picture)
    (scene / "part.png").replace(scene / "now.png")


@pytest.fixture
def agent(tmp_path, scene):
    put(scene, MINE)
    settings = make_settings(
        tmp_path,
        camera={"source": f"file:{scene}"},
        kiosk={"attempt_seconds": 60},
    )
    agent = build_agent(settings, clock=stepped_clock(), engine=StandInEngine())
    reference = cv2.imread(str(scene / "now.png"))
    agent.registration.enrol(
        "P1",
        surname="欧某",
        card_number="6222000011112221",
        photographs=[cv2.imencode(".jpg", reference)[1].tobytes()],
        consented=True,
        on_roster=DAY.date(),
    )
    agent.people.put_witness("1001", "2468")
    agent.start()
    yield agent
    agent.stop()


@pytest.fixture
def feed(tmp_path):
    path = tmp_path / "feed.y4m"
    write_feed(path, [plain(0)] * 2)
    return path


def test_a_patient_signs_in_before_the_agents_camera_and_sees_themselves(agent, feed, scene):
    with opened(agent, feed) as kiosk:
        put(scene, NOBODY)  # until the screen has been looked at
        kiosk.touch("[data-person=P1]")
        kiosk.reach("looking")
        kiosk.page.wait_for_function(SEES_THEMSELVES)
        assert kiosk.page.evaluate("document.querySelector('#video').srcObject") is None
        kiosk.shoot("agents-camera")
        assert_readable(kiosk.page)
        put(scene, MINE)
        kiosk.reach("done")
        assert eventually(lambda: len(agent.kiosk.latencies.reports) == 1)
        kiosk.go_home()
        assert kiosk.page.locator("#preview[src]").count() == 0
    assert len(events_of(agent, "sign_in")) == 1
    assert 0 < agent.kiosk.latencies.reports[0].milliseconds < 600_000


SEES_THEMSELVES = "() => document.querySelector('#preview').naturalWidth === 640"


def test_a_camera_that_is_pulled_out_sends_to_the_nurse_and_into_the_coverage(agent, feed, scene):
    with opened(agent, feed) as kiosk:
        for picture in scene.iterdir():
            picture.unlink()
        assert eventually(lambda: agent.kiosk.standing().cause == "camera_unplugged")
        kiosk.touch("[data-person=P1]")
        kiosk.reach("other_way")
        kiosk.page.get_by_text("摄像头无法使用").first.wait_for()
        kiosk.touch("#cancel")
        kiosk.reach("idle")
        put(scene, MINE)
        assert eventually(lambda: agent.kiosk.standing().cause is None, within_seconds=60)
        kiosk.touch("[data-person=P1]")
        assert kiosk.reach("done", "other_way") == "done"


def test_a_visitor_enrols_before_the_agents_camera(agent, feed):
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
        kiosk.touch("button[type=submit]")
        kiosk.reach("done")
    assert len(agent.people.references("V1", agent.engine.model)) == 3
