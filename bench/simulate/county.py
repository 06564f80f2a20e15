"""`simulate_county`: a month in a county, with real-life noise and planted fraud, as the tables of the audit.

The same seed gives the same bytes. Beside the tables lies ``truth.parquet``: for each line that the audit
answers, what it really is, and what the recorded evidence allows to be said of it by the wording of AUDIT.md
(`allows`).

What is not simulated, because no evidence could tell it from fraud, stands in docs/simulator.md.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from renzheng.bench.simulate.allows import Facts
from renzheng.bench.simulate.billing import enter_fees, habits_of
from renzheng.bench.simulate.coverage import DeviceLife, live_all
from renzheng.bench.simulate.dialysis import DialysisMonth
from renzheng.bench.simulate.evasions import TRICKS, Stage, Unit, live_units, plan_units, play_units
from renzheng.bench.simulate.ledger import DAY, Ledger, Truth
from renzheng.bench.simulate.recorder import THRESHOLD, Recorder
from renzheng.bench.simulate.stays import WardMonth
from renzheng.bench.simulate.visits import (
    CHILD_ITEM,
    FEMALE_ITEM,
    MALE_ITEM,
    OTHER_ITEMS,
    SOLUTION,
    play_visits,
)
from renzheng.bench.simulate.world import REGION, County, Person, build_county
from renzheng.contracts.errors import UsageError
from renzheng.contracts.tables import INPUT_TABLES, arrow_schema

FIRST_DAY = date(2026, 3, 2)
"""A Monday; local midnight in Asia/Shanghai is eight hours before that of UTC."""
_START = datetime(2026, 3, 1, 16, tzinfo=UTC)
TRUTH_SCHEMA = pa.schema([(name, pa.string()) for name in ("institution_id", "line_id", "truth", "allows")])
EVASIONS_SCHEMA = pa.schema([("institution_id", pa.string()), ("evasion", pa.string())])
RENUMBERED = 0.01
"""Share of the persons whose number changes in the middle of the month."""
ITEM_NAMES = {
    "HD": "血液透析",
    "HDF": "血液透析滤过",
    "HF": "血液滤过",
    "HP": "血液灌流",
    SOLUTION: "腹膜透析液",
    "BED": "普通床位费",
    "BED2": "双人间床位费",
}
ITEM_CLASSES = {
    "HD": "haemodialysis",
    "HDF": "haemodiafiltration",
    "HF": "haemofiltration",
    "HP": "haemoperfusion",
    SOLUTION: "peritoneal_dialysis",
    "BED": "bed_day",
    "BED2": "bed_day",
}

Report = Callable[[str, int, int], None]
"""Told of a stage, how far it is, and of how much."""


@dataclass(frozen=True, slots=True)
class CountySummary:
    """What was written: rows per table, and lines per truth and what the evidence allows."""

    first_day: date
    last_day: date
    rows: Mapping[str, int]
    truths: Mapping[str, int]


def simulate_county(
    seed: int,
    days: int,
    out: Path,
    *,
    people: int = 3000,
    evasions: bool = False,
    report: Report = lambda *_: None,
) -> CountySummary:
    """Simulate a county and write its tables and truth into `out`.

    Args:
        seed: the same one gives the same bytes.
        days: local days, from `FIRST_DAY`.
        out: folder, made where it is not there; tables in it are replaced.
        people: insured persons.
        evasions: whether ten further institutions each hide what they bill for nobody, by one trick
            (``evasions.parquet`` says which).
        report: told how far it is.

    Raises:
        UsageError: fewer than 1 day or 100 people, or a negative seed.
    """
    if days < 1 or people < 100 or seed < 0:  # noqa: PLR2004 - fewer people do not fill three units
        raise UsageError(
            f"A county of {people} people over {days} days with seed {seed} cannot be simulated.",
            do="Take at least 100 people, 1 day, and a seed from 0.",
        )
    random = np.random.default_rng(seed)
    county = build_county(random, people, days)
    units = plan_units(random, days, people + 1) if evasions else []
    lives = live_all(random, county.institutions, days) | live_units(random, units, days)
    ledger = Ledger()
    facts = _play(Recorder(random, ledger, lives), county, days, units, report)
    renumber(random, ledger, county.persons, days)
    out.mkdir(parents=True, exist_ok=True)
    tables = _tables(_with_units(county, units), ledger, lives)
    rows: dict[str, int] = {}
    for name, values in tables.items():
        report(name, len(rows), len(tables))
        _write(out / f"{name}.parquet", arrow_schema(INPUT_TABLES[name]), values)
        rows[name] = len(values)
    truths = [
        (line.institution_id, line.line_id, line.truth.value, allows)
        for line in ledger.lines
        if (allows := facts.allows(line))
    ]
    _write(out / "truth.parquet", TRUTH_SCHEMA, truths)
    tricks = [(unit.institution.institution_id, name) for unit, name in zip(units, TRICKS, strict=False)]
    _write(out / "evasions.parquet", EVASIONS_SCHEMA, tricks)
    counts: dict[str, int] = defaultdict(int)
    for *_, truth, allows in truths:
        counts[f"{truth}/{allows}"] += 1
    return CountySummary(FIRST_DAY, FIRST_DAY + timedelta(days=days - 1), rows, dict(sorted(counts.items())))


def _with_units(county: County, units: Sequence[Unit]) -> County:
    """Return the county with the institutions and people of the units that evade."""
    return replace(
        county,
        institutions=(*county.institutions, *(unit.institution for unit in units)),
        persons=(*county.persons, *(person for unit in units for person in unit.people)),
        dialysis=(*county.dialysis, *(patient for unit in units for patient in unit.patients)),
    )


def _play(recorder: Recorder, county: County, days: int, evading: Sequence[Unit], report: Report) -> Facts:
    random, ledger, lives = recorder.random, recorder.ledger, recorder.lives
    wards = WardMonth(random, county, ledger, recorder, days)
    wards.plan()
    units = DialysisMonth(random, county, ledger, recorder, days, wards.stays_of)
    for day in range(days):
        report("dialysis", day, days)
        units.play_day(day)
    for person, hospital_id, visit_id, left_at, back_at in units.away:
        wards.leave_for_dialysis(person, hospital_id, visit_id, left_at, back_at)
    wards.dialysis_days = units.attended
    wards.play()
    play_visits(county, recorder, days)
    enter_fees(random, ledger, habits_of(county.institutions), days)
    shown = [*units.sessions, *play_units(Stage(random, ledger, recorder, days), evading)]
    by_institution: dict[str, list[DeviceLife]] = defaultdict(list)
    for life in lives.values():
        by_institution[life.institution_id].append(life)
    death_days = {p.person_id: p.death_day for p in county.persons if p.death_day is not None}
    return Facts(ledger, shown, by_institution, death_days, days)


def renumber(random: np.random.Generator, ledger: Ledger, persons: Sequence[Person], days: int) -> None:
    """Give some persons a new number in the middle of the month; till then devices know the old one."""
    middle = days // 2 * DAY
    for person in persons:
        if random.random() < RENUMBERED:
            ledger.renumbered.append((f"Q{person.person_id[1:]}", person.person_id, middle))
    old = {new: before for before, new, _ in ledger.renumbered}
    ledger.events[:] = [
        replace(event, person_id=old[event.person_id])
        if event.person_id in old and event.at < middle
        else event
        for event in ledger.events
    ]


def midnight_us() -> int:
    """Give the first simulated day's local midnight as UTC microseconds since 1970."""
    return int(_START.timestamp()) * 1_000_000


