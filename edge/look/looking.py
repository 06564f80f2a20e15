"""Looks into a page's camera: frames come one call at a time, the device itself decides.

Several pages may look at once (a site's gateway serves several tablets); each look has a watcher of its own
and they take turns at the engine. What a look found stays here under its id: an answer names the id, so that
no page can claim a match that was not seen.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from renzheng.contracts.errors import RenzhengError
from renzheng.contracts.events import Pad
from renzheng.contracts.ids import new_id
from renzheng.edge.errors import CallError, UnknownLookError
from renzheng.edge.look.faces import FaceEngine, Image
from renzheng.edge.look.outcomes import (
    AttackSuspected,
    LookOutcome,
    Matched,
    NotAcquired,
    NotMatched,
    NotShown,
    NotSure,
)
from renzheng.edge.look.verdicts import Face, FaceVerdict
from renzheng.edge.look.watcher import Frame, Progress, Watcher, now_ms
from renzheng.models.analysis import Analysis
from renzheng.models.analysis import Face as FoundFace
from renzheng.models.calibration import Calibration
from renzheng.models.decision import Decision
from renzheng.models.templates import Template

KEPT_MS = 30 * 60_000
"""How long a look may wait for its answer."""

MOST_LOOKS = 8
"""At one time, over all pages; each holds a thread and some pictures."""

_FRAME_WAIT_S = 2.0
_VERDICTS = {Matched: FaceVerdict.MATCH, NotMatched: FaceVerdict.NON_MATCH, NotSure: FaceVerdict.NOT_SURE}


class SerialEngine:
    """The face engine, called by one thread at a time."""

    def __init__(self, engine: FaceEngine) -> None:
        self._engine = engine
        self._turn = threading.Lock()
        self.name = engine.name
        self.model = engine.model
        self.card_calibration = engine.card_calibration

    def analyse(self, image: Image, *, last: FoundFace | None = None) -> Analysis:
        """Say what is to be seen in an image, where a face was last if that will do."""
        with self._turn:
            return self._engine.analyse(image, last=last)

    def analyse_reference(self, image: Image, *, any_way_up: bool = False) -> tuple[Image, Analysis]:
        """Look at what is to be a reference."""
        with self._turn:
            return self._engine.analyse_reference(image, any_way_up=any_way_up)

    def embed(self, image: Image, face: FoundFace, *, mirrored: bool = False) -> Template:
        """Turn a face into a template."""
        with self._turn:
            return self._engine.embed(image, face, mirrored=mirrored)

    def verify(
        self,
        probes: Sequence[Template],
        references: Sequence[Template],
        at_fmr: float = 1e-3,
        calibration: Calibration | None = None,
    ) -> Decision:
        """Decide whether the probes are of the references' person."""
        with self._turn:
            return self._engine.verify(probes, references, at_fmr, calibration)


@dataclass(frozen=True, slots=True)
class Look:
    """What a look has shown so far.

    Args:
        look_id: names it; only a page that was told it can use it.
        check: what it was made for: a sheet's check, or a purchase's person.
        face: how it ended; None while it goes on.
        guidance: what to tell the person.
        crop: the best probe's face (JPEG), once it has ended.
    """

    look_id: str
    check: tuple[str, str]
    face: Face | None = None
    guidance: str | None = None
    crop: bytes | None = None


@dataclass(slots=True)
class _Running:
    look: Look
    began_ms: int
    watcher: Watcher | None = None
    frames: int = 0
    seen: int = 0
    fault: RenzhengError | None = None
    changed: threading.Condition = field(default_factory=threading.Condition)


