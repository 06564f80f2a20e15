"""`renzheng doctor` names each fault that it was made for, with what mends it; unseen nothing is well."""

import contextlib
import datetime as dt
import json
import shutil
import socket
import sqlite3
import ssl
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import NamedTuple

import pytest
import sqlalchemy as sa
from parts import stores
from typer.testing import CliRunner

from renzheng.central import doctor as central_doctor
from renzheng.central.main import make_signing_key
from renzheng.central.settings import make_settings
from renzheng.central.site.authority import Authority
from renzheng.central.store import audits, schema
from renzheng.central.store.database import Database
from renzheng.central.store.times import to_us
from renzheng.common import doctor, words
from renzheng.common.doctor import BrokerAddress
from renzheng.common.words import message
from renzheng.contracts.events import utc_now
from renzheng.deploy import doctor_command
from renzheng.edge.device import doctor as device_doctor
from renzheng.edge.settings import load_settings

NOW = dt.datetime(2026, 11, 30, 8, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
MADE = utc_now() - DAY


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def states(found, check):
    return [one.state for one in found if one.check == check]


@contextlib.contextmanager
def answering(body, status=200):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def unused_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.mark.parametrize(
    ("now", "newest", "synchronised", "state"),
    [
        (dt.datetime(1970, 1, 2, tzinfo=dt.UTC), None, True, "fault"),
        (NOW, NOW + dt.timedelta(hours=1), True, "fault"),
        (NOW, NOW + dt.timedelta(minutes=4), True, "ok"),
        (NOW, NOW - DAY, False, "warning"),
        (NOW, None, True, "ok"),
    ],
)
def test_a_clock(monkeypatch, now, newest, synchronised, state):
    monkeypatch.setattr(doctor, "is_synchronised", lambda: synchronised)
    (found,) = doctor.look_at_clock(now, newest)
    assert found.state == state
    assert bool(found.do) == (state != "ok")


@pytest.mark.parametrize(("free", "state"), [(10**8, "fault"), (10**9, "warning"), (10**10, "ok")])
def test_a_disk(monkeypatch, tmp_path, free, state):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**11, 0, free))
    assert states(doctor.look_at_disk(tmp_path), "disk") == [state]


def test_a_folder_that_is_not_there_and_one_of_another_account(monkeypatch, tmp_path):
    assert states(doctor.look_at_disk(tmp_path / "none"), "disk") == ["fault"]
    monkeypatch.setattr(doctor.os, "access", lambda *_: False)
    found = list(doctor.look_at_disk(tmp_path))
    assert states(found, "owner") == ["fault"]
    assert "chown" in found[-1].do


def test_root_is_told_that_it_sees_more_than_the_service(monkeypatch, tmp_path):
    mine = doctor.os.geteuid()
    monkeypatch.setattr(doctor, "_has_account", lambda _: True)
    monkeypatch.setattr(doctor.os, "geteuid", lambda: mine + 1)
    (found,) = doctor.look_at_account(tmp_path)
    assert (found.state, found.do.split()[0]) == ("unknown", "sudo")
    assert not doctor.is_owner(tmp_path)
    if mine == 0:
        monkeypatch.setattr(doctor.os, "geteuid", lambda: 0)
        (found,) = doctor.look_at_account(tmp_path)
        assert (found.state, found.do) == ("fault", f"chown -R renzheng: '{tmp_path}'")


def test_a_store_of_another_account_is_not_opened(monkeypatch, central, tmp_path):
    stores.lay(central.database)
    before = sorted(path.name for path in central.data_dir.iterdir())
    monkeypatch.setattr(doctor, "is_owner", lambda _: False)
    found = list(central_doctor.examine(central, tmp_path / "central.toml", NOW))
    assert states(found, "store") == ["unknown"]
    assert sorted(path.name for path in central.data_dir.iterdir()) == before


