"""Times the console's pages over a full store, in this process, as one visitor after the other sees them."""

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from renzheng.bench.pages.store import Size, fill
from renzheng.bench.pages.timing import Timing, get, time_page
from renzheng.central.lists.months import Months
from renzheng.central.main import make_signing_key
from renzheng.central.metrics import Metrics
from renzheng.central.settings import make_settings
from renzheng.central.store.database import Database
from renzheng.central.web.app import build_app
from renzheng.central.web.server import WebServer
from renzheng.contracts.errors import FaultError
from renzheng.contracts.events import utc_now

WIDE = "from=2025-04-01&to=2026-03-31"
MONTH = "from=2026-03-01&to=2026-03-31"
PAGES = {
    "lines, a year": f"/lines?{WIDE}",
    "lines, a month": f"/lines?{MONTH}",
    "lines, by amount": f"/lines?{WIDE}&sort=amount&order=desc",
    "lines, by person": f"/lines?{WIDE}&sort=person&order=asc",
    "lines, by item": f"/lines?{WIDE}&sort=item&order=asc",
    "lines, of a doctor": f"/lines?{WIDE}&doctor=D0007",
    "lines, of a ward": f"/lines?{WIDE}&institution=H007&ward=ward-3",
    "lines, of a device": f"/lines?{WIDE}&device=kiosk-7-0",
    "lines, after death": f"/lines?{WIDE}&reason=after_death&sort=amount&order=desc",
    "institutions": f"/lines?{WIDE}&group=institution",
    "persons": f"/lines?{WIDE}&group=person",
    "days": f"/lines?{WIDE}&group=day",
    "findings, a year": f"/findings?{WIDE}",
    "findings, of a ward": f"/findings?{WIDE}&ward=ward-3",
    "institution": "/institutions/H007?month=2026-03",
    "morning": "/",
    "report of a month": "/runs/run-2026-03/report.html",
}


def run(
    lines: int,
    times: int,
    told: Callable[[str], object],
    database_url: str | None = None,
    folder: Path | None = None,
) -> Sequence[Timing]:
    """Fill a store, then ask for each page.

    Args:
        lines: verdicts in the store.
        times: how often each page is asked for, after once that is not counted.
        told: hears how far it is.
        database_url: an empty PostgreSQL; a SQLite file of its own when None.
        folder: where the store is left; one that is filled already is asked as it is. None: nothing is left.
    """
    if folder is not None:
        return _run(folder, lines, times, told, database_url)
    with tempfile.TemporaryDirectory() as own:
        return _run(Path(own), lines, times, told, database_url)


def _run(
    folder: Path, lines: int, times: int, told: Callable[[str], object], database_url: str | None
) -> Sequence[Timing]:
    settings = make_settings({"data_dir": str(folder), "port": 0, "database_url": database_url or ""})
    database = Database(settings.database)
    filled = folder / "filled"
    if not filled.exists():
        begin = time.monotonic()
        make_signing_key(settings.key_file)
        database.migrate()
        fill(database, settings.runs_dir, Size(lines), lambda month: told(f"filling {month}"))
        filled.touch()
        told(f"filled in {time.monotonic() - begin:.0f} s")
    begin = time.monotonic()
    with database.reading() as connection:
        Months(settings.months_dir).refresh(connection)
    told(f"files of lists made in {time.monotonic() - begin:.0f} s")
    server = WebServer(build_app(database, settings, utc_now, Metrics()), "127.0.0.1", 0)
    server.start()
    try:
        pages = {**PAGES, **_of_a_line(server.url)}
        return [time_page(name, server.url + path, times) for name, path in pages.items()]
    finally:
        server.stop()
        database.close()


def _of_a_line(url: str) -> dict[str, str]:
    """Find a line's page, opened from a list and alone, the list's second page, and a finding's."""
    found = {}
    for name, path, mark in (
        ("line", f"/lines?{MONTH}&reason=no_session", 'href="/lines/'),
        ("person", f"/lines?{MONTH}", 'href="/persons/'),
        ("finding", f"/findings?{MONTH}", 'href="/findings/'),
        ("lines, next page", f"/lines?{WIDE}", "after="),
    ):
        page = get(url + path)
        place = page.find(mark, page.find("<tbody>"))
        if place < 0:
            raise FaultError(f"No {name} is in the list.", do="Run the benchmark with more lines.")
        begin = page.rfind('href="', 0, place + 6) + 6
        found[name] = page[begin : page.index('"', begin)].replace("&amp;", "&")
    found["line, alone"] = found["line"].partition("&list=")[0]
    query = found["line, alone"].removeprefix("/lines/").replace("?institution=", "&institution=")
    found["line, what would change it"] = f"/what-if?part=1&line={query}"
    return found
