"""A visitor with a real browser and a pretended camera; apart, as a play without one needs no Playwright."""

import os
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from playwright.sync_api import BrowserContext, Page, sync_playwright
from playwright.sync_api import Error as PlaywrightError

from renzheng.bench.feed import render_feed
from renzheng.contracts.errors import FaultError
from renzheng.deploy.demo import patience, story
from renzheng.deploy.demo.visitors import (
    FPS,
    SCREEN_SECONDS,
    SECONDS_OF_FEED,
    VisitError,
    cause_of,
)

SIZE = (640, 480)
PERIODS = 6
"""So that the camera does not repeat itself while a busy machine looks: it lasts longer than any look."""

CHROMIUM = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")
CHROMIUM_ARGUMENTS = (
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--no-first-run",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-features=Translate",
    # Several kiosks share one browser here; a page in the background must not be slowed down.
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
    "--disable-backgrounding-occluded-windows",
)


class BrowserMissingError(FaultError):
    """There is no Chromium on this machine."""


def find_chromium() -> Path:
    """Find the browser.

    Raises:
        BrowserMissingError: there is none; the message gives the command that installs it.
    """
    for name in (os.environ.get("RENZHENG_CHROMIUM", ""), *CHROMIUM):
        if name and Path(name).is_file():
            return Path(name)
    raise BrowserMissingError(
        "There is no Chromium on this machine.",
        why="The headless demo shows the kiosk's real page to a real browser.",
        do="Install it (sudo apt-get install chromium), or set RENZHENG_CHROMIUM to its path.",
    )


class BrowserVisitor:
    """Plays in headless Chromium whose camera is a video of the portrait; a context manager.

    Args:
        folder: where the camera's video lies.
        pictures: where to keep a picture of each outcome; None keeps none.
    """

    def __init__(self, folder: Path, pictures: Path | None = None) -> None:
        self._feed = folder / "camera.y4m"
        self._folder = folder
        self._pictures = pictures
        self._pages: dict[str, Page] = {}

    def __enter__(self) -> Self:
        program = find_chromium()
        _write_blank(self._feed)
        self._playwright = sync_playwright().start()
        arguments = [*CHROMIUM_ARGUMENTS, f"--use-file-for-fake-video-capture={self._feed.resolve()}"]
        if os.geteuid() == 0:
            arguments.append("--no-sandbox")  # Chromium's sandbox refuses to start for root
        self._browser = self._playwright.chromium.launch(executable_path=str(program), args=arguments)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._browser.close()
        self._playwright.stop()

    def open(self, clinic: story.Clinic, url: str) -> None:
        """Open the kiosk's page; a page that is open comes back by itself when its agent does."""
        page = self._pages.get(clinic.device_id)
        if page is None:
            context: BrowserContext = self._browser.new_context(
                viewport={"width": 1280, "height": 800}, locale="zh-CN"
            )
            page = context.new_page()
            self._pages[clinic.device_id] = page
        page.goto(url)
        self._wait(page, "idle")
        page.wait_for_selector("#roster button")
        if self._pictures is not None and clinic is story.NORTH:
            self._pictures.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=str(self._pictures / "kiosk.png"))

    def show_face(self, scene: story.Scene, portrait: Path) -> None:
        """Sign in or out by face, with real touches."""
        render_feed(portrait, self._feed, seconds=SECONDS_OF_FEED, periods=PERIODS, fps=FPS, size=SIZE)
        for _ in range(patience.tries()):
            page = self._identify(scene)
            self._wait(page, "done", "failed", "other_way")
            done = page.evaluate("document.body.dataset.screen") in ("done", "idle")  # green goes by itself
            self._keep_picture(page, scene)
            if not done:
                page.click("#cancel")
            self._wait(page, "idle")
            if scene.expected != "match" or done:
                return

    def be_vouched_for(self, scene: story.Scene) -> None:
        """Go the other way, and let the witness vouch; who declines refuses the notice."""
        page = self._identify(scene)
        if page.evaluate("document.body.dataset.screen") == "consent":
            page.click("#refuse" if scene.expected == "declined" else "#agree")
            self._wait(page, "looking", "other_way")
        if page.evaluate("document.body.dataset.screen") == "looking":
            page.click("footer .other-way")
        self._wait(page, "other_way")
        page.click("#identifiers button[data-value=id_card]")
        page.click(f"#causes button[data-value={cause_of(scene)}]")
        page.fill("#witness", story.WITNESS_ID)
        page.fill("#pin", story.WITNESS_PIN)
        page.click("#witness-form button[type=submit]")
        self._wait(page, "done")
        self._keep_picture(page, scene)
        self._wait(page, "idle")

    def picture(self, url: str, path: Path, *, size: tuple[int, int] = (1280, 800)) -> None:
        """Keep a picture of a page as a person sees it at `size`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        context = self._browser.new_context(viewport={"width": size[0], "height": size[1]}, locale="zh-CN")
        page = context.new_page()
        page.goto(url)
        page.wait_for_load_state("networkidle")
        page.screenshot(path=str(path))
        context.close()

    def _identify(self, scene: story.Scene) -> Page:
        assert scene.patient is not None
        page = self._pages[scene.clinic.device_id]
        page.bring_to_front()
        page.click(f"#roster button[data-person='{scene.patient.person_id}']")
        self._wait(page, "consent", "looking", "other_way", "done", "failed")
        return page

    def _wait(self, page: Page, *screens: str) -> None:
        wanted = ", ".join(f"body[data-screen={screen}]" for screen in screens)
        try:
            page.wait_for_selector(wanted, timeout=patience.scaled(SCREEN_SECONDS) * 1000)
        except PlaywrightError as error:
            raise VisitError(
                f"The kiosk did not show {' or '.join(screens)}: {error.message.splitlines()[0]}"
            ) from None

    def _keep_picture(self, page: Page, scene: story.Scene) -> None:
        if self._pictures is not None:
            self._pictures.mkdir(parents=True, exist_ok=True)
            local = scene.when.astimezone(story.ZONE)
            page.screenshot(path=str(self._pictures / f"{local:%H%M}-{scene.deed}.png"))


def _write_blank(path: Path) -> None:
    """Write a grey video: what the camera shows before anybody comes."""
    grey = np.full(SIZE[0] * SIZE[1] * 3 // 2, 128, np.uint8).tobytes()
    header = f"YUV4MPEG2 W{SIZE[0]} H{SIZE[1]} F{FPS}:1 Ip A1:1 C420\n".encode()
    path.write_bytes(header + (b"FRAME\n" + grey) * FPS)
