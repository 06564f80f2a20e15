"""A revoked device and a real Mosquitto, with nobody's hand in between: silent at once, never in again."""

import configparser
import contextlib
import os
import queue
import shutil
import ssl
import subprocess
import threading
from datetime import UTC, datetime
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from cryptography import x509
from parts.central import register
from parts.devices import LogWriter
from parts.processes import end, find_program, free_port, listens, wait_until
from typer.testing import CliRunner

import renzheng.deploy
from renzheng.central.settings import read_settings
from renzheng.central.site import command as device_command
from renzheng.central.site.authority import Authority
from renzheng.central.site.revocation import ACL, CRL, keep_lists
from renzheng.central.site.setup import make_site
from renzheng.central.store import reading, schema
from renzheng.central.store.database import Database
from renzheng.contracts.events import utc_now
from renzheng.deploy.broker import command as broker_command
from renzheng.deploy.broker.mosquitto import FEWEST_DEVICES

DEPLOY = Path(renzheng.deploy.__file__).parent
LOG = "renzheng/v1/s1/{}/up/log"
SECONDS = 10


class Site:
    """Central's folder with two devices, whose certificates its CA has issued."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "central.toml"
        self.config.write_text(f'database_url = "sqlite:///{folder / "c.sqlite"}"\ndata_dir = "{folder}"\n')
        self.settings = read_settings(self.config)
        make_site(self.settings.site_dir, "test", ["localhost", "127.0.0.1"], utc_now())
        self.authority = Authority.load(self.settings.site_dir)
        self.database = Database(self.settings.database)
        self.database.migrate()
        for name in ("kiosk-1", "kiosk-2"):
            register(self.database, LogWriter(name))
            self.certify(name)

    def certify(self, name):
        pair = self.authority.issue_client(name, utc_now())
        (self.settings.site_dir / f"{name}.pem").write_bytes(pair.certificate)
        (self.settings.site_dir / f"{name}.key").write_bytes(pair.key)
        serial = x509.load_pem_x509_certificate(pair.certificate).serial_number
        with self.database.writing() as connection:
            row = {"serial": f"{serial:x}", "device_id": name, "issued_at": 1}
            connection.execute(schema.device_certificates.insert().values(row))
        return serial

    def run(self, app, *words):
        told = CliRunner().invoke(app, [*words, "--config", str(self.config)], catch_exceptions=False)
        assert told.exit_code == 0, told.output


@pytest.fixture
def site(tmp_path):
    made = Site(tmp_path)
    yield made
    made.database.close()


def connect(site, port, name, on_message=None):
    """Connect with a device's certificate; raises when the broker lets it not in."""
    came = queue.Queue()
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, name, protocol=mqtt.MQTTv5)
    client.on_connect = lambda _c, _u, _f, reason, _p: came.put(reason.is_failure)
    client.on_disconnect = lambda *_: came.put(item=True)
    client.on_message = on_message
    folder = site.settings.site_dir
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    client.tls_set_context(context)
    client.connect("127.0.0.1", port)
    client.loop_start()
    if came.get(timeout=SECONDS):
        client.loop_stop()
        raise ConnectionError(name)
    return client


