"""The thread that settles rounds goes on looking, whatever one look ends in."""

import threading
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy.exc import OperationalError

from renzheng.central.draw.scheduler import RoundScheduler

NOW = datetime(2026, 3, 1, tzinfo=UTC)


class Settling:
    """Rounds whose first looks fail."""

    def __init__(self):
        self.looks = []
        self.failures = [OSError("disk full"), OperationalError("select", {}, Exception("locked"))]
        self.third = threading.Event()

    def settle(self, now):
        self.looks.append(now)
        if self.failures:
            raise self.failures.pop()
        self.third.set()
        return [Path("round-1.json")]


def test_it_looks_at_once_and_again_until_it_is_stopped():
    rounds = Settling()
    keeper = RoundScheduler(rounds, lambda: NOW, every_seconds=0.01)
    keeper.start()
    assert rounds.third.wait(60)
    keeper.stop()
    seen = len(rounds.looks)
    assert seen >= 3
    assert set(rounds.looks) == {NOW}
    assert not threading.Event().wait(0.05)
    assert len(rounds.looks) == seen


def test_one_that_was_never_started_can_be_stopped():
    RoundScheduler(Settling(), lambda: NOW).stop()
