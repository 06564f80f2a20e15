"""The one thread that looks at frames: always the newest, never a queue of old ones."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from renzheng.common.supervised import Worker, frames, named
from renzheng.contracts.errors import FaultError, RenzhengError
from renzheng.edge.look import attempt
from renzheng.edge.look.attempt import Attempt, Observation
from renzheng.edge.look.faces import UNREADABLE, FaceEngine, Image, Look, crop_of, decode, look_of
from renzheng.edge.look.outcomes import LookOutcome
from renzheng.edge.look.pace import NOT_BEGUN, Pace
from renzheng.models.analysis import Analysis, Face, OneFace, PoorQuality
from renzheng.models.calibration import Calibration
from renzheng.models.decision import Decision
from renzheng.models.following import Following
from renzheng.models.liveness.challenge import ASK_NOTHING, Plan
from renzheng.models.liveness.fusion import Verdict
from renzheng.models.liveness.light import PaintedColour, skin_of
from renzheng.models.liveness.network import LivenessNetwork
from renzheng.models.liveness.pose import pose_of
from renzheng.models.liveness.stream import Camera
from renzheng.models.liveness.watch import Watch
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
        asked: what the person is asked to do now, beside keeping still; None while nothing is asked.
        pace: how fast frames are analysed in this look.
    """

    look_id: int
    frame: int | None
    guidance: str | None
    first_usable_frame: int | None
    outcome: LookOutcome | None
    fault: RenzhengError | None = None
    crop: bytes | None = None
    asked: Plan | None = None
    pace: Pace = NOT_BEGUN


@dataclass(frozen=True, slots=True)
class Caution:
    """How liveness is to be shown in an attempt.

    Args:
        plan: what to ask when it does not show by itself.
        shown_is_needed: a match that shows nothing living is refused, not merely noted.
    """

    plan: Plan = ASK_NOTHING
    shown_is_needed: bool = False


ONLY_NOTED = Caution()


@dataclass(slots=True)
class _Order:
    look_id: int
    references: Sequence[Template]
    limit_ms: int
    caution: Caution


