"""Several centrals over one store: a shard of a process each, and one night among them."""

import signal
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from parts.central import OnWire, eventually, register
from parts.devices import LogWriter
from parts.edge import sign_in
from parts.killed import TESTS, WAIT
from parts.night_store import CHINA, FIRST, bill, line, open_store, rules_in

from renzheng.central.errors import NightError, SettingsError
from renzheng.central.ingest_process import IngestProcess
from renzheng.central.main import make_signing_key
from renzheng.central.nightly.night import Night
from renzheng.central.settings import make_settings, write_settings
from renzheng.central.store import devices, locks, reading, schema
from renzheng.central.store.devices import Institution
from renzheng.contracts import keys
from renzheng.contracts.events import Purpose, utc_now
from renzheng.contracts.ids import DeviceId, Shard
from renzheng.edge.device.keyring import Keyring, device_key
from renzheng.edge.device.link.runner import Identity, Link
from renzheng.edge.device.log import DeviceLog
from renzheng.edge.device.store.database import Store
from renzheng.edge.settings import LinkSettings

RENZHENG = Path(sys.executable).parent / "renzheng"

NIGHT = """
import datetime as dt
from renzheng.central.nightly.night import Night
from renzheng.central.settings import make_settings
from renzheng.central.store.database import Database
from renzheng.contracts.events import utc_now

audit = {{"rules_dir": {rules!r}}}
settings = make_settings({{"data_dir": {folder!r}, "database_url": {url!r}, "audit": audit}})
Night(Database(settings.database), settings, utc_now).run(dt.date(2026, 3, 2), dt.date(2026, 3, 2), tell)
"""


# several centrals are for PostgreSQL; `long`: over one file
on_its_store = pytest.mark.parametrize(
    "database_url",
    [
        pytest.param("postgresql", marks=pytest.mark.postgresql),
        pytest.param("sqlite", marks=pytest.mark.long),
    ],
    indirect=True,
)


@pytest.fixture
def centrals(tmp_path, database_url):
    """Two centrals over one store, each with a data folder of its own."""
    audit = {"rules_dir": rules_in(tmp_path)}
    both = [
        make_settings({"data_dir": str(tmp_path / name), "database_url": database_url, "audit": audit})
        for name in "ab"
    ]
    store = open_store(both[0])
    yield both, store
    store.close()


def states(store):
    with store.reading() as connection:
        return sorted(run["state"] for run in reading.runs(connection))


@on_its_store
def test_one_of_two_centrals_runs_the_night_and_a_holder_that_dies_frees_it(centrals):
    (first, second), store = centrals
    bill(first, line("P1", 2))
    bill(second, line("P1", 2))
    night = Night(store, second, utc_now)
    rules = str(first.audit.rules_dir)
    work = NIGHT.format(folder=str(first.data_dir), url=first.database, rules=rules)
    script = WAIT.format(path=[str(TESTS)], stop="report", work=work)
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        for step in process.stdout:
            if step.strip() == "report":
                break
        with pytest.raises(NightError, match="under way"):
            night.run(FIRST, FIRST)
        night.mend()
        assert states(store) == ["running"], "a central that starts meanwhile takes it for no dead one"
        process.send_signal(signal.SIGKILL)
    with night.alone(wait=True):  # PostgreSQL may take a moment to see that its client is gone
        night.mend()
        assert states(store) == ["interrupted"]
        (report,) = night.go_on()
    assert (report.first, states(store)) == (FIRST, ["done"])


@on_its_store
def test_who_waited_for_another_central_does_not_audit_yesterday_again(centrals):
    (settings, _), store = centrals
    bill(settings, line("P1", 2))
    now = [datetime(2026, 3, 3, 2, tzinfo=CHINA)]
    night = Night(store, settings, lambda: now[0])
    asked = now[0]
    assert night.wanted(asked, []) == [(FIRST, FIRST)]
    now[0] += timedelta(minutes=30)
    night.run(FIRST, FIRST)  # the other central, while this one waited
    assert night.wanted(asked, []) == []
    assert night.wanted(now[0] + timedelta(minutes=1), []) == [(FIRST, FIRST)], "who asks later is answered"


