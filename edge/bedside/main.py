"""The agent of an inspector's unit: the same log, keys and link as a kiosk's, and the bedside page.

    unit = build_unit(load_settings(path))
    unit.start(); ...; unit.stop()

A unit sees nobody by itself, so it never reports coverage in which somebody could have been seen.
"""

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from joserfc.jwk import OKPKey

from renzheng.common.serving import Places
from renzheng.contracts import events
from renzheng.contracts.events import CoverageState
from renzheng.contracts.ids import WitnessId
from renzheng.edge.bedside.answers import AnswerLog, Answers
from renzheng.edge.bedside.app import build_app
from renzheng.edge.bedside.fetching import CentralRounds, Fetcher, Rounds
from renzheng.edge.bedside.inspection import Inspection
from renzheng.edge.bedside.opening import DeviceRounds
from renzheng.edge.bedside.passkey_store import PasskeyStore
from renzheng.edge.bedside.passkeys import Passkeys
from renzheng.edge.bedside.patient_looks import PatientLooks
from renzheng.edge.bedside.signing_in import SignIns
from renzheng.edge.bedside.store import BedsideStore
from renzheng.edge.device.agent import DeviceAgent
from renzheng.edge.device.bulk import open_bulk
from renzheng.edge.device.clock import Clock, SystemClock
from renzheng.edge.device.coverage import CoverageStatus
from renzheng.edge.device.link.uplink import read_central_key, software_with
from renzheng.edge.device.pins import HourlyLimit, PinChecker, check_pin
from renzheng.edge.device.server import Server
from renzheng.edge.look.engines import EngineReport, choose_engine
from renzheng.edge.look.enrolment import engine_name
from renzheng.edge.look.faces import FaceEngine
from renzheng.edge.look.gallery import SiteGallery
from renzheng.edge.look.looking import Looks
from renzheng.edge.settings import Settings

LOGGER = logging.getLogger(__name__)
STANDING = CoverageStatus(CoverageState.DOWN, "inspectors_unit")


class Unit(DeviceAgent):
    """A device with the inspector's page.

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
        super().__init__(settings, clock=clock, central_key=central_key, software=software_with(engine.name))
        device, bedside = settings.device, settings.bedside
        self.bedside = BedsideStore(self.store, device.data_dir)
        self._passkey_events = HourlyLimit()
        self.engine_report = EngineReport(engine, self.people, settings.face.model_dir)
        self.gallery = SiteGallery(self.people, engine, device.data_dir / "calibrations")
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
        self.inspection = self._inspection(engine)
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
        self.workers.add(self._server.worker, self.fetcher.worker)

    @property
    def url(self) -> str:
        """The address of the page, as this machine would call it."""
        bedside = self.settings.bedside
        scheme = "http" if bedside.certificate_file is None else "https"
        host = f"[{bedside.host}]" if ":" in bedside.host else bedside.host
        return f"{scheme}://{host}:{self._server.port}/"

    @property
    def named_url(self) -> str:
        """The same by its name where it has one: passkeys belong to names, not to numbers."""
        return self.url.replace("127.0.0.1", "localhost").replace("[::1]", "localhost")

    def standing(self) -> CoverageStatus:
        """Return that it sees nobody by itself."""
        return STANDING

    def _prepare(self) -> None:
        self.engine_report.log()

    def _begin(self) -> None:
        self._server.start()
        self.fetcher.start()
        LOGGER.info("unit %s serves %s", self.settings.device.device_id, self.url)

    def _halt(self) -> None:
        self._server.stop()
        self.fetcher.stop()
        self.looks.stop()

    def _inspection(self, engine: FaceEngine) -> Inspection:
        """Put together what the page's calls are answered by."""
        bedside, clock = self.settings.bedside, self.clock
        sign_ins = SignIns(
            self._pin_desk(),
            Passkeys(PasskeyStore(self.store, self.running_time.read_ms), self.bedside.is_inspector),
            self.bedside,
            round(bedside.idle_minutes * 60_000),
            tell=self._tell_passkey_refused,
        )
        rounds = DeviceRounds(self.bedside, self.people, clock, self.fetcher)
        version = self.settings.kiosk.notice_version
        answers = Answers(
            rounds,
            self.bedside,
            AnswerLog(self.log, self.bedside, engine_name(engine)),
            looks=self.looks,
            sign_ins=sign_ins,
            evidence=self.evidence,
            clock=clock,
            tolerance=timedelta(seconds=bedside.page_clock_tolerance_seconds),
        )
        return Inspection(
            sign_ins=sign_ins,
            rounds=rounds,
            patient_looks=PatientLooks(rounds, self.people, self.looks, engine.model, version),
            looks=self.looks,
            answers=answers,
            clock=clock,
            idle_seconds=bedside.idle_minutes * 60,
        )

    def _pin_desk(self) -> PinChecker:
        def tell(witness_id: WitnessId | None, failures: int) -> None:
            told = {"place": "bedside", "witness_id": witness_id, "failures": failures}
            self.event_writer.write(events.DevicePinRefused, events.PinRefusedData, **told)

        return PinChecker(self.store, self.people, running_ms=self.running_time.read_ms, tell=tell)

    def _tell_passkey_refused(self, number: str) -> None:
        if self._passkey_events.has_room(self.running_time.read_ms()):
            known = WitnessId(number) if self.bedside.is_inspector(number) else None
            told = {"place": "bedside", "witness_id": known, "failures": 1, "factor": "passkey"}
            self.event_writer.write(events.DevicePinRefused, events.PinRefusedData, **told)

    def put_inspector(self, inspector_id: str, pin: str) -> None:
        """Enter an inspector, or set a new PIN.

        Raises:
            PinError: it is too easily guessed.
        """
        check_pin(pin)
        self.people.put_witness(inspector_id, pin)
        self.bedside.put_inspector(inspector_id)

    def health(self) -> Mapping[str, Any]:
        """Return what an operator asks first; nothing of rounds, which nobody at a ward may foresee."""
        reached = self.fetcher.reached_at
        return {
            **super().health(),
            "engine": self.engine_report.health(),
            "door_reached_at": None if reached is None else reached.isoformat(),
        }

    def _door(self) -> Rounds | None:
        bulk = open_bulk(self.settings, key=self.keyring.current, wall=self._wall)
        return None if bulk is None else CentralRounds(bulk)

    def _tidy(self, now: datetime) -> None:
        super()._tidy(now)
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
    """Put a unit together; None takes the machine's clock, the engine of the settings, central's door.

    Raises:
        SettingsError: a file that the settings name is missing, or the port is taken.
        ModelMissingError: a file of the engine that the settings name is not on this machine.
        StoreError: the store cannot be opened.
    """
    return Unit(
        settings,
        clock=clock or SystemClock(),
        engine=engine or choose_engine(settings).open(),
        central_key=read_central_key(settings),
        rounds=rounds,
    )
