"""Fetching today's inpatients from central; what was fetched last stays when a fetch fails."""

import logging
import random
from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

from renzheng.common.backoff import back_off
from renzheng.common.supervised import Worker
from renzheng.contracts.errors import RenzhengError
from renzheng.contracts.requests import INPATIENTS_PATH
from renzheng.contracts.rosters import InpatientRoster, read_roster
from renzheng.edge.device.bulk import Bulk
from renzheng.edge.device.store.inpatients import Inpatients

LOGGER = logging.getLogger(__name__)
_FIRST_RETRY_SECONDS = 10.0


def fetch(bulk: Bulk, inpatients: Inpatients, now: datetime, zone: ZoneInfo) -> InpatientRoster:
    """Fetch today's roster and keep it.

    Raises:
        BulkUnreachableError: central does not answer.
        BulkRefusedError: it answers something else.
        RosterError: what came is no roster, another institution's or an older one; the one before stays.
    """
    day = now.astimezone(zone).date()
    roster = read_roster(bulk.get(f"{INPATIENTS_PATH}?day={day.isoformat()}").body)
    inpatients.put(roster, now)
    return roster


class RosterFetcher:
    """Fetches at an interval, in a thread of its own; sooner after a failure, at a random moment.

    Args:
        bulk: the door.
        inpatients: where the roster is kept.
        wall: the device's clock.
        zone: the institution's.
        every_seconds: between two good fetches.
    """

    def __init__(
        self,
        bulk: Bulk,
        inpatients: Inpatients,
        *,
        wall: Callable[[], datetime],
        zone: ZoneInfo,
        every_seconds: float,
    ) -> None:
        self._bulk = bulk
        self._inpatients = inpatients
        self._wall = wall
        self._zone = zone
        self._every_seconds = every_seconds
        self.worker = Worker("inpatients", self._turn)
        self.failures = 0

    def start(self) -> None:
        """Fetch now and from now on."""
        self.worker.start()

    def stop(self) -> None:
        """Fetch no more."""
        self.worker.stop(timeout_seconds=30)

    def fetch_once(self) -> bool:
        """Fetch; False when it failed, which is logged and changes nothing."""
        try:
            roster = fetch(self._bulk, self._inpatients, self._wall(), self._zone)
        except RenzhengError as error:
            self.failures += 1
            LOGGER.warning("no roster of inpatients was fetched (%d): %s", self.failures, error)
            return False
        self.failures = 0
        LOGGER.info("roster of %s: %d inpatients", roster.day, len(roster.patients))
        return True

    def _turn(self) -> float:
        wait = self._every_seconds
        if not self.fetch_once():
            wait = back_off(self.failures, _FIRST_RETRY_SECONDS, wait)
        return wait * random.uniform(0.8, 1.2)  # noqa: S311 - only spreads the devices
