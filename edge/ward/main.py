"""The agent of a ward's cameras: the only place that wires its parts.

A device of its own beside the kiosk: the same log, link, store, coverage and housekeeping, no page. Settings
that name no camera are refused, and so is a machine without a decoder.
"""

import logging
import shutil
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse
from joserfc.jwk import OKPKey

from renzheng.common.limits import BodyLimits, RequestLimits
from renzheng.common.metrics import CONTENT_TYPE, Family, write
from renzheng.common.supervised import Worker
from renzheng.contracts.events import Purpose
from renzheng.edge.device.agent import DeviceAgent
from renzheng.edge.device.bulk import open_bulk
from renzheng.edge.device.clock import Clock, SystemClock
from renzheng.edge.device.coverage import CoverageStatus
from renzheng.edge.device.inpatients import RosterFetcher
from renzheng.edge.device.link.uplink import read_central_key, software_with
from renzheng.edge.device.server import Server
from renzheng.edge.device.store.inpatients import Inpatients
from renzheng.edge.device.store.people import NOTICE
from renzheng.edge.errors import SettingsError
from renzheng.edge.look.engines import EngineReport, choose_engine
from renzheng.edge.look.enrolment import engine_name
from renzheng.edge.look.gallery import SiteGallery
from renzheng.edge.settings import Settings
from renzheng.edge.settings.ward import CameraSettings
from renzheng.edge.ward import reports, sight
from renzheng.edge.ward.analysts import Analysts
from renzheng.edge.ward.camera import FIRST_WAIT_SECONDS, Camera
from renzheng.edge.ward.decoder import DecoderMissingError
from renzheng.edge.ward.lists import WardLists
from renzheng.edge.ward.presence_writer import PresenceWriter, forget_told
from renzheng.edge.ward.scene import scene_file
from renzheng.edge.ward.stream import read_credentials
from renzheng.edge.ward.watch import CameraWatch
from renzheng.models.engine import FaceEngine

LOGGER = logging.getLogger(__name__)
_REFRESH_SECONDS = 20.0


