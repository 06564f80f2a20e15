"""Who is expected at this hour, is signed in, or has been and gone."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from parts.edge import DAY, make_settings, stepped_clock

from renzheng.edge.device.store.database import Store
from renzheng.edge.device.store.people import PastSession, People, template_key
from renzheng.edge.kiosk.expected import Group, group_of
from renzheng.edge.kiosk.visitors import Visitors
from renzheng.models.templates import ModelId

NOW = datetime(2026, 3, 2, 13, 10, tzinfo=ZoneInfo("Asia/Shanghai"))
LONG = timedelta(hours=12)


def before(days, hour, minute=0, *, lasted=4):
    """A session so many days ago, at a local time."""
    begun = (NOW - timedelta(days=days)).replace(hour=hour, minute=minute)
    return PastSession(
        begun.astimezone(UTC), (begun + timedelta(hours=lasted)).astimezone(UTC), is_open=False
    )


def open_since(hours):
    return PastSession(NOW - timedelta(hours=hours), None, is_open=True)


@pytest.mark.parametrize(
    ("expected_at", "past", "group"),
    [
        (None, [], Group.LATER),
        (time(13), [], Group.NOW),
        (time(14, 39), [], Group.NOW),
        (time(14, 41), [], Group.LATER),
        (time(7), [before(2, 13)], Group.LATER),  # the roster knows better than the past
        (None, [before(2, 12, 50), before(4, 13, 5), before(7, 7)], Group.NOW),
        (None, [before(2, 7), before(4, 7, 20), before(7, 13)], Group.LATER),
        (time(7), [open_since(5)], Group.IN),
        (time(13), [open_since(30)], Group.NOW),  # a forgotten sign-out of yesterday
        (time(7), [before(0, 7)], Group.DONE),
        (time(13), [before(0, 7), open_since(0.1)], Group.IN),
    ],
)
def test_where_on_the_list_somebody_stands(expected_at, past, group):
    assert group_of(NOW, expected_at, past, LONG) is group


@pytest.mark.parametrize(("hour", "group"), [(23, Group.NOW), (20, Group.LATER)])
def test_a_night_shift_is_expected_over_midnight(hour, group):
    assert group_of(NOW.replace(hour=0, minute=30), time(hour), [], LONG) is group


def test_the_list_of_a_day_is_read_from_roster_and_sessions(tmp_path):
    store = Store(tmp_path / "device.sqlite")
    people = People(store, template_key(tmp_path / "template.key"))
    for person in ("P1", "P2", "P3"):
        people.put_patient(person, surname="某", card_number=f"62221111{person}")
    people.put_on_roster(DAY.date(), ["P1"], expected_at=time(8, 30))
    people.put_on_roster(DAY.date(), ["P1", "P2", "P3"])  # a second list without times forgets none
    with store.writing() as database:
        people.signed_in("P2", "S2", DAY - timedelta(hours=1))(database)
        people.signed_in("P3", "S3", DAY - timedelta(days=2, minutes=10))(database)
        people.signed_out("S3", DAY - timedelta(days=2) + timedelta(hours=4))(database)
    visitors = Visitors(
        make_settings(tmp_path), people, stepped_clock(runs=False), ModelId("m:000000000000:2")
    )
    found = {one.patient.person_id: one.group for one in visitors.roster()}
    assert found == {"P1": Group.NOW, "P2": Group.IN, "P3": Group.NOW}
    store.close()
