"""Who is named at the kiosk, and what is known of them when a visit begins."""

from datetime import timedelta
from zoneinfo import ZoneInfo

from renzheng.edge.device.clock import Clock
from renzheng.edge.device.network_identity import open_network_identity, refused
from renzheng.edge.device.store.people import NOTICE, Patient, People
from renzheng.edge.errors import CallError, UnknownPersonError
from renzheng.edge.kiosk.expected import HISTORY, ExpectedPatient, group_of
from renzheng.edge.kiosk.screen import IdentifyCall
from renzheng.edge.kiosk.session import Identified, Identifier, NetworkIdentityShown
from renzheng.edge.look.consents import needs_guardian
from renzheng.edge.settings import Settings
from renzheng.models.templates import ModelId


class Visitors:
    """Finds patients by what they show; every call reads the store, in a worker thread.

    Args:
        settings: the notice's version, the site's time zone.
        people: who is known here.
        clock: the wall clock, for the roster's day and the age of sessions.
        model: whose references can be compared.
    """

    def __init__(self, settings: Settings, people: People, clock: Clock, model: ModelId) -> None:
        own = settings.network_identity
        self.network_identity = open_network_identity(own, lambda: clock.read().wall)
        self._notice = NOTICE, settings.kiosk.notice_version
        self._zone = ZoneInfo(settings.device.time_zone)
        self._open_too_long = timedelta(hours=settings.kiosk.open_too_long_hours)
        self._people = people
        self._clock = clock
        self._model = model

    def roster(self) -> list[ExpectedPatient]:
        """Return today's patients, and where on the list each stands at this hour."""
        now = self._clock.read().wall.astimezone(self._zone)
        times = self._people.expected_at(now.date())
        past = self._people.past_sessions(now - HISTORY)
        return [
            ExpectedPatient(
                patient,
                group_of(
                    now,
                    times.get(patient.person_id),
                    past.get(patient.person_id, ()),
                    self._open_too_long,
                ),
            )
            for patient in self._people.roster(now.date())
        ]

    def named(self, call: IdentifyCall) -> Identified:
        """Return who is named by a card or by a touch on the roster.

        Raises:
            UnknownPersonError: nobody here is named by that.
            CallError: neither or both ways of naming.
        """
        if (call.card_number is None) == (call.person_id is None):
            raise CallError("Give either card_number or person_id.")
        if call.card_number is not None:
            return self._known(self._people.by_card(call.card_number), Identifier.INSURANCE_CARD)
        return self._known(self._people.by_id(call.person_id or ""), Identifier.NAME_AND_NUMBER)

    def named_by_code(self, code: str) -> Identified:
        """Return whose e-credential a QR code is.

        Raises:
            UnknownPersonError: nobody's here.
        """
        return self._known(self._people.by_credential(code), Identifier.E_CREDENTIAL)

    def by_network_identity(self, code: str) -> NetworkIdentityShown:
        """Return whose code of the national network identity this is.

        Raises:
            NetworkIdentityUnreachedError: the service cannot be asked, or none is set up.
            NetworkIdentityRefusedError: it does not take the code, or the person is not entered here.
        """
        if self.network_identity is None:
            raise refused()
        shown = self.network_identity.ask(code)
        try:
            return NetworkIdentityShown(self._people.by_network_identity(shown.person_token).person_id)
        except UnknownPersonError:
            raise refused() from None

    def _known(self, patient: Patient, identifier: Identifier) -> Identified:
        now = self._clock.read().wall
        return Identified(
            patient=patient,
            identifier=identifier,
            open_session=self._people.open_session(patient.person_id),
            has_reference=bool(self._people.references(patient.person_id, self._model)),
            consent=self._people.consented(patient.person_id, *self._notice),
            now=now,
            child=needs_guardian(patient.person_id, now.astimezone(self._zone).date()),
            enrol_again=self._people.has_other_references(patient.person_id, self._model),
        )
