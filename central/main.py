"""Wires the central service together; the only place that does."""

import logging
from collections.abc import Callable, Sequence
from datetime import date, datetime
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from joserfc.jwk import OKPKey

from renzheng.central.adt.listener import AdtListener
from renzheng.central.adt.receiving import Receiver
from renzheng.central.adt.roster import inpatients, institution_zone
from renzheng.central.attempts.publishing import Publisher
from renzheng.central.cases.corrections import REVERSAL_SECONDS, Corrections
from renzheng.central.cases.keeping import Cases
from renzheng.central.cases.notices import Notifier, channels_of
from renzheng.central.cases.point_powers import SETTLE_SECONDS, settle_points
from renzheng.central.cases.terms import Clock, clock_of
from renzheng.central.cases.withheld import Withheld
from renzheng.central.checks.replay_job import REPLAY_SECONDS, replay_yesterday
from renzheng.central.checks.site import HISTORY_SECONDS, fill_history
from renzheng.central.claims.source import Options
from renzheng.central.draw.delivery import openings_for, sheets_for
from renzheng.central.draw.rounds import Rounds
from renzheng.central.draw.scheduler import RoundScheduler
from renzheng.central.ingest_process import must_have_key
from renzheng.central.metrics import Metrics
from renzheng.central.nightly.night import Night
from renzheng.central.privacy.service import PrivacyService
from renzheng.central.self_check.uploads import SWEEP_SECONDS, Uploads
from renzheng.central.settings import Settings
from renzheng.central.shards import Shards
from renzheng.central.site.authority import Authority
from renzheng.central.site.calls import Callers
from renzheng.central.site.door import Counter, build_door
from renzheng.central.site.joining import BrokerAddress, Joining
from renzheng.central.site.revocation import keep_lists
from renzheng.central.site.succession import read_former, read_move
from renzheng.central.store import audits, devices
from renzheng.central.store.database import Database
from renzheng.central.store.devices import Device, Institution
from renzheng.central.watch.service_status import ServiceStatus
from renzheng.central.watch.watch import Watch
from renzheng.central.web.app import build_app
from renzheng.central.web.server import WebServer
from renzheng.common.files import warn_of_open_folder, write_whole
from renzheng.common.supervised import Worker, Workers
from renzheng.contracts import keys
from renzheng.contracts.events import utc_now
from renzheng.contracts.rosters import InpatientRoster
from renzheng.contracts.rounds import Opening, SealedSheet
from renzheng.rules.pack import Pack, load_pack

logger = logging.getLogger(__name__)
CONNECT_SECONDS = 15.0


