"""Live enrolment by the webcam: a witness begins it, frames are taken until there are enough good ones."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from renzheng.edge.device.clock import Clock
from renzheng.edge.device.store.people import Patient, People
from renzheng.edge.errors import CallError, PhotographRefusedError
from renzheng.edge.kiosk.recorder import Recorder
from renzheng.edge.kiosk.screen import EnrolCall
from renzheng.edge.kiosk.session import RecordConsent
from renzheng.edge.kiosk.witnesses import Witnesses
from renzheng.edge.look.enrolment import LIVE_REFERENCES, Enrolment, take_template
from renzheng.edge.look.faces import UNREADABLE, decode
from renzheng.edge.look.watcher import now_ms
from renzheng.edge.settings import Settings
from renzheng.models.liveness.challenge import EVERY_ABILITY
from renzheng.models.templates import Template

APART_MS = 600
"""References are taken this far apart, so that they are not three times the same picture."""

LONGEST = timedelta(minutes=3)


@dataclass(slots=True)
class _Under:
    patient: Patient
    witness_id: str
    began_ms: int
    templates: list[Template] = field(default_factory=list)
    taken_ms: int = 0


class Enrolling:
    """At most one live enrolment at a time.

    Args:
        settings: the site's time zone, for the roster's day.
        people: where the patient is entered.
        recorder: writes the consent.
        witnesses: who may begin.
        enrolment: writes the references.
        clock: what day it is.
    """

    def __init__(
        self,
        settings: Settings,
        people: People,
        recorder: Recorder,
        witnesses: Witnesses,
        *,
        enrolment: Enrolment,
        clock: Clock,
    ) -> None:
        self._zone = ZoneInfo(settings.device.time_zone)
        self._people = people
        self._recorder = recorder
        self._witnesses = witnesses
        self._enrolment = enrolment
        self._clock = clock
        self._under: _Under | None = None
        self._lock = asyncio.Lock()

    @property
    def under_way(self) -> bool:
        """Whether frames are being taken."""
        return self._under is not None

    async def begin(self, call: EnrolCall) -> dict[str, Any]:
        """Begin; the patient is entered and put on today's roster.

        Raises:
            UnknownWitnessError: number or PIN is not right.
            CallError: the patient has not consented.
            GuardianNeededError: the patient is under 14, and no guardian is named.
        """
        witness_id = await self._witnesses.check(call.witness_id, call.pin.get_secret_value())
        if not call.consented:
            raise CallError(
                "Without consent no face is enrolled.", do="Register the patient for the other way."
            )
        self._under = await asyncio.to_thread(self._enter, call, witness_id)
        return {"accepted": 0, "wanted": LIVE_REFERENCES, "done": False, "guidance": None}

    def _enter(self, call: EnrolCall, witness_id: str) -> _Under:
        people = self._people
        patient = people.put_patient(call.person_id, surname=call.surname, card_number=call.card_number)
        today = self._clock.read().wall.astimezone(self._zone).date()
        people.put_on_roster(today, [patient.person_id])
        if call.cannot:
            people.put_abilities(patient.person_id, EVERY_ABILITY - call.cannot)
        self._recorder.consent(
            RecordConsent(patient, given=True), witness_id=witness_id, guardian=call.guardian
        )
        return _Under(patient, witness_id, now_ms())

    async def take(self, jpeg: bytes) -> dict[str, Any]:
        """Take one frame; says what is wrong with it, or how many are still wanted.

        Raises:
            CallError: no enrolment is under way.
        """
        async with self._lock:
            under = self._under
            if under is None or now_ms() - under.began_ms > LONGEST.total_seconds() * 1000:
                raise CallError("No enrolment is under way.", do="Begin again.")
            guidance = await asyncio.to_thread(self._judge, under, jpeg)
            done = len(under.templates) >= LIVE_REFERENCES
            if done:
                await asyncio.to_thread(
                    self._enrolment.enrol,
                    under.patient.person_id,
                    under.templates,
                    source="live",
                    witness_id=under.witness_id,
                )
                self._under = None
            return {
                "accepted": len(under.templates),
                "wanted": LIVE_REFERENCES,
                "done": done,
                "guidance": guidance,
            }

    def _judge(self, under: _Under, jpeg: bytes) -> str | None:
        if now_ms() - under.taken_ms < APART_MS:
            return None
        image = decode(jpeg)
        if image is None:
            return UNREADABLE
        try:
            under.templates.append(take_template(self._enrolment.engine, image, "The frame"))
        except PhotographRefusedError as error:
            return str(error.attributes["reason"])
        under.taken_ms = now_ms()
        return None
