"""Looks, again and again, for what is wrong; keeps it as alarms and closes what is over."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from renzheng.central.ingest.consumer import Connected
from renzheng.central.metrics import Labels, Metrics
from renzheng.central.nightly import owed_days
from renzheng.central.nightly.manifest import NAME as MANIFEST
from renzheng.central.privacy import orders
from renzheng.central.privacy.shares import PersonShares
from renzheng.central.settings import Settings
from renzheng.central.site.setup import consumer_names
from renzheng.central.store import alarms, last_times, reading, refusals
from renzheng.central.store.database import Database
from renzheng.central.store.faults import describe
from renzheng.central.store.times import to_us
from renzheng.central.watch import problems
from renzheng.central.watch.problems import KINDS, SITE, Audited, Problem
from renzheng.common.certificates import valid_until
from renzheng.common.supervised import Worker, Workers

logger = logging.getLogger(__name__)
EVERY_SECONDS = 10.0
OF_PROCESS = {"worker_stuck", "worker_failing", "broker_unreachable", "second_consumer", "store_refuses"}
"""What the process itself knows at every moment, without the store."""
JUMPS_SHOWN = timedelta(hours=24)
FACES_COUNTED_EVERY = timedelta(hours=1)
QUIET = timedelta(days=30)
"""An alarm of the ingest that has not come again for so long is closed; what proves a fraud stays open."""
SHARD = "shard "
"""Under this and the shard's name whoever consumes it says in the store that it is there."""
_US_A_DAY = 86_400_000_000


class Watch:
    """The watch over one central.

    Args:
        database: a store of the watch's own.
        settings: folders and certificates.
        clock: when it is.
        metrics: where gauges are shown.
        workers: the process's threads.
        brokers: tells how each shard's connection is.
        refused: names the devices of which the store lately refused something.
        whole: watches the site as a whole, too: certificates, nights, and shards that nobody consumes. False
            for a process that has nothing but its shards; it says in the store that it is there.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        clock: Callable[[], datetime],
        metrics: Metrics,
        *,
        workers: Workers,
        brokers: Callable[[], Sequence[Connected]],
        refused: Callable[[], Mapping[str, str]] = dict,
        whole: bool = True,
    ) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock
        self._metrics = metrics
        self._workers = workers
        self._brokers = brokers
        self._refused = refused
        self._shards = frozenset(one.shard for one in brokers())
        self._whole = whole
        self._others: frozenset[str] = frozenset()
        self._elsewhere: Sequence[Problem] = ()
        self._of_devices: Mapping[str, str] = {}
        self._known: list[Problem] = []
        self._billed: Sequence[date] = ()
        self._lake_seen = (0, 0)
        self._faces = (0, 0)
        self.worker = Worker(
            "watch" if whole else f"watch-{'-'.join(sorted(self._shards))}",
            self.look,
            every_seconds=EVERY_SECONDS,
        )

    def problems(self) -> list[Problem]:
        """Tell what is wrong, as of the last look; what the process itself shows, as of now."""
        now_us = to_us(self._clock())
        at_once = problems.since_first(self._of_process(now_us), self._before())
        told = {(one.subject, one.kind) for one in at_once}
        return [*at_once, *(one for one in self._known if self._lasts(one, told)), *self._elsewhere]

    def _of_process(self, now_us: int) -> list[Problem]:
        seen = problems.of_workers(self._workers.states(), now_us)
        seen += problems.of_brokers(self._brokers(), now_us)
        return seen + problems.of_refusals(self._refused(), now_us)

    @staticmethod
    def _lasts(one: Problem, told: Collection[tuple[str, str]]) -> bool:
        """Whether what the last look found is still to be told, beside what the process shows now."""
        passing = one.kind in OF_PROCESS and (one.kind, one.subject) != ("store_refuses", SITE)
        return not passing and (one.subject, one.kind) not in told

    def look(self) -> None:
        """Look once; a store that refuses is itself what is found, and is told of later."""
        now = self._clock()
        now_us = to_us(now)
        seen = self._of_process(now_us) + (self._certificates(now_us) if self._whole else [])
        try:
            self._database.probe(now_us)
            with self._database.reading() as connection:
                seen += self._in_store(connection, now)
                self._elsewhere = self._told_elsewhere(connection) if self._whole else ()
            seen = [one for one in seen if self._is_mine(one.kind, one.subject)]
            seen = problems.since_first(seen, self._before())
            seen = problems.since_first(seen, self._keep(seen, now_us))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
            logger.error("the watch finds that the store refuses: %s", describe(error))  # noqa: TRY400
            seen.append(Problem("store_refuses", SITE, now_us, describe(error)))
            self._known = problems.since_first(seen, self._before())
            self._metrics.put("renzheng_store_takes_writes", 0)
            return
        self._known = seen
        self._metrics.put("renzheng_store_takes_writes", 1)

    def _before(self) -> dict[tuple[str, str], int]:
        return {(one.subject, one.kind): one.since_us for one in self._known}

    def _keep(self, seen: Sequence[Problem], now_us: int) -> Mapping[tuple[str, str], int]:
        refused = [one for one in self._known if (one.kind, one.subject) == ("store_refuses", SITE)]
        with self._database.writing() as connection:
            found = [alarms.FoundProblem(one.subject, one.kind, one.detail, one.since_us) for one in seen]
            since = alarms.reconcile(connection, KINDS, found, now_us, self._is_mine)
            last_times.note(connection, {f"{SHARD}{shard}" for shard in self._shards}, now_us)
            if not self._whole:
                return since
            for one in refused:  # it could not be written while it lasted
                over = alarms.FoundProblem(one.subject, one.kind, one.detail, one.since_us)
                alarms.keep_closed(connection, over, now_us)
            refusals.expire(connection, now_us)
            alarms.age(connection, now_us - to_span(QUIET), now_us, kinds=KINDS)
        return since

    def _is_mine(self, kind: str, subject: str) -> bool:
        """Whether a problem is this process's to tell: of its shards, or of the site and of no other's shard.

        What a process that has died left open, the one that watches the whole takes over.
        """
        shard = problems.shard_of(kind, subject, self._of_devices)
        if shard in self._shards:
            return True
        return self._whole and shard not in self._others

    def _told_elsewhere(self, connection: sa.Connection) -> list[Problem]:
        """Read what the processes of other shards have found."""
        found = alarms.open_of(connection, KINDS)
        return [
            Problem(one.problem, one.subject, one.since_us, one.detail, elsewhere=True)
            for one in found
            if not self._is_mine(one.problem, one.subject)
        ]

    def _in_store(self, connection: sa.Connection, now: datetime) -> list[Problem]:
        now_us = to_us(now)
        rows = reading.device_standings(connection)
        self._of_devices = {row["device_id"]: row["shard"] for row in rows}
        said = last_times.read(connection, SHARD)
        late = now_us - to_span(timedelta(seconds=problems.WATCHED_SECONDS))
        self._others = frozenset(shard for shard, at in said.items() if at >= late) - self._shards
        seen = problems.of_devices(rows, self._brokers(), now_us)
        seen += problems.of_clocks(reading.clock_jumps(connection, now_us - to_span(JUMPS_SHOWN)))
        if not self._whole:
            return seen
        seen += problems.of_shards(rows, self._shards, said, now_us)
        seen += problems.of_persons(orders.oldest_unanswered(connection), self._count_faces(now_us), now_us)
        seen += problems.of_broker_size(rows, reading.broker_devices(connection), now_us)
        zone = ZoneInfo(self._settings.timezone)
        billed = self._billed_days()
        owed = owed_days.owed(connection, billed, now.astimezone(zone).date())
        self._metrics.put("renzheng_days_not_audited", len(owed))
        in_use = min((row["registered_at"] for row in rows), default=None)
        last = billed[-1] if billed else None
        known = Audited(in_use, reading.last_night(connection), last, owed)
        return [*seen, *problems.of_audit(known, now.astimezone(zone), now_us)]

    def _count_faces(self, now_us: int) -> int:
        """Count people with a stored face; no more often than once an hour, as it walks a folder."""
        counted_at, faces = self._faces
        if now_us - counted_at >= to_span(FACES_COUNTED_EVERY):
            faces = PersonShares(self._settings.shares_dir).people()
            self._faces = now_us, faces
        self._metrics.put("renzheng_stored_faces", faces)
        return faces

    def _billed_days(self) -> Sequence[date]:
        """Read the lake's billed days, anew only when its manifest is another file."""
        try:
            found = (self._settings.lake_dir / MANIFEST).stat()
        except OSError:
            return ()
        seen = (found.st_mtime_ns, found.st_ino)
        if seen != self._lake_seen:
            self._billed, self._lake_seen = owed_days.billed_days(self._settings.lake_dir), seen
        return self._billed

    def _certificates(self, now_us: int) -> list[Problem]:
        seen = []
        for name, path in certificate_files(self._settings).items():
            until = valid_until(path)
            if until is not None:
                left = (to_us(until) - now_us) / _US_A_DAY
                self._metrics.put("renzheng_certificate_days_left", round(left, 1), certificate=name)
                seen += problems.of_certificate(name, to_us(until), now_us)
        return seen


