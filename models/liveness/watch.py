"""Follows one look frame by frame and says after each what presentation attack detection concludes.

The cheap signals run on every frame, the dear ones on every few: a few milliseconds a frame on the whole.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

from renzheng.models.analysis import Analysis, Face, OneFace, PoorQuality
from renzheng.models.liveness import (
    bands,
    expression,
    frames,
    glare,
    motion,
    network,
    periodic,
    shading,
    shape,
    softness,
    stream,
)
from renzheng.models.liveness.evidence import SignalResult
from renzheng.models.liveness.fusion import NOTHING_SHOWN, Verdict, fuse
from renzheng.models.liveness.network import LivenessNetwork
from renzheng.models.liveness.tracking import Eyes, FaceTracker

Pixels = NDArray[np.uint8]

FEWEST_FACES = 4
SHORTEST_MS = 600
"""Before this many frames with a face, and this long after the first, nothing is concluded: the cues of
screens, prints and loops need some time to be seen."""

_EDGES_EVERY, _NETWORK_EVERY, _SPECTRUM_EVERY = 5, 4, 2
_SHAPE_EVERY_MS = 240
_SEEN_TIMES = 2
"""Soft skin, or light that stays in the room, must be seen so often: once may be a slipped point."""
_KEPT = 24
_ANY_CAMERA = stream.Camera()


class Watch:
    """What is kept of one look.

    Args:
        network: a liveness network, when the catalogue has one.
        camera: what is known of the camera apart from its pictures.
    """

    def __init__(self, network: LivenessNetwork | None = None, camera: stream.Camera = _ANY_CAMERA) -> None:
        self._network = network
        self.camera = camera
        self._tracker = FaceTracker()
        self._stream = stream.Stream()
        self._moved = motion.STILL
        self._thread = 0
        self._forget_face()

    def _forget_face(self) -> None:
        self._faces = 0
        self._since_ms: int | None = None
        self._moved = motion.STILL
        self._depth, self._seen_to_live = shape.UNSEEN, 0
        self._assessed_ms = 0
        self._expressions = expression.Expressions()
        self._spectrum: periodic.Spectrum | None = None
        self._profiles: list[tuple[int, bands.Profile]] = []
        self._sides: list[int] = []
        self._glare: list[float] = []
        self._scores: list[float] = []

    @property
    def continuity(self) -> int:
        """Which thread of one face the last frame belongs to; 0 when none can be followed."""
        return self._tracker.continuity

    def take(self, image: Pixels, analysis: Analysis, at_ms: int) -> Verdict:
        """Take one frame.

        Args:
            image: RGB, (rows, columns, 3).
            analysis: what the engine saw in it.
            at_ms: when it came.
        """
        self._stream.take(hashlib.blake2b(image.tobytes(), digest_size=16).digest(), at_ms)
        track = self._tracker.follow(image, eyes_of(analysis), at_ms)
        if self._tracker.continuity != self._thread:
            self._thread = self._tracker.continuity
            self._forget_face()
        if track is not None:
            self._keep(motion.assess(track))
            if at_ms - self._assessed_ms >= _SHAPE_EVERY_MS:
                self._assessed_ms = at_ms
                self._keep_depth(shape.assess(track))
                self._keep_support(track)
        if isinstance(analysis, OneFace | PoorQuality):
            self._since_ms = at_ms if self._since_ms is None else self._since_ms
            self._expressions.take(image, analysis.face.landmarks, at_ms)
            self._look(image, analysis.face, at_ms)
        if self._since_ms is None or self._faces < FEWEST_FACES or at_ms - self._since_ms < SHORTEST_MS:
            return NOTHING_SHOWN
        return fuse(self._say())

    def _keep(self, seen: motion.Motion) -> None:
        """What a thread has shown stands while it lasts; layers and flatness outweigh a body."""
        order = (motion.Shape.UNKNOWN, motion.Shape.BODY, motion.Shape.LAYERS, motion.Shape.FLAT)
        if order.index(seen.shape) >= order.index(self._moved.shape):
            self._moved = seen

    def _keep_depth(self, seen: shape.Depth) -> None:
        """A face's shape, once shown, stands while the thread lasts."""
        if self._depth.relief is not shape.Relief.FACE:
            self._depth = seen

    def _keep_support(self, track: motion.Track) -> None:
        """Look for what lends an expression weight until it was seen often enough."""
        if not self._supported:
            self._seen_to_live += shading.is_lit(track)
            self._seen_to_live += softness.is_soft(track)

    @property
    def _supported(self) -> bool:
        return self._seen_to_live >= _SEEN_TIMES

    def _look(self, image: Pixels, face: Face, at_ms: int) -> None:
        if self._faces % _SPECTRUM_EVERY == 0:
            self._spectrum = periodic.blend(self._spectrum, periodic.spectrum(image, face.box))
        self._profiles = [*self._profiles[-_KEPT:], (at_ms, bands.profile(image, face.box))]
        if self._faces % _EDGES_EVERY == 0:
            self._sides.append(frames.sides(image, face.box))
            self._glare.append(glare.patch(image, face.box))
        if self._network is not None and self._faces % _NETWORK_EVERY == 1:
            self._scores.append(self._network.score(image, face).score)
        self._faces += 1

    def _say(self) -> list[SignalResult]:
        said = [
            motion.say(self._moved),
            shape.say(self._depth),
            expression.say(self._expressions.moved, supported=self._supported),
            *self._stream.say(self.camera),
        ]
        if self._spectrum is not None:
            said.append(periodic.say(self._spectrum))
        profiled_ms, profiles = zip(*self._profiles, strict=True)
        said.append(bands.say(np.stack(profiles), profiled_ms))
        said.append(frames.say(float(np.median(self._sides))))
        said.append(glare.say(float(np.median(self._glare))))
        if self._scores:
            said.append(network.say(float(np.median(self._scores))))
        return said


def eyes_of(analysis: Analysis) -> Eyes | None:
    """Take the eyes of the one face, if there is one."""
    if not isinstance(analysis, OneFace | PoorQuality):
        return None
    landmarks = analysis.face.landmarks
    first, second = sorted((landmarks.right_eye, landmarks.left_eye))
    return Eyes(first, second, landmarks.nose_base)
