"""A tablet or telephone before the bedside page: a real Chromium with a pretended camera."""

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from parts import chromium, pictures
from parts.bedside import PIN, WITNESS_PIN
from playwright.sync_api import BrowserContext, Page

TABLET, TELEPHONE = {"width": 800, "height": 1280}, {"width": 390, "height": 844}
_CUT_OFF = "CONNECTION|INTERNET|ABORTED|EMPTY_RESPONSE|CONTENT_LENGTH|INCOMPLETE_CHUNKED|SOCKET_NOT_CONNECTED"
"""What the browser says of a device that is away, or was killed before or while it answered."""
_EXPECTED = re.compile(rf"status of (401|403|404|409|429|503)|ERR_({_CUT_OFF})|Failed to fetch")


def noisy_feed(path: Path, shade: int, *, seconds: int = 7, fps: int = 8) -> Path:
    """Some seconds of one shade under a sensor's noise: `StandInEngine` sees a face of that identity.

    It is longer than a look, in which no frame may come twice.
    """
    noise = np.random.default_rng(shade)
    partial = path.with_suffix(".part")
    with partial.open("wb") as out:
        out.write(f"YUV4MPEG2 W640 H480 F{fps}:1 Ip A1:1 C420\n".encode())
        for _ in range(seconds * fps):
            grey = noise.normal(shade, 6, (480, 640)).clip(0, 255).astype(np.uint8)
            out.write(b"FRAME\n" + grey.tobytes() + b"\x80" * (640 * 480 // 2))
    partial.replace(path)
    return path


class Tablet:
    """The page, and the inspector's finger: `taps` and `typed` count what a person would do."""

    def __init__(self, page: Page, context: BrowserContext, feed: Path) -> None:
        self.page, self.context, self.feed = page, context, feed
        self.taps = 0
        self.typed = 0
        self.dead = False

    def reach(self, *screens: str) -> str:
        """Wait for one of these screens."""
        wanted = ", ".join(f"body[data-screen={name}]" for name in screens)
        self.page.wait_for_selector(wanted, timeout=chromium.PATIENCE_MS)
        return self.page.evaluate("document.body.dataset.screen")

    def tap(self, selector: str) -> None:
        """Tap what is to be seen."""
        self.taps += 1
        self.page.locator(selector).locator("visible=true").first.click()

    def type(self, selector: str, text: str) -> None:
        """Type into a field."""
        self.taps += 1
        self.typed += len(text)
        self.page.fill(selector, text)

    def sign_in(self, number: str = "I-7", pin: str = PIN) -> None:
        """Sign in, and wait until the page has taken it up or refused."""
        self.reach("lock")
        self.type("#number", number)
        self.type("#pin", pin)
        self.tap("#lock-form button")

    def open_round(self) -> None:
        """From the sign-in to the list."""
        self.sign_in()
        self.reach("rounds")
        self.tap("#fetch")
        self.page.wait_for_selector("[data-round=open]")
        self.tap("[data-round=open]")
        self.reach("list")

    def bed(self, check_id: str, choice: str) -> None:
        """Take a bed, and say what was found."""
        self.tap(f"[data-check={check_id}]")
        self.reach("check")
        self.tap(f"[data-choice={choice}]")

    def identify(self) -> None:
        """Look at two identifiers."""
        self.tap("[data-value=name]")
        self.tap("[data-value=wristband]")

    def vouch(self, reason: str | None = None, *, pin: str = WITNESS_PIN) -> None:
        """Let the nurse vouch."""
        if reason:
            self.tap(f"[data-value={reason}]")
        self.type("#witness", "1001")
        self.type("#witness-pin", pin)

    def save(self) -> None:
        """Save, and be back at the list."""
        self.tap("#save")
        self.reach("list")

    def present(self, check_id: str) -> None:
        """One patient found in bed and verified."""
        self.bed(check_id, "present")
        self.reach("form")
        self.identify()
        self.save()

    def waiting(self, count: int) -> None:
        """Wait until this many answers wait to be handed over."""
        self.page.wait_for_selector(f"#standing[data-waiting='{count}']", timeout=60_000)

    def shoot(self, name: str) -> None:
        """Keep a picture of the page."""
        picture = pictures.folder("bedside") / f"{name}.png"
        self.page.screenshot(path=picture)
        if name == "zh-800-03-list":
            pictures.for_readme(picture, "bedside")

    def kept(self, *stores: str) -> str:
        """Everything that the page keeps in its database, as text; bytes as Latin-1."""
        return self.page.evaluate(
            """async (stores) => {
              const db = await new Promise((done) => {
                const r = indexedDB.open('bedside'); r.onsuccess = () => done(r.result); });
              const text = (v) => v instanceof ArrayBuffer ? new TextDecoder('latin1').decode(v)
                : ArrayBuffer.isView(v) ? text(v.buffer) : v instanceof CryptoKey ? 'key' + v.extractable
                : v && typeof v === 'object' ? Object.entries(v).map(([k, x]) => k + ':' + text(x)).join()
                : String(v);
              const all = [];
              for (const name of stores.length ? stores : db.objectStoreNames) {
                all.push(...await new Promise((done) => {
                  const r = db.transaction(name).objectStore(name).getAll();
                  r.onsuccess = () => done(r.result); }));
              }
              db.close();
              return all.map(text).join('\\n');
            }""",
            list(stores),
        )


@contextmanager
def tablet(
    url: str,
    feed: Path,
    *,
    viewport: dict[str, int] = TABLET,
    language: str = "zh",
    profile: Path | None = None,
    flags: Sequence[str] = (),
) -> Iterator[Tablet]:
    """Open the page; with `profile` in a browser whose data outlive it."""
    options: dict[str, Any] = {
        "viewport": viewport,
        "has_touch": True,
        "permissions": ["geolocation", "camera"],
        "geolocation": {"latitude": 36.06, "longitude": 120.38, "accuracy": 25},
    }
    with ExitStack() as closing:
        if profile is None:
            context = chromium.browser_before(feed).new_context(**options)
        else:
            context = chromium.browser_of_its_own(feed, profile, flags, options)
        context.set_default_timeout(chromium.PATIENCE_MS)
        closing.callback(lambda: None if held.dead else context.close())
        page = context.pages[0] if context.pages else context.new_page()
        held = Tablet(page, context, feed)
        said: list[str] = []
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
        page.goto(f"{url}?lang={language}")
        page.wait_for_selector("body[data-screen=lock]")
        page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        yield held
    unexpected = [line for line in said if not _EXPECTED.search(line)]
    assert unexpected == [], unexpected


def assert_usable(page: Page) -> None:
    """Type of 18 px or more, targets of 48 px or more, nothing cut off at the side, WCAG 2.2 AA by axe."""
    small = page.evaluate(
        """() => [...document.querySelectorAll('button, input, label, p, h1, h2, legend, span, b')]
        .filter((e) => e.offsetParent && e.textContent !== '' && getComputedStyle(e).visibility === 'visible')
        .filter((e) => !e.matches('.unseen'))
        .filter((e) => parseFloat(getComputedStyle(e).fontSize) < 18
          || (e.matches('button, input') && (e.offsetHeight < 48 || e.offsetWidth < 48)))
        .map((e) => e.outerHTML.slice(0, 80))"""
    )
    assert small == []
    for size, colours in (
        ("", "none"),
        ("27px", "active"),
    ):  # as it is; in larger type and colours of one's own
        page.emulate_media(forced_colors=colours)
        page.evaluate("size => { document.documentElement.style.fontSize = size; }", size)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), size
        assert chromium.out_of_reach(page) == [], size
    page.emulate_media(forced_colors="none")
    page.evaluate("document.documentElement.style.fontSize = ''")
    found = chromium.axe_of(page, **{"color-contrast-enhanced": {"enabled": True}})
    assert "color-contrast-enhanced" in {each["id"] for each in found["passes"]}
    assert [(each["id"], each["nodes"][0]["html"][:120]) for each in found["violations"]] == []
