"""The console in a real Chromium: nothing fails to load, nothing is cut off, and a picture for the README.

The pictures go to `artefacts/console`.
"""

import pytest
from parts import pictures
from parts.browser import chromium_page, uncomplaining
from parts.central import OnWire, register, running_central
from parts.dialysis_day import DAY, write_logs, write_tables
from parts.mosquitto import Mosquitto
from parts.night_store import rules_in

pytestmark = [pytest.mark.chromium, pytest.mark.mosquitto]


@pytest.fixture(scope="module")
def console(tmp_path_factory):
    folder = tmp_path_factory.mktemp("console")
    (folder / "broker").mkdir()
    with (
        Mosquitto(folder / "broker") as broker,
        running_central(folder / "central", broker.port, audit={"rules_dir": rules_in(folder)}) as central,
    ):
        wire = OnWire(broker.port, central)
        for writer in write_logs():
            register(central.database, writer)
            wire.send(writer.device_id, writer.batches())
            wire.wait_for(writer.device_id, writer.head.sequence)
        wire.close()
        write_tables(central.settings.tables_dir)
        central.night.run(DAY, DAY)
        yield central


@pytest.fixture(scope="module")
def page():
    with chromium_page() as page:
        yield page


PAGES = {
    "day": f"/days/{DAY}",
    "line": "/lines/L-genuine",
    "devices": "/devices",
    "device": "/devices/kiosk-1",
    "quarantine": "/quarantine",
    "findings": "/findings",
    "runs": "/runs",
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_in_a_browser(console, page, name):
    with uncomplaining(page):
        page.goto(console.url + PAGES[name])
        page.wait_for_load_state("networkidle")
    assert page.locator("h1").inner_text().strip()
    for width, height in ((1280, 800), (820, 1180)):
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        picture = pictures.folder("console") / f"console-{name}-{width}.png"
        page.screenshot(path=picture)
        assert picture.stat().st_size > 10_000


def test_from_the_day_to_the_evidence(console, page):
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(console.url)
    page.click("a.card.contradicted")
    page.click("text=L-elsewhere")
    assert page.locator(".answer.contradicted").is_visible()
    assert page.locator("svg.timeline .mark.elsewhere").count() == 2
    page.click("a.language")
    assert page.locator("h2", has_text="Timeline").is_visible()
    page.goto(f"{console.url}/devices")
    assert page.locator("h1").inner_text() == "Devices"
