"""What is wrong, told from what is known: absence is named, and nobody is blamed for our own deafness."""

import urllib.error
import urllib.request
from datetime import UTC, date, datetime, timedelta

import pytest
from parts import stores
from parts.central import register
from parts.devices import LogWriter

from renzheng.central.ingest.consumer import Connected
from renzheng.central.metrics import Metrics
from renzheng.central.settings import make_settings
from renzheng.central.site.setup import make_site
from renzheng.central.store import alarms, reading, refusals
from renzheng.central.store.alarms import FoundProblem
from renzheng.central.store.database import Database
from renzheng.central.store.faults import StoreRefusesError
from renzheng.central.store.times import to_us
from renzheng.central.texts import texts
from renzheng.central.watch import problems
from renzheng.central.watch.problems import KINDS, Audited, Problem
from renzheng.central.watch.service_status import ServiceStatus
from renzheng.central.watch.watch import Watch
from renzheng.central.web.app import build_app
from renzheng.central.web.server import WebServer
from renzheng.common.supervised import State, Worker, Workers

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
NOW_US = to_us(NOW)
SECOND = 1_000_000
DAY = 86_400 * SECOND
LISTENING = Connected("0", up=True, trouble="", seconds=3600, contested="")


def device(**changed):
    row = {
        "device_id": "kiosk-1",
        "shard": "0",
        "revoked_at": None,
        "registered_at": NOW_US - 10 * DAY,
        "status_received_at": NOW_US - 10 * SECOND,
        "head_received_at": None,
        "status_seconds": 10.0,
        "halted": None,
        "certificate_until": None,
    }
    return row | changed


def kinds(found):
    return [one.kind for one in found]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, []),
        ({"status_received_at": NOW_US - 34 * SECOND}, []),
        ({"status_received_at": NOW_US - 36 * SECOND}, ["device_silent"]),
        ({"status_received_at": NOW_US - 36 * SECOND, "head_received_at": NOW_US - SECOND}, []),
        ({"status_received_at": NOW_US - 36 * SECOND, "revoked_at": NOW_US}, []),
        ({"status_received_at": NOW_US - 60 * SECOND, "status_seconds": None}, []),
        ({"status_received_at": NOW_US - 96 * SECOND, "status_seconds": None}, ["device_silent"]),
        ({"status_received_at": None}, ["device_silent"]),
        ({"status_received_at": None, "registered_at": NOW_US - 3600 * SECOND}, []),
        ({"halted": "fork"}, ["device_halted"]),
        ({"certificate_until": NOW_US + 31 * DAY}, []),
        ({"certificate_until": NOW_US + 29 * DAY}, ["certificate_ends"]),
        ({"certificate_until": NOW_US - 1}, ["certificate_expired"]),
    ],
)
def test_a_device_is_named_when_it_is_silent_halted_or_runs_out(changed, expected):
    assert kinds(problems.of_devices([device(**changed)], [LISTENING], NOW_US)) == expected


@pytest.mark.parametrize(
    ("waiting", "faces", "expected"),
    [
        ([], 79_999, []),
        ([("kiosk-1", NOW_US - DAY)], 0, []),
        ([("kiosk-1", NOW_US - DAY - 1)], 80_000, ["withdrawal_unanswered", "many_faces"]),
    ],
)
def test_withdrawals_that_wait_and_faces_near_filing_are_told(waiting, faces, expected):
    assert [one.kind for one in problems.of_persons(waiting, faces, NOW_US)] == expected


@pytest.mark.parametrize(("sized_for", "expected"), [(None, []), (3, []), (2, []), (1, ["broker_outgrown"])])
def test_a_broker_made_for_fewer_devices_is_named_and_revoked_ones_do_not_count(sized_for, expected):
    rows = [device(), device(), device(revoked_at=NOW_US)]
    assert kinds(problems.of_broker_size(rows, sized_for, NOW_US)) == expected


@pytest.mark.parametrize(
    "connected",
    [
        [],
        [Connected("0", up=False, trouble="no answer", seconds=3600, contested="")],
        [Connected("0", up=True, trouble="", seconds=20, contested="")],
        [Connected("1", up=True, trouble="", seconds=3600, contested="")],
    ],
)
def test_a_device_is_not_called_silent_while_nobody_listened(connected):
    long_ago = device(status_received_at=NOW_US - 3600 * SECOND)
    assert problems.of_devices([long_ago], connected, NOW_US) == []


def test_a_broker_that_is_away_and_a_shard_that_is_contested():
    away = Connected("0", up=False, trouble="certificate expired", seconds=5, contested="0x8E")
    found = problems.of_brokers([away, LISTENING], NOW_US)
    assert kinds(found) == ["broker_unreachable", "second_consumer"]
    assert found[0] == Problem(
        "broker_unreachable", "shard 0", NOW_US - 5 * SECOND, "broker unreachable: certificate expired"
    )


