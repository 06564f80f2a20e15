"""What the watcher concludes from followed frames."""

import numpy as np
import pytest

from renzheng.edge.look import attempt
from renzheng.edge.look.outcomes import Matched
from renzheng.edge.look.watcher import Frame, Progress, Watcher, now_ms
from renzheng.models.analysis import Analysis, Face, OneFace, SeveralFaces
from renzheng.models.templates import Template
from tests.parts.edge import StandInEngine, jpeg_of

FRAME = jpeg_of(90)


class Looked(StandInEngine):
    """Keeps how it looked; from the second whole look on a second face is there, outside of the window."""

    def __init__(self, *, joined: bool = False) -> None:
        self.near: list[bool] = []
        self.joined = joined

    def analyse(self, image: np.ndarray, *, last: Face | None = None) -> Analysis:
        self.near.append(last is not None)
        seen = super().analyse(image, last=last)
        if self.joined and last is None and len(self.near) > 1:
            assert isinstance(seen, OneFace)
            return SeveralFaces(2, (seen.face.box, seen.face.box))
        return seen


def frames_of(engine: Looked, count: int) -> list[Progress]:
    told: list[Progress] = []
    watcher = Watcher(engine, 1e-3, told.append, calibration=lambda: None)
    reference = Template(np.array([90, 165], np.float32), engine.model)
    watcher.begin(1, [reference], limit_ms=60_000)
    for number in range(count):
        watcher.show(Frame(number, FRAME, now_ms()))
        watcher._turn()
    return told


def test_a_match_is_told_of_a_frame_that_was_looked_at_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempt, "PASSIVE_MS", 0)
    engine = Looked()
    told = frames_of(engine, 3)
    assert engine.near == [False, True, True, False], "three frames, and the last again"
    assert [isinstance(progress.outcome, Matched) for progress in told] == [False, False, True]


def test_nobody_matches_while_another_face_is_held_up_beside_the_followed_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(attempt, "PASSIVE_MS", 0)
    told = frames_of(Looked(joined=True), 6)
    assert [progress.outcome for progress in told] == [None] * 6
    assert told[-1].guidance == "one_person_only"
