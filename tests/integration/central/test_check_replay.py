"""A day's checks go through the audit: no difference on generated ones; faults put in are found."""

import datetime as dt
import json
import random

import orjson
import pytest
from parts.check_site import NOW, Site

from renzheng.central.checks.history import Contents, write_history
from renzheng.central.checks.keeping import Keeper
from renzheng.central.checks.replay_job import replay_yesterday, report_of
from renzheng.rules.knowledge.facts import EPOCH, HOUR_US
from renzheng.rules.knowledge.points import Kind, Point, Power

DAY = NOW.date()


def point(kind, value, unit, *items, **more):
    name = f"{kind.value}-{'-'.join(items)}-{unit}"
    return Point(name, kind, items, "", value, unit, power=Power.WARN, **more)


POINTS = [
    point(Kind.SEX, "F", "", "S1"), point(Kind.AGE, "[0,18)", "year", "A1"),
    point(Kind.PAIR, 1, "day", "M1", "P1"), point(Kind.PAIR, 6, "hours", "M1", "P2"),
    point(Kind.PAIR, 1, "visit", "M2", "P1"), point(Kind.FREQUENCY, 2, "day", "F1"),
    point(Kind.FREQUENCY, 1, "hour", "F2"), point(Kind.PERIOD, 2, "day", "R1", within_days=5),
    point(Kind.LEVEL, 3, "level", "A1"), point(Kind.VISIT, ("inpatient",), "", "F2"),
    point(Kind.DIAGNOSIS, ("N18",), "", "R1"), point(Kind.COMPANION, ("M1", "M2"), "", "P2"),
    point(Kind.FREQUENCY, 3, "week", "F1"), point(Kind.FREQUENCY, 1, "24 hours", "F2"),
    point(Kind.AGE, "[0,10)", "month", "S1"),
]  # fmt: skip
CODES = sorted({code for one in POINTS for code in one.items})


def history(path, chance):
    """Write what was billed before, for every person."""
    lines = []
    for number in range(30):
        for at in range(8):
            day = (DAY - EPOCH).days - chance.randint(0, 6)
            wall = (day * 24 + chance.choice([0, 9, 10, 23])) * HOUR_US
            place, visit = chance.choice(["H1", "H2"]), f"V{chance.randint(0, 2)}"
            lines.append(
                (f"P{number}", wall, place, f"L{number}-{at}", visit, chance.choice(CODES), 10_000, 1000)
            )
    persons = [
        (f"P{number}", chance.choice(["M", "F", None]), chance.choice([None, 3_000, 19_000]))
        for number in range(30)
    ]
    write_history(path, Contents(sorted(lines), persons, [("H1", None, "2", None)]), "x")


def body(chance, number):
    items = [
        {
            "id": f"{number}-{at}", "code": chance.choice(CODES), "amount": 10,
            "quantity": chance.choice([1, 1, 2, -1]),
            "at": f"{DAY}T{chance.choice(['00:10', '09:30', '10:00', '23:59'])}:00+08:00",
        }
        for at in range(chance.randint(1, 5))
    ]  # fmt: skip
    visit = {
        "visit_id": f"V{chance.randint(0, 2)}",
        "visit_type": chance.choice([None, "inpatient", "outpatient", "pharmacy"]),
        "diagnoses": chance.choice([[], ["n18.001"], ["I10.x00", "-"], ["--"]]),
    }
    return {
        "stage": "before", "institution_id": "H1", "patient": {"person_id": f"P{number % 33}"},
        "encounter": visit, "items": items,
    }  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    site = Site(tmp_path_factory.mktemp("site"))
    site.put(POINTS)
    chance = random.Random(10)
    history(site.settings.checks_dir / "history.sqlite", chance)
    for number in range(60):
        site.check(body(chance, number))
    return site


def replayed(site):
    told = {}
    report = report_of(site.settings, DAY)
    report.unlink(missing_ok=True)
    replay_yesterday(site.settings, NOW + dt.timedelta(days=1), told.__setitem__)
    return json.loads(report.read_bytes()), told


def test_checks_and_audit_name_the_same_points(site):
    report, told = replayed(site)
    assert (report["checks"], report["differences"]) == (60, [])
    assert told == {"renzheng_check_replay_differences": 0}
    kept = Keeper(site.settings.checks_dir / "checks.sqlite").kept_between(0, 1 << 62, 100)
    named = {point for one in kept for point, _ in one.advised}
    assert {one.id for one in POINTS} <= named, "each has been found"


def test_an_advice_that_is_gone_and_one_that_was_put_in_are_told_apart(site, tmp_path):
    keeper = Keeper(site.settings.checks_dir / "checks.sqlite")
    kept = keeper.kept_between(0, 1 << 62, 100)
    one = next(one for one in kept if any(point.startswith("pair") for point, _ in one.advised))
    other = next(one for one in kept if POINTS[0].id not in {point for point, _ in one.advised})
    gone = next(point for point, _ in one.advised if point.startswith("pair"))
    with keeper._connection as connection:
        connection.execute("DELETE FROM advices WHERE check_id = ? AND point = ?", (one.check_id, gone))
        row = ("made", other.check_id, POINTS[0].id, POINTS[0].version, 1, orjson.dumps({}))
        connection.execute("INSERT INTO advices VALUES (?,?,?,?,?,?)", row)
    keeper.close()
    report, told = replayed(site)
    found = {(one["check_id"], one["point"], one["named_by"], one["cause"]) for one in report["differences"]}
    assert found == {
        (one.check_id, gone, "audit", "inputs"),
        (other.check_id, POINTS[0].id, "check", "inputs"),
    }
    assert told == {"renzheng_check_replay_differences": 2}
