"""A whole round at the bedside in a real Chromium: with network, in both languages, on tablet and telephone.

Screenshots go to RENZHENG_ARTEFACTS (default: artefacts/bedside in the working folder, which git ignores).
"""

import json
import os
import time
from datetime import UTC, datetime, timedelta

import pytest
from parts import chromium, pictures
from parts.bedside import CODE, enrol, events_of, leave, make_check, make_sheet, make_unit
from parts.bedside_browser import TABLET, TELEPHONE, assert_usable, noisy_feed, tablet
from parts.edge import hurry

from renzheng.edge.device.clock import SteppedClock
from renzheng.edge.look import attempt

pytestmark = pytest.mark.chromium
LONG = os.environ.get("FAULTS") == "long"
SHADE, ANOTHER = 120, 200
TEN_BEDS_SECONDS = 600
SECONDS_A_TAP, SECONDS_A_LETTER, SECONDS_A_WALK = 2.5, 0.6, 25


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    hurry(monkeypatch)


@pytest.fixture
def feed(tmp_path):
    return noisy_feed(tmp_path / "feed.y4m", SHADE)


def press_while_painted(page, selector: str) -> None:
    """Press on a bed, let the list be painted anew (as an answer's arrival does) in both languages, lift."""
    with chromium.pressed(page, selector):
        for _ in range(2):
            before = page.inner_text("#progress")
            page.evaluate("document.querySelector('#language').click()")
            page.wait_for_function(
                "(before) => document.querySelector('#progress').innerText !== before", arg=before
            )


def sheet_now(**changed):
    now = datetime.now(UTC)
    times = {
        "drawn_at": now - timedelta(hours=12),
        "due_at": now - timedelta(minutes=5),
        "closes_at": now + timedelta(hours=4),
    }
    away = leave().model_copy(
        update={
            "left_at": now - timedelta(hours=1),
            "due_back_at": now + timedelta(hours=2),
            "recorded_at": now - timedelta(hours=13),
        }
    )
    checks = [make_check(number) for number in range(10)]
    checks[2] = make_check(2, away=(away,))
    checks[3] = make_check(3, bed="1-03")
    checks[4] = make_check(4, purpose="dialysis")
    return make_sheet(**({"checks": checks} | times | changed))


@pytest.fixture
def unit(tmp_path):
    clock = SteppedClock(datetime.now(UTC), runs=True)
    unit = make_unit(tmp_path, [sheet_now()], clock=clock, bedside={"port": 0, "attempt_seconds": 90})
    for number in range(10):
        if number != 5:
            enrol(unit, f"P{number}", SHADE)
    unit.start()
    yield unit
    unit.stop()


def inspect(held, name: str) -> None:
    """Look at the screen that is up: a tablet in Chinese or a telephone in English, at length both."""
    page = held.page
    language, viewport = page.evaluate("document.documentElement.lang").split("-")[0], page.viewport_size
    forms = (("zh", TABLET), ("en", TELEPHONE))
    for wanted, size in forms if LONG else [forms[int(name[:2]) % 2]]:
        speak(page, wanted)
        page.set_viewport_size(size)
        held.shoot(f"{wanted}-{size['width']}-{name}")
        assert_usable(page)
    speak(page, language)
    page.set_viewport_size(viewport)


def speak(page, language: str) -> None:
    """Change the page's language, if it is another."""
    if page.evaluate("document.documentElement.lang").split("-")[0] != language:
        page.evaluate("document.querySelector('#language').click()")
        page.wait_for_selector(f"html[lang^={language}]")


