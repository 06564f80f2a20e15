"""The pages of rounds, rate and inpatients in a real Chromium, in both languages; a form is filled in.

The pictures go to `artefacts/console`.
"""

import datetime as dt

import pytest
from parts import pictures
from parts.browser import chromium_page, uncomplaining
from parts.mosquitto import Mosquitto
from parts.rounds import Bureau

from renzheng.central.main import build_central, make_signing_key
from renzheng.central.settings import make_settings
from renzheng.contracts import keys
from renzheng.contracts.events import utc_now

pytestmark = [pytest.mark.chromium, pytest.mark.mosquitto]
HOUR = dt.timedelta(hours=1)


@pytest.fixture(scope="module")
def console(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rounds")
    (folder / "broker").mkdir()
    with Mosquitto(folder / "broker") as broker:
        told = {"data_dir": str(folder / "central"), "port": 0, "broker": {"port": broker.port}}
        settings = make_settings(told)
        make_signing_key(settings.key_file)
        central = build_central(settings)
        key = keys.load_private_key(settings.key_file.read_bytes())
        start = utc_now() - dt.timedelta(days=85)
        bureau = Bureau(central.database, key, settings.checkpoints_dir, start)
        bureau.admit_everybody()
        bureau.play_months(3, rounds_a_month=2)
        central.rounds = play_today(bureau)
        central.start()
        yield central
        central.stop()


def play_today(bureau):
    """A round in each state."""
    found = {}
    bureau.now = utc_now() - 3 * HOUR
    found["open"] = bureau.commit()
    bureau.draw(found["open"])
    for check in bureau.open()[::2]:
        bureau.answer_as_they_lie(check)
    bureau.now = utc_now()
    found["committed"] = bureau.commit()
    found["published"] = bureau.checks("published")[-1]["round_id"]
    return found


@pytest.fixture(scope="module")
def page():
    with chromium_page() as page:
        yield page


@pytest.mark.parametrize("seen", [("zh", 1280, 800), ("en", 820, 1180)])
@pytest.mark.parametrize(
    "name", ["rounds", "round-open", "round-committed", "round-published", "rate", "rate-one", "inpatients"]
)
def test_a_page_in_a_browser(console, page, seen, name):
    address = {
        "rounds": "/rounds",
        "rate": "/rate",
        "rate-one": "/rate/H2",
        "inpatients": "/inpatients?institution=H1",
    }.get(name) or f"/rounds/{console.rounds[name.split('-')[1]]}"
    language, width, height = seen
    page.set_viewport_size({"width": width, "height": height})
    with uncomplaining(page):
        page.goto(f"{console.url}{address}{'&' if '?' in address else '?'}lang={language}")
        page.wait_for_load_state("networkidle")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.locator("h1").inner_text().strip()
    picture = pictures.folder("console") / f"console-{name}-{language}-{width}.png"
    page.screenshot(path=picture, full_page=True)
    assert picture.stat().st_size > 10_000
    if (name, language) == ("rate", "zh"):
        pictures.for_readme(picture, "console-rate")


def test_a_site_without_adt_enters_a_stay_and_a_leave_by_hand(console, page):
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(f"{console.url}/inpatients?institution=H4&lang=zh")
    page.select_option("select[name=kind]", "admit")
    for name, text in (
        ("visit", "V-form"),
        ("person", "P-form-1234"),
        ("name", "欧阳锋"),
        ("ward", "骨科"),
        ("bed", "9"),
    ):
        page.fill(f"input[name={name}]", text)
    page.click("form.panel button")
    assert "已收" in page.locator("[role=status]").inner_text()
    row = page.locator("tr", has_text="V-form").first
    assert "欧阳" in row.inner_text()
    assert "锋" not in row.inner_text()
    page.select_option("select[name=kind]", "leave")
    page.fill("input[name=visit]", "V-form")
    page.fill("input[name=person]", "P-form-1234")
    page.click("form.panel button")
    assert "批准人" in page.locator("[role=alert]").inner_text()
    page.fill("input[name=approved_by]", "D7")
    page.click("form.panel button")
    assert "请假" in page.locator("tr", has_text="V-form").first.inner_text()
