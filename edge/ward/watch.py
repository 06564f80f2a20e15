"""Looking at one camera's pictures: can it see, what moves, whose face, one of today's list?

Everything about somebody who is not on the list lives in this object's memory for as long as their track, and
is let go with it.
"""

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from renzheng.contracts.events import CoverageState
from renzheng.edge.device.coverage import Standing
from renzheng.edge.ward import motion, sight, tracks
from renzheng.edge.ward.camera import Camera, Taken
from renzheng.edge.ward.crossing import Direction, direction_of
from renzheng.edge.ward.decoder import Picture
from renzheng.edge.ward.identify import Divided, Identified, NotSupported, identify
from renzheng.edge.ward.lists import WardList
from renzheng.edge.ward.sight import Condition
from renzheng.edge.ward.tracks import Track
from renzheng.models import quality as quality_of
from renzheng.models.analysis import Face
from renzheng.models.calibration import Calibration
from renzheng.models.detection.boxes import Box, Detection
from renzheng.models.quality import Bounds, Quality
from renzheng.models.templates import ModelId, Template

LOGGER = logging.getLogger(__name__)
Pixels = NDArray[np.uint8]

BEST_SHOTS = 4
LINGERING_SECONDS = 20.0
"""Somebody who stays is identified after this long, without waiting for the track's end."""

_LEAST_ANALYSED_SHARE = 0.5
_ROOM_SHARE = 0.12
_ROOM_PX = 48
_CROP_ROOM = 0.35


class WardEngine(Protocol):
    """The part of renzheng.models.engine.FaceEngine that a ward's analysts use."""

    name: str
    model: ModelId
    card_calibration: Calibration

    def survey(self, image: Pixels) -> list[Detection]:
        """Find the faces of whoever walks past."""

    def face_of(self, image: Pixels, detection: Detection) -> Face:
        """Find eyes and nose of a detection."""

    def embed(self, image: Pixels, face: Face) -> Template:
        """Turn a face into a template."""


@dataclass(frozen=True, slots=True)
class Shot:
    """One usable look at a face, in memory only."""

    quality: float
    template: Template
    crop: Pixels


@dataclass(slots=True)
class Followed:
    """What is gathered of one track."""

    shots: list[Shot] = field(default_factory=list)
    told: bool = False
    tried_at_s: float = 0.0


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


Tell = Callable[[Identified, str, Direction | None, int, Pixels | None], object]


