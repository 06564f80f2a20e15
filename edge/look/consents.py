"""Consents to face recognition, given or refused: each an entry of the log. Taking one back: `forgetting`."""

from datetime import date
from zoneinfo import ZoneInfo

from renzheng.contracts.events import (
    ConsentData,
    ConsentRecorded,
    Guardian,
    NoticeSeen,
    NoticeSeenData,
    device_source,
)
from renzheng.contracts.ids import EventId, birth_date_of
from renzheng.edge.device.clock import Clock
from renzheng.edge.device.log import DeviceLog
from renzheng.edge.device.store.people import NOTICE, People
from renzheng.edge.errors import GuardianNeededError
from renzheng.edge.settings import Settings

ADULT_CONSENT_YEARS = 14
"""From this age a person consents alone (PIPL art. 31)."""


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

    def record(
        self,
        person_id: str,
        *,
        given: bool,
        witness_id: str | None = None,
        guardian: Guardian | None = None,
    ) -> EventId:
        """Write a consent or a refusal.

        Args:
            person_id: whose.
            given: a consent; False for a refusal, which nobody needs a guardian for.
            witness_id: who heard it.
            guardian: who consents for a person under 14.

        Raises:
            GuardianNeededError: the person is under 14, and no guardian is named.
        """
        reading = self._clock.read()
        today = reading.wall.astimezone(ZoneInfo(self._settings.device.time_zone)).date()
        if given and guardian is None and needs_guardian(person_id, today):
            raise GuardianNeededError(
                "A child under 14 does not consent alone.",
                why="Face data of a child needs a guardian's consent (PIPL art. 31).",
                do="Ask the guardian, and say who it is; or sign the child in the other way.",
            )
        event = ConsentRecorded(
            source=device_source(self._settings.device.device_id),
            time=reading.wall,
            subject=person_id,
            data=ConsentData(
                institution_id=self._settings.device.institution_id,
                clock=reading.as_event_clock(),
                notice=NOTICE,
                notice_version=self._settings.kiosk.notice_version,
                given=given,
                witness_id=witness_id,
                guardian=guardian if given else None,
            ),
        )
        version = self._settings.kiosk.notice_version
        change = self._people.put_consent(person_id, NOTICE, version, given=given, at=reading.wall)
        self._log.append(event, change)
        return EventId(event.id)

    def seen(self, person_id: str, text_sha256: str) -> EventId:
        """Write that the notice stood before a person who is now asked."""
        reading = self._clock.read()
        data = NoticeSeenData(
            institution_id=self._settings.device.institution_id,
            clock=reading.as_event_clock(),
            notice=NOTICE,
            notice_version=self._settings.kiosk.notice_version,
            text_sha256=text_sha256,
        )
        source = device_source(self._settings.device.device_id)
        event = NoticeSeen(source=source, time=reading.wall, subject=person_id, data=data)
        self._log.append(event)
        return EventId(event.id)


def needs_guardian(person_id: str, today: date) -> bool:
    """Whether a citizen number says that a person is under 14; of other ids it is asked, and not known."""
    born = birth_date_of(person_id)
    if born is None:
        return False
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day)) < ADULT_CONSENT_YEARS
