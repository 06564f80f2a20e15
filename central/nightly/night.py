"""Runs the audit of some service days and publishes its verdicts; the nightly job."""

import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import sqlalchemy as sa

from renzheng.central.adt import stay_journal
from renzheng.central.audit import readback
from renzheng.central.audit.request import AuditRequest, AuditResult
from renzheng.central.audit.run import run_audit
from renzheng.central.checks.in_force import signed_points
from renzheng.central.draw.rounds import Rounds
from renzheng.central.errors import NightError
from renzheng.central.nightly import owed_days, results
from renzheng.central.nightly.lake import Lake, Window
from renzheng.central.nightly.manifest import Manifest
from renzheng.central.nightly.report import REPORT, keep_named, write_report
from renzheng.central.settings import Settings
from renzheng.central.site.succession import verifying_keys
from renzheng.central.store import audits, locks, reading, refusals
from renzheng.central.store.database import Database
from renzheng.central.store.times import to_us
from renzheng.common.files import put, take_lock
from renzheng.contracts import keys
from renzheng.contracts.errors import RenzhengError
from renzheng.contracts.ids import new_id
from renzheng.rules.knowledge.points import Point
from renzheng.rules.pack import load_pack
from renzheng.rules.parameters import resolve

logger = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]
"""Is told a step's name, how many steps are done and how many there are."""

