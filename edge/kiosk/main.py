"""The agent of one clinic machine: the only place that wires its parts.

    agent = build_agent(load_settings(path))
    agent.start(); ...; agent.stop()

Several agents may live in one process, as in demo and tests; each has its own folder, port and threads.
"""

import logging
from datetime import datetime
from typing import Any

from joserfc.jwk import OKPKey

from renzheng.common.supervised import Workers
from renzheng.contracts.ids import EventId
from renzheng.contracts.log import Head
from renzheng.edge.device.clock import Clock, SystemClock
from renzheng.edge.device.evidence import Evidence
from renzheng.edge.device.housekeeping import Housekeeper, free_bytes_of, retention_of
from renzheng.edge.device.keyring import Keyring, device_key
from renzheng.edge.device.link.uplink import SOFTWARE, open_uplink, read_central_key
from renzheng.edge.device.log import DeviceLog
from renzheng.edge.device.server import Server
from renzheng.edge.device.store.database import Store
from renzheng.edge.device.store.lock import FolderLock
from renzheng.edge.device.store.people import open_people
from renzheng.edge.device.watchman import Teller, Watchman
from renzheng.edge.errors import SettingsError
from renzheng.edge.kiosk.app import build_app
from renzheng.edge.kiosk.camera import OwnCamera, source_of
from renzheng.edge.kiosk.enrolling import Enrolling
from renzheng.edge.kiosk.recorder import Recorder
from renzheng.edge.kiosk.reports import Reports
from renzheng.edge.kiosk.starting import StartAddress, default_file
from renzheng.edge.kiosk.station import Station
from renzheng.edge.kiosk.voices import Voices, voices_folder
from renzheng.edge.look.enrolment import Enrolment, engine_name
from renzheng.edge.look.faces import FaceEngine
from renzheng.edge.look.gallery import SiteGallery
from renzheng.edge.look.registration import Registration
from renzheng.edge.look.watcher import now_ms
from renzheng.edge.settings import Settings
from renzheng.models.engine import open_engine
from renzheng.models.liveness.network import LivenessNetwork, open_if_here

__all__ = ["SOFTWARE", "Agent", "build_agent", "device_key"]

LOGGER = logging.getLogger(__name__)
HANGS_AFTER_MS = 10_000


