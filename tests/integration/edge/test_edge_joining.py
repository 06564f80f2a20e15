"""A device joins a real central over loopback, with a real code, and its settings work."""

import shutil
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import sqlalchemy as sa
from parts import command_line

from renzheng.central.errors import RegistrationError
from renzheng.central.ingest import carrying
from renzheng.central.ingest.service import Ingest, Message
from renzheng.central.site import joining as at_central
from renzheng.central.site.authority import Authority
from renzheng.central.site.calls import Callers
from renzheng.central.site.door import Counter, build_door
from renzheng.central.site.joining import BrokerAddress, Joining
from renzheng.central.site.setup import make_site
from renzheng.central.store import devices, schema
from renzheng.central.store.database import Database
from renzheng.central.store.devices import Device, Institution
from renzheng.central.verify.check import LogVerified
from renzheng.central.verify.projections import check_projections
from renzheng.central.verify.store import check_store
from renzheng.contracts import keys
from renzheng.contracts import log as chain
from renzheng.contracts.events import (
    AttendanceData,
    Clock,
    Outcome,
    Pad,
    Purpose,
    SignIn,
    device_source,
    utc_now,
)
from renzheng.contracts.messages import open_ack
from renzheng.contracts.provisioning import JOIN_PATH, JoinCode, ProvisioningError
from renzheng.edge.device.checking import check_file
from renzheng.edge.device.joining import CentralUnreachableError, join
from renzheng.edge.device.keyring import Keyring
from renzheng.edge.device.log import DeviceLog
from renzheng.edge.device.server import Server
from renzheng.edge.device.store.database import Store
from renzheng.edge.device.store.lock import FolderLock
from renzheng.edge.errors import FolderInUseError
from renzheng.edge.settings import load_settings

DEVICE = Device("kiosk-9", "H1", "3", Purpose.DIALYSIS)
NOTHING = Counter(inpatients=pytest.fail, sheets=pytest.fail, openings=pytest.fail, persons=None)


class Site:
    """Central's half: a database, a CA and the door."""

    def __init__(self, folder):
        self.database = Database(f"sqlite:///{folder / 'central.sqlite'}")
        self.database.migrate()
        make_site(folder / "site", "test", ["localhost"], utc_now())
        broker = BrokerAddress("broker.example", 8883)
        self.key = keys.generate_key()
        self.central_key = keys.public_pem(self.key)
        self.ingest = Ingest(self.database, self.key, utc_now)
        authority = Authority.load(folder / "site")
        joining = Joining(self.database, authority, self.central_key, broker, utc_now)
        door = build_door(joining, Callers(self.database, utc_now), NOTHING, utc_now)
        with self.database.writing() as connection:
            devices.put_institution(connection, Institution("H1", "x", "1"))
        self.server = Server(door, "127.0.0.1", 0)
        self.server.start()
        self.url = f"http://127.0.0.1:{self.server.port}"

    def provision(self, **told):
        with self.database.writing() as connection:
            return at_central.provision(connection, DEVICE, utc_now(), **told)

    def take(self, data_dir, upto=None):
        """Take what a device's file holds, as its link would send it."""
        store = Store(data_dir / "device.sqlite")
        log, keyring = DeviceLog(store, "kiosk-9"), Keyring(store, data_dir)
        lines = log.lines(log.base().sequence, 100)[:upto]
        batch = chain.sign_batch("kiosk-9", lines, keyring.signer(log.base().sequence).key, ack_version=2)
        (reply,) = self.ingest.take([Message("renzheng/v1/3/kiosk-9/up/log", batch)])
        ack = open_ack(reply.payload, self.key)
        if ack.problem is None:
            log.acknowledge(ack.upto, word=reply.payload.decode())
        store.close()
        return ack

    def sessions(self):
        with self.database.reading() as connection:
            return sorted(connection.execute(sa.select(schema.attendance.c.session_id)).scalars())

    def close(self):
        self.server.stop()
        self.database.close()


@pytest.fixture
def site(tmp_path):
    folder = tmp_path / "central"
    folder.mkdir()
    site = Site(folder)
    yield site
    site.close()


