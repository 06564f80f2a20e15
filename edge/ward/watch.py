"""Looking at one camera's pictures: can it see, what moves, whose face, one of today's list?

Everything about somebody who is not on the list lives in this object's memory for as long as their track, and
is let go with it.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from renzheng.contracts.events import CoverageState
from renzheng.edge.device.coverage import CoverageStatus
from renzheng.edge.ward import sight
from renzheng.edge.ward.camera import Camera, TimedPicture
from renzheng.edge.ward.crossing import Direction, direction_of
from renzheng.edge.ward.following import CollectedTrack, TrackCollector
from renzheng.edge.ward.identify import Divided, Identified, NotSupported, identify
from renzheng.edge.ward.lists import WardList
from renzheng.edge.ward.scene import Scene
from renzheng.edge.ward.shots import DetectedFaces, FaceFinder, Pixels, WardEngine
from renzheng.edge.ward.sight import Condition
from renzheng.edge.ward.tracks import Track

_LEAST_ANALYSED_SHARE = 0.5


@dataclass(slots=True)
class Numbers:
    """What the analysis of one camera did so far; no one is named."""

    analysed: int = 0
    on_time: int = 0
    looked_for_faces: int = 0
    faces: int = 0
    tracks: int = 0
    identified: int = 0
    divided: int = 0
    cpu_seconds: float = 0.0


@dataclass(slots=True)
class Backlog:
    """The share of pictures that there was time for, of late."""

    share: float = 1.0
    missed: int = 0

    def note(self, missed: int) -> None:
        """Take how many pictures nobody looked at so far, at one that somebody does."""
        more, self.missed = missed - self.missed, missed
        for seen in [0.0] * min(more, 20) + [1.0]:
            self.share += 0.05 * (seen - self.share)


Tell = Callable[[Identified, str, Direction | None, int, Pixels | None], object]


class CameraWatch:
    """The analysis of one camera; one analyst at a time calls it.

    Args:
        camera: where pictures come from.
        list_of: the list of the camera's ward at this moment.
        tell: writes a presence.
        expected_false_matches: see `WardSettings`.
        scene_file: see `Scene`.
        rules: what a good picture is.
    """

    def __init__(
        self,
        camera: Camera,
        *,
        list_of: Callable[[], WardList | None],
        tell: Tell,
        expected_false_matches: float,
        scene_file: Path,
        rules: sight.Rules | None = None,
    ) -> None:
        self.camera = camera
        self.numbers = Numbers()
        self.lock = threading.Lock()
        self.fault: str | None = None
        self.scene = Scene(scene_file, rules or sight.Rules())
        self.following = TrackCollector()
        self._finder = FaceFinder(camera.settings.region)
        self._backlog = Backlog()
        self._list_of = list_of
        self._tell = tell
        self._expected_false_matches = expected_false_matches
        self._unsupported = False

    def standing(self) -> CoverageStatus:
        """Return whether somebody could have been seen, and why not."""
        delivered = self.camera.standing()
        if delivered.state is not CoverageState.UP:
            return delivered
        cause = self._blind_because()
        return (
            CoverageStatus(CoverageState.UP)
            if cause is None
            else CoverageStatus(CoverageState.DEGRADED, cause)
        )

    def _blind_because(self) -> str | None:
        """Return why a patient could be missed although pictures come; None when there is no reason."""
        if self.fault is not None:
            return self.fault
        if self.scene.condition is not Condition.GOOD:
            return self.scene.condition.value
        if self._list_of() is None:
            return "no_roster"
        if self._unsupported:
            return "list_too_long_to_tell"
        return "overloaded" if self._backlog.share < _LEAST_ANALYSED_SHARE else None

    def analyse(self, engine: WardEngine, taken: TimedPicture) -> None:
        """Look at one picture."""
        began = time.thread_time()
        self._backlog.note(self.camera.counts.replaced)
        finds = self._finds(engine, taken)
        if finds is not None:
            self.numbers.looked_for_faces += finds.searched
            self.numbers.faces += len(finds.boxes)
            for track, followed in self.following.follow(finds, taken.at_s):
                self._resolve(track, followed, taken)
            self.numbers.tracks = self.following.ended
        period_s = 1 / self.camera.settings.frames_per_second
        self.numbers.analysed += 1
        self.numbers.on_time += time.monotonic() - taken.at_s <= period_s
        self.numbers.cpu_seconds += time.thread_time() - began

    def _finds(self, engine: WardEngine, taken: TimedPicture) -> DetectedFaces | None:
        small = sight.in_small(taken.picture.grey)
        if self.scene.look(taken.picture, small, taken.at_s) is not Condition.GOOD:
            self._finder.forget()
            return DetectedFaces()
        return self._finder.find(engine, taken.picture, small, with_shots=self._list_of() is not None)

    def _resolve(self, track: Track, followed: CollectedTrack, taken: TimedPicture) -> None:
        """Tell whose a track is, if it is of somebody on the list."""
        list_ = self._list_of()
        if list_ is None or not followed.shots:
            return
        shots = [shot.template for shot in followed.shots]
        result = identify(list_.gallery, shots, self._expected_false_matches)
        self._unsupported = isinstance(result, NotSupported)
        self.numbers.divided += isinstance(result, Divided)
        if isinstance(result, Identified):
            followed.identified = True
            self.numbers.identified += 1
            direction = self._direction(track, taken)
            self._tell(result, self.camera.settings.id, direction, len(shots), followed.shots[0].crop)

    def _direction(self, track: Track, taken: TimedPicture) -> Direction | None:
        line = self.camera.settings.line
        if line is None:
            return None
        rows, columns = taken.picture.grey.shape
        places = [(x / columns, y / rows) for x, y in (step.centre for step in track.steps)]
        return direction_of(places, line)
