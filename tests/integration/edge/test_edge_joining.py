"""A device joins a real central over loopback, with a real code, and its settings work."""

import subprocess
import sys

import pytest

from renzheng.central.site import joining as at_central
from renzheng.central.site.authority import Authority
from renzheng.central.site.calls import Callers
from renzheng.central.site.door import Counter, build_door
from renzheng.central.site.joining import BrokerAddress, Joining
from renzheng.central.site.setup import make_site
from renzheng.central.store import devices
from renzheng.central.store.database import Database
from renzheng.central.store.devices import Device, Institution
from renzheng.contracts import keys
from renzheng.contracts.events import Purpose, utc_now
from renzheng.contracts.provisioning import JoinCode, ProvisioningError
from renzheng.edge.device.joining import CentralUnreachableError, join
from renzheng.edge.server import Server
from renzheng.edge.settings import load_settings

DEVICE = Device("kiosk-9", "H1", "3", Purpose.DIALYSIS)
NOTHING = Counter(inpatients=pytest.fail, sheets=pytest.fail, openings=pytest.fail)


class Site:
    """Central's half: a database, a CA and the door."""

    def __init__(self, folder):
        self.database = Database(f"sqlite:///{folder / 'central.sqlite'}")
        self.database.migrate()
        make_site(folder / "site", "test", ["localhost"], utc_now())
        broker = BrokerAddress("broker.example", 8883)
        self.central_key = keys.public_pem(keys.generate_key())
        authority = Authority.load(folder / "site")
        joining = Joining(self.database, authority, self.central_key, broker, utc_now)
        door = build_door(joining, Callers(self.database, utc_now), NOTHING, utc_now)
        with self.database.writing() as connection:
            devices.put_institution(connection, Institution("H1", "x", "1"))
        self.server = Server(door, "127.0.0.1", 0)
        self.server.start()
        self.url = f"http://127.0.0.1:{self.server.port}"

    def provision(self):
        with self.database.writing() as connection:
            return at_central.provision(connection, DEVICE, utc_now())

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
    assert private == {"tls.key.pem", "device.key.pem"}


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


def test_nobody_at_the_address_is_said(tmp_path):
    with pytest.raises(CentralUnreachableError):
        join(
            JoinCode("0000-00000-00000"),
            "http://127.0.0.1:9",
            tmp_path / "edge.toml",
            tmp_path / "data",
            "test",
        )


def test_the_commands_ask_for_the_code_and_check_the_log(site, tmp_path):
    def renzheng(*arguments, typed=""):
        script = "import sys; from renzheng.deploy.command import main; main()"
        return subprocess.run(
            [sys.executable, "-c", script, *arguments],
            input=typed,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            check=False,
        )

    joined = renzheng("device", "join", "--central", site.url, typed=f"{site.provision().text}\n")
    assert joined.returncode == 0, joined.stderr
    assert "joined as kiosk-9" in joined.stdout
    assert renzheng("device", "rotate-key").returncode == 0
    checked = renzheng("device", "log", "verify")
    assert "entries 1 to 1 hold" in checked.stdout
    assert renzheng("edge", "log", "verify", "--config", "edge.toml").stdout == checked.stdout
    assert renzheng("device", "join", "--central", site.url, "nonsense").returncode == 1