class Looks:
    """The looks of one device.

    Args:
        engine: the face engine.
        false_match_rate: what a match must stand for.
        limit_ms: how long a look may take.
        calibration: the site's own, as it is now.
    """

    def __init__(
        self,
        engine: FaceEngine,
        false_match_rate: float,
        limit_ms: int,
        calibration: Callable[[], Calibration | None],
    ) -> None:
        self._engine = SerialEngine(engine)
        self._false_match_rate = false_match_rate
        self._limit_ms = limit_ms
        self._calibration = calibration
        self._lock = threading.Lock()
        self._running: dict[str, _Running] = {}

    def begin(
        self,
        check: tuple[str, str],
        references: Sequence[Template],
        without: FaceVerdict = FaceVerdict.NO_REFERENCE,
    ) -> Look:
        """Begin a look; without references it has ended already as `without`, and no camera is needed.

        Raises:
            CallError: too many are under way.
        """
        look_id = new_id()
        if not references:
            look = Look(look_id, check, Face(without))
            self._add(_Running(look, now_ms()))
            return look
        look = Look(look_id, check)
        running = _Running(look, now_ms())
        running.watcher = Watcher(
            self._engine,
            self._false_match_rate,
            lambda progress: _progressed(running, progress),
            calibration=self._calibration,
        )
        self._add(running)
        running.watcher.start()
        running.watcher.begin(1, references, self._limit_ms)
        return look

    def take(self, look_id: str, jpeg: bytes) -> Look:
        """Show a frame, and wait until it was looked at.

        Raises:
            UnknownLookError: no such look is under way.
            RenzhengError: the engine failed.
        """
        running = self._find(look_id)
        with running.changed:
            if running.look.face is None and running.watcher is not None:
                running.frames += 1
                number = running.frames
                running.watcher.show(Frame(number, jpeg, now_ms()))
                deadline = time.monotonic() + _FRAME_WAIT_S
                while running.seen < number and running.look.face is None and running.fault is None:
                    if not running.changed.wait(deadline - time.monotonic()):
                        break
        return self.state(look_id)

    def state(self, look_id: str) -> Look:
        """How a look stands; it ends by its time too, when no more frames come.

        Raises:
            UnknownLookError: no such look is under way.
            RenzhengError: the engine failed.
        """
        running = self._find(look_id)
        self._settle(running)
        if running.fault is not None:
            raise running.fault
        return running.look

    def found(self, look_id: str, check: tuple[str, str]) -> Look:
        """What a look found.

        Raises:
            UnknownLookError: there is none of this id for this check, or it has not ended.
        """
        running = self._find(look_id)
        if running.look.check != check or running.look.face is None:
            raise UnknownLookError("That look is not of this check, or has not ended.", do="Look again.")
        return running.look

    def tidy(self) -> None:
        """Let go of looks that nobody came back for."""
        with self._lock:
            old = [running for running in self._running.values() if now_ms() - running.began_ms > KEPT_MS]
            for running in old:
                del self._running[running.look.look_id]
        for running in old:
            _end(running)

    def stop(self) -> None:
        """End them all."""
        with self._lock:
            running, self._running = list(self._running.values()), {}
        for one in running:
            _end(one)

    def _add(self, running: _Running) -> None:
        self.tidy()
        with self._lock:
            under_way = sorted(
                (one for one in self._running.values() if one.watcher is not None),
                key=lambda one: one.began_ms,
            )
            stale = under_way[: max(0, len(under_way) - MOST_LOOKS + 1)]
            if stale and now_ms() - stale[-1].began_ms < self._limit_ms:
                raise CallError("Too many looks are under way.", do="Wait a few seconds, then look again.")
            for one in stale:
                del self._running[one.look.look_id]
            self._running[running.look.look_id] = running
        for one in stale:
            _end(one)

    def _find(self, look_id: str) -> _Running:
        with self._lock:
            running = self._running.get(look_id)
        if running is None:
            raise UnknownLookError(
                "No such look is under way.", why="The device may have started anew.", do="Look again."
            )
        return running

    def _settle(self, running: _Running) -> None:
        """End the watcher of a look that is over."""
        if running.watcher is not None and (running.look.face is not None or running.fault is not None):
            watcher, running.watcher = running.watcher, None
            watcher.stop()


def _end(running: _Running) -> None:
    if running.watcher is not None:
        watcher, running.watcher = running.watcher, None
        watcher.stop()


def _progressed(running: _Running, progress: Progress) -> None:
    """In the watcher's thread."""
    with running.changed:
        running.fault = progress.fault
        face = None if progress.outcome is None else face_of(progress.outcome)
        running.seen = max(running.seen, progress.frame or 0)
        running.look = Look(running.look.look_id, running.look.check, face, progress.guidance, progress.crop)
        running.changed.notify_all()


def face_of(outcome: LookOutcome) -> Face:
    """Say what an outcome means for a check; a fault is none of these."""
    match outcome:
        case Matched(compared, pad) | NotMatched(compared, pad) | NotSure(compared, pad):
            return Face(_VERDICTS[type(outcome)], pad, compared)
        case NotShown(compared):
            return Face(_VERDICTS[NotSure], Pad.NOT_SHOWN, compared)
        case AttackSuspected(compared):
            return Face(FaceVerdict.ATTACK_SUSPECTED, Pad.ATTACK, compared)
        case NotAcquired():
            return Face(FaceVerdict.NOT_ACQUIRED)