def test_a_device_joins_and_its_settings_name_what_central_said(site, tmp_path):
    config = tmp_path / "edge.toml"
    join(site.provision(), site.url, config, tmp_path / "data", "test")
    settings = load_settings(config)
    assert (settings.device.device_id, settings.device.shard) == ("kiosk-9", "3")
    assert (settings.link.host, settings.link.port) == ("broker.example", 8883)
    assert settings.link.central_key_file.read_text() == site.central_key
    private = {path.name for path in (tmp_path / "data").iterdir() if path.stat().st_mode & 0o077 == 0}
    public = {"site-ca.pem", "device.pub.pem", "tls.certificate.pem", "central.pub.pem"}
    assert private - public == {"tls.key.pem", "device.key.pem", "agent.lock"}
    assert private == {path.name for path in (tmp_path / "data").iterdir()}, (
        "public ones are nobody's business"
    )


def test_a_code_that_is_not_right_leaves_no_settings(site, tmp_path):
    site.provision()
    with pytest.raises(ProvisioningError):
        join(JoinCode("0000-00000-00000"), site.url, tmp_path / "edge.toml", tmp_path / "data", "test")
    assert not (tmp_path / "edge.toml").exists()


def test_a_device_that_has_joined_is_not_overwritten(site, tmp_path):
    config = tmp_path / "edge.toml"
    config.write_text("# mine")
    with pytest.raises(ProvisioningError, match="there already"):
        join(site.provision(), site.url, config, tmp_path / "data", "test")


def write(data_dir, *sessions):
    store = Store(data_dir / "device.sqlite")
    log = DeviceLog(store, "kiosk-9")
    for session in sessions:
        log.append(sign_in(session))
    store.close()


def sign_in(session):
    data = AttendanceData(
        institution_id="H1",
        clock=Clock(trusted=True, boot_id="b", monotonic_ms=1),
        purpose=Purpose.DIALYSIS,
        outcome=Outcome.MATCH,
        pad=Pad.BONA_FIDE,
        comparison_score=0.7,
        threshold=0.5,
        session_id=session,
    )
    return SignIn(source=device_source("kiosk-9"), time=utc_now(), subject="P1", data=data)


def holds(site):
    (chained,) = check_store(site.database)
    (drawn,) = check_projections(site.database)
    return isinstance(chained, LogVerified) and isinstance(drawn, LogVerified)


def test_a_device_that_lost_its_disk_goes_on_behind_what_central_has(site, tmp_path):
    config, data = tmp_path / "edge.toml", tmp_path / "data"
    join(site.provision(), site.url, config, data, "test")
    write(data, "S1", "S2", "S3")
    assert site.take(data, upto=2).upto == 2
    shutil.rmtree(data)
    config.unlink()
    with pytest.raises(RegistrationError, match="has joined before"):
        site.provision()
    joined = join(site.provision(replaces=True), site.url, config, data, "test")
    assert joined.answer.log_sequence == 2
    write(data, "S4")
    assert site.take(data).upto == 3
    assert site.sessions() == ["S1", "S2", "S4"]
    assert holds(site)
    assert check_file(data / "device.sqlite", "kiosk-9").head.sequence == 3


