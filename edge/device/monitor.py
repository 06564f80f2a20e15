"""Heartbeats, coverage, the clock, starts and stops; the threads around the pure `coverage`.

Housekeeping has a thread of its own: a disk that fails or is slow must not cost a heartbeat.
"""

import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from renzheng.common.supervised import Worker
from renzheng.contracts import events
from renzheng.contracts.events import CoverageState, device_source
from renzheng.contracts.ids import EventId
from renzheng.edge.device import coverage
from renzheng.edge.device.clock import Clock, ClockReading, watch
from renzheng.edge.device.coverage import CoverageStatus, Intervals, OpenStretch, Stretch
from renzheng.edge.device.housekeeping import Reason
from renzheng.edge.device.log import DeviceLog
from renzheng.edge.device.store import heartbeat
from renzheng.edge.settings import Settings

_LOOK_SECONDS = 0.5
_TIDY_SECONDS = 600
_LONGEST_TIDY_SECONDS = 1800.0


class DeviceEventWriter:
    """Writes events that are about the device, not about a person."""

    def __init__(self, settings: Settings, log: DeviceLog, clock: Clock) -> None:
        self._device = settings.device
        self._log = log
        self._clock = clock

    def write(self, kind: type[Any], data: type[Any], **values: Any) -> None:
        """Append one event of `kind` whose data are `data(**values)`."""
        reading = self._clock.read()
        filled = data(institution_id=self._device.institution_id, clock=reading.as_event_clock(), **values)
        self._log.append(kind(source=device_source(self._device.device_id), time=reading.wall, data=filled))

    def evidence_deleted(self, event_ids: Sequence[EventId], reason: Reason) -> None:
        """Record that crops are gone."""
        self.write(
            events.EvidenceDeleted,
            events.EvidenceDeletedData,
            evidence_event_ids=tuple(event_ids),
            reason=reason,
        )


class DeviceMonitor:
    """Records coverage, heartbeats and changes of the clock.

    Args:
        settings: intervals, purpose.
        log: where events go; the durable heartbeat lies in the same store, in the same transaction.
        clock: when it is.
        event_writer: writes the events.
        standing: what the kiosk can see at this moment.
        tidy: called now and then with the wall clock, for housekeeping, in a thread of its own.
    """

    def __init__(
        self,
        settings: Settings,
        log: DeviceLog,
        clock: Clock,
        event_writer: DeviceEventWriter,
        *,
        standing: Callable[[], CoverageStatus],
        tidy: Callable[[datetime], object],
    ) -> None:
        self._purpose = settings.device.purpose
        self._beat_seconds = settings.coverage.beat_seconds
        self._store = log.store
        self._clock = clock
        self._event_writer = event_writer
        self._standing = standing
        self._tidy = tidy
        self._intervals = Intervals(
            timedelta(seconds=settings.coverage.longest_silence_seconds),
            timedelta(seconds=settings.coverage.tell_every_seconds),
        )
        self._lock = threading.Lock()
        self._open: OpenStretch | None = None
        self._reading: ClockReading | None = None
        self._beat_due = 0.0
        self._thread = Worker("monitor", self._look, every_seconds=_LOOK_SECONDS, longest_wait_seconds=5.0)
        self._tidying = Worker(
            "housekeeper",
            self._tidy_up,
            every_seconds=_TIDY_SECONDS,
            longest_turn_seconds=_LONGEST_TIDY_SECONDS,
        )
        self.workers = (self._thread, self._tidying)

    def begin(self, software: str) -> None:
        """Tell the start, and what happened while the agent was away; the first beat."""
        with self._lock, self._store.writing():
            reading = self._clock.read()
            self._event_writer.write(events.DeviceStarted, events.DeviceData, software=software)
            last = heartbeat.last(self._store)
            if last is not None:
                self._tell(coverage.resume(last.open_stretch, reading.wall, stopped=last.stopped))
            self._open = coverage.begin(reading.wall, self._standing())
            self._reading = reading
            self._keep(self._open)

    def start(self) -> None:
        """Beat at the interval from now on, in a thread of its own."""
        self._beat_due = time.monotonic() + self._beat_seconds
        for worker in self.workers:
            worker.start()

    def halt(self) -> None:
        """Beat no more; nothing is told."""
        for worker in self.workers:
            worker.stop()

    def end(self, software: str, reason: str) -> None:
        """Close the coverage and tell the stop."""
        with self._lock, self._store.writing():
            if self._open is None:
                return
            reading = self._clock.read()
            open_, closed = coverage.beat(self._open, reading.wall, self._open.standing, self._intervals)
            self._tell([*closed, *open_.close(reading.wall)])
            self._keep(coverage.begin(reading.wall, CoverageStatus(CoverageState.DOWN)), stopped=True)
            self._event_writer.write(
                events.DeviceStopped, events.DeviceData, software=software, reason=reason
            )
            self._open = None

    def beat(self) -> None:
        """Take one heartbeat: what it closes and the beat itself are written in one transaction."""
        with self._lock:
            if self._open is None:
                return
            reading = self._clock.read()
            open_, closed = coverage.beat(self._open, reading.wall, self._standing(), self._intervals)
            with self._store.writing():
                if self._reading is not None:
                    for change in watch(self._reading, reading):
                        self._event_writer.write(
                            events.DeviceClock,
                            events.ClockData,
                            change=change.change,
                            offset_ms=change.offset_ms,
                        )
                self._tell(closed)
                self._keep(open_)
            self._open, self._reading = open_, reading

    def _look(self) -> None:
        """Beat at the interval, and at once when what the kiosk can see has changed; again if it failed."""
        open_ = self._open
        changed = open_ is not None and open_.standing != self._standing()
        if changed or time.monotonic() >= self._beat_due:
            self.beat()
            self._beat_due = time.monotonic() + self._beat_seconds

    def _tidy_up(self) -> None:
        self._tidy(self._clock.read().wall)

    def _tell(self, stretches: Sequence[Stretch]) -> None:
        for stretch in stretches:
            self._event_writer.write(
                events.DeviceCoverage,
                events.CoverageData,
                purpose=self._purpose,
                from_at=stretch.from_at,
                to_at=stretch.to_at,
                state=stretch.state,
                cause=stretch.cause,
            )

    def _keep(self, open_: OpenStretch, *, stopped: bool = False) -> None:
        with self._store.writing() as database:
            heartbeat.keep(open_, stopped=stopped)(database)
