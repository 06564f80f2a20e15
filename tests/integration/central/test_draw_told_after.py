"""What a hospital tells after a draw, however it dates it, covers and voids nothing."""

import datetime as dt

import pytest
from parts import stores
from parts.adt import message
from parts.rounds import HOSPITALS, HOUR, OFFICERS, Bureau

from renzheng.central.access import separation
from renzheng.central.access.errors import DutyError
from renzheng.central.draw.answers import RateCategory
from renzheng.central.draw.export import read_settled, spot_checks
from renzheng.central.store import inspectors
from renzheng.central.store.database import Database
from renzheng.central.store.times import to_us
from renzheng.contracts import keys

MINUTE = dt.timedelta(minutes=1)
SHADOW = "S"
"""Ends the number of a second visit of a patient, which has a discharge of its own."""


class Ward:
    """A bureau, and a hospital that tells it of visits."""

    def __init__(self, folder, now):
        database = Database(stores.lay(f"sqlite:///{folder / 'central.sqlite'}"))
        self.bureau = Bureau(database, keys.generate_key(), folder, now)
        self.bureau.admit_everybody()
        self.told = 0

    def tell(self, trigger, visit, at, before=None, **more):
        self.told += 1
        moment = f"{at.astimezone(dt.timezone(8 * HOUR)):%Y%m%d%H%M%S}"
        more = dict.fromkeys(more, moment)
        institution, person = visit.split("-")[0], f"P-{visit.rstrip(SHADOW)}"
        words = {"institution": institution, "visit": visit, "person": person, "occurred": moment, **more}
        text = message(trigger, moment, f"T{self.told}", ward="内科", **words)
        if before:
            text = text.replace("\rPV1", f"\rMRG|{person}||||{before}\rPV1")
        self.bureau.receiver.receive(text.encode())

    def settled(self):
        with self.bureau.database.reading() as connection:
            found = {
                one.check.visit_id: one.standing for one in read_settled(connection, to_us(self.bureau.now))
            }
            return found, spot_checks(connection).num_rows


@pytest.fixture(scope="module")
def ward(tmp_path_factory):
    """Before the draw every patient came back from a leave, and has a second visit that has ended."""
    now = dt.datetime(2026, 11, 20, 1, tzinfo=dt.UTC)
    place = Ward(tmp_path_factory.mktemp("ward"), now)
    for visit in [f"{name}-{number}-{bed}" for name in HOSPITALS for number in range(2) for bed in range(8)]:
        place.tell("A21", visit, now)
        place.tell("A22", visit, now + 2 * MINUTE)
        place.tell("A01", visit + SHADOW, now, admitted="")
        place.tell("A03", visit + SHADOW, now + MINUTE, discharged="")
    place.bureau.now += HOUR / 2
    place.bureau.draw(place.bureau.commit())
    checks = place.bureau.open()
    told = (
        lambda visit: place.tell("A53", visit, place.bureau.now),
        lambda visit: place.tell("A21", visit, now + MINUTE),
        lambda visit: place.tell("A50", visit, place.bureau.now, before=visit + SHADOW),
    )
    for number, check in enumerate(checks):
        told[number % len(told)](check["visit_id"])
    place.bureau.now += HOUR
    for check in checks:
        place.bureau.answer(check, "absent")
    place.bureau.close()
    return place


def test_a_return_taken_back_a_leave_dated_back_and_a_merge_leave_absences_as_they_were_found(ward):
    found, rows = ward.settled()
    assert len(found) == rows > 6
    standings = list(found.values())
    assert set(standings[0::3]) == set(standings[1::3]) == {RateCategory.ABSENT}
    assert set(standings[2::3]) == {RateCategory.DISCHARGED}


def test_whoever_drew_a_round_inspects_no_bed_of_it(tmp_path):
    bureau = Ward(tmp_path, dt.datetime(2026, 11, 20, 1, tzinfo=dt.UTC)).bureau
    round_id = bureau.commit(wards=1, per_ward=2)
    bureau.draw(round_id)
    check = bureau.open()[0]
    bureau.answer(check, "present")

    def counted():
        with bureau.database.reading() as connection:
            return [one.answer is not None for one in read_settled(connection, to_us(bureau.now))]

    assert sorted(counted()) == [False, True]
    with bureau.database.writing() as connection:
        with pytest.raises(DutyError, match="commit"):
            separation.do(connection, ("round", round_id), "inspect", OFFICERS[1].name, bureau.now)
        inspectors.add(connection, "I-7", OFFICERS[1].name, 0)
    assert counted() == [False, False]
