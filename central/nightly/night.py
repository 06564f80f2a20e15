"""Runs the audit of some service days and publishes its verdicts; the nightly job."""

import fcntl
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from renzheng.central.audit.request import AuditRequest
from renzheng.central.audit.run import run_audit
from renzheng.central.errors import NightError
from renzheng.central.nightly import results
from renzheng.central.nightly.export import Window, export_tables
from renzheng.central.settings import Settings
from renzheng.central.store import audits
from renzheng.central.store.database import Database
from renzheng.central.store.times import day_bounds_us, to_us
from renzheng.contracts.errors import RenzhengError
from renzheng.contracts.ids import new_id

logger = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]
"""Is told a step's name, how many steps are done and how many there are."""

LATE_DAYS_LOOKED_AT = 92
"""Audited days that are looked at for late arrivals: a quarter, after which settlement is closed."""
STEPS_BEFORE = 1
"""Steps before the audit's own: the export."""
STEPS_AROUND = 3
"""Steps before and after the audit's own."""


@dataclass(frozen=True, slots=True)
class NightReport:
    """What a run came to."""

    run_id: str
    first: date
    last: date
    folder: Path
    summary: dict[str, Any]


def _quiet(_step: str, _done: int, _total: int) -> None:
    """Show nothing."""


class Night:
    """Runs audits over the store and the imports, one at a time.

    Args:
        database: the store.
        settings: folders, time zone, region, rules.
        clock: gives the moments of beginning and end.
    """

    def __init__(self, database: Database, settings: Settings, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock

    def run(self, first: date, last: date, progress: Progress = _quiet) -> NightReport:
        """Audit the service days `first` to `last`, both included, and publish the verdicts.

        Running it again takes in what has arrived since; the days change over in one transaction.

        Raises:
            NightError: the days run backwards, another run is under way, or nothing was imported.
            TablesUnusableError: an imported table has missing or mistyped columns.
        """
        if last < first:
            raise NightError(f"The days run backwards: {first} to {last}.", do="Give the earlier day first.")
        with self._alone():
            run_id = new_id()
            folder = self._settings.runs_dir / run_id
            with self._database.writing() as connection:
                audits.begin(connection, run_id, first, last, folder=str(folder), now_us=self._now_us())
            try:
                return self._run(run_id, folder, (first, last), progress)
            except BaseException as error:
                problem = error.what if isinstance(error, RenzhengError) else type(error).__name__
                with self._database.writing() as connection:
                    audits.fail(connection, run_id, problem, self._now_us())
                raise

    def late_days(self) -> list[date]:
        """Name the audited days about which evidence has come in since, earliest first.

        A session may cross midnight, so what comes in about a day touches its neighbours too.
        """
        zone, day_before_and_after = ZoneInfo(self._settings.timezone), timedelta(days=1)
        touched = []
        with self._database.reading() as connection:
            for text, began_us in audits.runs_of_days(connection, limit=LATE_DAYS_LOOKED_AT).items():
                day = date.fromisoformat(text)
                stretch = day_bounds_us(day - day_before_and_after, day + day_before_and_after, zone)
                if audits.arrived_since(connection, *stretch, began_us):
                    touched.append(day)
        return sorted(touched)

    def mend(self) -> None:
        """Mark as failed what a process that is gone left running."""
        try:
            with self._alone(), self._database.writing() as connection:
                audits.fail_unfinished(connection, "The process that ran it ended.", self._now_us())
        except NightError:
            logger.info("an audit run is under way in another process")

    def _run(self, run_id: str, folder: Path, days: tuple[date, date], progress: Progress) -> NightReport:
        zone = ZoneInfo(self._settings.timezone)
        tables = folder / "tables"
        steps = _Steps(self._database, run_id, progress)
        steps.begin("export", 0, STEPS_AROUND + 1)
        window = Window(*days, self._settings.audit.margin_days)
        with self._database.reading() as connection:
            exported = export_tables(connection, self._settings.tables_dir, tables, window, zone)
        result = run_audit(self._request(folder, days), steps.begin_of_audit)
        steps.begin_after_audit("keep_verdicts", 0)
        zones = results.read_zones(tables, zone)
        with self._database.writing() as connection:
            audits.add_institutions(connection, results.read_institutions(tables, zone))
        for rows in results.read_verdicts(run_id, result, tables, zones, zone):
            with self._database.writing() as connection:
                audits.add_verdicts(connection, rows)
        steps.begin_after_audit("keep_findings", 1)
        for rows in results.read_findings(run_id, result, tables, days, zone):
            with self._database.writing() as connection:
                audits.add_findings(connection, rows)
        summary = {**result.summary, "exported_rows": dict(exported)}
        with self._database.writing() as connection:
            audits.publish(connection, run_id, *days, summary=summary, now_us=self._now_us())
        steps.done()
        return NightReport(run_id, *days, folder, summary)

    def _request(self, folder: Path, days: tuple[date, date]) -> AuditRequest:
        told = self._settings.audit
        return AuditRequest(
            tables=folder / "tables",
            from_day=days[0],
            to_day=days[1],
            out=folder / "result",
            engine=told.engine,
            rules=told.rules_dir,
            region=told.region,
        )

    def _now_us(self) -> int:
        return to_us(self._clock())

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the lock that keeps every other run out; it falls with the process."""
        folder = self._settings.runs_dir
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise NightError(
                    "An audit run is under way.",
                    why="Two at once would publish the same days over each other.",
                    do="Wait for it; the console's page of runs shows how far it is.",
                ) from None
            yield


class _Steps:
    """Tells the store and the caller which step begins; the audit's steps lie between the night's own."""

    def __init__(self, database: Database, run_id: str, progress: Progress) -> None:
        self._database = database
        self._run_id = run_id
        self._progress = progress
        self._audit_steps = 1

    def begin(self, step: str, done: int, total: int) -> None:
        with self._database.writing() as connection:
            audits.note_step(connection, self._run_id, step, done, total)
        self._progress(step, done, total)

    def begin_of_audit(self, step: str, index: int, total: int) -> None:
        self._audit_steps = total
        self.begin(step, STEPS_BEFORE + index, total + STEPS_AROUND)

    def begin_after_audit(self, step: str, index: int) -> None:
        self.begin(step, STEPS_BEFORE + self._audit_steps + index, self._audit_steps + STEPS_AROUND)

    def done(self) -> None:
        total = self._audit_steps + STEPS_AROUND
        self._progress("done", total, total)