@pytest.mark.parametrize(
    ("language", "viewport"),
    [
        pytest.param("zh", TABLET, id="zh-tablet"),
        # Each screen is looked at on a telephone in English too; a round on one is in the offline tests.
        pytest.param("en", TELEPHONE, id="en-telephone", marks=pytest.mark.long),
    ],
)
def test_a_whole_round_of_every_kind_of_answer(  # noqa: PLR0915 - one round, told in order
    unit, feed, language, viewport, monkeypatch
):
    monkeypatch.setattr(attempt, "PASSIVE_MS", 600_000)  # until the look was looked at
    with tablet(unit.url, feed, viewport=viewport, language=language) as held:
        inspect(held, "01-sign-in")
        held.open_round()
        inspect(held, "03-list")
        held.bed("C0", "present")
        held.reach("look")
        held.page.wait_for_selector("body[data-usable=yes]")
        inspect(held, "05-look")
        hurry(monkeypatch)
        held.reach("form")
        held.identify()
        held.tap("[data-value=yes]")
        inspect(held, "06-verified")
        held.save()
        press_while_painted(held.page, "[data-check=C1]")
        held.reach("check")
        held.tap("[data-choice=cannot_be_asked]")
        held.identify()
        held.vouch("isolation")
        inspect(held, "07-cannot-be-asked")
        held.save()
        held.tap("[data-check=C2]")
        inspect(held, "08-leave")
        held.tap("[data-choice=away]")
        held.save()
        held.bed("C3", "away")
        held.tap("#save")
        held.page.wait_for_selector("#form-problem:not(:empty)")
        held.tap("#photograph")
        held.reach("look")
        held.page.wait_for_timeout(500)
        held.tap("#shutter")
        held.reach("form")
        inspect(held, "09-order")
        held.save()
        held.present("C4")
        held.bed("C5", "present")
        held.reach("form")
        assert held.page.get_attribute("#verdict", "data-face") == "no_reference"
        held.identify()
        held.vouch()
        inspect(held, "10-witness")
        held.save()
        noisy_feed(feed, ANOTHER)
        held.bed("C6", "present")
        held.reach("form")
        assert held.page.get_attribute("#verdict", "data-face") == "non_match"
        inspect(held, "11-not-recognised")
        held.identify()
        held.tap("#save")
        held.page.wait_for_selector("#form-problem:not(:empty)")  # a low score alone is no answer
        held.tap("#back")
        held.tap("[data-choice=mismatch]")
        held.tap("[data-value=other_document]")
        held.tap("#save")
        held.page.wait_for_selector("#form-problem:not(:empty)")
        held.tap("#confirm")
        inspect(held, "12-somebody-else")
        held.save()
        held.bed("C7", "absent")
        held.tap("#confirm")
        held.save()
        held.bed("C8", "refused")
        held.tap("#confirm")
        held.save()
        held.bed("C9", "absent")
        held.tap("#confirm")
        held.save()
        held.waiting(0)
        held.tap("[data-check=C9]")
        inspect(held, "13-correction")
        held.tap("[data-choice=refused]")
        held.tap("#confirm")
        held.save()
        held.waiting(0)
        held.page.wait_for_selector("#next[disabled]")
        inspect(held, "14-finished")
        held.tap("#back")
        held.reach("rounds")
        inspect(held, "02-rounds")
        held.tap("#leave")
        held.reach("lock")
        assert "王某" not in held.page.content()
        assert "王某" not in held.kept()
    results = {}
    for event in events_of(unit, "spot_check.answered"):
        assert event["data"]["clock"]["trusted"] is True
        results[event["subject"]] = (event["data"]["result"], event["data"].get("reason"))
    assert results == {
        "P0": ("present", None),
        "P1": ("present", "isolation"),
        "P2": ("away_approved", "recorded_leave"),
        "P3": ("away_approved", "order_photographed"),
        "P4": ("present", None),
        "P5": ("present", "no_reference"),
        "P6": ("identity_mismatch", "other_document"),
        "P7": ("absent", None),
        "P8": ("refused", None),
        "P9": ("refused", None),
    }
    first = events_of(unit, "spot_check.answered")[0]["data"]
    assert (first["patient_word"], first["position"]["latitude"]) == ("yes", 36.06)
    assert [event["subject"] for event in events_of(unit, "attendance.presence")] == ["P4"]
    assert len(events_of(unit, "spot_check.answered")) == 11


@pytest.mark.long
def test_ten_beds_take_less_than_ten_minutes(unit, feed):
    with tablet(unit.url, feed) as held:
        held.open_round()
        held.taps = held.typed = 0
        began = time.monotonic()
        for number in range(10):
            if number == 5:
                held.bed("C5", "present")
                held.reach("form")
                held.identify()
                held.vouch()
                held.save()
            else:
                held.present(f"C{number}")
        script_seconds = time.monotonic() - began
        held.waiting(0)
    by_hand = held.taps * SECONDS_A_TAP + held.typed * SECONDS_A_LETTER
    estimate = script_seconds + by_hand + 10 * SECONDS_A_WALK
    measured = {
        "taps": held.taps,
        "letters": held.typed,
        "script_seconds": round(script_seconds, 1),
        "estimate_seconds": round(estimate),
    }
    (pictures.folder("bedside") / "ten-beds.json").write_text(json.dumps(measured), encoding="utf-8")
    assert held.taps <= 10 * 6
    assert estimate < TEN_BEDS_SECONDS
    assert len(events_of(unit, "spot_check.answered")) == 10


