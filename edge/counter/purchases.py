"""Purchases: whom the numbers name, the look at the buyer, and the one event of each."""

import re
import threading
import uuid

from renzheng.contracts.events import CounterData, CounterIdentification, device_source, parse_event
from renzheng.contracts.ids import WitnessId, tidy_id
from renzheng.contracts.log import read_entry
from renzheng.edge.counter import deciding
from renzheng.edge.counter.calls import LookCall, PersonShown, PurchaseCall, PurchaseShown
from renzheng.edge.counter.clerks import Clerks
from renzheng.edge.counter.errors import UnreadableNumberError
from renzheng.edge.device.clock import Clock
from renzheng.edge.device.log import DeviceLog
from renzheng.edge.device.store.people import NOTICE, Patient, People, mask
from renzheng.edge.errors import UnknownPersonError
from renzheng.edge.look.enrolment import engine_name
from renzheng.edge.look.faces import FaceEngine
from renzheng.edge.look.looking import Look, Looks
from renzheng.edge.look.verdicts import Face, FaceVerdict
from renzheng.edge.settings import Settings
from renzheng.models.templates import Template

_PURCHASES = uuid.UUID("5c0a3a4e-6f0e-5d1b-9a57-3d0f6a0b7c11")
"""A purchase that is handed over twice has the same event id, on this device and at central."""
_NUMBER = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{3,39}")


class Purchases:
    """The purchases of one counter.

    Args:
        settings: device, institution, purpose and notice.
        people: who is known here, with which references.
        log: where events go.
        looks: the camera's looks.
        engine: the face engine.
        clerks: checks witnesses.
        clock: when it is.
    """

    def __init__(  # noqa: PLR0917 - the parts that it puts together
        self,
        settings: Settings,
        people: People,
        log: DeviceLog,
        looks: Looks,
        engine: FaceEngine,
        clerks: Clerks,
        clock: Clock,
    ) -> None:
        self._device = settings.device
        self._notice = NOTICE, settings.kiosk.notice_version
        self._people = people
        self._log = log
        self._looks = looks
        self._engine = engine
        self._clerks = clerks
        self._clock = clock
        self._lock = threading.Lock()

    def person(self, number: str) -> PersonShown:
        """Say whom a number names; somebody who is not known here may buy all the same.

        Raises:
            UnreadableNumberError: it can be nobody's number.
        """
        found = self._find(number)
        person_id = self._id_of(number) if found is None else found.person_id
        return PersonShown(
            person=person_id,
            masked=mask(person_id),
            surname=None if found is None else found.surname,
            face=bool(self._references(person_id)),
        )

    def look(self, call: LookCall) -> Look:
        """Begin a look at the buyer; without references, or with face recognition refused, it has ended.

        Raises:
            UnreadableNumberError: the buyer's number can be nobody's.
            CallError: too many looks are under way.
        """
        buyer = self._id_of(call.buyer)
        again = self._people.has_other_references(buyer, self._engine.model)
        without = FaceVerdict.ENROL_AGAIN if again else FaceVerdict.NO_REFERENCE
        return self._looks.begin((call.purchase_id, buyer), self._references(buyer), without)

    def record(self, call: PurchaseCall, clerk_id: WitnessId) -> PurchaseShown:
        """Write a purchase down, once.

        Raises:
            UnreadableNumberError: a number can be nobody's.
            PurchaseRefusedError: it does not say what it must.
            UnknownLookError: its look is not of this purchase and buyer, or has not ended.
            UnknownWitnessError: the witness's number or PIN is not right.
        """
        with self._lock:
            event_id = str(uuid.uuid5(_PURCHASES, f"{self._device.device_id} {call.purchase_id}"))
            data = self._written(event_id)
            if data is None:
                data = self._record(call, clerk_id, event_id)
            return PurchaseShown(
                purchase_id=call.purchase_id, event_id=event_id, identified=deciding.is_identified(data)
            )

    def _written(self, event_id: str) -> CounterData | None:
        """Return what was written of a purchase before, also by an agent that has ended since."""
        row = self._log.store.row("SELECT line FROM entries WHERE event_id = ?", event_id)
        event = None if row is None else parse_event(read_entry(bytes(row["line"])).event)
        return event.data if isinstance(event, CounterIdentification) else None

    def _record(self, call: PurchaseCall, clerk_id: WitnessId, event_id: str) -> CounterData:
        patient = self._id_of(call.patient)
        people = deciding.People(
            patient,
            holder=patient if call.holder is None else self._id_of(call.holder),
            buyer=patient if call.buyer is None else self._id_of(call.buyer),
        )
        deciding.refuse_incomplete(call, people)
        face = self._face(call, people.buyer)
        witness = None
        if call.way == "witness" and call.witness is not None:
            pin = call.witness.pin.get_secret_value()
            witness = self._clerks.witness(call.witness.number, pin, beside=clerk_id)
        purchase = deciding.Purchase(call, people, clerk_id, witness, face)
        reading = self._clock.read()
        data = CounterData(
            institution_id=self._device.institution_id,
            clock=reading.as_event_clock(),
            purpose=self._device.purpose,
            **deciding.described(purchase),
            **deciding.scores(face, engine_name(self._engine)),
        )
        source = device_source(self._device.device_id)
        self._log.append(
            CounterIdentification(
                id=event_id, source=source, time=reading.wall, subject=people.patient, data=data
            )
        )
        return data

    def _face(self, call: PurchaseCall, buyer: str) -> Face | None:
        """Return what the look found; one before another way is told too, its score beside it."""
        if call.look_id is None:
            return None
        return self._looks.found(call.look_id, (call.purchase_id, buyer)).face

    def _references(self, person_id: str) -> list[Template]:
        if self._people.consented(person_id, *self._notice) is False:
            return []
        return self._people.references(person_id, self._engine.model)

    def _find(self, number: str) -> Patient | None:
        for find in (self._people.by_card, self._people.by_credential, self._people.by_id):
            try:
                return find(number)
            except UnknownPersonError:
                continue
        return None

    def _id_of(self, number: str) -> str:
        found = self._find(number)
        if found is not None:
            return found.person_id
        tidied = tidy_id(number)
        if _NUMBER.fullmatch(tidied) is None:
            raise UnreadableNumberError(
                "That is no number of a person.",
                why="What is written down must name who it was for.",
                do="Scan the card again, or type the number on it.",
            )
        return tidied