def make_signing_key(path: Path) -> OKPKey:
    """Make central's signing key at `path`, readable by its owner only; an existing one is kept."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_whole(path, keys.private_pem(keys.generate_key()))
    return keys.load_private_key(path.read_bytes())


class Central:
    """The service in one process: consumers, console and API over one store.

    Args:
        settings: what it is told.
        clock: when it is.
        shards: those it consumes; all of the site's when None. The others are left to processes of their own.

    Attributes:
        settings: what it was told.
        database: its store.
        night: runs the audit of some days.
    """

    def __init__(
        self, settings: Settings, clock: Callable[[], datetime], shards: Sequence[str] | None = None
    ) -> None:
        must_have_key(settings)
        self.settings = settings
        self.clock = clock
        self.metrics = Metrics()
        self._key = keys.load_private_key(settings.key_file.read_bytes())
        self.database = Database(settings.database)
        self._own_database = Database(settings.database, connections=12)
        self.night = Night(self.database, settings, clock)
        consumed = settings.shards if shards is None else shards
        former = read_former(settings.key_file)
        self._shards = Shards(settings, consumed, self._key, former, clock=clock, metrics=self.metrics)
        self.workers = Workers(self._shards.workers)
        self._watch = Watch(
            self._own_database,
            settings,
            clock,
            self.metrics,
            workers=self.workers,
            brokers=self._shards.standings,
            refused=self._shards.refused,
        )
        self._sign_ins = Publisher(self._own_database, settings, clock)
        standing = ServiceStatus(self._watch.problems, self.workers, self._own_database, self._sign_ins)
        console = build_app(self.database, settings, clock, self.metrics, standing)
        self._web = WebServer(console, settings.host, settings.port)
        self.privacy = PrivacyService(self._own_database, settings, self._key, clock)
        self._door = self._make_door()
        self._adt = self._make_adt()
        self._rounds = RoundScheduler(Rounds(self._own_database, self._key, settings.checkpoints_dir), clock)
        self.workers.add(self._watch.worker)
        self.workers.add(self._sign_ins.worker)
        self.workers.add(self._rounds.worker)
        self.workers.add(self._make_notifier().worker)
        self.workers.add(self._make_reversals())
        self.workers.add(self.privacy.worker)
        self.workers.add(self._web.worker)
        self._history = Worker("check history", lambda: fill_history(settings), every_seconds=HISTORY_SECONDS)
        self.workers.add(self._history)
        self.workers.add(
            Worker(
                "check replay",
                lambda: replay_yesterday(settings, clock(), self.metrics.put),
                every_seconds=REPLAY_SECONDS,
            )
        )
        self.workers.add(
            Worker(
                "check powers",
                lambda: settle_points(self._own_database, settings, clock()),
                every_seconds=SETTLE_SECONDS,
            )
        )
        sweep = Uploads(settings, clock).sweep
        self.workers.add(Worker("self-check results", sweep, every_seconds=SWEEP_SECONDS))
        if self._door:
            self.workers.add(self._door.worker)
        if self._adt:
            self.workers.add(self._adt.worker)

    def _make_reversals(self) -> Worker:
        """Make what looks in the claims for the reversals of lines that institutions have declared."""
        told, zone = self.settings.audit, ZoneInfo(self.settings.timezone)

        @cache
        def pack() -> Pack:
            return load_pack(told.rules_dir).for_region(told.region)

        cases = Cases(self._own_database, lambda: self._key, pack, zone, self.clock, told.region)
        found = Corrections(self._own_database, cases, self.settings.tables_dir, self.clock)
        withheld = Withheld(self._own_database, self.settings.tables_dir, zone, self.clock)

        def look() -> None:
            found.look_for_reversals()
            withheld.look()

        return Worker("reversals", look, every_seconds=REVERSAL_SECONDS)

    def _make_notifier(self) -> Notifier:
        """Make what tells people of cases, over the channels that this site has."""
        told, zone = self.settings.audit, ZoneInfo(self.settings.timezone)

        @cache
        def terms() -> Clock:
            return clock_of(load_pack(told.rules_dir).for_region(told.region), told.region, zone)

        return Notifier(self._own_database, channels_of(self.settings.cases), terms, self.clock)

    def _make_door(self) -> WebServer | None:
        """Make the address at which devices join, if this site has one."""
        site = self.settings.site
        if site.listen_host is None:
            return None
        folder = self.settings.site_dir
        moved = read_move(self.settings.key_file)  # who joins while the broker moves goes to its new place
        host, port = (moved.host, moved.port) if moved else (site.broker_host, site.broker_port)
        broker = BrokerAddress(host, port, self.settings.broker.protocol)
        central_key = keys.public_pem(self._key)
        joining = Joining(self._own_database, Authority.load(folder), central_key, broker, self.clock)
        tls = (folder / "server.pem", folder / "server.key")
        callers = Callers(self._own_database, self.clock)
        door = build_door(joining, callers, self._make_counter(), self.clock)
        return WebServer(door, site.listen_host, site.listen_port, tls, name="door")

    def _make_adt(self) -> AdtListener | None:
        """Make the address at which hospitals deliver ADT messages, if this site has one."""
        told = self.settings.adt
        if told.port is None:
            return None
        options = Options(told.mapping_file, told.institution, zone=self.settings.timezone)
        receiver = Receiver(self._own_database, options, self.clock)
        return AdtListener(told, receiver, self.settings.site_dir / "ca.pem")

    @property
    def adt_port(self) -> int | None:
        """Where ADT messages are taken; None when that is off."""
        return self._adt.port if self._adt else None

    def _make_counter(self) -> Counter:
        """Say what the door hands out."""

        def give_inpatients(institution_id: str, day: date) -> InpatientRoster:
            with self._own_database.reading() as connection:
                zone = institution_zone(connection, institution_id, self.settings.timezone)
                return inpatients(connection, institution_id, day, self.clock(), zone)

        def give_sheets(device_id: str) -> Sequence[SealedSheet]:
            with self._own_database.reading() as connection:
                return sheets_for(connection, device_id, self.clock())

        def give_openings(device_id: str) -> Sequence[Opening]:
            with self._own_database.reading() as connection:
                return openings_for(connection, device_id, self.clock(), self._key)

        return Counter(give_inpatients, give_sheets, give_openings, self.privacy)

    @property
    def door_url(self) -> str | None:
        """Address at which devices join; None when joining is off."""
        return self._door.url if self._door else None

    @property
    def url(self) -> str:
        """Address of the console; the port is known once it has started."""
        return self._web.url

    @property
    def public_key(self) -> OKPKey:
        """The key by which devices know central's acknowledgements."""
        return keys.load_public_key(keys.public_pem(self._key))

    def start(self, *, connect_seconds: float = CONNECT_SECONDS) -> None:
        """Bring the store to this version, serve, and consume.

        Returns when messages can arrive, or after `connect_seconds`: a broker that is away stops nothing
        else, and the console says why it cannot be reached.

        Raises:
            StoreError: the store cannot be opened.
            SettingsError: an address cannot be bound; nothing is left running.
        """
        self.database.migrate()
        with self.database.writing() as connection:
            audits.rehome(connection, self.settings.runs_dir)
        self._keep_lists()
        self.night.mend()
        self._web.start()
        try:
            if self._door:
                self._door.start()
            if self._adt:
                self._adt.start()
            self._rounds.start()
            self.privacy.worker.start()
            self._shards.start()
            self._watch.worker.start()
            self._sign_ins.worker.start()
            self._history.start()
        except BaseException:
            self._stop_serving()
            raise
        self._shards.wait_until_subscribed(connect_seconds)
        logger.info("central serves at %s", self.url)
        if self._door:
            logger.info("devices join at %s", self.door_url)

    def stop(self) -> None:
        """Stop in good order: what was not committed, the devices send again."""
        self._sign_ins.worker.ask_to_end()
        self._watch.worker.stop()
        self._shards.stop()
        self._sign_ins.worker.stop()
        self._stop_serving()
        for database in (self.database, self._own_database):
            database.close()

    def _stop_serving(self) -> None:
        self._rounds.stop()
        self.privacy.worker.stop(timeout_seconds=10)
        self._history.stop()
        if self._adt:
            self._adt.stop()
        if self._door:
            self._door.stop()
        self._web.stop()

    def _keep_lists(self) -> None:
        keep_lists(self.database, self.settings.site_dir, self.settings.lists_dir, self.clock())

    def register_institution(self, institution: Institution) -> None:
        """Register an institution, or bring its data up to date."""
        with self.database.writing() as connection:
            devices.put_institution(connection, institution)

    def register_device(self, device: Device, public_key: OKPKey) -> None:
        """Register a device with its first public key; the same again changes nothing."""
        with self.database.writing() as connection:
            devices.register(connection, device, public_key, self.clock())

    def revoke_device(self, device_id: str) -> None:
        """Revoke a device: its next message is refused."""
        with self.database.writing() as connection:
            devices.revoke(connection, device_id, self.clock())
        self._keep_lists()


def build_central(
    settings: Settings, *, clock: Callable[[], datetime] = utc_now, shards: Sequence[str] | None = None
) -> Central:
    """Wire the service; `start` runs it. The store is migrated, so that devices can be registered before."""
    warn_of_open_folder(settings.data_dir)
    central = Central(settings, clock, shards)
    central.database.migrate()
    return central
