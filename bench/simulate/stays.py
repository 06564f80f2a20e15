"""A month on the wards: admissions, bed days, leaves, checks, and beds billed while nobody lies in them."""

from dataclasses import dataclass, field

import numpy as np

from renzheng.bench.simulate import rates
from renzheng.bench.simulate.ledger import DAY, HOUR, MINUTE, Check, Leave, Ledger, Line, Stay, Truth
from renzheng.bench.simulate.recorder import Recorder
from renzheng.bench.simulate.world import County, Institution, Person

BED_CENTS = {"BED": 4_000, "BED2": 8_000}
BILLED_AT_S = 8 * HOUR
ROUNDS_A_MONTH = 13
DEPARTMENTS = ("内科", "外科", "骨科", "康复科", "中医科")


@dataclass(slots=True)
class PlannedStay:
    """A stay before it is played: whole local days from `first` to `last`.

    Args:
        hang_bed: whether the patient lives at home meanwhile.
        infusions: of those, whether they come by each morning.
        item: what the bed costs.
        billed_after: days billed after discharge.
    """

    stay: Stay
    person: Person
    hospital: Institution
    first: int
    last: int
    hang_bed: bool
    infusions: bool
    item: str
    billed_after: int = 0
    leaves: list[Leave] = field(default_factory=list)


