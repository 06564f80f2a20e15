"""The kiosk in a real Chromium with a pretended camera: every way through it, seen as a patient sees it.

Screenshots go to RENZHENG_ARTEFACTS (default: artefacts/kiosk in the working folder, which git ignores).
"""

import pytest
from parts.edge import DAY, be_patient, eventually, make_settings, stepped_clock
from parts.kiosk import LANDSCAPE, PORTRAIT, assert_readable, events_of, opened, plain, write_feed
from parts.portraits import ANOTHER, MINE, PORTRAITS, REFERENCE

from renzheng.edge.kiosk.main import build_agent
from renzheng.models.liveness.challenge import Ability

pytestmark = pytest.mark.chromium
LONGER_THAN_A_LOOK = 6
"""Periods of four seconds: a film that comes round while it is looked at is rightly called an attack."""


@pytest.fixture
def agent(tmp_path, engine, monkeypatch):
    be_patient(monkeypatch)
    settings = make_settings(tmp_path, kiosk={"attempt_seconds": 20})
    agent = build_agent(settings, clock=stepped_clock(), engine=engine)
    photograph = (PORTRAITS / REFERENCE).read_bytes()
    for person, surname, card, consented in (
        ("P1", "欧某", "6222000011112222", True),
        ("P2", "新某", "6222000011113333", False),
    ):
        agent.registration.enrol(
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


@pytest.fixture
def feed(tmp_path):
    return tmp_path / "feed.y4m"


def test_a_patient_signs_in_and_out_by_face_within_a_second(agent, feed, films):
    films.show(feed, MINE, periods=LONGER_THAN_A_LOOK)
    with opened(agent, feed) as kiosk:
        kiosk.shoot("1-idle")
        kiosk.touch("[data-person=P1]")
        kiosk.page.wait_for_selector("body[data-usable=yes], body[data-screen=done]")
        kiosk.shoot("2-looking")
        kiosk.reach("done")
        kiosk.shoot("3-done")
        assert "签到成功" in kiosk.page.inner_text("#done-title")
        assert kiosk.page.evaluate("document.querySelector('#video').srcObject") is None
        kiosk.go_home()
        assert "欧某" not in kiosk.page.inner_text("section[data-for=done]")
        kiosk.touch("[data-person=P1]")
        kiosk.reach("done")
        assert "签退成功" in kiosk.page.inner_text("#done-title")
        assert eventually(lambda: len(agent.kiosk.latencies.reports) == 2)
    (signed_in,), (signed_out,) = events_of(agent, "sign_in"), events_of(agent, "sign_out")
    assert (signed_in["data"]["outcome"], signed_in["data"]["pad"]) == ("match", "bona_fide")
    assert signed_out["data"]["session_id"] == signed_in["data"]["session_id"]
    assert all(0 < latency.milliseconds < 600_000 for latency in agent.kiosk.latencies.reports)


def test_another_face_a_photograph_and_a_waved_photograph_do_not_pass_as_the_patient(agent, feed, films):
    films.show(feed, ANOTHER, periods=LONGER_THAN_A_LOOK)
    with opened(agent, feed) as kiosk:
        kiosk.touch("[data-person=P1]")
        assert kiosk.reach("failed", "done") == "failed"
        kiosk.shoot("4-failed")
        films.show(feed, MINE, motion="flat")  # the page has let go of the camera
        kiosk.touch(".go-on")
        kiosk.reach("looking")
        assert kiosk.reach("failed", "done") == "failed"
        films.show(feed, ANOTHER, motion="still")
        kiosk.touch(".go-on")
        kiosk.reach("looking")
        assert kiosk.reach("other_way", "done") == "other_way"
        kiosk.shoot("5-other-way")
    outcomes = [event["data"]["outcome"] for event in events_of(agent, "identity_check")]
    assert outcomes[1] == "attack_suspected"
    assert set(outcomes) <= {"non_match", "attack_suspected", "not_acquired"}
    assert events_of(agent, "sign_in") == []


@pytest.mark.parametrize(
    ("viewport", "language", "title"),
    [
        pytest.param(PORTRAIT, "zh", "签到成功", id="portrait-zh"),
        # test_edge_kiosk_screens.py has each of these screens in both languages and formats.
        pytest.param(LANDSCAPE, "en", "Signed in", id="landscape-en", marks=pytest.mark.long),
        pytest.param(PORTRAIT, "en", "Signed in", id="portrait-en", marks=pytest.mark.long),
        pytest.param(LANDSCAPE, "zh", "签到成功", id="landscape-zh", marks=pytest.mark.long),
    ],
)
def test_an_unknown_card_is_said_plainly_and_the_other_way_is_open_from_the_notice(
    agent, feed, language, title, viewport
):
    write_feed(feed, [plain(5)] * 5)
    name = f"{language}-{viewport['width']}"
    with opened(agent, feed, viewport=viewport, language=language) as kiosk:
        kiosk.shoot(f"{name}-idle")
        assert_readable(kiosk.page)
        kiosk.page.fill("#card", "0000000000000000")
        kiosk.page.keyboard.press("Enter")
        kiosk.page.get_by_text({"zh": "没有找到", "en": "Nobody found"}[language]).wait_for()
        assert events_of(agent, "identity_check") == []
        kiosk.page.fill("#card", "6222000011113333")
        kiosk.page.keyboard.press("Enter")
        kiosk.reach("consent")
        kiosk.shoot(f"{name}-consent")
        assert_readable(kiosk.page)
        kiosk.touch("#refuse")
        kiosk.reach("other_way")
        kiosk.shoot(f"{name}-other-way")
        assert_readable(kiosk.page)
        kiosk.touch("#identifiers button")
        for key in "1001⇥2468":
            kiosk.page.click(f"#pad button:has-text('{key}')")
        kiosk.touch("#witness-form button[type=submit]")
        kiosk.reach("done")
        kiosk.shoot(f"{name}-done")
        assert_readable(kiosk.page)
        assert title in kiosk.page.inner_text("#done-title")
    (signed_in,) = events_of(agent, "sign_in")
    assert (signed_in["data"]["outcome"], signed_in["data"]["reason"]) == ("declined", "face_declined")
    assert [event["data"]["given"] for event in events_of(agent, "consent.recorded")] == [True, False]


# `long`: test_edge_kiosk_cameras.py enrols before a camera, test_edge_kiosk_screens.py has the form
@pytest.mark.long
def test_a_visitor_enrols_by_the_camera_and_signs_in(agent, feed, films):
    films.show(feed, ANOTHER, periods=LONGER_THAN_A_LOOK)
    with opened(agent, feed) as kiosk:
        kiosk.page.goto(f"{agent.kiosk_url}enrol")
        for field, value in {
            "#person": "V1",
            "#surname": "访客",
            "#card": "622200009999",
            "#witness": "1001",
            "#pin": "2468",
        }.items():
            kiosk.page.click(field)
            kiosk.page.keyboard.insert_text(value)
        for box in ("#consented", "#cannot [value=nod]", "#cannot [value=colour_light]"):
            kiosk.page.click(box)
        kiosk.shoot("7-enrol")
        kiosk.touch("button[type=submit]")
        kiosk.reach("done")
        kiosk.touch("a.button")
        kiosk.page.wait_for_selector("[data-person=V1]")
        assert signs_in(kiosk, "V1")
    assert events_of(agent, "sign_in")[0]["subject"] == "V1"
    assert agent.people.abilities("V1") == {Ability.TURN_HEAD, Ability.COME_NEARER}


def signs_in(kiosk, person):
    """Try as a patient would who is not recognised at once, and say whether it came to green."""
    for _ in range(6):
        kiosk.touch(f"[data-person={person}]")
        if kiosk.reach("done", "failed", "other_way") == "done":
            return True
        kiosk.go_home()
    return False
