"""A relative's purchase at a pharmacy's counter, whole, in a real browser with a pretended camera.

What a clerk does is counted; how long it took is told, not asserted. Pictures go to RENZHENG_ARTEFACTS.
"""

import os
import time
from pathlib import Path

import pytest
from parts import chromium
from parts.bedside_browser import assert_usable, noisy_feed
from parts.till import (
    CLERK,
    COLLEAGUE,
    COLLEAGUES_PIN,
    DAUGHTER,
    DAUGHTERS_CARD,
    MOTHER,
    MOTHERS_CARD,
    PIN,
    SHADE,
    make_counter,
    purchases_of,
)

WIDE, TALL = {"width": 1280, "height": 800}, {"width": 800, "height": 1280}
ACTS = 7
"""Two scans, relation, papers, one tap for the look, and what the buyer does: to look; the next person."""


@pytest.fixture(scope="module")
def counter(tmp_path_factory):
    agent = make_counter(tmp_path_factory.mktemp("counter"), address=True)
    agent.start()
    yield agent
    agent.stop()


@pytest.fixture(scope="module")
def feed(tmp_path_factory):
    return noisy_feed(tmp_path_factory.mktemp("feed") / "daughter.y4m", SHADE)


class Clerk:
    """The clerk's hands; `acts` counts scans and taps."""

    def __init__(self, page):
        self.page, self.acts = page, 0

    def tap(self, selector):
        self.acts += 1
        self.page.locator(selector).locator("visible=true").first.click()

    def scan(self, selector, text):
        """A scanner types, and ends with Enter."""
        self.acts += 1
        self.page.fill(selector, text)
        self.page.press(selector, "Enter")

    def reach(self, screen):
        self.page.wait_for_selector(f"body[data-screen={screen}]")

    def picture(self, name):
        folder = Path(os.environ.get("RENZHENG_ARTEFACTS", "artefacts")) / "counter"
        folder.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=folder / f"{name}.png")


def opened(counter, context, language):
    address = counter.settings.counter.address_file.read_text().strip()
    page = context.new_page()
    page.goto(address)
    page.goto(f"{counter.url}?lang={language}")
    clerk = Clerk(page)
    clerk.reach("lock")
    assert_usable(page)
    page.fill("#number", CLERK)
    page.fill("#pin", PIN)
    page.click("#lock-form button")
    clerk.reach("purchase")
    return clerk


@pytest.mark.parametrize(("language", "size"), [("zh", WIDE), ("en", TALL)])
def test_a_relatives_purchase(counter, feed, language, size, record_property):
    context = chromium.browser_before(feed).new_context(viewport=size, permissions=["camera"])
    context.set_default_timeout(chromium.PATIENCE_MS)
    clerk = opened(counter, context, language)
    page = clerk.page
    began = time.monotonic()
    clerk.scan("#patient", MOTHERS_CARD)
    clerk.tap("[data-choice=child]")
    clerk.scan("#buyer", DAUGHTERS_CARD)
    page.wait_for_selector("#buyer-found:not(:empty)")
    clerk.tap("#papers")
    clerk.picture(f"purchase-{language}-{size['width']}")
    clerk.tap("[data-way=face]")
    clerk.reach("look")
    clerk.picture(f"look-{language}-{size['width']}")
    clerk.reach("done")
    took = time.monotonic() - began
    record_property("seconds", round(took, 1))
    record_property("acts", clerk.acts)
    clerk.picture(f"done-{language}-{size['width']}")
    assert page.get_attribute("body", "data-identified") == "yes"
    assert_usable(page)
    event = purchases_of(counter)[-1]
    data = event["data"]
    assert (event["subject"], data["buyer_id"], data["holder_id"]) == (MOTHER, DAUGHTER, MOTHER)
    assert (data["outcome"], data["relation"], data["basis"]) == ("match", "child", "relative")
    clerk.tap("#next")
    clerk.reach("purchase")
    assert clerk.acts + 1 <= ACTS, "beside the clerk's, the buyer looks"
    assert_usable(page)

    clerk.scan("#patient", MOTHERS_CARD)
    clerk.tap("[data-choice=other]")
    assert_usable(page)
    clerk.scan("#buyer", "110105199001010011")
    clerk.tap("[data-way=face]")
    page.wait_for_selector("#verdict:not(:empty)")
    clerk.tap("[data-way=witness]")
    clerk.reach("entry")
    assert_usable(page)
    page.fill("#witness", COLLEAGUE)
    page.fill("#witness-pin", COLLEAGUES_PIN)
    clerk.tap("#entry-form button.go")
    clerk.reach("done")
    assert page.get_attribute("body", "data-identified") == "no", "a stranger without papers still buys"
    assert purchases_of(counter)[-1]["data"]["witness_id"] == COLLEAGUE
    context.close()


def test_the_page_opens_only_by_its_start_address(counter, feed):
    context = chromium.browser_before(feed).new_context()
    page = context.new_page()
    assert page.goto(counter.url).status == 403
    assert page.goto(f"{counter.url}health").status == 200
    context.close()
