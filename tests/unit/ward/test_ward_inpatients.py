"""The roster on the device: replaced whole, the last good one kept, nobody else's taken."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from parts.edge import DAY
from typer.testing import CliRunner

from renzheng.contracts.rosters import Inpatient, InpatientRoster, RosterError
from renzheng.edge.command import app
from renzheng.edge.device.bulk import Answer
from renzheng.edge.device.inpatients import RosterFetcher
from renzheng.edge.device.store.database import Store
from renzheng.edge.device.store.inpatients import Inpatients
from renzheng.edge.errors import BulkUnreachableError

ZONE = ZoneInfo("Asia/Shanghai")
TODAY = date(2026, 3, 2)


def roster(*people, institution="H1", day=TODAY, made_at=DAY):
    patients = [
        Inpatient(visit_id=f"v-{who}", person_id=who, ward="3", admitted_at=DAY - timedelta(days=2))
        for who in people
    ]
    return InpatientRoster(institution_id=institution, day=day, made_at=made_at, patients=tuple(patients))


@pytest.fixture
def inpatients(tmp_path):
    store = Store(tmp_path / "device.sqlite")
    yield Inpatients(store, "H1")
    store.close()


def test_a_newer_roster_takes_the_place_of_the_older_whole(inpatients):
    inpatients.put(roster("p1", "p2"), DAY)
    inpatients.put(roster("p3", made_at=DAY + timedelta(minutes=5)), DAY)
    assert [one.person_id for one in inpatients.latest().patients] == ["p3"]
    assert inpatients.kept_at() == DAY


@pytest.mark.parametrize(
    "other", [roster("p9", institution="H2"), roster("p9", made_at=DAY - timedelta(minutes=1))]
)
def test_another_institutions_or_an_older_one_is_refused_and_the_last_good_one_stays(inpatients, other):
    inpatients.put(roster("p1"), DAY)
    with pytest.raises(RosterError):
        inpatients.put(other, DAY)
    assert [one.person_id for one in inpatients.latest().patients] == ["p1"]


@pytest.mark.parametrize(
    ("now", "serves"),
    [
        (datetime(2026, 3, 2, 0, 0, tzinfo=ZONE), True),
        (datetime(2026, 3, 2, 23, 59, tzinfo=ZONE), True),
        (datetime(2026, 3, 3, 11, 0, tzinfo=ZONE), True),
        (datetime(2026, 3, 3, 12, 0, tzinfo=ZONE), False),
        (datetime(2026, 3, 1, 23, 59, tzinfo=ZONE), False),
    ],
)
def test_the_last_good_roster_serves_for_a_while_and_no_longer(inpatients, now, serves):
    inpatients.put(roster("p1"), DAY)
    assert (inpatients.in_force(now, ZONE, timedelta(hours=36)) is not None) is serves


def test_without_any_roster_nobody_is_looked_for(inpatients):
    assert inpatients.in_force(DAY, ZONE, timedelta(hours=36)) is None


class Door:
    """Answers as told, one answer a call."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    def get(self, target):
        self.asked.append(target)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return Answer(200, answer, "application/json", None)


def test_a_failed_fetch_changes_nothing(inpatients):
    good = roster("p1").model_dump_json().encode()
    door = Door(good, BulkUnreachableError("away"), b"{}", b"\xff", good.replace(b"H1", b"H2"))
    fetcher = RosterFetcher(door, inpatients, wall=lambda: DAY, zone=ZONE, every_seconds=60)
    assert [fetcher.fetch_once() for _ in range(5)] == [True, False, False, False, False]
    assert [one.person_id for one in inpatients.latest().patients] == ["p1"]
    assert door.asked[0] == "/device/v1/inpatients?day=2026-03-02"
    assert fetcher.failures == 4


def test_a_site_without_a_network_takes_a_file(tmp_path):
    config = tmp_path / "edge.toml"
    config.write_text(
        '[device]\ndevice_id="ward-1"\ninstitution_id="H1"\ndata_dir="data"\n', encoding="utf-8"
    )
    file = tmp_path / "roster.json"
    file.write_text(roster("p1").model_dump_json(), encoding="utf-8")
    said = CliRunner().invoke(app, ["inpatients", str(file), "--config", str(config)])
    assert said.exit_code == 0
    assert "1 inpatients" in said.output
    store = Store(tmp_path / "data" / "device.sqlite")
    assert Inpatients(store, "H1").latest().patients[0].person_id == "p1"
    store.close()
