"""Who walks through one camera's picture: each track with its best shots, until it is told whose it is."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from renzheng.edge.ward import tracks
from renzheng.edge.ward.shots import DetectedFaces, Shot
from renzheng.edge.ward.tracks import Track

BEST_SHOTS = 4
LINGERING_SECONDS = 20.0
"""Somebody who stays is identified after this long, without waiting for the track's end."""


@dataclass(slots=True)
class CollectedTrack:
    """What is gathered of one track.

    Args:
        shots: the best few, best first.
        identified: it is known whose the track is.
        tried_at_s: when that was asked last.
    """

    shots: list[Shot] = field(default_factory=list)
    identified: bool = False
    tried_at_s: float = 0.0

    def add(self, shot: Shot) -> None:
        """Keep a shot if it is one of the best."""
        best = sorted([*self.shots, shot], key=lambda one: one.quality, reverse=True)
        self.shots = best[:BEST_SHOTS]


class TrackCollector:
    """The tracks of one camera; what is gathered of one is let go with it."""

    def __init__(self) -> None:
        self.followed: dict[int, CollectedTrack] = {}
        self.ended = 0
        self._tracks = tracks.Tracks()

    def follow(self, finds: DetectedFaces, at_s: float) -> Iterator[tuple[Track, CollectedTrack]]:
        """Take the faces of one picture; yield the tracks of which it is to be told whose they are."""
        advanced = tracks.advance(self._tracks, finds.boxes, at_s, tracks.Rules())
        self._tracks = advanced.tracks
        self._gather(advanced.numbers, finds.shots, at_s)
        for track in advanced.closed:
            self.ended += 1
            yield track, self.followed.pop(track.number, CollectedTrack())
        for track in self._tracks.open:
            followed = self.followed[track.number]
            if not followed.identified and at_s - followed.tried_at_s >= LINGERING_SECONDS:
                followed.tried_at_s = at_s
                yield track, followed

    def _gather(self, numbers: Sequence[int], shots: Sequence[Shot | None], at_s: float) -> None:
        for number, shot in zip(numbers, shots, strict=True):
            followed = self.followed.setdefault(number, CollectedTrack(tried_at_s=at_s))
            if shot is not None:
                followed.add(shot)
