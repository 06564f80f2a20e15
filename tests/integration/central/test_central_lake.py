"""The lake: partitions by service day and region, and which audited days a late arrival touches."""

import datetime as dt
import shutil
from decimal import Decimal

import duckdb
import pytest
from parts.night_store import (
    FIRST,
    at,
    bill,
    came,
    covered,
    kiosk,
    line,
    open_store,
    put,
    settings_in,
    speak,
    tell,
)

from renzheng.central.command import night as night_command
from renzheng.central.errors import NightError
from renzheng.central.main import make_signing_key
from renzheng.central.nightly import owed_days
from renzheng.central.nightly.manifest import Manifest
from renzheng.central.nightly.night import Night, NightReport
from renzheng.central.settings import write_settings
from renzheng.central.store import reading
from renzheng.contracts.events import utc_now

DAYS = (2, 3, 4)
PEOPLE = ("P1", "P2")


@pytest.fixture(scope="module")
def settled(tmp_path_factory):
    """Two people who dialyse daily, billed for three days, for each of which a run speaks."""
    folder = tmp_path_factory.mktemp("settled")
    settings = settings_in(folder)
    database = open_store(settings)
    device = kiosk(database)
    told = [row for day in DAYS for person in PEOPLE for row in came(person, day)]
    tell(database, device, *told, *(covered(day) for day in DAYS))
    bill(settings, *(line(person, day) for day in DAYS for person in PEOPLE))
    night = Night(database, settings, utc_now)
    assert night.late_days() == []
    speak(database, settings, *map(march, DAYS))
    assert night.late_days() == []
    database.close()
    return folder


@pytest.fixture
def site(settled, tmp_path):
    """A copy of its own of the settled site."""
    shutil.copytree(settled, tmp_path, dirs_exist_ok=True)
    settings = settings_in(tmp_path)
    database = open_store(settings)
    yield settings, database, Night(database, settings, utc_now)
    database.close()


def march(day):
    return dt.date(2026, 3, day)


def parts(settings, table):
    return {
        (part.day, part.region): part.path
        for part in Manifest.read(settings.lake_dir).parts
        if part.table == table
    }


def answer(database, line_id):
    with database.reading() as connection:
        row = reading.verdict(connection, line_id)
    return row["verdict"], row["reason"]


