"""The gateway's agent: what every device has, and a worker that follows the machine's log.

    gateway = build_gateway(load_settings(path))
    gateway.start(); ...; gateway.stop()

Its coverage says when the log was read, so that a machine's silence may count: `up` only while the file is
there, grows now and then, and has held no line for a day that could not be read.
"""

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from renzheng.common.supervised import Worker
from renzheng.contracts.events import CoverageState, Purpose
from renzheng.edge.device.agent import DeviceAgent
from renzheng.edge.device.clock import Clock, SystemClock
from renzheng.edge.device.coverage import CoverageStatus
from renzheng.edge.device.link.uplink import read_central_key
from renzheng.edge.errors import SettingsError
from renzheng.edge.machine.signing import RunSigner
from renzheng.edge.machine.tail import Tail
from renzheng.edge.settings import Settings

LOGGER = logging.getLogger(__name__)
REFUSED_LASTS = timedelta(days=1)
NEEDED = ("started_at", "ended_at")


class Gateway(DeviceAgent):
    """A device that reads a machine's log.

    Args:
        settings: the device's settings, with a file and its columns.
        clock: where time comes from.
        tail: the file.
    """

    def __init__(self, settings: Settings, *, clock: Clock, tail: Tail) -> None:
        super().__init__(settings, clock=clock, central_key=read_central_key(settings))
        self._tail = tail
        self.signer = RunSigner(settings, self.store, self.log, clock, tail)
        self._reading = Worker(
            "machine-log", self.read, every_seconds=settings.machine.every_seconds, expected=(OSError,)
        )
        self._is_read = False
        self.workers.add(self._reading)

    def read(self) -> None:
        """Sign what came since.

        Raises:
            OSError: the file cannot be read.
        """
        self._is_read = False
        self.signer.turn()
        self._is_read = True

    def standing(self) -> CoverageStatus:
        """Return whether a run could have gone unseen at this moment."""
        now = self.clock.read().wall
        try:
            changed = datetime.fromtimestamp(self._tail.changed_ns() / 1e9, tz=now.tzinfo)
        except OSError:
            return CoverageStatus(CoverageState.DOWN, "log_unreadable")
        if not self._is_read:
            return CoverageStatus(CoverageState.DOWN, "log_unreadable")
        refused = self.signer.last_refused_at()
        if refused is not None and now - refused < REFUSED_LASTS:
            return CoverageStatus(CoverageState.DEGRADED, "lines_refused")
        if now - changed > timedelta(hours=self.settings.machine.quiet_hours):
            return CoverageStatus(CoverageState.DEGRADED, "log_silent")
        return CoverageStatus(CoverageState.UP)

    def _begin(self) -> None:
        self._reading.start()
        LOGGER.info("gateway %s reads %s", self.settings.device.device_id, self.settings.machine.path)

    def _halt(self) -> None:
        self._reading.stop(timeout_seconds=10)

    def _tidy(self, now: datetime) -> None:
        super()._tidy(now)
        self.signer.tidy(now)

    def health(self) -> Mapping[str, Any]:
        """Return what an operator asks first; nobody is named."""
        return {**super().health(), "signed": self.signer.signed, "refused": self.signer.refused}


def build_gateway(settings: Settings, *, clock: Clock | None = None) -> Gateway:
    """Put a gateway together; None takes the machine's clock.

    Raises:
        SettingsError: no file or columns are named, or the device is registered for a ward.
        StoreError: the store cannot be opened.
    """
    machine = settings.machine
    if machine.path is None or not set(NEEDED) <= set(machine.columns):
        raise SettingsError(
            "The settings name no log of a machine.",
            why="Without the file and the columns of begin and end no run can be read.",
            do="Set machine.path and machine.columns (docs/machine.md).",
        )
    if machine.machine_id is None and "machine_id" not in machine.columns:
        raise SettingsError(
            "The settings do not say whose runs the log holds.",
            why="A run counts for the machine that a service point names.",
            do="Set machine.machine_id, or the column machine_id.",
        )
    if settings.device.purpose is Purpose.INPATIENT:
        raise SettingsError(
            "A gateway cannot be a device for inpatient.",
            why="Central takes runs from devices of treatment rooms and counters only.",
            do="Provision it for the room's purpose, and set device.purpose so.",
        )
    return Gateway(settings, clock=clock or SystemClock(), tail=Tail(machine.path, machine.rotated))
