"""What the agent says of itself to operators: health as JSON, metrics for Prometheus; nobody is named."""

from datetime import UTC
from typing import Any

from renzheng.common.metrics import write
from renzheng.common.supervised import Workers, health_of
from renzheng.edge.device.clock import Clock
from renzheng.edge.device.housekeeping import Housekeeper
from renzheng.edge.device.link.uplink import Uplink
from renzheng.edge.device.log import DeviceLog
from renzheng.edge.device.metrics import each, of_workers, one, summary
from renzheng.edge.device.store import heartbeat
from renzheng.edge.kiosk.station import Station


class Reports:
    """Asks the agent's parts."""

    def __init__(
        self,
        log: DeviceLog,
        clock: Clock,
        station: Station,
        housekeeper: Housekeeper,
        *,
        link: Uplink | None,
        workers: Workers,
    ) -> None:
        self._log = log
        self._clock = clock
        self._station = station
        self._housekeeper = housekeeper
        self._link = link
        self._workers = workers

    @property
    def connected(self) -> bool:
        """Whether a broker takes messages."""
        return self._link is not None and self._link.connected

    def health(self, software: str) -> dict[str, Any]:
        """What an operator asks first."""
        standing = self._station.standing()
        since = self._log.waiting_since()
        return {
            "device_id": self._log.device_id,
            "software": software,
            "sequence": self._log.head().sequence,
            "acknowledged": self._log.acknowledged(),
            "waiting_since": None if since is None else since.astimezone(UTC).isoformat(),
            "connected": self.connected,
            "halted": None if self._link is None else self._link.halted,
            "state": standing.state.value,
            "cause": standing.cause,
            "clock_trusted": self._clock.read().trusted,
            "disk_short": self._housekeeper.short,
            "frames": self._station.watcher.handled,
            "alarms": heartbeat.alarms(self._log.store),
            "workers": health_of(self._workers.states()),
            "moving": self._workers.moving(),
        }

    def metrics(self) -> str:
        """What Prometheus may ask for."""
        log, reading = self._log, self._clock.read()
        head, since = log.head().sequence, log.waiting_since()
        age = 0.0 if since is None else max(0.0, (reading.wall - since).total_seconds())
        attempts = sorted(self._station.outcomes.items())
        return write(
            [
                one("log_entries", "untyped", "Entries written to the log.", head),
                one("backlog_entries", "gauge", "Entries not acknowledged.", head - log.acknowledged()),
                one("backlog_oldest_seconds", "gauge", "Age of the oldest of them.", age),
                one("connected", "gauge", "1 while a broker takes messages.", self.connected),
                summary("commit_seconds", "Time spent on commits.", log.appended, log.append_seconds),
                one("alarms", "gauge", "Alarms kept.", len(heartbeat.alarms(log.store))),
                one("frames_total", "counter", "Frames looked at.", self._station.watcher.handled),
                one("disk_short", "gauge", "1 while the disk is nearly full.", self._housekeeper.short),
                one("clock_trusted", "gauge", "1 while the clock is synchronised.", reading.trusted),
                each("attempts_total", "counter", "Finished attempts.", ("kind", "outcome"), attempts),
                *of_workers(self._workers.states()),
            ]
        )
