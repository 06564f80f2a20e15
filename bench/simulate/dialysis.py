"""A month at the dialysis units: who comes, what is billed for it, and what though nobody came."""

from dataclasses import dataclass, field

import numpy as np

from renzheng.bench.simulate import rates
from renzheng.bench.simulate.allows import of_session
from renzheng.bench.simulate.ledger import DAY, HOUR, MINUTE, Event, Ledger, Line, Session, Truth
from renzheng.bench.simulate.recorder import ArrivalKind, Recorder
from renzheng.bench.simulate.world import (
    SHIFT_START_HOURS,
    WEEKDAYS,
    County,
    DialysisPatient,
    Pattern,
    Person,
)

PRICE_CENTS = {"HD": 40_000, "HDF": 62_000, "HF": 55_000, "HP": 78_000}
BILLED_AFTER_DEATH_DAYS = 7
LATE_BILL_S = 21 * HOUR + 30 * MINUTE

ARRIVALS: tuple[tuple[ArrivalKind, float], ...] = (
    ("match", 0.9),
    ("retry_match", 0.04),
    ("manual", 0.03),
    ("declined", 0.02),
    ("pad_not_shown", 0.01),
)
"""How genuine arrivals go; the rest of the noise is in the devices (`coverage`)."""


@dataclass(slots=True)
class DialysisMonth:
    """Plays the units of a county; keeps every session, and the days on which somebody really came.

    Args:
        stays_of: per person, days as an inpatient: the hospital and the visit.
        away: each session of somebody who is an inpatient elsewhere, for which a leave is to be written.
        planted: persons and days for which a session was billed for nothing.
        attended: persons and days on which they really dialysed, whether or not anything recorded it.
    """

    random: np.random.Generator
    county: County
    ledger: Ledger
    recorder: Recorder
    days: int
    stays_of: dict[tuple[str, int], tuple[str, str]]
    sessions: list[Session] = field(default_factory=list)
    away: list[tuple[Person, str, str, int, int]] = field(default_factory=list)
    planted: set[tuple[str, int]] = field(default_factory=set)
    attended: set[tuple[str, int]] = field(default_factory=set)

    def play_day(self, day: int) -> None:
        """Play one day at every unit."""
        for patient in self.county.dialysis:
            death = patient.person.death_day
            if death is not None and day >= death:
                if day > death:
                    self._after_death(patient, day)
                continue
            if day % 7 in WEEKDAYS[patient.pattern]:
                self._due(patient, day)
            elif self._is_quiet(patient, day):
                self._not_due(patient, day)
        if self.random.random() < rates.CAPACITY_PADDING_DAY:
            self._capacity_padding(day)

    def _due(self, patient: DialysisPatient, day: int) -> None:
        """Play a day on which the patient is expected."""
        if self.random.random() < rates.NO_SHOW:
            return
        if self.random.random() < rates.FRAUD_IN_PLACE and self._is_quiet(patient, day):
            self._fraud_in_place(patient, day)
            return
        at = day * DAY + patient.hour * HOUR + int(self.random.integers(-20, 40)) * MINUTE
        session = self._attend(patient, at, self._arrival())
        line = self._bill(patient, session, at, self._item(patient), Truth.GENUINE)
        if patient.pattern in {Pattern.SHORT_DAILY, Pattern.NOCTURNAL}:
            return
        if self._recorded_oddly(session):
            return
        if self._billed_oddly(session, line):
            return
        self._extras(patient, session, line)

    def _recorded_oddly(self, session: Session) -> bool:
        """Let the patient sign in a second time, or begin by signing in and straight out again."""
        sign_in, chance = session.sign_in, self.random.random()
        if sign_in is None or not sign_in.verified or session.sign_out is None:
            return False
        life = self.recorder.lives[sign_in.device_id]
        if chance < rates.SIGNED_IN_TWICE and life.is_up(sign_in.at + 2 * MINUTE):
            at, session_id = sign_in.at + 2 * MINUTE, sign_in.session_id
            self.recorder.event(life.device_id, session.person_id, "sign_in", at, session_id=session_id)
            return True
        early = sign_in.at - 15 * MINUTE
        if (
            chance - rates.SIGNED_IN_TWICE < rates.FALSE_START
            and life.is_up(early)
            and life.is_up(early + 6 * MINUTE)
        ):
            false = Session(session.institution_id, session.person_id, session.need_minutes)
            session_id = self.recorder.session_id()
            false.sign_in, false.sign_out = (
                self.recorder.event(life.device_id, session.person_id, kind, moment, session_id=session_id)
                for kind, moment in (("sign_in", early), ("sign_out", early + 6 * MINUTE))
            )
            self.sessions.append(false)
            return True
        return False

    def _billed_oddly(self, session: Session, line: Line) -> bool:
        """Bill before the patient has come, or an evening's session only after midnight."""
        chance = self.random.random()
        if chance < rates.BILLED_EARLY:
            line.at -= 2 * HOUR
            return True
        sign_in, tomorrow = session.sign_in, line.at // DAY + 1
        evening = sign_in is not None and sign_in.at % DAY > (SHIFT_START_HOURS[-1] - 1) * HOUR
        if evening and chance - rates.BILLED_EARLY < rates.BILLED_NEXT_DAY and tomorrow < self.days:
            if of_session(session) == "supported":
                line.at = tomorrow * DAY + 20 * MINUTE
            return True
        return False

    def _attend(
        self, patient: DialysisPatient, at: int, kind: ArrivalKind, minutes: int | None = None
    ) -> Session:
        planned = patient.minutes if minutes is None else minutes
        actual = planned if minutes is not None else int(planned * self.random.uniform(0.8, 1.05))
        session = self.recorder.dialyse(
            patient, at, actual, kind, named=self.random.random() < rates.NAMED_BY_MACHINE
        )
        self.sessions.append(session)
        self.attended.update(
            (patient.person.person_id, moment // DAY) for moment in (at, at + actual * MINUTE)
        )
        stay = self.stays_of.get((patient.person.person_id, at // DAY))
        if stay is not None and stay[0] != patient.site.institution_id:
            self.away.append((patient.person, *stay, at - HOUR, at + actual * MINUTE + 3 * HOUR))
        return session

    def _arrival(self) -> ArrivalKind:
        chance = self.random.random()
        for kind, share in ARRIVALS:
            chance -= share
            if chance < 0:
                return kind
        return "match"

    def _item(self, patient: DialysisPatient) -> str:
        if patient.pattern in {Pattern.SHORT_DAILY, Pattern.NOCTURNAL}:
            return "HD"
        chance = self.random.random()
        if chance < rates.HAEMODIAFILTRATION:
            return "HDF"
        return "HF" if chance - rates.HAEMODIAFILTRATION < rates.HAEMOFILTRATION else "HD"

    def _bill(
        self,
        patient: DialysisPatient,
        session: Session | None,
        at: int,
        item: str,
        truth: Truth,
        *,
        taken: bool = False,
    ) -> Line:
        """Bill a session: usually within the hour, now and then only in the evening of the day."""
        every_other_day = patient.pattern not in {Pattern.SHORT_DAILY, Pattern.NOCTURNAL}
        late = self.random.random() < rates.LATE_BILLING and every_other_day
        billed_at = (
            at // DAY * DAY + LATE_BILL_S
            if late and not taken
            else at + int(self.random.integers(5, 55)) * MINUTE
        )
        stay = self.stays_of.get((patient.person.person_id, at // DAY))
        inpatient = stay is not None and stay[0] == patient.site.institution_id
        visit = stay[1] if stay is not None and inpatient else self.ledger.number("V")
        line = Line(
            line_id=f"{patient.site.institution_id}:{visit}:{self.ledger.number('L')}",
            institution_id=patient.site.institution_id,
            visit_id=visit,
            person_id=patient.person.person_id,
            visit_type="inpatient" if inpatient else "outpatient",
            item=item,
            at=billed_at,
            quantity=1,
            cents=PRICE_CENTS[item],
            truth=truth,
            session=None if taken else session,
            taken=taken,
            doctor_id=f"{patient.site.institution_id}-dr-{int(self.random.integers(0, 6))}",
            department="血液净化",
        )
        self.ledger.lines.append(line)
        return line

    def _extras(self, patient: DialysisPatient, session: Session, line: Line) -> None:
        """Bill what may come with a session: a perfusion, a line reversed, a padded second session."""
        chance = self.random.random()
        if chance < rates.PERFUSION:
            extra = self._bill(patient, session, line.at - 10 * MINUTE, "HP", Truth.GENUINE)
            extra.at = line.at
        elif (chance := chance - rates.PERFUSION) < rates.REVERSED:
            wrong = self._bill(patient, session, line.at - 10 * MINUTE, line.item, Truth.GENUINE)
            wrong.at = line.at
            wrong.dropped = True
            self._reverse(wrong, wrong.quantity)
        elif (chance := chance - rates.REVERSED) < rates.PARTLY_REVERSED:
            line.quantity, line.cents = 2, line.cents * 2
            self._reverse(line, 1)
        elif (
            (chance := chance - rates.PARTLY_REVERSED) < rates.PADDED
            and session.sign_in is not None
            and session.sign_out is not None
        ):
            second = self._bill(patient, None, line.at, line.item, Truth.PADDED_SESSION, taken=True)
            latest = line.at // DAY * DAY + 23 * HOUR + 30 * MINUTE
            second.at = min(max(line.at, session.sign_out.at) + 2 * HOUR, latest)

    def _reverse(self, line: Line, quantity: float) -> None:
        share = quantity / line.quantity
        self.ledger.lines.append(
            Line(
                line_id=f"{line.institution_id}:{line.visit_id}:{self.ledger.number('L')}",
                institution_id=line.institution_id,
                visit_id=line.visit_id,
                person_id=line.person_id,
                visit_type=line.visit_type,
                item=line.item,
                at=line.at + 30 * MINUTE,
                quantity=-quantity,
                cents=-int(line.cents * share),
                truth=line.truth,
                reverses=line.line_id,
                department=line.department,
            )
        )

    def _is_quiet(self, patient: DialysisPatient, day: int) -> bool:
        """Whether nothing else of that person can be mistaken for a session that day."""
        regular = patient.pattern in {Pattern.ODD, Pattern.EVEN, Pattern.TWICE}
        return regular and (patient.person.person_id, day) not in self.stays_of

    def _fraud_in_place(self, patient: DialysisPatient, day: int) -> None:
        """Plant a fraud in place of a session that was due."""
        at = day * DAY + patient.hour * HOUR + int(self.random.integers(0, 30)) * MINUTE
        chance = self.random.random()
        if chance < rates.OF_WHICH_LENT_CARD:
            self._lent_card(patient, at)
        elif chance - rates.OF_WHICH_LENT_CARD < rates.OF_WHICH_IMPERSONATION:
            self._impersonation(patient, at)
        else:
            self._collusion(patient, at)

    def _lent_card(self, patient: DialysisPatient, at: int) -> None:
        """The patient shows face and card, takes the money and goes home."""
        found = self.recorder.first_up(patient.site.kiosks, at)
        if found is None:
            return
        device, begin = found
        session = Session(patient.site.institution_id, patient.person.person_id, patient.need_minutes)
        session_id = self.recorder.session_id()
        session.sign_in = self.recorder.event(
            device, session.person_id, "sign_in", begin, session_id=session_id
        )
        leaving = begin + int(self.random.integers(4, 30)) * MINUTE
        if self.random.random() < rates.LENDER_SIGNS_OUT and self.recorder.lives[device].is_up(leaving):
            session.sign_out = self.recorder.event(
                device, session.person_id, "sign_out", leaving, session_id=session_id
            )
        self.sessions.append(session)
        self._bill(patient, session, begin, "HD", Truth.LENT_CARD)

    def _impersonation(self, patient: DialysisPatient, at: int) -> None:
        """Somebody else dialyses on the patient's card: refused by the kiosk, or let through as a twin."""
        twin = patient.person.twin_of is not None and self.random.random() < rates.TWIN_SITS_IN
        kind: ArrivalKind = (
            "match"
            if twin
            else ("impostor" if self.random.random() < rates.FACE_NOT_PHOTOGRAPH else "attack")
        )
        session = self.recorder.dialyse(patient, at, patient.minutes, kind, named=twin)
        self.sessions.append(session)
        self._bill(patient, session, at, "HD", Truth.IMPERSONATION)

    def _collusion(self, patient: DialysisPatient, at: int) -> None:
        """A nurse vouches for somebody who is not there; the machine stands still."""
        found = self.recorder.first_up(patient.site.kiosks, at)
        if found is None:
            return
        session = Session(patient.site.institution_id, patient.person.person_id, patient.need_minutes)
        session_id = self.recorder.session_id()
        device, begin = found

        def vouch(device: str, event_type: str, at: int) -> Event:
            return self.recorder.event(
                device,
                session.person_id,
                event_type,
                at,
                outcome="manual",
                pad="not_shown",
                witness_id=f"{session.institution_id}-nurse-0",
                session_id=session_id,
            )

        session.sign_in = vouch(device, "sign_in", begin)
        later = self.recorder.first_up(patient.site.kiosks, begin + patient.minutes * MINUTE)
        if later is not None:
            session.sign_out = vouch(later[0], "sign_out", later[1])
        self.sessions.append(session)
        self._bill(patient, session, begin, "HD", Truth.WITNESS_COLLUSION)

    def _not_due(self, patient: DialysisPatient, day: int) -> None:
        """Plant a session on a free day: at a time far from the real sessions of the days beside it."""
        if self.random.random() < rates.PHANTOM:
            self._phantom(patient, day, Truth.PHANTOM_DIALYSIS)

    def _phantom(self, patient: DialysisPatient, day: int, truth: Truth) -> None:
        at = day * DAY + 11 * HOUR + int(self.random.integers(0, 120)) * MINUTE
        self.planted.add((patient.person.person_id, day))
        if truth is Truth.PHANTOM_DIALYSIS and self.random.random() < rates.PHANTOM_ELSEWHERE:
            elsewhere = self.county.plain_hospitals[
                int(self.random.integers(0, len(self.county.plain_hospitals)))
            ]
            if self.recorder.lives[elsewhere.desk].is_up(at):
                self.recorder.event(elsewhere.desk, patient.person.person_id, "sign_in", at)
        line = self._bill(patient, None, at, "HD", truth)
        line.at = at + int(self.random.integers(0, 30)) * MINUTE

    def _capacity_padding(self, day: int) -> None:
        """Bill at one unit in one day more sessions than its machines can run."""
        site = self.county.sites[int(self.random.integers(0, len(self.county.sites)))]
        free = [
            patient
            for patient in self.county.dialysis
            if patient.site is site
            and day % 7 not in WEEKDAYS[patient.pattern]
            and self._is_quiet(patient, day)
            and (patient.person.death_day is None or day < patient.person.death_day)
            and (patient.person.person_id, day) not in self.planted
        ]
        for patient in free[: max(2, site.machines // 2)]:
            self._phantom(patient, day, Truth.CAPACITY_PADDING)

    def _after_death(self, patient: DialysisPatient, day: int) -> None:
        """Go on billing for the dead, here and there, for a week."""
        assert patient.person.death_day is not None
        if (
            day - patient.person.death_day <= BILLED_AFTER_DEATH_DAYS
            and day % 7 in WEEKDAYS[patient.pattern]
            and self.random.random() < rates.BILLED_AFTER_DEATH
        ):
            self._phantom(patient, day, Truth.AFTER_DEATH)