@dataclass(slots=True)
class WardMonth:
    """Plays the wards of a county.

    Args:
        stays_of: per person and day as a real inpatient: hospital and visit.
        dialysis_days: of whom it is known on which days they dialyse.
    """

    random: np.random.Generator
    county: County
    ledger: Ledger
    recorder: Recorder
    days: int
    planned: list[PlannedStay] = field(default_factory=list)
    stays_of: dict[tuple[str, int], tuple[str, str]] = field(default_factory=dict)
    dialysis_days: set[tuple[str, int]] = field(default_factory=set)

    def plan(self) -> None:
        """Plan every stay: dialysis patients are admitted twice as often."""
        dialysing = {patient.person.person_id for patient in self.county.dialysis}
        for person in self.county.persons:
            often = rates.ADMISSION_ON_DIALYSIS if person.person_id in dialysing else rates.ADMISSION_A_MONTH
            if self.random.random() >= often * self.days / 30:
                continue
            length = int(np.clip(self.random.gamma(2.2, 3.5), 1, 40))
            first = int(self.random.integers(-5, self.days))
            alive_until = self.days if person.death_day is None else person.death_day
            if first >= alive_until:
                continue
            self._plan_stay(person, first, first + length, alive_until, person.person_id in dialysing)

    def _plan_stay(self, person: Person, first: int, last: int, alive_until: int, dialysing: bool) -> None:
        hospital = self._hospital()
        dies_here = last > alive_until < self.days
        last = min(last, alive_until) if dies_here else last
        hang_bed = not dialysing and not dies_here and self.random.random() < rates.HANG_BED
        self._add(person, hospital, first, last, hang_bed=hang_bed)
        if (
            not hang_bed
            and not dies_here
            and not dialysing
            and last + 4 < min(self.days, alive_until)
            and self.random.random() < rates.TRANSFERRED
        ):
            self._add(
                person, self._hospital(apart_from=hospital), last, last + 4, hang_bed=False, transferred=True
            )

    def _hospital(self, apart_from: Institution | None = None) -> Institution:
        choices = [one for one in self.county.institutions if one is not apart_from]
        return choices[int(self.random.integers(0, len(choices)))]

    def _add(
        self,
        person: Person,
        hospital: Institution,
        first: int,
        last: int,
        *,
        hang_bed: bool,
        transferred: bool = False,
    ) -> None:
        arrives = (17 * HOUR, 18 * HOUR) if transferred else (8 * HOUR, 14 * HOUR)
        outlasts = last >= self.days
        ward = int(self.random.integers(0, len(hospital.ward_cameras)))
        stay = Stay(
            visit_id=self.ledger.number("Z"),
            institution_id=hospital.institution_id,
            person_id=person.person_id,
            admitted_at=first * DAY + int(self.random.integers(*arrives)),
            discharged_at=None
            if outlasts
            else last * DAY + int(self.random.integers(14 * HOUR + 1, 16 * HOUR)),
            department=DEPARTMENTS[int(self.random.integers(0, len(DEPARTMENTS)))],
            ward=hospital.ward_cameras[ward],
            bed=f"{ward + 1}{int(self.random.integers(1, 60)):02d}",
        )
        self.ledger.stays.append(stay)
        planned = PlannedStay(
            stay,
            person,
            hospital,
            first,
            last,
            hang_bed,
            hang_bed and self.random.random() < rates.INFUSIONS_ONLY,
            "BED2" if self.random.random() < rates.DOUBLE_ROOM else "BED",
            2 if hang_bed and not outlasts and self.random.random() < rates.BILLED_AFTER_DISCHARGE else 0,
        )
        self.planned.append(planned)
        if not hang_bed:
            for day in range(first, last + 1):
                self.stays_of[person.person_id, day] = (hospital.institution_id, stay.visit_id)

    def play(self) -> None:
        """Play every planned stay, day by day, then the rounds of checks."""
        for planned in self.planned:
            for day in range(max(planned.first, 0), min(planned.last, self.days)):
                self._bill(planned, day)
                if planned.hang_bed:
                    self._at_home(planned, day)
                else:
                    self._in_bed(planned, day)
            billed = planned.last + 1
            for day in range(max(billed, 0), min(billed + planned.billed_after, self.days)):
                self._bill(planned, day)
            self._bill_the_dead(planned)
        self._rounds()

    def leave_for_dialysis(
        self, person: Person, hospital_id: str, visit_id: str, left_at: int, back_at: int
    ) -> None:
        """Write the leave of an inpatient who dialyses at another hospital."""
        self._leave(person.person_id, hospital_id, visit_id, "transfer", left_at, back_at)

    def _leave(  # noqa: PLR0917 - a leave's own facts, in the order of the form
        self,
        person_id: str,
        hospital_id: str,
        visit_id: str,
        kind: str,
        left_at: int,
        back_at: int,
        recorded_at: int | None = None,
    ) -> Leave:
        leave = Leave(
            visit_id,
            hospital_id,
            person_id,
            kind,
            left_at,
            back_at,
            back_at - int(self.random.integers(0, 20)) * MINUTE
            if self.random.random() < rates.RETURN_RECORDED
            else None,
            f"{hospital_id}-dr-{int(self.random.integers(0, 6))}",
            left_at - 2 * HOUR if recorded_at is None else recorded_at,
        )
        self.ledger.leaves.append(leave)
        return leave

    def _bill(self, planned: PlannedStay, day: int, truth: Truth | None = None) -> None:
        stay = planned.stay
        self.ledger.lines.append(
            Line(
                line_id=f"{stay.institution_id}:{stay.visit_id}:{self.ledger.number('L')}",
                institution_id=stay.institution_id,
                visit_id=stay.visit_id,
                person_id=stay.person_id,
                visit_type="inpatient",
                item=planned.item,
                at=day * DAY + BILLED_AT_S + int(self.random.integers(0, 90)) * MINUTE,
                quantity=1,
                cents=BED_CENTS[planned.item],
                truth=truth or (Truth.HANG_BED if planned.hang_bed else Truth.GENUINE),
                department=stay.department,
            )
        )

    def _in_bed(self, planned: PlannedStay, day: int) -> None:
        """Play a day of somebody who is there: the ward's camera sees most, some go away on leave."""
        stay, chance = planned.stay, self.random.random()
        admission_day = day == planned.first
        busy = (stay.person_id, day) in self.dialysis_days
        if not admission_day and not busy and chance < rates.LEAVE:
            planned.leaves.append(
                self._leave(
                    stay.person_id,
                    stay.institution_id,
                    stay.visit_id,
                    "leave",
                    day * DAY - HOUR,
                    (day + 1) * DAY + 8 * HOUR,
                )
            )
            return
        if not admission_day and not busy and chance - rates.LEAVE < rates.EXAMINATION:
            self._examination(planned, day)
            return
        moments = []
        if not busy:  # the unit's own kiosk shows who dialyses
            start = stay.admitted_at % DAY + MINUTE if admission_day else 6 * HOUR
            moments = [day * DAY + int(self.random.integers(start, 22 * HOUR)) for _ in range(2)]
        away = [
            leave for leave in planned.leaves if leave.left_at < (day + 1) * DAY and leave.end > day * DAY
        ]
        for moment in moments:
            if (
                self.random.random() < rates.SEEN_BY_CAMERA
                and self.recorder.lives[stay.ward].is_up(moment)
                and not any(leave.left_at <= moment <= leave.end for leave in away)
            ):
                self.recorder.event(stay.ward, stay.person_id, "presence", moment)

    def _examination(self, planned: PlannedStay, day: int) -> None:
        """Send a patient to another hospital's clinic for an examination, with a leave."""
        stay = planned.stay
        left = day * DAY + int(self.random.integers(9, 13)) * HOUR
        leave = self._leave(
            stay.person_id, stay.institution_id, stay.visit_id, "examination", left, left + 4 * HOUR
        )
        planned.leaves.append(leave)
        other = self._hospital(apart_from=planned.hospital)
        if (
            self.recorder.lives[other.desk].is_up(left + HOUR)
            and self.random.random() < rates.SHOWN_AT_EXAMINATION
        ):
            self.recorder.event(other.desk, stay.person_id, "sign_in", left + HOUR)

    def _at_home(self, planned: PlannedStay, day: int) -> None:
        """Play a day of a hang-bed stay: an infusion in the morning, a clinic elsewhere, or nothing."""
        stay = planned.stay
        moment = day * DAY + int(self.random.integers(9 * HOUR, 11 * HOUR))
        if planned.infusions and self.random.random() < rates.CAME_FOR_INFUSION:
            if self.recorder.lives[stay.ward].is_up(moment):
                self.recorder.event(stay.ward, stay.person_id, "presence", moment)
        elif self.random.random() < rates.SEEN_ELSEWHERE:
            other = self._hospital(apart_from=planned.hospital)
            if self.recorder.lives[other.desk].is_up(moment):
                self.recorder.event(other.desk, stay.person_id, "sign_in", moment)

    def _bill_the_dead(self, planned: PlannedStay) -> None:
        death = planned.person.death_day
        if (
            death is not None
            and planned.last == death
            and self.random.random() < rates.BED_BILLED_AFTER_DEATH
        ):
            for day in range(death + 1, min(death + 4, self.days)):
                self._bill(planned, day, Truth.AFTER_DEATH)

    def _rounds(self) -> None:
        """Check beds: thirteen rounds a month, each at six hospitals, ten beds drawn at each."""
        for number in range(max(1, ROUNDS_A_MONTH * self.days // 30)):
            day = int(self.random.integers(0, self.days))
            round_id = f"R{number + 1:03d}"
            for index in self.random.choice(len(self.county.institutions), 6, replace=False):
                hospital = self.county.institutions[int(index)]
                drawn_at = day * DAY + int(self.random.integers(9 * HOUR, 20 * HOUR))
                here = [
                    planned
                    for planned in self.planned
                    if planned.hospital is hospital
                    and planned.stay.admitted_at < drawn_at
                    and (planned.stay.discharged_at is None or planned.stay.discharged_at > drawn_at + HOUR)
                    and planned.first < day < planned.last
                ]
                for chosen in self.random.permutation(len(here))[:10]:
                    self._check(here[int(chosen)], round_id, drawn_at)

    def _check(self, planned: PlannedStay, round_id: str, drawn_at: int) -> None:
        stay = planned.stay
        at = drawn_at + int(self.random.integers(3, 28)) * MINUTE
        own = [
            leave
            for leave in self.ledger.leaves
            if leave.visit_id == stay.visit_id and leave.left_at <= at <= leave.end
        ]
        result = self._result(planned, at, away=bool(own))
        if planned.hang_bed and result == "absent" and self.random.random() < rates.LEAVE_MADE_UP:
            self._leave(
                stay.person_id,
                stay.institution_id,
                stay.visit_id,
                "leave",
                at - HOUR,
                at + 3 * HOUR,
                at + 2 * HOUR,
            )
        self.ledger.checks.append(
            Check(
                self.ledger.number("C"),
                round_id,
                stay.institution_id,
                stay.visit_id,
                stay.person_id,
                drawn_at,
                drawn_at + 30 * MINUTE,
                None if result == "unanswered" else at,
                result,
                f"inspector-{int(self.random.integers(1, 5))}",
            )
        )

    def _result(self, planned: PlannedStay, at: int, *, away: bool) -> str:
        chance = self.random.random()
        if chance < rates.UNANSWERED:
            return "unanswered"
        if planned.hang_bed:
            return "identity_mismatch" if chance - rates.UNANSWERED < rates.IDENTITY_MISMATCH else "absent"
        if away:
            return "away_approved" if chance < rates.AWAY_APPROVED else "absent"
        if self._elsewhere_now(planned.stay.person_id, at):
            return "unanswered"
        return "refused" if chance - rates.UNANSWERED < rates.REFUSED else "present"

    def _elsewhere_now(self, person_id: str, at: int) -> bool:
        """Whether somebody is at the unit just then: the inspector is told, and no answer is given."""
        return (person_id, at // DAY) in self.dialysis_days and at % DAY < 22 * HOUR