@pytest.mark.postgresql
def test_a_night_whose_session_ended_publishes_nothing(postgresql_server, tmp_path):
    """Another may hold the lock by then: what is written under it goes through the session that holds it."""
    store = open_store(
        make_settings({"data_dir": str(tmp_path), "database_url": postgresql_server.new_database()})
    )
    with locks.alone(store, "night") as held:
        with store.writing() as connection:
            ended = (
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND database = "
            )
            connection.exec_driver_sql(
                ended + "(SELECT oid FROM pg_database WHERE datname = current_database())"
            )

        def publish():
            with held.writing() as connection:
                connection.execute(sa.insert(schema.last_times).values(name="night", at=1))

        with pytest.raises(sa.exc.OperationalError):
            publish()
        with store.reading() as connection:
            assert connection.execute(sa.select(schema.last_times)).all() == []
    store.close()


@pytest.fixture
def shards(tmp_path, postgresql_server, broker):
    """A site of two shards on PostgreSQL; gives its settings, its store and the path of its configuration."""
    told = {
        "database_url": postgresql_server.new_database(),
        "shards": ["0", "1"],
        "broker": {"port": broker.port},
    }
    settings = make_settings({"data_dir": str(tmp_path / "site"), **told})
    make_signing_key(settings.key_file)
    write_settings(settings, tmp_path / "central.toml")
    store = open_store(settings)
    yield settings, store, tmp_path / "central.toml"
    store.close()


