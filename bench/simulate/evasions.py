"""Institutions that bill for nobody and hide it, one trick each: small units beside a county.

Each has patients who really come, and besides them sessions or beds that never were, kept out of the audit's
sight by one means. What must be found is that *some* finding or contradicted line names the institution.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from renzheng.bench.simulate.coverage import DeviceLife, Gap, live
from renzheng.bench.simulate.ledger import DAY, HOUR, MINUTE, Leave, Ledger, Line, Session, Stay, Truth
from renzheng.bench.simulate.recorder import Recorder
from renzheng.bench.simulate.world import DialysisPatient, Institution, Pattern, Person

PATIENTS = 8
PHANTOMS_A_DAY = 3
INPATIENTS = 6
PRICE_CENTS = 40_000
BED_CENTS = 4_000
YEAR_S = 365 * DAY


@dataclass(slots=True)
class Unit:
    """One institution with a trick.

    Args:
        patients: who really come, every other day.
        phantoms: whose sessions are billed and never were.
        life: of its one kiosk.
    """

    institution: Institution
    patients: tuple[DialysisPatient, ...]
    phantoms: tuple[Person, ...]
    life: DeviceLife

    @property
    def people(self) -> tuple[Person, ...]:
        """Return everybody whom it bills for."""
        return (*(patient.person for patient in self.patients), *self.phantoms)


@dataclass(frozen=True, slots=True)
class Stage:
    """What the tricks work on."""

    random: np.random.Generator
    ledger: Ledger
    recorder: Recorder
    days: int


def plan_units(random: np.random.Generator, days: int, first_person: int) -> list[Unit]:
    """Make one unit a trick, with people of its own; the number of the first of them is given."""
    units, number = [], first_person
    for index in range(len(TRICKS)):
        people = []
        for _ in range(PATIENTS + PHANTOMS_A_DAY * 3 + INPATIENTS):
            people.append(Person(f"P{number:07d}", "MF"[number % 2], 1950 + number % 40, None))
            number += 1
        institution = _institution(index)
        patients = tuple(
            DialysisPatient(
                person,
                institution,
                (Pattern.ODD, Pattern.EVEN)[k % 2],
                7 + 5 * (k // 2 % 2),
                240,
                prescribed=True,
            )
            for k, person in enumerate(people[:PATIENTS])
        )
        life = live(random, institution.kiosks[0], institution.institution_id, "dialysis", days)
        life.gaps, life.untrusted_days = [], frozenset()
        units.append(Unit(institution, patients, tuple(people[PATIENTS:]), life))
    return units


def _institution(index: int) -> Institution:
    own = f"E{index + 1:02d}"
    return Institution(
        own,
        f"民营第{index + 1}医院",
        beds=60,
        machines=12,
        kiosks=(f"{own}-kiosk",),
        machine_log=True,
        ward_cameras=(f"{own}-ward",),
        desk=f"{own}-desk",
    )


def live_units(random: np.random.Generator, units: Sequence[Unit], days: int) -> dict[str, DeviceLife]:
    """Return the lives of the units' devices by id."""
    lives = {}
    for unit in units:
        own = unit.institution
        lives[unit.life.device_id] = unit.life
        for device, purpose in ((own.ward_cameras[0], "inpatient"), (own.desk, "outpatient")):
            lives[device] = live(random, device, own.institution_id, purpose, days)
    return lives


def play_units(stage: Stage, units: Sequence[Unit]) -> list[Session]:
    """Play each unit's month: what really was, then its trick; return the real sessions."""
    sessions: list[Session] = []
    for unit, trick in zip(units, TRICKS.values(), strict=False):
        sessions += _real_month(stage, unit)
        trick(stage, unit)
    return sessions


def _real_month(stage: Stage, unit: Unit) -> list[Session]:
    sessions = []
    for day in range(stage.days):
        for number, patient in enumerate(unit.patients):
            if day % 2 != number % 2:
                continue
            at = day * DAY + patient.hour * HOUR + int(stage.random.integers(0, 40)) * MINUTE
            session = stage.recorder.dialyse(patient, at, 235, "match")
            sessions.append(session)
            _bill(stage, unit, patient.person, at + 30 * MINUTE, Truth.GENUINE, session=session)
    return sessions


def _bill(
    stage: Stage,
    unit: Unit,
    person: Person,
    at: int,
    truth: Truth,
    *,
    session: Session | None = None,
    item: str = "HD",
) -> Line:
    own, visit = unit.institution.institution_id, stage.ledger.number("V")
    line = Line(
        line_id=f"{own}:{visit}:{stage.ledger.number('L')}",
        institution_id=own,
        visit_id=visit,
        person_id=person.person_id,
        visit_type="outpatient",
        item=item,
        at=at,
        quantity=1,
        cents=PRICE_CENTS,
        truth=truth,
        session=session,
        department="血液净化",
    )
    stage.ledger.lines.append(line)
    return line


def _phantoms(stage: Stage, unit: Unit) -> list[Line]:
    """Bill three sessions a day that never were."""
    lines = []
    for day in range(stage.days):
        for k in range(PHANTOMS_A_DAY):
            person = unit.phantoms[(day % 3) * PHANTOMS_A_DAY + k]
            at = day * DAY + 10 * HOUR + int(stage.random.integers(0, 90)) * MINUTE
            lines.append(_bill(stage, unit, person, at, Truth.PHANTOM_DIALYSIS))
    return lines


