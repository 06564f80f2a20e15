"""Attacks and a still patient before the kiosk's page in a real Chromium, with liveness required."""

import pytest
from parts.attacks import ATTACKS
from parts.edge import DAY, make_settings, stepped_clock
from parts.kiosk import FEED_FPS, PORTRAIT, events_of, opened, write_feed
from parts.portraits import ANOTHER, MINE, PORTRAITS, REFERENCE

from renzheng.edge.kiosk.main import build_agent
from renzheng.edge.look import attempt

pytestmark = pytest.mark.chromium
MOVEMENTS = ["请慢慢向左转头", "请慢慢向右转头", "请慢慢抬头，再低头", "请慢慢靠近一点"]


@pytest.fixture
def attempt_seconds():
    return 12


@pytest.fixture
def agent(tmp_path, engine, attempt_seconds):
    kiosk = {"attempt_seconds": attempt_seconds, "unshown_liveness": "refuse"}
    agent = build_agent(make_settings(tmp_path, kiosk=kiosk), clock=stepped_clock(), engine=engine)
    agent.registration.enrol(
        "P1",
        surname="欧某",
        card_number="6222000011112222",
        photographs=[(PORTRAITS / REFERENCE).read_bytes()],
        consented=True,
        on_roster=DAY.date(),
    )
    agent.people.put_witness("1001", "2468")
    agent.start()
    yield agent
    agent.stop()


# `long`: test_edge_kiosk.py has a photograph and a waved one before the page, test_edge_pad.py every kind
@pytest.mark.long
@pytest.mark.parametrize(
    ("species", "seed"),
    [
        ("printed_photo", 1),
        # Every kind is refused by the look itself in test_edge_pad.py; the page's way is the same for all.
        pytest.param("tablet_replay", 1, marks=pytest.mark.long),
        pytest.param("phone_replay", 3, marks=pytest.mark.long),
    ],
)
def test_an_attack_before_the_camera_is_not_signed_in_and_the_other_way_stays_open(
    agent, tmp_path, species, seed
):
    shown = ATTACKS[species](PORTRAITS / MINE, PORTRAITS / ANOTHER, 3 * FEED_FPS, seed)
    feed = tmp_path / "feed.y4m"
    write_feed(feed, [frame[:, :, ::-1] for frame in shown.frames])
    with opened(agent, feed, viewport=PORTRAIT) as kiosk:
        kiosk.touch("[data-person=P1]")
        assert kiosk.reach("failed", "done") == "failed"
        kiosk.shoot(f"liveness-{species}")
        assert kiosk.page.locator("section[data-for=failed] .other-way").is_visible()
    (checked,) = events_of(agent, "identity_check")
    assert checked["data"]["outcome"] in {"attack_suspected", "not_acquired", "non_match"}
    assert checked["data"]["pad"] != "bona_fide"
    assert events_of(agent, "sign_in") == []


@pytest.mark.parametrize("attempt_seconds", [120])  # it ends by what is said below, however busy the machine
def test_whoever_holds_still_is_asked_for_a_movement_in_coloured_light_and_then_has_the_other_way(
    agent, tmp_path, films, monkeypatch
):
    monkeypatch.setattr(attempt, "ANSWER_MS", 600_000)
    monkeypatch.setattr(attempt, "LOST_MS", 10_000)
    feed = tmp_path / "feed.y4m"
    films.show(feed, MINE, motion="still", periods=3)
    with opened(agent, feed, viewport=PORTRAIT) as kiosk:
        kiosk.touch("[data-person=P1]")
        kiosk.page.wait_for_selector("#challenge span")
        kiosk.page.wait_for_function("document.body.style.background !== ''")
        kiosk.page.wait_for_function(
            "(words) => words.includes(document.querySelector('#guidance').innerText)", arg=MOVEMENTS
        )
        kiosk.shoot("liveness-challenge")
        monkeypatch.setattr(attempt, "ANSWER_MS", 0)
        assert kiosk.reach("failed", "done") == "failed"
        kiosk.page.wait_for_function("document.body.style.background === ''")
        kiosk.shoot("liveness-not-shown")
        assert "kiosk/painted" in kiosk.asked
    (checked,) = events_of(agent, "identity_check")
    assert checked["data"]["outcome"] in {"not_acquired", "attack_suspected"}
    assert events_of(agent, "sign_in") == []


# `long`: the look itself does so in tests/unit/edge
@pytest.mark.long
def test_whoever_can_do_nothing_is_asked_nothing(agent, tmp_path, films):
    agent.people.put_abilities("P1", frozenset())
    feed = tmp_path / "feed.y4m"
    films.show(feed, MINE, motion="still", periods=3)
    with opened(agent, feed, viewport=PORTRAIT) as kiosk:
        kiosk.touch("[data-person=P1]")
        assert kiosk.reach("failed", "done") == "failed"
        assert "kiosk/painted" not in kiosk.asked
        kiosk.touch("section[data-for=failed] .other-way")
        assert kiosk.reach("other_way") == "other_way"