def _at(seconds: int | None) -> datetime | None:
    return None if seconds is None else _START + timedelta(seconds=seconds)


def _tables(
    county: County, ledger: Ledger, lives: Mapping[str, DeviceLife]
) -> dict[str, list[tuple[Any, ...]]]:
    """Give every table's rows, in the order of its columns."""
    events = sorted(ledger.events, key=lambda event: (event.received_at, event.event_id))
    return {
        "institutions": [
            (one.institution_id, one.name, REGION, "Asia/Shanghai", one.machines or None, one.beds, None)
            for one in county.institutions
        ],
        "persons": [
            (
                one.person_id,
                one.sex,
                date(one.born_year, 1 + number % 12, 1 + number % 28),
                None if one.death_day is None else FIRST_DAY + timedelta(days=one.death_day),
            )
            for number, one in enumerate(county.persons)
        ],
        "claim_lines": [
            (
                line.line_id,
                line.institution_id,
                line.visit_id,
                f"J{line.visit_id}",
                line.person_id,
                line.visit_type,
                line.item,
                ITEM_NAMES.get(line.item, f"项目{line.item}") if line.name is None else line.name or None,
                _at(line.at),
                Decimal(line.quantity),
                Decimal(line.cents) / 100,
                line.reverses,
                line.doctor_id,
                line.department,
                None,
                None,
            )
            for line in ledger.lines
        ],
        "item_catalogue": _catalogue(),
        "prescriptions": [
            (
                one.person.person_id,
                one.site.institution_id,
                FIRST_DAY - timedelta(days=90),
                None,
                "haemodialysis",
                one.sessions_per_week,
                one.minutes,
            )
            for one in county.dialysis
            if one.prescribed
        ],
        "stays": [
            (
                stay.visit_id,
                stay.institution_id,
                stay.person_id,
                _at(stay.admitted_at),
                _at(stay.discharged_at),
                stay.department,
                stay.ward,
                stay.bed,
                None,
            )
            for stay in ledger.stays
        ],
        "leaves": [
            (
                leave.visit_id,
                leave.institution_id,
                leave.person_id,
                leave.kind,
                _at(leave.left_at),
                _at(leave.due_back_at),
                _at(leave.returned_at),
                leave.approved_by,
                _at(leave.recorded_at),
            )
            for leave in ledger.leaves
        ],
        "attendance": [
            (
                event.event_id,
                event.institution_id,
                event.device_id,
                event.person_id,
                event.event_type,
                event.purpose,
                _at(event.at),
                _at(event.received_at),
                event.outcome,
                event.score,
                None if event.score is None else THRESHOLD,
                event.pad,
                event.witness_id,
                event.session_id,
                event.clock_trusted,
            )
            for event in events
        ],
        "spot_checks": [
            (
                check.check_id,
                check.round_id,
                check.institution_id,
                check.visit_id,
                check.person_id,
                _at(check.drawn_at),
                _at(check.due_at),
                _at(check.answered_at),
                check.result,
                check.inspector_id,
                None,
                None,
            )
            for check in ledger.checks
        ],
        "coverage": [
            (institution_id, device_id, purpose, _at(start), _at(end), state)
            for life in lives.values()
            for institution_id, device_id, purpose, start, end, state in life.rows()
        ],
        "machine_sessions": [
            (
                run.institution_id,
                run.machine_id,
                run.person_id,
                _at(run.start),
                _at(run.end),
                "hospital",
                None,
                None,
            )
            for run in ledger.machines
        ],
        "person_aliases": [(old, new, _at(since)) for old, new, since in ledger.renumbered],
    }


def _catalogue() -> list[tuple[Any, ...]]:
    limits: dict[str, tuple[str | None, int | None, int | None]] = {
        FEMALE_ITEM: ("F", None, None),
        MALE_ITEM: ("M", None, None),
        CHILD_ITEM: (None, None, 14),
    }
    others = [f"D{number:03d}" for number in range(1, OTHER_ITEMS + 1)]
    since = (None, None, REGION, "模拟")
    return [
        (code, kind, None, None, None, "day" if kind == "bed_day" else "session", *since)
        for code, kind in ITEM_CLASSES.items()
    ] + [(code, "other", *limits.get(code, (None, None, None)), None, *since) for code in others]


def _write(path: Path, schema: pa.Schema, rows: list[tuple[Any, ...]]) -> None:
    arrays = [pa.array([row[n] for row in rows], type=kind.type) for n, kind in enumerate(schema)]
    pq.write_table(pa.table(arrays, schema=schema), path, compression="zstd")


KINDS = tuple(kind.value for kind in Truth if kind is not Truth.GENUINE)
