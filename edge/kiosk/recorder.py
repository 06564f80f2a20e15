"""From a session's effects to durable events: what the state machine decided becomes an entry of the log."""

from renzheng.contracts import events
from renzheng.contracts.events import (
    AttendanceData,
    DevicePinRefused,
    Guardian,
    PinRefusedData,
    device_source,
)
from renzheng.contracts.ids import EventId, WitnessId, new_id
from renzheng.edge.device.clock import Clock, ClockReading
from renzheng.edge.device.log import DeviceLog
from renzheng.edge.device.store.database import Also
from renzheng.edge.device.store.people import Patient, People
from renzheng.edge.kiosk.notices import notice_sha256
from renzheng.edge.kiosk.session import Kind, RecordAttempt, RecordConsent
from renzheng.edge.look.attendance import comparison_fields
from renzheng.edge.look.consents import Consents
from renzheng.edge.settings import Settings

_MODELS = {
    Kind.SIGN_IN: events.SignIn,
    Kind.SIGN_OUT: events.SignOut,
    Kind.IDENTITY_CHECK: events.IdentityCheck,
}


class Recorder:
    """Writes attendance and consent; an event and what follows from it stand or fall together.

    Args:
        settings: which device, institution and purpose.
        log: where events go.
        people: sessions and consents that change with them.
        clock: when it is.
        engine_name: name and model of the face engine, for the events.
    """

    def __init__(
        self, settings: Settings, log: DeviceLog, people: People, clock: Clock, engine_name: str
    ) -> None:
        self._settings = settings
        self._log = log
        self._people = people
        self._clock = clock
        self._engine_name = engine_name
        self.consents = Consents(settings, log, people, clock)

    def attempt(self, record: RecordAttempt) -> EventId:
        """Write one finished attempt; synced to disk when this returns."""
        reading = self._clock.read()
        starts = record.kind is Kind.SIGN_IN
        session_id = new_id() if starts else record.session_id
        event = _MODELS[record.kind](
            source=device_source(self._settings.device.device_id),
            time=reading.wall,
            subject=record.patient.person_id,
            data=AttendanceData(
                institution_id=self._settings.device.institution_id,
                clock=reading.as_event_clock(),
                purpose=self._settings.device.purpose,
                outcome=record.outcome,
                pad=record.pad,
                **comparison_fields(record.compared, self._engine_name),
                witness_id=record.witness_id,
                session_id=session_id,
                reason=record.reason,
                identifiers=tuple(identifier.value for identifier in record.identifiers),
                attempts=record.attempts,
                decision_ms=record.decision_ms,
                pad_signals=record.signals or None,
            ),
        )
        self._log.append(event, self._session_change(record, session_id, reading))
        return EventId(event.id)

    def _session_change(
        self, record: RecordAttempt, session_id: str | None, reading: ClockReading
    ) -> Also | None:
        if record.kind is Kind.SIGN_IN and session_id is not None:
            return self._people.signed_in(record.patient.person_id, session_id, reading.wall)
        if record.kind is Kind.SIGN_OUT and session_id is not None:
            return self._people.signed_out(session_id, reading.wall)
        return None

    def pin_refused(self, witness_id: WitnessId | None, failures: int) -> None:
        """Write that a PIN was wrong."""
        reading = self._clock.read()
        self._log.append(
            DevicePinRefused(
                source=device_source(self._settings.device.device_id),
                time=reading.wall,
                data=PinRefusedData(
                    institution_id=self._settings.device.institution_id,
                    clock=reading.as_event_clock(),
                    place="kiosk",
                    witness_id=witness_id,
                    failures=failures,
                ),
            )
        )

    def consent(
        self, record: RecordConsent, *, witness_id: str | None = None, guardian: Guardian | None = None
    ) -> EventId:
        """Write a consent or a refusal; raises as `Consents.record`."""
        return self.consents.record(
            record.patient.person_id, given=record.given, witness_id=witness_id, guardian=guardian
        )

    def notice_seen(self, patient: Patient) -> EventId:
        """Write that the notice stands before a patient."""
        return self.consents.seen(patient.person_id, notice_sha256())
