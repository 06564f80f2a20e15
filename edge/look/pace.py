"""How fast frames are analysed during one look; pure. What a look waits for follows from it.

A kiosk on a slow machine analyses every second frame or every tenth. The time between two analysed frames
says nothing about the patient, so limits on it grow with that time, up to `LONGEST_MS`: what happens between
two frames that are further apart cannot be vouched for.
"""

from dataclasses import dataclass
from statistics import median

SLOW_MS = 450
"""Analysed frames further apart than this (two a second) are too few to call a failure the patient's."""

LONGEST_MS = 1_600
"""Of frames further apart than this, no two are known to show one face, so nobody can be verified.

Rendered faces (three people, 12 s each): at 2 frames a second all matched and showed liveness, at 1.5 two,
at 1 one, at 0.67 none; of three printed photographs, none passed at any rate.
"""

_KEPT = 9
_FEWEST_GAPS = 3


@dataclass(frozen=True, slots=True)
class Pace:
    """The analysed frames of one look.

    Args:
        frames: how many.
        last_ms: when the newest arrived.
        gaps_ms: between the newest few, in milliseconds.
    """

    frames: int = 0
    last_ms: int | None = None
    gaps_ms: tuple[int, ...] = ()

    def take(self, at_ms: int) -> "Pace":
        """Count one analysed frame."""
        gaps = self.gaps_ms if self.last_ms is None else (*self.gaps_ms, at_ms - self.last_ms)[-_KEPT:]
        return Pace(self.frames + 1, at_ms, gaps)

    @property
    def typical_ms(self) -> int | None:
        """The median time between two analysed frames; None before the second one."""
        return round(median(self.gaps_ms)) if self.gaps_ms else None

    @property
    def hopeless(self) -> bool:
        """Whether no two frames can be told to show one face, so that nothing will come of this look."""
        typical = self.typical_ms
        return len(self.gaps_ms) >= _FEWEST_GAPS and typical is not None and typical > LONGEST_MS

    def is_slow(self, taken_ms: int) -> bool:
        """Whether the frames are too few for a failure to be the patient's; `taken_ms`: the look so far."""
        typical = self.typical_ms
        if typical is None:
            return self.frames == 1 and taken_ms > LONGEST_MS
        return typical > SLOW_MS

    def lost_ms(self, shortest: int) -> int:
        """How long a face may be away and still count as the same one, at least `shortest`."""
        return max(shortest, min(2 * (self.typical_ms or 0), LONGEST_MS))


NOT_BEGUN = Pace()
"""Before the first frame."""
