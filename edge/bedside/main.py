"""The agent of an inspector's unit: the same log, keys and link as a kiosk's, and the bedside page.

    unit = build_unit(load_settings(path))
    unit.start(); ...; unit.stop()

A unit sees nobody by itself, so it never reports coverage in which somebody could have been seen.
"""

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

from joserfc.jwk import OKPKey

from renzheng.common.serving import Places
from renzheng.common.supervised import Workers, health_of
from renzheng.contracts import events
from renzheng.contracts.events import CoverageState
from renzheng.contracts.ids import WitnessId
from renzheng.edge.bedside.app import build_app
from renzheng.edge.bedside.fetching import Fetcher, Rounds, RoundsAtTheDoor
from renzheng.edge.bedside.inspection import Inspection
from renzheng.edge.bedside.looking import Looks
from renzheng.edge.bedside.signing_in import SignIns
from renzheng.edge.bedside.store import BedsideStore
from renzheng.edge.device.bulk import open_bulk
from renzheng.edge.device.clock import Clock, SystemClock
from renzheng.edge.device.coverage import Standing
from renzheng.edge.device.evidence import Evidence
from renzheng.edge.device.housekeeping import Housekeeper, free_bytes_of, retention_of
from renzheng.edge.device.keyring import Keyring
from renzheng.edge.device.link.uplink import SOFTWARE, open_uplink, read_central_key
from renzheng.edge.device.log import DeviceLog
from renzheng.edge.device.pins import PinDesk, check_pin
from renzheng.edge.device.server import Server
from renzheng.edge.device.store import heartbeat
from renzheng.edge.device.store.database import Store
from renzheng.edge.device.store.lock import FolderLock
from renzheng.edge.device.store.people import open_people
from renzheng.edge.device.watchman import Teller, Watchman
from renzheng.edge.look.enrolment import engine_name
from renzheng.edge.look.faces import FaceEngine
from renzheng.edge.look.gallery import SiteGallery
from renzheng.edge.settings import Settings
from renzheng.models.engine import open_engine

LOGGER = logging.getLogger(__name__)
STANDING = Standing(CoverageState.DOWN, "inspectors_unit")