@pytest.mark.parametrize(
    ("condition", "failing", "expected"),
    [
        ("ok", 0, []),
        ("failing", 10, []),
        ("failing", 61, ["worker_failing"]),
        ("stalled", 0, ["worker_stuck"]),
        ("dead", 0, ["worker_stuck"]),
    ],
)
def test_a_thread_that_hangs_or_fails_is_named(condition, failing, expected):
    state = State("ingest-0", condition, 200, 5, 1, failing, "OSError", gave_up=False)
    assert kinds(problems.of_workers([state], NOW_US)) == expected


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (Audited(NOW_US - 90 * DAY, None, None, []), []),
        (Audited(None, NOW_US - 20 * 3600 * SECOND, date(2026, 3, 1), []), []),
        (Audited(None, NOW_US - 27 * 3600 * SECOND, date(2026, 3, 1), []), ["no_night"]),
        (Audited(NOW_US - 2 * DAY, None, date(2026, 3, 1), []), ["no_night"]),
        (Audited(None, NOW_US, date(2026, 3, 1), [date(2026, 2, 3)]), ["days_not_audited"]),
        (Audited(None, NOW_US, date(2026, 2, 20), []), ["no_bill"]),
    ],
)
def test_a_night_a_day_or_a_bill_that_is_missing(known, expected):
    assert kinds(problems.of_audit(known, NOW, NOW_US)) == expected


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_kind_has_its_name_and_what_to_do(language):
    catalogue = texts(language).catalogue
    assert [kind for kind in KINDS if f"problem.{kind}" not in catalogue] == []
    assert [kind for kind in KINDS if f"problem_do.{kind}" not in catalogue] == []


@pytest.fixture
def store(tmp_path):
    database = Database(stores.lay(f"sqlite:///{tmp_path / 'central.sqlite'}"))
    database.migrate()
    yield database
    database.close()


def open_alarms(store):
    with store.reading() as connection:
        rows = reading.alarms(connection)
    return {(row["device_id"], row["problem"]) for row in rows if row["resolved_at"] is None}


def test_an_alarm_opens_once_keeps_its_beginning_and_closes(store):
    silent = FoundProblem("kiosk-1", "device_silent", "", 100)
    for now in (1_000, 2_000):
        with store.writing() as connection:
            since = alarms.reconcile(connection, KINDS, [silent], now)
        assert since == {("kiosk-1", "device_silent"): 100}
    with store.reading() as connection:
        assert len(reading.alarms(connection)) == 1
    with store.writing() as connection:
        refusals.raise_alarm(connection, "kiosk-1", "gap", "", 1_000)
        alarms.reconcile(connection, KINDS, [], 3_000)
    assert open_alarms(store) == {("kiosk-1", "gap")}, "the ingest's own are not touched"


def test_alarms_that_do_not_come_again_are_closed_and_what_may_prove_a_forgery_stays(store):
    with store.writing() as connection:
        for problem in ("gap", "malformed", "fork", "signature", "foreign_answer"):
            refusals.raise_alarm(connection, "kiosk-1", problem, "", 1_000)
        alarms.age(connection, 2_000, 5_000, kinds=KINDS)
    assert {problem for _, problem in open_alarms(store)} == {"fork", "signature", "foreign_answer"}
    with store.writing() as connection:
        number = next(row["alarm_id"] for row in reading.alarms(connection) if row["problem"] == "fork")
        assert alarms.close(connection, number, 6_000)
        assert not alarms.close(connection, number, 6_000)


def watch_of(tmp_path, store, workers=()):
    settings = make_settings({"data_dir": str(tmp_path)})
    metrics = Metrics()
    standings = [LISTENING]
    return (
        Watch(store, settings, lambda: NOW, metrics, workers=Workers(workers), brokers=lambda: standings),
        metrics,
    )


def test_the_watch_keeps_what_it_sees_and_closes_what_is_over(tmp_path, store):
    writer = register(store, LogWriter(), shard="0")
    make_site(tmp_path / "site", "s", ["127.0.0.1"], datetime(2024, 3, 12, tzinfo=UTC))
    watch, metrics = watch_of(tmp_path, store)
    watch.look()
    assert {one.kind for one in watch.problems()} == {"certificate_ends"}
    assert metrics.value("renzheng_certificate_days_left", certificate="site server") == pytest.approx(9.7)
    with store.writing() as connection:
        connection.exec_driver_sql(
            "INSERT INTO device_status (device_id, state, sequence, acknowledged, software, said_at, "
            f"received_at, status_seconds) VALUES ('{writer.device_id}', 'online', 1, 1, 's', 1, "
            f"{NOW_US - 100 * SECOND}, 10)"
        )
    watch.look()
    assert ("kiosk-1", "device_silent") in open_alarms(store)
    assert metrics.value("renzheng_store_takes_writes") == 1
    with store.writing() as connection:
        connection.exec_driver_sql(f"UPDATE device_status SET received_at = {NOW_US}")
    watch.look()
    assert ("kiosk-1", "device_silent") not in open_alarms(store)


