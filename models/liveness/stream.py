"""Signs that frames were fed in rather than seen: repeats, frozen pixels, clockwork timing, a virtual camera.

Pure. What they can show: a looped or frozen video, a script that sends frames, a program that calls itself a
virtual camera. What they cannot: a good recording fed in by a capture card, which is hardware and takes any
name. Against that stand the closed case of the kiosk and the challenge.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from renzheng.models.liveness.evidence import SignalResult

MIN_REPEATS = 2
"""Frames equal to an earlier one, bit by bit, with others in between. A sensor's noise never comes twice: 0
in 360 bona fide frames; a loop shorter than the look repeats half of its frames or more."""

MIN_FROZEN = 3
"""Frames equal to the one just before: a still that is fed in, or a camera that hangs; the two look alike."""

FEWEST_INTERVALS = 8
CLOCKWORK_MS = 0.75
"""Deviation of the intervals between frames. A page's frames come by a camera's clock and a browser's: 3 to
30 ms; a script's loop rounds to whole milliseconds, 0.3 to 0.5."""

SHORTEST_MS = 4
"""No camera of a kiosk takes 250 frames a second."""

_NOTED = -0.1  # recorded, hardly counted
_VIRTUAL = re.compile(
    r"virtual|obs|manycam|xsplit|snap camera|droidcam|v4l2loopback|dummy|mmhmm|e2esoft|vcam", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Camera:
    """What is known of the camera apart from its pictures.

    Args:
        label: what it calls itself.
        virtual_devices: names of the video devices of this machine that have no hardware behind them.
    """

    label: str = ""
    virtual_devices: tuple[str, ...] = ()


@dataclass(slots=True)
class Stream:
    """What is remembered of the frames of one look."""

    seen: dict[bytes, int] = field(default_factory=dict)
    frames: int = 0
    repeats: int = 0
    frozen: int = 0
    at_ms: list[int] = field(default_factory=list)

    def take(self, digest: bytes, at_ms: int) -> None:
        """Take one frame by its pixels' digest."""
        before = self.seen.get(digest)
        if before is not None:
            if before == self.frames:
                self.frozen += 1
            else:
                self.repeats += 1
        self.frames += 1
        self.seen[digest] = self.frames
        self.at_ms.append(at_ms)

    def say(self, known: Camera) -> tuple[SignalResult, ...]:
        """What frames and camera say; they are signs of one thing, so only the strongest counts."""
        said = (
            camera(known),
            SignalResult("repeated_frames", -6.5 if self.repeats >= MIN_REPEATS else 0.0, self.repeats),
            SignalResult("frozen_frames", -2.5 if self.frozen >= MIN_FROZEN else 0.0, self.frozen),
            timing(self.at_ms),
        )
        strongest = min(said, key=lambda word: word.weight)
        return tuple(
            word if word is strongest else replace(word, weight=max(word.weight, _NOTED)) for word in said
        )


def timing(at_ms: Sequence[int]) -> SignalResult:
    """Weigh when the frames came: impossible or clockwork intervals speak against a camera."""
    intervals = np.diff(np.asarray(at_ms, dtype=np.float64))
    if len(intervals) < FEWEST_INTERVALS:
        return SignalResult("timing", 0.0)
    deviation = float(intervals.std())
    impossible = float(np.mean(intervals < SHORTEST_MS)) > 0.3  # noqa: PLR2004 - bursts after a hiccup are no third
    return SignalResult("timing", -1.5 if impossible or deviation < CLOCKWORK_MS else 0.0, deviation)


def camera(known: Camera) -> SignalResult:
    """Weigh the camera: its name is a weak sign, as any can be forged; a device without hardware is none."""
    if known.virtual_devices:
        return SignalResult("virtual_camera", -4.0, len(known.virtual_devices))
    return SignalResult("virtual_camera", -1.75 if _VIRTUAL.search(known.label) else 0.0)
