"""Registration of patients from photographs, beside a running agent or without one."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, time

from renzheng.contracts.events import Guardian
from renzheng.contracts.ids import EventId
from renzheng.edge.device.clock import Clock, SystemClock
from renzheng.edge.device.log import DeviceLog
from renzheng.edge.device.store.database import Store
from renzheng.edge.device.store.people import People, open_people
from renzheng.edge.look.consents import Consents
from renzheng.edge.look.enrolment import Enrolment, take_template
from renzheng.edge.look.faces import FaceEngine
from renzheng.edge.look.gallery import SiteGallery
from renzheng.edge.settings import Settings
from renzheng.models.images import decode as decode_photograph


@dataclass(frozen=True, slots=True)
class Registration:
    """Enters patients: who they are, their consent, their references."""

    people: People
    consents: Consents
    enrolment: Enrolment

    def enrol(
        self,
        person_id: str,
        *,
        surname: str,
        card_number: str,
        photographs: Sequence[bytes],
        consented: bool = False,
        guardian: Guardian | None = None,
        on_roster: date | None = None,
        expected_at: time | None = None,
    ) -> EventId:
        """Enter a patient with references from photographs.

        Args:
            person_id: the insured person's id.
            surname: what the roster shows.
            card_number: kept as a hash, shown masked.
            photographs: image files' bytes.
            consented: the patient's consent to the present notice is on paper; it is recorded as an event.
            guardian: who consents for a child under 14.
            on_roster: a local day on which to expect the patient.
            expected_at: the local time on that day, if it is known.

        Raises:
            PhotographRefusedError: one of the photographs cannot serve; nothing is kept.
            ImageError: one of them is no image.
            GuardianNeededError: a child under 14, and no guardian is named.
        """
        templates = [
            take_template(
                self.enrolment.engine, decode_photograph(data), f"Photograph {number}", any_way_up=True
            )
            for number, data in enumerate(photographs, start=1)
        ]
        patient = self.people.put_patient(person_id, surname=surname, card_number=card_number)
        if on_roster is not None:
            self.people.put_on_roster(on_roster, [patient.person_id], expected_at=expected_at)
        if consented:
            self.consents.record(patient.person_id, given=True, guardian=guardian)
        return self.enrolment.enrol(patient.person_id, templates, source="photograph")


@contextmanager
def open_registration(
    settings: Settings, engine: FaceEngine, clock: Clock | None = None
) -> Iterator[Registration]:
    """Open a device's store for registrations by command; the agent may run meanwhile.

    Raises:
        StoreError: the store cannot be opened.
    """
    device, clock = settings.device, clock or SystemClock()
    store = Store(device.data_dir / "device.sqlite")
    try:
        log, people = DeviceLog(store, device.device_id), open_people(store, device)
        gallery = SiteGallery(people, engine, device.data_dir / "calibrations")
        enrolment = Enrolment(settings, log, people, clock, engine, gallery=gallery)
        yield Registration(people, Consents(settings, log, people, clock), enrolment)
    finally:
        store.close()
