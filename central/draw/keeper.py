"""Opens rounds in their hour and publishes them at their close, whether or not anybody looks."""

import logging
import threading
from collections.abc import Callable
from datetime import datetime

from sqlalchemy.exc import SQLAlchemyError

from renzheng.central.draw.rounds import Rounds
from renzheng.contracts.errors import RenzhengError

logger = logging.getLogger(__name__)
EVERY_SECONDS = 20.0


class RoundKeeper:
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
        self._every_seconds = every_seconds
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rounds", daemon=True)

    def start(self) -> None:
        """Look at once, then at the interval."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def _run(self) -> None:
        while True:
            try:
                for path in self._rounds.settle(self._clock()):
                    logger.info("published %s", path.name)
            except (RenzhengError, OSError, SQLAlchemyError) as error:
                logger.warning("rounds were not settled, and will be tried again: %s", error)
            if self._ending.wait(self._every_seconds):
                return
