"""The agent of a counter: what every device has, the looks, and the clerk's page.

    counter = build_counter(load_settings(path))
    counter.start(); ...; counter.stop()

A counter sees only whom a clerk names, so it never reports coverage: that nobody was named proves nothing.
"""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from joserfc.jwk import OKPKey

from renzheng.contracts import events
from renzheng.contracts.events import COUNTER_PURPOSES, CoverageState
from renzheng.contracts.ids import WitnessId
from renzheng.edge.counter.app import CounterParts, build_app
from renzheng.edge.counter.clerks import Clerks
from renzheng.edge.counter.purchases import Purchases
from renzheng.edge.device.agent import DeviceAgent
from renzheng.edge.device.clock import Clock, SystemClock
from renzheng.edge.device.coverage import CoverageStatus
from renzheng.edge.device.link.uplink import read_central_key, software_with
from renzheng.edge.device.pins import PinChecker
from renzheng.edge.device.server import Server
from renzheng.edge.device.starting import StartAddress, default_file
from renzheng.edge.errors import SettingsError
from renzheng.edge.look.engines import EngineReport, choose_engine
from renzheng.edge.look.faces import FaceEngine
from renzheng.edge.look.gallery import SiteGallery
from renzheng.edge.look.looking import Looks
from renzheng.edge.settings import Settings

LOGGER = logging.getLogger(__name__)
STANDING = CoverageStatus(CoverageState.DOWN, "counter")


class Counter(DeviceAgent):
    """A device with the clerk's page.

    Args:
        settings: the device's settings.
        clock: where time comes from.
        engine: the face engine.
        central_key: whose acknowledgements count.
    """

    def __init__(
        self, settings: Settings, *, clock: Clock, engine: FaceEngine, central_key: OKPKey | None
    ) -> None:
        super().__init__(settings, clock=clock, central_key=central_key, software=software_with(engine.name))
        counter = settings.counter
        self.engine_report = EngineReport(engine, self.people, settings.face.model_dir)
        self.gallery = SiteGallery(self.people, engine, settings.device.data_dir / "calibrations")
        self.looks = Looks(
            engine,
            settings.face.false_match_rate,
            round(counter.attempt_seconds * 1000),
            calibration=lambda: self.gallery.calibration,
        )
        clerks = Clerks(self._pins(), round(counter.idle_minutes * 60_000))
        purchases = Purchases(settings, self.people, self.log, self.looks, engine, clerks, clock)
        self.start_address = StartAddress(counter.address_file or default_file(), "renzheng_counter")
        app = build_app(CounterParts(clerks, purchases, self.looks), self.start_address, health=self.health)
        self._server = Server(app, counter.host, counter.port, section="counter")
        self.workers.add(self._server.worker)

    @property
    def url(self) -> str:
        """The address of the page."""
        host = self.settings.counter.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self._server.port}/"

    def standing(self) -> CoverageStatus:
        """Return that it sees nobody by itself."""
        return STANDING

    def _prepare(self) -> None:
        self.engine_report.log()

    def _begin(self) -> None:
        self.start_address.open(self.url)
        self._server.start()
        LOGGER.info("counter %s serves %s", self.settings.device.device_id, self.url)

    def _halt(self) -> None:
        self._server.stop()
        self.looks.stop()

    def _tidy(self, now: datetime) -> None:
        super()._tidy(now)
        self.gallery.renew(now)
        self.looks.tidy()

    def _pins(self) -> PinChecker:
        def tell(witness_id: WitnessId | None, failures: int) -> None:
            told = {"place": "counter", "witness_id": witness_id, "failures": failures}
            self.event_writer.write(events.DevicePinRefused, events.PinRefusedData, **told)

        return PinChecker(self.store, self.people, running_ms=self.running_time.read_ms, tell=tell)

    def health(self) -> Mapping[str, Any]:
        """Return what an operator asks first; nobody is named."""
        return {**super().health(), "engine": self.engine_report.health()}


def build_counter(
    settings: Settings, *, clock: Clock | None = None, engine: FaceEngine | None = None
) -> Counter:
    """Put a counter together; None takes the machine's clock and the engine of the settings.

    Raises:
        SettingsError: the device is registered for no counter, a file that the settings name is missing, or
            the port is taken.
        ModelMissingError: a file of the engine that the settings name is not on this machine.
        StoreError: the store cannot be opened.
    """
    purpose = settings.device.purpose
    if purpose not in COUNTER_PURPOSES:
        raise SettingsError(
            f"A counter cannot be a device for {purpose.value}.",
            why="Central takes purchases from counters of pharmacies and outpatient departments only.",
            do="Provision it with --purpose pharmacy or outpatient, and set device.purpose so.",
        )
    return Counter(
        settings,
        clock=clock or SystemClock(),
        engine=engine or choose_engine(settings).open(),
        central_key=read_central_key(settings),
    )
