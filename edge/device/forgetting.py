"""Taking a consent back on this device: references, the person's key and crops go, and an event says so."""

from collections.abc import Sequence
from dataclasses import dataclass

from renzheng.contracts.events import ConsentData, ConsentWithdrawn, device_source
from renzheng.contracts.ids import EventId
from renzheng.contracts.privacy import Withdraw
from renzheng.edge.device.clock import Clock
from renzheng.edge.device.housekeeping import Housekeeper
from renzheng.edge.device.log import DeviceLog
from renzheng.edge.device.store.people import NOTICE, People
from renzheng.edge.settings import Settings


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What a withdrawal has destroyed.

    Args:
        event_id: the event that tells of it; None where there was nothing to tell of.
        references: how many were destroyed.
        crops: how many were deleted.
        held: crops that stay as evidence in a case that is not decided.
        key: the person's key was destroyed.
        wal_emptied: nothing is left in the write-ahead log.
    """

    event_id: EventId | None
    references: int = 0
    crops: int = 0
    held: int = 0
    key: bool = False
    wal_emptied: bool = True

    @property
    def anything(self) -> bool:
        """Whether there was anything of the person's face here."""
        return self.key or bool(self.references + self.crops + self.held)


class Forgetting:
    """Carries withdrawals out, whether they were asked here or elsewhere.

    Args:
        settings: which device, which version of the notice.
        log: where the event goes.
        people: references, consents and keys.
        clock: when it is.
        housekeeper: deletes the crops and tells of it.
    """

    def __init__(
        self, settings: Settings, log: DeviceLog, people: People, clock: Clock, housekeeper: Housekeeper
    ) -> None:
        self._settings = settings
        self._log = log
        self._people = people
        self._clock = clock
        self._housekeeper = housekeeper

    def withdraw(self, person_id: str, *, witness_id: str | None = None) -> Forgotten:
        """Carry out a withdrawal that was asked here.

        Raises:
            UnknownPersonError: there is no such patient.
        """
        return self._forget(self._people.by_id(person_id).person_id, (), witness_id=witness_id)

    def carry_out(self, order: Withdraw) -> Forgotten:
        """Carry out a withdrawal that central tells of; the same again destroys nothing more."""
        person_id = order.person_id
        if not self._people.knows(person_id) and not self._people.has_key(person_id):
            deleted, held = self._housekeeper.delete_crops(map(EventId, order.event_ids))
            return Forgotten(None, crops=deleted, held=held)
        if self._people.consented_since(person_id, order.withdrawn_at):
            return self._forget_older(person_id, order)
        return self._forget(person_id, order.event_ids, order=order)

    def _forget(
        self,
        person_id: str,
        event_ids: Sequence[str],
        *,
        witness_id: str | None = None,
        order: Withdraw | None = None,
    ) -> Forgotten:
        people, reading = self._people, self._clock.read()
        references, key = people.count_references(person_id), people.has_key(person_id)
        version = self._settings.kiosk.notice_version
        event_id = None
        if order is None or references or key or people.consented(person_id, NOTICE, version) is not False:
            event = ConsentWithdrawn(
                source=device_source(self._settings.device.device_id),
                time=reading.wall,
                subject=person_id,
                data=ConsentData(
                    institution_id=self._settings.device.institution_id,
                    clock=reading.as_event_clock(),
                    notice=NOTICE,
                    notice_version=version,
                    given=False,
                    witness_id=witness_id,
                    withdrawal_id=None if order is None else order.withdrawal_id,
                    withdrawn_at=None if order is None else order.withdrawn_at,
                ),
            )
            self._log.append(event, people.forget_face(person_id, NOTICE, version, at=reading.wall))
            event_id = EventId(event.id)
        emptied = people.destroy_key(person_id)
        found = [*self._log.events_about(person_id), *map(EventId, event_ids)]
        crops, held = self._housekeeper.delete_crops(dict.fromkeys(found))
        return Forgotten(event_id, references, crops, held, key, emptied)

    def _forget_older(self, person_id: str, order: Withdraw) -> Forgotten:
        """Destroy what a withdrawal meant that a later consent on this device has followed."""
        people = self._people
        before = people.count_references(person_id)
        with people.store.writing() as database:
            people.forget_older(person_id, order.withdrawn_at)(database)
        gone = before - people.count_references(person_id)
        emptied = people.destroy_key(person_id)
        crops, held = self._housekeeper.delete_crops(map(EventId, order.event_ids))
        return Forgotten(None, gone, crops, held, key=True, wal_emptied=emptied)
