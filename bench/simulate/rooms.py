"""Simulated treatment rooms: stimulation, biofeedback, rehabilitation, imaging; and a doctor on duty.

Each institution is of one make (`Make`): what watches its rooms, and how it enters its fees. Some of those
who are billed never come. As in the county, noise is set so that every case comes often; no measurement.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from renzheng.bench.simulate.county import FIRST_DAY, TRUTH_SCHEMA, CountySummary, midnight_us
from renzheng.bench.simulate.world import REGION
from renzheng.contracts.errors import UsageError
from renzheng.contracts.tables import INPUT_TABLES, arrow_schema

BEFORE_DAYS = 40
"""Days before the first on which the devices were there already."""
SESSION_MINUTES = 30
NOON = 12 * 60
ENTRY_DAYS = 3
"""Days before a fee on which an outage may have hidden its visit (`late_entry_days`)."""
OUTAGE = 0.04
COMES = 0.45
NEVER_CAME = 0.2
"""Share of those who are billed that never enter the room."""
MANUAL = 0.04
CLOCK_UNTRUSTED = 0.01
NOT_SHOWN = 0.01
NO_SIGN_OUT = 0.04
NAMED_BY_MACHINE = 0.95
BILLED_LATE = 0.1
PRICE = Decimal(120)


@dataclass(frozen=True, slots=True)
class Make:
    """What an institution's rooms are like.

    Args:
        kind: of its service points.
        codes: billed for each visit.
        doors: how many rooms with a device at the door.
        blind: rooms without.
        log: whether its machines' log is read.
        named: whether that log names the patient.
        late: whether some fees are entered up to two weeks late.
        doctor: whether a doctor must be shown, and is: by day, or at night and at another house after it.
        absent: whether the doctor in whose name all is billed works elsewhere.
        minutes: that must be shown; 0 for one visit.
    """

    kind: str
    codes: tuple[str, ...]
    doors: int
    blind: int = 0
    log: bool = False
    named: bool = True
    late: bool = False
    minutes: int = 20
    doctor: bool = False
    absent: bool = False


MAKES: Mapping[str, Make] = {
    "stimulation": Make("stimulation", ("TMS",), 1, log=True),
    "stimulation without a log": Make("stimulation", ("TMS",), 1),
    "stimulation, fees late": Make("stimulation", ("TMS",), 1, late=True),
    "biofeedback, no door": Make("stimulation", ("BFB",), 0, log=True),
    "biofeedback, log without names": Make("stimulation", ("BFB",), 0, log=True, named=False),
    "nothing watches": Make("stimulation", ("TMS",), 0, blind=1),
    "rehabilitation in two rooms": Make("rehabilitation", ("OT", "PT", "MASSAGE"), 2),
    "rehabilitation, one room blind": Make("rehabilitation", ("OT", "PT"), 1, blind=1),
    "imaging": Make("imaging", ("CT",), 1, minutes=0),
    "stimulation, a doctor on duty": Make("stimulation", ("TMS",), 1, doctor=True),
    "stimulation, the doctor elsewhere": Make("stimulation", ("TMS",), 1, doctor=True, absent=True),
}
DOCTOR_DAYS = 3
"""After so many days the two doctors of a room change places."""
OTHER_HOUSE = "R99"
"""Where doctors go after night duty, and where one is who should not be."""
CLASSES: Mapping[str, str] = {
    "TMS": "stimulation",
    "BFB": "stimulation",
    "OT": "rehabilitation",
    "PT": "rehabilitation",
    "MASSAGE": "rehabilitation",
    "CT": "imaging",
}


@dataclass
class _World:
    random: np.random.Generator
    days: int
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {name: [] for name in INPUT_TABLES})
    truths: list[dict[str, str]] = field(default_factory=list)

    def at(self, day: int, minutes: float) -> int:
        return midnight_us() + int((day * 24 * 60 + minutes) * 60_000_000)

    def happens(self, share: float) -> bool:
        return bool(self.random.random() < share)


def simulate_rooms(seed: int, days: int, out: Path, *, people: int = 60) -> CountySummary:
    """Simulate treatment rooms and write their tables and truth into `out`.

    Args:
        seed: the same one gives the same rows.
        days: local days, from `FIRST_DAY`.
        out: folder, made where it is not there.
        people: who is billed at each institution.

    Raises:
        UsageError: fewer than 1 day or 5 people, or a negative seed.
    """
    if days < 1 or people < 5 or seed < 0:  # noqa: PLR2004 - of fewer nobody may be missing
        raise UsageError(
            f"Rooms of {people} people over {days} days with seed {seed} cannot be simulated.",
            do="Take at least 5 people, 1 day, and a seed from 0.",
        )
    world = _World(np.random.default_rng(seed), days)
    world.rows["item_catalogue"] = [
        {"item_code": code, "item_class": kind, "unit": "session", "region_code": REGION, "source": "模拟"}
        for code, kind in CLASSES.items()
    ]
    for number, make in enumerate(MAKES.values()):
        _play(world, f"R{number + 1:02d}", make, people)
    out.mkdir(parents=True, exist_ok=True)
    for name, rows in world.rows.items():
        schema = arrow_schema(INPUT_TABLES[name])
        pq.write_table(pa.Table.from_pylist(_timed(rows, schema), schema=schema), out / f"{name}.parquet")
    pq.write_table(pa.Table.from_pylist(world.truths, schema=TRUTH_SCHEMA), out / "truth.parquet")
    counts = Counter(f"{one['truth']}/{one['allows']}" for one in world.truths)
    last = FIRST_DAY + timedelta(days=days - 1)
    return CountySummary(
        FIRST_DAY, last, {name: len(rows) for name, rows in world.rows.items()}, dict(sorted(counts.items()))
    )


def _timed(rows: list[dict[str, Any]], schema: pa.Schema) -> list[dict[str, Any]]:
    """Turn whole microseconds into what a timestamp column takes; a column left out is empty."""
    times = [one.name for one in schema if pa.types.is_timestamp(one.type)]
    epoch = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
    return [
        {
            **row,
            **{
                name: epoch + timedelta(microseconds=row[name]) for name in times if row.get(name) is not None
            },
        }
        for row in rows
    ]


def _play(world: _World, house: str, make: Make, people: int) -> None:
    world.rows["institutions"].append({"institution_id": house, "name": house, "region_code": REGION})
    watch = _watch(world, house, make)
    if make.doctor:
        _work(world, house, make)
    for number in range(people):
        person = f"P-{house}-{number:03d}"
        world.rows["persons"].append({"person_id": person, "sex": "U"})
        if world.happens(NEVER_CAME):
            for day in _billed_days(world):
                _bill(world, house, make, person, day, genuine=False, watch=watch)
            continue
        for day in _billed_days(world):
            _visit(world, house, make, person, day, watch)
            _bill(world, house, make, person, day, genuine=True, watch=watch)


def _work(world: _World, house: str, make: Make) -> None:
    """Put two doctors to work in turn: one by day, one at night, who goes on to another house."""
    there = OTHER_HOUSE if make.absent else house
    for day in range(-1, world.days):
        by_day = _doctor(house, day)
        duties = [(by_day, there, 7.5, 17.5)]
        if _doctor(house, day + 1) == by_day:
            at_night = _doctor(house, day + DOCTOR_DAYS)
            duties += [(at_night, house, 20, 32), (at_night, OTHER_HOUSE, 33.5, 35)]
        for doctor, place, begin, end in duties:
            world.rows["staff_presence"].append(
                {
                    "presence_id": f"W{len(world.rows['staff_presence']):06d}",
                    "institution_id": place,
                    "staff_id": doctor,
                    "role": "doctor",
                    "state": "present",
                    "from_at": world.at(day, begin * 60),
                    "to_at": world.at(day, end * 60),
                    "shown_by": "face",
                    "clock_trusted": True,
                }
            )


def _doctor(house: str, day: int) -> str:
    """Name the doctor on duty by day; the other one has the nights, but for the one before the change."""
    return f"D-{house}-{day // DOCTOR_DAYS % 2}"


def _billed_days(world: _World) -> Iterator[int]:
    """Yield days for which somebody is billed, two apart at least."""
    return (day for day in range(0, world.days, 2) if world.happens(COMES))


def _watch(world: _World, house: str, make: Make) -> "_Watch":
    """Put the rooms and what watches them there; tell when each was down."""
    devices = [f"{house}-door-{number}" for number in range(make.doors)]
    log = f"{house}-log" if make.log else None
    rooms: list[str | None] = [*devices, *([None] * (make.blind or int(not devices)))]
    world.rows["service_points"] += [
        {
            "point_id": f"{house}-S{number}",
            "institution_id": house,
            "kind": make.kind,
            "room": str(number + 1),
            "item_codes": ";".join(make.codes),
            "device_ids": device,
            "machine_ids": ";".join(f"{house}-M{one}" for one in range(2)) if make.minutes else None,
            "log_source": log,
            "minimum_minutes": make.minutes,
            "staff_needed": "doctor" if make.doctor else None,
        }
        for number, device in enumerate(rooms)
    ]
    down = {
        (device, day)
        for device in [*devices, *([log] if log else [])]
        for day in range(world.days)
        if world.happens(OUTAGE)
    }
    for device in [*devices, *([log] if log else [])]:
        for day in range(-BEFORE_DAYS, world.days + 1):
            world.rows["coverage"].append(
                {
                    "institution_id": house,
                    "device_id": device,
                    "purpose": make.kind,
                    "from_at": world.at(day, NOON if (device, day) in down else 0),
                    "to_at": world.at(day, 24 * 60),
                    "state": "up",
                }
            )
    dark = {day for _, day in down}
    if make.blind or not (devices or log) or (make.log and not make.named):
        dark |= set(range(-BEFORE_DAYS, world.days))
    return _Watch(down, dark, rooms, log)


def _visit(  # noqa: PLR0917 - who came where, and when
    world: _World, house: str, make: Make, person: str, day: int, watch: "_Watch"
) -> None:
    """Let somebody come: through a door that may be down, to a machine whose log may not be read."""
    begin = 8 * 60 + float(world.random.integers(0, 420))
    end = begin + SESSION_MINUTES + float(world.random.integers(0, 20))
    room = watch.rooms[int(world.random.integers(0, len(watch.rooms)))]
    if room is not None and (begin >= NOON or (room, day) not in watch.down):
        _sign(world, house, make, person, room, (world.at(day, begin), world.at(day, end)))
    read = begin >= NOON or (watch.log, day) not in watch.down
    if make.minutes and watch.log and read and (make.doors == 0 or world.happens(NAMED_BY_MACHINE)):
        world.rows["machine_sessions"].append(
            {
                "institution_id": house,
                "machine_id": f"{house}-M{int(world.random.integers(0, 2))}",
                "person_id": person if make.named else None,
                "started_at": world.at(day, begin + 2),
                "ended_at": world.at(day, end - 1),
                "source": "device",
            }
        )


def _sign(  # noqa: PLR0917 - who came where, and when
    world: _World, house: str, make: Make, person: str, device: str, stay: tuple[int, int]
) -> None:
    manual = world.happens(MANUAL)
    event = {
        "institution_id": house,
        "device_id": device,
        "person_id": person,
        "purpose": make.kind,
        "outcome": "manual" if manual else "match",
        "witness_id": "N1" if manual else None,
        "pad": "not_shown" if manual or world.happens(NOT_SHOWN) else "bona_fide",
        "clock_trusted": not world.happens(CLOCK_UNTRUSTED),
    }
    signs = [("sign_in", stay[0])]
    if make.minutes and not world.happens(NO_SIGN_OUT):
        signs.append(("sign_out", stay[1]))
    for kind, at in signs:
        name = f"E{len(world.rows['attendance']):07d}"
        world.rows["attendance"].append(
            {**event, "event_id": name, "event_type": kind, "occurred_at": at, "received_at": at}
        )


def _bill(
    world: _World, house: str, make: Make, person: str, day: int, *, genuine: bool, watch: "_Watch"
) -> None:
    """Bill a visit, or one that never was; what the evidence allows of the latter depends on who watched."""
    fee_day = day
    if make.late and genuine and world.happens(BILLED_LATE):
        fee_day = min(world.days - 1, day + int(world.random.integers(1, 15)))
    hidden = watch.dark & set(range(fee_day - ENTRY_DAYS, fee_day + 1))
    for code in make.codes:
        name = f"L{len(world.rows['claim_lines']):07d}"
        world.rows["claim_lines"].append(
            {
                "line_id": name,
                "institution_id": house,
                "visit_id": f"V-{person}",
                "person_id": person,
                "visit_type": "outpatient",
                "item_code": code,
                "item_name": code,
                "service_time": world.at(fee_day, 17 * 60),
                "quantity": Decimal(1),
                "amount": PRICE,
                "doctor_id": _doctor(house, day) if make.doctor else None,
            }
        )
        of_genuine = "insufficient" if make.absent else "supported"
        allows = of_genuine if genuine else "insufficient" if hidden else "contradicted"
        truth = "genuine" if genuine else "phantom"
        world.truths.append({"institution_id": house, "line_id": name, "truth": truth, "allows": allows})


@dataclass(frozen=True, slots=True)
class _Watch:
    """What watches the rooms of an institution.

    Args:
        down: devices and days on which they saw nothing before noon.
        dark: days of which silence proves nothing.
        rooms: the device at each door, None where there is none.
        log: under which the machines' log is read, None where it is not.
    """

    down: set[tuple[str, int]]
    dark: set[int]
    rooms: list[str | None]
    log: str | None