def named(store, *kinds):
    return {(problem, subject) for subject, problem in open_alarms(store) if problem in kinds}


def test_a_shard_of_a_process_of_its_own_is_watched_there_and_missed_when_it_is_gone(tmp_path, store):
    """Two watches over one store leave each other's alarms alone; what one that died left, the other ends."""
    register(store, LogWriter(), shard="0")
    register(store, LogWriter("kiosk-2"), shard="1")
    settings, now = make_settings({"data_dir": str(tmp_path)}), [NOW]
    away = Connected("1", up=False, trouble="no answer", seconds=5, contested="")

    def watch(standing, *, whole):
        told = {"workers": Workers(), "brokers": lambda: [standing], "whole": whole}
        return Watch(store, settings, lambda: now[0], Metrics(), **told)

    site, shard = watch(LISTENING, whole=True), watch(away, whole=False)
    assert [one.worker.name for one in (site, shard)] == ["watch", "watch-1"]
    shard.look()
    site.look()
    assert named(store, "broker_unreachable", "no_consumer") == {("broker_unreachable", "shard 1")}
    (told,) = [one for one in site.problems() if one.kind == "broker_unreachable"]
    assert told.elsewhere, "told on the pages, and no reason to start this process again"
    assert ServiceStatus(site.problems).well()
    assert not ServiceStatus(shard.problems).well()
    now[0] += timedelta(seconds=61)  # the process of shard 1 has died
    site.look()
    assert named(store, "broker_unreachable", "no_consumer") == {("no_consumer", "shard 1")}
    shard.look()
    site.look()
    assert named(store, "broker_unreachable", "no_consumer") == {("broker_unreachable", "shard 1")}


def test_a_store_that_refuses_is_said_at_once_and_recorded_afterwards(tmp_path, store, monkeypatch):
    watch, metrics = watch_of(tmp_path, store)
    probe = store.probe

    def refuse(_now_us):
        raise StoreRefusesError("The store refuses to write: full.", probed=False)

    monkeypatch.setattr(store, "probe", refuse)
    watch.look()
    assert [(one.kind, one.detail) for one in watch.problems()] == [
        ("store_refuses", "The store refuses to write: full.")
    ]
    assert metrics.value("renzheng_store_takes_writes") == 0
    monkeypatch.setattr(store, "probe", probe)
    watch.look()
    assert watch.problems() == []
    with store.reading() as connection:
        (kept,) = reading.alarms(connection)
    assert (kept["problem"], kept["resolved_at"]) == ("store_refuses", NOW_US)


def test_a_thread_of_the_process_is_told_as_of_now(tmp_path, store):
    worker = Worker("web", lambda: None, repeatable=False)
    watch, _ = watch_of(tmp_path, store, [worker])
    assert watch.problems() == []
    worker.start()
    worker.join(60)
    assert [one.kind for one in watch.problems()] == ["worker_stuck"]


def test_pages_metrics_and_health_while_the_store_does_not_answer(tmp_path):
    empty = Database(f"sqlite:///{tmp_path / 'empty.sqlite'}")  # no table is there: every query fails
    worker = Worker("ingest-0", lambda: None, every_seconds=3600)
    wrong = [Problem("store_refuses", "central", NOW_US, "OperationalError (disk I/O error)")]
    standing = ServiceStatus(lambda: wrong, Workers([worker]), empty)
    settings = make_settings({"data_dir": str(tmp_path)})
    server = WebServer(build_app(empty, settings, lambda: NOW, Metrics(), standing), "127.0.0.1", 0)
    server.start()
    try:
        for path, expected in (
            ("/devices", 503),
            ("/api/v1/devices", 503),
            ("/health", 503),
            ("/api/v1/health", 200),
            ("/problems?lang=en", 200),
            ("/metrics", 200),
        ):
            status, text = fetched(server.url + path)
            assert status == expected, path
            assert "SELECT" not in text, path
            if path in ("/api/v1/health", "/problems?lang=en"):
                assert "OperationalError (disk I/O error)" in text
            if path == "/metrics":
                assert 'renzheng_worker_moves{worker="ingest-0"} 1' in text
    finally:
        server.stop()
        empty.close()


def fetched(url):
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
