"""Our web servers under callers that ask for nothing: real sockets, plain and in TLS."""

import contextlib
import http.client
import resource
import socket
import ssl
from pathlib import Path

import pytest
from fastapi import FastAPI, Request

from renzheng.central.errors import SettingsError
from renzheng.central.site.authority import Authority
from renzheng.central.web.server import WebServer
from renzheng.common import serving
from renzheng.common.limits import BodyLimits, RequestLimits
from renzheng.common.serving import Places
from renzheng.contracts.events import utc_now

IDLE = 1_100


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    pair = Authority.make("test", utc_now()).issue_server(["127.0.0.1"], utc_now())
    (folder / "key.pem").write_bytes(pair.key)
    (folder / "certificate.pem").write_bytes(pair.certificate)
    return folder / "certificate.pem", folder / "key.pem"


@pytest.fixture(params=["plain", "tls"])
def server(request, tls):
    app = FastAPI()
    app.add_middleware(RequestLimits, limits=BodyLimits(1_000))

    @app.post("/")
    async def length(request: Request):
        return {"read": len(await request.body())}

    served = WebServer(app, "127.0.0.1", 0, tls if request.param == "tls" else None, places=Places(40, 20))
    served.start()
    yield served
    served.stop()


def ask(server, body=b"x", **headers):
    host, port = server.url.split("//")[1].split(":")
    if server.url.startswith("https"):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        line = http.client.HTTPSConnection(host, int(port), timeout=60, context=context)
    else:
        line = http.client.HTTPConnection(host, int(port), timeout=60)
    with contextlib.closing(line):
        line.request("POST", "/", body=body, headers=headers, encode_chunked="Transfer-Encoding" in headers)
        answer = line.getresponse()
        answer.read()
        return answer.status


def reach(server):
    host, port = server.url.split("//")[1].split(":")
    return socket.create_connection((host, int(port)), timeout=60)


def open_files():
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_a_thousand_silent_connections_stop_nobody(server):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    before = open_files()
    with contextlib.ExitStack() as held:
        for _ in range(IDLE):
            held.enter_context(reach(server))
        assert ask(server) == 200
        ours = open_files() - before - IDLE
        assert ours < 60, "the listener holds no more than its places"
        assert ask(server) == 200


def test_bodies_that_trickle_in_stop_nobody(server):
    if server.url.startswith("https"):
        pytest.skip("the same code, and a thousand handshakes")
    with contextlib.ExitStack() as held:
        for _ in range(100):
            line = held.enter_context(reach(server))
            line.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nx")
        assert ask(server) == 200


def test_what_is_too_large_is_refused_with_and_without_a_length(server):
    assert ask(server, b"x" * 1_000) == 200
    assert ask(server, b"x" * 1_001) == 413
    assert ask(server, iter([b"x" * 600] * 2), **{"Transfer-Encoding": "chunked"}) == 413


def test_a_head_that_does_not_end_is_cut_off(server):
    if server.url.startswith("https"):
        pytest.skip("the same code")
    with reach(server) as line, contextlib.suppress(ConnectionError):
        line.sendall(b"POST / HTTP/1.1\r\n")
        for _ in range(100):
            line.sendall(b"X: " + b"y" * 1_000 + b"\r\n")
        assert line.recv(1) == b""


@pytest.mark.parametrize("said", [b"", b"POST / HTTP/1.1\r\nHost: x\r\n"])
def test_a_connection_that_asks_for_nothing_is_ended(server, said, monkeypatch):
    monkeypatch.setattr(serving, "HEAD_SECONDS", 0.05)
    monkeypatch.setattr(serving, "HANDSHAKE_SECONDS", 0.05)
    with reach(server) as line, contextlib.suppress(ConnectionError):
        line.sendall(said)
        while line.recv(100):
            pass


def test_a_finished_connection_may_ask_again_and_is_then_ended(server, monkeypatch):
    if server.url.startswith("https"):
        pytest.skip("the same code")
    with reach(server) as line:
        asked = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx"
        for _ in range(2):
            line.sendall(asked)
            assert b"200 OK" in line.recv(1_000)
        monkeypatch.setattr(serving, "HEAD_SECONDS", 0.05)
        line.sendall(asked)
        while line.recv(1_000):
            pass


def test_a_server_that_ends_before_it_answers_is_an_error_and_not_a_silence(monkeypatch):
    served = WebServer(FastAPI(), "127.0.0.1", 0)
    monkeypatch.setattr(served._server, "run", lambda _listeners: None)
    with pytest.raises(SettingsError, match="ended before it answered"):
        served.start()


def test_no_header_says_where_a_request_comes_from():
    app = FastAPI()
    seen = []

    @app.get("/from")
    async def told(request: Request):
        seen.append(request.client.host)

    served = WebServer(app, "127.0.0.1", 0)
    served.start()
    try:
        line = http.client.HTTPConnection("127.0.0.1", int(served.url.rsplit(":", 1)[1]), timeout=60)
        line.request("GET", "/from", headers={"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"})
        assert line.getresponse().status == 200
        line.close()
    finally:
        served.stop()
    assert seen == ["127.0.0.1"]
