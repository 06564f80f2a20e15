"""Console, door and ingest in one process: what stops one of them stops no other."""

import contextlib
import http.client
import resource
import socket
import ssl
import threading
import urllib.error
import urllib.request
from urllib.parse import urlsplit

import pytest
from parts.central import OnWire, eventually, register, running_central
from parts.devices import LogWriter

from renzheng.central.site.setup import make_site
from renzheng.central.store import reading
from renzheng.contracts.events import utc_now

pytestmark = pytest.mark.mosquitto
IDLE = 1_100
HUNG = 60
"""More than the console has threads (40) and connections to the store (24)."""


@pytest.fixture
def many_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 8_192)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def reach(url):
    return socket.create_connection((urlsplit(url).hostname, urlsplit(url).port), timeout=60)


def status(url, trust=None):
    try:
        with urllib.request.urlopen(url, timeout=60, context=trust) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_neither_idle_connections_nor_pages_that_hang_stop_door_console_or_ingest(
    tmp_path, broker, many_files, monkeypatch
):
    folder, released, hung = tmp_path / "central", threading.Event(), []
    make_site(folder / "site", "test", ["127.0.0.1"], utc_now())
    trust = ssl.create_default_context(cafile=folder / "site" / "ca.pem")
    told = {"site": {"listen_host": "127.0.0.1", "listen_port": 0}}

    def hang(*_arguments, **_more):
        hung.append(1)
        released.wait(120)
        return []

    with contextlib.ExitStack() as held:
        central = held.enter_context(running_central(folder, broker.port, **told))
        held.callback(released.set)
        writer = register(central.database, LogWriter())
        wire = OnWire(broker.port, central)
        held.callback(wire.close)

        def goes_on():
            writer.many(100)
            wire.send("kiosk-1", writer.batches()[-1:])
            wire.wait_for("kiosk-1", writer.head.sequence)
            assert status(f"{central.url}/health") == 200
            assert status(f"{central.door_url}/join", trust) == 405, "the door answers (it takes POST only)"

        goes_on()
        for url in (central.url, central.door_url):
            for _ in range(IDLE):
                held.enter_context(reach(url))
        goes_on()
        assert status(f"{central.url}/devices") == 200

        monkeypatch.setattr(reading, "devices", hang)
        address = urlsplit(central.url)
        for _ in range(HUNG):
            line = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
            held.callback(line.close)
            line.request("GET", "/devices")  # and never reads the answer
        assert eventually(lambda: len(hung) >= 20, within_seconds=60)
        goes_on()
        monkeypatch.undo()
        released.set()
        assert eventually(lambda: status(f"{central.url}/devices") == 200, within_seconds=60)
