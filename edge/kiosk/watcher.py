"""The one thread that looks at frames: always the newest, never a queue of old ones."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from renzheng.contracts.errors import RenzhengError
from renzheng.edge.kiosk import attempt
from renzheng.edge.kiosk.attempt import Attempt, Observation
from renzheng.edge.kiosk.faces import UNREADABLE, FaceEngine, Image, Look, crop_of, decode, eyes_of, look_of
from renzheng.edge.kiosk.outcomes import LookOutcome
from renzheng.models.analysis import Face, OneFace
from renzheng.models.calibration import Calibration
from renzheng.models.decision import Decision
from renzheng.models.liveness import motion
from renzheng.models.liveness.tracking import FaceTracker
from renzheng.models.templates import Template

LOGGER = logging.getLogger(__name__)
_WAIT_S = 0.1


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame as it came: its number on its socket, and when it arrived."""

    number: int
    jpeg: bytes
    at_ms: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How the attempt stands after a frame.

    Args:
        look_id: which attempt this is about.
        frame: the frame that was looked at; None when only time has passed.
        guidance: what to tell the person.
        first_usable_frame: number of the first usable frame.
        outcome: how it ended; None while it goes on.
        fault: the engine failed; the attempt is over without an outcome.
        crop: the best probe's face (JPEG), with the outcome.
    """

    look_id: int
    frame: int | None
    guidance: str | None
    first_usable_frame: int | None
    outcome: LookOutcome | None
    fault: RenzhengError | None = None
    crop: bytes | None = None


@dataclass(slots=True)
class _Order:
    look_id: int
    references: Sequence[Template]
    limit_ms: int


@dataclass(slots=True)
class _Scene:
    """What is kept of an attempt's pictures: the tracked points, and the best probe's crop."""

    tracker: FaceTracker = field(default_factory=FaceTracker)
    crop: bytes | None = None
    quality: float = -1.0

    def consider(self, image: Image, face: Face, quality: float) -> None:
        """Keep this face's crop if it is the best so far."""
        if quality > self.quality:
            self.crop, self.quality = crop_of(image, face), quality


class Watcher:
    """Runs attempts in a thread of its own.

    Args:
        engine: the face engine.
        false_match_rate: what a match must stand for.
        tell: called in the watcher's thread after each frame and at the end of an attempt.
        calibration: the site's own, as it is now; None while the card's thresholds serve.
    """

    def __init__(
        self,
        engine: FaceEngine,
        false_match_rate: float,
        tell: Callable[[Progress], None],
        *,
        calibration: Callable[[], Calibration | None],
    ) -> None:
        self._engine = engine
        self._false_match_rate = false_match_rate
        self._tell = tell
        self._calibration = calibration
        self._condition = threading.Condition()
        self._newest: Frame | None = None
        self._order: _Order | None = None
        self._stopping = False
        self._handled = 0
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)

    @property
    def handled(self) -> int:
        """How many frames were looked at."""
        return self._handled

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        with self._condition:
            self._stopping = True
            self._condition.notify()
        self._thread.join(timeout=10)

    def begin(self, look_id: int, references: Sequence[Template], limit_ms: int) -> None:
        """Begin an attempt; one that is under way is dropped."""
        with self._condition:
            self._order = _Order(look_id, references, limit_ms)
            self._newest = None
            self._condition.notify()

    def end(self) -> None:
        """Drop the attempt under way."""
        with self._condition:
            self._order = None
            self._newest = None

    def show(self, frame: Frame) -> None:
        """Hand over a frame; an older one that was not looked at yet is forgotten."""
        with self._condition:
            self._newest = frame
            self._condition.notify()

    def _run(self) -> None:
        order: _Order | None = None
        state: Attempt | None = None
        scene = _Scene()
        while True:
            with self._condition:
                if self._newest is None or self._order is None:
                    self._condition.wait(_WAIT_S)
                if self._stopping:
                    return
                wanted, frame, self._newest = self._order, self._newest, None
            if wanted is not order:
                order, scene = wanted, _Scene()
                state = None if order is None else attempt.begin(now_ms(), order.limit_ms)
            if order is None or state is None:
                continue
            progress, state = self._turn(order, state, frame, scene)
            if progress is not None:
                if progress.outcome is not None or progress.fault is not None:
                    state = None
                self._tell(progress)

    def _turn(
        self, order: _Order, state: Attempt, frame: Frame | None, scene: "_Scene"
    ) -> tuple[Progress | None, Attempt]:
        try:
            if frame is not None:
                seen = self._look(frame, scene)
                state = attempt.observe(state, seen, lambda probes: self._verify(probes, order.references))
                self._handled += 1
            outcome = attempt.conclude(state, now_ms())
        except RenzhengError as error:
            LOGGER.exception("the face engine failed")
            return Progress(order.look_id, None, None, None, None, fault=error), state
        if frame is None and outcome is None:
            return None, state
        first = None if state.first_usable is None else state.first_usable[0]
        number = None if frame is None else frame.number
        crop = None if outcome is None else scene.crop
        return Progress(order.look_id, number, state.guidance, first, outcome, crop=crop), state

    def _verify(self, probes: Sequence[Template], references: Sequence[Template]) -> Decision:
        return self._engine.verify(probes, references, self._false_match_rate, self._calibration())

    def _look(self, frame: Frame, scene: "_Scene") -> Observation:
        image = decode(frame.jpeg)
        if image is None:
            LOGGER.warning("frame %d is no picture (%d bytes)", frame.number, len(frame.jpeg))
            return Observation(frame.number, frame.at_ms, Look(None, 0.0, UNREADABLE))
        analysis = self._engine.analyse(image)
        look = look_of(analysis)
        track = scene.tracker.follow(image, eyes_of(analysis), frame.at_ms)
        template = None
        if isinstance(analysis, OneFace):
            template = self._engine.embed(image, analysis.face)
            scene.consider(image, analysis.face, look.quality)
        live = motion.NOTHING_SHOWN if track is None else motion.assess(track)
        return Observation(frame.number, frame.at_ms, look, template, live, scene.tracker.continuity)


def now_ms() -> int:
    """The time that attempts are measured by: it never jumps."""
    return time.monotonic_ns() // 1_000_000