class Unit:
    """One inspector's unit.

    Args:
        settings: the device's settings.
        clock: where time comes from.
        engine: the face engine.
        central_key: whose acknowledgements count.
        rounds: where rounds come from; central's door when None and one is named.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock,
        engine: FaceEngine,
        central_key: OKPKey | None,
        rounds: Rounds | None = None,
    ) -> None:
        device, bedside = settings.device, settings.bedside
        path = device.data_dir / "device.sqlite"
        self.settings = settings
        self.clock = clock
        self._folder = FolderLock(path.parent)
        self.store = Store(path)
        self.log = DeviceLog(self.store, device.device_id)
        self.keyring = Keyring(self.store, device.data_dir)
        self.keyring.sweep()
        self.evidence = Evidence(device.data_dir)
        self.bedside = BedsideStore(self.store, device.data_dir)
        self.people = open_people(self.store, device)
        self.gallery = SiteGallery(self.people, engine, device.data_dir / "calibrations")
        self.teller = Teller(settings, self.log, clock)
        self.looks = Looks(
            engine,
            settings.face.false_match_rate,
            round(bedside.attempt_seconds * 1000),
            calibration=lambda: self.gallery.calibration,
        )
        self.fetcher = Fetcher(
            rounds or self._door(),
            self.bedside,
            clock,
            institution_id=device.institution_id,
            every_seconds=bedside.fetch_seconds,
        )
        self.inspection = Inspection(
            settings,
            log=self.log,
            store=self.bedside,
            people=self.people,
            evidence=self.evidence,
            clock=clock,
            looks=self.looks,
            fetcher=self.fetcher,
            sign_ins=SignIns(self._pin_desk(), self.bedside, round(bedside.idle_minutes * 60_000)),
            engine_name=engine_name(engine),
            model=engine.model,
        )
        self.link = open_uplink(settings, self.log, clock, central_key)
        self.housekeeper = Housekeeper(
            self.log,
            self.evidence,
            retention_of(device, device.crop_days),
            tell=self.teller.evidence_deleted,
            free_bytes=lambda: free_bytes_of(device.data_dir),
            warn=lambda _short: None,
        )
        self.watchman = Watchman(
            settings, self.log, clock, self.teller, standing=lambda: STANDING, tidy=self._tidy
        )
        secure = bedside.certificate_file is not None
        self._server = Server(
            build_app(self.inspection, secure=secure, health=self.health),
            bedside.host,
            bedside.port,
            certificate_file=bedside.certificate_file,
            key_file=bedside.key_file,
            section="bedside",
            places=Places(),
        )
        self.workers = Workers([*self.watchman.workers, self._server.worker, self.fetcher.worker])
        if self.link is not None:
            self.workers.add(*self.link.workers)

    @property
    def url(self) -> str:
        """The address of the page, as this machine would call it."""
        bedside = self.settings.bedside
        scheme = "http" if bedside.certificate_file is None else "https"
        host = f"[{bedside.host}]" if ":" in bedside.host else bedside.host
        return f"{scheme}://{host}:{self._server.port}/"

    def start(self) -> None:
        """Tell what happened while the unit was away, then serve.

        Raises:
            FolderInUseError: another agent runs on the same data folder.
        """
        self._folder.take()
        self.watchman.begin(SOFTWARE)
        if self.link is not None:
            self.link.start()
        self._server.start()
        self.watchman.start()
        self.fetcher.start()
        LOGGER.info("unit %s serves %s", self.settings.device.device_id, self.url)

    def stop(self, reason: str = "asked_to") -> None:
        """Stop on purpose, and say so."""
        self._server.stop()
        self.fetcher.stop()
        self.watchman.halt()
        self.looks.stop()
        self.watchman.end(SOFTWARE, reason)
        if self.link is not None:
            self.link.stop()
        self.store.close()
        self._folder.release()

    def _pin_desk(self) -> PinDesk:
        def tell(witness_id: WitnessId | None, failures: int) -> None:
            told = {"place": "bedside", "witness_id": witness_id, "failures": failures}
            self.teller.tell(events.DevicePinRefused, events.PinRefusedData, **told)

        def wall_ms() -> int:
            return round(self.clock.read().wall.timestamp() * 1000)

        return PinDesk(self.store, self.people, wall_ms=wall_ms, tell=tell)

    def put_inspector(self, inspector_id: str, pin: str) -> None:
        """Enter an inspector, or set a new PIN.

        Raises:
            PinError: it is too easily guessed.
        """
        check_pin(pin)
        self.people.put_witness(inspector_id, pin)
        self.bedside.put_inspector(inspector_id)

    def health(self) -> dict[str, Any]:
        """What an operator asks first; it tells nothing of rounds, which nobody at a ward may foresee."""
        since = self.log.waiting_since()
        reached = self.fetcher.reached_at
        return {
            "device_id": self.log.device_id,
            "software": SOFTWARE,
            "sequence": self.log.head().sequence,
            "acknowledged": self.log.acknowledged(),
            "waiting_since": None if since is None else since.astimezone(UTC).isoformat(),
            "connected": self.link is not None and self.link.connected,
            "door_reached_at": None if reached is None else reached.isoformat(),
            "clock_trusted": self.clock.read().trusted,
            "disk_short": self.housekeeper.short,
            "alarms": heartbeat.alarms(self.store),
            "workers": health_of(self.workers.states()),
            "moving": self.workers.moving(),
        }

    def _door(self) -> Rounds | None:
        bulk = open_bulk(self.settings, key=self.keyring.current, wall=lambda: self.clock.read().wall)
        return None if bulk is None else RoundsAtTheDoor(bulk)

    def _tidy(self, now: datetime) -> None:
        self.housekeeper.tidy(now)
        self.gallery.renew(now)
        self.looks.tidy()
        self.bedside.forget_closed(now, timedelta(days=self.settings.bedside.sheet_days))


def build_unit(
    settings: Settings,
    *,
    clock: Clock | None = None,
    engine: FaceEngine | None = None,
    rounds: Rounds | None = None,
) -> Unit:
    """Put a unit together; arguments that are None take the machine's clock, dlib's networks, central's door.

    Raises:
        SettingsError: a file that the settings name is missing, or the port is taken.
        StoreError: the store cannot be opened.
    """
    return Unit(
        settings,
        clock=clock or SystemClock(),
        engine=engine or open_engine("dlib", threads=1),
        central_key=read_central_key(settings),
        rounds=rounds,
    )
