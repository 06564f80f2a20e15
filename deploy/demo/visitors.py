"""Who stands at the kiosk in the play: a real browser with a pretended camera, or the same calls without one.

Both do what a person does: touch the name, look, and where the face cannot serve, let the witness vouch.
"""

import http.client
import json
import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import cv2
import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import BrowserContext, Page, sync_playwright
from playwright.sync_api import Error as PlaywrightError
from websockets.sync.client import connect
from websockets.typing import Origin

from renzheng.contracts.errors import FaultError
from renzheng.deploy.demo import patience, story
from renzheng.deploy.demo.feed import endless, feed_frames, render_feed

LOGGER = logging.getLogger(__name__)
SCREEN_SECONDS = 30.0
"""How long a screen may take to come on a machine that has time; see `patience`."""
SIZE = (640, 480)
FPS = 15
SECONDS_OF_FEED = 4
PERIODS = 8
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


class VisitError(FaultError):
    """A screen did not come that must."""


class BrowserMissingError(FaultError):
    """There is no Chromium on this machine."""


class Visitor(Protocol):
    """Somebody at the kiosks."""

    def open(self, clinic: story.Clinic, url: str) -> None:
        """Come to a clinic's kiosk, or find it again after it was restarted."""

    def show_face(self, scene: story.Scene, portrait: Path) -> None:
        """Name the patient, look into the camera with the face of `portrait`, and go away again."""

    def be_vouched_for(self, scene: story.Scene) -> None:
        """Name the patient, and let the witness sign them in or out."""


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
        page.click(f"#causes button[data-value={_cause(scene)}]")
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


class SocketVisitor:
    """Plays without a browser: sends the frames that a camera would, over the page's own socket."""

    def __init__(self) -> None:
        self._hosts: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def open(self, clinic: story.Clinic, url: str) -> None:
        """Remember where the clinic's kiosk is."""
        self._hosts[clinic.device_id] = url.removeprefix("http://").rstrip("/")

    def show_face(self, scene: story.Scene, portrait: Path) -> None:
        """Sign in or out by face."""
        frames = feed_frames(portrait, motion="head", count=FPS * SECONDS_OF_FEED)
        for _ in range(patience.tries()):
            self._identify(scene)
            with self._camera(scene, frames):
                screen = self._await(scene, "done", "failed", "other_way")
            if screen != "done":
                self._call(scene, "/kiosk/cancel", {})
            self._await(scene, "idle")
            if scene.expected != "match" or screen == "done":
                return

    def be_vouched_for(self, scene: story.Scene) -> None:
        """Go the other way, and let the witness vouch; who declines refuses the notice."""
        screen = self._identify(scene)["screen"]
        if screen == "consent":
            given = scene.expected != "declined"
            screen = self._call(scene, "/kiosk/consent", {"given": given})["screen"]
        if screen != "other_way":
            self._call(scene, "/kiosk/other-way", {})
        self._await(scene, "other_way")
        vouched = {"witness_id": story.WITNESS_ID, "pin": story.WITNESS_PIN}
        self._call(scene, "/kiosk/witness", {**vouched, "identifier": "id_card", "cause": _cause(scene)})
        self._await(scene, "done")
        self._await(scene, "idle")

    @contextmanager
    def _camera(self, scene: story.Scene, frames: list[NDArray[np.uint8]]) -> Iterator[None]:
        host = self._hosts[scene.clinic.device_id]
        ending = threading.Event()

        def show() -> None:
            origin = Origin(f"http://{host}")
            with connect(f"ws://{host}/kiosk/socket", origin=origin, max_size=None) as socket:
                for frame in endless(frames):
                    if ending.wait(1 / FPS):
                        break
                    socket.send(_jpeg(frame))

        thread = threading.Thread(target=show, name="camera", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ending.set()
            thread.join(timeout=10)

    def _identify(self, scene: story.Scene) -> dict[str, Any]:
        assert scene.patient is not None
        return self._call(scene, "/kiosk/identify", {"person_id": scene.patient.person_id})

    def _await(self, scene: story.Scene, *screens: str) -> str:
        deadline = time.monotonic() + patience.scaled(SCREEN_SECONDS)
        while (screen := str(self._call(scene, "/kiosk/state")["screen"])) not in screens:
            if time.monotonic() > deadline:
                raise VisitError(f"The kiosk showed {screen!r} where {' or '.join(screens)} was expected.")
            time.sleep(0.1)
        return screen

    def _call(
        self, scene: story.Scene, path: str, body: Mapping[str, object] | None = None
    ) -> dict[str, Any]:
        host = self._hosts[scene.clinic.device_id]
        connection = http.client.HTTPConnection(host, timeout=patience.scaled(SCREEN_SECONDS))
        try:
            if body is None:
                connection.request("GET", path)
            else:
                connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            value: dict[str, Any] = json.loads(answer.read())
        finally:
            connection.close()
        if answer.status != http.HTTPStatus.OK:
            raise VisitError(f"The kiosk refused {path}: {value.get('problem')}.", why=str(value.get("what")))
        return value


def _cause(scene: story.Scene) -> str:
    """Why the witness vouches, in the kiosk's code."""
    return "face_declined" if scene.expected == "declined" else "cannot_look"


def _write_blank(path: Path) -> None:
    """Write a grey video: what the camera shows before anybody comes."""
    grey = np.full(SIZE[0] * SIZE[1] * 3 // 2, 128, np.uint8).tobytes()
    header = f"YUV4MPEG2 W{SIZE[0]} H{SIZE[1]} F{FPS}:1 Ip A1:1 C420\n".encode()
    path.write_bytes(header + (b"FRAME\n" + grey) * FPS)


def _jpeg(frame: NDArray[np.uint8]) -> bytes:
    written, data = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 85])
    assert written
    return data.tobytes()