def test_wrong_pins_wrong_codes_and_a_round_before_its_hour(tmp_path, feed):
    later = sheet_now(
        round_id="R-later",
        due_at=datetime.now(UTC) + timedelta(hours=1),
        closes_at=datetime.now(UTC) + timedelta(hours=2),
    )
    closed = sheet_now(round_id="R-closed", closes_at=datetime.now(UTC) - timedelta(minutes=1))
    sheets = [sheet_now(), later, closed]
    unit = make_unit(tmp_path, sheets, clock=SteppedClock(datetime.now(UTC), runs=True), away=True)
    for sealed in unit.fetcher._rounds.sealed:
        unit.fetcher.keep(sealed)
    unit.start()
    try:
        with tablet(unit.url, feed) as held:
            held.sign_in(pin="135790")
            held.page.wait_for_selector("#lock-problem:not(:empty)")
            assert held.page.evaluate("document.body.dataset.screen") == "lock"
            held.sign_in()
            held.reach("rounds")
            for stands in ("not_due", "closed"):
                held.tap(f"[data-round={stands}]")
                held.page.wait_for_selector("#rounds-problem:not(:empty)")
            held.tap("[data-round=due]")
            held.reach("code")  # central is away
            held.shoot("zh-800-15-code")
            assert_usable(held.page)
            for wrong in ("ABC", "AAAAA-BBBBB-CCCCC-DDDDD"):
                held.type("#code", wrong)
                held.tap("#code-form button")
                held.page.wait_for_selector("#code-problem:not(:empty)")
            spoken = CODE.lower().replace("0", "o").replace("1", "l").replace("-", "  ")
            held.type("#code", spoken)
            held.tap("#code-form button")
            held.reach("list")
            assert held.page.locator("[data-check]").count() == 10
            held.type("#search", "1-03")
            assert held.page.locator("[data-check]").count() == 2  # the same bed twice
            held.tap("#leave")
            unit.clock.advance(timedelta(days=2))
            held.sign_in()
            held.reach("rounds")
            held.page.wait_for_selector("#standing.warns")  # the tablet's clock is two days behind the unit's
            assert held.kept("lists") == ""
    finally:
        unit.stop()


def virtual_authenticator(page):
    """A tablet's own authenticator, which knows its user and gives a secret of its own (PRF)."""
    cdp = page.context.new_cdp_session(page)
    cdp.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "ctap2Version": "ctap2_1", "transport": "internal", "hasPrf": True}
    options |= {"hasResidentKey": True, "hasUserVerification": True, "isUserVerified": True}
    cdp.send("WebAuthn.addVirtualAuthenticator", {"options": options | {"automaticPresenceSimulation": True}})


def test_an_inspector_signs_in_by_the_tablets_passkey_and_opens_kept_lists_by_it_without_network(unit, feed):
    code = unit.inspection.sign_ins.passkeys.store.give_code("I-7")
    with tablet(unit.named_url, feed, language="en") as held:
        virtual_authenticator(held.page)
        held.reach("lock")
        held.type("#number", "I-7")
        held.tap("#new-passkey")
        held.type("#passkey-code", code)
        inspect(held, "15-passkey")
        held.tap("#passkey-form button")
        held.reach("rounds")
        held.tap("#fetch")
        held.page.wait_for_selector("[data-round=open]")
        held.tap("[data-round=open]")
        held.reach("list")
        held.bed("C7", "absent")
        held.tap("#confirm")
        held.save()
        held.waiting(0)
        (event,) = events_of(unit, "spot_check.answered")
        assert event["data"]["signed_in_by"] == "passkey"
        held.tap("#leave")
        held.sign_in()
        held.page.wait_for_selector("#lock-problem:not(:empty)")
        assert "passkey" in held.page.inner_text("#lock-problem")
        held.context.set_offline(True)
        held.tap("#passkey")
        held.reach("rounds")
        held.tap("[data-round=open]")
        held.reach("list")
        assert held.page.inner_text("[data-check=C7] .tag")
        held.context.set_offline(False)
        held.tap("#leave")
        held.tap("#passkey")
        held.reach("rounds")
        unit.inspection.sign_ins.passkeys.store.remove("I-7")
        held.tap("#fetch")
        held.reach("lock")