class CameraWatch:
    """The analysis of one camera; one analyst at a time calls it.

    Args:
        camera: where pictures come from.
        list_of: the list of the camera's ward at this moment.
        tell: writes a presence.
        expected_false_matches: see `WardSettings`.
        scene_file: where the scene is kept, so that a camera that was turned while nobody watched is noticed.
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
        self._list_of = list_of
        self._tell = tell
        self._expected_false_matches = expected_false_matches
        self._scene_file = scene_file
        self._rules = rules or sight.Rules()
        self._bounds = Bounds()
        self._sight = sight.Sight(scene=_read_scene(scene_file), looks=self._rules.settling_looks)
        if self._sight.scene is None:
            self._sight = sight.Sight()
        self._background: motion.Background | None = None
        self._size = (1, 1)
        self._tracks = tracks.Tracks()
        self._followed: dict[int, Followed] = {}
        self._analysed_share = 1.0
        self._replaced = 0
        self._unsupported = False
        self.fault: str | None = None

    def standing(self) -> Standing:
        """Whether somebody could have been seen, and why not."""
        delivered = self.camera.standing()
        if delivered.state is not CoverageState.UP:
            return delivered
        cause = self._blind_because()
        return Standing(CoverageState.UP) if cause is None else Standing(CoverageState.DEGRADED, cause)

    def _blind_because(self) -> str | None:
        """Why a patient could be missed although pictures come; None when there is no reason."""
        if self.fault is not None:
            return self.fault
        if self._sight.condition is not Condition.GOOD:
            return self._sight.condition.value
        if self._list_of() is None:
            return "no_roster"
        if self._unsupported:
            return "list_too_long_to_tell"
        return "overloaded" if self._analysed_share < _LEAST_ANALYSED_SHARE else None

    def analyse(self, engine: WardEngine, taken: Taken) -> None:
        """Look at one picture."""
        began = time.thread_time()
        self._note_missed()
        small = sight.in_small(taken.picture.grey)
        before = self._sight
        if before.condition is Condition.MOVED and not self._scene_file.exists():
            before = sight.Sight()  # somebody has said that it hangs where it should
        self._sight = sight.look(before, small, _fingerprint(taken.picture), taken.at_s, self._rules)
        self._keep_scene(before)
        if self._sight.condition is Condition.GOOD:
            self._look_for_faces(engine, taken, small)
        else:
            self._background = None
            self._follow((), [], taken.at_s)
        period_s = 1 / self.camera.settings.frames_per_second
        self.numbers.analysed += 1
        self.numbers.on_time += time.monotonic() - taken.at_s <= period_s
        self.numbers.cpu_seconds += time.thread_time() - began

    def _note_missed(self) -> None:
        missed = self.camera.counts.replaced - self._replaced
        self._replaced += missed
        for seen in [0.0] * min(missed, 20) + [1.0]:
            self._analysed_share += 0.05 * (seen - self._analysed_share)

    def _look_for_faces(self, engine: WardEngine, taken: Taken, small: sight.Small) -> None:
        if self._background is None:
            self._background = motion.begin(small)
            return
        self._background, parts = motion.moving_parts(self._background, small)
        areas = self._areas(parts, taken.picture)
        if not areas:
            self._follow((), [], taken.at_s)
            return
        self.numbers.looked_for_faces += 1
        image = taken.picture.rgb()
        found: list[tuple[Box, Shot | None]] = []
        list_ = self._list_of()
        for left, top, right, bottom in areas:
            part = np.ascontiguousarray(image[top:bottom, left:right])
            for detection in engine.survey(part):
                shot = None if list_ is None else self._shot(engine, part, detection)
                found.append((_moved(detection.box, left, top), shot))
        found = _distinct(found)
        self.numbers.faces += len(found)
        self._follow([box for box, _ in found], [shot for _, shot in found], taken.at_s)

    def _areas(self, parts: Sequence[motion.Part], picture: Picture) -> list[motion.Part]:
        """The moving parts in pixels of the picture, with some room, within the camera's region."""
        rows, columns = picture.grey.shape
        self._size = (columns, rows)
        across, down = columns / sight.SMALL_PX[0], rows / sight.SMALL_PX[1]
        left, top, right, bottom = self.camera.settings.region
        region = (left * columns, top * rows, right * columns, bottom * rows)
        areas: list[motion.Part] = []
        for part in parts:
            room_x = max(_ROOM_PX, _ROOM_SHARE * (part[2] - part[0]) * across)
            room_y = max(_ROOM_PX, _ROOM_SHARE * (part[3] - part[1]) * down)
            area = (
                int(max(region[0], part[0] * across - room_x)),
                int(max(region[1], part[1] * down - room_y)),
                int(min(region[2], part[2] * across + room_x)),
                int(min(region[3], part[3] * down + room_y)),
            )
            if area[2] - area[0] >= _ROOM_PX and area[3] - area[1] >= _ROOM_PX:
                areas.append(area)
        return motion.joined_parts(areas)

    def _shot(self, engine: WardEngine, part: Pixels, detection: Detection) -> Shot | None:
        """Make a shot of a face that is good enough."""
        face = engine.face_of(part, detection)
        measured = quality_of.measure(part, face.box, face.landmarks)
        if quality_of.judge(measured, self._bounds):
            return None
        return Shot(worth(measured), engine.embed(part, face), _crop(part, face.box))

    def _follow(self, boxes: Sequence[Box], shots: Sequence[Shot | None], at_s: float) -> None:
        advanced = tracks.advance(self._tracks, boxes, at_s, tracks.Rules())
        self._tracks = advanced.tracks
        for number, shot in zip(advanced.numbers, shots, strict=True):
            followed = self._followed.setdefault(number, Followed(tried_at_s=at_s))
            if shot is not None:
                best = sorted([*followed.shots, shot], key=lambda one: one.quality, reverse=True)
                followed.shots = best[:BEST_SHOTS]
        for track in advanced.closed:
            self.numbers.tracks += 1
            followed = self._followed.pop(track.number, Followed())
            self._resolve(track, followed)
        for track in self._tracks.open:
            followed = self._followed[track.number]
            if not followed.told and at_s - followed.tried_at_s >= LINGERING_SECONDS:
                followed.tried_at_s = at_s
                self._resolve(track, followed)

    def _resolve(self, track: Track, followed: Followed) -> None:
        list_ = self._list_of()
        if list_ is None or not followed.shots:
            return
        shots = [shot.template for shot in followed.shots]
        result = identify(list_.gallery, shots, self._expected_false_matches)
        self._unsupported = isinstance(result, NotSupported)
        self.numbers.divided += isinstance(result, Divided)
        if isinstance(result, Identified):
            followed.told = True
            self.numbers.identified += 1
            direction = self._direction(track)
            self._tell(result, self.camera.settings.id, direction, len(shots), followed.shots[0].crop)

    def _direction(self, track: Track) -> Direction | None:
        line = self.camera.settings.line
        if line is None:
            return None
        columns, rows = self._size
        places = [(x / columns, y / rows) for x, y in (step.centre for step in track.steps)]
        return direction_of(places, line)

    def _keep_scene(self, before: sight.Sight) -> None:
        """Write the scene once it has been learnt; edges at 160 x 90, in which nobody can be known."""
        learnt = self._sight.looks == self._rules.settling_looks and before.looks < self._sight.looks
        if learnt and self._sight.scene is not None:
            self._scene_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self._scene_file.open("wb") as out:
                np.save(out, self._sight.scene.astype(np.float16))


