"""One page of a real Chromium for the console's tests of a module, and what it complains about."""

import contextlib
from collections.abc import Iterator

from parts.chromium import PROGRAM, QUIET
from playwright.sync_api import Page, Request, sync_playwright

PATIENCE_MS = 60_000
"""Nothing here shows how fast a page comes: a busy machine may take its time."""


@contextlib.contextmanager
def chromium_page() -> Iterator[Page]:
    """Open a page that the tests of a module use one after the other."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=PROGRAM, args=QUIET, timeout=PATIENCE_MS)
        page = running.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(PATIENCE_MS)
        yield page
        running.close()


@contextlib.contextmanager
def uncomplaining(page: Page) -> Iterator[None]:
    """See that the page writes nothing to its console, throws nothing and loads everything it asks for.

    What a page still asks for when somebody goes on to the next one is given up, and no fault.
    """
    complaints: list[str] = []

    def failed(request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":
            complaints.append(request.url)

    heard = {
        "console": lambda message: complaints.append(message.text),
        "pageerror": lambda error: complaints.append(str(error)),
        "requestfailed": failed,
    }
    for event, hear in heard.items():
        page.on(event, hear)
    yield
    for event, hear in heard.items():
        page.remove_listener(event, hear)
    assert complaints == []
