"""A night whose process is killed: the days stay as they were, and the next start goes on where it was."""

import datetime as dt
import os

import pytest
from parts.killed import steps_until
from parts.night_store import bill, came, covered, kiosk, line, open_store, settings_in, tell

from renzheng.central.nightly.manifest import Manifest
from renzheng.central.nightly.night import Night
from renzheng.central.store import reading
from renzheng.central.store.reading import Choice
from renzheng.contracts.events import utc_now

DAY = dt.date(2026, 3, 2)
NIGHT = """
import datetime as dt
from parts.night_store import open_store, settings_in
from renzheng.central.nightly.night import Night
from renzheng.contracts.events import utc_now

settings = settings_in(Path({folder!r}))
day = dt.date(2026, 3, 2)
Night(open_store(settings), settings, utc_now).run(day, day, tell)
"""
EVERY = ("lake", "load", "bed_verdicts", "keep_verdicts", "keep_findings", "report", "publish")
STOPS = EVERY if os.environ.get("FAULTS") == "long" else ("lake", "bed_verdicts", "keep_findings")


@pytest.fixture
def site(tmp_path):
    settings = settings_in(tmp_path / "site")
    database = open_store(settings)
    tell(database, kiosk(database), *came("P1", 2), *came("P2", 2, "13:00", "13:20"), covered(2))
    bill(settings, line("P1", 2), line("P2", 2), line("P3", 2))
    yield settings, database
    database.close()


def told(database):
    with database.reading() as connection:
        run = reading.run_of_day(connection, DAY.isoformat())
        _, rows = reading.verdicts(connection, Choice(day=DAY.isoformat()))
        runs = reading.runs(connection)
    return run and run["run_id"], {row["line_id"]: row["reason"] for row in rows}, runs


EXPECTED = {"P1-HD-02": "verified_session", "P2-HD-02": "too_short", "P3-HD-02": "no_session"}


def test_it_goes_on_after_a_kill_at_any_step(site):
    settings, database = site
    work = NIGHT.format(folder=str(settings.data_dir))
    for stop in STOPS:
        steps = steps_until(stop, work)
        speaking, verdicts, runs = told(database)
        assert (speaking, verdicts) == (None, {})
        assert len(runs) == 1
        assert runs[0]["state"] == "running"
    assert "dialysis_lines" not in steps  # done before, by a process that was killed
    Night(database, settings, utc_now).mend()
    assert told(database)[2][0]["state"] == "interrupted"
    steps = steps_until(None, work)
    assert steps[-1] == "done"
    assert not {"load", "bed_verdicts"} & set(steps)
    speaking, verdicts, runs = told(database)
    assert verdicts == EXPECTED
    assert [(run["run_id"], run["state"]) for run in runs] == [(speaking, "done")]


def test_a_kill_leaves_the_day_to_the_run_before(site):
    settings, database = site
    night = Night(database, settings, utc_now)
    before = night.run(DAY, DAY).run_id
    tell(database, kiosk(database, "kiosk-2"), *came("P3", 2))
    steps_until("keep_findings", NIGHT.format(folder=str(settings.data_dir)))
    speaking, verdicts, _ = told(database)
    assert speaking == before
    assert verdicts == EXPECTED
    (report,) = night.go_on()
    speaking, verdicts, _ = told(database)
    assert speaking == report.run_id != before
    assert verdicts == {**EXPECTED, "P3-HD-02": "verified_session"}
    assert night.go_on() == []


def test_a_kill_while_the_lake_is_written_leaves_the_lake_as_it_was(site, monkeypatch):
    settings, database = site
    night = Night(database, settings, utc_now)
    night.late_days()
    before = Manifest.read(settings.lake_dir)
    tell(database, "kiosk-1", *came("P3", 2))

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Manifest, "write", stop)
        with pytest.raises(KeyboardInterrupt):
            night.late_days()
    assert Manifest.read(settings.lake_dir) == before
    night.late_days()
    after = Manifest.read(settings.lake_dir)
    assert after.version == before.version + 1
    lying = {str(path.relative_to(settings.lake_dir)) for path in settings.lake_dir.rglob("*.parquet")}
    assert lying == {part.path for part in after.parts}
