"""Following people from picture to picture by where their faces are, not by who they are; pure.

At one picture a second somebody moves by several widths of their face, so places alone can be ambiguous. Two
people must never become one track, since a track's shots decide together: where two continuations are about
as likely, none is taken and a new track begins.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from renzheng.models.detection.boxes import Box


@dataclass(frozen=True, slots=True)
class Rules:
    """How far somebody may have moved.

    Args:
        widths_per_second: how many widths of a face somebody moves in a second: at a brisk 1.4 m/s across the
            picture nine widths of 16 cm; people who are recognised walk towards the camera, which is slower.
        widths_at_once: added to it, for the unsteadiness of boxes.
        growth_per_second: by what factor a face may grow in a second: from 2.5 m to 1.3 m it is nearly two.
        shrinkage_per_second: the same for shrinking; who walks away turns the face away too.
        widths_per_missed_second: added to the distance from a track that was not seen in the last second, so
            that somebody who has just left does not make the way of who goes on ambiguous.
        likelier: the best continuation must be this many times nearer than the next.
        patience_seconds: somebody not seen for this long is gone.
        longest_seconds: a track ends at this age; who stays begins a new one.
    """

    widths_per_second: float = 5.0
    widths_at_once: float = 1.0
    growth_per_second: float = 1.9
    shrinkage_per_second: float = 1.3
    widths_per_missed_second: float = 1.5
    likelier: float = 2.0
    patience_seconds: float = 3.5
    longest_seconds: float = 120.0


@dataclass(frozen=True, slots=True)
class Step:
    """Where a face was at one moment (seconds on a steady clock)."""

    at_s: float
    box: Box

    @property
    def centre(self) -> tuple[float, float]:
        """The middle of the box."""
        return (self.box.left + self.box.right) / 2, (self.box.top + self.box.bottom) / 2


@dataclass(frozen=True, slots=True)
class Track:
    """One person's way through the picture, as far as it was seen."""

    number: int
    steps: tuple[Step, ...]

    @property
    def last(self) -> Step:
        """Where the person was seen last."""
        return self.steps[-1]


@dataclass(frozen=True, slots=True)
class Tracks:
    """All open tracks of one camera."""

    open: tuple[Track, ...] = ()
    next_number: int = 1


@dataclass(frozen=True, slots=True)
class Advanced:
    """What one picture changed.

    Args:
        tracks: those open now.
        closed: those that ended.
        numbers: the track of each box, in the order of the boxes.
    """

    tracks: Tracks
    closed: tuple[Track, ...]
    numbers: tuple[int, ...]


def advance(tracks: Tracks, boxes: Sequence[Box], at_s: float, rules: Rules) -> Advanced:
    """Take the faces of one picture."""
    steps = [Step(at_s, box) for box in boxes]
    alive = [track for track in tracks.open if _alive(track, at_s, rules)]
    closed = tuple(track for track in tracks.open if not _alive(track, at_s, rules))
    taken = _assigned(alive, steps, rules)
    grown: dict[int, Track] = {
        index: replace(alive[index], steps=(*alive[index].steps, steps[step]))
        for step, index in taken.items()
    }
    open_ = [grown.get(index, track) for index, track in enumerate(alive)]
    numbers, next_number = [], tracks.next_number
    for index, step in enumerate(steps):
        if index in taken:
            numbers.append(alive[taken[index]].number)
            continue
        open_.append(Track(next_number, (step,)))
        numbers.append(next_number)
        next_number += 1
    return Advanced(Tracks(tuple(open_), next_number), closed, tuple(numbers))


def _alive(track: Track, at_s: float, rules: Rules) -> bool:
    seen_lately = 0 <= at_s - track.last.at_s <= rules.patience_seconds
    return seen_lately and at_s - track.steps[0].at_s <= rules.longest_seconds


def _assigned(tracks: Sequence[Track], steps: Sequence[Step], rules: Rules) -> dict[int, int]:
    """Give steps to tracks, by index; only where neither has another choice about as good."""
    distances = {
        (index, place): distance
        for index, step in enumerate(steps)
        for place, track in enumerate(tracks)
        if (distance := _distance(track, step, rules)) is not None
    }
    taken: dict[int, int] = {}
    for (index, place), distance in distances.items():
        rivals = [
            other
            for (one, another), other in distances.items()
            if (one == index) != (another == place)  # the same step on another track, or the reverse
        ]
        if all(other >= rules.likelier * max(distance, 1e-6) for other in rivals):
            taken[index] = place
    return taken


def _distance(track: Track, step: Step, rules: Rules) -> float | None:
    """How far a step lies from where its track leads, in widths of the face; None when it is too far."""
    passed = step.at_s - track.last.at_s
    width = (track.last.box.width + step.box.width) / 2
    ratio = step.box.width / max(track.last.box.width, 1e-6)
    if passed <= 0 or not _may_be(ratio, passed, rules):
        return None
    x, y = _foreseen(track, step.at_s)
    distance = math.dist((x, y), step.centre) / max(width, 1e-6)
    if distance > rules.widths_at_once + rules.widths_per_second * passed:
        return None
    return distance + rules.widths_per_missed_second * max(0.0, passed - 1.2)


def _may_be(ratio: float, passed_s: float, rules: Rules) -> bool:
    """Whether a face can have grown so much; boxes alone are unsteady by a tenth."""
    at_most = 1.15 * rules.growth_per_second**passed_s
    at_least = 1 / (1.15 * rules.shrinkage_per_second ** min(passed_s, 1.0))
    return bool(at_least <= ratio <= at_most)


def _foreseen(track: Track, at_s: float) -> tuple[float, float]:
    """Where somebody is if they go on as before."""
    last = track.last
    if len(track.steps) < 2:  # noqa: PLR2004 - a speed takes two
        return last.centre
    before = track.steps[-2]
    share = min((at_s - last.at_s) / max(last.at_s - before.at_s, 1e-6), 1.5)
    return (
        last.centre[0] + share * (last.centre[0] - before.centre[0]),
        last.centre[1] + share * (last.centre[1] - before.centre[1]),
    )