def ingest(config, shard):
    """Start `renzheng central ingest` and wait until it says that it consumes."""
    process = subprocess.Popen(
        [RENZHENG, "central", "ingest", "--shard", shard, "--config", config],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert f"shard {shard}" in process.stdout.readline()
    return process


@pytest.mark.mosquitto
@pytest.mark.postgresql
def test_two_shards_as_two_processes_one_dies_and_the_other_goes_on(shards, broker):
    settings, store, config = shards
    writers = [register(store, LogWriter(f"kiosk-{shard}"), shard=shard) for shard in "01"]
    processes = [ingest(config, shard) for shard in "01"]
    wire = OnWire(broker.port, _Key(settings))
    try:
        for shard, writer in zip("01", writers, strict=True):
            writer.many(300)
            _until(wire, writer, shard, 300)
        processes[1].kill()
        processes[1].communicate()
        for shard, writer in zip("01", writers, strict=True):
            writer.many(100)
            wire.send(writer.device_id, writer.batches()[-1:], shard=shard)
        wire.wait_for("kiosk-0", 400)
        assert wire.upto("kiosk-1") == 300
        processes[1] = ingest(config, "1")
        _until(wire, writers[1], "1", 400)
    finally:
        wire.close()
        for process in processes:
            process.terminate()
        assert [process.wait(60) for process in processes] == [0, 0]
        for process in processes:
            process.stdout.close()
    with store.reading() as connection:
        entries = connection.execute(
            sa.select(schema.log_entries.c.device_id, schema.log_entries.c.sequence)
        ).all()
    assert sorted(entries) == [(f"kiosk-{shard}", number) for shard in "01" for number in range(1, 401)]


class _Key:
    """What a client on the wire must know of central."""

    def __init__(self, settings):
        self.public_key = keys.load_public_key(keys.public_pem(make_signing_key(settings.key_file)))


def _until(wire, writer, shard, upto):
    """Send what a device has until central has it, as a device does when nothing moves."""

    def sent():
        wire.send(writer.device_id, writer.batches(), shard=shard)
        return eventually(lambda: wire.upto(writer.device_id) >= upto, within_seconds=2)

    assert eventually(sent, within_seconds=60)


def test_a_shard_that_the_site_does_not_have_is_refused(tmp_path):
    settings = make_settings({"data_dir": str(tmp_path)})
    with pytest.raises(SettingsError, match="no signing key"):
        IngestProcess(settings, ["0"], utc_now)
    make_signing_key(settings.key_file)
    with pytest.raises(SettingsError, match="no shard '1'"):
        IngestProcess(settings, ["1"], utc_now)


class Kiosk:
    """A device of shard 0 by its settings: the real log and link."""

    def __init__(self, folder, store, broker_port, central_key):
        folder.mkdir()
        self.alarms, self.kept = [], []
        own = Store(folder / "device.sqlite")
        device_key(folder)
        self.log = DeviceLog(own, "kiosk-1")
        link_store = Store(folder / "device.sqlite")
        settings = LinkSettings(
            host="127.0.0.1",
            port=broker_port,
            status_seconds=1,
            progress_seconds=1,
            reconnect_first_seconds=0.1,
        )
        who = (DeviceId("kiosk-1"), Shard("0"), Keyring(link_store, folder), central_key, "test")
        self.link = Link(
            settings,
            Identity(*who, keep_reassigned=self.kept.append),
            DeviceLog(link_store, "kiosk-1"),
            wall=utc_now,
            alarm=lambda *alarm: self.alarms.append(alarm),
        )
        self.log.on_append(self.link.wake)
        with store.writing() as connection:
            devices.put_institution(connection, Institution("H1", "Dialysis centre", "371122"))
            device = devices.Device("kiosk-1", "H1", "0", Purpose.DIALYSIS)
            devices.register(connection, device, device_key(folder), utc_now())
        self.written, self._stores = 0, (own, link_store)

    def write(self, count):
        for _ in range(count):
            self.written += 1
            self.log.append(sign_in(self.written, device_id="kiosk-1"))

    def delivered(self):
        return self.log.acknowledged() == self.written

    def stop(self):
        self.link.stop()
        for store in self._stores:
            store.close()


def said(store):
    """What the store knows of the device's last word: its shard, and whether it is there."""
    with store.reading() as connection:
        return connection.execute(
            sa.select(schema.device_status.c.shard, schema.device_status.c.state)
        ).first()


@pytest.mark.mosquitto
@pytest.mark.postgresql
def test_a_device_moves_to_another_shard_and_back_and_nothing_is_lost_or_doubled(shards, broker, tmp_path):
    settings, store, config = shards
    centrals = {"1": IngestProcess(settings, ["1"], utc_now), "0": IngestProcess(settings, ["0"], utc_now)}
    for central in centrals.values():
        central.start()
    first = register(store, LogWriter("kiosk-2"), shard="1")
    wire = OnWire(broker.port, _Key(settings))
    first.many(1)
    _until(wire, first, "1", 1)  # shard 1 speaks first: 0's words are the later ones, and 1's would be old
    wire.close()
    kiosk = Kiosk(tmp_path / "kiosk", store, broker.port, _Key(settings).public_key)
    try:
        kiosk.link.start()
        kiosk.write(30)
        assert eventually(kiosk.delivered)
        for shard, words in (("1", 1), ("0", 2)):
            kiosk.write(150)
            command("move-device", "--device", "kiosk-1", "--shard", shard, "--config", config)
            kiosk.write(150)
            assert eventually(lambda shard=shard: said(store) == (shard, "online"), within_seconds=60)
            kiosk.write(20)
            assert eventually(kiosk.delivered, within_seconds=60)
            assert len(kiosk.kept) == words
        centrals[
            "1"
        ].stop()  # what the broker keeps of the device under the shard that it has left says nothing
        centrals["1"] = IngestProcess(settings, ["1"], utc_now)
        centrals["1"].start()
        kiosk.write(5)
        assert eventually(kiosk.delivered, within_seconds=60)
        assert said(store) == ("0", "online")
        assert (kiosk.alarms, kiosk.link.halted) == ([], None)
    finally:
        kiosk.stop()
        for central in centrals.values():
            central.stop()
    own = schema.log_entries.c.device_id == "kiosk-1"
    with store.reading() as connection:
        entries = connection.execute(sa.select(schema.log_entries.c.sequence).where(own)).scalars().all()
        rows = connection.execute(sa.select(schema.attendance.c.event_id)).scalars().all()
        assert connection.execute(sa.select(schema.quarantine)).all() == []
    assert sorted(entries) == list(range(1, kiosk.written + 1))
    assert len(rows) == len(set(rows)) == kiosk.written + 1


def command(*arguments, status=0):
    done = subprocess.run(
        [RENZHENG, "central", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == status, done.stderr
    return done.stdout + done.stderr


@pytest.mark.postgresql
@pytest.mark.mosquitto
def test_moving_says_what_it_cannot_do(shards):
    _, store, config = shards
    register(store, LogWriter(), shard="0")

    def move(device, shard, status=0):
        return command("move-device", "--device", device, "--shard", shard, "--config", config, status=status)

    assert "no shard '2'" in move("kiosk-1", "2", status=2)
    assert "not registered" in move("kiosk-9", "1", status=1)
    assert "belongs to shard 0 already" in move("kiosk-1", "0")
    assert "nobody consumes shard 1" in move("kiosk-1", "1")
