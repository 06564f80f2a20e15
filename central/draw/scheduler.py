"""Opens rounds in their hour and publishes them at their close, whether or not anybody looks."""

import logging
from collections.abc import Callable
from datetime import datetime

from sqlalchemy.exc import SQLAlchemyError

from renzheng.central.draw.rounds import Rounds
from renzheng.common.supervised import Worker
from renzheng.contracts.errors import RenzhengError

logger = logging.getLogger(__name__)
EVERY_SECONDS = 20.0


class RoundScheduler:
    """A thread that settles what has become due.

    Args:
        rounds: takes them through their stages.
        clock: when it is.
        every_seconds: how often it looks.
    """

    def __init__(
        self, rounds: Rounds, clock: Callable[[], datetime], every_seconds: float = EVERY_SECONDS
    ) -> None:
        self._rounds = rounds
        self._clock = clock
        self.worker = Worker(
            "rounds",
            self._settle,
            every_seconds=every_seconds,
            expected=(RenzhengError, OSError, SQLAlchemyError),
        )

    def start(self) -> None:
        """Look at once, then at the interval."""
        self.worker.start()

    def stop(self) -> None:
        """Look no more."""
        self.worker.stop(timeout_seconds=10)

    def _settle(self) -> None:
        for path in self._rounds.settle(self._clock()):
            logger.info("published %s", path.name)
