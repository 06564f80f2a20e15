"""The agent of one clinic machine: the only place that wires its parts.

    agent = build_agent(load_settings(path))
    agent.start(); ...; agent.stop()

Several agents may live in one process, as in demo and tests; each has its own folder, port and threads.
"""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from fastapi import FastAPI
from joserfc.jwk import OKPKey

from renzheng.common.metrics import Family, write
from renzheng.edge.device.agent import DeviceAgent
from renzheng.edge.device.clock import Clock, SystemClock
from renzheng.edge.device.coverage import CoverageStatus
from renzheng.edge.device.keyring import device_key
from renzheng.edge.device.link.uplink import read_central_key, software_with
from renzheng.edge.device.metrics import each, one
from renzheng.edge.device.server import Server
from renzheng.edge.device.starting import StartAddress, default_file
from renzheng.edge.errors import SettingsError
from renzheng.edge.kiosk.app import build_app
from renzheng.edge.kiosk.camera import OwnCamera, source_of
from renzheng.edge.kiosk.display import Delivery
from renzheng.edge.kiosk.enrolling import Enrolling
from renzheng.edge.kiosk.kiosk import build_kiosk
from renzheng.edge.kiosk.recorder import Recorder
from renzheng.edge.kiosk.voices import Voices, voices_folder
from renzheng.edge.look.engines import EngineReport, choose_engine
from renzheng.edge.look.enrolment import Enrolment, engine_name
from renzheng.edge.look.faces import FaceEngine
from renzheng.edge.look.gallery import SiteGallery
from renzheng.edge.look.registration import Registration
from renzheng.edge.look.watcher import now_ms
from renzheng.edge.settings import Settings
from renzheng.models.liveness.network import LivenessNetwork

__all__ = ["Agent", "build_agent", "device_key"]

LOGGER = logging.getLogger(__name__)
HANGS_AFTER_MS = 10_000


class Agent(DeviceAgent):
    """A device with a kiosk.

    Args:
        settings: the device's settings.
        clock: where time comes from.
        engine: the face engine; several agents may share one.
        network: the liveness network, where its file is here.
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
        super().__init__(settings, clock=clock, central_key=central_key, software=software_with(engine.name))
        self.engine = engine
        self.engine_report = EngineReport(engine, self.people, settings.face.model_dir)
        self.gallery = SiteGallery(self.people, engine, settings.device.data_dir / "calibrations")
        self.recorder = Recorder(settings, self.log, self.people, clock, engine_name(engine))
        self.enrolment = Enrolment(settings, self.log, self.people, clock, engine, gallery=self.gallery)
        self.registration = Registration(self.people, self.recorder.consents, self.enrolment)
        self.kiosk = build_kiosk(
            settings,
            self.people,
            self.recorder,
            engine,
            clock,
            delivery=Delivery(
                away=lambda: self.link is not None and not self.link.connected,
                halted=lambda: None if self.link is None else self.link.halted,
            ),
            evidence=self.evidence,
            gallery=self.gallery,
            network=network,
        )
        self.voices = Voices(settings.kiosk.voices_dir, voices_folder())
        self.camera = self._own_camera()
        self.start_address = StartAddress(settings.kiosk.address_file or default_file())
        self._server = Server(self._app(), settings.kiosk.host, settings.kiosk.port)
        self.workers.add(*self.kiosk.workers, self._server.worker)
        if self.camera is not None:
            self.workers.add(self.camera.worker)

    def _app(self) -> FastAPI:
        enrolling = Enrolling(
            self.settings,
            self.people,
            self.recorder,
            self.kiosk.witnesses,
            enrolment=self.enrolment,
            clock=self.clock,
        )
        return build_app(
            self.kiosk,
            enrolling,
            self.voices,
            self.camera,
            self.start_address,
            health=self.health,
            metrics=lambda: write(self.metrics()),
        )

    def _own_camera(self) -> OwnCamera | None:
        camera, kiosk = self.settings.camera, self.kiosk
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
        return OwnCamera(source, rate, show=kiosk.take_own_frame, tell=kiosk.hear_own_camera)

    @property
    def port(self) -> int:
        """The port of the kiosk's pages."""
        return self._server.port

    @property
    def kiosk_url(self) -> str:
        """The address of the kiosk page."""
        return f"http://127.0.0.1:{self.port}/"

    def standing(self) -> CoverageStatus:
        """Return what the kiosk can see at this moment, for coverage."""
        return self.kiosk.standing()

    def _prepare(self) -> None:
        self.engine_report.log()

    def _begin(self) -> None:
        self.start_address.open(self.kiosk_url)
        self._server.start()
        if self.camera is not None:
            self.camera.start()
        LOGGER.info("agent %s serves %s", self.settings.device.device_id, self.kiosk_url)

    def _halt(self) -> None:
        if self.camera is not None:
            self.camera.stop()
        self._server.stop()

    def alive(self) -> bool:
        """Whether the kiosk's loop turns; a kiosk that hangs is to be started again."""
        return now_ms() - self.kiosk.ticked_ms < HANGS_AFTER_MS

    def _tidy(self, now: datetime) -> None:
        super()._tidy(now)
        self.gallery.renew(now)

    def _warn_of_disk(self, short: bool) -> None:
        self.kiosk.warn_of_disk(short)

    def health(self) -> Mapping[str, Any]:
        """Return what an operator asks first."""
        return {
            **super().health(),
            "engine": self.engine_report.health(),
            "frames": self.kiosk.watcher.handled,
            "frame_interval_ms": self.kiosk.verifying.typical_ms,
            "voices": self.voices.counts(),
        }

    def metrics(self) -> list[Family]:
        """Return what Prometheus may ask for."""
        attempts = sorted(self.kiosk.attempts.outcomes.items())
        return [
            *super().metrics(),
            one("frames_total", "counter", "Frames looked at.", self.kiosk.watcher.handled),
            one(
                "frame_interval_seconds",
                "gauge",
                "Time between two analysed frames, in the last look; 0 before the first.",
                (self.kiosk.verifying.typical_ms or 0) / 1000,
            ),
            each("attempts_total", "counter", "Finished attempts.", ("kind", "outcome"), attempts),
        ]


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
        engine: the one that the settings choose when None, and the liveness network beside it where its file
            is here; an engine that is handed over brings none.

    Raises:
        SettingsError: a file that the settings name is missing, or the port is taken.
        ModelMissingError: a file of the engine that the settings name is not on this machine.
        StoreError: the store cannot be opened.
    """
    network = None
    if engine is None:
        chosen = choose_engine(settings)
        engine, network = chosen.open(), chosen.open_network()
    return Agent(
        settings,
        clock=clock or SystemClock(),
        engine=engine,
        network=network,
        central_key=read_central_key(settings),
    )