@dataclass(slots=True)
class _Scene:
    """What is kept of an attempt's pictures: the face's place, signs of life, and the best probe's crop."""

    following: Following
    watch: Watch = field(default_factory=Watch)
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
        network: a liveness network, when the catalogue has one.
    """

    def __init__(
        self,
        engine: FaceEngine,
        false_match_rate: float,
        tell: Callable[[Progress], object],
        *,
        calibration: Callable[[], Calibration | None],
        network: LivenessNetwork | None = None,
    ) -> None:
        self._engine = engine
        self._false_match_rate = false_match_rate
        self._tell = tell
        self._calibration = calibration
        self._network = network
        self._painted: list[tuple[str, PaintedColour]] = []
        self._camera = Camera()
        self._condition = threading.Condition()
        self._newest: Frame | None = None
        self._order: _Order | None = None
        self._under_way: _Order | None = None
        self._state: Attempt | None = None
        self._scene = _Scene(Following(engine))
        self._handled = 0
        self.worker = Worker("watcher", self._turn, essential=True)

    @property
    def handled(self) -> int:
        """How many frames were looked at."""
        return self._handled

    def start(self) -> None:
        """Begin."""
        self.worker.start()

    def stop(self) -> None:
        """End."""
        self.worker.stop(timeout_seconds=10)

    def begin(
        self, look_id: int, references: Sequence[Template], limit_ms: int, caution: Caution = ONLY_NOTED
    ) -> None:
        """Begin an attempt; one that is under way is dropped."""
        with self._condition:
            self._order = _Order(look_id, references, limit_ms, caution)
            self._newest, self._painted = None, []
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

    def know(self, camera: Camera) -> None:
        """Take what is known of the camera apart from its pictures, from now on."""
        self._camera = camera

    def painted(self, nonce: str, shown: PaintedColour) -> None:
        """Take the page's word that it has painted the next colour of this attempt's plan."""
        with self._condition:
            self._painted.append((nonce, shown))

    def _turn(self) -> None:
        with self._condition:
            if self._newest is None or self._order is None:
                self._condition.wait(_WAIT_S)
            order, frame, self._newest = self._order, self._newest, None
            painted, self._painted = self._painted, []
        if order is not self._under_way:
            self._under_way, self._state = order, None
            if order is not None:
                self._scene = _Scene(Following(self._engine), Watch(self._network))
                self._state = _begun(order)
        if order is None or self._state is None:
            return
        state = _with_painted(self._state, painted)
        progress, self._state = self._step(order, state, frame, self._scene)
        if progress is not None:
            if progress.outcome is not None or progress.fault is not None:
                self._state = None
            self._tell(progress)

    def _step(
        self, order: _Order, state: Attempt, frame: Frame | None, scene: "_Scene"
    ) -> tuple[Progress | None, Attempt]:
        try:
            if frame is None:
                outcome = attempt.conclude(state, now_ms())
            else:
                state, outcome = self._take(order, state, frame, scene)
                self._handled += 1
        except Exception as error:  # noqa: BLE001 - whatever a frame provokes, the kiosk shows the other way
            LOGGER.error("the face engine failed: %s\n%s", named(error), frames(error))  # noqa: TRY400 - as `named` says
            return Progress(order.look_id, None, None, None, None, fault=_fault_of(error)), state
        if frame is None and outcome is None:
            return None, state
        first = None if state.first_usable is None else state.first_usable[0]
        number = None if frame is None else frame.number
        crop = None if outcome is None else scene.crop
        asked = None if state.answering is None else state.plan
        told = Progress(
            order.look_id,
            number,
            state.guidance,
            first,
            outcome,
            crop=crop,
            asked=asked,
            pace=state.pace,
        )
        return told, state

    def _take(
        self, order: _Order, state: Attempt, frame: Frame, scene: "_Scene"
    ) -> tuple[Attempt, LookOutcome | None]:
        """Look at a frame; nothing is concluded from one of which only the face's surroundings were seen."""
        image = decode(frame.jpeg)
        if image is None:
            LOGGER.warning("frame %d is no picture (%d bytes)", frame.number, len(frame.jpeg))
            nothing = Observation(frame.number, frame.at_ms, Look(None, 0.0, UNREADABLE))
            return self._observed(order, state, nothing)
        analysis = scene.following.analyse(image, frame.at_ms)
        scene.watch.camera = self._camera
        verdict = scene.watch.take(image, analysis, frame.at_ms)
        seen = self._seen(frame, image, analysis, scene, verdict)
        after, outcome = self._observed(order, state, seen)
        if outcome is None or not _was_followed(analysis):
            return after, outcome
        analysis = scene.following.whole(image, frame.at_ms)
        return self._observed(order, state, self._seen(frame, image, analysis, scene, verdict))

    def _observed(
        self, order: _Order, state: Attempt, seen: Observation
    ) -> tuple[Attempt, LookOutcome | None]:
        state = attempt.observe(state, seen, lambda probes: self._verify(probes, order.references))
        return state, attempt.conclude(state, now_ms())

    def _verify(self, probes: Sequence[Template], references: Sequence[Template]) -> Decision:
        return self._engine.verify(probes, references, self._false_match_rate, self._calibration())

    def _seen(
        self, frame: Frame, image: Image, analysis: Analysis, scene: "_Scene", verdict: Verdict
    ) -> Observation:
        look = look_of(analysis)
        template = pose = skin = None
        if isinstance(analysis, OneFace):
            template = self._engine.embed(image, analysis.face)
            scene.consider(image, analysis.face, look.quality)
        if isinstance(analysis, OneFace | PoorQuality):
            pose = pose_of(analysis.face.landmarks, frame.at_ms)
            skin = skin_of(image, analysis.face.box, frame.at_ms)
        return Observation(
            frame.number,
            frame.at_ms,
            look,
            template,
            verdict,
            scene.watch.continuity,
            pose=pose,
            skin=skin,
        )


def _was_followed(analysis: Analysis) -> bool:
    return isinstance(analysis, OneFace | PoorQuality) and analysis.face.followed


def _fault_of(error: Exception) -> RenzhengError:
    if isinstance(error, RenzhengError):
        return error
    return FaultError(
        f"A frame could not be looked at ({type(error).__name__}).",
        why="Nobody was compared with anybody.",
        do="Sign the patient in the other way; the log names the place of the fault.",
    )


def _begun(order: _Order) -> Attempt:
    caution = order.caution
    return attempt.begin(now_ms(), order.limit_ms, caution.plan, shown_is_needed=caution.shown_is_needed)


def _with_painted(state: Attempt, painted: Sequence[tuple[str, PaintedColour]]) -> Attempt:
    """Colours of another attempt's plan are not this one's."""
    for nonce, shown in painted:
        if nonce == state.plan.nonce:
            state = attempt.painted(state, shown)
    return state


def now_ms() -> int:
    """The time that attempts are measured by: it never jumps."""
    return time.monotonic_ns() // 1_000_000
