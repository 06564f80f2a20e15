"""Consents to face recognition: given, refused, taken back; each an entry of the log with what follows."""

from renzheng.contracts.events import ConsentData, ConsentRecorded, ConsentWithdrawn, device_source
from renzheng.contracts.ids import EventId
from renzheng.edge.device.clock import Clock, ClockReading
from renzheng.edge.device.log import DeviceLog
from renzheng.edge.device.store.people import NOTICE, People
from renzheng.edge.settings import Settings


class Consents:
    """Writes consents to the present notice.

    Args:
        settings: which device and institution, which version of the notice.
        log: where events go.
        people: what is kept of each person.
        clock: when it is.
    """

    def __init__(self, settings: Settings, log: DeviceLog, people: People, clock: Clock) -> None:
        self._settings = settings
        self._log = log
        self._people = people
        self._clock = clock

    def record(self, person_id: str, *, given: bool, witness_id: str | None = None) -> EventId:
        """Write a consent or a refusal."""
        reading = self._clock.read()
        event = ConsentRecorded(
            source=device_source(self._settings.device.device_id),
            time=reading.wall,
            subject=person_id,
            data=self._data(reading, given=given, witness_id=witness_id),
        )
        version = self._settings.kiosk.notice_version
        change = self._people.put_consent(person_id, NOTICE, version, given=given, at=reading.wall)
        self._log.append(event, change)
        return EventId(event.id)

    def withdraw(self, person_id: str, *, witness_id: str | None = None) -> EventId:
        """Write that a patient takes the consent back; their references are gone with the same commit."""
        reading = self._clock.read()
        event = ConsentWithdrawn(
            source=device_source(self._settings.device.device_id),
            time=reading.wall,
            subject=person_id,
            data=self._data(reading, given=False, witness_id=witness_id),
        )
        version = self._settings.kiosk.notice_version
        self._log.append(event, self._people.forget_face(person_id, NOTICE, version, at=reading.wall))
        self._people.destroy_key(person_id)
        return EventId(event.id)

    def _data(self, reading: ClockReading, *, given: bool, witness_id: str | None) -> ConsentData:
        return ConsentData(
            institution_id=self._settings.device.institution_id,
            clock=reading.as_event_clock(),
            notice=NOTICE,
            notice_version=self._settings.kiosk.notice_version,
            given=given,
            witness_id=witness_id,
        )
