"""The round at the bed: opens sheets when they are due, takes answers, writes them down once each.

The order is always: write, sync, then say so. An answer and the presence that follows from it stand in the
device's log together or not at all, and the page's own id for the answer stands with them.
"""

import base64
import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from renzheng.contracts.events import (
    AttendanceData,
    Outcome,
    Position,
    Presence,
    Purpose,
    SpotCheckAnswered,
    SpotCheckData,
    device_source,
)
from renzheng.contracts.ids import EventId
from renzheng.contracts.rounds import Check, RoundError, Sheet
from renzheng.edge.bedside import answering
from renzheng.edge.bedside.answering import Decided, Face, Moment, Said
from renzheng.edge.bedside.calls import (
    AnswerCall,
    AnswerShown,
    LookShown,
    RoundShown,
    SheetShown,
    moment,
)
from renzheng.edge.bedside.errors import NotDueError, RoundClosedError, UnknownCheckError
from renzheng.edge.bedside.fetching import Fetcher
from renzheng.edge.bedside.looking import Look, Looks
from renzheng.edge.bedside.rounds import Standing, standing
from renzheng.edge.bedside.signing_in import SignIns
from renzheng.edge.bedside.store import BedsideStore, Kept
from renzheng.edge.device.clock import Clock, Reading
from renzheng.edge.device.evidence import Evidence
from renzheng.edge.device.log import DeviceLog
from renzheng.edge.device.store.people import NOTICE, People
from renzheng.edge.errors import CallError, UnknownPersonError, UnknownWitnessError
from renzheng.edge.settings import Settings

LOGGER = logging.getLogger(__name__)


