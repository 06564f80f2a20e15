"""What every device's agent has and does, whatever it sees with; a kind of device adds its parts to it.

class Counter(DeviceAgent):
def standing(self) -> Standing: ...      # what it sees at this moment
def _begin(self) -> None: ...            # its own parts begin, and end in `_halt`
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from joserfc.jwk import OKPKey

from renzheng.common.metrics import Family
from renzheng.common.supervised import Workers, health_of
from renzheng.edge.device.clock import Clock
from renzheng.edge.device.coverage import CoverageStatus
from renzheng.edge.device.evidence import Evidence
from renzheng.edge.device.forgetting import Forgetting, Forgotten
from renzheng.edge.device.housekeeping import Housekeeper, free_bytes_of, retention_of
from renzheng.edge.device.keyring import Keyring
from renzheng.edge.device.link.uplink import SOFTWARE, open_uplink
from renzheng.edge.device.log import DeviceLog
from renzheng.edge.device.metrics import of_workers, one, summary
from renzheng.edge.device.monitor import DeviceEventWriter, DeviceMonitor
from renzheng.edge.device.privacy import open_privacy
from renzheng.edge.device.releases import Releases
from renzheng.edge.device.running_time import RunningTime
from renzheng.edge.device.store import heartbeat
from renzheng.edge.device.store.database import Store
from renzheng.edge.device.store.lock import FolderLock
from renzheng.edge.device.store.people import open_people
from renzheng.edge.settings import Settings


class DeviceAgent:
    """One device: store, log, keys, evidence, people, link to central, coverage and housekeeping.

    Args:
        settings: the device's settings.
        clock: where time comes from.
        central_key: whose acknowledgements count; None while central's key is not known.
        software: what the device says of itself in its log, its status and on its health page.
        crop_days: how long crops are kept; the device's own setting when None.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock,
        central_key: OKPKey | None,
        software: str = SOFTWARE,
        crop_days: float | None = None,
    ) -> None:
        device = settings.device
        self.settings = settings
        self.clock = clock
        self.software = software
        self._folder = FolderLock(device.data_dir)
        self.store = Store(device.data_dir / "device.sqlite")
        self.log = DeviceLog(self.store, device.device_id)
        self.keyring = Keyring(self.store, device.data_dir)
        self.keyring.sweep()
        self.evidence = Evidence(device.data_dir)
        self.people = open_people(self.store, device)
        self.running_time = RunningTime(self.store, clock)
        self.event_writer = DeviceEventWriter(settings, self.log, clock)
        self.link = open_uplink(settings, self.log, clock, central_key, software)
        self.housekeeper = Housekeeper(
            self.log,
            self.evidence,
            retention_of(device, device.crop_days if crop_days is None else crop_days),
            tell=self.event_writer.evidence_deleted,
            free_bytes=lambda: free_bytes_of(device.data_dir),
            warn=self._warn_of_disk,
        )
        self.forgetting = Forgetting(settings, self.log, self.people, clock, self.housekeeper)
        self.releases = Releases(settings, self.log, self.evidence, clock)
        acts = (self.forgetting, self.releases)
        self.privacy = open_privacy(settings, self.keyring, acts, self.people, clock)
        self.monitor = DeviceMonitor(
            settings, self.log, clock, self.event_writer, standing=self.standing, tidy=self._tidy
        )
        self.workers = Workers(self.monitor.workers)
        if self.link is not None:
            self.workers.add(*self.link.workers)
        if self.privacy is not None:
            self.workers.add(self.privacy.worker)

    def standing(self) -> CoverageStatus:
        """Return what the device can see at this moment, for coverage."""
        raise NotImplementedError

    def withdraw_consent(self, person_id: str, *, witness_id: str | None = None) -> Forgotten:
        """Take a consent back: references at once, then the crops, each told in the log.

        Central learns of it from the log and tells every other device.

        Raises:
            UnknownPersonError: there is no such patient.
        """
        return self.forgetting.withdraw(person_id, witness_id=witness_id)

    def _prepare(self) -> None:
        """Do what must be done before the start is told."""

    def _begin(self) -> None:
        """Begin with the device's own parts."""

    def _halt(self) -> None:
        """End the device's own parts."""

    def _tidy(self, now: datetime) -> None:
        """Let go of what is kept no longer; now and then, in a thread of its own."""
        self.housekeeper.tidy(now)
        self.running_time.read_ms()

    def _warn_of_disk(self, short: bool) -> None:
        """Say that the disk is nearly full, or no longer; from any thread."""

    def start(self) -> None:
        """Tell what happened while the agent was away, then serve.

        Raises:
            FolderInUseError: another agent runs on the same data folder.
        """
        self._folder.take()
        self._prepare()
        self.monitor.begin(self.software)
        if self.link is not None:
            self.link.start()
        if self.privacy is not None:
            self.privacy.worker.start()
        self._begin()
        self.monitor.start()

    def beat(self) -> None:
        """Take one heartbeat now; a thread does so at an interval anyway."""
        self.monitor.beat()

    def stop(self, reason: str = "asked_to") -> None:
        """Stop on purpose: closes the coverage, says so, and lets go of the broker in good order."""
        self.monitor.halt()
        self._halt()
        if self.privacy is not None:
            self.privacy.worker.stop(timeout_seconds=5)
        self.monitor.end(self.software, reason)
        if self.link is not None:
            self.link.stop()
        self.store.close()
        self._folder.release()

    def crash(self) -> None:
        """End as a power cut would: nothing is closed, nothing is said. For tests and the demo."""
        self.monitor.halt()
        self._halt()
        if self.privacy is not None:
            self.privacy.worker.stop(timeout_seconds=5)
        if self.link is not None:
            self.link.drop()
        self.store.close()
        self._folder.release()

    def _wall(self) -> datetime:
        return self.clock.read().wall

    @property
    def connected(self) -> bool:
        """Whether a broker takes messages."""
        return self.link is not None and self.link.connected

    def health(self) -> Mapping[str, Any]:
        """Return what an operator asks first; nobody is named."""
        standing = self.standing()
        since = self.log.waiting_since()
        return {
            "device_id": self.log.device_id,
            "software": self.software,
            "sequence": self.log.head().sequence,
            "acknowledged": self.log.acknowledged(),
            "waiting_since": None if since is None else since.astimezone(UTC).isoformat(),
            "connected": self.connected,
            "halted": None if self.link is None else self.link.halted,
            "state": standing.state.value,
            "cause": standing.cause,
            "clock_trusted": self.clock.read().trusted,
            "disk_short": self.housekeeper.short,
            "alarms": heartbeat.alarms(self.store),
            "workers": health_of(self.workers.states()),
            "moving": self.workers.moving(),
        }

    def metrics(self) -> list[Family]:
        """Return what Prometheus may ask of any device."""
        log, reading = self.log, self.clock.read()
        head, since = log.head().sequence, log.waiting_since()
        age = 0.0 if since is None else max(0.0, (reading.wall - since).total_seconds())
        return [
            one("log_entries", "untyped", "Entries written to the log.", head),
            one("backlog_entries", "gauge", "Entries not acknowledged.", head - log.acknowledged()),
            one("backlog_oldest_seconds", "gauge", "Age of the oldest of them.", age),
            one("connected", "gauge", "1 while a broker takes messages.", self.connected),
            summary("commit_seconds", "Time spent on commits.", log.appended, log.append_seconds),
            one("alarms", "gauge", "Alarms kept.", len(heartbeat.alarms(self.store))),
            one("disk_short", "gauge", "1 while the disk is nearly full.", self.housekeeper.short),
            one("clock_trusted", "gauge", "1 while the clock is synchronised.", reading.trusted),
            *of_workers(self.workers.states()),
        ]
