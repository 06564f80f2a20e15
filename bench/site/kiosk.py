"""How fast a kiosk decides: the agent's own watcher, engine and liveness, shown moving heads from memory.

One thread looks at frames, as in the agent; another offers them as a camera's page does. Without the browser,
the network and the disk, which add some tens of milliseconds.
"""

import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2

from renzheng.bench.feed import NoFaceInPhotographError, feed_frames
from renzheng.contracts.errors import InputError
from renzheng.edge.look.outcomes import LookOutcome, Matched
from renzheng.edge.look.watcher import Caution, Frame, Progress, Watcher, now_ms
from renzheng.models.analysis import OneFace
from renzheng.models.engine import FaceEngine, open_engine
from renzheng.models.images import decode
from renzheng.models.liveness.challenge import Plan
from renzheng.models.liveness.network import open_if_here
from renzheng.models.liveness.pose import Challenge
from renzheng.models.templates import Template

FPS = 15
_SECONDS_OF_FEED = 4
_LIMIT_MS = 12_000
_SUFFIXES = (".jpg", ".jpeg", ".png")


class NoPortraitError(InputError):
    """The folder holds no photograph that can be made to move."""


@dataclass
class _Look:
    """What came of one look: told in the watcher's thread."""

    shown_ms: dict[int, int] = field(default_factory=dict)
    ended: threading.Event = field(default_factory=threading.Event)
    outcome: LookOutcome | None = None
    usable_to_outcome_ms: float | None = None
    asked: bool = False

    def tell(self, progress: Progress) -> None:
        """Take the watcher's word."""
        self.asked = self.asked or progress.asked is not None
        if progress.outcome is not None and not self.ended.is_set():
            self.outcome = progress.outcome
            first = self.shown_ms.get(progress.first_usable_frame or 0)
            self.usable_to_outcome_ms = None if first is None else now_ms() - first
            self.ended.set()


def run(
    portraits: Path, looks: int, step: Callable[[int], None], *, engine_name: str = "dlib"
) -> dict[str, Any]:
    """Measure; the keys are stable and explained in docs/liveness.md.

    Args:
        portraits: folder of photographs of one frontal face each.
        looks: how many looks, by turns of each portrait.
        step: told how many looks are done.
        engine_name: which engine.

    Raises:
        NoPortraitError: no photograph there can be made to move.
    """
    engine, network = open_engine(engine_name, threads=1, population="lfw"), open_if_here()
    people = _people(portraits, engine)
    done: list[_Look] = []
    handled, seconds = 0, 0.0
    for number in range(looks):
        frames, reference = people[number % len(people)]
        look = _Look()
        watcher = Watcher(engine, 1e-3, look.tell, calibration=lambda: None, network=network)
        watcher.start()
        plan = Plan("bench", Challenge.TURN_LEFT)
        watcher.begin(1, [reference], _LIMIT_MS, Caution(plan, shown_is_needed=True))
        began = time.monotonic()
        _offer(watcher, look, frames, offset=number * 7)
        seconds += time.monotonic() - began
        watcher.stop()
        handled += watcher.handled
        done.append(look)
        step(number + 1)
    return _summary(done, handled, seconds, engine_name, None if network is None else network.model)


def _people(portraits: Path, engine: FaceEngine) -> list[tuple[list[bytes], Template]]:
    """Frames and a reference of everybody whose photograph can be made to move."""
    people = []
    for path in sorted(each for each in portraits.glob("*") if each.suffix.lower() in _SUFFIXES):
        try:
            frames = feed_frames(path, motion="head", count=FPS * _SECONDS_OF_FEED)
        except NoFaceInPhotographError:
            continue
        photograph = decode(path.read_bytes())
        seen = engine.analyse(photograph)
        if isinstance(seen, OneFace):
            people.append(([_jpeg(frame) for frame in frames], engine.embed(photograph, seen.face)))
    if not people:
        raise NoPortraitError(
            f"No photograph in {portraits} can be made to move.",
            do="Give portraits of one frontal face each; make setup fetches some into .cache/portraits.",
        )
    return people


def _jpeg(frame: Any) -> bytes:
    written, data = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 85])
    assert written
    return bytes(data.tobytes())


def _offer(watcher: Watcher, look: _Look, frames: list[bytes], *, offset: int) -> None:
    """Offer frames at the camera's pace until the look has ended; a slow thread misses some."""
    number = 0
    began = time.monotonic()
    while not look.ended.is_set() and number < FPS * _LIMIT_MS / 1000 * 2:
        number += 1
        look.shown_ms[number] = now_ms()
        watcher.show(Frame(number, frames[(offset + number) % len(frames)], look.shown_ms[number]))
        # A page's frames come by a camera's clock and a browser's: they jitter.
        due = began + number / FPS + ((number * 7) % 11) / 1000
        look.ended.wait(max(0.0, due - time.monotonic()))


def _summary(
    looks: list[_Look], handled: int, seconds: float, engine: str, network: str | None
) -> dict[str, Any]:
    signed = [look for look in looks if isinstance(look.outcome, Matched)]
    taken = sorted(look.usable_to_outcome_ms for look in signed if look.usable_to_outcome_ms is not None)
    cut = statistics.quantiles(taken, n=20, method="inclusive") if len(taken) > 1 else taken
    return {
        "engine": engine,
        "network": network,
        "looks": len(looks),
        "signed_in": len(signed),
        "asked_for_the_challenge": sum(look.asked for look in looks),
        "usable_face_to_decision_ms_median": statistics.median(taken) if taken else None,
        "usable_face_to_decision_ms_p95": cut[-1] if cut else None,
        "frames_offered_per_second": FPS,
        "frames_handled_per_second": round(handled / seconds, 2) if seconds else None,
    }
