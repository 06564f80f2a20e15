"""Following points of a face through frames (Lucas-Kanade), for `motion`."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from renzheng.models.liveness.motion import MIN_POINTS, Points, Track

Image = NDArray[np.uint8]
"""RGB, shape (height, width, 3)."""

_MOST_POINTS = 80
_FORTH_AND_BACK_PX = 0.6
"""A point that does not come back to where it was, followed forth and back, is not the same point."""

LONGEST_MS = 2_500
"""Points followed for longer drift; new points are chosen on the same face, on a busy machine only after
`FRAMES_KEPT` frames or twice as long: fewer frames show no shape."""

FRAMES_KEPT = 10

_CELLS = 20  # of an eye distance: brightness is taken from a picture so coarse
_WINDOW_PX = (17, 17)
_LEVELS = 3
_UNTIL = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 20, 0.01)


@dataclass(frozen=True, slots=True)
class Eyes:
    """The middles of the eyes, the one on the left of the picture first, and the base of the nose."""

    first: tuple[float, float]
    second: tuple[float, float]
    nose_base: tuple[float, float] | None = None

    @property
    def apart_px(self) -> float:
        """Their distance."""
        return float(np.hypot(self.second[0] - self.first[0], self.second[1] - self.first[1]))

    @property
    def centre(self) -> tuple[float, float]:
        """The point between them."""
        return (self.first[0] + self.second[0]) / 2, (self.first[1] + self.second[1]) / 2

    def places(self, points: Points) -> Points:
        """Where (n, 2) pixels lie: across and down from between the eyes, in interocular distances."""
        unit = max(self.apart_px, 1.0)
        along = (np.array(self.second) - np.array(self.first)) / unit
        from_centre = (points - np.array(self.centre)) / unit
        return np.column_stack([from_centre @ along, from_centre @ np.array([-along[1], along[0]])]).astype(
            np.float32
        )

    @property
    def nose_across(self) -> float:
        """How far to the side the base of the nose lies, in interocular distances; 0 if it is not known."""
        return 0.0 if self.nose_base is None else float(self.places(np.array([self.nose_base]))[0, 0])


class FaceTracker:
    """Keeps one track: begins with a face, goes on while enough of its points are found again.

    `continuity` changes whenever the thread is lost: only frames of one continuity are surely of one face,
    and what one face showed must not vouch for a picture that was slid before it.
    """

    def __init__(self) -> None:
        self._grey: NDArray[np.uint8] | None = None
        self._interocular_px = 0.0
        self._points: list[Points] = []
        self._brightness: list[NDArray[np.float32]] = []
        self._places: Points | None = None
        self._nose_across = 0.0
        self._at_ms: list[int] = []
        self._begun = 0

    @property
    def continuity(self) -> int:
        """Which thread the last frame belongs to; 0 when there are too few points to follow any."""
        return 0 if self._grey is None else self._begun

    def follow(self, image: Image, eyes: Eyes | None, at_ms: int) -> Track | None:
        """Take one frame; None when there is no face to follow."""
        grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
        if eyes is None:  # one missed detection is no reason to lose the thread
            if not self._goes_on(grey, at_ms):
                self.forget()
            return None
        goes_on = self._goes_on(grey, at_ms)
        if not goes_on:
            self._begun += 1
        if not goes_on or self._is_long(at_ms):
            self._begin(grey, eyes, at_ms)
        if self._grey is None:
            return None
        return Track(
            self._interocular_px,
            tuple(self._points),
            tuple(self._at_ms),
            self._places,
            self._nose_across,
            tuple(self._brightness),
        )

    def _is_long(self, at_ms: int) -> bool:
        taken = at_ms - self._at_ms[0]
        return taken > (LONGEST_MS if len(self._at_ms) >= FRAMES_KEPT else 2 * LONGEST_MS)

    def forget(self) -> None:
        """Let go of the points."""
        self._grey, self._points, self._at_ms, self._places = None, [], [], None
        self._brightness = []

    def _begin(self, grey: NDArray[np.uint8], eyes: Eyes, at_ms: int) -> None:
        self.forget()
        found = cv2.goodFeaturesToTrack(
            grey,
            maxCorners=_MOST_POINTS,
            qualityLevel=0.008,
            minDistance=max(4.0, 0.1 * eyes.apart_px),
            mask=_face_mask(grey.shape, eyes),
        )
        if found is not None and len(found) >= MIN_POINTS:
            self._grey, self._interocular_px = grey, eyes.apart_px
            self._points, self._at_ms = [np.asarray(found, dtype=np.float32).reshape(-1, 2)], [at_ms]
            self._nose_across = eyes.nose_across
            self._brightness = [_brightness(grey, self._points[0], eyes.apart_px)]
            if eyes.nose_base is not None:
                self._places = eyes.places(self._points[0])

    def _goes_on(self, grey: NDArray[np.uint8], at_ms: int) -> bool:
        if self._grey is None or self._grey.shape != grey.shape:
            return False
        before = self._points[-1].reshape(-1, 1, 2)
        after, found = _followed(self._grey, grey, before)
        back, found_back = _followed(grey, self._grey, after)
        astray = np.linalg.norm((back - before).reshape(-1, 2), axis=1)
        kept = found & found_back & (astray < _FORTH_AND_BACK_PX)
        if int(kept.sum()) < MIN_POINTS:
            return False
        self._points = [points[kept] for points in self._points]
        self._brightness = [each[kept] for each in self._brightness]
        self._places = None if self._places is None else self._places[kept]
        self._points.append(np.asarray(after, dtype=np.float32).reshape(-1, 2)[kept])
        self._brightness.append(_brightness(grey, self._points[-1], self._interocular_px))
        self._at_ms.append(at_ms)
        self._grey = grey
        return True


def _brightness(grey: NDArray[np.uint8], points: Points, apart_px: float) -> NDArray[np.float32]:
    """Take the mean grey level around each of (n, 2) points, over a tenth of the eyes' distance or so."""
    share = 1 / max(1, round(apart_px / _CELLS))
    small = cv2.resize(grey, None, fx=share, fy=share, interpolation=cv2.INTER_AREA).astype(np.float32)
    soft = cv2.GaussianBlur(small, (0, 0), 1.2)
    across, down = ((points[:, side : side + 1] + 0.5) * share - 0.5 for side in (0, 1))
    seen = cv2.remap(soft, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(seen.ravel(), dtype=np.float32)


def _followed(
    one: NDArray[np.uint8], other: NDArray[np.uint8], points: Points
) -> tuple[Points, NDArray[np.bool_]]:
    """Find points of one frame in another; (n, 1, 2) and which were found."""
    after, found, _ = cv2.calcOpticalFlowPyrLK(
        one,
        other,
        points,
        np.empty_like(points),
        winSize=_WINDOW_PX,
        maxLevel=_LEVELS,
        criteria=_UNTIL,
    )
    return np.asarray(after, dtype=np.float32), np.asarray(found.ravel() == 1, dtype=np.bool_)


def _face_mask(shape: tuple[int, ...], eyes: Eyes) -> NDArray[np.uint8]:
    """An ellipse from the brows to the chin, inside the face's outline, so that no background is followed."""
    mask = np.zeros(shape[:2], dtype=np.uint8)
    unit = max(eyes.apart_px, 1.0)
    along = (np.array(eyes.second) - np.array(eyes.first)) / unit
    down = np.array([-along[1], along[0]])
    centre = np.array(eyes.centre) + 0.45 * unit * down
    tilt = float(np.degrees(np.arctan2(along[1], along[0])))
    axes = (round(0.95 * unit), round(1.05 * unit))
    cv2.ellipse(mask, (round(float(centre[0])), round(float(centre[1]))), axes, tilt, 0, 360, 255, -1)
    return mask
