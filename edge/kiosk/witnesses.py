"""Who may vouch at the kiosk, and what a witness may say of a patient beside that."""

import asyncio

from renzheng.contracts.ids import WitnessId
from renzheng.edge.device.clock import Clock
from renzheng.edge.device.pins import PinChecker
from renzheng.edge.device.running_time import RunningTime
from renzheng.edge.device.store.people import People
from renzheng.edge.kiosk.recorder import Recorder
from renzheng.edge.kiosk.screen import AbilitiesCall, WitnessCall
from renzheng.edge.kiosk.session import Witnessed


class Witnesses:
    """Checks numbers and PINs, slowly, in a worker thread.

    Args:
        people: the witnesses.
        recorder: writes that a PIN was wrong.
        clock: when it is, for the pauses after wrong ones.
    """

    def __init__(self, people: People, recorder: Recorder, clock: Clock) -> None:
        self._people = people
        self._pins = PinChecker(
            people.store,
            people,
            running_ms=RunningTime(people.store, clock).read_ms,
            tell=recorder.pin_refused,
        )

    async def check(self, witness_id: str, pin: str) -> WitnessId:
        """Check a PIN.

        Raises:
            UnknownWitnessError: number or PIN is not right, or too many were wrong.
        """
        return await asyncio.to_thread(self._pins.check, witness_id, pin, caller="kiosk", known=True)

    async def vouch(self, call: WitnessCall) -> Witnessed:
        """Return what a witness says of the patient who is here.

        Raises:
            UnknownWitnessError: number or PIN is not right, or too many were wrong.
        """
        witness_id = await self.check(call.witness_id, call.pin.get_secret_value())
        return Witnessed(witness_id, call.identifier, call.cause)

    async def keep_abilities(self, call: AbilitiesCall) -> None:
        """Keep what a patient can do, as a witness says.

        Raises:
            UnknownWitnessError: number or PIN is not right, or too many were wrong.
            UnknownPersonError: there is no such patient.
        """
        await self.check(call.witness_id, call.pin.get_secret_value())
        await asyncio.to_thread(self._people.put_abilities, call.person_id, call.abilities)
