"""The kiosk's page in a real Chromium with a pretended camera, for the edge's end-to-end tests."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from parts import chromium, pictures
from playwright.sync_api import Page, Route, WebSocketRoute

from renzheng.contracts.log import read_entry
from renzheng.edge.kiosk.main import Agent

PORTRAIT, LANDSCAPE = {"width": 1080, "height": 1920}, {"width": 1280, "height": 800}
FEED_FPS = 15


def write_feed(path: Path, frames: Sequence[np.ndarray]) -> None:
    """Write BGR frames of 640 x 480 as what the pretended camera plays, over and over."""
    with path.with_suffix(".part").open("wb") as out:
        out.write(f"YUV4MPEG2 W640 H480 F{FEED_FPS}:1 Ip A1:1 C420\n".encode())
        for frame in frames:
            out.write(b"FRAME\n" + cv2.cvtColor(frame, cv2.COLOR_BGR2YUV_I420).tobytes())
    path.with_suffix(".part").replace(path)


def plain(shade: int) -> np.ndarray:
    """A frame in which `StandInEngine` sees the face of that shade, or none in the dark."""
    return np.full((480, 640, 3), shade, np.uint8)


class Kiosk:
    """The page, and what was asked of the agent."""

    def __init__(self, page: Page, feed: Path) -> None:
        self.page, self.feed = page, feed
        self.asked: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url.split("/", 3)[-1]))

    def reach(self, *screens: str) -> str:
        """Wait for one of these screens."""
        wanted = ", ".join(f"body[data-screen={name}]" for name in screens)
        self.page.wait_for_selector(wanted, timeout=chromium.PATIENCE_MS)
        return str(self.page.evaluate("document.body.dataset.screen"))

    def go_home(self) -> None:
        """Back to the idle screen, as a green one goes by itself after a while."""
        self.page.evaluate("fetch('/kiosk/cancel', {method: 'POST'})")
        self.reach("idle")

    def shoot(self, name: str) -> None:
        """Keep a picture of the page."""
        self.page.screenshot(path=pictures.folder("kiosk") / f"{name}.png")

    def touch(self, selector: str) -> None:
        """Touch what is to be seen."""
        self.page.locator(selector).locator("visible=true").first.click()

    def spoken(self) -> list[str]:
        """The clips that were asked for so far: language and key."""
        return [path.removeprefix("voices/") for path in self.asked if path.startswith("voices/")]


@contextmanager
def opened(
    agent: Agent,
    feed: Path,
    *,
    viewport: dict[str, int] = PORTRAIT,
    language: str = "zh",
    own_time: bool = False,
    before: Callable[[Page], object] = lambda _page: None,
) -> Iterator[Kiosk]:
    """Open the page before a camera that plays `feed`; what the page complains of fails the test.

    With `own_time` the page's clock and timers go by `page.clock`, as the test says; `before` is called with
    the page before it goes anywhere.
    """
    context = chromium.browser_before(feed).new_context(viewport=viewport)
    context.set_default_timeout(chromium.PATIENCE_MS)
    said: list[str] = []
    try:
        page = context.new_page()
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
        kiosk = Kiosk(page, feed)
        if own_time:
            page.clock.install()
        before(page)
        page.goto(f"{agent.kiosk_url}?lang={language}")
        page.wait_for_selector("#roster button")
        yield kiosk
    finally:
        context.close()
    unexpected = [line for line in said if not _EXPECTED.search(line)]
    assert unexpected == [], unexpected


_EXPECTED = re.compile(r"status of (403|404|409)|net::ERR_|WebSocket connection to")
"""What a browser writes of calls that are refused, and of an agent that is away."""


class Line:
    """The page's line to its agent, which a test cuts and mends: `opened(..., before=line)`."""

    def __init__(self) -> None:
        self._cut = False
        self._open: list[WebSocketRoute] = []

    def __call__(self, page: Page) -> None:
        page.route("**/*", self._call)
        page.route_web_socket("**/kiosk/socket", self._socket)

    def cut(self) -> None:
        """The agent is away from now on."""
        self._cut = True
        for each in self._open:
            each.close()
        self._open.clear()

    def mend(self) -> None:
        """It is back."""
        self._cut = False

    def _call(self, route: Route) -> None:
        route.abort() if self._cut else route.continue_()

    def _socket(self, socket: WebSocketRoute) -> None:
        if self._cut:
            socket.close()
            return
        socket.connect_to_server()
        self._open.append(socket)


