"""Times the access log and signing in, in this process and over a real socket."""

import statistics
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from unittest.mock import patch

from renzheng.central.access import access_log, accounts
from renzheng.central.access.access_log import Access
from renzheng.central.access.accounts import New
from renzheng.central.access.roles import Role
from renzheng.central.access.visitors import Visitors
from renzheng.central.main import make_signing_key
from renzheng.central.metrics import Metrics
from renzheng.central.settings import make_settings
from renzheng.central.store.database import Database
from renzheng.central.web.app import build_app
from renzheng.central.web.server import WebServer
from renzheng.contracts.events import utc_now

AT_ONCE = 4
PASSWORD = "five green lamps by the river"  # noqa: S105 - of accounts that live as long as a measurement
_PERSONS = 20
_IN_ONE = 2_000


@dataclass(frozen=True)
class Costs:
    """What was measured.

    Args:
        entries: of the access log.
        verify_seconds: for all of them.
        verify_processor_seconds: the part of it in which this process worked.
        page_ms: median of a page of persons whose entry is written.
        page_without_ms: median of the same page in turn with it, whose entry is not.
        page_ratio: of the two.
        sign_in_ms: median, four at once.
        sign_in_worst_ms: the longest.
    """

    entries: int
    verify_seconds: float
    verify_processor_seconds: float
    page_ms: float
    page_without_ms: float
    page_ratio: float
    sign_in_ms: float
    sign_in_worst_ms: float


def run(entries: int, times: int) -> Costs:
    """Fill an access log, and measure on it."""
    with tempfile.TemporaryDirectory() as folder:
        settings = make_settings({"data_dir": folder, "port": 0})
        make_signing_key(settings.key_file)
        database = Database(settings.database)
        database.migrate()
        token = _fill(database, entries)
        begin, busy = time.monotonic(), time.process_time()
        with database.reading() as connection:
            access_log.verify(connection)
        verify, worked = time.monotonic() - begin, time.process_time() - busy
        server = WebServer(build_app(database, settings, utc_now, Metrics()), "127.0.0.1", 0)
        server.start()
        try:
            page, without = _pages(server.url, token, times)
            sign_ins = _sign_ins(server.url, times)
        finally:
            server.stop()
            database.close()
    return Costs(
        entries, verify, worked, page, without, page / without, statistics.median(sign_ins), max(sign_ins)
    )


def _fill(database: Database, entries: int) -> str:
    now = utc_now()
    for first in range(0, entries, _IN_ONE):
        with database.writing() as connection:
            for number in range(first, min(first + _IN_ONE, entries)):
                persons = [f"P{(number * 7 + one) % 50_000}" for one in range(number % _PERSONS)]
                what = f"GET /lines?page={number % 90}"
                who = f"a{number % 40}"
                told = Access(who, ("auditor",), "10.0.0.1", "verdicts", what, "audit", persons=persons)
                access_log.append(connection, told, now)
    with database.writing() as connection:
        for number in range(AT_ONCE):
            accounts.add(connection, New(f"p{number}", frozenset({Role.AUDITOR})), "bench", now)
            accounts.choose_password(connection, f"p{number}", PASSWORD, now)
        return accounts.give_token(connection, "p0", now)


def _pages(url: str, token: str, times: int) -> tuple[float, float]:
    """Time a page with its entry and without, in turn, so that what else the machine does meets both."""
    asked = urllib.request.Request(f"{url}/findings", headers={"Authorization": f"Bearer {token}"})  # noqa: S310

    def ask() -> float:
        begin = time.monotonic()
        with urllib.request.urlopen(asked, timeout=60) as answer:  # noqa: S310 - of our own server
            answer.read()
        return (time.monotonic() - begin) * 1000

    ask()
    found: dict[bool, list[float]] = {True: [], False: []}
    for number in range(2 * times):
        written = number % 2 == 0
        with patch.object(Visitors, "note", Visitors.note if written else lambda *_: 0):
            found[written].append(ask())
    return statistics.median(found[True]), statistics.median(found[False])


def _sign_ins(url: str, times: int) -> list[float]:
    class _Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: object) -> None:
            return None

    def sign_in(number: int) -> float:
        form = urllib.parse.urlencode({"account": f"p{number}", "password": PASSWORD}).encode()
        begin = time.monotonic()
        try:
            urllib.request.build_opener(_Stay).open(f"{url}/sign-in", form, timeout=60)
        except urllib.error.HTTPError as answer:
            if answer.code != _SEE_OTHER:
                raise
        return (time.monotonic() - begin) * 1000

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return [one for _ in range(max(times // 3, 1)) for one in pool.map(sign_in, range(AT_ONCE))]


_SEE_OTHER = 303
