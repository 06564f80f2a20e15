"""Outpatients, pharmacies, peritoneal dialysis: the half of a county's bill that no line verdict is about."""

import numpy as np

from renzheng.bench.simulate import rates
from renzheng.bench.simulate.ledger import DAY, HOUR, MINUTE, Ledger, Line, Truth
from renzheng.bench.simulate.recorder import Recorder
from renzheng.bench.simulate.world import County, Person

OTHER_ITEMS = 60
FEMALE_ITEM, MALE_ITEM, CHILD_ITEM = "D058", "D059", "D060"
SOLUTION = "PD"


def play_visits(county: County, recorder: Recorder, days: int) -> None:
    """Play every outpatient visit: about three a person in two months, each with one to four lines."""
    random = recorder.random
    for person in county.others:
        for _ in range(int(random.poisson(1.5 * days / 30))):
            _visit(county, recorder, person, days)
    for person in county.peritoneal:
        _solution(random, county, recorder.ledger, person)


def _visit(county: County, recorder: Recorder, person: Person, days: int) -> None:
    random, ledger = recorder.random, recorder.ledger
    hospital = county.institutions[int(random.integers(0, len(county.institutions)))]
    at = int(random.integers(0, days)) * DAY + int(random.integers(8 * HOUR, 17 * HOUR))
    if person.death_day is not None and at // DAY >= person.death_day:
        return
    if ledger.is_inpatient(person.person_id, at):
        return
    if random.random() < rates.SIGNS_IN and recorder.lives[hospital.desk].is_up(at):
        recorder.event(hospital.desk, person.person_id, "sign_in", at)
    visit = ledger.number("V")
    pharmacy = random.random() < rates.PHARMACY
    for _ in range(int(random.integers(1, 5))):
        cents = int(random.integers(200, 30_000))
        ledger.lines.append(
            Line(
                f"{hospital.institution_id}:{visit}:{ledger.number('L')}",
                hospital.institution_id,
                visit,
                person.person_id,
                "pharmacy" if pharmacy else "outpatient",
                _item(random, person),
                at + int(random.integers(5, 90)) * MINUTE,
                int(random.integers(1, 4)),
                cents,
                Truth.GENUINE,
                doctor_id=f"{hospital.institution_id}-dr-{int(random.integers(0, 6))}",
            )
        )


def _item(random: np.random.Generator, person: Person) -> str:
    limited = {"F": FEMALE_ITEM, "M": MALE_ITEM}
    if random.random() < rates.SEX_LIMITED_ITEM:
        return limited[person.sex]
    return f"D{int(random.integers(1, OTHER_ITEMS - 2)):03d}"


def _solution(random: np.random.Generator, county: County, ledger: Ledger, person: Person) -> None:
    """Bill a month's peritoneal dialysis solution, used at home: no kiosk, no session, and never in scope."""
    site = county.sites[int(random.integers(0, len(county.sites)))]
    visit = ledger.number("V")
    ledger.lines.append(
        Line(
            f"{site.institution_id}:{visit}:{ledger.number('L')}",
            site.institution_id,
            visit,
            person.person_id,
            "outpatient",
            SOLUTION,
            10 * HOUR,
            30,
            30 * 3_900,
            Truth.GENUINE,
        )
    )