def _blank_names(stage: Stage, unit: Unit) -> None:
    for line in _phantoms(stage, unit):
        line.name = ""


def _unknown_codes(stage: Stage, unit: Unit) -> None:
    for line in _phantoms(stage, unit):
        line.item, line.name = "331199999", "血液透析（特需）"


def _borrowed_ids(stage: Stage, unit: Unit) -> None:
    others = [
        line.line_id for line in stage.ledger.lines if line.institution_id != unit.institution.institution_id
    ]
    for line, other in zip(_phantoms(stage, unit), others, strict=False):
        line.line_id = other


def _orphan_reversals(stage: Stage, unit: Unit) -> None:
    """Positive lines that claim to reverse something, and negative ones that reverse nothing."""
    for number, line in enumerate(_phantoms(stage, unit)):
        line.reverses = f"{line.line_id}-0"
        if number % 3 == 0:
            line.quantity, line.cents = -1, -line.cents


def _wrong_years(stage: Stage, unit: Unit) -> None:
    for line in _phantoms(stage, unit):
        line.at -= YEAR_S


def _coverage_short(stage: Stage, unit: Unit) -> None:
    """A kiosk that fails for an hour and a half each day: just too long to say that nobody came."""
    _phantoms(stage, unit)
    unit.life.gaps = [
        Gap(day * DAY + 14 * HOUR, day * DAY + 15 * HOUR + 30 * MINUTE, "down") for day in range(stage.days)
    ]


def _untrusted_clocks(stage: Stage, unit: Unit) -> None:
    """Whoever is at the kiosk signs in for the absent while its clock is set by hand."""
    for line in _phantoms(stage, unit):
        event = stage.recorder.event(
            unit.life.device_id, line.person_id, "sign_in", line.at - HOUR, outcome="match"
        )
        stage.ledger.events[-1] = replace(event, clock_trusted=False)


def _shields(stage: Stage, unit: Unit) -> None:
    """A name typed in front of an empty kiosk: the devices missed something."""
    for line in _phantoms(stage, unit):
        at = line.at // DAY * DAY + 6 * HOUR
        stage.recorder.event(
            unit.life.device_id, line.person_id, "sign_in", at, outcome="not_acquired", pad="not_shown"
        )


def _stays(stage: Stage, unit: Unit) -> list[Stay]:
    """Admit six people for the month; a camera sees them on half of the days."""
    own = unit.institution
    stays: list[Stay] = []
    for person in unit.phantoms[-INPATIENTS:]:
        stay = Stay(
            stage.ledger.number("Z"),
            own.institution_id,
            person.person_id,
            9 * HOUR,
            None,
            "内科",
            own.ward_cameras[0],
            f"1{len(stays):02d}",
        )
        stage.ledger.stays.append(stay)
        stays.append(stay)
    return stays


def _bill_bed(stage: Stage, unit: Unit, stay: Stay, day: int, truth: Truth) -> None:
    person = next(one for one in unit.phantoms if one.person_id == stay.person_id)
    line = _bill(stage, unit, person, day * DAY + 8 * HOUR, truth, item="BED")
    line.visit_id, line.visit_type, line.cents, line.department = (
        stay.visit_id,
        "inpatient",
        BED_CENTS,
        "内科",
    )


def _five_fold_beds(stage: Stage, unit: Unit) -> None:
    for stay in _stays(stage, unit):
        for day in range(1, stage.days):
            camera = unit.institution.ward_cameras[0]
            moment = day * DAY + int(stage.random.integers(9 * HOUR, 20 * HOUR))
            if day % 2 and stage.recorder.lives[camera].is_up(moment):
                stage.recorder.event(camera, stay.person_id, "presence", moment)
            for copy in range(5):
                _bill_bed(stage, unit, stay, day, Truth.HANG_BED if copy else Truth.GENUINE)


def _long_examinations(stage: Stage, unit: Unit) -> None:
    """Patients who live at home, on one examination for the whole month."""
    own = unit.institution.institution_id
    for stay in _stays(stage, unit):
        end = (stage.days - 1) * DAY + 20 * HOUR
        stage.ledger.leaves.append(
            Leave(
                stay.visit_id,
                own,
                stay.person_id,
                "examination",
                10 * HOUR,
                end,
                end,
                f"{own}-dr-0",
                9 * HOUR,
            )
        )
        for day in range(1, stage.days):
            _bill_bed(stage, unit, stay, day, Truth.HANG_BED)


TRICKS: Mapping[str, Callable[[Stage, Unit], None]] = {
    "blank_names": _blank_names,
    "unknown_codes": _unknown_codes,
    "borrowed_ids": _borrowed_ids,
    "orphan_reversals": _orphan_reversals,
    "wrong_years": _wrong_years,
    "coverage_short": _coverage_short,
    "untrusted_clocks": _untrusted_clocks,
    "shields": _shields,
    "five_fold_beds": _five_fold_beds,
    "long_examinations": _long_examinations,
}
"""Each trick by its name, in the order of the institutions E01, E02 and so on."""