class Inspection:
    """What the page's calls do.

    Args:
        settings: which device, institution and tolerances.
        log: where answers go.
        store: sheets and answers.
        people: references and consents.
        evidence: where photographs are kept, encrypted.
        clock: when it is.
        looks: the camera's looks.
        fetcher: asks central.
        sign_ins: checks witnesses.
        engine_name: name and model of the face engine, for the events.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        log: DeviceLog,
        store: BedsideStore,
        people: People,
        evidence: Evidence,
        clock: Clock,
        looks: Looks,
        fetcher: Fetcher,
        sign_ins: SignIns,
        engine_name: str,
        model: str,
    ) -> None:
        self._settings = settings
        self._log = log
        self.store = store
        self._people = people
        self._evidence = evidence
        self.clock = clock
        self.looks = looks
        self.fetcher = fetcher
        self.sign_ins = sign_ins
        self._engine_name = engine_name
        self._model = model
        self.idle_seconds = settings.bedside.idle_minutes * 60
        self._writing = threading.Lock()
        self.after_commit: Callable[[], None] = lambda: None
        """Called when an answer is committed; the log's own listeners hear of it inside the transaction."""

    def rounds(self) -> list[RoundShown]:
        """What may be shown of the rounds that lie here."""
        now = self.clock.read().wall
        return [self._shown(name, now) for name, _ in self.store.sheets()]

    def _shown(self, name: str, now: datetime) -> RoundShown:
        sealed = self.store.sealed(name)
        assert sealed is not None
        sheet = self.store.opened(name)
        stands = standing(sealed, now, opened=sheet is not None)
        known = sheet if stands in (Standing.OPEN, Standing.CLOSED) else None
        last = {kept.check_id for kept in self.store.answers(name)}
        return RoundShown(
            sheet_id=name,
            standing=stands,
            due_at=sealed.due_at,
            closes_at=sealed.closes_at,
            institution_name=known.institution_name if known else None,
            total=len(known.checks) if known else None,
            answered=len(last) if known else 0,
            sealed=sealed.model_dump(mode="json"),
        )

    def open(self, name: str, code: str | None) -> SheetShown:
        """Open a sheet that is due; one that is open is given again.

        A page may have opened it by the code while this device was out of reach. So with the code it opens
        after the close too: what was answered in time counts, the rest is late.

        Raises:
            NotDueError: its time has not come.
            RoundClosedError: it has closed, was never opened, and no code is given.
            RoundError: it is not here, or the code is not its own.
            BulkUnreachableError: no code was given and central cannot be asked.
        """
        sealed = self.store.sealed(name)
        if sealed is None:
            raise UnknownCheckError("This round is not on this device.", do="Fetch the rounds again.")
        opened = self.store.opened(name)
        match standing(sealed, self.clock.read().wall, opened=opened is not None):
            case Standing.NOT_DUE:
                raise NotDueError("This round is not due yet.", why="Nobody may know its list before.")
            case Standing.CLOSED if opened is None and code is None:
                raise RoundClosedError("This round has closed.", do="Take the next one.")
            case Standing.DUE if code is None:
                self.fetcher.fetch()
                opened = self.store.opened(name)
                if opened is None:
                    raise RoundError(
                        "Central does not give the code of this round yet.", do="Try again shortly."
                    )
            case _ if opened is None:
                opened = self.store.open(name, code or "")
            case _:
                pass
        return SheetShown(sheet_id=name, sheet=self._with_names(opened), answers=self._answers(name))

    def _with_names(self, sheet: Sheet) -> Sheet:
        """Fill in surnames that central does not know, of patients who are known on this device."""
        checks = []
        for check in sheet.checks:
            try:
                known = "" if check.surname else self._people.by_id(check.person_id).surname
            except UnknownPersonError:
                known = ""
            checks.append(check.model_copy(update={"surname": known}) if known else check)
        return sheet.model_copy(update={"checks": tuple(checks)})

    def _answers(self, name: str) -> tuple[AnswerShown, ...]:
        return tuple(_answer_shown(kept) for kept in self.store.answers(name))

    def begin_look(self, name: str, check_id: str) -> LookShown:
        """Begin a look; whoever refused face recognition, or has no reference, is not looked at.

        Raises:
            UnknownCheckError: no such check is open here.
            CallError: too many looks are under way.
        """
        _, check = self._check(name, check_id)
        version = self._settings.kiosk.notice_version
        refused = self._people.consented(check.person_id, NOTICE, version) is False
        references = [] if refused else self._people.references(check.person_id, self._model)
        return look_shown(self.looks.begin((name, check_id), references))

    def answer(self, call: AnswerCall, inspector_id: str) -> AnswerShown:
        """Take an answer; the same answer handed in again gives what was recorded the first time.

        Raises:
            UnknownCheckError: no such check is open here.
            UnknownLookError: the look that it names is not known (any more).
            CallError: it was given by somebody who is not signed in.
            TooManyTriesError: too many wrong PINs were tried; it can be handed in again later.
            StoreError: nothing was written.
        """
        reading = self.clock.read()
        known = self.store.answer(call.answer_id)
        if known is None:
            known = self._record(call, inspector_id, reading)
        if call.photograph is not None and self._evidence.get(known.event_id) is None:
            self._keep(known.event_id, base64.b64decode(call.photograph))
        return _answer_shown(known)

    def _record(self, call: AnswerCall, inspector_id: str, reading: Reading) -> Kept:
        if call.inspector_id != inspector_id:
            raise CallError("This answer was given by another inspector.", do="Let them sign in.")
        sheet, check = self._check(call.sheet_id, call.check_id)
        look = self.looks.found(call.look_id, (call.sheet_id, call.check_id)) if call.look_id else None
        said = self._said(call, inspector_id, look)
        placed = answering.place(
            moment(call.answered_ms),
            None if call.sent_ms is None else moment(call.sent_ms),
            reading.wall,
            tolerance=timedelta(seconds=self._settings.bedside.page_clock_tolerance_seconds),
            device_trusted=reading.trusted,
        )
        with self._writing, self.store.store.writing():
            again = self.store.answer(call.answer_id)
            if again is not None:
                return again
            before = self.store.last_answer(call.sheet_id, check.check_id)
            decided = answering.decide(sheet, check, said, placed, before.result if before else None)
            kept = self._write(sheet, check, call, said, placed, decided, before, reading, inspector_id)
        self.after_commit()
        if look is not None and look.crop is not None and decided.verified and call.photograph is None:
            self._keep(kept.event_id, look.crop)
        return kept

    def _said(self, call: AnswerCall, inspector_id: str, look: Look | None) -> Said:
        witness_id, refused = None, False
        if call.witness is not None:
            pin = call.witness.pin.get_secret_value()
            try:
                witness_id = self.sign_ins.witness(call.witness.number, pin, beside=inspector_id)
            except UnknownWitnessError:
                refused = True
        return Said(
            choice=call.choice,
            identifiers=call.identifiers,
            reason=call.reason,
            face=None if look is None else look.face,
            witness_id=witness_id,
            witness_refused=refused,
            confirmed=call.confirmed,
            has_photograph=call.photograph is not None,
        )

    def _check(self, name: str, check_id: str) -> tuple[Sheet, Check]:
        sheet = self.store.opened(name)
        found = None if sheet is None else next((c for c in sheet.checks if c.check_id == check_id), None)
        if sheet is None or found is None:
            raise UnknownCheckError(
                "No such check is open on this device.",
                why="An answer belongs to a drawn patient.",
                do="Open the round first.",
            )
        return sheet, found

    def _write(  # noqa: PLR0917 - everything that an answer consists of
        self,
        sheet: Sheet,
        check: Check,
        call: AnswerCall,
        said: Said,
        placed: Moment,
        decided: Decided,
        before: Kept | None,
        reading: Reading,
        inspector_id: str,
    ) -> Kept:
        trusted = placed.trusted and placed.at >= sheet.due_at - answering.CLOCK_SLACK
        clock = reading.as_event_clock().model_copy(update={"trusted": trusted})
        face = said.face
        compared = None if face is None else face.compared
        position = call.position
        event = SpotCheckAnswered(
            source=device_source(self._settings.device.device_id),
            time=placed.at,
            subject=check.person_id,
            data=SpotCheckData(
                institution_id=sheet.institution_id,
                clock=clock,
                check_id=check.check_id,
                round_id=sheet.round_id,
                visit_id=check.visit_id,
                drawn_at=sheet.drawn_at,
                due_at=sheet.due_at,
                result=decided.result,
                inspector_id=inspector_id,
                answer_id=call.answer_id,
                corrects=None if before is None else before.event_id,
                answer=call.choice.value,
                purpose=check.purpose,
                reason=None if decided.reason is None else str(decided.reason),
                witness_id=said.witness_id,
                identifiers=tuple(identifier.value for identifier in said.identifiers) or None,
                comparison_score=None if compared is None else round(compared.comparison_score, 6),
                threshold=None if compared is None else round(compared.threshold.score, 6),
                false_match_rate=None if compared is None else compared.fmr,
                pad=None if face is None else face.pad,
                engine=None if compared is None else self._engine_name,
                patient_word=call.patient_word,
                position=None
                if position is None
                else Position(
                    latitude=position.latitude,
                    longitude=position.longitude,
                    accuracy_m=position.accuracy_m,
                    taken_at=moment(position.taken_ms),
                ),
                page_time=placed.page_time,
                page_offset_ms=placed.offset_ms,
                received_at=placed.received_at,
            ),
        )
        kept = Kept(
            0,
            call.answer_id,
            check.check_id,
            EventId(event.id),
            call.choice.value,
            decided.result,
            None if decided.reason is None else str(decided.reason),
            placed.at,
        )
        if decided.verified and check.purpose is Purpose.DIALYSIS and face is not None:
            self._log.append(self._presence(event, said, face))
        self._log.append(event, self.store.putting(call.sheet_id, kept))
        return kept

    def _presence(self, answered: SpotCheckAnswered, said: Said, face: Face) -> Presence:
        """The presence in the middle of a session that the audit asks for, beside the answer itself."""
        assert face.compared is not None
        return Presence(
            source=answered.source,
            time=answered.time,
            subject=answered.subject,
            data=AttendanceData(
                institution_id=answered.data.institution_id,
                clock=answered.data.clock,
                purpose=Purpose.DIALYSIS,
                outcome=Outcome.MATCH,
                pad=face.pad,
                comparison_score=round(face.compared.comparison_score, 6),
                threshold=round(face.compared.threshold.score, 6),
                false_match_rate=face.compared.fmr,
                engine=self._engine_name,
                identifiers=tuple(identifier.value for identifier in said.identifiers),
                attempts=1,
            ),
        )

    def _keep(self, event_id: EventId, picture: bytes) -> None:
        try:
            self._evidence.put(event_id, picture)
        except OSError as error:
            LOGGER.warning("no picture was kept for event %s: %s", event_id, error)


def look_shown(look: Look) -> LookShown:
    """What the page is told of a look."""
    face, compared = look.face, None if look.face is None else look.face.compared
    return LookShown(
        look_id=look.look_id,
        guidance=look.guidance,
        verdict=None if face is None else face.verdict,
        comparison_score=None if compared is None else round(compared.comparison_score, 4),
        threshold=None if compared is None else round(compared.threshold.score, 4),
        false_match_rate=None if compared is None else compared.fmr,
        pad=None if face is None else face.pad.value,
    )


def _answer_shown(kept: Kept) -> AnswerShown:
    return AnswerShown(
        answer_id=kept.answer_id,
        check_id=kept.check_id,
        event_id=kept.event_id,
        choice=kept.choice,
        result=kept.result,
        reason=kept.reason,
        at=kept.at,
    )
