"""Each run of a machine's log becomes one signed event, with the checkpoint in the same transaction."""

import hashlib
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlite_utils import Database

from renzheng.contracts.events import MachineRun, MachineRunData, device_source
from renzheng.edge.device.clock import Clock, ClockReading
from renzheng.edge.device.log import DeviceLog
from renzheng.edge.device.store.database import Store
from renzheng.edge.machine.rows import Refusal, RefusedLineError, Run, read_header, read_run
from renzheng.edge.machine.tail import Checkpoint, Line, Tail
from renzheng.edge.settings import Settings

LOGGER = logging.getLogger(__name__)
MOST_LINES = 2000
"""Read in one turn."""
KEPT = timedelta(days=400)
"""For how long a run that was signed is known again."""


class RunSigner:
    """Signs the runs of one log.

    Args:
        settings: file, columns, device.
        store: keeps the checkpoint and which runs are signed.
        log: the device's log.
        clock: when it is.
        tail: the file.
    """

    def __init__(self, settings: Settings, store: Store, log: DeviceLog, clock: Clock, tail: Tail) -> None:
        self._settings = settings
        self._zone = ZoneInfo(settings.device.time_zone)
        self._store = store
        self._log = log
        self._clock = clock
        self._tail = tail
        self.signed = 0
        self.refused = 0

    def turn(self) -> int:
        """Sign what came since; returns how many lines were read.

        Raises:
            OSError: the file cannot be read.
        """
        checkpoint, read = self._checkpoint(), 0
        if self._tail.is_lost(checkpoint):
            LOGGER.warning("the file that was read is gone; runs at its end may be missing")
            self._refuse(None, Refusal.LOST)
        for line in self._tail.lines(checkpoint):
            self._take(line)
            read += 1
            if read >= MOST_LINES:
                break
        return read

    def last_refused_at(self) -> datetime | None:
        """Return when a line was last refused; runs may be missing there."""
        row = self._store.row("SELECT max(at) AS at FROM machine_refusals")
        return None if row is None or row["at"] is None else datetime.fromisoformat(row["at"])

    def tidy(self, now: datetime) -> None:
        """Let go of what is kept no longer."""
        before = (now - KEPT).isoformat()
        with self._store.writing() as database:
            database.execute("DELETE FROM machine_runs WHERE signed_at < ?", (before,))
            database.execute("DELETE FROM machine_refusals WHERE at < ?", (before,))

    def _take(self, line: Line) -> None:
        reading, machine = self._clock.read(), self._settings.machine
        if line.offset == 0 and machine.format == "csv":
            self._move(line)
            return
        if line.content is not None and not line.content.strip():
            self._move(line)
            return
        if line.content is None:
            self._refuse(line, Refusal.TEXT)
            return
        try:
            header = read_header(line.header, machine) if machine.format == "csv" else ()
            now = reading.wall if reading.trusted else None
            run = read_run(line.content, header, machine, self._zone, now)
        except RefusedLineError as refused:
            self._refuse(line, refused.reason)
            return
        self._sign(run, line, reading)

    def _sign(self, run: Run, line: Line, reading: ClockReading) -> None:
        key = hashlib.sha256(run.key.encode()).hexdigest()
        if self._store.row("SELECT 1 AS one FROM machine_runs WHERE key = ?", key) is not None:
            self._move(line)
            return
        device = self._settings.device
        data = MachineRunData(
            institution_id=device.institution_id,
            clock=reading.as_event_clock(),
            machine_id=run.machine_id,
            started_at=run.started_at,
            ended_at=run.ended_at,
            person_id=run.person_id,
            serial_number=run.serial_number,
            accession_number=run.accession_number,
            file=line.file[:200],
            offset=line.offset,
        )
        keep = self._keep(line.after)

        def also(database: Database) -> None:
            database.execute("INSERT INTO machine_runs VALUES (?, ?)", (key, reading.wall.isoformat()))
            keep(database)

        self._log.append(
            MachineRun(source=device_source(device.device_id), time=reading.wall, data=data), also=also
        )
        self.signed += 1

    def _refuse(self, line: Line | None, reason: Refusal) -> None:
        at = self._clock.read().wall.isoformat()
        place = ("", 0) if line is None else (line.file, line.offset)
        with self._store.writing() as database:
            database.execute("INSERT INTO machine_refusals VALUES (?, ?, ?, ?)", (*place, reason.value, at))
            if line is None:
                database.execute("DELETE FROM machine_checkpoint")
            else:
                self._keep(line.after)(database)
        self.refused += 1
        LOGGER.warning("%s at %d is no run: %s", *place, reason.value)

    def _move(self, line: Line) -> None:
        with self._store.writing() as database:
            self._keep(line.after)(database)

    def _checkpoint(self) -> Checkpoint | None:
        row = self._store.row("SELECT offset, head_length, head_hash, seen_ns FROM machine_checkpoint")
        return None if row is None else Checkpoint(**row)

    @staticmethod
    def _keep(after: Checkpoint) -> Callable[[Database], None]:
        def write(database: Database) -> None:
            database.execute(
                "INSERT OR REPLACE INTO machine_checkpoint VALUES (1, ?, ?, ?, ?)",
                (after.offset, after.head_length, after.head_hash, after.seen_ns),
            )

        return write