@pytest.mark.mosquitto
def test_a_revoked_device_is_silenced_and_does_not_come_back(site):
    program, port = find_program("mosquitto", "mosquitto", [Path("/usr/sbin")]), free_port()
    out = site.folder / "etc"
    site.run(
        broker_command.app, "broker-config", "--out", str(out), "--host", "127.0.0.1", "--port", str(port)
    )
    with site.database.reading() as connection:
        assert reading.broker_devices(connection) == FEWEST_DEVICES
    config = out / "renzheng.conf"
    config.write_text(config.read_text() + "user root\n")
    process = subprocess.Popen([str(program), "-c", str(config)], stderr=subprocess.DEVNULL)
    heard = queue.Queue()
    with contextlib.ExitStack() as stack:
        stack.callback(end, process)
        wait_until(lambda: listens(port), within_seconds=SECONDS, what="mosquitto listens")
        central = connect(site, port, "central", lambda _c, _u, message: heard.put(message.payload))
        one, two = connect(site, port, "kiosk-1"), connect(site, port, "kiosk-2")
        for client in (central, one, two):
            stack.callback(client.loop_stop)
            stack.callback(client.disconnect)
        subscribed = threading.Event()
        central.on_subscribe = lambda *_: subscribed.set()
        central.subscribe("renzheng/v1/s1/+/up/log", 1)
        assert subscribed.wait(SECONDS)
        one.publish(LOG.format("kiosk-1"), b"before", 1)
        assert heard.get(timeout=SECONDS) == b"before"

        site.run(device_command.app, "revoke", "--device", "kiosk-1")
        told = {
            "RENZHENG_BROKER_RELOAD": f"kill -HUP {process.pid}",
            "RENZHENG_BROKER_GROUP": str(os.getegid()),
        }
        script = [DEPLOY / "setup" / "broker-lists.sh", site.settings.lists_dir, out]
        subprocess.run(script, check=True, env={**os.environ, **told})

        def refused():
            one.publish(LOG.format("kiosk-1"), b"after", 1)
            two.publish(LOG.format("kiosk-2"), b"other", 1)
            return heard.get(timeout=SECONDS) == b"other"

        wait_until(refused, within_seconds=SECONDS, what="the ACL is read again")
        one.disconnect()

        def shut_out():
            try:
                connect(site, port, "kiosk-1").disconnect()
            except (OSError, ssl.SSLError):
                return True
            return False

        wait_until(shut_out, within_seconds=SECONDS, what="the revocation list is read again")
        connect(site, port, "kiosk-2").disconnect()
    assert process.returncode is not None


def test_the_lists_name_revoked_devices_and_their_certificates_only(site):
    second = site.certify("kiosk-1")
    site.run(device_command.app, "revoke", "--device", "kiosk-1")
    acl = (site.settings.lists_dir / ACL).read_text()
    assert "user kiosk-1\ntopic deny" in acl
    assert "kiosk-2" not in acl
    crl = x509.load_pem_x509_crl((site.settings.lists_dir / CRL).read_bytes())
    assert crl.is_signature_valid(
        x509.load_pem_x509_certificate((site.settings.site_dir / "ca.pem").read_bytes()).public_key()
    )
    assert len(list(crl)) == 2
    assert crl.get_revoked_certificate_by_serial_number(second)
    assert (crl.next_update_utc - datetime.now(UTC)).days > 365
    assert not [path for path in site.settings.lists_dir.iterdir() if path.suffix in (".new", ".part")]


def test_a_site_without_a_ca_has_no_lists(site, tmp_path):
    assert not keep_lists(site.database, tmp_path / "none", tmp_path / "lists", utc_now())
    assert not (tmp_path / "lists").exists()


def units(name):
    parsed = configparser.ConfigParser(interpolation=None)
    parsed.optionxform = str
    parsed.read(DEPLOY / "systemd" / name)
    return parsed


def test_the_path_unit_watches_what_central_writes_last():
    watched = Path(units("renzheng-broker.path")["Path"]["PathChanged"])
    assert watched.name == ACL
    assert units("renzheng-broker.path")["Path"]["Unit"] == "renzheng-broker.service"
    words = units("renzheng-broker.service")["Service"]["ExecStart"].split()
    assert Path(words[0]).name == "broker-lists.sh"
    assert os.access(DEPLOY / "setup" / "broker-lists.sh", os.X_OK)
    assert words[1] == str(watched.parent)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_systemd_takes_the_units(tmp_path):
    for name in ("renzheng-broker.path", "renzheng-broker.service"):
        text = (DEPLOY / "systemd" / name).read_text(encoding="utf-8")
        text = text.replace("/opt/renzheng/deploy/setup/broker-lists.sh", "/bin/true")
        (tmp_path / name).write_text(text.replace("Documentation=file:///opt", "Documentation=file:///tmp"))
    said = subprocess.run(
        [
            "systemd-analyze",
            "verify",
            tmp_path / "renzheng-broker.path",
            tmp_path / "renzheng-broker.service",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    assert "renzheng-broker" not in said.stderr
