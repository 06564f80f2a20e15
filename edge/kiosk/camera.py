"""The agent's own camera, where the page's is not used: V4L2, RTSP, or a file for tests.

    [camera]
    source = "v4l2:/dev/video0"     # or "rtsp://user@camera.example/path" with password_file, or "file:PATH"

A thread reads every frame, so that none waits in a queue, and hands on the newest few a second. A camera that
is pulled out, refuses or hangs is opened again at growing intervals, and the kiosk is told meanwhile. Logs
show an address without its user and password.
"""

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, urlsplit, urlunsplit

import cv2
import numpy as np

from renzheng.common.supervised import Worker, named
from renzheng.edge.errors import CameraError
from renzheng.edge.look.faces import Image
from renzheng.models.errors import ImageError
from renzheng.models.images import decode
from renzheng.models.sides import LARGEST_PIXELS, LARGEST_SIDE_PX

LOGGER = logging.getLogger(__name__)
WIDTH_PX = 640
JPEG_QUALITY = 85
SILENT_SECONDS = 5.0
"""A camera that gives nothing for this long has failed."""

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 10.0
_PICTURES = (".jpg", ".jpeg", ".png", ".bmp")


class Kind(StrEnum):
    """Where frames come from."""

    V4L2 = "v4l2"
    RTSP = "rtsp"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class Source:
    """One camera of the agent's own.

    Args:
        kind: of camera.
        address: device, address or path; may hold a password, so it is never shown.
    """

    kind: Kind
    address: str

    @property
    def shown(self) -> str:
        """What may stand in a log: never a user or a password."""
        if self.kind is not Kind.RTSP:
            return f"{self.kind.value}:{self.address}"
        parts = urlsplit(self.address)
        host = parts.hostname or ""
        return urlunsplit((parts.scheme, f"{host}:{parts.port}" if parts.port else host, parts.path, "", ""))

    def __repr__(self) -> str:
        return f"Source({self.shown})"


def source_of(text: str, password: str | None = None) -> Source | None:
    """Understand `camera.source`.

    Args:
        text: ``browser``, ``v4l2:DEVICE``, ``rtsp://...`` or ``file:PATH``.
        password: goes into an RTSP address, in place of one that stands there.

    Returns:
        The source; None when the page's own camera serves.

    Raises:
        CameraError: it is none of these.
    """
    if text == "browser":
        return None
    if text.startswith(("rtsp://", "rtsps://")):
        parts = urlsplit(text)
        if password is None:
            return Source(Kind.RTSP, text)
        place = parts.netloc.rsplit("@", 1)[-1]
        login = f"{quote(parts.username or '', safe='')}:{quote(password, safe='')}"
        return Source(Kind.RTSP, urlunsplit(parts._replace(netloc=f"{login}@{place}")))
    kind, _, rest = text.partition(":")
    if kind not in {Kind.V4L2.value, Kind.FILE.value} or not rest:
        raise CameraError(
            "camera.source is none of browser, v4l2:DEVICE, rtsp://ADDRESS and file:PATH.",
            do="Mend it in the settings.",
        )
    return Source(Kind(kind), rest)


class Grabber(Protocol):
    """An opened camera."""

    def grab(self) -> bool:
        """Move on to the next frame; False when there is none any more."""

    def retrieve(self) -> Image | None:
        """Decode the frame that was grabbed last (BGR)."""

    def close(self) -> None:
        """Let go of it."""


class _Capture:
    """A camera or a video by OpenCV; a video begins anew at its end."""

    def __init__(self, source: Source) -> None:
        self._loops = source.kind is Kind.FILE
        wait_ms = round(SILENT_SECONDS * 1000)
        if source.kind is Kind.V4L2:
            self._capture = cv2.VideoCapture(source.address, cv2.CAP_V4L2)
        else:
            limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, wait_ms, cv2.CAP_PROP_READ_TIMEOUT_MSEC, wait_ms]
            self._capture = cv2.VideoCapture(source.address, cv2.CAP_FFMPEG, limits)
        if not self._capture.isOpened():
            raise CameraError(f"The camera {source.shown} cannot be opened.", do="Check cable and address.")
        columns = int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        rows = int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        if max(columns, rows) > LARGEST_SIDE_PX or columns * rows > LARGEST_PIXELS:
            self._capture.release()
            raise CameraError(
                f"The camera {source.shown} gives {columns} x {rows} pixels.",
                why="A picture of that size takes more memory than this machine has for one.",
                do=f"Set it to at most {LARGEST_SIDE_PX} pixels a side; 1280 x 720 is enough.",
            )
        rate = float(self._capture.get(cv2.CAP_PROP_FPS)) if self._loops else 0.0
        self._apart_s = 1 / rate if 1 <= rate <= 120 else 0.0  # noqa: PLR2004 - what a video may claim
        self._due = time.monotonic()

    def grab(self) -> bool:
        if self._apart_s:  # a file has no clock of its own
            self._due = max(self._due + self._apart_s, time.monotonic() - self._apart_s)
            time.sleep(max(0.0, self._due - time.monotonic()))
        if self._capture.grab():
            return True
        if not self._loops:
            return False
        self._capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
        return bool(self._capture.grab())

    def retrieve(self) -> Image | None:
        done, picture = self._capture.retrieve()
        return np.asarray(picture, np.uint8) if done else None

    def close(self) -> None:
        self._capture.release()


