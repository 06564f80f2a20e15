"""Who and what there is in a simulated county: institutions, devices, people; nothing that happens yet."""

from dataclasses import dataclass
from enum import Enum

import numpy as np

from renzheng.bench.simulate import rates

REGION = "371121"
HOSPITALS = 20
DIALYSIS_SITES = 3
SHIFT_START_HOURS = (7, 12, 17)
NIGHT_SHIFT_HOUR = 21
AVERAGE_AGE_SPREAD_YEARS = 18


class Pattern(Enum):
    """How often somebody dialyses."""

    ODD = "odd"
    EVEN = "even"
    TWICE = "twice"
    SHORT_DAILY = "short_daily"
    NOCTURNAL = "nocturnal"


WEEKDAYS: dict[Pattern, tuple[int, ...]] = {
    Pattern.ODD: (0, 2, 4),
    Pattern.EVEN: (1, 3, 5),
    Pattern.TWICE: (0, 3),
    Pattern.SHORT_DAILY: (0, 1, 2, 3, 4, 5),
    Pattern.NOCTURNAL: (0, 2, 4),
}
"""0 is the weekday of the first simulated day."""


@dataclass(frozen=True, slots=True)
class Institution:
    """One hospital; `machines` is 0 without a dialysis unit; `kiosks` stand at the unit's door.

    Args:
        machine_log: whether the unit's machines keep a log that names the patient.
        ward_cameras: device ids, one a ward.
    """

    institution_id: str
    name: str
    beds: int
    machines: int
    kiosks: tuple[str, ...]
    machine_log: bool
    ward_cameras: tuple[str, ...]
    desk: str


@dataclass(frozen=True, slots=True)
class Person:
    """One insured person; `death_day` counts from the first simulated day, `born_year` is Gregorian."""

    person_id: str
    sex: str
    born_year: int
    death_day: int | None
    twin_of: str | None = None


@dataclass(frozen=True, slots=True)
class DialysisPatient:
    """A person on haemodialysis.

    Args:
        hour: local hour at which the shift begins.
        minutes: usual duration of a session.
        prescribed: whether the bureau has the prescription.
    """

    person: Person
    site: Institution
    pattern: Pattern
    hour: int
    minutes: int
    prescribed: bool

    @property
    def sessions_per_week(self) -> float:
        """How often it is prescribed."""
        return float(len(WEEKDAYS[self.pattern]))

    @property
    def need_minutes(self) -> float:
        """Below this a session is too short: half of what is prescribed, 90 where nothing is (AUDIT.md)."""
        return self.minutes / 2 if self.prescribed else 90.0


@dataclass(frozen=True, slots=True)
class County:
    """Everybody and everything."""

    institutions: tuple[Institution, ...]
    persons: tuple[Person, ...]
    dialysis: tuple[DialysisPatient, ...]
    peritoneal: tuple[Person, ...]
    others: tuple[Person, ...]

    @property
    def sites(self) -> tuple[Institution, ...]:
        """The institutions with a dialysis unit."""
        return tuple(one for one in self.institutions if one.machines)

    @property
    def plain_hospitals(self) -> tuple[Institution, ...]:
        """Those without."""
        return tuple(one for one in self.institutions if not one.machines)


def build_county(random: np.random.Generator, people: int, days: int) -> County:
    """Make a county of `people` insured persons that is watched for `days` days.

    One person in eleven is on dialysis, far more than in life, so that a month has sessions enough.
    """
    persons = _persons(random, people, days)
    on_dialysis = max(people // 11, 3 * DIALYSIS_SITES)
    on_peritoneal = max(people // 100, 2)
    patients = persons[:on_dialysis]
    institutions = _institutions(on_dialysis)
    sites = [one for one in institutions if one.machines]
    return County(
        institutions,
        persons,
        tuple(_dialysis_patient(random, person, number, sites) for number, person in enumerate(patients)),
        persons[on_dialysis : on_dialysis + on_peritoneal],
        persons[on_dialysis + on_peritoneal :],
    )


def _persons(random: np.random.Generator, people: int, days: int) -> tuple[Person, ...]:
    persons: list[Person] = []
    for number in range(people):
        person_id = f"P{number + 1:07d}"
        twin = f"P{number:07d}" if number % 50 == 1 else None
        dies = random.random() < rates.DEATHS_A_MONTH * days / 30
        persons.append(
            Person(
                person_id,
                persons[-1].sex if twin else ("MF"[int(random.integers(0, 2))]),
                persons[-1].born_year
                if twin
                else int(np.clip(random.normal(1962, AVERAGE_AGE_SPREAD_YEARS), 1930, 2005)),
                int(random.integers(0, days)) if dies else None,
                twin,
            )
        )
    return tuple(persons)


def _institutions(on_dialysis: int) -> tuple[Institution, ...]:
    """Twenty hospitals, three with a unit; each unit has a machine for everybody of its fullest shift."""
    machines = max(4, -(-on_dialysis // (DIALYSIS_SITES * 2 * len(SHIFT_START_HOURS))) * 2)
    made = []
    for number in range(HOSPITALS):
        name = f"H{number + 1:03d}"
        unit = number < DIALYSIS_SITES
        made.append(
            Institution(
                institution_id=name,
                name=f"县第{number + 1}医院",
                beds=400 if unit else 120,
                machines=machines if unit else 0,
                kiosks=tuple(f"{name}-kiosk-{k}" for k in range(2 if number == 0 else 1)) if unit else (),
                machine_log=unit and number < DIALYSIS_SITES - 1,
                ward_cameras=tuple(f"{name}-ward-{k}" for k in range(4 if unit else 2)),
                desk=f"{name}-desk",
            )
        )
    return tuple(made)


def _dialysis_patient(
    random: np.random.Generator, person: Person, number: int, sites: list[Institution]
) -> DialysisPatient:
    site = sites[number % len(sites)]
    kind = random.random()
    if kind < rates.SHORT_DAILY:
        return DialysisPatient(person, site, Pattern.SHORT_DAILY, SHIFT_START_HOURS[0], 135, prescribed=True)
    kind -= rates.SHORT_DAILY
    if kind < rates.NOCTURNAL:
        return DialysisPatient(person, sites[0], Pattern.NOCTURNAL, NIGHT_SHIFT_HOUR, 480, prescribed=True)
    pattern = (
        Pattern.TWICE
        if kind - rates.NOCTURNAL < rates.TWICE_A_WEEK
        else (Pattern.ODD, Pattern.EVEN)[number // len(sites) % 2]
    )
    hour = SHIFT_START_HOURS[number // (2 * len(sites)) % len(SHIFT_START_HOURS)]
    return DialysisPatient(
        person,
        site,
        pattern,
        hour,
        int(random.choice((210, 240, 240, 240, 270))),
        prescribed=random.random() < rates.HAS_PRESCRIPTION,
    )
