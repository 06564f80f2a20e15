"""One Chromium for a whole test file, with a pretended camera; every test gets a context of its own in it.

Chromium opens the camera's film anew whenever a page begins to look, so one browser plays every test's film:
the name that it was started with is a link, which is laid to the film of the test that runs.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, BrowserType, Page, Playwright, sync_playwright

PROGRAM = os.environ["RENZHENG_CHROMIUM"]
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--in-process-gpu")
PATIENCE_MS = 90_000
"""How long a page is waited for: a busy machine must fail no test."""
_ARGUMENTS = (
    *QUIET,
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_WCAG = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}


def arguments(film: Path) -> list[str]:
    """The command line of a browser before whose camera this film plays."""
    return [*_ARGUMENTS, f"--use-file-for-fake-video-capture={film}"]


@contextmanager
def pressed(page: Page, selector: str) -> Iterator[None]:
    """Hold a finger on something for a block; it lifts where it was put, whatever was painted meanwhile."""
    box = page.locator(selector).bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    yield
    page.mouse.up()


class _Shared:
    """Starts the browser with the first test that wants it, and anew should it have died."""

    def __init__(self, folder: Path, closing: ExitStack) -> None:
        self._film, self._closing = folder / "film.y4m", closing
        self._playwright: Playwright | None = None
        self._browser: Browser | None = None

    def before(self, film: Path) -> Browser:
        """The browser, whose camera plays this film from the next look on."""
        link = self._film.with_suffix(".part")
        link.symlink_to(film.resolve())
        link.replace(self._film)
        if self._browser is None or not self._browser.is_connected():
            self._browser = self._start()
        return self._browser

    def _start(self) -> Browser:
        started = self.chromium().launch(
            executable_path=PROGRAM, args=arguments(self._film), timeout=PATIENCE_MS
        )
        self._closing.callback(started.close)
        return started

    def chromium(self) -> BrowserType:
        """What starts browsers."""
        if self._playwright is None:
            self._playwright = self._closing.enter_context(sync_playwright())
        return self._playwright.chromium


_shared: list[_Shared] = []


@contextmanager
def shared(folder: Path) -> Iterator[None]:
    """Have one browser for whatever runs inside."""
    with ExitStack() as closing:
        _shared.append(_Shared(folder, closing))
        closing.callback(_shared.pop)
        yield


def browser_before(film: Path) -> Browser:
    """The test file's browser; its camera plays `film`, and goes on doing so when that is written anew."""
    return _shared[-1].before(film)


def browser_of_its_own(
    film: Path, profile: Path, flags: Sequence[str], options: dict[str, Any]
) -> BrowserContext:
    """Another browser, whose data lie in `profile` and outlive it."""
    starting, more = _shared[-1].chromium(), [*arguments(film), *flags]
    return starting.launch_persistent_context(profile, executable_path=PROGRAM, args=more, **options)


_OUT_OF_REACH = """() => {
  const within = document.querySelector('dialog[open]') ?? document.body;
  if (document.body.dataset.screen === 'asleep') return [];
  const seen = (e) => e.checkVisibility({ checkVisibilityCSS: true }) && !e.matches('.unseen');
  const scrolled = [...document.querySelectorAll('main, .read')];
  const found = [];
  for (const each of scrolled) each.scrollTop = 0;
  const top = within.matches('dialog') ? 0 : document.querySelector('header').getBoundingClientRect().bottom;
  const heading = [...within.querySelectorAll('h1')].find(seen)?.getBoundingClientRect();
  const low = document.documentElement.classList.contains('low');
  if (heading && heading.top < top - 1 && !low) found.push('the heading lies above what is to be seen');
  for (const e of [...within.querySelectorAll('button, input, a.button, h1')].filter(seen)) {
    e.scrollIntoView({ block: 'center' });
    const box = e.getBoundingClientRect(), name = e.outerHTML.slice(0, 80);
    const down = Math.min(box.height, innerHeight) / 2;
    const hit = document.elementFromPoint(box.left + box.width / 2, box.top + down);
    if (!hit || !(e.contains(hit) || hit.contains(e))) found.push('covered or out of reach ' + name);
  }
  for (const each of scrolled) each.scrollTop = 0;
  return found;
}"""


def out_of_reach(page: Page) -> list[str]:
    """Which headings begin above the screen, and which controls cannot be scrolled to or are covered."""
    return [str(each) for each in page.evaluate(_OUT_OF_REACH)]


def axe_of(page: Page, **rules: Any) -> dict[str, Any]:
    """What axe says of the page by WCAG 2.2 AA: all violations, and of what passes one example a rule."""
    options = {"runOnly": _WCAG, "resultTypes": ["violations"], "rules": rules}
    return Axe().run(page, options=options).response