LATE_DAYS_LOOKED_AT = 92
"""Audited days that are looked at for late arrivals: a quarter, after which settlement is closed."""
STEPS_BEFORE = 1
"""Steps before the audit's own: the lake."""
STEPS_AROUND = 5
"""Steps before and after the audit's own."""
LAKE_VERSION = "lake_version"
HOURS_A_DAY = 24
WAIT_SECONDS = 5.0


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
    """Runs audits over the lake, one at a time.

    Args:
        database: the store.
        settings: folders, time zone, region, rules.
        clock: gives the moments of beginning and end.
    """

    def __init__(self, database: Database, settings: Settings, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock
        self._holding = _Holding()

    def run(self, first: date, last: date, progress: Progress = _quiet) -> NightReport:
        """Audit the service days `first` to `last`, both included, and publish the verdicts.

        Running it again takes in what has arrived since; the days change over in one transaction. If a
        process was killed at these days, its run goes on with the step it was at.

        Raises:
            NightError: the days run backwards, another run is under way, or nothing was imported.
            TablesUnusableError: an imported table has missing or mistyped columns.
        """
        if last < first:
            raise NightError(f"The days run backwards: {first} to {last}.", do="Give the earlier day first.")
        with self.alone():
            with self._database.reading() as connection:
                begun = audits.unfinished(connection)
            span = (first.isoformat(), last.isoformat())
            mine = [row for row in begun if (row["from_day"], row["to_day"]) == span]
            if mine:
                return self._go_on(mine[-1], progress)
            run_id = new_id()
            folder = self._settings.runs_dir / run_id
            with self._database.writing() as connection:
                audits.begin(connection, run_id, first, last, folder=str(folder), now_us=self._now_us())
            return self._watched(run_id, folder, (first, last), progress)

    def go_on(self, progress_of: Callable[[date], Progress] = lambda _: _quiet) -> list[NightReport]:
        """Finish the runs whose processes were killed, each with the step it was at."""
        with self.alone():
            with self._database.reading() as connection:
                begun = audits.unfinished(connection)
            return [self._go_on(row, progress_of(date.fromisoformat(row["from_day"]))) for row in begun]

    def late_days(self) -> list[date]:
        """Name the audited days about which something has come in since, earliest first.

        It brings the lake up to date, which notes the days that a late bill, event or stay touches.
        """
        with self.alone(), self._settled() as connection:
            return self._late(connection, self._lake().refresh(connection, self._settings.tables_dir))

    def owed_days(self) -> list[date]:
        """Name every day that waits for an answer, earliest first: never audited, or touched since.

        What was missed is owed for as long as nobody makes it up, however long ago it was. It brings the lake
        up to date.
        """
        zone = ZoneInfo(self._settings.timezone)
        with self.alone(), self._settled() as connection:
            manifest = self._lake().refresh(connection, self._settings.tables_dir)
            today = self._clock().astimezone(zone).date()
            never = owed_days.owed(connection, owed_days.billed_in(manifest), today)
            return sorted({*never, *self._late(connection, manifest)})

    def wanted(self, asked: datetime, done: Sequence[tuple[date, date]]) -> list[tuple[date, date]]:
        """Name the spans of days that a night which was asked for at a moment is to audit: what is owed.

        Yesterday is among them, unless another central has answered it since then.
        """
        yesterday = asked.astimezone(ZoneInfo(self._settings.timezone)).date() - timedelta(days=1)
        with self._database.reading() as connection:
            answered = audits.answered_since(connection, yesterday, to_us(asked))
        days = {*self.owed_days()} | (set() if answered else {yesterday})
        return owed_days.spans(owed_days.without(days, done))

    def _late(self, connection: sa.Connection, manifest: Manifest) -> list[date]:
        spoken = audits.summaries_of_days(connection, limit=LATE_DAYS_LOOKED_AT)
        late = []
        for day, text in sorted(spoken.items()):
            summary = orjson.loads(text)
            read = (summary.get("lake_version", 0), summary.get("lake_id", ""))
            if manifest.changed_since(day, *read):
                late.append(date.fromisoformat(day))
        return late

    def mend(self) -> None:
        """Mark as interrupted what a process that is gone left running; the next night goes on with it."""
        try:
            with self.alone(), self._database.writing() as connection:
                audits.interrupt(connection)
        except NightError:
            logger.info("an audit run is under way in another process")

    def _go_on(self, begun: Mapping[str, Any], progress: Progress) -> NightReport:
        with self._database.writing() as connection:
            audits.go_on(connection, begun["run_id"])
        days = (date.fromisoformat(begun["from_day"]), date.fromisoformat(begun["to_day"]))
        here = self._settings.runs_dir / begun["run_id"]  # the data may have been moved or restored since
        return self._watched(begun["run_id"], here, days, progress)

    def _watched(self, run_id: str, folder: Path, days: tuple[date, date], progress: Progress) -> NightReport:
        """Run, and note how it ended: done, failed, or interrupted, which can go on."""
        try:
            return self._run(run_id, folder, days, progress)
        except Exception as error:
            problem = error.what if isinstance(error, RenzhengError) else type(error).__name__
            with self._database.writing() as connection:
                audits.fail(connection, run_id, problem, self._now_us())
            raise
        except BaseException:
            with self._database.writing() as connection:
                audits.interrupt(connection, run_id)
            raise

    def _run(self, run_id: str, folder: Path, days: tuple[date, date], progress: Progress) -> NightReport:
        """Do the steps that are not done yet; each leaves what it made whole or not at all."""
        zone = ZoneInfo(self._settings.timezone)
        tables = folder / "tables"
        steps = _Steps(self._database, run_id, progress)
        steps.begin("lake", 0, STEPS_AROUND + 1)
        if not tables.is_dir():
            self._lay_out(tables, days)
        version, _, lake_id = (folder / LAKE_VERSION).read_text(encoding="utf-8").partition(" ")
        made = folder / "result"
        if not (made / "summary.json").is_file():
            run_audit(self._request(folder, days), steps.begin_of_audit)
        result = AuditResult(made, readback.read_summary(made))
        steps.begin_after_audit("keep_verdicts", 0)
        zones = results.read_zones(tables, zone)
        with self._database.writing() as connection:
            audits.add_institutions(connection, results.read_institutions(tables, zone))
        for rows in results.read_verdicts(run_id, result, tables, zones, zone):
            with self._database.writing() as connection:
                audits.add_verdicts(connection, rows)
        with self._database.writing() as connection:
            audits.add_ledger(connection, results.read_ledger(run_id, result))
        steps.begin_after_audit("keep_findings", 1)
        for rows in results.read_findings(run_id, result, tables, days, zone):
            with self._database.writing() as connection:
                audits.add_findings(connection, rows)
        steps.begin_after_audit("report", 2)
        pack = load_pack(self._settings.audit.rules_dir)
        write_report(folder / REPORT, result, tables, run_id, self._clock().astimezone(zone), pack)
        with self._database.reading() as connection:
            keep_named(folder, reading.persons_judged(connection, run_id))
        steps.begin_after_audit("publish", 3)
        summary = {**result.summary, "lake_version": int(version), "lake_id": lake_id}
        assert self._holding.lock is not None
        with self._holding.lock.writing() as connection:
            audits.publish(connection, run_id, *days, summary=summary, now_us=self._now_us())
        self._sweep()
        steps.done()
        return NightReport(run_id, *days, folder, summary)

    @contextmanager
    def _settled(self) -> Iterator[sa.Connection]:
        """Read the store once what is due is done: rounds opened and published, old messages cleared."""
        if self._settings.key_file.exists():
            key = keys.load_private_key(self._settings.key_file.read_bytes())
            Rounds(self._database, key, self._settings.checkpoints_dir).settle(self._clock())
        with self._database.writing() as connection:
            stay_journal.forget(connection, self._clock())
            refusals.forget(connection, to_us(self._clock() - refusals.KEPT_FOR))
        with self._database.reading() as connection:
            yield connection

    def _lay_out(self, tables: Path, days: tuple[date, date]) -> None:
        """Bring the lake up to date and link from it what the run reads; under its name only when whole."""
        lake, making = self._lake(), tables.with_name("tables.making")
        with self._settled() as connection:
            manifest = lake.refresh(connection, self._settings.tables_dir)
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        lake.link(manifest, Window(*days, self._settings.audit.margin_days), making)
        (tables.parent / LAKE_VERSION).write_text(manifest.state, encoding="utf-8")
        put(making, tables)

    def _lake(self) -> Lake:
        region, pack = self._settings.audit.region, load_pack(self._settings.audit.rules_dir)
        rule = pack.rules["line-bed-day"]
        until = resolve(rule.header, pack.overrides(region, rule.id), self._clock().date())["bed_day_to_hour"]
        zone = ZoneInfo(self._settings.timezone)
        return Lake(self._settings.lake_dir, zone, night_days=int(until > HOURS_A_DAY))

    def _sweep(self) -> None:
        """Remove the folders of old runs by which nothing speaks any more; their rows in the store stay."""
        with self._database.reading() as connection:
            dropped = audits.folders_to_drop(connection, keep=self._settings.audit.keep_runs)
        for folder in dropped:
            if Path(folder).parent == self._settings.runs_dir:
                shutil.rmtree(folder, ignore_errors=True)

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
            resumable=True,
            memory_limit=told.memory_limit,
            rule_seconds=told.rule_seconds,
            rules_key=told.rules_key_file,
            points=self._points(),
        )

    def _points(self) -> list[Point]:
        """Return the knowledge that two people have put in force by today."""
        key_file = self._settings.key_file
        by = verifying_keys(key_file) if key_file.exists() else []
        return signed_points(self._settings.knowledge_dir, by, self._clock().date())

    def _now_us(self) -> int:
        return to_us(self._clock())

    @contextmanager
    def alone(self, *, wait: bool = False) -> Iterator[None]:
        """Hold the lock that keeps every other run out, of any central over this store, for a block.

        It falls with the process. Within the block each run of this thread finds it held.

        Args:
            wait: for whoever holds it now, however long its run takes.

        Raises:
            NightError: another central, or another process of this one, holds it.
        """
        if self._holding.lock is not None:
            yield
            return
        folder = self._settings.runs_dir
        folder.mkdir(parents=True, exist_ok=True)
        while True:
            with locks.alone(self._database, "night") as held, (folder / "lock").open("wb") as file:
                if held is not None and take_lock(file):  # the folder's: lake and runs lie there
                    self._holding.lock = held
                    try:
                        yield
                    finally:
                        self._holding.lock = None
                    return
            if not wait:
                raise _under_way()
            logger.info("another central runs the night; this one waits for it")
            time.sleep(WAIT_SECONDS)


def _under_way() -> NightError:
    return NightError(
        "An audit run is under way.",
        why="Two at once would publish the same days over each other.",
        do="Wait for it; the console's page of runs shows how far it is.",
    )


class _Holding(threading.local):
    """The store's lock, as far as the present thread holds it."""

    lock: locks.HeldLock | None = None


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
