"""A fourth kind of device, made of what every device has and of what looks at faces: a pharmacy counter.

Somebody fetches medicine; the counter looks whether it is the patient, and writes an identity check.
"""

import queue
from collections.abc import Iterable

from joserfc.jwk import OKPKey

from renzheng.contracts.events import (
    AttendanceData,
    CoverageState,
    IdentityCheck,
    Outcome,
    Pad,
    device_source,
)
from renzheng.edge.device.agent import DeviceAgent
from renzheng.edge.device.clock import Clock
from renzheng.edge.device.coverage import CoverageStatus
from renzheng.edge.device.link.uplink import software_with
from renzheng.edge.look.attendance import comparison_fields
from renzheng.edge.look.consents import Consents
from renzheng.edge.look.enrolment import Enrolment, engine_name
from renzheng.edge.look.faces import FaceEngine
from renzheng.edge.look.gallery import SiteGallery
from renzheng.edge.look.outcomes import LookOutcome, Matched, NotMatched
from renzheng.edge.look.registration import Registration
from renzheng.edge.look.watcher import Frame, Progress, Watcher, now_ms
from renzheng.edge.settings import Settings

LOOK_MS, PATIENCE_S = 3_200, 60


class PharmacyCounter(DeviceAgent):
    """A device that is asked about one patient at a time."""

    def __init__(
        self, settings: Settings, clock: Clock, engine: FaceEngine, central_key: OKPKey | None = None
    ) -> None:
        software = software_with(engine.name)
        super().__init__(settings, clock=clock, central_key=central_key, software=software)
        self._engine = engine
        self._gallery = SiteGallery(self.people, engine, settings.device.data_dir / "calibrations")
        self._progress: queue.SimpleQueue[Progress] = queue.SimpleQueue()
        self._watcher = Watcher(
            engine,
            settings.face.false_match_rate,
            self._progress.put,
            calibration=lambda: self._gallery.calibration,
        )
        self.registration = Registration(
            self.people,
            Consents(settings, self.log, self.people, clock),
            Enrolment(settings, self.log, self.people, clock, engine, gallery=self._gallery),
        )
        self.workers.add(self._watcher.worker)

    def standing(self) -> CoverageStatus:
        """It can see whoever stands before it."""
        return CoverageStatus(CoverageState.UP)

    def _begin(self) -> None:
        self._watcher.start()

    def _halt(self) -> None:
        self._watcher.stop()

    def check(self, person_id: str, frames: Iterable[bytes]) -> Outcome:
        """Look whether it is the patient, and write down what came of it."""
        references = self.people.references(person_id, self._engine.model)
        self._watcher.begin(1, references, LOOK_MS)
        ended = None
        for number, jpeg in enumerate(frames, start=1):
            self._watcher.show(Frame(number, jpeg, now_ms()))
            ended = self._progress.get(timeout=PATIENCE_S).outcome
            if ended is not None:
                break
        return self._write(person_id, ended)

    def _write(self, person_id: str, ended: LookOutcome | None) -> Outcome:
        reading, device = self.clock.read(), self.settings.device
        outcome = {Matched: Outcome.MATCH, NotMatched: Outcome.NON_MATCH}.get(
            type(ended), Outcome.NOT_ACQUIRED
        )
        data = AttendanceData(
            institution_id=device.institution_id,
            clock=reading.as_event_clock(),
            purpose=device.purpose,
            outcome=outcome,
            pad=getattr(ended, "pad", Pad.NOT_SHOWN),
            **comparison_fields(getattr(ended, "compared", None), engine_name(self._engine)),
        )
        source = device_source(device.device_id)
        self.log.append(IdentityCheck(source=source, time=reading.wall, subject=person_id, data=data))
        return outcome
