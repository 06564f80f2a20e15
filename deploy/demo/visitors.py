"""Who stands at the kiosk in the play: a real browser (`browser`), or here the same calls without one.

Both do what a person does: touch the name, look, and where the face cannot serve, let the witness vouch.
"""

import http.client
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, Self

import cv2
import numpy as np
from numpy.typing import NDArray
from websockets.sync.client import connect
from websockets.typing import Origin

from renzheng.bench.feed import each_frame, endless
from renzheng.contracts.errors import FaultError
from renzheng.deploy.demo import patience, story

SCREEN_SECONDS = 30.0
"""How long a screen may take to come on a machine that has time; see `patience`."""
FPS = 15
SECONDS_OF_FEED = 4


class VisitError(FaultError):
    """A screen did not come that must."""


class Visitor(Protocol):
    """Somebody at the kiosks."""

    def open(self, clinic: story.Clinic, url: str) -> None:
        """Come to a clinic's kiosk, or find it again after it was restarted."""

    def show_face(self, scene: story.Scene, portrait: Path) -> None:
        """Name the patient, look into the camera with the face of `portrait`, and go away again."""

    def be_vouched_for(self, scene: story.Scene) -> None:
        """Name the patient, and let the witness sign them in or out."""


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
        """Sign in or out by face; the green screen keeps nobody from coming next."""
        for _ in range(patience.tries()):
            self._identify(scene)
            with self._camera(scene, portrait):
                screen = self._await(scene, "done", "failed", "other_way")
            if screen == "done":
                return
            self._call(scene, "/kiosk/cancel", {})
            self._await(scene, "idle")
            if scene.expected != "match":
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
        self._call(scene, "/kiosk/witness", {**vouched, "identifier": "id_card", "cause": cause_of(scene)})
        self._await(scene, "done")

    @contextmanager
    def _camera(self, scene: story.Scene, portrait: Path) -> Iterator[None]:
        host = self._hosts[scene.clinic.device_id]
        ending = threading.Event()

        def show() -> None:
            origin = Origin(f"http://{host}")
            with connect(f"ws://{host}/kiosk/socket", origin=origin, max_size=None) as socket:
                frames = each_frame(portrait, motion="head", count=FPS * SECONDS_OF_FEED)
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


def cause_of(scene: story.Scene) -> str:
    """Why the witness vouches, in the kiosk's code."""
    return "face_declined" if scene.expected == "declined" else "cannot_look"


def _jpeg(frame: NDArray[np.uint8]) -> bytes:
    written, data = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 85])
    assert written
    return data.tobytes()
