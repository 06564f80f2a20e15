"""The kiosk's page opens for the browser that was started with its address, once, and for no other."""

import contextlib
import http.client
import stat
from urllib.parse import urlsplit

import pytest
from parts.edge import StandInEngine, make_settings, stepped_clock
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from renzheng.edge.device.starting import BROWSERS, default_file
from renzheng.edge.kiosk.main import build_agent


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("kiosk")


@pytest.fixture(scope="module")
def agent(folder):
    settings = make_settings(folder, kiosk={"port": 0, "address_file": str(folder / "address")})
    agent = build_agent(settings, clock=stepped_clock(), engine=StandInEngine())
    agent.start()
    yield agent
    agent.stop()


def ask(agent, path, *, method="GET", cookie=None):
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", agent.port, timeout=90)) as line:
        line.request(method, path, headers={"Cookie": cookie} if cookie else {})
        answer = line.getresponse()
        answer.read()
        return answer.status, answer.headers


def start(agent, folder):
    """Open the address as Chromium does; returns the cookie."""
    asked = urlsplit((folder / "address").read_text().strip())
    status, headers = ask(agent, f"{asked.path}?{asked.query}")
    assert (status, headers["location"]) == (303, "/")
    assert "HttpOnly" in headers["set-cookie"]
    assert "SameSite=strict" in headers["set-cookie"]
    return headers["set-cookie"].split(";")[0]


def test_the_address_opens_the_page_once(agent, folder):
    assert stat.S_IMODE((folder / "address").stat().st_mode) == 0o640
    first = (folder / "address").read_text()
    cookie = start(agent, folder)
    assert ask(agent, "/", cookie=cookie)[0] == 200
    assert ask(agent, "/kiosk/state", cookie=cookie)[0] == 200
    assert (folder / "address").read_text() != first, "the next browser has the next one"
    used = urlsplit(first.strip())
    assert ask(agent, f"/?{used.query}")[0] == 403, "what stands in a browser's arguments is used up"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"), ("GET", "/?start="), ("GET", "/?start=x"), ("GET", "/enrol"), ("GET", "/kiosk/roster"),
        ("GET", "/kiosk/state"), ("GET", "/static/kiosk.js"), ("POST", "/kiosk/identify"),
        ("POST", "/enrol/begin"),
    ],
)  # fmt: skip
def test_another_page_of_this_machine_gets_nothing(agent, method, path):
    assert ask(agent, path, method=method)[0] == 403
    assert ask(agent, path, method=method, cookie="renzheng_kiosk=made-up")[0] == 403


def test_probes_of_the_machine_are_answered(agent):
    assert ask(agent, "/health")[0] == 200


@pytest.mark.parametrize("named", [None, "http://evil.example"])
def test_a_socket_names_its_origin_and_comes_by_the_address(agent, folder, named):
    own = agent.kiosk_url.rstrip("/")
    address, cookie = own.replace("http", "ws") + "/kiosk/socket", {"Cookie": start(agent, folder)}
    for origin, headers in ((named, cookie), (own, {})):
        with pytest.raises(InvalidStatus), connect(address, origin=origin, additional_headers=headers):
            pass
    with connect(address, origin=own, additional_headers=cookie) as socket:
        assert "screen" in socket.recv(timeout=90)


def test_browsers_of_before_are_forgotten(agent, folder):
    first = start(agent, folder)
    for _ in range(BROWSERS - 1):
        start(agent, folder)
        assert ask(agent, "/", cookie=first)[0] == 200
    start(agent, folder)
    assert ask(agent, "/", cookie=first)[0] == 403


def test_under_systemd_the_address_lies_in_the_services_own_folder():
    assert str(default_file({"RUNTIME_DIRECTORY": "/run/renzheng-kiosk"})) == "/run/renzheng-kiosk/address"
    assert default_file({}) is None