def certificate_files(settings: Settings) -> Mapping[str, Path]:
    """Name the certificates that this central lives by and that are there, each file once."""
    site, broker, adt = settings.site_dir, settings.broker, settings.adt
    own = {"site ca": site / "ca.pem", "site server": site / "server.pem"}
    own |= {name: site / f"{name}.pem" for name in consumer_names(site)}
    told = {
        "broker.ca_file": broker.ca_file,
        "broker.certificate_file": broker.certificate_file,
        "adt.certificate_file": adt.certificate_file,
    }
    if broker.certificate_file and broker.certificate_file.resolve() == (site / "central.pem").resolve():
        del told["broker.certificate_file"]  # each shard's consumer has one of its own
    known = {name: path for name, path in (own | told).items() if path is not None and path.is_file()}
    by_file: dict[Path, str] = {}
    for name, path in known.items():
        by_file.setdefault(path.resolve(), name)
    return {name: path for path, name in by_file.items()}


def to_span(length: timedelta) -> int:
    """Give a length of time in microseconds."""
    return round(length.total_seconds() * 1_000_000)


def gauges_of_workers(workers: Workers) -> list[tuple[str, Labels, float]]:
    """Make the gauges of the process's threads: one that does nothing must not look well."""
    gauges: list[tuple[str, Labels, float]] = []
    for state in workers.states():
        label: Labels = (("worker", state.name),)
        gauges += [
            ("renzheng_worker_idle_seconds", label, round(state.idle_seconds, 1)),
            ("renzheng_worker_well", label, float(state.condition == "ok")),
            ("renzheng_worker_moves", label, float(state.moves)),
            ("renzheng_worker_turns_total", label, float(state.turns)),
            ("renzheng_worker_failures_total", label, float(state.failures)),
        ]
    return gauges