def scene_file(data_dir: Path, camera_id: str) -> Path:
    """Where the scene of a camera is kept."""
    return data_dir / "scenes" / f"{camera_id}.npy"


def worth(measured: Quality) -> float:
    """Rank a shot: frontal, sharp and large before the rest; larger is better."""
    frontal = max(0.0, 1.0 - abs(measured.yaw))
    return frontal * min(measured.sharpness, 30.0) * min(measured.interocular_px / 60.0, 1.0)


def _fingerprint(picture: Picture) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(picture.grey[::4, ::4]).data, digest_size=16).digest()


def _read_scene(path: Path) -> sight.Edges | None:
    try:
        with path.open("rb") as file:
            scene = np.asarray(np.load(file, allow_pickle=False), np.float32)
    except (OSError, ValueError, EOFError):
        return None
    return scene if scene.shape == sight.SMALL_PX[::-1] else None


def _moved(box: Box, by_x: int, by_y: int) -> Box:
    return Box(box.left + by_x, box.top + by_y, box.right + by_x, box.bottom + by_y)


def _distinct(found: Sequence[tuple[Box, Shot | None]]) -> list[tuple[Box, Shot | None]]:
    """Leave out a face that was found twice, in areas that share a border."""
    kept: list[tuple[Box, Shot | None]] = []
    for box, shot in found:
        near = [
            other
            for other, _ in kept
            if abs(other.left - box.left) + abs(other.top - box.top) < box.width / 2
        ]
        if not near:
            kept.append((box, shot))
    return kept


def _crop(part: Pixels, box: Box) -> Pixels:
    room = _CROP_ROOM * box.width
    left, top = max(0, int(box.left - room)), max(0, int(box.top - room))
    return part[top : int(box.bottom + room), left : int(box.right + room)].copy()