class WardAgent(DeviceAgent):
    """A device with cameras.

    Args:
        settings: the device's.
        clock: where time comes from.
        open_engine: makes a face engine; one for each analyst, and one to begin with.
        central_key: whose acknowledgements count.
        first_wait_seconds: see `Camera`.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock,
        open_engine: Callable[[], FaceEngine],
        central_key: OKPKey | None,
        first_wait_seconds: float = FIRST_WAIT_SECONDS,
    ) -> None:
        check_settings(settings)
        device, ward, engine = settings.device, settings.ward, open_engine()
        super().__init__(
            settings,
            clock=clock,
            central_key=central_key,
            software=software_with(engine.name),
            crop_days=ward.crop_days,
        )
        self.engine_report = EngineReport(engine, self.people, settings.face.model_dir)
        self.inpatients = Inpatients(self.store, device.institution_id)
        self.gallery = SiteGallery(self.people, engine, device.data_dir / "calibrations")
        self.lists = WardLists(
            ward,
            self.inpatients,
            self.people,
            self.gallery,
            engine,
            zone=ZoneInfo(device.time_zone),
            notice=(NOTICE, settings.kiosk.notice_version),
        )
        self.writer = PresenceWriter(settings, self.log, self.evidence, clock, engine_name(engine))
        self.watches = [self._watch(camera, first_wait_seconds) for camera in ward.cameras]
        self.analysts = Analysts(self.watches, _one_at_hand(engine, open_engine), ward.workers)
        self.fetcher = self._roster_fetcher()
        self._refresher = Worker("ward-lists", self.refresh, every_seconds=_REFRESH_SECONDS)
        self._server = Server(
            self._app(), ward.health_host, ward.health_port, section="ward", prefix="health_"
        )
        self.workers.add(self._refresher, *self.analysts.workers, self._server.worker)
        self.workers.add(*(watch.camera.worker for watch in self.watches))
        if self.fetcher is not None:
            self.workers.add(self.fetcher.worker)

    @property
    def port(self) -> int:
        """Where health and metrics are served."""
        return self._server.port

    def standing(self) -> CoverageStatus:
        """Return what the cameras together can see."""
        return sight.union({watch.camera.settings.id: watch.standing() for watch in self.watches})

    def refresh(self) -> None:
        """Read roster and references again."""
        self.lists.refresh(self._wall(), [camera.ward for camera in self.settings.ward.cameras])

    def _prepare(self) -> None:
        self.refresh()
        self.engine_report.log()

    def _begin(self) -> None:
        if self.fetcher is not None:
            self.fetcher.start()
        self._refresher.start()
        self.analysts.start()
        for watch in self.watches:
            watch.camera.start()
        self._server.start()
        LOGGER.info("ward agent %s: %d camera(s)", self.settings.device.device_id, len(self.watches))

    def _halt(self) -> None:
        self._server.stop()
        if self.fetcher is not None:
            self.fetcher.stop()
        for watch in self.watches:
            watch.camera.stop()
        self.analysts.stop()
        self._refresher.stop(timeout_seconds=10)

    def _watch(self, camera: CameraSettings, first_wait_seconds: float) -> CameraWatch:
        credentials = None if camera.credentials_file is None else read_credentials(camera.credentials_file)
        ward = self.settings.ward
        return CameraWatch(
            Camera(
                camera,
                credentials,
                on_picture=self._wake,
                first_wait_seconds=first_wait_seconds,
            ),
            list_of=lambda: self.lists.of(camera.ward),
            tell=self.writer.tell,
            expected_false_matches=ward.expected_false_matches,
            scene_file=scene_file(self.settings.device.data_dir, camera.id),
            rules=sight.Rules(frozen_seconds=ward.frozen_seconds),
        )

    def _wake(self) -> None:
        self.analysts.wake()

    def _roster_fetcher(self) -> RosterFetcher | None:
        bulk = open_bulk(self.settings, key=self.keyring.current, wall=self._wall)
        if bulk is None:
            return None
        return RosterFetcher(
            bulk,
            self.inpatients,
            wall=self._wall,
            zone=ZoneInfo(self.settings.device.time_zone),
            every_seconds=self.settings.bulk.fetch_seconds,
        )

    def _tidy(self, now: datetime) -> None:
        super()._tidy(now)
        self.gallery.renew(now)
        forget_told(self.store, now - timedelta(days=self.settings.ward.crop_days))

    def health(self) -> Mapping[str, Any]:
        """Return what an operator asks first."""
        return {
            **super().health(),
            "engine": self.engine_report.health(),
            **reports.health(self.lists, self.inpatients, self.watches),
        }

    def metrics(self) -> list[Family]:
        """Return what Prometheus may ask for."""
        return [*super().metrics(), *reports.metrics(self.watches, self.writer.told)]

    def _app(self) -> FastAPI:
        app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
        app.add_middleware(RequestLimits, limits=BodyLimits(0))

        @app.get("/health")
        def health() -> JSONResponse:
            found = dict(self.health())
            return JSONResponse(found, status_code=200 if found["moving"] else 503)

        @app.get("/metrics")
        def metrics() -> Response:
            return Response(write(self.metrics()), media_type=CONTENT_TYPE)

        return app


def check_settings(settings: Settings) -> None:
    """Refuse settings that a ward agent cannot serve.

    Raises:
        SettingsError: no camera, another purpose than inpatient, or a key that no camera can meet.
        DecoderMissingError: there is no ffmpeg.
    """
    if not settings.ward.cameras:
        raise SettingsError(
            "The settings name no camera.", do="Add [[ward.cameras]] with id, url, ward and place."
        )
    if settings.device.purpose is not Purpose.INPATIENT:
        raise SettingsError(
            f"The device's purpose is {settings.device.purpose.value}, ward cameras serve inpatient.",
            why="Coverage of another purpose would be told for what these cameras see.",
            do='Set device.purpose = "inpatient"; a kiosk on the same machine is a device of its own.',
        )
    if shutil.which("ffmpeg") is None:
        raise DecoderMissingError(
            "ffmpeg is not on this machine.",
            why="Ward cameras' pictures are decoded by it.",
            do="Install it: apt-get install --no-install-recommends ffmpeg",
        )


def build_ward_agent(settings: Settings, *, clock: Clock | None = None) -> WardAgent:
    """Put a ward agent together with the machine's own clock and the engine that the settings name.

    Raises:
        SettingsError: they cannot be used.
        ModelMissingError: a file of the engine that the settings name is not on this machine.
    """
    check_settings(settings)
    chosen = choose_engine(settings)
    return WardAgent(
        settings,
        clock=clock or SystemClock(),
        open_engine=chosen.open,
        central_key=read_central_key(settings),
    )


def _one_at_hand(engine: FaceEngine, open_engine: Callable[[], FaceEngine]) -> Callable[[], FaceEngine]:
    """Give the engine that is there already first, and make others after it."""
    at_hand = [engine]
    lock = threading.Lock()

    def take() -> FaceEngine:
        with lock:
            if at_hand:
                return at_hand.pop()
        return open_engine()

    return take
