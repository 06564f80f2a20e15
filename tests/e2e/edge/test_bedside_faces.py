"""The bedside page with the real face engine: seen at once, or by pictures kept while the device was away."""

from datetime import UTC, datetime, timedelta

import pytest
from parts.bedside import events_of, make_check, make_sheet, make_unit
from parts.bedside_browser import tablet
from parts.edge import DAY
from parts.portraits import ANOTHER, MINE, PORTRAITS, REFERENCE

from renzheng.edge.device.clock import SteppedClock
from renzheng.edge.look.enrolment import take_template
from renzheng.models.images import decode

pytestmark = pytest.mark.chromium


@pytest.fixture
def unit(tmp_path, engine):
    now = datetime.now(UTC)
    sheet = make_sheet(
        checks=[make_check(number) for number in range(3)],
        drawn_at=now - timedelta(hours=12),
        due_at=now - timedelta(minutes=5),
        closes_at=now + timedelta(hours=4),
    )
    unit = make_unit(
        tmp_path,
        [sheet],
        engine=engine,
        clock=SteppedClock(now, runs=True),
        bedside={"port": 0, "attempt_seconds": 8},
    )
    template = take_template(engine, decode((PORTRAITS / REFERENCE).read_bytes()), "reference")
    for person in ("P0", "P1", "P2"):
        with unit.store.writing() as database:
            unit.people.add_references(person, [template], source="photograph", at=DAY)(database)
    unit.start()
    yield unit
    unit.stop()


# `long`: test_bedside_round.py and test_bedside_offline.py show it by a stand-in of the engine
@pytest.mark.long
def test_a_patient_is_verified_at_once_or_later_and_another_is_not_called_an_impostor(tmp_path, unit, films):
    feed = films.show(tmp_path / "feed.y4m", MINE, seconds=6)
    with tablet(unit.url, feed) as held:
        held.open_round()
        held.bed("C0", "present")
        held.page.wait_for_selector("body[data-usable=yes], body[data-screen=form]")
        held.shoot("zh-800-05-look")
        held.reach("form")
        held.shoot("zh-800-06-verified")
        held.identify()
        held.save()
        held.waiting(0)
        held.context.set_offline(offline=True)
        held.bed("C1", "present")
        held.reach("form")
        assert held.page.get_attribute("#verdict", "data-face") == "kept"
        held.identify()
        held.save()
        held.waiting(1)
        films.show(feed, ANOTHER, seconds=6)
        held.context.set_offline(offline=False)
        held.waiting(0)
        held.bed("C2", "present")
        held.reach("form")
        assert held.page.get_attribute("#verdict", "data-face") in (
            "non_match",
            "not_sure",
            "attack_suspected",
        )
        held.tap("#back")
        held.tap("#back")
        assert held.page.get_attribute("[data-check=C2]", "data-state") == "open"
    at_once, later = events_of(unit, "spot_check.answered")
    for event in (at_once, later):
        assert (event["data"]["result"], event["data"].get("reason")) == ("present", None)
        assert event["data"]["comparison_score"] >= event["data"]["threshold"]
        assert event["data"]["pad"] in ("bona_fide", "not_shown")
    assert at_once["data"]["pad"] == "bona_fide"
    assert later["time"] < later["data"]["received_at"]
