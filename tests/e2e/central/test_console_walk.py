"""One walk through the console's lists: three widths, both languages, clean by axe, nothing sideways.

The pictures go to `artefacts/console`.
"""

import os

import pytest
from parts import chromium, pictures
from parts.browser import chromium_page, uncomplaining
from parts.listed import listed_console

from renzheng.bench.pages.store import Size

pytestmark = [pytest.mark.chromium]
PAGES = {
    "morning": "/",
    "lines": "/lines?from=2026-03-01&to=2026-03-31",
    "groups": "/lines?group=institution",
    "findings": "/findings",
    "person": "/persons/P000001",
    "institution": "/institutions/H001",
    "inpatients": "/inpatients",
    "wrong": "/lines?from=yesterday",
    "nowhere": "/nowhere",
}
LONG = os.environ.get("FAULTS") == "long"  # axe looks at each page once, at length also on a telephone
SIZES = {"desk": (1440, 900), "phone": (390, 844), "zoomed": (320, 640)}


@pytest.fixture(scope="module")
def console(tmp_path_factory):
    size = Size(lines=300, months=1, institutions=3, persons=12)
    with listed_console(tmp_path_factory.mktemp("walk"), size) as found:
        yield found


@pytest.fixture(scope="module")
def page():
    with chromium_page() as page:
        yield page


@pytest.mark.parametrize(("size", "language"), [("desk", "zh"), ("phone", "en"), ("zoomed", "zh")])
def test_every_page_fits_and_axe_finds_nothing(console, page, size, language):
    width, height = SIZES[size]
    page.set_viewport_size({"width": width, "height": height})
    for name, path in PAGES.items():
        page.goto(f"{console.url}{path}{'&' if '?' in path else '?'}lang={language}")
        page.wait_for_load_state("networkidle")
        page.screenshot(path=pictures.folder("console") / f"walk-{name}-{size}-{language}.png")
        assert page.locator("h1").count() == 1, name
        wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert wide <= 0, f"{name} is {wide} px too wide at {width}"
        broken = page.evaluate(
            "[...document.querySelectorAll('.id')].filter(one => one.getClientRects().length > 1).length"
        )
        assert broken == 0, f"{name}: ids broken"
        if size == "desk" or (LONG and size == "phone"):
            found = chromium.axe_of(page)
            assert [(one["id"], one["nodes"][0]["html"]) for one in found["violations"]] == [], name


def test_by_keys_alone_from_the_list_to_a_line_and_on(console, page):
    page.set_viewport_size({"width": 1440, "height": 900})
    with uncomplaining(page):
        page.goto(f"{console.url}/lines?sort=amount&order=desc&lang=en")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")  # the skip link comes first, and leads to the list
        assert page.evaluate("document.activeElement.id") == "list"
        page.keyboard.press("j")
        page.keyboard.press("j")
        second = page.evaluate("document.activeElement.textContent")
        assert second == page.locator("a.open").nth(1).inner_text()
        page.keyboard.press("Enter")
        page.wait_for_url("**/lines/**")
        page.keyboard.press("k")
        page.wait_for_load_state("networkidle")
        page.wait_for_function("s => !location.pathname.includes(s)", arg=second)
        page.click("nav.trail a >> nth=0")
        page.wait_for_url("**/lines?*sort=amount*")
    assert page.locator("th[aria-sort=descending]").inner_text().startswith("Amount")


def test_the_form_of_a_filter_keeps_the_order(console, page):
    page.goto(f"{console.url}/lines?sort=person&order=asc&lang=en")
    page.click(".filters summary")
    page.select_option("select[name=verdict]", "contradicted")
    page.click(".filters button >> nth=0")
    page.wait_for_url("**verdict=contradicted**")
    assert "sort=person" in page.url
    assert page.locator(".chosen li").inner_text().startswith("Verdict: contradicted")