class _Pictures:
    """A picture, or a folder of them in the order of their names, over and over."""

    def __init__(self, path: Path, frames_per_second: int) -> None:
        every = sorted(path.iterdir()) if path.is_dir() else [path]
        self._paths = [each for each in every if each.suffix.lower() in _PICTURES]
        if not self._paths or not all(each.is_file() for each in self._paths):
            raise CameraError(f"file:{path} holds no picture.", do="Give a picture, a video or a folder.")
        self._apart_s = 1 / frames_per_second
        self._at = -1

    def grab(self) -> bool:
        time.sleep(self._apart_s)
        self._at = (self._at + 1) % len(self._paths)
        return self._paths[self._at].is_file()

    def retrieve(self) -> Image | None:
        try:
            return np.ascontiguousarray(decode(self._paths[self._at].read_bytes())[:, :, ::-1])
        except (ImageError, OSError) as error:
            LOGGER.warning("%s is no picture: %s", self._paths[self._at].name, error)
            return None

    def close(self) -> None:
        return


def open_source(source: Source, frames_per_second: int) -> Grabber:
    """Open a camera.

    Raises:
        CameraError: it cannot be opened.
    """
    path = Path(source.address)
    if source.kind is Kind.FILE and (path.is_dir() or path.suffix.lower() in _PICTURES):
        return _Pictures(path, frames_per_second)
    return _Capture(source)


class OwnCamera:
    """Reads a camera in a thread of its own.

    Args:
        source: which.
        frames_per_second: how many frames are handed on at most.
        show: called in that thread with each frame (JPEG).
        tell: called in that thread when the camera begins to give frames (None) or fails (why).
        opening: opens a source; another one in tests.
    """

    def __init__(
        self,
        source: Source,
        frames_per_second: int,
        *,
        show: Callable[[bytes], None],
        tell: Callable[[str | None], None],
        opening: Callable[[Source, int], Grabber] = open_source,
    ) -> None:
        # FFmpeg would write addresses with their passwords to the standard error.
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
        os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", "rtsp_transport;tcp")
        cv2.utils.logging.setLogLevel(0)
        self.source = source
        self.newest: bytes | None = None
        self._frames_per_second = frames_per_second
        self._show = show
        self._tell = tell
        self._opening = opening
        self._pause, self._failed = FIRST_PAUSE_SECONDS, False
        self.worker = Worker("camera", self._turn)

    def start(self) -> None:
        """Begin."""
        self.worker.start()

    def stop(self) -> None:
        """End; a camera that hangs is left to its own time limit."""
        self.worker.stop(timeout_seconds=2)

    def _turn(self) -> float:
        """Follow the camera until it fails; how long to rest before the next try."""
        try:
            grabber = self._opening(self.source, self._frames_per_second)
        except Exception as error:
            if not self._failed:
                LOGGER.warning("the camera cannot be opened: %s", named(error))
                self._tell("unplugged")
            self._failed = True
            if not isinstance(error, CameraError):
                raise
        else:
            try:
                read = self._read(grabber)
            finally:
                grabber.close()
                self.newest = None
                self._failed = not self.worker.stopping()
                if self._failed:
                    LOGGER.warning("the camera %s gives no frames any more", self.source.shown)
                    self._tell("unplugged")
            self._pause = FIRST_PAUSE_SECONDS if read else self._pause
        pause = self._pause
        self._pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
        return pause

    def _read(self, grabber: Grabber) -> int:
        """Read until the camera fails; how many frames came."""
        came, due = 0, 0.0
        while not self.worker.stopping() and grabber.grab():
            self.worker.beat()
            if time.monotonic() < due:
                continue
            due = time.monotonic() + 0.95 / self._frames_per_second
            picture = grabber.retrieve()
            if picture is None:
                break
            if came == 0:
                LOGGER.info("the camera %s gives frames", self.source.shown)
                self._tell(None)
            came += 1
            self.newest = jpeg_of(picture)
            self._show(self.newest)
        return came


def jpeg_of(picture: Image) -> bytes:
    """Make a frame as the page would: 640 px wide, JPEG."""
    height, width = picture.shape[:2]
    if width != WIDTH_PX:
        size = WIDTH_PX, max(1, round(height * WIDTH_PX / width))
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    return bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes())
