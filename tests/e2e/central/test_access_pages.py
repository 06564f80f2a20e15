"""Somebody signs in for the first time in a real Chromium over plain HTTP, and the pages of accounts."""

import datetime as dt

import pytest
import sqlalchemy as sa
from parts import pictures, stores
from parts.browser import chromium_page
from parts.chromium import axe_of
from parts.devices import LogWriter

from renzheng.central.access import access_log, accounts
from renzheng.central.access.access_log import Access
from renzheng.central.access.accounts import New
from renzheng.central.access.roles import Role
from renzheng.central.metrics import Metrics
from renzheng.central.privacy import requests, withdrawals
from renzheng.central.privacy.withdrawals import Withdrawal
from renzheng.central.settings import make_settings
from renzheng.central.store import devices, schema
from renzheng.central.store.database import Database
from renzheng.central.store.devices import Device, Institution
from renzheng.central.web.app import build_app
from renzheng.central.web.server import WebServer
from renzheng.contracts.events import Purpose

pytestmark = pytest.mark.chromium
NOW = dt.datetime(2026, 3, 4, 15, tzinfo=dt.UTC)
PASSWORD = "five green lamps by the river"
WITHDRAWAL = "W1"
AT_400_PER_CENT = {"width": 320, "height": 256}
"""What is left of 1280 by 1024 at 400 % (WCAG 2.2, 1.4.10)."""
ROLES = {"chief": Role.ADMINISTRATOR, "chen": Role.DATA_PROTECTION, "zhao": Role.ADMINISTRATOR}
PAGES = {
    "chief": ("/access/factors", "/access/accounts", "/access/roles", "/access/emergencies", "/access/me"),
    "chen": (
        "/access/log",
        "/privacy",
        f"/privacy/withdrawals/{WITHDRAWAL}",
        "/privacy/requests",
        "/privacy/retention",
        "/privacy/filing",
        "/crops",
    ),
}


@pytest.fixture(scope="module")
def console(tmp_path_factory):
    settings = make_settings({"data_dir": str(tmp_path_factory.mktemp("access"))})
    database = Database(stores.lay(settings.database))
    codes = {}
    with database.writing() as connection:
        for name, role in ROLES.items():
            accounts.add(connection, New(name, frozenset({role})), "test", NOW)
            codes[name] = accounts.give_code(connection, name, NOW)
        seen = [f"P{number}" for number in range(300)]
        for persons in (seen, seen[:1]):
            told = Access("li.wei", ("auditor",), "10.0.0.1", "verdicts", "/days", "audit", "shown", persons)
            access_log.append(connection, told, NOW)
        put_withdrawal(connection)
        for kind in requests.KINDS:
            requests.record(connection, settings, (kind, "P1", "chen"), NOW - dt.timedelta(days=30), "a word")
    server = WebServer(build_app(database, settings, lambda: NOW, Metrics()), "127.0.0.1", 0)
    server.start()
    yield server.url, codes
    server.stop()
    database.close()


def put_withdrawal(connection):
    """Let a consent be taken back of which one device of two has certified."""
    for number in (1, 2):
        devices.put_institution(connection, Institution(f"H{number}", "Dialysis centre", "371122"))
        device = Device(f"kiosk-{number}", f"H{number}", "0", Purpose.DIALYSIS)
        devices.register(connection, device, LogWriter(device.device_id).public_key, NOW)
        row = {
            "person_id": "P1", "device_id": device.device_id, "notice": "face_recognition",
            "notice_version": "1", "institution_id": f"H{number}", "seen_at": 1, "said_at": 2, "given": 1,
        }  # fmt: skip
        connection.execute(sa.insert(schema.consents).values(row))
    withdrawals.begin(connection, Withdrawal(WITHDRAWAL, "P1", NOW, "device", "kiosk-1", "H1"), NOW)
    table = schema.privacy_orders
    answered = {"answered_at": 1, "outcome": "destroyed", "certificate": "eyJ." * 60}
    connection.execute(sa.update(table).where(table.c.device_id == "kiosk-1").values(answered))


@pytest.fixture(scope="module")
def page():
    with chromium_page() as page:
        yield page


@pytest.mark.parametrize("name", PAGES)
def test_from_the_one_time_address_to_the_pages(console, page, name):
    url, codes = console
    page.goto(f"{url}/first?code={codes[name]}")
    page.fill("#password", PASSWORD)
    page.fill("#again", PASSWORD)
    with page.expect_navigation():
        page.click("main button")
    page.set_viewport_size({"width": 1280, "height": 900})
    for path in PAGES[name]:
        for language in ("zh", "en"):
            page.goto(f"{url}{path}?lang={language}")
            inspect(page, f"access{path.replace('/', '-')}-{language}")
        page.set_viewport_size(AT_400_PER_CENT)
        wide = page.evaluate("document.documentElement.scrollWidth")
        page.screenshot(path=pictures.folder("console") / f"access{path.replace('/', '-')}-400.png")
        assert wide <= AT_400_PER_CENT["width"], f"{path} scrolls sideways"
        page.set_viewport_size({"width": 1280, "height": 900})
    page.goto(f"{url}/access/me")
    page.click("main .head button")
    page.wait_for_url(f"{url}/sign-in")


def test_a_passkey_of_a_real_browser(console, page):
    url, codes = console
    url = url.replace("127.0.0.1", "localhost")  # browsers make no passkeys for an address of numbers
    cdp = page.context.new_cdp_session(page)
    cdp.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True}
    options |= {"hasUserVerification": True, "isUserVerified": True, "automaticPresenceSimulation": True}
    cdp.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    page.goto(f"{url}/first?code={codes['zhao']}")
    page.fill("#password", PASSWORD)
    page.fill("#again", PASSWORD)
    page.click("main button")
    page.goto(f"{url}/access/factors?lang=en")
    page.fill("[name=label]", "this laptop")
    page.click("form[data-passkey] button")
    page.wait_for_selector("td >> text=this laptop")
    inspect(page, "access-factors-set-up-en")
    page.goto(f"{url}/access/me")
    page.click("main .head button")
    page.wait_for_url(f"{url}/sign-in")
    page.click("main a[href^='/sign-in/passkey']")
    inspect(page, "access-passkey-en")
    page.click("form[data-passkey] button")
    page.wait_for_url(f"{url}/problems")
    page.goto(f"{url}/confirm")
    inspect(page, "access-confirm-en")
    page.click("form[data-passkey] button")
    page.wait_for_url(f"{url}/problems")
    page.goto(f"{url}/access/me")
    page.click("main .head button")
    page.fill("#account", "zhao")
    page.fill("#password", PASSWORD)
    page.click("main button")
    page.wait_for_url(f"{url}/sign-in/second")
    inspect(page, "access-second-en")
    page.click("form[data-passkey] button")
    page.wait_for_url(f"{url}/problems")


def inspect(page, name):
    """Keep a picture, and let axe look at the page."""
    assert page.locator("h1").inner_text().strip()
    page.screenshot(path=pictures.folder("console") / f"{name}.png")
    assert axe_of(page)["violations"] == []
    if "/privacy" in page.url or "/crops" in page.url:  # at 400 % nothing but tables scrolls sideways
        page.set_viewport_size({"width": 320, "height": 256})
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
        page.screenshot(path=pictures.folder("console") / f"{name}-400.png", full_page=True)
        page.set_viewport_size({"width": 1280, "height": 900})
