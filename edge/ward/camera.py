"""One camera's thread: connect, take key frames, decode, leave the newest picture for the analysts."""

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from renzheng.common.supervised import Worker
from renzheng.contracts.errors import RenzhengError
from renzheng.contracts.events import CoverageState
from renzheng.edge.device.coverage import CoverageStatus
from renzheng.edge.settings.ward import CameraSettings
from renzheng.edge.ward import timeline
from renzheng.edge.ward.decoder import STARTING_SECONDS, Decoder, DecoderError, Picture
from renzheng.edge.ward.rtp import AccessUnit
from renzheng.edge.ward.rtsp import Credentials
from renzheng.edge.ward.stream import CameraTrouble, RtspStream, StreamError, read_certificate

LOGGER = logging.getLogger(__name__)
FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 60.0
_UNANSWERED_SECONDS = 10.0
_SILENT_SECONDS = 15.0
_EARLY_SHARE = 0.85
"""A key frame a little before its time is taken: the next may be a whole interval away."""


@dataclass(frozen=True, slots=True)
class TimedPicture:
    """A picture and when it came, on the steady clock, in seconds."""

    picture: Picture
    at_s: float


@dataclass(slots=True)
class Counts:
    """What came of a camera so far."""

    pictures: int = 0
    replaced: int = 0
    half_frames: int = 0
    connections: int = 0
    restarts: int = 0