def test_a_secret_is_there_and_ours_alone(monkeypatch, tmp_path):
    path = tmp_path / "key"
    assert states(doctor.look_at_secret(path, "x"), "secret") == ["fault"]
    path.touch()
    path.chmod(0o640)
    (found,) = doctor.look_at_secret(path, "x")
    assert (found.state, found.do) == ("warning", f"chmod go= '{path}'")
    path.chmod(0o600)
    assert list(doctor.look_at_secret(path, "x")) == []
    monkeypatch.setattr(doctor.os, "access", lambda *_: False)
    assert states(doctor.look_at_secret(path, "x"), "secret") == ["fault"]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A CA, and the certificate of a server on loopback."""
    folder = tmp_path_factory.mktemp("site")
    authority = Authority.make("county", MADE)  # TLS looks at the machine's own clock
    pair = authority.issue_server(["127.0.0.1"], MADE)
    (folder / "ca.pem").write_bytes(authority.certificate)
    (folder / "server.pem").write_bytes(pair.certificate)
    (folder / "server.key").write_bytes(pair.key)
    return folder


@pytest.mark.parametrize(
    ("days", "state", "says"),
    [
        (0, "ok", "valid for"),
        (710, "warning", "ends in"),
        (731, "fault", "ended on"),
        (-30, "fault", "only from"),
    ],
)
def test_a_certificate(site, days, state, says):
    (found,) = doctor.look_at_certificate(site / "server.pem", "x", MADE + days * DAY, "renew")
    assert found.state == state
    assert says in found.what


def test_a_file_that_is_no_certificate(tmp_path):
    (tmp_path / "bad.pem").write_text("none")
    for path in (tmp_path / "bad.pem", tmp_path / "missing.pem"):
        assert states(doctor.look_at_certificate(path, "x", NOW, "renew"), "certificate") == ["fault"]


def test_a_name_that_leads_nowhere_and_a_broker_that_is_away(site):
    wrong = BrokerAddress("no such host", 8883, None, None, None)
    assert states(doctor.look_at_broker(wrong, "broker.host"), "name") == ["fault"]
    away = BrokerAddress("127.0.0.1", unused_port(), None, None, None)
    assert states(doctor.look_at_broker(away, "broker.host"), "broker") == ["fault"]
    lost = BrokerAddress("127.0.0.1", unused_port(), site / "missing.pem", None, None)
    assert states(doctor.look_at_broker(lost, "broker.host"), "broker") == ["fault"]


@pytest.mark.parametrize(("ca", "state"), [("ca.pem", "ok"), ("other.pem", "fault")])
def test_a_broker_whose_certificate_is_of_this_site_or_of_another(site, ca, state):
    (site / "other.pem").write_bytes(Authority.make("other", MADE).certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(site / "server.pem", site / "server.key")
    with socket.create_server(("127.0.0.1", 0)) as plain:

        def serve():
            with contextlib.suppress(OSError):
                taken, _ = plain.accept()
                with taken, context.wrap_socket(taken, server_side=True):
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        address = BrokerAddress("127.0.0.1", plain.getsockname()[1], site / ca, None, None)
        (found,) = doctor.look_at_broker(address, "broker.host")
        thread.join()
    assert (found.check, found.state) == ("broker", state)
    if state == "fault":
        assert "broker-config" in found.do


def test_without_systemd_nothing_is_said_of_units(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert states(doctor.look_at_unit("renzheng-central.service"), "unit") == ["unknown"]


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ({"is-enabled": "enabled", "is-active": "active"}, "ok"),
        ({"is-enabled": "disabled", "is-active": "active"}, "warning"),
        ({"is-enabled": "enabled", "is-active": "failed"}, "fault"),
        ({"is-enabled": "not-found", "is-active": "inactive"}, "warning"),
    ],
)
def test_a_unit(monkeypatch, said, state):
    monkeypatch.setattr(shutil, "which", lambda _: "/bin/systemctl")
    monkeypatch.setattr(doctor.Path, "is_dir", lambda _: True)
    monkeypatch.setattr(doctor, "_asked", lambda call: said[call[1]])
    assert states(doctor.look_at_unit("x.service"), "unit") == [state]


@pytest.fixture
def central(tmp_path):
    settings = make_settings({"data_dir": str(tmp_path / "data"), "port": unused_port()})
    make_signing_key(settings.key_file)
    return settings


def test_a_central_that_never_ran_gets_no_store_by_being_looked_at(central, tmp_path):
    found = list(central_doctor.examine(central, tmp_path / "central.toml", NOW))
    assert states(found, "store") == ["fault"]
    assert not list(central.data_dir.rglob("*.sqlite"))
    assert states(found, "service") == ["fault"]
    assert states(found, "imports") == ["warning"] * len(central_doctor.NEEDED_TABLES)
    assert all(one.do for one in found if one.state in {"warning", "fault"})


@pytest.mark.parametrize(("hours", "state"), [(None, "warning"), (3, "ok"), (100, "fault")])
def test_the_age_of_night_and_backup(central, tmp_path, hours, state):
    database = Database(stores.lay(central.database))
    if hours is not None:
        then = to_us(NOW - dt.timedelta(hours=hours))
        with database.writing() as connection:
            audits.begin(connection, "run", NOW.date(), NOW.date(), folder="x", now_us=then)
            audits.publish(connection, "run", NOW.date(), NOW.date(), summary={}, now_us=then)
            told = {"taken_at": then, "path": "x", "bytes": 1}
            connection.execute(sa.insert(schema.backups).values(told))
    database.close()
    found = list(central_doctor.examine(central, tmp_path / "central.toml", NOW))
    assert states(found, "store") == ["ok"]
    assert states(found, "night") == states(found, "backup") == [state]


def test_a_damaged_store_is_a_finding_and_hides_no_other(central, tmp_path):
    central.data_dir.mkdir(exist_ok=True)
    (central.data_dir / "central.sqlite").write_bytes(b"no database at all" * 500)
    found = list(central_doctor.examine(central, tmp_path / "central.toml", NOW))
    assert states(found, "store") == ["fault"]
    assert states(found, "disk")
    assert states(found, "service")


@pytest.mark.parametrize(
    ("body", "state", "says"),
    [
        (b'{"state": "ok", "workers": {}}', "ok", "is well"),
        (
            b'{"state": "failing", "workers": {"ingest": "dead (OSError)", "night": "ok"}}',
            "fault",
            "ingest dead",
        ),
        (b"<html>a printer</html>", "fault", "not central"),
        (b'{"workers": 3}', "fault", "not central"),
    ],
)
def test_what_answers_on_the_console_s_port(central, tmp_path, body, state, says):
    with answering(body) as port:
        settings = central.model_copy(update={"port": port})
        found = list(central_doctor.examine(settings, tmp_path / "central.toml", NOW))
    (one,) = [one for one in found if one.check == "service"]
    assert one.state == state
    assert says in one.what


def device(folder, port, more=""):
    (folder / "data").mkdir(exist_ok=True)
    path = folder / "edge.toml"
    path.write_text(
        '[device]\ndevice_id = "k1"\ninstitution_id = "H1"\ndata_dir = "data"\n'
        f"[kiosk]\nport = {port}\n{more}"
    )
    return path


WELL = {"device_id": "k1", "connected": True, "halted": None, "state": "up"}


@pytest.mark.parametrize(
    ("health", "state"),
    [
        (WELL, "ok"),
        (WELL | {"halted": "fork"}, "fault"),
        (WELL | {"state": "degraded", "cause": "too_slow"}, "warning"),
        ({"hello": 1}, "fault"),
    ],
)
def test_an_agent(tmp_path, health, state):
    with answering(json.dumps(health).encode(), 200 if state == "ok" else 503) as port:
        path = device(tmp_path, port)
        found = list(device_doctor.examine(load_settings(path), path, NOW))
    assert states(found, "agent") == [state]
    assert states(found, "joining") == ["warning"]


def test_an_agent_s_machine_whose_clock_fell_behind_its_own_records(tmp_path):
    path = device(tmp_path, unused_port(), '[face]\nengine = "nonsense"\n')
    with contextlib.closing(sqlite3.connect(tmp_path / "data" / "device.sqlite")) as store:
        store.execute("CREATE TABLE heartbeat (last_beat TEXT)")
        store.execute("INSERT INTO heartbeat VALUES ('2026-12-30T00:00:00Z')")
        store.commit()
    found = list(device_doctor.examine(load_settings(path), path, NOW))
    assert states(found, "clock") == ["fault"]
    assert "fault" in states(found, "models")
    assert states(found, "agent") == ["fault"]


def test_the_command_speaks_chinese_ends_with_1_and_writes_english_json(tmp_path, monkeypatch):
    monkeypatch.setenv(words.LANGUAGE, "zh")
    path = device(tmp_path, unused_port())
    shown = CliRunner().invoke(doctor_command.app, ["--config", str(path)])
    assert shown.exit_code == 1
    assert "终端程序未运行" in shown.output
    assert "个故障" in shown.output
    written = CliRunner().invoke(doctor_command.app, ["--config", str(path), "--json"])
    assert written.exit_code == 1
    (found,) = json.loads(written.output).values()
    assert {"check", "state", "what", "do"} == set(found[0])
    assert all(message(one["what"]) != one["what"] for one in found)


def test_a_settings_file_that_cannot_be_read_is_the_one_finding(tmp_path):
    (tmp_path / "central.toml").write_text("port = 'x'")
    for name in ("central.toml", "missing.toml"):
        (found,) = doctor_command.examine(tmp_path / name)
        assert (found.check, found.state) == ("settings", "fault")