def fall_asleep(agent: Agent, kiosk: Kiosk) -> None:
    """Let the kiosk sleep at once; whoever wakes it finds it awake, however slow the machine is."""
    agent.kiosk.controller._rest.sleep_ms = 1
    kiosk.reach("asleep")
    agent.kiosk.controller._rest.sleep_ms = 3_600_000


def events_of(agent: Agent, name: str) -> list[dict[str, Any]]:
    """The agent's events whose type ends so."""
    every = [read_entry(line).event for line in agent.log.lines(0, 1000)]
    return [event for event in every if event["type"].endswith(name)]


_FAULTS_OF_SIZE = """() => {
  const seen = (e) => e.checkVisibility({ checkVisibilityCSS: true }) && !e.closest('[hidden]');
  const within = document.querySelector('dialog[open]') ?? document.body;
  const found = [];
  for (const e of within.querySelectorAll('button, input, label, p, h1, h2, legend, a, span, b')) {
    if (!seen(e) || (e.textContent.trim() === '' && !e.matches('button, input'))) continue;
    const box = e.getBoundingClientRect(), style = getComputedStyle(e);
    if (document.body.dataset.screen === 'asleep' && !e.closest('#night')) continue;
    const name = e.outerHTML.slice(0, 80);
    if (parseFloat(style.fontSize) < 28) found.push('type ' + style.fontSize + ' ' + name);
    if (e.matches('button, input, a.button')) {
      const size = box.width + 'x' + box.height;
      if (box.height < 72 || box.width < 72) found.push('target ' + size + ' ' + name);
      if (e.scrollWidth > e.clientWidth + 1 && e.matches('button')) found.push('cut ' + name);
    }
    if (box.left < -1 || box.right > innerWidth + 1) found.push('outside ' + name);
  }
  if (document.documentElement.scrollWidth > innerWidth) found.push('the page is wider than the screen');
  return found;
}"""

_CONTRASTS = """() => {
  const parse = (c) => (c.match(/[\\d.]+/g) ?? []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c.length === 3 || c[3] === 1) return c;
    }
    return [255, 255, 255];
  };
  const night = document.body.dataset.screen === 'asleep' ? document.querySelector('#night') : null;
  const within = document.querySelector('dialog[open]') ?? night ?? document.body;
  return [...within.querySelectorAll('h1, h2, p, label, legend, button, b')]
    .filter((e) => e.checkVisibility({ checkVisibilityCSS: true }) && e.textContent.trim())
    .filter((e) => !e.matches(':disabled'))
    .map((e) => {
      const [a, b] = [light(parse(getComputedStyle(e).color)), light(ground(e))].sort((x, y) => y - x);
      return { ratio: (a + 0.05) / (b + 0.05), text: e.textContent.trim().slice(0, 40) };
    });
}"""


_FAULTS_OF_CONSENT = """() => {
  const promise = document.querySelector('[data-say="consent.text_3"]');
  if (!promise?.checkVisibility()) return [];
  const box = promise.getBoundingClientRect();
  const choice = document.querySelector('#agree').getBoundingClientRect();
  const found = [];
  const header = document.querySelector('header').getBoundingClientRect();
  if (box.top < header.bottom || box.bottom > innerHeight) found.push('what refusing means is not seen');
  if (box.bottom > choice.top + 1) found.push('the choice comes before the text');
  return found;
}"""


def assert_reachable(page: Page) -> None:
    """The heading is seen at once; every control can be scrolled to and touched, nothing lies over it."""
    faults = [*chromium.out_of_reach(page), *page.evaluate(_FAULTS_OF_CONSENT)]
    assert not faults, faults


def assert_readable(page: Page) -> None:
    """Type of 28 px or more, targets of 72 px or more, contrast of 7:1 or more, nothing cut off."""
    faults = page.evaluate(_FAULTS_OF_SIZE)
    assert not faults, faults
    contrasts = page.evaluate(_CONTRASTS)
    assert contrasts, "no text was found"
    faint = [found for found in contrasts if found["ratio"] < 7]
    assert not faint, faint


def assert_axe_finds_nothing(page: Page) -> None:
    """WCAG 2.2 AA by axe: no violation, whatever its weight."""
    found = chromium.axe_of(page)
    assert found["passes"], "axe looked at nothing"
    for each in found["violations"]:
        raise AssertionError((each["id"], each["impact"], [node["html"][:120] for node in each["nodes"]]))