class Camera:
    """Keeps one camera's newest picture at hand.

    Args:
        settings: which camera.
        credentials: None for a camera that asks for none.
        on_picture: called when there is a new picture; must return at once.
        first_wait_seconds: before the second attempt to connect; doubled from attempt to attempt.

    Raises:
        SettingsError: its certificate's file cannot be read.
    """

    def __init__(
        self,
        settings: CameraSettings,
        credentials: Credentials | None,
        *,
        on_picture: Callable[[], None],
        first_wait_seconds: float = FIRST_WAIT_SECONDS,
    ) -> None:
        self.settings = settings
        self.counts = Counts()
        self._credentials = credentials
        path = settings.certificate_file
        self._certificate = None if path is None else read_certificate(path)
        self._on_picture = on_picture
        self._first_wait_seconds = first_wait_seconds
        self._lock = threading.Lock()
        self._newest: TimedPicture | None = None
        self._seen_at_s: float | None = None
        self._trouble: str | None = "connecting"
        self._mark: timeline.Mark | None = None
        self._restarted_at_s: float | None = None
        self._stream: RtspStream | None = None
        self._decoder: Decoder | None = None
        self._fed_at_s = 0.0
        self._given_at_s = 0.0
        self._refused = 0
        self.worker = Worker(f"camera-{settings.id}", self._turn)

    def start(self) -> None:
        """Connect, and connect again whenever the camera is lost."""
        self.worker.start()

    def stop(self) -> None:
        """Let go of the camera."""
        self.worker.stop(timeout_seconds=0)  # only told so: what it waits for is taken from it first
        stream = self._stream
        if stream is not None:
            stream.abort()
        self.worker.stop(timeout_seconds=20)

    def take(self) -> TimedPicture | None:
        """Take the newest picture away; None when there is no new one."""
        with self._lock:
            taken, self._newest = self._newest, None
            return taken

    @property
    def waiting_since(self) -> float | None:
        """When the picture that nobody has taken yet came."""
        newest = self._newest
        return None if newest is None else newest.at_s

    def standing(self) -> CoverageStatus:
        """Whether pictures come, and why not."""
        if self._trouble is not None:
            return CoverageStatus(CoverageState.DOWN, self._trouble)
        now = time.monotonic()
        if self._seen_at_s is None or now - self._seen_at_s > _SILENT_SECONDS:
            return CoverageStatus(CoverageState.DOWN, CameraTrouble.STALLED.value)
        if self._restarted_at_s is not None and now - self._restarted_at_s < _SILENT_SECONDS:
            return CoverageStatus(CoverageState.DEGRADED, "camera_restarted")
        return CoverageStatus(CoverageState.UP)

    def _turn(self) -> float:
        """Follow the camera until it is lost; how long to rest before the next try."""
        began = time.monotonic()
        pictures = self.counts.pictures
        try:
            self._follow()
        except StreamError as error:
            self._lost(error.trouble, error)
        except DecoderError as error:
            self._lost(CameraTrouble.UNDECODABLE, error)
        except RenzhengError as error:
            self._lost("fault", error)
        except Exception:
            self._trouble = "fault"
            raise
        finally:
            self._let_go()
        came = self.counts.pictures > pictures
        lasted = came and time.monotonic() - began > LONGEST_WAIT_SECONDS
        self._refused = 0 if lasted else self._refused + 1
        return self._pause(self._refused)

    def _pause(self, failures: int) -> float:
        """How long to wait: longer from time to time, never in step with other cameras.

        A refused password is tried once in the longest time only, or the camera might lock the user out.
        """
        if self._trouble == CameraTrouble.WRONG_PASSWORD:
            return LONGEST_WAIT_SECONDS
        doubled = self._first_wait_seconds * 2.0 ** min(failures, 10)
        return float(min(doubled, LONGEST_WAIT_SECONDS) * random.uniform(0.5, 1.0))  # noqa: S311 - spreads only

    def _lost(self, trouble: CameraTrouble | str, error: RenzhengError) -> None:
        name = trouble.value if isinstance(trouble, CameraTrouble) else trouble
        if self.worker.stopping():
            return
        if self._trouble != name:
            LOGGER.warning("camera %s: %s: %s", self.settings.id, name, error.what)
        self._trouble = name

    def _let_go(self) -> None:
        stream, decoder, self._stream, self._decoder = self._stream, self._decoder, None, None
        if stream is not None:
            stream.close()
        if decoder is not None:
            decoder.close()

    def _follow(self) -> None:
        """Take pictures until the camera is lost.

        Raises:
            StreamError: it is lost, or gives nothing that can be used.
            DecoderError: what it gives cannot be decoded.
        """
        every = self.settings.mode == "every_frame"
        self._stream = RtspStream(
            self.settings.url,
            self._credentials,
            keys_only=not every,
            certificate=self._certificate,
        )
        if self.worker.stopping():
            return
        video = self._stream.open()
        self.counts.connections += 1
        self._decoder = Decoder(video.codec, self._given)
        self._mark, begun = None, False
        for unit in self._stream.units():
            if self.worker.stopping():
                return
            self.worker.beat()
            now = time.monotonic()
            self._watch_clock(unit, now)
            self.counts.half_frames += unit.key and not unit.whole
            begun = begun or bool(unit.key and unit.content)
            if unit.content and begun and (every or self._is_time(now)):
                self._fed_at_s = now
                self._decoder.feed(unit.content)
            self._check_decoder(self._decoder, now)

    def _is_time(self, now: float) -> bool:
        return now - self._fed_at_s >= _EARLY_SHARE / self.settings.frames_per_second

    def _watch_clock(self, unit: AccessUnit, now: float) -> None:
        mark = timeline.Mark(unit.source, unit.timestamp, now)
        if timeline.restarted(self._mark, mark):
            self.counts.restarts += 1
            self._restarted_at_s = now
            LOGGER.warning("camera %s: its clock began anew", self.settings.id)
        self._mark = mark

    def _check_decoder(self, decoder: Decoder, now: float) -> None:
        since = decoder.unanswered_since
        patience = _UNANSWERED_SECONDS if decoder.given else STARTING_SECONDS
        if not decoder.alive or (since is not None and now - since > patience):
            raise DecoderError("Key frames come and cannot be decoded.", do="Check the camera's encoder.")

    def _given(self, picture: Picture) -> None:
        """Take a decoded picture; called from the decoder's thread."""
        now = time.monotonic()
        if self.settings.mode == "every_frame":
            if now - self._given_at_s < _EARLY_SHARE / self.settings.frames_per_second:
                return
            self._given_at_s = now
        with self._lock:
            self.counts.pictures += 1
            self.counts.replaced += self._newest is not None
            self._newest = TimedPicture(picture, now)
        self._seen_at_s = now
        self._trouble = None
        self._on_picture()