def test_a_device_whose_log_forked_joins_again_and_carries_over_what_central_lacks(site, tmp_path):
    config, data = tmp_path / "edge.toml", tmp_path / "data"
    join(site.provision(), site.url, config, data, "test")
    write(data, "S1", "S2")
    assert site.take(data, upto=1).upto == 1
    shutil.copytree(data, tmp_path / "old")
    write(data, "S3")
    assert site.take(data).upto == 3
    shutil.rmtree(data)
    (tmp_path / "old").rename(data)  # set back to an older copy, of which the first was acknowledged
    write(data, "S5")
    assert site.take(data).problem == "fork"
    with pytest.raises(ProvisioningError, match="log already"):
        join(site.provision(replaces=True), site.url, config, data, "test")
    with FolderLock(data), pytest.raises(FolderInUseError):
        join(site.provision(replaces=True), site.url, config, data, "test", again=True)
    joined = join(site.provision(replaces=True), site.url, config, data, "test", again=True)
    assert (joined.closed.carried, joined.closed.unreadable) == (2, 0)
    store = Store(data / "device.sqlite")
    assert DeviceLog(store, "kiosk-9").word()  # nobody can tell it older ones of the same store
    store.close()
    write(data, "S6")
    assert site.take(data).upto == 3 + 1 + 2 + 1
    assert site.sessions() == ["S1", "S2", "S3", "S5", "S6"]
    assert holds(site)
    with site.database.reading() as connection:
        flaws = connection.execute(sa.select(schema.log_entries.c.flaw)).scalars().all()
    assert [flaw for flaw in flaws if flaw] == [carrying.KNOWN]
    store = Store(data / "device.sqlite")
    log = DeviceLog(store, "kiosk-9")
    assert len(list(log.events_about("P1"))) == 4  # a consent that is taken back reaches the closed log too
    log.acknowledge(7, safe=7)
    log.prune(utc_now() + timedelta(days=1))
    assert not store.rows("SELECT * FROM closed_entries")
    store.close()


def test_an_entry_that_was_altered_on_the_disk_is_not_carried_over(site, tmp_path):
    config, data = tmp_path / "edge.toml", tmp_path / "data"
    join(site.provision(), site.url, config, data, "test")
    write(data, "S1", "S2", "S3")
    store = Store(data / "device.sqlite")
    with store.writing() as database:
        database.execute(
            "UPDATE entries SET line = CAST(replace(line, 'S2', 'S9') AS BLOB) WHERE sequence = 2"
        )
        database.execute(
            "UPDATE entries SET line = CAST(replace(line, 'S3', 'S8') AS BLOB) WHERE sequence = 3"
        )
    store.close()
    joined = join(site.provision(replaces=True), site.url, config, data, "test", again=True)
    assert (joined.closed.carried, joined.closed.unreadable) == (1, 2)
    assert site.take(data).upto == 2
    assert site.sessions() == ["S1"]


def test_a_code_for_another_device_puts_nobody_out(site, tmp_path):
    config, data = tmp_path / "edge.toml", tmp_path / "data"
    join(site.provision(), site.url, config, data, "test")
    config.write_text(config.read_text().replace("kiosk-9", "kiosk-8"))
    with pytest.raises(ProvisioningError, match="for kiosk-9, not for kiosk-8"):
        join(site.provision(replaces=True), site.url, config, data, "test", again=True)
    write(data, "S1")
    assert site.take(data).upto == 1


def test_nobody_at_the_address_is_said(tmp_path):
    with pytest.raises(CentralUnreachableError):
        join(
            JoinCode("0000-00000-00000"),
            "http://127.0.0.1:9",
            tmp_path / "edge.toml",
            tmp_path / "data",
            "test",
        )


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_central_is_asked_where_somebody_said_that_it_is_and_nowhere_else(tmp_path, status):
    asked = []

    class Elsewhere(BaseHTTPRequestHandler):
        def do_POST(self):
            asked.append(self.path)
            self.send_response(status)
            self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST  # noqa: N815 - the base's names

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        url = f"http://127.0.0.1:{server.server_port}"
        with pytest.raises(ProvisioningError, match="did not let this device in"):
            join(JoinCode("0000-00000-00000"), url, tmp_path / "edge.toml", tmp_path / "data", "test")
        server.shutdown()
    assert asked == [JOIN_PATH]


def test_the_commands_ask_for_the_code_and_check_the_log(site, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    renzheng = command_line.run
    joined = renzheng("device", "join", "--central", site.url, typed=f"{site.provision().text}\n")
    assert "joined as kiosk-9" in joined
    renzheng("device", "rotate-key")
    checked = renzheng("device", "log", "verify")
    assert "entries 1 to 1 hold" in checked
    assert renzheng("edge", "log", "verify", "--config", "edge.toml") == checked
    assert renzheng("device", "join", "--central", site.url, "nonsense", status=1)
