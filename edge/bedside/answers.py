"""An inspector's answers: taken, decided and written down once each.

The order is always: write, sync, then say so. An answer and the presence that follows from it stand in the
device's log together or not at all, and the page's own id for the answer stands with them.
"""

import base64
import logging
import threading
from datetime import timedelta

from renzheng.contracts.ids import EventId
from renzheng.edge.bedside import answering
from renzheng.edge.bedside.answering import SubmittedAnswer
from renzheng.edge.bedside.calls import AnswerCall, AnswerShown, moment
from renzheng.edge.bedside.opening import DeviceRounds
from renzheng.edge.bedside.recording import AnswerRecord, answered_event, kept_of, presence_event
from renzheng.edge.bedside.showing import answer_shown
from renzheng.edge.bedside.signing_in import SignedInInspector, SignIns
from renzheng.edge.bedside.store import BedsideStore, StoredAnswer
from renzheng.edge.device.clock import Clock, ClockReading
from renzheng.edge.device.evidence import Evidence
from renzheng.edge.device.log import DeviceLog
from renzheng.edge.errors import CallError, UnknownWitnessError
from renzheng.edge.look.looking import Look, Looks

LOGGER = logging.getLogger(__name__)


class AnswerLog:
    """Writes answers into the device's log.

    Args:
        log: where events go.
        store: where the page's own ids are kept, in the same transaction.
        engine: name and model of the face engine, for the events.
    """

    def __init__(self, log: DeviceLog, store: BedsideStore, engine: str) -> None:
        self._log = log
        self._store = store
        self._engine = engine

    def write(self, given: AnswerRecord) -> StoredAnswer:
        """Write an answer, and the presence that follows from it."""
        event = answered_event(given, self._log.device_id, self._engine)
        kept = kept_of(given, EventId(event.id))
        presence = presence_event(event, given, self._engine)
        if presence is not None:
            self._log.append(presence)
        self._log.append(event, self._store.putting(given.call.sheet_id, kept))
        return kept


class Answers:
    """Takes the answers of one device.

    Args:
        rounds: which checks are open.
        store: answers that were given.
        log: writes them.
        looks: what the camera found.
        sign_ins: checks witnesses.
        evidence: where photographs are kept, encrypted.
        clock: when it is.
        tolerance: a page whose clock is further off is not trusted in its times.
    """

    def __init__(
        self,
        rounds: DeviceRounds,
        store: BedsideStore,
        log: AnswerLog,
        *,
        looks: Looks,
        sign_ins: SignIns,
        evidence: Evidence,
        clock: Clock,
        tolerance: timedelta,
    ) -> None:
        self._rounds = rounds
        self._store = store
        self._log = log
        self._looks = looks
        self._sign_ins = sign_ins
        self._evidence = evidence
        self._clock = clock
        self._tolerance = tolerance
        self._writing = threading.Lock()

    def take(self, call: AnswerCall, inspector: SignedInInspector) -> AnswerShown:
        """Take an answer; the same answer handed in again gives what was recorded the first time.

        Raises:
            UnknownCheckError: no such check is open here.
            UnknownLookError: the look that it names is not known (any more).
            CallError: it was given by somebody who is not signed in.
            TooManyTriesError: too many wrong PINs were tried; it can be handed in again later.
            StoreError: nothing was written.
        """
        reading = self._clock.read()
        kept = self._store.answer(call.answer_id)
        if kept is None:
            kept = self._record(call, inspector, reading)
        if call.photograph is not None and self._evidence.get(kept.event_id) is None:
            self._keep(kept.event_id, base64.b64decode(call.photograph))
        return answer_shown(kept)

    def _record(self, call: AnswerCall, inspector: SignedInInspector, reading: ClockReading) -> StoredAnswer:
        if call.inspector_id != inspector.inspector_id:
            raise CallError("This answer was given by another inspector.", do="Let them sign in.")
        sheet, check = self._rounds.check(call.sheet_id, call.check_id)
        look = self._looks.found(call.look_id, (call.sheet_id, call.check_id)) if call.look_id else None
        said = self._said(call, inspector.inspector_id, look)
        placed = answering.place(
            moment(call.answered_ms),
            None if call.sent_ms is None else moment(call.sent_ms),
            reading.wall,
            tolerance=self._tolerance,
            device_trusted=reading.trusted,
        )
        with self._writing, self._store.store.writing():
            again = self._store.answer(call.answer_id)
            if again is not None:
                return again
            before = self._store.last_answer(call.sheet_id, check.check_id)
            decided = answering.decide(sheet, check, said, placed, before.result if before else None)
            kept = self._log.write(
                AnswerRecord(sheet, check, call, said, placed, decided, before, reading, inspector)
            )
        if look is not None and look.crop is not None and decided.verified and call.photograph is None:
            self._keep(kept.event_id, look.crop)
        return kept

    def _said(self, call: AnswerCall, inspector_id: str, look: Look | None) -> SubmittedAnswer:
        witness_id, refused = None, False
        if call.witness is not None:
            pin = call.witness.pin.get_secret_value()
            try:
                witness_id = self._sign_ins.witness(call.witness.number, pin, beside=inspector_id)
            except UnknownWitnessError:
                refused = True
        return SubmittedAnswer(
            choice=call.choice,
            identifiers=call.identifiers,
            reason=call.reason,
            face=None if look is None else look.face,
            witness_id=witness_id,
            witness_refused=refused,
            confirmed=call.confirmed,
            has_photograph=call.photograph is not None,
        )

    def _keep(self, event_id: EventId, picture: bytes) -> None:
        try:
            self._evidence.put(event_id, picture)
        except OSError as error:
            LOGGER.warning("no picture was kept for event %s: %s", event_id, error)
