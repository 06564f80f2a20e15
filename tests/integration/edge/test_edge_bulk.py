"""Calls to a door over real HTTPS: signed, by the door's clock when ours is off; each failure by its name."""

import ssl
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from parts.certificates import CertificateAuthority
from parts.edge import make_settings

from renzheng.contracts import keys
from renzheng.contracts.messages import Moved, sign_moved
from renzheng.contracts.requests import DATE_HEADER, INPATIENTS_PATH, RequestError, open_request, signer
from renzheng.edge.device import bulk as bulk_module
from renzheng.edge.device.bulk import MOVED, door_address, open_bulk
from renzheng.edge.errors import BulkRefusedError, BulkUnreachableError, SettingsError

DOOR_AT = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
TARGET = f"{INPATIENTS_PATH}?day=2026-03-01"
KEY = keys.generate_key()


class Door(BaseHTTPRequestHandler):
    """Verifies every call as central does; what it answers to a good one is in the server's `answer`."""

    def _serve(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.calls += 1
        try:
            header = self.headers.get("Authorization")
            assert signer(header) == keys.key_id(KEY)
            open_request(header, KEY, self.command, self.path, body, DOOR_AT)
            status, answer = self.server.answer
        except RequestError as error:
            status, answer = 401, str(error).encode()
        self.send_response(status)
        if self.server.tells_time:
            self.send_header(DATE_HEADER, DOOR_AT.isoformat())
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer) + self.server.withheld))
        self.end_headers()
        self.wfile.write(answer + (body if self.command == "POST" else b""))

    do_GET = do_POST = _serve  # noqa: N815 - the base's names

    def log_message(self, *_):
        pass


@contextmanager
def door(folder, authority, answer=(200, b"{}")):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    server.answer, server.calls, server.withheld, server.tells_time = answer, 0, 0, True
    identity = authority.issue("central")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.certificate, identity.key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def authority(tmp_path):
    return CertificateAuthority(tmp_path / "ca")


def client(tmp_path, authority, port, *, wall=DOOR_AT, **bulk):
    settings = make_settings(
        tmp_path, bulk={"url": f"https://localhost:{port}", "ca_file": authority.certificate, **bulk}
    )
    return open_bulk(settings, key=lambda: KEY, wall=lambda: wall)


def test_what_is_fetched_and_handed_in_is_signed(tmp_path, authority):
    with door(tmp_path, authority, (200, b'{"patients":[]}')) as server:
        bulk = client(tmp_path, authority, server.server_port)
        assert bulk.get(TARGET).body == b'{"patients":[]}'
        server.answer = (202, b"")
        answer = bulk.post("/device/v1/openings", b"{}")
        assert (answer.status, answer.door_at) == (202, DOOR_AT)


@pytest.mark.parametrize("off", [timedelta(days=-400), timedelta(hours=2)])
def test_a_clock_that_is_off_is_answered_by_the_doors(tmp_path, authority, off):
    with door(tmp_path, authority) as server:
        assert client(tmp_path, authority, server.server_port, wall=DOOR_AT + off).get(TARGET).status == 200
        assert server.calls == 2


def test_without_the_doors_clock_a_stale_call_stays_refused(tmp_path, authority):
    with door(tmp_path, authority) as server:
        server.tells_time = False
        with pytest.raises(BulkRefusedError) as refused:
            client(tmp_path, authority, server.server_port, wall=DOOR_AT - timedelta(hours=2)).get(TARGET)
        assert refused.value.attributes["status"] == 401
        assert server.calls == 1


@pytest.mark.parametrize("status", [302, 403, 404, 503])
def test_another_answer_is_a_refusal_with_its_status(tmp_path, authority, status):
    with door(tmp_path, authority, (status, b"not for you\nsecond line")) as server:
        with pytest.raises(BulkRefusedError, match="not for you") as refused:
            client(tmp_path, authority, server.server_port).get(TARGET)
        assert refused.value.attributes["status"] == status
        assert "day=" not in refused.value.what


def test_half_an_answer_is_none(tmp_path, authority):
    with door(tmp_path, authority, (200, b'{"patients":[')) as server:
        server.withheld = 10
        with pytest.raises(BulkUnreachableError):
            client(tmp_path, authority, server.server_port, timeout_seconds=1).get(TARGET)


def test_too_much_of_an_answer_is_cut_off(tmp_path, authority, monkeypatch):
    monkeypatch.setattr(bulk_module, "LARGEST_ANSWER_BYTES", 1000)
    answer = (200, b"x" * 200_000)
    with door(tmp_path, authority, answer) as server, pytest.raises(BulkRefusedError, match="more than"):
        client(tmp_path, authority, server.server_port).get(TARGET)


def test_another_sites_door_is_not_asked(tmp_path, authority):
    with door(tmp_path, CertificateAuthority(tmp_path / "other")) as server:
        with pytest.raises(BulkUnreachableError, match="certificate"):
            client(tmp_path, authority, server.server_port).get(TARGET)
        assert server.calls == 0


def test_the_door_is_followed_where_central_says_and_asked_where_it_was_while_nobody_is_there(
    tmp_path, authority
):
    with door(tmp_path, authority, (200, b"old")) as old, door(tmp_path, authority, (200, b"new")) as new:
        bulk = client(tmp_path, authority, old.server_port)
        assert bulk.get(TARGET).body == b"old"
        word = Moved(host="x", port=1, door=f"https://localhost:{new.server_port}", since=DOOR_AT)
        kept = make_settings(tmp_path).device.data_dir / MOVED
        kept.parent.mkdir(exist_ok=True)
        kept.write_bytes(sign_moved(word, KEY))
        assert bulk.get(TARGET).body == b"new", "a device follows without a restart"
        new.shutdown()
        new.server_close()
        assert bulk.get(TARGET).body == b"old"
        kept.write_bytes(b"no word at all")
        assert bulk.get(TARGET).body == b"old"


def test_nobody_there_is_unreachable(tmp_path, authority):
    with door(tmp_path, authority) as server:
        port = server.server_port
    with pytest.raises(BulkUnreachableError):
        client(tmp_path, authority, port).get(TARGET)


def test_without_an_address_there_is_no_client(tmp_path):
    assert open_bulk(make_settings(tmp_path), key=lambda: KEY, wall=lambda: DOOR_AT) is None


@pytest.mark.parametrize(
    "url", ["http://central:8443", "https://", "central:8443", "https://central/prefix", "https://c:99999"]
)
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(SettingsError, match="bulk"):
        door_address(url)


def test_the_ca_must_be_there(tmp_path):
    named = make_settings(tmp_path, bulk={"url": "https://central:8443", "ca_file": tmp_path / "none.pem"})
    unnamed = make_settings(tmp_path, bulk={"url": "https://central:8443"})
    for settings in (named, unnamed):
        with pytest.raises(SettingsError, match="CA"):
            open_bulk(settings, key=lambda: KEY, wall=lambda: DOOR_AT)