class Agent:
    """One device: store, log, link, kiosk and coverage.

    Args:
        settings: the device's settings.
        clock: where time comes from.
        engine: the face engine; several agents may share one.
        central_key: whose acknowledgements count; None while central's key is not known.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock,
        engine: FaceEngine,
        network: LivenessNetwork | None,
        central_key: OKPKey | None,
    ) -> None:
        device = settings.device
        self.settings = settings
        self.clock = clock
        self._folder = FolderLock(device.data_dir)
        self.store = Store(device.data_dir / "device.sqlite")
        self.log = DeviceLog(self.store, device.device_id)
        self.keyring = Keyring(self.store, device.data_dir)
        self.keyring.sweep()
        self.teller = Teller(settings, self.log, clock)
        self.evidence = Evidence(device.data_dir)
        self.people = open_people(self.store, device)
        self.gallery = SiteGallery(self.people, engine, device.data_dir / "calibrations")
        self.recorder = Recorder(settings, self.log, self.people, clock, engine_name(engine))
        self.enrolment = Enrolment(settings, self.log, self.people, clock, engine, gallery=self.gallery)
        self.registration = Registration(self.people, self.recorder.consents, self.enrolment)
        self.link = open_uplink(settings, self.log, clock, central_key)
        self.station = Station(
            settings,
            self.people,
            self.recorder,
            engine,
            clock,
            network_away=self._network_away,
            halted=lambda: None if self.link is None else self.link.halted,
            evidence=self.evidence,
            gallery=self.gallery,
            network=network,
        )
        self.housekeeper = Housekeeper(
            self.log,
            self.evidence,
            retention_of(device, device.crop_days),
            tell=self.teller.evidence_deleted,
            free_bytes=lambda: free_bytes_of(device.data_dir),
            warn=self.station.warn_of_disk,
        )
        self.watchman = Watchman(
            settings,
            self.log,
            clock,
            self.teller,
            standing=self.station.standing,
            tidy=self._tidy,
        )
        self.workers = Workers(
            [*self.watchman.workers, self.station.watcher.worker, self.station.glimpser.worker]
        )
        self.reports = Reports(
            self.log, clock, self.station, self.housekeeper, link=self.link, workers=self.workers
        )
        enrolling = Enrolling(self.station, self.enrolment)
        self.voices = Voices(settings.kiosk.voices_dir, voices_folder())
        self.camera = self._own_camera()
        self.start_address = StartAddress(settings.kiosk.address_file or default_file())
        self.app = build_app(
            self.station,
            enrolling,
            self.voices,
            self.camera,
            self.start_address,
            health=self.health,
            metrics=self.reports.metrics,
        )
        self._server = Server(self.app, settings.kiosk.host, settings.kiosk.port)
        self.workers.add(self._server.worker)
        if self.link is not None:
            self.workers.add(*self.link.workers)
        if self.camera is not None:
            self.workers.add(self.camera.worker)

    def _own_camera(self) -> OwnCamera | None:
        camera, station = self.settings.camera, self.station
        password = None
        if camera.password_file is not None:
            try:
                password = camera.password_file.read_text(encoding="utf-8").strip()
            except OSError as error:
                raise SettingsError(
                    f"The camera's password file {camera.password_file} cannot be read: {error.strerror}.",
                    do="Mend camera.password_file.",
                ) from None
        source = source_of(camera.source, password)
        if source is None:
            return None
        rate = self.settings.kiosk.frames_per_second
        return OwnCamera(source, rate, show=station.own_frame, tell=station.own_camera)

    @property
    def port(self) -> int:
        """The port of the kiosk's pages."""
        return self._server.port

    @property
    def kiosk_url(self) -> str:
        """The address of the kiosk page."""
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        """Tell what happened while the agent was away, then serve.

        Raises:
            FolderInUseError: another agent runs on the same data folder.
        """
        self._folder.take()
        self.watchman.begin(SOFTWARE)
        if self.link is not None:
            self.link.start()
        self.start_address.open(self.kiosk_url)
        self._server.start()
        if self.camera is not None:
            self.camera.start()
        self.watchman.start()
        LOGGER.info("agent %s serves %s", self.settings.device.device_id, self.kiosk_url)

    def alive(self) -> bool:
        """Whether the kiosk's loop turns; a kiosk that hangs is to be started again."""
        return now_ms() - self.station.ticked_ms < HANGS_AFTER_MS

    def beat(self) -> None:
        """Take one heartbeat now; a thread does so at an interval anyway."""
        self.watchman.beat()

    def stop(self, reason: str = "asked_to") -> None:
        """Stop on purpose: closes the coverage, says so, and lets go of the broker in good order."""
        self._halt()
        self.watchman.end(SOFTWARE, reason)
        if self.link is not None:
            self.link.stop()
        self.store.close()
        self._folder.release()

    def crash(self) -> None:
        """End as a power cut would: nothing is closed, nothing is said. For tests and the demo."""
        self._halt()
        if self.link is not None:
            self.link.drop()
        self.store.close()
        self._folder.release()

    def _halt(self) -> None:
        if self.camera is not None:
            self.camera.stop()
        self._server.stop()
        self.watchman.halt()

    def _tidy(self, now: datetime) -> None:
        self.housekeeper.tidy(now)
        self.gallery.renew(now)

    def _network_away(self) -> bool:
        return self.link is not None and not self.link.connected

    def health(self) -> dict[str, Any]:
        """What an operator asks first."""
        return {**self.reports.health(SOFTWARE), "voices": self.voices.counts()}

    def withdraw_consent(self, person_id: str, *, witness_id: str | None = None) -> EventId:
        """Take a consent back: references at once, then the crops, each told in the log.

        Raises:
            UnknownPersonError: there is no such patient.
        """
        self.people.by_id(person_id)
        event_id = self.recorder.withdrawal(person_id, witness_id=witness_id)
        self.housekeeper.delete_crops(self.log.events_about(person_id))
        return event_id

    def rotate_key(self) -> Head:
        """Change the device's signing key; central learns the new one from the log itself."""
        return self.keyring.rotate(
            self.log, institution_id=self.settings.device.institution_id, clock=self.clock
        )


def build_agent(
    settings: Settings,
    *,
    clock: Clock | None = None,
    engine: FaceEngine | None = None,
) -> Agent:
    """Put an agent together.

    Args:
        settings: the device's settings.
        clock: the machine's own when None.
        engine: dlib's converted networks when None, and the liveness network beside them where it was added;
            an engine that is handed over brings none.

    Raises:
        SettingsError: a file that the settings name is missing, or the port is taken.
        StoreError: the store cannot be opened.
    """
    return Agent(
        settings,
        clock=clock or SystemClock(),
        engine=engine or open_engine("dlib", threads=1),
        network=open_if_here() if engine is None else None,
        central_key=read_central_key(settings),
    )