def test_what_has_days_lies_by_service_day_and_region(site):
    settings, _, _ = site
    places = {(f"2026-03-{day:02}", "371122") for day in DAYS}
    assert set(parts(settings, "claim_lines")) == places
    assert set(parts(settings, "attendance")) == places
    everything = settings.lake_dir / "attendance" / "*" / "*" / "*.parquet"
    read = duckdb.sql(
        f"SELECT CAST(day AS VARCHAR), count(*) FROM read_parquet('{everything}', hive_partitioning = true) "
        "WHERE CAST(region AS VARCHAR) = '371122' GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    assert read == [(day, 4) for day, _ in sorted(places)]


def test_a_late_bill_touches_its_day_alone_and_rewrites_nothing_else(site):
    settings, database, night = site
    before = parts(settings, "claim_lines")
    others = [line(person, day) for day in DAYS for person in PEOPLE]
    bill(settings, *others, line("P3", 3))
    assert night.late_days() == [march(3)]
    after = parts(settings, "claim_lines")
    assert {place for place in before if before[place] != after[place]} == {("2026-03-03", "371122")}
    speak(database, settings, march(3))
    assert night.late_days() == []


def test_a_purchase_at_a_counter_reaches_the_audit_and_touches_its_day(site):
    settings, database, night = site
    others = [line(person, day) for day in DAYS for person in PEOPLE]
    bill(settings, *others, line("P3", 3, "PILL"))
    point = {"point_id": "S1", "institution_id": "H1", "kind": "pharmacy", "room": "1", "item_codes": "PILL"}
    put(settings, "service_points", [point])
    night.run(march(3), march(3))
    assert answer(database, "P3-PILL-03") == ("insufficient", "coverage_gap")
    counter = kiosk(database, "counter-1")
    tell(database, counter, {"person_id": "P3", "buyer_id": "B1", "occurred_at": at(3, "10:05")})
    assert march(3) in night.late_days()
    night.run(march(3), march(3))
    assert answer(database, "P3-PILL-03") == ("supported", "verified_session")


def test_a_run_that_a_gateway_signed_is_the_devices_own_witness(site):
    settings, database, night = site
    put(settings, "machine_sessions", [machine_run("P1", 3)])
    signed = {"machine_id": "M2", "person_id": "P2", "started_at": at(3, "08:00"), "ended_at": at(3, "12:00")}
    tell(database, kiosk(database, "gateway-1"), signed)
    assert march(3) in night.late_days()
    night.run(march(3), march(3))
    (folder,) = (path for path in settings.lake_dir.parent.rglob("machine_sessions") if "runs" in path.parts)
    rows = duckdb.sql(
        f"SELECT machine_id, person_id, source FROM read_parquet('{folder}/**/*.parquet') ORDER BY machine_id"
    ).fetchall()
    assert rows == [("M1", "P1", None), ("M2", "P2", "device")]


def machine_run(person, day):
    return {
        "institution_id": "H1",
        "machine_id": "M1",
        "person_id": person,
        "started_at": at(day, "08:00"),
        "ended_at": at(day, "12:00"),
    }


def test_a_late_session_touches_the_days_on_which_it_could_serve_a_line(site):
    settings, database, night = site
    tell(database, kiosk(database, "kiosk-2"), *came("P1", 3, "14:00", "18:00"))
    assert night.late_days() == [march(2), march(3), march(4)]
    speak(database, settings, *map(march, DAYS))
    assert night.late_days() == []
    assert set(parts(settings, "attendance")) == {(f"2026-03-{day:02}", "371122") for day in DAYS}


def test_the_next_days_events_of_others_touch_nothing(site):
    _, database, night = site
    tell(database, "kiosk-1", *came("P9", 5), covered(5))
    assert night.late_days() == []


def test_late_coverage_touches_the_days_that_were_billed_there(site):
    _, database, night = site
    device = kiosk(database, "kiosk-2")
    tell(database, device, {"from_at": at(3, "23:00"), "to_at": at(4, "00:00"), "state": "down"})
    assert night.late_days() == [march(3)]


def test_a_reversal_lies_with_what_it_takes_back_however_late_it_is(site):
    settings, database, night = site
    lines = [*(line(person, day) for day in DAYS for person in PEOPLE), line("P3", 3)]
    bill(settings, *lines)
    night.late_days()
    speak(database, settings, march(3))
    back = {"reverses_line_id": "P3-HD-03", "quantity": Decimal(-1), "amount": Decimal(-400)}
    bill(settings, *lines, line("P3", 28, line_id="R1", **back))
    assert night.late_days() == [march(3)]
    night.run(march(3), march(3))
    with database.reading() as connection:
        assert reading.verdict(connection, "P3-HD-03") is None
        assert reading.verdict(connection, "P2-HD-03") is not None


def test_a_clock_that_was_wrong_is_found_on_the_day_of_receipt(site):
    settings, database, night = site
    bill(settings, *(line(person, day) for day in DAYS for person in PEOPLE), line("P3", 3))
    night.run(march(3), march(3))
    assert answer(database, "P3-HD-03") == ("contradicted", "no_session")
    lost = {"person_id": "P3", "clock_trusted": 0, "received_at": at(3, "09:00")}
    tell(database, "kiosk-1", {**lost, "occurred_at": dt.datetime(1970, 1, 2, tzinfo=dt.UTC)})
    assert night.late_days() == [march(3)]
    night.run(march(3), march(3))
    assert answer(database, "P3-HD-03") == ("insufficient", "coverage_gap")


def test_a_discharge_does_not_reopen_the_stay(site):
    settings, database, night = site
    lines = [line(person, day) for day in DAYS for person in PEOPLE]
    bill(settings, *lines, *(line("P5", day, "BED") for day in DAYS))
    stay = {"visit_id": "V-P5", "institution_id": "H1", "person_id": "P5", "admitted_at": at(1, "09:00")}
    put(settings, "stays", [stay])
    night.late_days()
    speak(database, settings, *map(march, DAYS))
    put(settings, "stays", [{**stay, "discharged_at": at(4, "15:00")}])
    assert night.late_days() == [march(4)]
    put(settings, "persons", [{"person_id": "P5", "sex": "F", "death_date": march(3)}])
    assert night.late_days() == [march(2), march(3), march(4)]


def test_a_run_keeps_what_it_read(site):
    settings, _, night = site
    report = night.run(march(3), march(3))
    files = sorted((report.folder / "tables").rglob("*.parquet"))
    kept = {path: path.read_bytes() for path in files}
    bill(settings, line("P3", 3))
    night.late_days()
    assert {path: path.read_bytes() for path in files} == kept
    assert any(path.stat().st_nlink > 1 for path in files)


def test_nothing_new_leaves_the_lake_as_it_is(site):
    settings, _, night = site
    assert night.late_days() == []  # looks at the imports that were copied
    before = (settings.lake_dir / "manifest.json").read_bytes()
    assert night.late_days() == []
    assert (settings.lake_dir / "manifest.json").read_bytes() == before
    held = {part.path for part in Manifest.read(settings.lake_dir).parts}
    lying = {str(path.relative_to(settings.lake_dir)) for path in settings.lake_dir.rglob("*.parquet")}
    assert lying == held


def test_old_runs_go_but_not_those_that_speak(tmp_path):
    settings = settings_in(tmp_path, keep_runs=1)
    database = open_store(settings)
    bill(settings, line("P1", 2), line("P1", 3))
    night = Night(database, settings, utc_now)
    superseded = night.run(FIRST, FIRST)
    speaking = night.run(FIRST, FIRST)
    newest = night.run(march(3), march(3))
    assert not superseded.folder.exists()
    assert (speaking.folder / "report.html").is_file()
    assert (newest.folder / "tables").is_dir()
    with database.reading() as connection:
        assert reading.run(connection, superseded.run_id)["state"] == "done"
    database.close()


def owed(night):
    return [day.day for day in night.owed_days()]


def test_every_billed_day_that_no_run_answered_is_owed_however_long_ago(site):
    settings, database, night = site
    assert owed(night) == []
    bill(settings, *(line(person, day) for day in (*DAYS, 20, 23, 24) for person in PEOPLE))
    assert owed(night) == [20, 23, 24]
    speak(database, settings, march(23))
    assert owed(night) == [20, 24]
    assert owed_days.spans([march(1), *night.owed_days(), march(21)]) == [
        (march(24), march(24)),
        (march(20), march(21)),
        (march(1), march(1)),
    ]


def test_days_to_come_are_not_owed_yet(site):
    settings, database, _ = site
    bill(settings, *(line(person, day) for day in (*DAYS, 20, 21) for person in PEOPLE))
    at_noon = dt.datetime(2026, 3, 21, 4, tzinfo=dt.UTC)  # noon in Shanghai
    assert owed(Night(database, settings, lambda: at_noon)) == [20]


@pytest.mark.parametrize("lost", ["folder", "part", "manifest"])
def test_a_lake_that_was_lost_reopens_what_it_held(site, lost):
    settings, _, night = site
    lake = Manifest.read(settings.lake_dir)
    if lost == "folder":
        shutil.rmtree(settings.lake_dir)
    elif lost == "part":
        (settings.lake_dir / next(p.path for p in lake.parts if p.table == "attendance")).unlink()
    else:
        (settings.lake_dir / "manifest.json").write_text("{")
    assert owed(night) == list(DAYS)
    made = Manifest.read(settings.lake_dir)
    assert made.lake_id != lake.lake_id
    assert {part.table for part in made.parts} == {part.table for part in lake.parts}
    speak(night._database, settings, *map(march, DAYS))
    assert owed(night) == []


def test_a_run_that_fails_keeps_no_other_back_and_is_tried_again(site, monkeypatch, tmp_path):
    settings, database, night = site
    bill(settings, *(line(person, day) for day in (*DAYS, 20, 22, 24) for person in PEOPLE))
    path = tmp_path / "central.toml"
    write_settings(settings, path)
    make_signing_key(settings.key_file)
    ran = []

    def run(_night, first, last, _progress):
        ran.append(first)
        if first == march(22):
            raise NightError("This day cannot be audited.")
        speak(database, settings, first)
        return NightReport("r", first, last, tmp_path, {})

    monkeypatch.setattr(Night, "run", run)
    with pytest.raises(NightError):
        night_command(config=path, day=None, to=None)
    assert march(24) in ran
    assert march(20) in ran
    assert ran == sorted(ran, reverse=True), "tonight's answer does not wait for old ones"
    assert owed(night) == [22], "the next try makes it up"
